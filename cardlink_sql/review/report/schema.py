"""What the report says of each table, from the ``Table`` objects."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import CheckConstraint, Column, DefaultClause, Index, Table, UniqueConstraint
from sqlalchemy.schema import ColumnCollectionConstraint

from cardlink_sql.dialect import Dialect
from cardlink_sql.model.tables import GROWING, metadata
from cardlink_sql.queries.lexer import tokenize
from cardlink_sql.review.report.comparison import Part, compare
from cardlink_sql.review.schema_dump import committed_schema
from cardlink_sql.schema.ddl.types import SQLALCHEMY, type_name


@dataclass(frozen=True)
class Reference:
    """A foreign key of a child to its parent.

    Attributes:
        on_delete: the action when the parent's row is deleted.
        is_optional: whether a child may lack a parent.
        is_unique: whether a parent has at most one child.
    """

    name: str
    child: str
    columns: tuple[str, ...]
    parent: str
    referred: tuple[str, ...]
    on_delete: str
    is_optional: bool
    is_unique: bool


@dataclass(frozen=True)
class ColumnFacts:
    """A column; ``types`` has its type in the DDL of each dialect."""

    name: str
    keys: tuple[str, ...]
    types: tuple[str, ...]
    is_nullable: bool
    default: str


@dataclass(frozen=True)
class TableFacts:
    """A table, with the words for each key, check and index by its name."""

    name: str
    grows: bool
    columns: tuple[ColumnFacts, ...]
    references: tuple[Reference, ...]
    keys: dict[str, str]
    checks: dict[str, str]
    indexes: dict[str, str]

    @property
    def ddl(self) -> list[Part]:
        """Return the DDL of the dialects, level with each other."""
        return compare([tokenize(table_ddl(self.name, dialect), dialect) for dialect in Dialect])


def all_tables() -> tuple[TableFacts, ...]:
    """Return the facts of the project's tables."""
    return tuple(map(table_facts, metadata.tables.values()))


def table_facts(table: Table) -> TableFacts:
    """Return the facts of one table."""
    named = sorted(table.constraints, key=lambda one: str(one.name))
    keys = [one for one in named if isinstance(one, UniqueConstraint)]
    indexes = sorted(table.indexes, key=lambda one: str(one.name))
    unique = [set(key.columns.keys()) for key in keys]
    unique += [set(index.columns.keys()) for index in indexes if index.unique]
    return TableFacts(
        table.name,
        table.name in GROWING,
        tuple(_column(column, unique) for column in table.columns),
        tuple(_references(table, unique)),
        {str(table.primary_key.name): f"primary key {_listed(table.primary_key)}"}
        | {str(one.name): f"unique {_listed(one)}" for one in keys},
        {str(one.name): str(one.sqltext) for one in named if isinstance(one, CheckConstraint)},
        {str(one.name): f"{'unique ' * one.unique}{_listed(one)}" for one in indexes},
    )


def table_ddl(name: str, dialect: Dialect) -> str:
    """Return the statements of the canonical DDL that make a table and its indexes."""
    _, opening, rest = committed_schema(dialect).partition(f"CREATE TABLE {name} (")
    return f"{opening}{rest.partition('CREATE TABLE ')[0]}".strip()


def _column(column: Column[Any], unique: list[set[str]]) -> ColumnFacts:
    words = {
        "PK": column.primary_key,
        "FK": bool(column.foreign_keys),
        "UQ": {column.name} in unique,
    }
    default, text = column.server_default, ""
    if column.identity is not None:
        text = "a number from the database"
    elif isinstance(default, DefaultClause):
        text = f"'{default.arg}'" if isinstance(default.arg, str) else str(default.arg)
    return ColumnFacts(
        column.name,
        tuple(word for word, holds in words.items() if holds),
        tuple(type_name(column.type, SQLALCHEMY[dialect]()) for dialect in Dialect),
        bool(column.nullable),
        text,
    )


def _references(table: Table, unique: list[set[str]]) -> list[Reference]:
    """Return the foreign keys in the order of their columns."""
    order = list(table.columns.keys())
    sole = [*unique, set(table.primary_key.columns.keys())]
    made = [
        Reference(
            str(key.name),
            table.name,
            tuple(key.column_keys),
            key.referred_table.name,
            tuple(element.column.name for element in key.elements),
            key.ondelete or "NO ACTION",
            any(table.columns[name].nullable for name in key.column_keys),
            set(key.column_keys) in sole,
        )
        for key in table.foreign_key_constraints
    ]
    return sorted(made, key=lambda one: [order.index(name) for name in one.columns])


def _listed(of: ColumnCollectionConstraint | Index) -> str:
    return f"({', '.join(of.columns.keys())})"
