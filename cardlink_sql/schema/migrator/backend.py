"""The connection that migrates: one class for each dialect.

Each subclass is in the module named as its dialect. yoyo's own backends would open their own
connections, lock with a row that outlives its process, and record a migration in another
transaction than the one that applied it.
"""

import re
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from importlib import import_module
from typing import Any, ClassVar, Final

from cardlink_sql.database.backend import backend_of
from cardlink_sql.database.internal import InternalStatements
from cardlink_sql.dialect import Dialect
from cardlink_sql.errors import MigrationError
from cardlink_sql.schema.migrator.files import (
    Direction,
    MigrationStatement,
    SQLMigration,
    StatementFailed,
)
from cardlink_sql.schema.migrator.mutex import held

# How many sessions to name; the one in its transaction for longest is the likeliest.
_HOLDERS: Final = 3


class MigrationBackend:
    """The common part of the three backends: a driver's connection, never closed here."""

    dialect: ClassVar[Dialect]
    has_transactional_ddl: ClassVar[bool] = True
    # The statements, by their code, that can commit together with their entry in the journal.
    shares: ClassVar[re.Pattern[str]]
    # The errors of a CREATE whose object is there, and of a DROP whose object is not.
    exists_codes: ClassVar[frozenset[Any]] = frozenset()
    gone_codes: ClassVar[frozenset[Any]] = frozenset()

    def __init__(self, connection: Any) -> None:
        self.connection = connection
        self.database_backend = backend_of(self.dialect)
        self._statements = InternalStatements(self.dialect, connection)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Open a transaction, and commit it at the end or roll it back on an error.

        Inside another one it does nothing: that one commits or rolls back.
        """
        if self.database_backend.in_transaction(self.connection):
            yield
            return
        self.connection.cursor().execute(self.database_backend.begin)
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
        return self._statements.execute(f"migrations.{title}", **given)

    def try_acquire(self) -> bool:
        """Take the lock of the server if it is free; SQLite's is a file."""
        return True

    def release(self) -> None:
        """Free the lock."""

    def holder(self) -> str:
        """Return a description of the lock's holder."""
        return ""

    def locked(self, timeout: float) -> AbstractContextManager[None]:
        """Hold the server's lock in a block, after waiting for it for so many seconds at most."""
        return held(self, timeout)

    def invalid_indexes(self, statement: MigrationStatement) -> list[Any]:
        """Return schema and name of the indexes that a statement left invalid, where one can."""
        del statement
        return []

    def error_code(self, error: Exception) -> Any:
        """Return the server's code of a driver's error, where it has one."""
        return getattr(error, "sqlstate", None)

    def lock_holders(self) -> str:
        """Return who may hold the lock that a statement waited for."""
        return "another program holds it"

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
        """Run a statement of a migration; rows that it returns are discarded.

        Raises:
            StatementFailed: it is refused.
        """
        cursor = self.connection.cursor()
        try:
            cursor.execute(statement.text)
            if cursor.description:
                cursor.fetchall()
        except (self.connection.Error, self.connection.Warning) as error:
            raise StatementFailed(statement, error) from error
        finally:
            cursor.close()

    def run_whole(self, migration: SQLMigration, direction: Direction) -> None:
        """Run all statements of a migration inside the transaction that is open."""
        for statement in migration.statements(direction):
            self.run(statement)
        if not self.database_backend.in_transaction(self.connection):
            raise MigrationError(
                "a statement ended the transaction, so what ran before it is committed",
                migration.where,
                "restore a backup; find the COMMIT in a routine that the migration calls",
            )


class ServerBackend(MigrationBackend):
    """A server's side: a lock of the connection, which the server frees when that ends."""

    ends_a_session: ClassVar[str]

    def release(self) -> None:
        """Free the lock; a lost connection has freed it."""
        with suppress(self.connection.Error):
            self.send("unlock").fetchone()

    def lock_holders(self) -> str:
        """Return who may hold the lock that a statement waited for, and how to end each session."""
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


def migration_backend(dialect: Dialect, connection: Any) -> MigrationBackend:
    """Return the migrator's side of a driver's connection."""
    module = import_module(f"cardlink_sql.schema.migrator.{dialect.value}")
    backend: MigrationBackend = module.BACKEND(connection)
    return backend
