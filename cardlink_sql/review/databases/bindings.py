"""Values for the parameters of a read query, drawn from the edge rows so that they match."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from itertools import chain, combinations
from typing import Any, Final

from cardlink_sql.model.tables import metadata
from cardlink_sql.queries import Query
from cardlink_sql.review.databases.edge_rows import EDGE_ROWS, MOMENTS, Row
from cardlink_sql.review.databases.samples import LISTED, kinds_of
from cardlink_sql.review.statements.expected import ValueKind
from cardlink_sql.review.statements.statement import ParsedStatement
from cardlink_sql.review.statements.variants import as_written

ALL: Final = 1_000
_MOST_SUBSETS: Final = 4
_MOST_ROWS: Final = 12
_FEW_ROWS: Final = 3

# The first value of each narrows least.
_NUMBERS: Final[Mapping[str, Sequence[Any]]] = {
    "limit": (ALL, 1, 2, 3),
    "offset": (0, 1),
    "after": (0, 1, 3, 30),
    "percent": (95, 1, 50, 100),
    "runs": (ALL, 1, 2),
    "slower_factor": (1.0, 2.0),
}
_TIMES: Final = {
    name: (MOMENTS[-1] + timedelta(days=1), *MOMENTS) for name in ("before", "until", "end")
}
_RUNS: Final = ("r1", "r2", "R1")
_TEXTS: Final[Mapping[str, Sequence[Any]]] = {
    "after": ("", "a-1", "b", _RUNS[1]),
    "before": _RUNS,
    "prefix": ("", "a", "A", "B"),
    "end": ("~", "b", "B"),
    "pattern": ("%", "%A%", "%é%", "%!%%", "%!_%", "%!!%", "%6A%", "%00%", "PROBE"),
    "origin": ("", EDGE_ROWS["event_outbox"][0]["origin"]),
}


@dataclass(frozen=True)
class Binding:
    """Values for the parameters of a query, before the driver's conversion, and an order."""

    values: Row
    order: str | None = None

    def __str__(self) -> str:
        named = [f"{name}={value!r}" for name, value in sorted(self.values.items())]
        return ", ".join([*named, *([f"order {self.order}"] if self.order else [])]) or "nothing"


def bindings(query: Query) -> Iterator[Binding]:
    """Yield the values with which to send a query: each line, combination, order and edge."""
    rows = _rows_of(query)
    has_order = bool(ParsedStatement(as_written(query)).ordered)
    for given in _subsets(query):
        names = sorted(query.required | given)
        for values in rows.values(names, is_thorough=len(given) <= 1):
            # Without an order any rows fit a limit.
            if has_order or values.get("limit", ALL) == ALL:
                yield Binding(values)
    names = sorted(query.required)
    for order in query.orders:
        for values in rows.values(names):
            yield Binding(values, order)


def widest(query: Query, given: Mapping[str, Any]) -> Row:
    """Return values that narrow a query no further than the given ones do."""
    rows = _rows_of(query)
    return {name: rows.candidates(name)[0] for name in query.required} | dict(given)


@cache
def _rows_of(query: Query) -> "_Rows":
    return _Rows(query)


class _Rows:
    """The edge rows that a query reads first, and candidates for its other parameters."""

    def __init__(self, query: Query) -> None:
        self._query = query
        self._kinds = kinds_of(query)
        tables = list(dict.fromkeys(ParsedStatement(as_written(query)).tables.values()))
        self._rows = EDGE_ROWS[tables[0]]
        self._others = [row for table in tables[1:] for row in EDGE_ROWS[table][:_MOST_ROWS]]
        self._key = metadata.tables[tables[0]].primary_key.columns.keys()[0]

    def values(self, names: Sequence[str], *, is_thorough: bool = True) -> Iterator[Row]:
        """Yield values for these names: those of a row, then each candidate in turn."""
        columns = [name for name in names if self._is_column(name)]
        matching = list(self._matching(columns))
        free = [name for name in names if name not in columns]
        base = {name: self.candidates(name)[0] for name in free}
        for row in matching[: _MOST_ROWS if is_thorough else _FEW_ROWS]:
            yield base | row
        if not is_thorough:
            return
        if matching and columns:
            yield base | {name: _swapped(value) for name, value in matching[0].items()}
        for name in free:
            for number, value in enumerate(self.candidates(name)[1:]):
                if matching:
                    yield base | matching[number % len(matching)] | {name: value}

    def candidates(self, name: str) -> Sequence[Any]:
        """Return the values for a parameter; the first narrows least."""
        kind = self._kinds.get(name)
        if name in self._query.source.lists:
            return self._lists(name)
        if self._is_column(name):
            return [row[name] for row in self._sources(name) if row[name] is not None]
        if kind is ValueKind.TIME:
            return _TIMES.get(name, MOMENTS)
        if kind is ValueKind.TEXT and name in _TEXTS:
            return _TEXTS[name]
        if name == "session_id":
            return [row["id"] for row in EDGE_ROWS["ota_sessions"]]
        # A condition without a parameter brings its line in by any value.
        return _NUMBERS.get(name, (True,))

    def _lists(self, name: str) -> Sequence[Any]:
        column = LISTED.get(name, self._key)
        found = list(dict.fromkeys(row[column] for row in self._rows if row[column] is not None))
        return [found, found[:1], [_swapped(value) for value in found[:3]]]

    def _is_column(self, name: str) -> bool:
        if name in _NUMBERS or name in _TEXTS or name not in self._kinds:
            return False
        return bool(self._sources(name))

    def _sources(self, name: str) -> list[Row]:
        if name in self._rows[0]:
            return self._rows
        return [row for row in self._others if name in row]

    def _matching(self, columns: Sequence[str]) -> Iterator[Row]:
        """Yield the distinct values that the columns have together."""
        seen = set[str]()
        longest = max((len(self._sources(name)) for name in columns), default=1)
        for number in range(longest):
            sources = {name: self._sources(name) for name in columns}
            row = {name: rows[number % len(rows)][name] for name, rows in sources.items()}
            if None not in row.values() and repr(row) not in seen:
                seen.add(repr(row))
                yield row


def _subsets(query: Query) -> list[frozenset[str]]:
    """Return the conditions that are given together: all combinations of few, each pair of many."""
    lines = {line.when for line in query.source.lines if line.when}
    groups = sorted(lines, key=sorted)
    most = len(groups) if len(groups) <= _MOST_SUBSETS else 2
    chosen = chain.from_iterable(combinations(groups, size) for size in range(most + 1))
    return list(dict.fromkeys(frozenset[str]().union(*some) for some in chosen))


def _swapped(value: Any) -> Any:
    """Return a text in the other case, and another value as it is."""
    return value.swapcase() if isinstance(value, str) else value
