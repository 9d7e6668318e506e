"""PostgreSQL's side of the migrator."""

import re
from contextlib import suppress
from typing import Any, Final

from cardlink_sql.dialect import Dialect
from cardlink_sql.errors import MigrationError
from cardlink_sql.schema.migrator.backend import ServerBackend
from cardlink_sql.schema.migrator.files import MigrationStatement, StatementFailed

_CONCURRENT_INDEX: Final = re.compile(
    r"CREATE\s+(?:UNIQUE\s+)?INDEX\s+CONCURRENTLY\s+(?:IF\s+NOT\s+EXISTS\s+)?"
    r'("(?:[^"]|"")+"|\w+)',
    re.IGNORECASE,
)


class PostgreSQL(ServerBackend):
    """PostgreSQL."""

    dialect = Dialect.POSTGRESQL
    ends_a_session = "SELECT pg_terminate_backend({});"
    exists_codes = frozenset({"42P06", "42P07", "42701", "42710", "42723"})
    gone_codes = frozenset({"3F000", "42P01", "42703", "42704", "42883"})
    shares = re.compile(
        r"(?!.*\bCONCURRENTLY\b)\s*(?!VACUUM|REINDEX|CALL|DO\b|ALTER\s+SYSTEM"
        r"|(?:CREATE|DROP|ALTER)\s+(?:DATABASE|TABLESPACE|SUBSCRIPTION))\w",
        re.IGNORECASE | re.DOTALL,
    )
    _own_path = _path = ""

    def try_acquire(self) -> bool:
        client_pid = self.connection.pgconn.backend_pid
        (is_taken,) = self.send("lock", client_pid=client_pid).fetchone()
        if is_taken is None:
            raise MigrationError(
                "a migration needs its own connection, and this one goes through a pooler",
                remedy="name the server itself, not the pooler: --url",
            )
        return bool(is_taken)

    def holder(self) -> str:
        """Return process, user, application, address and time, from pg_stat_activity."""
        row = self.send("lock_holder").fetchone()
        if row is None:
            return "it has just ended"
        pid, user, application, address, since = row
        return (
            f"process {pid} of the server, user {user}, application {application!r}, "
            f"from {address or 'the local socket'}, connected since {since}"
        )

    def prepare(self) -> None:
        """Have the server notice within a second if this process dies."""
        # Unavailable on some platforms; the lock is then freed when the statement ends.
        with suppress(self.connection.Error):
            self.send("notice_dead_client")
        self._own_path = self._path = self._search_path()

    def start(self) -> None:
        """Forget the search_path of the migration before."""
        self._path = self._own_path

    def run(self, statement: MigrationStatement) -> None:
        """Run a statement under the migration's search_path, which is not the bookkeeping's."""
        self._set_search_path(self._path)
        try:
            super().run(statement)
        except StatementFailed:
            if not self.database_backend.in_transaction(self.connection):
                self._set_search_path(self._own_path)
            raise
        self._path = self._search_path()
        self._set_search_path(self._own_path)

    def _search_path(self) -> str:
        return str(self.send("search_path").fetchone()[0])

    def _set_search_path(self, path: str) -> None:
        if self._path != self._own_path:
            self.send("set_search_path", path=path)

    def invalid_indexes(self, statement: MigrationStatement) -> list[Any]:
        """Return the invalid indexes that a failed CREATE INDEX CONCURRENTLY left."""
        match = _CONCURRENT_INDEX.search(statement.text)
        if match is None:
            return []
        name = match[1]
        plain = name[1:-1].replace('""', '"') if name.startswith('"') else name.lower()
        return list(self.send("invalid_indexes", name=plain).fetchall())


BACKEND: Final = PostgreSQL
