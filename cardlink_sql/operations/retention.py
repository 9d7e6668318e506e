"""How long rows are kept: deleting what is older, while others write.

For ``cardlink-db purge`` and for the timer of a server::

    purged = purge(manager, retention_days(manager))

The work is done in batches, each a short, separate transaction, so an interrupt leaves only whole
batches. Old rows are searched for outside of them: on SQLite, where one writer waits for the
other, a batch holds the database for a few hundredths of a second, then pauses equally long so
that other writers can proceed. Purging twice at once does no harm.
"""

import math
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Final

from cardlink_sql.database.backend import backend_of
from cardlink_sql.database.retry import PATIENT_ATTEMPTS, PATIENT_SECONDS
from cardlink_sql.dialect import Dialect
from cardlink_sql.errors import ValidationError
from cardlink_sql.gateways.tests import TestGateway
from cardlink_sql.manager import DatabaseManager
from cardlink_sql.model import validation
from cardlink_sql.model.progress import OnProgress, no_progress
from cardlink_sql.outbox.gateway import OutboxGateway
from cardlink_sql.unit_of_work import UnitOfWork

TABLES: Final = ("logs", "sessions", "tests", "events")
_SETTINGS: Final = {
    "logs": "retention.logs_days",
    "sessions": "retention.sessions_days",
    "tests": "retention.tests_days",
}
# The outbox of events serves listeners, which lag by seconds.
_EVENTS_DAYS: Final = 7.0

_SESSIONS: Final = 200
_LONGEST_PAUSE: Final = 0.05  # seconds


# Called after each batch with the rows of each table that are gone for good.
OnBatch = Callable[[Mapping[str, int]], object]


def retention_days(manager: DatabaseManager, tables: Iterable[str] = TABLES) -> dict[str, float]:
    """After how many days the rows of each table may go, as the settings say.

    Logs go by ``retention.logs_days``, sessions by ``retention.sessions_days``, tests by
    ``retention.tests_days``; the events of the outbox after 7 days.

    Raises:
        ValidationError: a table is not among :data:`TABLES`.
    """
    with UnitOfWork(manager, read_only=True) as uow:
        return {
            name: uow.settings.get_float(_SETTINGS[name]) if name in _SETTINGS else _EVENTS_DAYS
            for name in _known(tables)
        }


def count_old(
    manager: DatabaseManager,
    days: Mapping[str, float],
    on_rows: OnProgress = no_progress,
) -> dict[str, int]:
    """Count the rows that :func:`purge` would delete, by table.

    It reads the whole log, in pages; ``on_rows`` is called with the number of entries of each.
    """
    _checked(days)
    counts = Counter[str]()
    with UnitOfWork(manager, read_only=True) as uow:
        if "sessions" in days:
            ended = days["sessions"]
            counts["logs"] = uow.sessions.count_old_logs(ended, days.get("logs"), on_rows)
            counts["sessions"] = uow.sessions.count_old(ended)
        if "logs" in days:
            counts["logs"] += uow.logs.count_old(days["logs"], on_rows)
        for table in ("tests", "events"):
            if table in days:
                counts[table] = _gateway(uow, table).count_old(days[table])
    return _in_order(counts)


def purge(
    manager: DatabaseManager,
    days: Mapping[str, float],
    on_batch: OnBatch = lambda _rows: None,
) -> dict[str, int]:
    """Delete rows older than so many days; return the number deleted in each table.

    Args:
        manager: the database.
        days: a number of days for each table to be purged, such as :func:`retention_days`
            returns. An entry of ``logs`` is as old as its timestamp; one of ``sessions`` as its
            end, and one that has not ended stays; one of ``tests`` as its ``created_at``; one
            of ``events`` as its time. Sessions go with their logs, which count as ``logs``.
        on_batch: called once after each batch, with its rows of each table; what it raises ends
            the purge between two batches.

    A session goes with its whole log in one transaction, unless the log is larger than a
    batch: then the log goes first, in batches.

    Raises:
        ValidationError: a table is not among :data:`TABLES`, or a number of days not above 0.
        ConflictError: a batch met conflicts for two minutes; the earlier ones are kept.
    """
    _checked(days)
    work = _Purge(manager, on_batch)
    if "sessions" in days:
        work.sessions(days["sessions"])
    if "logs" in days:
        work.logs(days["logs"])
    for table in ("tests", "events"):
        if table in days:
            work.counted(table, days[table])
    return _in_order(work.purged)


class _Purge:
    """A purge that is under way."""

    def __init__(self, manager: DatabaseManager, on_batch: OnBatch) -> None:
        self.purged = Counter[str]()
        self._manager = manager
        self._on_batch = on_batch
        self._batch = backend_of(manager.dialect).purge_rows
        self._sessions_at_once = _SESSIONS

    def sessions(self, days: float) -> None:
        self.purged.update(logs=0, sessions=0)
        stuck: object = None
        while True:
            with UnitOfWork(self._manager, read_only=True) as uow:
                found = self._next_sessions(uow, days)
            # Where another purge was quicker, the next look finds others. Rows that stay
            # although they were to be deleted are skipped, not tried for ever.
            if not found[0] or found == stuck:
                return
            gone = self._write(partial(self._delete, sessions=found[0], entries=found[1]))
            stuck = None if gone else found

    def logs(self, days: float) -> None:
        self.purged.update(logs=0)
        after = 0
        while True:
            with UnitOfWork(self._manager, read_only=True) as uow:
                entries = uow.logs.find_old(days, self._batch, after)
            if not entries:
                return
            self._write(partial(self._delete, entries=entries))
            after = entries[-1]

    def counted(self, table: str, days: float) -> None:
        """Purge a table whose old rows are quick to count."""
        self.purged[table] = 0
        before: float = math.inf
        # Where another purge deletes the same rows first, a round leaves some.
        while 0 < (left := self._count_old(table, days)) < before:
            before = left
            while left > 0:
                # Not more than there are, or the last batch would read the table to its end.
                limit = min(self._batch, left)
                gone = self._write(partial(self._purge_old, table=table, days=days, limit=limit))
                left = left - gone if gone else 0

    def _next_sessions(self, uow: UnitOfWork, days: float) -> tuple[list[str], list[int]]:
        """As many old sessions as fit a batch with their logs, or one, and so much of the log."""
        ids = uow.sessions.find_old(days, self._sessions_at_once)
        entries = uow.logs.find_of_sessions(ids, self._batch)
        while len(entries) == self._batch and len(ids) > 1:
            ids = ids[: len(ids) // 2]
            entries = uow.logs.find_of_sessions(ids, self._batch)
        self._sessions_at_once = min(2 * len(ids) or 1, _SESSIONS)
        return ids, entries

    def _delete(
        self, uow: UnitOfWork, entries: list[int], sessions: Sequence[str] = ()
    ) -> dict[str, int]:
        gone = {"logs": uow.logs.delete_many(entries)}
        if sessions and len(entries) < self._batch:
            gone["sessions"] = uow.sessions.delete_many(sessions)
        return gone

    def _count_old(self, table: str, days: float) -> int:
        with UnitOfWork(self._manager, read_only=True) as uow:
            return _gateway(uow, table).count_old(days)

    def _purge_old(self, uow: UnitOfWork, table: str, days: float, limit: int) -> dict[str, int]:
        return {table: _gateway(uow, table).purge_old(days, limit)}

    def _write(self, work: Callable[[UnitOfWork], dict[str, int]]) -> int:
        """Run one batch in a separate transaction; return the number of its rows."""
        started = time.monotonic()
        gone = self._manager.run(work, attempts=PATIENT_ATTEMPTS, within=PATIENT_SECONDS)
        self.purged.update(gone)
        self._on_batch(gone)
        if self._manager.dialect is Dialect.SQLITE:
            time.sleep(min(time.monotonic() - started, _LONGEST_PAUSE))
        return sum(gone.values())


def _gateway(uow: UnitOfWork, table: str) -> TestGateway | OutboxGateway:
    """Return the gateway of a table whose old rows are quick to count."""
    return uow.tests if table == "tests" else uow.outbox


def _known(tables: Iterable[str]) -> list[str]:
    named = list(tables)
    for name in named:
        if name not in TABLES:
            raise ValidationError(f"{name!r} is none of: {', '.join(TABLES)}", "tables")
    return named


def _checked(days: Mapping[str, float]) -> None:
    for name in _known(days):
        validation.days(days[name], f"days[{name!r}]")


def _in_order(rows: Mapping[str, int]) -> dict[str, int]:
    return {name: rows[name] for name in TABLES if name in rows}
