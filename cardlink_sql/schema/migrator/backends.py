"""yoyo's bookkeeping over a connection of ours.

yoyo's own backends would open their own connections, lock with a row that outlives its process,
and record a migration in another transaction than the one that applied it.
"""

import getpass
import os
import socket
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from typing import Any, ClassVar, Final

from cardlink_sql.database.backend import backend_of
from cardlink_sql.database.internal import InternalStatements
from cardlink_sql.dialect import Dialect
from cardlink_sql.errors import MigrationError
from cardlink_sql.model import times
from cardlink_sql.schema.migrator import bookkeeping, driver
from cardlink_sql.schema.migrator.files import MigrationStatement, StatementFailed

_NAME_LENGTH: Final = 255
# How many sessions to name; the one in its transaction for longest is the likeliest.
_HOLDERS: Final = 3


class MigrationBackend:
    """The common part of the three backends: a driver's connection, never closed here."""

    dialect: ClassVar[Dialect]
    has_transactional_ddl: ClassVar[bool] = True
    ends_a_session: ClassVar[str] = ""

    def __init__(self, connection: Any) -> None:
        self.connection = connection
        self._statements = InternalStatements(self.dialect, connection)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Open a transaction, and commit it at the end or roll it back on an error.

        Inside another one it does nothing: that one commits or rolls back.
        """
        if backend_of(self.dialect).in_transaction(self.connection):
            yield
            return
        self.connection.cursor().execute(backend_of(self.dialect).begin)
        try:
            yield
            self.connection.commit()
        except BaseException:
            self.rollback()
            raise

    def rollback(self) -> None:
        """Roll back; a lost connection has nothing to roll back."""
        with suppress(self.connection.Error):
            self.connection.rollback()

    def send(self, title: str, **given: Any) -> Any:
        """Send a statement of ``sql/internal/*/migrations.sql`` and return the driver's cursor."""
        bound = {name: self._bind(value) for name, value in given.items()}
        return self._statements.execute(f"migrations.{title}", **bound)

    def record(self, migration: Any, direction: str) -> None:
        """Record that a migration was applied or rolled back, and by which user.

        It makes no DNS query, and works for a user without a name.
        """
        now = times.utc_now()
        self.send(
            "write_log",
            id=str(uuid.uuid4()),
            migration_id=migration.id,
            migration_hash=migration.hash,
            username=_user_name()[:_NAME_LENGTH],
            hostname=socket.gethostname()[:_NAME_LENGTH],
            created_at_utc=now,
            operation=direction,
        )
        if direction == "apply":
            self.send(
                "mark_applied", migration_hash=migration.hash, migration_id=migration.id, now=now
            )
        else:
            self.send("unmark_applied", migration_hash=migration.hash)

    def lock_holders(self) -> str:
        """Return who may hold the lock that a statement waited for, and how to end each session."""
        if not self.ends_a_session:
            return "another program holds it"
        try:
            rows = self.send("open_transactions").fetchall()
        except self.connection.Error:
            return "see who with the PROCESS privilege: SHOW FULL PROCESSLIST"
        if not rows:
            return "no transaction is open now: whoever held it has ended"
        return "; ".join(
            f"session {number} of {user} from {host}, in a transaction for {seconds} s"
            f"{f', last query {query}' if query else ''} ({self.ends_a_session.format(number)})"
            for number, user, host, seconds, query in rows[:_HOLDERS]
        )

    def prepare(self) -> None:
        """Prepare the connection for migrations, before any transaction."""

    def restore(self) -> None:
        """Leave the connection as the engine made it."""

    def table_names(self) -> set[str]:
        """Return the tables that the connection sees."""
        return {row[0] for row in self.send("tables").fetchall()}

    def join_cluster(self) -> bool:
        """Read what all nodes of a cluster committed; return whether the server is in one."""
        return False

    def start(self) -> None:
        """Begin a migration with the settings of the connection, not those of the one before."""

    def run(self, statement: MigrationStatement) -> None:
        """Run a statement of a migration; one that is refused raises ``StatementFailed``."""
        statement.run(self.connection)

    def create_bookkeeping(self) -> None:
        """Create the bookkeeping tables that are missing."""
        present = self.table_names()
        with self.transaction():
            if not present.issuperset(bookkeeping.BOOKKEEPING_TABLES):
                # Each can be repeated, so a process killed between two needs no repair.
                for title in ("make_migrations", "make_log", "make_version", "make_journal"):
                    self.send(title)
            version = self._read_version()
        if version != bookkeeping.YOYO_VERSION:
            raise MigrationError(
                f"the bookkeeping is of yoyo's version {version}, not {bookkeeping.YOYO_VERSION}",
                bookkeeping.VERSION_TABLE,
                "install the cardlink-sql that made it",
            )

    def make_lock_row(self) -> None:
        """Create the row that is a cluster's lock, where it is missing."""
        if bookkeeping.VERSION_TABLE not in self.table_names():
            self.send("make_version")
        self._read_version()

    def _read_version(self) -> int:
        """Return the version of yoyo's tables, which is written where none is."""
        version = self.send("read_version").fetchone()[0]
        if version is None:
            version = bookkeeping.YOYO_VERSION
            self.send("write_version", version=version, now=times.utc_now())
        return int(version)

    def run_whole(self, migration: Any, direction: str) -> None:
        """Run all statements of a migration inside the transaction that is open."""
        for statement in migration.statements(direction):
            self.run(statement)
        if not backend_of(self.dialect).in_transaction(self.connection):
            raise MigrationError(
                "a statement ended the transaction, so what ran before it is committed",
                migration.where,
                "restore a backup; find the COMMIT in a routine that the migration calls",
            )

    def _bind(self, value: Any) -> Any:
        is_zoned = isinstance(value, datetime) and value.tzinfo
        return value.astimezone(UTC).replace(tzinfo=None) if is_zoned else value


class SQLite(MigrationBackend):
    """SQLite: foreign keys are off while tables are rebuilt, and checked before the commit."""

    dialect = Dialect.SQLITE

    def prepare(self) -> None:
        """Switch foreign keys off, which SQLite allows only outside a transaction.

        With them on, the DROP TABLE of a rebuild would delete the rows that refer to it.
        """
        self.send("foreign_keys_off")

    def restore(self) -> None:
        """End any open transaction and switch foreign keys on."""
        self.rollback()
        self.send("foreign_keys_on")

    def run_whole(self, migration: Any, direction: str) -> None:
        """Run the statements, then check that every row still has the row that it refers to."""
        before = self._orphans(migration)
        super().run_whole(migration, direction)
        if lost := self._orphans(migration) - before:
            (child, parent), count = lost.most_common(1)[0]
            raise MigrationError(
                f"{count} row(s) of {child} would refer to rows of {parent} that do not exist",
                migration.where,
                "nothing was kept; correct the migration",
            )

    def _orphans(self, migration: Any) -> Counter[tuple[str, str]]:
        try:
            rows = self.send("orphans").fetchall()
        except self.connection.Error as error:
            raise MigrationError(
                driver.message(error),
                migration.where,
                "nothing was kept; a foreign key must refer to a primary key or a unique one",
            ) from error
        return Counter((child, parent) for child, _rowid, parent, _key in rows)

    def _bind(self, value: Any) -> Any:
        bound = super()._bind(value)
        return bound.isoformat(" ") if isinstance(bound, datetime) else bound


class MySQL(MigrationBackend):
    """MySQL and MariaDB: each DDL statement commits by itself."""

    dialect = Dialect.MYSQL
    has_transactional_ddl = False
    ends_a_session = "KILL {};"

    def join_cluster(self) -> bool:
        """Read what all nodes of a Galera cluster committed; return whether there is one."""
        nodes = sum(int(size) for _name, size in self.send("cluster_size").fetchall())
        if nodes:
            self.send("await_cluster")
        return bool(nodes)


class PostgreSQL(MigrationBackend):
    """PostgreSQL."""

    dialect = Dialect.POSTGRESQL
    ends_a_session = "SELECT pg_terminate_backend({});"
    _own_path = _path = ""

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
            if not backend_of(self.dialect).in_transaction(self.connection):
                self._set_search_path(self._own_path)
            raise
        self._path = self._search_path()
        self._set_search_path(self._own_path)

    def _search_path(self) -> str:
        return str(self.send("search_path").fetchone()[0])

    def _set_search_path(self, path: str) -> None:
        if self._path != self._own_path:
            self.send("set_search_path", path=path)


BACKENDS: Final[dict[Dialect, type[MigrationBackend]]] = {
    Dialect.SQLITE: SQLite,
    Dialect.MYSQL: MySQL,
    Dialect.POSTGRESQL: PostgreSQL,
}


def _user_name() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):  # a container's uid without an account
        return f"uid {os.getuid()}" if hasattr(os, "getuid") else "unknown"
