"""A schema beside the one of CardLink's tables on PostgreSQL, whose tables take their place."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import Any, Final

from cardlink_sql.config import DatabaseConfig
from cardlink_sql.database.driver_errors import translate
from cardlink_sql.dialect import Dialect
from cardlink_sql.errors import ConflictError, DatabaseError
from cardlink_sql.manager import DatabaseManager
from cardlink_sql.transfer.backup import statements as sql
from cardlink_sql.transfer.backup.connections import own_connection, rows, value
from cardlink_sql.transfer.backup.contents import TABLES
from cardlink_sql.transfer.backup.pg_swap import PgSwap, in_use, refuse_weak_role, schema_of
from cardlink_sql.transfer.backup.restored import Replaced

# One name, so that what a killed restore has left is used up by the next.
_NAME: Final = "cardlink_restore_scratch"


class PgScratch:
    """The schema aside.

    Args:
        manager: of the database.
        connection: a driver connection to it.
    """

    def __init__(self, manager: DatabaseManager, connection: Any) -> None:
        self._config = manager.config
        self._driver_errors = manager.driver_errors
        self._connection = connection
        self._schema = schema_of(connection)

    @cached_property
    def manager(self) -> DatabaseManager:
        """Of the schema aside."""
        url = self._config.engine_url
        options = url.query.get("options", "")
        given = options if isinstance(options, str) else " ".join(options)
        url = url.update_query_dict({"options": f"{given} -csearch_path={_NAME}".strip()})
        return DatabaseManager(DatabaseConfig(url.render_as_string(hide_password=False)))

    def make(self) -> None:
        """Make it, in the place of what a killed restore has left.

        Raises:
            DatabaseError: the role may not, or another schema has that name.
        """
        refuse_weak_role(self._connection, self._schema, self._config.safe_url)
        self.drop()
        rows(self._connection, sql.create_schema(_NAME))

    def drop(self) -> None:
        """Drop it with all that is left in it.

        Raises:
            DatabaseError: it is not ours.
        """
        if (_NAME,) not in rows(self._connection, sql.POSTGRESQL_SCHEMAS):
            return
        held = {name for (name,) in rows(self._connection, sql.POSTGRESQL_TABLES_OF, (_NAME,))}
        if not held.issubset(TABLES):
            raise DatabaseError(
                f"a schema with other tables has the name that a restore needs: {_NAME}",
                self._config.safe_url,
                "rename that schema",
            )
        rows(self._connection, sql.drop_schema(_NAME))

    def replace(self) -> Replaced | None:
        """Move the tables in one transaction; see :class:`Scratch`.

        Raises:
            ConflictError: a transaction holds one of them.
            DatabaseError: the server refused it.
        """
        self.manager.close()
        held = {name for (name,) in rows(self._connection, sql.POSTGRESQL_TABLES_OF, (_NAME,))}
        swap = PgSwap(self._connection, self._schema, held)
        moves = [sql.move_table(name, _NAME, self._schema) for name in TABLES if name in held]
        try:
            for statement in ("BEGIN", *swap.before, *moves, *swap.after):
                rows(self._connection, statement)
            replaced = swap.replaced(self._connection)
            rows(self._connection, "COMMIT")
        except self._driver_errors as error:
            self._connection.rollback()
            fault = translate(Dialect.POSTGRESQL, error, self._config.safe_url)
            if isinstance(fault, ConflictError):
                raise in_use(self._config.safe_url) from error
            raise DatabaseError(
                f"the tables cannot be replaced: {fault.what}",
                self._config.safe_url,
                "nothing was changed; restore as the owner of the tables",
            ) from error
        return replaced


@contextmanager
def postgresql_scratch(manager: DatabaseManager) -> Iterator[PgScratch]:
    """A schema beside the one of a manager's tables.

    Raises:
        ConflictError: another restore is under way.
        DatabaseError: the role may not make a schema.
    """
    with own_connection(manager) as connection:
        if not value(connection, sql.POSTGRESQL_TRY_RESTORE):
            raise ConflictError(
                "another restore is under way", manager.config.safe_url, "wait for it to end"
            )
        scratch = PgScratch(manager, connection)
        scratch.make()
        try:
            yield scratch
        finally:
            scratch.manager.close()
            scratch.drop()
