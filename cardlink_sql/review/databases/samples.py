"""Values for the parameters of a query to explain: given as text, or sample values."""

import json
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import islice
from typing import Any, Final

from cardlink_sql.dialect import Dialect
from cardlink_sql.errors import ValidationError
from cardlink_sql.model.columns import driver_time
from cardlink_sql.model.tables import metadata
from cardlink_sql.queries import Query
from cardlink_sql.review.databases import dataset
from cardlink_sql.review.lock import entries_of, read_lock
from cardlink_sql.review.statements.expected import POSTGRESQL_KINDS, ValueKind, kind_of
from cardlink_sql.review.statements.statement import ParsedStatement
from cardlink_sql.review.statements.variants import as_written

Values = dict[str, Any]

# Other values are those of the first rows of the data set, to whom most of the traffic belongs.
_TEXTS: Final = {
    "card_type": "UICC",
    "direction": "response",
    "session_type": "triggered",
    "status": "failed",
    "status_word": "6A82",
}
# Two runs to compare.
_RUNS: Final = {"before": "run-0001", "after": "run-0002"}
# The columns of lists that are not of keys.
LISTED: Final = {"identities": "psk_identity", "session_ids": "session_id"}
_NUMBERS: Final = {
    "after": dataset.SIZES["comm_logs"] // 2,
    "limit": 100,
    "offset": 0,
    "percent": 95,
    "runs": 10,
}
# The offset of each time before now; a time that is not here is now.
_AGES: Final = {
    "since": timedelta(days=1),
    "start": timedelta(days=1),
    "before": dataset.SPAN - timedelta(days=1),
    "created_at": timedelta(days=2),
}


def kinds_of(query: Query) -> dict[str, ValueKind]:
    """Return the kind of each parameter of a query, from the lock of PostgreSQL.

    A parameter that the lock does not know has the kind of the column with its name, or of
    another parameter with its name, or is text.
    """
    names = {*query.required, *(n for line in query.source.lines for n in line.parameters)}
    known = _locked_kinds().get(query.title, {})
    return {name: known.get(name) or _likely_kind(query, name) for name in sorted(names)}


def placeholders(
    query: Query, names: Iterable[str], at: datetime, kinds: Mapping[str, ValueKind] | None = None
) -> Values:
    """Return a value for each parameter, as its driver takes it; ``True`` for a mere condition.

    Args:
        query: the query with these parameters and conditions.
        names: theirs.
        at: the time to use as now.
        kinds: the kinds of the parameters; by default those of :func:`kinds_of`.
    """
    known = kinds_of(query) if kinds is None else kinds
    return {name: _placeholder(query, name, known.get(name), at) for name in sorted(names)}


def given(query: Query, texts: Iterable[str]) -> Values:
    """Parse ``name=value`` arguments into values as the driver takes them.

    A list is written with commas, a time in ISO 8601 (UTC if it has no zone), bytes in hex. A
    condition without its own parameter is written as just its name.

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


def forget_lock() -> None:
    """Discard the cached lock of PostgreSQL, after it was rewritten."""
    _locked_kinds.cache_clear()


@cache
def _locked_kinds() -> Mapping[str, Mapping[str, ValueKind]]:
    return {
        title: {
            name: kind
            for name, typed in entry.get("parameters", {}).items()
            if (kind := POSTGRESQL_KINDS.get(typed.partition(" ")[0])) is not None
        }
        for title, entry in entries_of(read_lock(Dialect.POSTGRESQL)).items()
    }


def _likely_kind(query: Query, name: str) -> ValueKind:
    for table in ParsedStatement(as_written(query)).tables.values():
        if name in metadata.tables[table].columns:
            return kind_of(metadata.tables[table].columns[name])
    if name in _NUMBERS:
        return ValueKind.INTEGER
    return ValueKind.TIME if name in _AGES else ValueKind.TEXT


def _placeholder(query: Query, name: str, kind: ValueKind | None, at: datetime) -> Any:
    if name in query.source.lists:
        is_number = kind is ValueKind.INTEGER
        return [1, 2, 3] if is_number else _of_rows(query, LISTED.get(name))
    value: Any
    match kind:
        case None | ValueKind.BOOLEAN:
            value = True
        case ValueKind.TIME:
            value = driver_time(query.dialect)(at - _AGES.get(name, timedelta()))
        case ValueKind.INTEGER | ValueKind.FLOAT | ValueKind.DECIMAL:
            value = (
                20
                if (query.title, name) == ("tests.get_runs", "limit")
                else _NUMBERS.get(name, 100)
            )
        case ValueKind.JSON:
            value = "{}"
        case ValueKind.BYTES:
            value = b"\x00"
        case ValueKind.TEXT:
            value = _text(query, name)
    return value


def _text(query: Query, name: str) -> str:
    if name in _TEXTS:
        return _TEXTS[name]
    if name in ("prefix", "end", "after", "before"):
        if query.source.gateway == "tests":
            return _RUNS[name]
        key = str(_of_rows(query)[0])
        return {"prefix": key[:8], "end": f"{key[:8]}g"}.get(name, key)
    if name == "session_id":
        return str(next(dataset.rows("ota_sessions", query.dialect))["id"])
    tables = ParsedStatement(as_written(query)).tables.values()
    if any(name in metadata.tables[table].columns for table in tables):
        first = _of_rows(query, name)[0]
        return name if first is None else str(first)
    return name


def _of_rows(query: Query, name: str | None = None) -> list[Any]:
    """Return the values of a column, by default the key, in the first rows of its table."""
    tables = [metadata.tables[t] for t in ParsedStatement(as_written(query)).tables.values()]
    wanted = name or tables[0].primary_key.columns.keys()[0]
    column = next(table.columns[wanted] for table in tables if wanted in table.columns)
    for key in column.foreign_keys:
        column = key.column
    first = islice(dataset.rows(column.table.name, query.dialect), 3)
    return [row.get(column.name) for row in first]  # a new column may not be in the data set yet


def _read(query: Query, name: str, kind: ValueKind, text: str) -> Any:
    parts = text.split(",") if name in query.source.lists else [text]
    try:
        values = [_READERS[kind](part) for part in parts]
    except (ValueError, KeyError):
        raise ValidationError(f"{text!r} is not a valid {kind} for {name}") from None
    if kind is ValueKind.TIME:
        values = list(map(driver_time(query.dialect), values))
    return values if name in query.source.lists else values[0]


def _time(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def _document(text: str) -> str:
    json.loads(text)
    return text


_READERS: Final[dict[ValueKind, Callable[[str], Any]]] = {
    ValueKind.TEXT: str,
    ValueKind.INTEGER: int,
    ValueKind.FLOAT: float,
    ValueKind.DECIMAL: float,
    ValueKind.BOOLEAN: lambda text: {"true": True, "false": False}[text.lower()],
    ValueKind.TIME: _time,
    ValueKind.JSON: _document,
    ValueKind.BYTES: bytes.fromhex,
}
