"""The tables as a file has them: under their own names, in an order where references come first.

A row of a file has the columns of its table, but for a card's ``psk_key_encrypted``: where the
file holds keys, ``psk_key`` replaces it.

In a file a time is ISO 8601 in UTC with microseconds, ``2026-11-22T22:17:13.668544+00:00``; a
JSON document is itself; everything else is text, number or truth value.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields
from datetime import datetime
from functools import cache, lru_cache
from types import MappingProxyType
from typing import Any, Final

from sqlalchemy import Boolean, Column, Double

from cardlink_sql.dialect import Dialect
from cardlink_sql.errors import ValidationError
from cardlink_sql.formats.times import parse_time, time_text
from cardlink_sql.gateways.base import Gateway
from cardlink_sql.gateways.cards import CardGateway
from cardlink_sql.gateways.devices import DeviceGateway
from cardlink_sql.gateways.logs import LogGateway
from cardlink_sql.gateways.sessions import SessionGateway
from cardlink_sql.gateways.settings import SettingGateway
from cardlink_sql.gateways.tests import TestGateway
from cardlink_sql.model import validation
from cardlink_sql.model.columns import binders, checks
from cardlink_sql.model.tables import JSONDocument, UTCDateTime
from cardlink_sql.queries import Row

STORED_KEY: Final = "psk_key_encrypted"
PSK_KEY: Final = "psk_key"
_ENDING: Final = ("started_at", "ended_at", "duration_ms", "error_message")


class Shape:
    """One table of a file.

    Attributes:
        gateway: the table's own.
        word: what people call the table (``cards``): the name of its gateway.
        name: the table's name, in the database and in a file (``card_profiles``).
        key: the primary key.
        tied: fields that belong to another one: a merge fills them only where that one is equal.
        columns: those of the table, in its order.
        fields: the columns that every file has.
        times: the columns that hold a time.
        references: the foreign keys: a field, and the name of the table that it refers to.
        required: fields that no row can do without. Fields that identify it are among them.
        defaults: the values of a new row where the file says nothing, but for its times.
    """

    def __init__(
        self,
        gateway: type[Gateway[Any, Any]],
        tied: Mapping[str, str] = MappingProxyType({}),
        identifying: frozenset[str] = frozenset(),
    ) -> None:
        specs = fields(gateway.record)
        self.gateway: Final = gateway
        self.word: Final = gateway.name
        self.table: Final = gateway.table
        self.name: Final = str(gateway.table.name)
        self.key: Final = gateway.key
        self.tied: Final = tied
        self.columns: Final = tuple(str(column.name) for column in gateway.table.columns)
        self.fields: Final = tuple(name for name in self.columns if name != STORED_KEY)
        self.times: Final = frozenset(
            str(column.name)
            for column in gateway.table.columns
            if isinstance(column.type, UTCDateTime)
        )
        self.references: Final = {
            str(constraint.column_keys[0]): str(constraint.referred_table.name)
            for constraint in gateway.table.foreign_key_constraints
        }
        self.required: Final = identifying | {
            spec.name
            for spec in specs
            if spec.default is MISSING and spec.default_factory is MISSING
        }
        self.defaults: Final[Mapping[str, Any]] = {
            spec.name: spec.default
            for spec in specs
            if spec.default is not MISSING and spec.name in self.columns
        }


SHAPES: Final = (
    Shape(DeviceGateway),
    Shape(CardGateway, {STORED_KEY: "psk_identity"}),
    Shape(SessionGateway, dict.fromkeys((*_ENDING, "error_code"), "status")),
    Shape(LogGateway, identifying=frozenset({"timestamp"})),
    Shape(TestGateway, dict.fromkeys(_ENDING, "status")),
    Shape(SettingGateway),
)
BY_WORD: Final[Mapping[str, Shape]] = {shape.word: shape for shape in SHAPES}
BY_NAME: Final[Mapping[str, Shape]] = {shape.name: shape for shape in SHAPES}


def shapes_of(words: list[str] | tuple[str, ...]) -> tuple[Shape, ...]:
    """Return the tables named ``cards`` or ``card_profiles``, in the order of a file."""
    chosen = set()
    for word in words:
        shape = BY_WORD.get(word) or BY_NAME.get(word)
        if shape is None:
            raise ValidationError(f"{word!r} is none of: {', '.join(BY_WORD)}", "tables")
        chosen.add(shape)
    if not chosen:
        raise ValidationError("no table is named", "tables", f"there are: {', '.join(BY_WORD)}")
    return tuple(shape for shape in SHAPES if shape in chosen)


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
