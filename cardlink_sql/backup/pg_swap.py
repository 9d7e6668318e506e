"""Tables of PostgreSQL's that take the place of others, which move to a schema of their own.

All of it is one transaction of whoever sends the statements.
"""

from collections.abc import Collection, Iterator
from typing import Any

from cardlink_sql import times
from cardlink_sql.backup import statements as sql
from cardlink_sql.backup.connections import rows, value
from cardlink_sql.backup.contents import TABLES
from cardlink_sql.backup.counter import COUNTER, counter_of, go_on
from cardlink_sql.backup.restored import Replaced
from cardlink_sql.dialect import Dialect
from cardlink_sql.errors import ConflictError


def schema_of(connection: Any) -> str:
    """The schema that CardLink's tables are in, or would be made in.

    Args:
        connection: a driver connection.
    """
    found = rows(connection, sql.POSTGRESQL_TABLES, (list(TABLES),))
    return str(found[0][0] if found else value(connection, sql.POSTGRESQL_SCHEMA))


def in_use(where: str) -> ConflictError:
    """The error for tables that somebody holds."""
    return ConflictError(
        "the tables are in use",
        where,
        "stop the components that use them, and restore again; nothing was changed",
    )


class PgSwap:
    """The statements around the making of tables that take the place of others.

    Args:
        connection: a driver connection; nothing is changed over it.
        schema: of the tables.
        restored: the names of the tables that take the place.
    """

    def __init__(self, connection: Any, schema: str, restored: Collection[str]) -> None:
        tables = list(TABLES)
        self._schema = schema
        self._there = [
            name
            for found, name in rows(connection, sql.POSTGRESQL_TABLES, (tables,))
            if found == schema
        ]
        values = {"schema": schema, "tables": tables}
        self._rights = [right for (right,) in rows(connection, sql.POSTGRESQL_RIGHTS, values)]
        taken = {name for (name,) in rows(connection, sql.POSTGRESQL_SCHEMAS)}
        self._kept = _free_name(taken)
        self._counts = COUNTER in restored

    @property
    def replaced(self) -> Replaced | None:
        """What the tables that were there become."""
        if not self._there:
            return None
        return Replaced(f"schema {self._kept}", f"{sql.drop_schema(self._kept)};")

    @property
    def before(self) -> Iterator[str]:
        """What moves them away."""
        yield sql.POSTGRESQL_LOCK_TIMEOUT
        yield sql.POSTGRESQL_LOCK
        if self._there:
            yield sql.create_schema(self._kept)
        for name in self._there:
            yield sql.move_table(name, self._schema, self._kept)

    @property
    def after(self) -> Iterator[str]:
        """What gives the new ones the numbers, the owner and the rights of the old."""
        if self._counts:
            yield from go_on(Dialect.POSTGRESQL, self._counter(self._schema), self._replaced_counter)
        yield from self._rights

    @property
    def _replaced_counter(self) -> str | None:
        return self._counter(self._kept) if COUNTER in self._there else None

    def _counter(self, schema: str) -> str:
        return counter_of(Dialect.POSTGRESQL, schema)


def _free_name(taken: set[str]) -> str:
    name = f"cardlink_replaced_{times.utc_now():%Y%m%dt%H%M%Sz}"
    endings = ["", *(f"_{number}" for number in range(2, 2 + len(taken)))]
    return next(name + ending for ending in endings if name + ending not in taken)
