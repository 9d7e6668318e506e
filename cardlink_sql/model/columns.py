"""Converts Python values to the driver's, column by column, and checks them.

The checks of a column follow from its ``Table``: type, length, nullability. The rules of the
domain (an ICCID has 18 to 22 digits) are declared here, once, by table and column.
"""

import json
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import cache, partial
from typing import Any, Final

from sqlalchemy import Boolean, Column, Double, Integer, LargeBinary, String, Table

from cardlink_sql.dialect import Dialect
from cardlink_sql.errors import ValidationError
from cardlink_sql.model import choices, times, validation
from cardlink_sql.model.tables import JSONDocument, UTCDateTime
from cardlink_sql.model.validation import Check

Binder = Callable[[Any], Any]

_DOMAIN: Final[dict[str, Check]] = {
    "devices.id": partial(validation.identifier, longest=255),
    "devices.device_type": validation.choice(choices.DeviceType),
    "devices.imei": validation.imei,
    "devices.imsi": validation.imsi,
    "devices.iccid": validation.iccid,
    "card_profiles.iccid": validation.iccid,
    "card_profiles.imsi": validation.imsi,
    "card_profiles.card_type": validation.choice(choices.CardType),
    "card_profiles.atr": validation.atr,
    "card_profiles.psk_identity": validation.psk_identity,
    "ota_sessions.id": validation.session_id,
    "ota_sessions.device_id": partial(validation.identifier, longest=255),
    "ota_sessions.card_iccid": validation.iccid,
    "ota_sessions.session_type": validation.choice(choices.SessionType),
    "ota_sessions.status": validation.choice(choices.SessionStatus),
    "ota_sessions.duration_ms": validation.duration,
    "test_results.id": partial(validation.identifier, longest=36),
    "test_results.run_id": partial(validation.identifier, longest=255),
    "test_results.suite_name": partial(validation.filled, longest=128),
    "test_results.test_name": partial(validation.filled, longest=256),
    "test_results.device_id": partial(validation.identifier, longest=255),
    "test_results.card_iccid": validation.iccid,
    "test_results.status": validation.choice(choices.TestStatus),
    "test_results.duration_ms": validation.duration,
    "test_results.tries": partial(validation.whole, least=0),
    "comm_logs.session_id": validation.session_id,
    "comm_logs.direction": validation.choice(choices.Direction),
    "comm_logs.latency_ms": validation.latency,
    "comm_logs.raw_data": validation.apdu,
    "comm_logs.status_word": validation.status_word,
    "settings.key": partial(validation.identifier, longest=128),
    "settings.value": validation.json_value,
    "settings.category": partial(validation.identifier, longest=64),
}
# None is a value here, stored as JSON's null: NULL would mean no value.
NONE_IS_A_VALUE: Final = frozenset({"settings.value"})


@cache
def binders(table: Table, dialect: Dialect) -> Mapping[str, Binder]:
    """Return for each column of a table a function that checks a value and converts it.

    A binder raises :class:`ValidationError`, with ``table.column`` as the place.
    """
    return {
        column.name: _binder(table, column, _conversion(column, dialect))
        for column in table.columns
    }


@cache
def checks(table: Table) -> Mapping[str, Binder]:
    """Return for each column of a table a check that returns the Python value.

    A check raises :class:`ValidationError`, with ``table.column`` as the place.
    """
    return {column.name: _binder(table, column) for column in table.columns}


def driver_time(dialect: Dialect) -> Callable[[datetime], Any]:
    """Return the conversion of a UTC time into the driver's form: text, except on PostgreSQL."""
    return _TIMES[dialect]


def _binder(table: Table, column: Column[Any], convert: Binder | None = None) -> Binder:
    where = f"{table.name}.{column.name}"
    check = _DOMAIN.get(where) or _check_of_type(column)
    may_be_null = column.nullable
    is_none_a_value = where in NONE_IS_A_VALUE

    def bind(value: Any) -> Any:
        if value is None and not is_none_a_value:
            if may_be_null:
                return None
            raise ValidationError("a value is needed here, not None", where)
        checked = check(value, where)
        return convert(checked) if convert else checked

    return bind


def _check_of_type(column: Column[Any]) -> Check:
    kind = column.type
    if isinstance(kind, UTCDateTime):
        return validation.moment
    if isinstance(kind, JSONDocument):
        return validation.document
    if isinstance(kind, String):
        return partial(validation.text, longest=kind.length or validation.MAX_TEXT)
    for sort, check in _CHECKS.items():
        if isinstance(kind, sort):
            return check
    raise AssertionError(f"no check for {column.name} {kind!r}")


_CHECKS: Final[dict[type, Check]] = {
    Boolean: validation.boolean,
    Double: validation.latency,
    Integer: validation.whole,
    LargeBinary: validation.octets,
}


def _conversion(column: Column[Any], dialect: Dialect) -> Binder | None:
    if isinstance(column.type, UTCDateTime):
        return _TIMES[dialect]
    if isinstance(column.type, JSONDocument):
        return partial(json.dumps, ensure_ascii=False, allow_nan=False)
    # A member of a StrEnum is a str, but a driver would look for an adapter.
    if isinstance(column.type, String):
        return str.__str__
    return None


_TIMES: Final[dict[Dialect, Callable[[datetime], Any]]] = {
    Dialect.SQLITE: times.utc_to_text,
    Dialect.MYSQL: lambda moment: times.utc_to_text(moment)[:26],
    Dialect.POSTGRESQL: lambda moment: moment,
}
