"""Writes the log entries of a file.

The number of an entry is not what it is: another database has the same numbers for other APDUs.
Two entries are the same where session, time, direction and APDU are, and of several such the
n-th is the n-th. The number is kept where it is free and the session's order allows it;
otherwise the database assigns one after all others, and to the session's later entries, too.
"""

from collections import defaultdict, deque
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from cardlink_sql.model.columns import driver_time
from cardlink_sql.transfer.exchange.conflict import TableWriter
from cardlink_sql.transfer.exchange.shapes import BY_WORD
from cardlink_sql.transfer.exchange.values import Values, from_row

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
