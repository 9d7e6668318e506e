"""What the report tells of a table, from the ``Table`` objects."""

from dataclasses import dataclass

from sqlalchemy import Column, ForeignKeyConstraint, Table, UniqueConstraint

from cardlink_sql.dialect import Dialect
from cardlink_sql.schema.ddl.types import SQLALCHEMY, type_name

_DIALECTS = {dialect: SQLALCHEMY[dialect]() for dialect in Dialect}


@dataclass(frozen=True)
class Reference:
    """A foreign key.

    Attributes:
        name: of the constraint.
        child: the table that has it.
        columns: its columns.
        parent: the table that it refers to.
        referred: the columns there.
        on_delete: what deleting the parent's row does; None where it is refused.
        is_optional: whether a child may be without a parent.
        is_unique: whether a parent has one child at most.
    """

    name: str
    child: str
    columns: tuple[str, ...]
    parent: str
    referred: tuple[str, ...]
    on_delete: str | None
    is_optional: bool
    is_unique: bool


def references(table: Table) -> list[Reference]:
    """The foreign keys of a table, in the order of its columns."""
    order = list(table.columns.keys())
    made = [_reference(table, key) for key in table.foreign_key_constraints]
    return sorted(made, key=lambda one: [order.index(name) for name in one.columns])


def column_type(column: Column[object], dialect: Dialect) -> str:
    """The type of a column, as the DDL of a dialect has it."""
    return type_name(column.type, _DIALECTS[dialect])


def key_words(column: Column[object]) -> list[str]:
    """``PK``, ``FK`` and ``UQ``, as far as they hold for a column."""
    words = {
        "PK": column.primary_key,
        "FK": bool(column.foreign_keys),
        "UQ": {column.name} in _unique(column.table),
    }
    return [word for word, holds in words.items() if holds]


def _reference(table: Table, key: ForeignKeyConstraint) -> Reference:
    columns = tuple(key.column_keys)
    return Reference(
        str(key.name),
        table.name,
        columns,
        key.referred_table.name,
        tuple(element.column.name for element in key.elements),
        key.ondelete,
        any(table.columns[name].nullable for name in columns),
        set(columns) in [*_unique(table), set(table.primary_key.columns.keys())],
    )


def _unique(table: Table) -> list[set[str]]:
    keys = [key.columns for key in table.constraints if isinstance(key, UniqueConstraint)]
    indexes = [index.columns for index in table.indexes if index.unique]
    return [set(columns.keys()) for columns in [*keys, *indexes]]
