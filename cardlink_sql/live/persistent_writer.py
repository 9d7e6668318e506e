"""Writes batches for as long as it takes, whatever becomes of the database meanwhile."""

import logging
from collections.abc import Iterator
from enum import Enum, auto
from time import monotonic, sleep
from typing import Final

from cardlink_sql.database.retry import pause_after
from cardlink_sql.errors import ConflictError, ConnectionError, DatabaseError, StorageFullError
from cardlink_sql.live.batch import BatchWriter, Item, RefusedItem, by_session
from cardlink_sql.manager import DatabaseManager

_log: Final = logging.getLogger(__name__)

# Failures after which items that may be at fault are written in smaller parts.
_SPLIT_AFTER: Final = 3
# An item is refused that failed so often while the database took other writes: once could be
# the end of an outage.
_REFUSE_AFTER: Final = 3
# Seconds after which a conflict was a wait for somebody's lock, which does not go away soon.
_LONG_WAIT: Final = 2.0
# Seconds that a session may take while another program is known, or thought, to hold it.
_SHORT_WAIT: Final = 0.5

Outcome = tuple[list[Item], list[RefusedItem]]


class _Next(Enum):
    """How to go on with a part that the database does not take as it is."""

    SMALLER_PARTS = auto()
    EACH_SESSION = auto()


class PersistentWriter:
    """Writes each item once, or refuses it, however long that takes.

    Sessions that another program holds are set aside and tried again; the others go on.
    """

    def __init__(self, manager: DatabaseManager) -> None:
        self._batches = BatchWriter(manager)
        self._is_failing = False
        self._held: dict[str, list[Item]] = {}
        self._rounds = 0
        # When the held sessions are tried again, by the monotonic clock; None without any.
        self.due: float | None = None

    def write_all(self, items: list[Item]) -> Iterator[Outcome]:
        """Yield each part of the items when it is committed, with what was refused of it.

        Items of a held session come later, from this call or another.
        """
        yield from self._write_parts(self._set_aside(items))
        if self.due is not None and monotonic() >= self.due:
            yield from self._write_sessions(dict(self._held))

    def _set_aside(self, items: list[Item]) -> list[Item]:
        """Add the items of held sessions to theirs; returns the others."""
        free: list[Item] = []
        for item in items:
            self._held.get(item.session_id, free).append(item)
        return free

    def _write_parts(self, items: list[Item]) -> Iterator[Outcome]:
        size = len(items)
        while items:
            part, items = items[:size], items[size:]
            outcome = self._write(part)
            if outcome is _Next.SMALLER_PARTS:
                size, items = len(part) // 2, part + items
            elif outcome is _Next.EACH_SESSION:
                yield from self._write_sessions(by_session(part))
                items = self._set_aside(items)
            else:
                yield part, outcome
                size *= 2

    def _write(self, part: list[Item]) -> list[RefusedItem] | _Next:
        """Write a part; returns what was refused, or how to go on where it cannot be written."""
        failures = proofs = 0
        while True:
            began = monotonic()
            try:
                refused = self._batches.write(part)
            except Exception as error:
                failures += 1
                self._report(error)
                is_locked = isinstance(error, ConflictError)
                is_long = is_locked and monotonic() - began > _LONG_WAIT
                if (failures >= _SPLIT_AFTER or is_long) and self._is_at_fault(error):
                    if is_locked:
                        return _Next.EACH_SESSION
                    if len(part) > 1:
                        return _Next.SMALLER_PARTS
                    proofs += 1
                    if proofs == _REFUSE_AFTER:
                        return [RefusedItem(part[0].method, part[0].session_id, error)]
                sleep(pause_after(failures))
            else:
                self._report_success()
                return refused

    def _is_at_fault(self, error: Exception) -> bool:
        """Return whether the database works but for these items, such as one too large for it."""
        if self._batches.is_in_doubt or isinstance(error, StorageFullError):
            return False
        return self._batches.takes_writes()

    def _write_sessions(self, sessions: dict[str, list[Item]]) -> Iterator[Outcome]:
        """Write each session by itself; those that somebody has locked are held."""
        for session_id, items in sessions.items():
            self._held.pop(session_id, None)
            try:
                refused = self._batches.write(items, timeout=_SHORT_WAIT)
            except Exception as error:
                is_locked = isinstance(error, ConflictError | ConnectionError)
                if is_locked and not self._batches.is_in_doubt:
                    self._held[session_id] = items
                else:
                    yield from self._write_parts(items)
            else:
                yield items, refused
        self._rounds = self._rounds + 1 if self._held else 0
        self.due = monotonic() + pause_after(self._rounds + 4) if self._held else None

    # The log

    def _report(self, error: Exception) -> None:
        if self._is_failing:
            return
        self._is_failing = True
        what = "the recorder tries again until it can write: %s"
        if isinstance(error, DatabaseError):
            _log.warning(what, error.headline)
        else:
            _log.warning(what, type(error).__name__, exc_info=error)

    def _report_success(self) -> None:
        if self._is_failing:
            self._is_failing = False
            _log.info("the recorder writes again")
