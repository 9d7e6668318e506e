"""A database beside one of MySQL's or MariaDB's, whose tables take the place of its tables.

They do so by one RENAME TABLE, which both servers carry out wholly or not at all, also when
they are killed.
"""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cached_property
from itertools import chain, count
from typing import Any

from cardlink_sql.config import DatabaseConfig
from cardlink_sql.database.driver_errors import translate
from cardlink_sql.database.engine import LOCK_TIMEOUT_MS
from cardlink_sql.dialect import Dialect
from cardlink_sql.errors import ConflictError, DatabaseError
from cardlink_sql.manager import DatabaseManager
from cardlink_sql.model import times
from cardlink_sql.schema.migrator import locks
from cardlink_sql.schema.migrator.backends import BACKENDS
from cardlink_sql.schema.migrator.rights import escaped_pattern, mysql_rights
from cardlink_sql.transfer.backup import statements as sql
from cardlink_sql.transfer.backup.connections import own_connection, rows, value
from cardlink_sql.transfer.backup.contents import TABLES
from cardlink_sql.transfer.backup.counter import COUNTER, counter_of, go_on
from cardlink_sql.transfer.backup.restored import Replaced

# A name of a database ends at 64 characters, and the time takes 26 of them.
_LONGEST = 38


class MySQLScratch:
    """The database aside.

    Args:
        manager: of the database to replace.
        connection: a driver connection to its server.
    """

    def __init__(self, manager: DatabaseManager, connection: Any) -> None:
        self._target = manager.config.engine_url.database or ""
        self._config = manager.config
        self._driver_errors = manager.driver_errors
        self._connection = connection
        # One name, so that what a killed restore has left is used up by the next.
        self._prefix = f"{self._target[:_LONGEST]}_re"
        self._name = f"{self._prefix}store_scratch"
        self._kept_prefix = f"{self._prefix}placed_"

    @cached_property
    def manager(self) -> DatabaseManager:
        """Of the database aside."""
        url = self._config.engine_url.set(database=self._name)
        return DatabaseManager(DatabaseConfig(url.render_as_string(hide_password=False)))

    def make(self) -> None:
        """Make it, in the place of what a killed restore has left.

        Raises:
            DatabaseError: the role may not, or another database has that name.
        """
        for name in self._databases():
            if name != self._name and not name.startswith(self._kept_prefix):
                continue
            held = self._all_tables(name)
            if name == self._name and not held.issubset(TABLES):
                raise DatabaseError(
                    f"a database with other tables has the name that a restore needs: {name}",
                    self._config.safe_url,
                    "rename that database",
                )
            if name == self._name or not held:
                rows(self._connection, sql.drop_database(name))
        try:
            rows(self._connection, sql.create_database(self._name))
        except self._driver_errors as error:
            cause = translate(Dialect.MYSQL, error, self._config.safe_url)
            raise DatabaseError(
                f"the role may not make a database aside: {cause.what}",
                self._config.safe_url,
                f"nothing was changed; let it: {self._needed_grant()}",
            ) from error

    def _needed_grant(self) -> str:
        pattern = sql.quoted(Dialect.MYSQL, f"{escaped_pattern(self._prefix)}%")
        name, _, host = str(value(self._connection, sql.MYSQL_USER)).rpartition("@")
        user = f"{sql.quoted(Dialect.MYSQL, name)}@{sql.quoted(Dialect.MYSQL, host)}"
        return f"GRANT {', '.join(mysql_rights())} ON {pattern}.* TO {user}"

    def drop(self) -> None:
        """Drop it with all that is left in it."""
        self.manager.close()
        if self._name in self._databases():
            rows(self._connection, sql.drop_database(self._name))

    def replace(self) -> Replaced | None:
        """Rename the tables; see :class:`Scratch`.

        Raises:
            ConflictError: a transaction holds one of them.
            DatabaseError: the server refused it.
        """
        self.manager.close()
        there, restored = self._tables(self._target), self._tables(self._name)
        kept = self._free_name() if there else ""
        if there:
            rows(self._connection, sql.create_database(kept))
        moves = [
            *(((self._target, name), (kept, name)) for name in there),
            *(((self._name, name), (self._target, name)) for name in restored),
        ]
        counts, counted = COUNTER in restored, COUNTER in there
        try:
            if counts:
                self._go_on(self._target if counted else None)
            rows(self._connection, sql.rename_tables(moves))
        except BaseException as error:
            with suppress(*self._driver_errors):
                if there and not self._tables(kept):
                    rows(self._connection, sql.drop_database(kept))
            raise self._fault(error) from error
        if counts and counted:
            # RENAME TABLE waits for transactions, and those may have published.
            numbers = (self._counter(self._target), self._counter(kept))
            rows(self._connection, sql.overtake_counter(*numbers))
        return Replaced(f"database {kept}", f"{sql.drop_database(kept)};") if there else None

    def _go_on(self, replaced: str | None) -> None:
        before = None if replaced is None else self._counter(replaced)
        for statement in go_on(Dialect.MYSQL, self._counter(self._name), before):
            rows(self._connection, statement)

    def _counter(self, database: str) -> str:
        return counter_of(Dialect.MYSQL, database)

    def _free_name(self) -> str:
        taken = set(self._databases())
        stamp = f"{self._kept_prefix}{times.utc_now():%Y%m%dt%H%M%Sz}"
        names = chain([stamp], (f"{stamp}_{number}" for number in count(2)))
        return next(name for name in names if name not in taken)

    def _databases(self) -> list[str]:
        return [name for (name,) in rows(self._connection, sql.MYSQL_DATABASES)]

    def _tables(self, database: str) -> list[str]:
        found = self._all_tables(database)
        return [name for name in TABLES if name in found]

    def _all_tables(self, database: str) -> set[str]:
        found = rows(self._connection, sql.MYSQL_TABLES, (database,))
        return {name for (name,) in found}

    def _fault(self, error: BaseException) -> BaseException:
        if not isinstance(error, self._driver_errors):
            return error
        fault = translate(Dialect.MYSQL, error, self._config.safe_url)
        if isinstance(fault, ConflictError):
            return ConflictError(
                "the tables are in use",
                self._config.safe_url,
                "stop the components that use them, and restore again; nothing was changed",
            )
        return DatabaseError(
            f"the tables cannot be replaced: {fault.what}",
            self._config.safe_url,
            "nothing was changed; the role needs what cardlink-db sql grants --role dba prints, "
            "and a table with triggers does not leave its database",
        )


@contextmanager
def mysql_scratch(manager: DatabaseManager) -> Iterator[MySQLScratch]:
    """A database beside the one of a manager.

    Raises:
        MigrationError: a migration or another restore is under way.
        DatabaseError: the role may not make a database.
    """
    with own_connection(manager) as connection:
        backend = BACKENDS[Dialect.MYSQL](connection, manager.config.engine_url.database or "")
        with locks.held(locks.server_lock(backend), LOCK_TIMEOUT_MS / 1000):
            scratch = MySQLScratch(manager, connection)
            scratch.make()
            try:
                yield scratch
            finally:
                scratch.drop()
