"""Writes the log entries of a file.

The number of an entry is not what it is: another database has the same numbers for other APDUs.
Two entries are the same where session, time, direction and APDU are, and of several such the
n-th is the n-th. The number is kept where it is free and the session's order allows it;
otherwise the database assigns one after all others, and to the session's later entries, too.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final, NamedTuple

from cardlink_sql.dialect import Dialect
from cardlink_sql.gateways.exchange import ExchangeGateway
from cardlink_sql.transfer.exchange.conflict import Conflict, Meeting, TableReport
from cardlink_sql.transfer.exchange.shapes import BY_WORD
from cardlink_sql.transfer.exchange.values import Values, from_row

_LOGS: Final = BY_WORD["logs"]
_PAGE: Final = 500
_COLUMNS: Final = {name: position for position, name in enumerate(_LOGS.columns)}
_ID, _SESSION, _TIME = _COLUMNS["id"], _COLUMNS["session_id"], _COLUMNS["timestamp"]
_IDENTITY: Final = ("session_id", "timestamp", "direction", "raw_data")
# What may differ in an entry that is the same.
_REST: Final = tuple(name for name in _LOGS.columns if name not in (*_IDENTITY, "id"))

LogRow = list[Any]
_Waiting = dict[bytes, list[tuple[int, bytes]]]


class LogWriter:
    """Writes log entries in the order of the file.

    Args:
        gateway: the database.
        dialect: its dialect.
        rule: what becomes of an entry that it has already.
        new_sessions: the sessions that this import made: the database has no entry of theirs.
        may_number: whether numbers may be kept.
    """

    def __init__(
        self,
        gateway: ExchangeGateway,
        dialect: Dialect,
        rule: Conflict,
        new_sessions: set[str],
        *,
        may_number: bool,
    ) -> None:
        self._gateway = gateway
        self._rule = rule
        self._new_sessions = new_sessions
        self._may_number = may_number
        self._known = _KnownEntries(gateway, dialect)
        self._convert = from_row(_LOGS, dialect)
        self._driver_time = _DRIVER_TIMES[dialect]
        # The sessions that have entries with numbers of the database's, which follow all others.
        self._appended: set[str] = set()
        # The number of the session's entry before, as it is in the database.
        self._last: dict[str, int] = {}

    def write(self, batch: list[LogRow], report: TableReport) -> None:
        """Write a batch of entries, each a list by column, and count what became of them."""
        numbered: list[LogRow] = []
        appended: list[LogRow] = []
        different: dict[int, LogRow] = {}
        asked = [row[_ID] for row in batch if row[_ID]] if self._may_number else []
        taken = self._gateway.find_taken_numbers(asked) if asked else set()
        for row in batch:
            is_known = row[_SESSION] not in self._new_sessions
            known = self._known.take(row) if is_known else None
            if known is not None:
                self._last[row[_SESSION]] = known.number
                if known.is_same:
                    report.unchanged += 1
                else:
                    different[known.number] = row
            elif self._keeps_number(row, taken):
                self._last[row[_SESSION]] = row[_ID]
                taken.add(row[_ID])
                numbered.append(row)
            else:
                self._appended.add(row[_SESSION])
                appended.append(row)
        report.created += len(numbered) + len(appended)
        # In this order, so that the database's numbers follow the others.
        self._gateway.insert_logs([tuple(self._bound(row)) for row in numbered])
        self._gateway.append_logs([tuple(self._bound(row)[1:]) for row in appended])
        self._meet(different, report)

    def _keeps_number(self, row: LogRow, taken: set[int]) -> bool:
        number, session = row[_ID], row[_SESSION]
        return (
            self._may_number
            and number is not None
            and session not in self._appended
            and number > self._last.get(session, 0)
            and number not in taken
        )

    def _bound(self, row: LogRow) -> LogRow:
        row[_TIME] = self._driver_time(row[_TIME])
        return row

    def _meet(self, different: dict[int, LogRow], report: TableReport) -> None:
        if not different:
            return
        if self._rule is Conflict.SKIP:
            report.skipped += len(different)
            return
        meeting = Meeting(_LOGS, self._rule, bytes.__eq__)
        for known in map(self._convert, self._gateway.find_logs(list(different))):
            row = different[known["id"]]
            values = {name: row[_COLUMNS[name]] for name in _REST}
            outcome = meeting.outcome(known, values, "")
            if outcome is None:
                report.skipped += 1
            else:
                report.updated += 1
                self._gateway.update("logs", {name: outcome[name] for name in ("id", *_REST)})


class _KnownEntry(NamedTuple):
    """The number of an entry in the database, and whether all of it is as in the file."""

    number: int
    is_same: bool


class _KnownEntries:
    """The entries that the database has of the sessions in the file.

    They are read page by page as the file comes to them, and let go when it has: where file
    and database have the same order, a page of each session at most is in memory.
    """

    def __init__(self, gateway: ExchangeGateway, dialect: Dialect) -> None:
        self._gateway = gateway
        self._convert = from_row(_LOGS, dialect)
        # By session: the pages to come, and by identity the entries that are read and not met.
        self._sessions: dict[str, tuple[Iterator[list[Values]], _Waiting]] = {}

    def take(self, row: LogRow) -> _KnownEntry | None:
        """Return the same entry; ``None`` if the database has no such entry."""
        if row[_SESSION] not in self._sessions:
            self._sessions[row[_SESSION]] = self._pages(row[_SESSION]), {}
        pages, waiting = self._sessions[row[_SESSION]]
        values = dict(zip(_LOGS.columns, row, strict=True))
        identity = _digest(values, _IDENTITY)
        while identity not in waiting:
            page = next(pages, None)
            if page is None:
                return None
            for known in page:
                entry = known["id"], _digest(known, _REST)
                waiting.setdefault(_digest(known, _IDENTITY), []).append(entry)
        number, rest = waiting[identity].pop(0)
        if not waiting[identity]:
            del waiting[identity]
        return _KnownEntry(number, rest == _digest(values, _REST))

    def _pages(self, session_id: str) -> Iterator[list[Values]]:
        after: int | None = 0
        while after is not None:
            rows = self._gateway.page("logs", after, _PAGE, {"session_id": session_id})
            after = rows[-1][_ID] if len(rows) == _PAGE else None
            page = map(self._convert, rows)
            del rows  # a session that waits for its next entry holds nothing
            yield list(page)


def _digest(values: Values, names: Iterable[str]) -> bytes:
    text = "\0".join(repr(values[name]) for name in names)
    return hashlib.blake2b(text.encode(), digest_size=16).digest()


_DRIVER_TIMES: Final[dict[Dialect, Callable[[str], str]]] = {
    Dialect.SQLITE: lambda text: text.replace("T", " "),
    Dialect.MYSQL: lambda text: text[:26].replace("T", " "),
    Dialect.POSTGRESQL: lambda text: text,
}
