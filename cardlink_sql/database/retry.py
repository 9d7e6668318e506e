"""When a unit of work may run again, and the pause before it does."""

import logging
import random
from collections.abc import Callable
from time import monotonic, sleep
from typing import Final, TypeVar

from cardlink_sql.errors import CommitInDoubtError, ConflictError, ConnectionError, DatabaseError

_log: Final = logging.getLogger(__name__)
T = TypeVar("T")

_FIRST_PAUSE: Final = 0.02
LONGEST_PAUSE: Final = 5.0
# For work that nobody can repeat by hand as cheaply: a batch of a purge, a whole import.
PATIENT_ATTEMPTS: Final = 50
PATIENT_SECONDS: Final = 120.0


def may_run_again(error: BaseException) -> bool:
    """Return whether nothing was kept and the same work may succeed later."""
    if isinstance(error, CommitInDoubtError):
        return False
    return isinstance(error, ConflictError | ConnectionError)


def pause_after(failures: int) -> float:
    """Return the seconds to wait after so many failures in a row.

    The pause doubles each time. Its random half keeps apart the transactions that met once.
    """
    longest = min(LONGEST_PAUSE, _FIRST_PAUSE * 2.0 ** min(failures - 1, 16))
    return longest * random.uniform(0.5, 1.0)  # noqa: S311 - a pause is not a secret


def run_again(work: Callable[[], T], attempts: int, within: float) -> T:
    """Run ``work`` until it succeeds, fails for good, or has had its attempts.

    Args:
        work: may run again after any error that :func:`may_run_again` accepts.
        attempts: the maximum number of runs; 1 means no retry.
        within: seconds after which no retry starts.
    """
    deadline = monotonic() + within
    failures = 0
    while True:
        try:
            return work()
        except DatabaseError as error:
            failures += 1
            pause = pause_after(failures)
            if not may_run_again(error):
                raise
            if failures >= attempts or monotonic() + pause > deadline:
                error.add_note(f"given up after {failures} attempts")
                raise
            _log.info("attempt %d of %d failed: %s", failures, attempts, error.headline)
        sleep(pause)
