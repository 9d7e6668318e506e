"""The schema that ``model/tables.py`` declares, as a database of a dialect should have it."""

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
    return [_table(table, FORMS[dialect]) for table in metadata.sorted_tables]


def _table(table: Table, form: Form) -> model.Table:
    key = table.primary_key
    name = str(key.name) if form.names_primary_keys else None
    of = sorted(table.constraints, key=lambda constraint: str(constraint.name))
    indexes = sorted(table.indexes, key=lambda index: str(index.name))
    return model.Table(
        table.name,
        tuple(_column(column, form) for column in table.columns),
        model.Key(name, tuple(key.columns.keys())),
        tuple(
            model.Key(str(one.name), tuple(one.columns.keys()))
            for one in of
            if isinstance(one, UniqueConstraint)
        ),
        tuple(_foreign_key(one) for one in of if isinstance(one, ForeignKeyConstraint)),
        tuple(
            model.Check(str(one.name), str(one.sqltext))
            for one in of
            if isinstance(one, CheckConstraint)
        ),
        tuple(
            model.Index(
                str(index.name),
                tuple(index.columns.keys()),
                bool(index.unique),
                method=index.info.get("method"),
            )
            for index in indexes
            if form.has_methods or "method" not in index.info
        ),
        form.options,
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
    return model.ForeignKey(
        str(key.name),
        tuple(key.column_keys),
        key.referred_table.name,
        tuple(element.column.name for element in key.elements),
        key.ondelete,
        key.onupdate,
    )
