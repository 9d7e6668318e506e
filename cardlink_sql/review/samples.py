"""Values for the parameters of a query that is explained: given as text, or placeholders."""

import json
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any, Final

from cardlink_sql.columns import driver_time
from cardlink_sql.dialect import Dialect
from cardlink_sql.errors import ValidationError
from cardlink_sql.review.describe import POSTGRESQL_KINDS, Kind
from cardlink_sql.review.lock import read_lock
from cardlink_sql.sqlfiles import Query

Values = dict[str, Any]

# Words that a column takes, and names as the data set of the plan check has them.
_TEXTS: Final = {
    "after": "00000000-0000-4000-8000-000000000100",
    "before": "run-0001",
    "card_iccid": "8949000000000000001",
    "card_type": "UICC",
    "device_id": "device-0001",
    "device_type": "phone",
    "direction": "response",
    "end": "00000000-0000-4000-8000-000000000002",
    "iccid": "8949000000000000001",
    "id": "00000000-0000-4000-8000-000000000001",
    "prefix": "00000000-0000-4000-8000-000000000001",
    "run_id": "run-0002",
    "session_id": "00000000-0000-4000-8000-000000000001",
    "session_type": "triggered",
    "status_word": "9000",
    "suite_name": "suite-01",
    "test_name": "test-001",
}
_STATUS: Final = {"tests": "failed", "sessions": "failed"}
_NUMBERS: Final = {"offset": 0, "percent": 95}
# How long before now each time is; what is not here is now.
_AGES: Final = {
    "since": timedelta(days=1),
    "start": timedelta(days=1),
    "before": timedelta(days=90),
    "created_at": timedelta(days=2),
}


def kinds_of(query: Query) -> dict[str, Kind]:
    """What each parameter of a query is, as the lock of PostgreSQL has it.

    A parameter that the lock does not know is taken for text.
    """
    names = {*query.required, *(n for line in query.source.lines for n in line.parameters)}
    known = _locked_kinds().get(query.title, {})
    return {name: known.get(name, Kind.TEXT) for name in sorted(names)}


def placeholders(query: Query, names: Iterable[str], at: datetime) -> Values:
    """A value for each name, as its driver takes it.

    Args:
        query: whose parameters and conditions they are.
        names: of parameters; a condition without a parameter of its own gets ``True``.
        at: what is taken for now.
    """
    kinds = kinds_of(query)
    return {name: _placeholder(query, name, kinds.get(name), at) for name in sorted(names)}


def given(query: Query, texts: Iterable[str]) -> Values:
    """The values of ``name=value`` as the driver takes them.

    A list is written with commas, a time in ISO 8601 (UTC where it names no zone), bytes in hex. A
    condition without a parameter of its own is given by its name alone.

    Raises:
        ValidationError: there is no such parameter, or the value is not of its type.
    """
    kinds, values = kinds_of(query), Values()
    known = sorted({*kinds, *query.conditions})
    for text in texts:
        name, is_given, value = text.partition("=")
        if name not in known:
            takes = ", ".join(known) or "none"
            raise ValidationError(f"{query.title} has no parameter {name!r}; it takes: {takes}")
        if bool(is_given) is not (name in kinds):
            form = f"{name}=value" if name in kinds else f"{name} alone"
            raise ValidationError(f"write {form}, not {text!r}")
        values[name] = _read(query, name, kinds[name], value) if name in kinds else True
    return values


@cache
def _locked_kinds() -> Mapping[str, Mapping[str, Kind]]:
    lock = read_lock(Dialect.POSTGRESQL)
    queries = lock["queries"] if lock else {}
    return {
        title: {
            name: kind
            for name, typed, *_ in (text.split() for text in entry.get("parameters", []))
            if (kind := POSTGRESQL_KINDS.get(typed)) is not None
        }
        for title, entry in queries.items()
    }


def _placeholder(query: Query, name: str, kind: Kind | None, at: datetime) -> Any:
    value: Any
    match kind:
        case None | Kind.BOOLEAN:
            value = True
        case Kind.TIME:
            value = driver_time(query.dialect)(at - _AGES.get(name, timedelta()))
        case Kind.INTEGER | Kind.FLOAT | Kind.DECIMAL:
            value = _NUMBERS.get(name, 100)
        case Kind.JSON:
            value = "{}"
        case Kind.BYTES:
            value = b"\x00"
        case Kind.TEXT:
            value = _TEXTS.get(name, name)
            value = _STATUS.get(query.source.gateway, value) if name == "status" else value
    return [value] if name in query.source.lists else value


def _read(query: Query, name: str, kind: Kind, text: str) -> Any:
    try:
        if name in query.source.lists:
            return [_READERS[kind](query.dialect, part) for part in text.split(",")]
        return _READERS[kind](query.dialect, text)
    except (ValueError, KeyError):
        raise ValidationError(f"{text!r} is no {kind}, which {name} is") from None


def _time(dialect: Dialect, text: str) -> Any:
    moment = datetime.fromisoformat(text)
    return driver_time(dialect)(
        moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    )


def _document(_dialect: Dialect, text: str) -> str:
    json.loads(text)
    return text


_READERS: Final[dict[Kind, Callable[[Dialect, str], Any]]] = {
    Kind.TEXT: lambda _dialect, text: text,
    Kind.INTEGER: lambda _dialect, text: int(text),
    Kind.FLOAT: lambda _dialect, text: float(text),
    Kind.DECIMAL: lambda _dialect, text: float(text),
    Kind.BOOLEAN: lambda _dialect, text: {"true": True, "false": False}[text.lower()],
    Kind.TIME: _time,
    Kind.JSON: _document,
    Kind.BYTES: lambda _dialect, text: bytes.fromhex(text),
}
