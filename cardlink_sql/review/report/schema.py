"""Gathers what the report says of the schema, from the declared tables."""

from collections.abc import Iterable
from dataclasses import dataclass

from cardlink_sql.dialect import Dialect
from cardlink_sql.model.tables import metadata
from cardlink_sql.queries.lexer import tokenize
from cardlink_sql.queries.resources import folder
from cardlink_sql.review.report.comparison import Part, compare
from cardlink_sql.schema.ddl.declared import declared_tables
from cardlink_sql.schema.ddl.model import Column, ForeignKey, Table
from cardlink_sql.schema.ddl.printer import ddl
from cardlink_sql.schema.migrator.files import read_migrations
from cardlink_sql.schema.migrator.state import PlannedMigration, State


@dataclass(frozen=True)
class Reference:
    """A foreign key and the table that has it."""

    table: Table
    key: ForeignKey

    @property
    def is_optional(self) -> bool:
        """Return whether a row may refer to none."""
        return any(one.is_nullable for one in self.table.columns if one.name in self.key.columns)

    @property
    def is_unique(self) -> bool:
        """Return whether at most one row may refer to the same."""
        return set(self.key.columns) in _unique(self.table, with_primary=True)


def tables() -> tuple[Table, ...]:
    """Return the tables as PostgreSQL has them, in the order of their declaration."""
    order = list(metadata.tables)
    declared = declared_tables(Dialect.POSTGRESQL)
    return tuple(sorted(declared, key=lambda table: order.index(table.name)))


def references(tables: Iterable[Table]) -> list[Reference]:
    """Return the foreign keys of the tables."""
    return [Reference(table, key) for table in tables for key in table.foreign_keys]


def key_words(table: Table, column: Column) -> list[str]:
    """Return ``PK``, ``FK`` and ``UQ``, as far as they hold for a column."""
    words = {
        "PK": table.primary_key is not None and column.name in table.primary_key.columns,
        "FK": any(column.name in key.columns for key in table.foreign_keys),
        "UQ": {column.name} in _unique(table, with_primary=False),
    }
    return [word for word, holds in words.items() if holds]


def declared_forms(name: str) -> dict[Dialect, Table]:
    """Return a table as each dialect has it."""
    return {
        dialect: table
        for dialect in Dialect
        for table in declared_tables(dialect)
        if table.name == name
    }


def compared_ddl(forms: dict[Dialect, Table]) -> list[Part]:
    """Return the DDL of a table, the dialects level with each other."""
    return compare(
        [tokenize(ddl([form], dialect).strip(), dialect) for dialect, form in forms.items()]
    )


def _unique(table: Table, *, with_primary: bool) -> list[set[str]]:
    keys = [key.columns for key in table.unique]
    keys += [index.parts for index in table.indexes if index.is_unique]
    if with_primary and table.primary_key:
        keys.append(table.primary_key.columns)
    return [set(columns) for columns in keys]


def migration_locks() -> dict[Dialect, list[PlannedMigration]]:
    """Return the statements of each migration and their locks, by dialect."""
    states = {d: State(read_migrations(folder("migrations"), d)) for d in Dialect}
    return {d: [one.planned(file, "apply") for file in one.files] for d, one in states.items()}
