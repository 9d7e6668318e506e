"""Writes batches for as long as it takes, whatever becomes of the database meanwhile."""

import logging
from collections.abc import Iterator
from time import sleep
from typing import Final

from cardlink_sql.database.retry import pause_after
from cardlink_sql.errors import ConflictError, DatabaseError
from cardlink_sql.live.batch import BatchWriter, Item, RefusedItem
from cardlink_sql.manager import DatabaseManager

_log: Final = logging.getLogger(__name__)

# Failures after which items that may be at fault are written in smaller parts, or refused.
_SPLIT_AFTER: Final = 3
_REFUSE_AFTER: Final = 5


class PersistentWriter:
    """Writes each item once, or refuses it. Returns only then, however long that takes.

    Args:
        manager: the database.
    """

    def __init__(self, manager: DatabaseManager) -> None:
        self._batches = BatchWriter(manager)

    def write_all(self, items: list[Item]) -> Iterator[tuple[list[Item], list[RefusedItem]]]:
        """Yield each part of the items when it is committed, with what was refused of it."""
        size = len(items)
        while items:
            part = items[:size]
            refused = self._write(part)
            if refused is None:
                size = len(part) // 2
            else:
                yield part, refused
                items = items[len(part) :]
                size *= 2

    def _write(self, part: list[Item]) -> list[RefusedItem] | None:
        """Write a part; returns what was refused, or ``None`` to have it in smaller parts."""
        failures = 0
        while True:
            try:
                refused = self._batches.write(part)
            except Exception as error:
                failures += 1
                if failures == 1:
                    _report(error)
                if failures >= _SPLIT_AFTER and self._is_at_fault(part, error, failures):
                    only = part[0]
                    refusal = [RefusedItem(only.method, only.session_id, error)]
                    return None if len(part) > 1 else refusal
                sleep(pause_after(failures))
            else:
                if failures:
                    _log.info("the recorder writes again")
                return refused

    def _is_at_fault(self, part: list[Item], error: Exception, failures: int) -> bool:
        """Return whether the database works but for these items, such as one too large for it."""
        if self._batches.is_in_doubt or not self._batches.takes_writes():
            return False
        is_alone = not isinstance(error, ConflictError) and failures >= _REFUSE_AFTER
        return len(part) > 1 or is_alone


def _report(error: Exception) -> None:
    is_known = isinstance(error, DatabaseError)
    what = error.headline if isinstance(error, DatabaseError) else type(error).__name__
    _log.warning(
        "the recorder tries again until it can write: %s",
        what,
        exc_info=None if is_known else error,
    )
