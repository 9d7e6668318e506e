"""Tables of PostgreSQL's that take the place of others, which move to a schema of their own.

All of it is one transaction of whoever sends the statements.
"""

from collections.abc import Collection, Iterator
from typing import Any

from cardlink_sql.dialect import Dialect
from cardlink_sql.errors import ConflictError, DatabaseError
from cardlink_sql.model import times
from cardlink_sql.transfer.backup import statements as sql
from cardlink_sql.transfer.backup.connections import rows, value
from cardlink_sql.transfer.backup.contents import TABLES
from cardlink_sql.transfer.backup.counter import COUNTER, counter_of, go_on
from cardlink_sql.transfer.backup.restored import Replaced


def schema_of(connection: Any) -> str:
    """The schema that CardLink's tables are in, or would be made in.

    Args:
        connection: a driver connection.
    """
    found = rows(connection, sql.POSTGRESQL_TABLES, (list(TABLES),))
    return str(found[0][0] if found else value(connection, sql.POSTGRESQL_SCHEMA))


def refuse_weak_role(connection: Any, schema: str, where: str) -> None:
    """Refuse to restore as a role that cannot.

    Args:
        connection: a driver connection of the role.
        schema: of the tables.
        where: the database, for errors.

    Raises:
        DatabaseError: it lacks a right; the remedy gives it.
    """
    values = {"schema": schema, "tables": list(TABLES)}
    missing = [right for (right,) in rows(connection, sql.POSTGRESQL_MISSING, values)]
    owners = [name for (name,) in rows(connection, sql.POSTGRESQL_OWNERS, values)]
    if owners:
        raise DatabaseError(
            f"the role may not replace the tables: they belong to {', '.join(owners)}",
            where,
            "nothing was changed; restore as their owner"
            + (f", with: {'; '.join(missing)}" if missing else ""),
        )
    if missing:
        raise DatabaseError(
            "the role may not put tables aside and make new ones",
            where,
            f"nothing was changed; let it: {'; '.join(missing)}",
        )


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
        self._restored = [name for name in TABLES if name in restored]
        self._rights = [right for (right,) in rows(connection, sql.POSTGRESQL_RIGHTS, values)]
        taken = {name for (name,) in rows(connection, sql.POSTGRESQL_SCHEMAS)}
        self._kept = _free_name(taken)

    def replaced(self, connection: Any) -> Replaced | None:
        """What the tables that were there have become.

        Args:
            connection: one that sees the new tables.
        """
        if not self._there:
            return None
        values = {"schema": self._schema, "kept": self._kept, "tables": list(TABLES)}
        attached = tuple(what for (what,) in rows(connection, sql.POSTGRESQL_ATTACHED, values))
        return Replaced(f"schema {self._kept}", f"{sql.drop_schema(self._kept)};", attached)

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
        if COUNTER in self._restored:
            yield from self._go_on()
        for name in self._restored:
            if name in self._there:
                yield sql.revoke_rights(self._schema, name)
        yield from self._rights

    def _go_on(self) -> Iterator[str]:
        restored = counter_of(Dialect.POSTGRESQL, self._schema)
        is_there = COUNTER in self._there
        replaced = counter_of(Dialect.POSTGRESQL, self._kept) if is_there else None
        return go_on(Dialect.POSTGRESQL, restored, replaced)


def _free_name(taken: set[str]) -> str:
    name = f"cardlink_replaced_{times.utc_now():%Y%m%dt%H%M%Sz}"
    endings = ["", *(f"_{number}" for number in range(2, 2 + len(taken)))]
    return next(name + ending for ending in endings if name + ending not in taken)
