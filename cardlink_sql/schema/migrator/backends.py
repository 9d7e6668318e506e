"""yoyo's backends over a connection of ours.

yoyo would open connections of its own, lock with a row that outlives its process, and record
a migration in another transaction than the one that applied it. These keep its bookkeeping
and its way of applying steps, and nothing else.
"""

import getpass
import os
import socket
import uuid
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, Final

from yoyo.backends.base import DatabaseBackend
from yoyo.backends.core.mysql import MySQLBackend
from yoyo.backends.core.postgresql import PostgresqlPsycopgBackend
from yoyo.backends.core.sqlite3 import SQLiteBackend
from yoyo.connections import DatabaseURI

from cardlink_sql.database.engine import in_transaction
from cardlink_sql.dialect import Dialect
from cardlink_sql.errors import MigrationError
from cardlink_sql.model import times
from cardlink_sql.schema.migrator import driver
from cardlink_sql.schema.migrator import statements as sql

_NAME_LENGTH: Final = 255


class Backend(DatabaseBackend):  # type: ignore[misc]
    """What the three backends share: one connection, given and never closed here."""

    dialect: Dialect
    transactional_ddl = True

    def __init__(self, connection: Any, database: str) -> None:
        self._given = connection
        uri = DatabaseURI(self.dialect.value, None, None, None, None, database, {})
        super().__init__(uri, sql.MIGRATION_TABLE)
        self.has_transactional_ddl = self.transactional_ddl

    def connect(self, _dburi: Any) -> Any:
        """The connection that was given."""
        return self._given

    def copy(self) -> "Backend":
        """This one: apply and record share a connection."""
        return self

    def __enter__(self) -> "Backend":
        return self

    def __exit__(self, *_error: object) -> None:
        """Leave the connection open, and the driver's adapters alone."""

    def init_database(self) -> None:
        """Probe nothing."""

    def ensure_internal_schema_updated(self) -> None:
        """Do nothing: :meth:`create_bookkeeping` has made the tables."""

    def savepoint(self, _name: str) -> None:
        """No savepoint: a statement that fails ends the whole migration."""

    def savepoint_rollback(self, _name: str) -> None:
        """No savepoint, so none to return to."""

    def rollback(self) -> None:
        """Roll back; a connection that is lost has nothing to roll back."""
        with suppress(self.connection.Error):
            super().rollback()
        self._in_transaction = False

    def get_log_data(self, migration: Any = None, operation: str = "apply") -> dict[str, Any]:
        """The row of yoyo's log, made without DNS and without need of a user's name."""
        return {
            "id": str(uuid.uuid4()),
            "migration_id": migration.id if migration else None,
            "migration_hash": migration.hash if migration else None,
            "username": _user_name()[:_NAME_LENGTH],
            "hostname": socket.gethostname()[:_NAME_LENGTH],
            "created_at_utc": times.utc_now(),
            "operation": operation,
        }

    def prepare(self) -> None:
        """Ready the connection for migrations, before any transaction."""

    def restore(self) -> None:
        """Leave the connection as the engine made it."""

    def table_names(self) -> set[str]:
        """The tables that the connection sees."""
        return {row[0] for row in self.execute(sql.TABLES[self.dialect]).fetchall()}

    def create_bookkeeping(self) -> None:
        """Make the bookkeeping tables where they are missing.

        Raises:
            MigrationError: another version of yoyo made its tables.
        """
        present = self.table_names()
        with self.transaction():
            if not present.issuperset(sql.BOOKKEEPING_TABLES):
                for ddl in sql.CREATE_BOOKKEEPING[self.dialect]:
                    self.execute(ddl)
            version = self.execute(sql.READ_VERSION).fetchone()[0]
            if version is None:
                version = sql.YOYO_VERSION
                self.execute(sql.WRITE_VERSION, {"version": version, "now": times.utc_now()})
        if version != sql.YOYO_VERSION:
            raise MigrationError(
                f"the bookkeeping is of yoyo's version {version}, not {sql.YOYO_VERSION}",
                sql.VERSION_TABLE,
                "install the cardlink-sql that made it",
            )

    def run_whole(self, migration: Any, direction: str) -> None:
        """Run all steps of a migration inside the transaction that is open.

        Raises:
            MigrationError: a statement ended the transaction.
            StatementFailed: a statement was refused.
        """
        migration.process_steps(self, direction)
        if not in_transaction(self.dialect, self.connection):
            raise MigrationError(
                "a statement ended the transaction, so what ran before it is committed",
                migration.where,
                "restore a backup; find the COMMIT in a routine that the migration calls",
            )

    def execute(self, query: str, params: Mapping[str, Any] | None = None) -> Any:
        """Run a statement of the bookkeeping; times are bound as the columns take them."""
        bound = {name: self._bind(value) for name, value in (params or {}).items()}
        return super().execute(query, bound or None)

    def _bind(self, value: Any) -> Any:
        return _naive_utc(value) if isinstance(value, datetime) else value


class SQLite(Backend, SQLiteBackend):  # type: ignore[misc]
    """SQLite: foreign keys are off while tables are rebuilt, and checked before the commit."""

    dialect = Dialect.SQLITE

    def prepare(self) -> None:
        """Switch foreign keys off, which SQLite heeds outside a transaction only.

        With them on, the DROP TABLE of a rebuild would delete the rows that refer to it.
        """
        self.execute(sql.SQLITE_FOREIGN_KEYS_OFF)

    def restore(self) -> None:
        """End what is open and switch foreign keys on."""
        self.rollback()
        self.execute(sql.SQLITE_FOREIGN_KEYS_ON)

    def begin(self) -> None:
        """Take the write lock at once: a later upgrade could fail half-way."""
        self.execute("BEGIN IMMEDIATE")
        self._in_transaction = True

    def run_whole(self, migration: Any, direction: str) -> None:
        """As on the others, and no row may have lost the row that it refers to.

        Raises:
            MigrationError: a row has; or as on the others.
            StatementFailed: a statement was refused.
        """
        before = self._orphans(migration)
        super().run_whole(migration, direction)
        if lost := self._orphans(migration) - before:
            (child, parent), count = lost.most_common(1)[0]
            raise MigrationError(
                f"{count} row(s) of {child} would refer to rows of {parent} that do not exist",
                migration.where,
                "nothing was kept; mend the migration",
            )

    def _orphans(self, migration: Any) -> Counter[tuple[str, str]]:
        try:
            rows = self.execute(sql.SQLITE_FOREIGN_KEY_CHECK).fetchall()
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


class MySQL(Backend, MySQLBackend):  # type: ignore[misc]
    """MySQL and MariaDB: each DDL statement commits by itself."""

    dialect = Dialect.MYSQL
    transactional_ddl = False

    def quote_identifier(self, identifier: str) -> str:
        """Quote without asking the server: the engine has set its sql_mode."""
        return f"`{identifier}`"


class PostgreSQL(Backend, PostgresqlPsycopgBackend):  # type: ignore[misc]
    """PostgreSQL."""

    dialect = Dialect.POSTGRESQL

    def prepare(self) -> None:
        """Have the server notice within a second that this process has died."""
        # Not on every platform, nor before PostgreSQL 14; the lock is then freed later.
        with suppress(self.connection.Error):
            self.execute(sql.POSTGRESQL_NOTICE_DEAD_CLIENT)


BACKENDS: Final[dict[Dialect, type[Backend]]] = {
    Dialect.SQLITE: SQLite,
    Dialect.MYSQL: MySQL,
    Dialect.POSTGRESQL: PostgreSQL,
}


def _naive_utc(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(tzinfo=None) if moment.tzinfo else moment


def _user_name() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):  # a container's uid without an account
        return f"uid {os.getuid()}" if hasattr(os, "getuid") else "unknown"
