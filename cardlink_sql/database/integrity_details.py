"""Names the column and the value that a constraint refused, alike on every backend.

The driver's answer has the constraint or the column, and on SQLite, for a foreign key, neither.
Values come from the statement, so that no backend shows more than another.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from sqlalchemy import Table

from cardlink_sql.database.backend import Backend
from cardlink_sql.database.faults import Fault
from cardlink_sql.database.internal import InternalStatements
from cardlink_sql.dialect import Dialect
from cardlink_sql.errors import IntegrityError, shown
from cardlink_sql.model.tables import metadata
from cardlink_sql.queries import Query

# A row's values by name, or in the order of the statement's parameters or columns.
Values = Mapping[str, Any] | tuple[Any, ...]

_TABLE: Final = re.compile(r"\b(?:INTO|UPDATE|COPY)\s+(?:/\*.*?\*/\s*)?(?P<table>\w+)")
_COPIED: Final = re.compile(r"\((?P<columns>[^)]*)\)")
_PARENTS: Final = {"devices": "device", "card_profiles": "card", "ota_sessions": "session"}
_HALVES: Final = {
    "INSERT": "the row that this one refers to does not exist",
    "DELETE": "others still refer to this row",
}
_REMEDIES: Final = {
    "devices": "run: cardlink-db devices list",
    "card_profiles": "run: cardlink-db cards list",
}
_SEVERAL: Final = object()
_ASKED: Final = ("device_id", "card_iccid", "session_id")


def with_column_and_value(
    error: IntegrityError, backend: Backend, connection: Any, query: Query, rows: Sequence[Values]
) -> IntegrityError:
    """Return the error with what was refused of the rows; the same where that is not known."""
    cause = error.__cause__
    if not isinstance(cause, backend.driver_error):
        return error
    fault, detail = backend.diagnose(cause)
    sql = query.as_written().sql
    found = _TABLE.search(sql)
    table = metadata.tables.get(found["table"]) if found else None
    if table is not None and fault is Fault.PARENT and backend.dialect is Dialect.SQLITE:
        column, value = _orphaned(table, connection, query, sql, rows)
    else:
        column = None if table is None else next(iter(_columns(table, detail or "")), None)
        value = _one(_values(query, sql, column, rows)) if column else None
    remedy = error.remedy
    if table is not None and column:
        what = _sentence(fault, table, column, value)
        if fault is Fault.PARENT:
            remedy = _REMEDIES.get(_parent(table, column), remedy)
    elif fault is Fault.PARENT and sql.split()[0] in _HALVES:
        what = ": ".join(filter(None, [_HALVES[sql.split()[0]], detail]))
    else:
        return error
    return IntegrityError(what, error.where, remedy)


def _columns(table: Table, detail: str) -> list[str]:
    """Return the columns of a constraint, or the columns that a driver named by themselves."""
    if detail.rpartition(".")[2] in ("PRIMARY", f"pk_{table.name}"):
        return [column.name for column in table.primary_key]
    bare = re.sub(rf"\b(?:{table.name}\.)?(?:(?:fk|uq|ck)_{table.name}_)?", "", detail)
    names = bare.split(", ")
    return names if all(name in table.c for name in names) else []


def _orphaned(
    table: Table, connection: Any, query: Query, sql: str, rows: Sequence[Values]
) -> tuple[str | None, Any]:
    """Return the column that refers to a row that is not there, and its value if there is one.

    SQLite does not say which.
    """
    statements = InternalStatements(Dialect.SQLITE, connection)
    written = _names(query, sql)
    referring = [column.name for column in table.columns if column.foreign_keys]
    for column in referring:
        if column not in written:
            continue
        values = _values(query, sql, column, rows)
        for value in values:
            asked = {**dict.fromkeys(_ASKED), column: value}
            if any(name == column for (name,) in statements.rows("catalog.orphaned", **asked)):
                return column, _one(values)
    return (referring[0], _SEVERAL) if len(referring) == 1 else (None, None)


def _names(query: Query, sql: str) -> Sequence[str]:
    """Return the names of a row's values in their order."""
    copied = None if query.required else _COPIED.search(sql)
    return re.split(r",\s*", copied["columns"].strip()) if copied else query.as_written().names


def _values(query: Query, sql: str, column: str, rows: Sequence[Values]) -> set[Any]:
    """Return a column's distinct values, without NULL unless there is nothing else."""
    place = _names(query, sql).index(column) if isinstance(rows[0], tuple) else 0
    values = {row.get(column) if isinstance(row, Mapping) else row[place] for row in rows}
    return values - {None} or values


def _one(values: set[Any]) -> Any:
    return next(iter(values)) if len(values) == 1 else _SEVERAL


def _parent(table: Table, column: str) -> str:
    (key,) = table.c[column].foreign_keys
    return key.column.table.name


def _sentence(fault: Fault, table: Table, name: str, value: Any) -> str:
    column = f"{table.name}.{name}"
    if fault is Fault.PARENT:
        parent = _PARENTS[_parent(table, name)]
        if value is _SEVERAL:
            return f"a row refers to a {parent} that does not exist ({column})"
        return f"there is no {parent} {shown(value)} ({column})"
    if fault is Fault.NOT_NULL or value is _SEVERAL:
        return f"{fault.what}: {column}"
    return f"{fault.what}: {column} {shown(value)}"
