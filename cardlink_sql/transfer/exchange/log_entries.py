"""Writes the log entries of a file.

The number of an entry is not what it is: another database has the same numbers for other APDUs.
Two entries are the same where session, time, direction and APDU are, and of several such the
n-th is the n-th. The number is kept where it is free and the session's order allows it;
otherwise the database assigns one after all others, and to the session's later entries, too.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Final

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
        self._numbers = _Numbers(gateway) if may_number else None
        self._known = _KnownEntries(gateway, dialect)
        self._convert = from_row(_LOGS, dialect)
        self._driver_time = _DRIVER_TIMES[dialect]
        self._appended: set[str] = set()
        # The number of the session's entry before, as it is in the database.
        self._last: dict[str, int] = {}

    def write(self, batch: list[LogRow], report: TableReport) -> None:
        """Write a batch of entries, each a list by column, and count what became of them."""
        new: list[LogRow] = []
        different: dict[int, LogRow] = {}
        numbers = self._numbers.of_batch(batch) if self._numbers else None
        for row in batch:
            if row[_SESSION] not in self._new_sessions:
                known = self._known.take(row)
                if known is not None:
                    number, is_same = known
                    self._last[row[_SESSION]] = number
                    if is_same:
                        report.unchanged += 1
                    else:
                        different[number] = row
                    continue
            self._number(row, numbers)
            new.append(row)
        report.created += len(new)
        self._insert(new)
        self._meet(different, report)

    def _number(self, row: LogRow, numbers: "_BatchNumbers | None") -> None:
        """Leave the entry its number, or take it away."""
        number, session = row[_ID], row[_SESSION]
        is_kept = (
            numbers is not None
            and number is not None
            and session not in self._appended
            and number > self._last.get(session, 0)
            and numbers.keep(number)
        )
        if is_kept:
            self._last[session] = number
            return
        row[_ID] = None
        self._appended.add(session)
        if numbers is not None:
            numbers.appended = True

    def _insert(self, rows: list[LogRow]) -> None:
        """Write new entries in their order, in runs with and without numbers."""
        time = self._driver_time
        run: list[tuple[Any, ...]] = []
        numbered = True
        for row in rows:
            row[_TIME] = time(row[_TIME])
            is_numbered = row[_ID] is not None
            if run and is_numbered is not numbered:
                self._send(run, numbered=numbered)
                run = []
            numbered = is_numbered
            run.append(tuple(row) if is_numbered else tuple(row[1:]))
        self._send(run, numbered=numbered)

    def _send(self, rows: Sequence[tuple[Any, ...]], *, numbered: bool) -> None:
        if numbered:
            self._gateway.insert_logs(rows)
        else:
            self._gateway.append_logs(rows)

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


class _Numbers:
    """Which numbers are free."""

    def __init__(self, gateway: ExchangeGateway) -> None:
        self._gateway = gateway
        self._highest: int | None = None
        self._batch: _BatchNumbers | None = None

    def of_batch(self, batch: Iterable[LogRow]) -> "_BatchNumbers":
        """Return a batch's numbers; query the database unless they follow all others."""
        before = self._batch
        if before is None or before.appended:
            self._highest = self._gateway.get_highest_number()
        else:
            self._highest = max(before.highest, *before.used, 0)
        highest = self._highest
        asked = [row[_ID] for row in batch if row[_ID] is not None and row[_ID] <= highest]
        taken = self._gateway.find_taken_numbers(asked) if asked else set()
        self._batch = _BatchNumbers(highest, taken)
        return self._batch


class _BatchNumbers:
    """The numbers of one batch: those in use, and whether the database gave some."""

    def __init__(self, highest: int, used: set[int]) -> None:
        self.highest = highest
        self.used = used
        self.appended = False

    def keep(self, number: int) -> bool:
        """Use a number, if it is free."""
        # Those that the database assigned follow the highest.
        if number in self.used or (self.appended and number > self.highest):
            return False
        self.used.add(number)
        return True


class _KnownEntries:
    """The entries that the database has of the sessions in the file.

    They are read page by page as the file comes to them, and let go when it has: where file
    and database have the same order, a page of each session at most is in memory.
    """

    def __init__(self, gateway: ExchangeGateway, dialect: Dialect) -> None:
        self._gateway = gateway
        self._convert = from_row(_LOGS, dialect)
        self._sessions: dict[str, _Session] = {}

    def take(self, row: LogRow) -> tuple[int, bool] | None:
        """Return the same entry's number and whether all of it is equal; ``None`` if it is new."""
        session = self._sessions.get(row[_SESSION])
        if session is None:
            session = self._sessions[row[_SESSION]] = _Session(self._pages(row[_SESSION]))
        values = dict(zip(_LOGS.columns, row, strict=True))
        found = session.take(_digest(values, _IDENTITY))
        return None if found is None else (found[0], found[1] == _digest(values, _REST))

    def _pages(self, session_id: str) -> Iterator[list[Values]]:
        after: int | None = 0
        while after is not None:
            rows = self._gateway.page("logs", after, _PAGE, {"session_id": session_id})
            after = rows[-1][_ID] if len(rows) == _PAGE else None
            page = map(self._convert, rows)
            del rows  # a session that waits for its next entry holds nothing
            yield list(page)


class _Session:
    """The entries of a session that are read and not yet met, by what they are."""

    def __init__(self, pages: Iterator[list[Values]]) -> None:
        self._pages = pages
        self._waiting: dict[bytes, list[tuple[int, bytes]]] = {}

    def take(self, identity: bytes) -> tuple[int, bytes] | None:
        while identity not in self._waiting:
            page = next(self._pages, None)
            if page is None:
                return None
            for values in page:
                entry = (values["id"], _digest(values, _REST))
                self._waiting.setdefault(_digest(values, _IDENTITY), []).append(entry)
        entries = self._waiting[identity]
        entry = entries.pop(0)
        if not entries:
            del self._waiting[identity]
        return entry


def _digest(values: Values, names: Iterable[str]) -> bytes:
    text = "\0".join(repr(values[name]) for name in names)
    return hashlib.blake2b(text.encode(), digest_size=16).digest()


_DRIVER_TIMES: Final[dict[Dialect, Callable[[str], str]]] = {
    Dialect.SQLITE: lambda text: text.replace("T", " "),
    Dialect.MYSQL: lambda text: text[:26].replace("T", " "),
    Dialect.POSTGRESQL: lambda text: text,
}
