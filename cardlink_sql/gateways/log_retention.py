"""Walks through the log, page by page: bytes found, old entries counted and deleted."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from cardlink_sql.gateways.base import Gateway
from cardlink_sql.model import validation
from cardlink_sql.model.progress import OnProgress, no_progress
from cardlink_sql.model.records.log import CommLog
from cardlink_sql.queries.query import MAX_LIST

# Entries that purge_old finds by one query.
_FOUND: Final = 10_000
# Entries that count_old reads by one query.
_COUNTED: Final = 50_000
# Entries that search_hex reads by one query.
_SEARCHED: Final = 2_000


class LogRetention(Gateway[CommLog, int]):
    """The part of the log's gateway that searches bytes and deletes what is old."""

    __slots__ = ()

    def purge_old(self, days: float, limit: int | None = None) -> int:
        """Delete the entries older than ``days``, at most ``limit``; return their number.

        One transaction over a great many rows holds up writers on SQLite, and replicas and Galera
        elsewhere: :func:`cardlink_sql.operations.retention.purge` commits between its batches.
        The queries are ``find_old`` and ``delete_many``.
        """
        most = validation.limit(limit)
        gone = after = 0
        while gone < most:
            numbers = self.find_old(days, min(_FOUND, most - gone), after)
            if not numbers:
                break
            gone += self._delete_all(numbers)
            after = numbers[-1]
        self._note_batch("purge_old", gone)
        return gone

    def delete_many(self, ids: Sequence[int]) -> int:
        """Delete the entries with these numbers; return how many there were."""
        gone = self._delete_all(ids)
        self._note_batch("delete_many", gone)
        return gone

    def _delete_all(self, ids: Sequence[int]) -> int:
        numbers = [self._key(number) for number in ids]
        return sum(
            self._execute("delete_many", {"ids": numbers[start : start + MAX_LIST]})
            for start in range(0, len(numbers) or 1, MAX_LIST)
        )

    def find_old(self, days: float, limit: int, after: int = 0) -> list[int]:
        """Return the numbers of entries older than ``days``: the first ``limit`` past ``after``."""
        parameters = {
            "before": self._days_ago(days),
            "after": validation.whole(after, "after", least=0),
            "limit": validation.whole(limit, "limit", least=1),
        }
        return self._firsts("find_old", parameters)

    def find_of_sessions(self, session_ids: Sequence[str], limit: int) -> list[int]:
        """Return the numbers of at most ``limit`` entries of these sessions."""
        ids = [self._bind["session_id"](key) for key in session_ids]
        most = validation.whole(limit, "limit", least=1)
        return self._firsts("find_of_sessions", {"session_ids": ids, "limit": most})

    def count_old(self, days: float, on_rows: OnProgress = no_progress) -> int:
        """Return the number of entries with a timestamp more than ``days`` ago.

        This reads the whole log, in pages.

        ``on_rows`` is called with the number of entries read, after each page.
        """
        parameters = {"before": self._days_ago(days), "after": 0, "limit": _COUNTED}
        counted, entries = 0, _COUNTED
        while entries == _COUNTED:
            ((entries, old, parameters["after"]),) = self._rows("count_old", parameters)
            counted += old
            on_rows(entries)
        return counted

    def search_hex(
        self,
        pattern: str,
        session_id: str | None = None,
        limit: int = 1000,
        *,
        since: datetime | None = None,
    ) -> list[CommLog]:
        """Return the entries whose bytes contain ``pattern``, in the order of writing.

        Args:
            pattern: whole bytes as hex, any case, blanks allowed. ``A482`` is found in
                ``00A482`` and not in ``0A4820``: bytes match bytes.
            session_id: within this session, which is quick; without one, all logs are read.
            since: sent or received then or later.
        """
        wanted = validation.hex_pattern(pattern, "pattern")
        most = validation.whole(limit, "limit", least=0)
        parameters: dict[str, Any] = {"pattern": f"%{wanted}%", "after": 0, "limit": _SEARCHED}
        if session_id is not None:
            parameters["session_id"] = self._bind["session_id"](session_id)
        if since is not None:
            parameters["since"] = self._time(since)
        found: list[CommLog] = []
        while len(found) < most:
            page = self._many("search_hex", parameters)
            found += [entry for entry in page if _holds(entry.raw_data, wanted)]
            if len(page) < _SEARCHED:
                break
            parameters["after"] = page[-1].id
        return found[:most]


def _holds(raw_data: str, wanted: str) -> bool:
    """Return whether the bytes contain the others: an odd offset in the hex splits a byte."""
    at = raw_data.find(wanted)
    while at > 0 and at % 2:
        at = raw_data.find(wanted, at + 1)
    return at >= 0
