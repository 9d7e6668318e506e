"""How an import treats a row that the database has already, and writes what becomes of it."""

import base64
import json
from abc import ABC, abstractmethod
from collections import defaultdict, deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from cardlink_sql.dialect import Dialect
from cardlink_sql.errors import ValidationError
from cardlink_sql.formats.times import time_text
from cardlink_sql.gateways.exchange import ExchangeGateway
from cardlink_sql.model.columns import NONE_IS_A_VALUE, driver_time
from cardlink_sql.model.times import utc_now
from cardlink_sql.transfer.exchange.keys import FileKeys
from cardlink_sql.transfer.exchange.shapes import (
    BY_WORD,
    PSK_KEY,
    STORED_KEY,
    Shape,
    Values,
    from_row,
    to_row,
)


class Conflict(StrEnum):
    """The treatment of a row that the database has already.

    A field that the file leaves out stays as it is, whatever the rule.
    """

    SKIP = "skip"  # it stays as it is
    OVERWRITE = "overwrite"  # every field of the file is written, times and NULLs too
    MERGE = "merge"  # what is NULL is filled, and JSON objects get the keys that they lack


@dataclass(slots=True)
class TableReport:
    """An import's numbers of rows for a table.

    ``unchanged`` are those that were as in the file; ``skipped`` those that differ and stayed.
    """

    created: int = 0
    updated: int = 0
    skipped: int = 0
    unchanged: int = 0


@dataclass
class TableWriter(ABC):
    """Writes the rows of a file into a table, each new, or met with the one that is there.

    Args:
        shape: the table.
        gateway: writes.
        dialect: of the database.
        rule: what to do with a row that is there.
        keys: compares PSKs, where the file holds any.
        report: counts what becomes of the rows.
        now: the time of the import.
        created: the keys of new rows.
    """

    shape: Shape
    gateway: ExchangeGateway
    dialect: Dialect
    rule: Conflict
    keys: FileKeys | None
    report: TableReport
    now: str = field(default_factory=lambda: time_text(utc_now()))
    created: set[str] = field(default_factory=set)

    @abstractmethod
    def write(self, batch: list[Any]) -> None:
        """Write a batch of rows, and count what became of them."""

    def meet(self, known: Values, values: Values) -> Values | None:
        """Return the row that results from the rule, ``None`` if the known one stays; count it.

        Both rows, of the database and of the file, are in the form of a file.
        """
        if all(self._equal(name, known[name], value) for name, value in values.items()):
            self.report.unchanged += 1
            return None
        row = self._outcome(known, values)
        if row is None:
            self.report.skipped += 1
        else:
            self.report.updated += 1
        return row

    def _outcome(self, known: Values, values: Values) -> Values | None:
        if self.rule is Conflict.SKIP:
            return None
        if self.rule is Conflict.OVERWRITE:
            return {**known, **values}
        merged = self._merged(known, values)
        if all(merged[name] == known[name] for name in known):
            return None
        return {**merged, "updated_at": self.now} if "updated_at" in known else merged

    def _merged(self, known: Values, values: Values) -> Values:
        merged = dict(known)
        for name, value in values.items():
            if known[name] is None and f"{self.shape.name}.{name}" not in NONE_IS_A_VALUE:
                merged[name] = value
            elif isinstance(known[name], dict) and isinstance(value, dict):
                merged[name] = deep_merge(known[name], value)
        for name, lead in self.shape.tied.items():
            if merged[lead] != values.get(lead, merged[lead]):
                merged[name] = known[name]
        return merged

    def _equal(self, name: str, one: Any, other: Any) -> bool:
        if name == STORED_KEY and self.keys and one is not None and other is not None:
            return self.keys.is_same(one, other)
        if isinstance(one, dict | list) and isinstance(other, dict | list):
            # To Python 1, 1.0 and True are equal; to JSON they are not.
            return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)
        return type(one) is type(other) and bool(one == other)


def deep_merge(known: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the known object with missing keys added at every depth; a list is one value."""
    merged = dict(known)
    for key, value in values.items():
        if key not in merged:
            merged[key] = value
        elif isinstance(merged[key], dict) and isinstance(value, dict):
            merged[key] = deep_merge(merged[key], value)
    return merged


class RowWriter(TableWriter):
    """Writes the rows of a table that has keys."""

    def write(self, batch: list[Values]) -> None:
        shape = self.shape
        convert = from_row(shape, self.dialect)
        found = map(convert, self.gateway.find(shape.word, [row[shape.key] for row in batch]))
        known = {values[shape.key]: values for values in found}
        new = []
        for values in map(_with_stored_key, batch):
            if values[shape.key] not in known:
                new.append(self._new(values))
                self.created.add(values[shape.key])
                self.report.created += 1
            elif (row := self.meet(known[values[shape.key]], values)) is not None:
                self._update(row)
        self.gateway.insert(shape.word, new)

    def _update(self, row: Values) -> None:
        try:
            self.gateway.update(self.shape.word, to_row(self.shape, self.dialect)(row))
        except ValidationError as error:
            place = f"{self.shape.name}[{row[self.shape.key]!r}]"
            raise ValidationError(f"after the merge: {error.what}", place, error.remedy) from None

    def _new(self, values: Values) -> tuple[Any, ...]:
        row = {
            **dict.fromkeys(self.shape.columns),
            **self.shape.defaults,
            "created_at": self.now,
            "updated_at": self.now,
            **values,
        }
        return tuple(to_row(self.shape, self.dialect)(row).values())


def _with_stored_key(values: Values) -> Values:
    if PSK_KEY not in values:
        return values
    token = values.pop(PSK_KEY)
    return {**values, STORED_KEY: None if token is None else base64.b64decode(token)}


_LOGS: Final = BY_WORD["logs"]
_PAGE: Final = 100
_COLUMNS: Final = {name: position for position, name in enumerate(_LOGS.columns)}
_ID, _SESSION, _TIME = _COLUMNS["id"], _COLUMNS["session_id"], _COLUMNS["timestamp"]
_IDENTITY: Final = ("session_id", "timestamp", "direction", "raw_data")
# The fields that may differ in an entry that is the same.
_REST: Final = tuple(name for name in _LOGS.columns if name not in (*_IDENTITY, "id"))

LogRow = list[Any]
_Waiting = dict[tuple[Any, ...], deque[Values]]


@dataclass(kw_only=True)
class LogWriter(TableWriter):
    """Writes log entries in the order of the file.

    The number of an entry is not what it is: another database has the same numbers for other
    APDUs. Two entries are the same where session, time, direction and APDU are, and of several
    such the n-th is the n-th. The number is kept where it is free and the session's order allows
    it; otherwise the database assigns one after all others, and to the session's later entries,
    too.

    Args:
        new_sessions: the sessions that this import made: the database has no entry of theirs.
        may_number: whether numbers may be kept.
    """

    new_sessions: set[str]
    may_number: bool

    def __post_init__(self) -> None:
        # The entries that the database has of the sessions in the file, by session: the pages to
        # come, and by identity the entries that are read and not met. They are let go when the
        # file has come to them: where file and database have the same order, a page of each
        # session at most is in memory.
        self._sessions: dict[str, tuple[Iterator[list[Values]], _Waiting]] = {}
        # The sessions that have entries with numbers of the database's, which follow all others.
        self._appended: set[str] = set()
        # The number of the session's entry before, as it is in the database.
        self._last: dict[str, int] = {}

    def write(self, batch: list[LogRow]) -> None:
        """Write a batch of entries, each a list by column."""
        numbered: list[LogRow] = []
        appended: list[LogRow] = []
        asked = [row[_ID] for row in batch if row[_ID]] if self.may_number else []
        taken = self.gateway.find_taken_numbers(asked) if asked else set()
        for row in batch:
            known = None if row[_SESSION] in self.new_sessions else self._take_known(row)
            if known is not None:
                self._last[row[_SESSION]] = known["id"]
                self._meet(known, row)
            elif self._keeps_number(row, taken):
                self._last[row[_SESSION]] = row[_ID]
                taken.add(row[_ID])
                numbered.append(row)
            else:
                self._appended.add(row[_SESSION])
                appended.append(row)
        self.report.created += len(numbered) + len(appended)
        # In this order, so that the database's numbers follow the others.
        self.gateway.insert_logs([tuple(self._bound(row)) for row in numbered])
        self.gateway.append_logs([tuple(self._bound(row)[1:]) for row in appended])

    def _keeps_number(self, row: LogRow, taken: set[int]) -> bool:
        number, session = row[_ID], row[_SESSION]
        return (
            self.may_number
            and number is not None
            and session not in self._appended
            and number > self._last.get(session, 0)
            and number not in taken
        )

    def _bound(self, row: LogRow) -> LogRow:
        row[_TIME] = driver_time(self.dialect)(datetime.fromisoformat(row[_TIME]))
        return row

    def _meet(self, known: Values, row: LogRow) -> None:
        outcome = self.meet(known, {name: row[_COLUMNS[name]] for name in _REST})
        if outcome is not None:
            self.gateway.update("logs", {name: outcome[name] for name in ("id", *_REST)})

    def _take_known(self, row: LogRow) -> Values | None:
        """Return the same entry of the database; ``None`` if it has no such entry."""
        if row[_SESSION] not in self._sessions:
            self._sessions[row[_SESSION]] = self._pages(row[_SESSION]), defaultdict(deque)
        pages, waiting = self._sessions[row[_SESSION]]
        identity = tuple(row[_COLUMNS[name]] for name in _IDENTITY)
        while identity not in waiting:
            page = next(pages, None)
            if page is None:
                return None
            for known in page:
                waiting[tuple(known[name] for name in _IDENTITY)].append(known)
        entry = waiting[identity].popleft()
        if not waiting[identity]:
            del waiting[identity]
        return entry

    def _pages(self, session_id: str) -> Iterator[list[Values]]:
        after: int | None = 0
        while after is not None:
            rows = self.gateway.page("logs", after, _PAGE, {"session_id": session_id})
            after = rows[-1][_ID] if len(rows) == _PAGE else None
            page = map(from_row(self.shape, self.dialect), rows)
            del rows  # a session that waits for its next entry holds nothing
            yield list(page)
