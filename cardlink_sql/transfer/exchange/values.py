"""The forms of a value: the driver's, and the one that a file and its reader have.

In a file a time is ISO 8601 in UTC with microseconds, ``2026-11-22T22:17:13.668544+00:00``; a
JSON document is itself; everything else is text, number or truth value.
"""

import json
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import cache, lru_cache
from typing import Any, Final

from sqlalchemy import Boolean, Column, Double

from cardlink_sql.dialect import Dialect
from cardlink_sql.formats.times import parse_time, time_text
from cardlink_sql.model import validation
from cardlink_sql.model.columns import binders, checks
from cardlink_sql.model.tables import JSONDocument, UTCDateTime
from cardlink_sql.queries import Row
from cardlink_sql.transfer.exchange.shapes import STORED_KEY, Shape

Values = dict[str, Any]

# A higher number is assigned again: after the highest entry there must be room for all that are
# still to be written. This one every program that reads JSON keeps, too.
_HIGHEST_NUMBER: Final = 2**53 - 1

# Columns of the log that have few different values: each is checked once, not a million times.
_REPEATED: Final = frozenset(
    f"comm_logs.{name}" for name in ("session_id", "direction", "status_word", "status_message")
)


@cache
def from_row(shape: Shape, dialect: Dialect) -> Callable[[Row], Values]:
    """Return what turns a row of the dialect's driver into the form of a file.

    A card's stored key is kept, as bytes, under its own name.
    """
    names = shape.columns
    converters = [
        (column.name, converter)
        for column in shape.table.columns
        if (converter := _converter(column, dialect)) is not None
    ]

    def convert(row: Row) -> Values:
        values = dict(zip(names, row, strict=True))
        for name, converter in converters:
            if values[name] is not None:
                values[name] = converter(values[name])
        return values

    return convert


def _converter(column: Column[Any], dialect: Dialect) -> Callable[[Any], Any] | None:
    kind = column.type
    if isinstance(kind, UTCDateTime):
        is_text = dialect is Dialect.SQLITE
        return (lambda text: time_text(datetime.fromisoformat(text))) if is_text else time_text
    if isinstance(kind, JSONDocument):
        return None if dialect is Dialect.POSTGRESQL else json.loads
    if isinstance(kind, Boolean):
        return None if dialect is Dialect.POSTGRESQL else bool
    if isinstance(kind, Double):
        return float
    return bytes if column.name == STORED_KEY else None


@cache
def accepted(shape: Shape) -> Mapping[str, Callable[[Any], Any]]:
    """For each field of a file, the check of a value, which returns its one form.

    It is the check that every writer's value passes, with times as text. A log entry may come
    without its number, and one that is too high is taken for none.
    """
    return {
        column.name: _accepts(shape, column, checks(shape.table)[column.name])
        for column in shape.table.columns
        if column.name != STORED_KEY
    }


def _accepts(
    shape: Shape, column: Column[Any], check: Callable[[Any], Any]
) -> Callable[[Any], Any]:
    where = f"{shape.name}.{column.name}"
    if where == "comm_logs.id":
        return lambda value: _number(value, where) if value else None
    if isinstance(column.type, UTCDateTime):
        return lambda value: check(None) if value is None else time_text(parse_time(value, where))
    return _remembering(check) if where in _REPEATED else check


def _number(value: Any, where: str) -> int | None:
    number: int = validation.whole(value, where, least=1)
    return number if number <= _HIGHEST_NUMBER else None


def _remembering(check: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Return a check that remembers the texts it has seen recently."""
    known = lru_cache(maxsize=1024)(check)
    return lambda value: known(value) if type(value) is str else check(value)


@cache
def to_row(shape: Shape, dialect: Dialect) -> Callable[[Values], Values]:
    """Return what turns checked values of every field into the driver's, by column."""
    bind = binders(shape.table, dialect)

    def convert(values: Values) -> Values:
        row = {}
        for name in shape.columns:
            value = values[name]
            if name in shape.times and value is not None:
                value = datetime.fromisoformat(value)
            row[name] = bind[name](value)
        return row

    return convert
