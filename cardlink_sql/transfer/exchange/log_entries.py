"""Writes the log entries of a file.

The number of an entry is not what it is: another database has the same numbers for other APDUs.
Two entries are the same where session, time, direction and APDU are, and of several such the
n-th is the n-th. The number is kept where it is free and the session's order allows it;
otherwise the database assigns one after all others, and to the session's later entries, too.
"""

from collections import defaultdict, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from cardlink_sql.dialect import Dialect
from cardlink_sql.gateways.exchange import ExchangeGateway
from cardlink_sql.transfer.exchange.conflict import Conflict, Meeting, TableReport
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


@dataclass
class LogWriter:
    """Writes log entries in the order of the file.

    Args:
        new_sessions: the sessions that this import made: the database has no entry of theirs.
        may_number: whether numbers may be kept.
    """

    gateway: ExchangeGateway
    dialect: Dialect
    rule: Conflict
    new_sessions: set[str]
    may_number: bool

    def __post_init__(self) -> None:
        self._known = _KnownEntries(self.gateway, self.dialect)
        self._meeting = Meeting(_LOGS, self.rule, bytes.__eq__)
        # The sessions that have entries with numbers of the database's, which follow all others.
        self._appended: set[str] = set()
        # The number of the session's entry before, as it is in the database.
        self._last: dict[str, int] = {}

    def write(self, batch: list[LogRow], report: TableReport) -> None:
        """Write a batch of entries, each a list by column, and count what became of them."""
        numbered: list[LogRow] = []
        appended: list[LogRow] = []
        asked = [row[_ID] for row in batch if row[_ID]] if self.may_number else []
        taken = self.gateway.find_taken_numbers(asked) if asked else set()
        for row in batch:
            is_known = row[_SESSION] not in self.new_sessions
            known = self._known.take(row) if is_known else None
            if known is not None:
                self._last[row[_SESSION]] = known["id"]
                self._meet(known, row, report)
            elif self._keeps_number(row, taken):
                self._last[row[_SESSION]] = row[_ID]
                taken.add(row[_ID])
                numbered.append(row)
            else:
                self._appended.add(row[_SESSION])
                appended.append(row)
        report.created += len(numbered) + len(appended)
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
        row[_TIME] = _DRIVER_TIMES[self.dialect](row[_TIME])
        return row

    def _meet(self, known: Values, row: LogRow, report: TableReport) -> None:
        values = {name: row[_COLUMNS[name]] for name in _REST}
        outcome = self._meeting.meet(known, values, "", report)
        if outcome is not None:
            self.gateway.update("logs", {name: outcome[name] for name in ("id", *_REST)})


@dataclass
class _KnownEntries:
    """The entries that the database has of the sessions in the file.

    They are read page by page as the file comes to them, and let go when it has: where file
    and database have the same order, a page of each session at most is in memory.
    """

    gateway: ExchangeGateway
    dialect: Dialect
    # By session: the pages to come, and by identity the entries that are read and not met.
    sessions: dict[str, tuple[Iterator[list[Values]], _Waiting]] = field(default_factory=dict)

    def take(self, row: LogRow) -> Values | None:
        """Return the same entry; ``None`` if the database has no such entry."""
        if row[_SESSION] not in self.sessions:
            self.sessions[row[_SESSION]] = self._pages(row[_SESSION]), defaultdict(deque)
        pages, waiting = self.sessions[row[_SESSION]]
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
            page = map(from_row(_LOGS, self.dialect), rows)
            del rows  # a session that waits for its next entry holds nothing
            yield list(page)


_DRIVER_TIMES: Final[dict[Dialect, Callable[[str], str]]] = {
    Dialect.SQLITE: lambda text: text.replace("T", " "),
    Dialect.MYSQL: lambda text: text[:26].replace("T", " "),
    Dialect.POSTGRESQL: lambda text: text,
}
