"""The schema that ``model/tables.py`` declares, as a database of a dialect should have it."""

from collections.abc import Iterable
from typing import Any

from sqlalchemy import (
    CheckConstraint,
    Column,
    DefaultClause,
    ForeignKeyConstraint,
    Identity,
    String,
    Table,
    UniqueConstraint,
)

from cardlink_sql.dialect import Dialect
from cardlink_sql.model.tables import metadata
from cardlink_sql.schema.ddl import model
from cardlink_sql.schema.ddl.forms import FORMS, Form, type_name


def declared_tables(dialect: Dialect) -> list[model.Table]:
    """Return the tables of a dialect, each after those that it refers to."""
    form = FORMS[dialect]
    return [
        table_of(
            table,
            dialect,
            (_column(column, form) for column in table.columns),
            (
                model.Index(
                    str(index.name),
                    tuple(index.columns.keys()),
                    bool(index.unique),
                    method=index.info.get("method"),
                )
                for index in table.indexes
                if dialect is Dialect.POSTGRESQL or "method" not in index.info
            ),
            form.options,
        )
        for table in metadata.sorted_tables
    ]


def table_of(
    table: Table,
    dialect: Dialect,
    columns: Iterable[model.Column],
    indexes: Iterable[model.Index],
    options: str | None,
) -> model.Table:
    """Return a table, declared or reflected, with its keys and checks in the order of their names.

    Args:
        table: it has the keys and the checks.
        dialect: the database's.
        columns: the columns in their order.
        indexes: the indexes in any order.
        options: follow the closing bracket.
    """
    key = table.primary_key
    is_named = key.name and dialect is not Dialect.MYSQL  # which calls every one PRIMARY
    unique, foreign_keys, checks = list[model.Key](), list[model.ForeignKey](), list[model.Check]()
    for one in table.constraints:
        if isinstance(one, UniqueConstraint):
            unique.append(model.Key(one.name and str(one.name), tuple(one.columns.keys())))
        elif isinstance(one, ForeignKeyConstraint):
            foreign_keys.append(_foreign_key(one))
        elif isinstance(one, CheckConstraint):
            checks.append(model.Check(str(one.name), str(one.sqltext)))
    return model.Table(
        table.name,
        tuple(columns),
        model.Key(str(key.name) if is_named else None, tuple(key.columns.keys()))
        if key.columns
        else None,
        tuple(sorted(unique, key=lambda one: (str(one.name), one.columns))),
        tuple(sorted(foreign_keys, key=lambda one: one.name)),
        tuple(sorted(checks, key=lambda one: one.name)),
        tuple(sorted(indexes, key=lambda one: one.name)),
        options,
    )


def _column(column: Column[Any], form: Form) -> model.Column:
    is_numbered = isinstance(column.server_default, Identity)
    return model.Column(
        column.name,
        type_name(column.type, form.sqlalchemy),
        form.collation if isinstance(column.type, String) else None,
        bool(column.nullable),
        None if is_numbered else _default(column),
        form.numbering if is_numbered else None,
    )


def _default(column: Column[Any]) -> str | None:
    default = column.server_default
    if not isinstance(default, DefaultClause):
        return None
    return f"'{default.arg}'" if isinstance(default.arg, str) else str(default.arg)


def _foreign_key(key: ForeignKeyConstraint) -> model.ForeignKey:
    referred = [element.target_fullname.split(".") for element in key.elements]
    return model.ForeignKey(
        str(key.name),
        tuple(key.column_keys),
        referred[0][-2],
        tuple(names[-1] for names in referred),
        _action(key.ondelete),
        _action(key.onupdate),
    )


def _action(action: str | None) -> str | None:
    return None if action in (None, "NO ACTION") else str(action).upper()
