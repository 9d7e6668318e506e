"""The columns that each query must return: the fields of a record, or declared ones.

A gateway declares them: ``record`` for all its queries, ``gives`` for the exceptions.
"""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from functools import cache
from typing import Any, Final

from sqlalchemy import Column, Table

from cardlink_sql.database.rows import JSON_TYPES, columns_of, split_hint
from cardlink_sql.gateways.cards import CardGateway
from cardlink_sql.gateways.devices import DeviceGateway
from cardlink_sql.gateways.exchange import ExchangeGateway
from cardlink_sql.gateways.logs import LogGateway
from cardlink_sql.gateways.server import ServerGateway
from cardlink_sql.gateways.sessions import SessionGateway
from cardlink_sql.gateways.settings import SettingGateway
from cardlink_sql.gateways.statistics import StatisticsGateway
from cardlink_sql.gateways.tests import TestGateway
from cardlink_sql.outbox.gateway import OutboxGateway
from cardlink_sql.queries import Query, Rows

GATEWAYS: Final[tuple[type[Any], ...]] = (
    CardGateway,
    DeviceGateway,
    ExchangeGateway,
    LogGateway,
    OutboxGateway,
    ServerGateway,
    SessionGateway,
    SettingGateway,
    StatisticsGateway,
    TestGateway,
)


class ValueKind(StrEnum):
    """The kind of a value, whatever a backend calls its type."""

    TEXT = "text"
    INTEGER = "integer"
    FLOAT = "float"
    DECIMAL = "decimal"
    BOOLEAN = "boolean"
    TIME = "time"
    JSON = "json"
    BYTES = "bytes"


# By the type of the values in Python.
KINDS: Final[dict[type[Any], ValueKind]] = {
    dict: ValueKind.JSON,
    list: ValueKind.JSON,
    bool: ValueKind.BOOLEAN,
    int: ValueKind.INTEGER,
    float: ValueKind.FLOAT,
    Decimal: ValueKind.DECIMAL,
    str: ValueKind.TEXT,
    bytes: ValueKind.BYTES,
    datetime: ValueKind.TIME,
}
# By PostgreSQL's names of the types, which the lock has.
POSTGRESQL_KINDS: Final = {
    **dict.fromkeys(("text", "varchar", "bpchar", "name"), ValueKind.TEXT),
    **dict.fromkeys(("int2", "int4", "int8"), ValueKind.INTEGER),
    **dict.fromkeys(("float4", "float8"), ValueKind.FLOAT),
    **dict.fromkeys(("json", "jsonb"), ValueKind.JSON),
    "numeric": ValueKind.DECIMAL,
    "bool": ValueKind.BOOLEAN,
    "timestamptz": ValueKind.TIME,
    "bytea": ValueKind.BYTES,
}


@dataclass(frozen=True)
class Field:
    """A column that a query must return: its name, its Python types, whether it can be NULL."""

    name: str
    kinds: frozenset[Any]
    optional: bool


@cache
def gateway_classes() -> dict[str, type[Any]]:
    """Return the gateways by the name of their SQL file."""
    return {one.name: one for one in GATEWAYS}


def expected_fields(query: Query) -> tuple[Field, ...] | None:
    """Return the columns that a query must return, in order; None if it fills no record.

    Raises:
        QueryError: no gateway has the query's file, or the gateway does not declare its columns.
    """
    if query.rows not in (Rows.ONE, Rows.MANY):
        return None
    gateway = gateway_classes().get(query.source.gateway)
    if gateway is None:
        raise query.fault(
            f"no gateway is named {query.source.gateway!r}",
            "add it to GATEWAYS in cardlink_sql/review/statements/expected.py",
        )
    gives = gateway.gives.get(query.source.name)
    gives = getattr(gateway, "record", None) if gives is None else gives
    if gives is None:
        raise query.fault("its columns are not declared", f"add it to {gateway.__name__}.gives")
    if isinstance(gives, Table):
        return tuple(_field_of(column) for column in gives.columns)
    hints = gives if isinstance(gives, dict) else columns_of(gives)
    return tuple(Field(name, *split_hint(hint)) for name, hint in hints.items())


def kind_of(column: Column[Any]) -> ValueKind:
    """Return the kind of a column's values."""
    return KINDS.get(_type_of(column), ValueKind.JSON)  # whose values have several types


def _field_of(column: Column[Any]) -> Field:
    is_json = kind_of(column) is ValueKind.JSON
    kinds = JSON_TYPES if is_json else frozenset({_type_of(column)})
    return Field(column.name, kinds, bool(column.nullable))


def _type_of(column: Column[Any]) -> type[Any]:
    # A type of ours wraps one of SQLAlchemy, which knows the type of its values.
    known: type[Any] = getattr(column.type, "impl", column.type).python_type
    return known
