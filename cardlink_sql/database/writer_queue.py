"""The writers of one process at one SQLite file, first come, first served.

SQLite lets one writer in at a time and makes the others poll, so that an unlucky one waits for
seconds. Other processes still meet in SQLite's busy handler.
"""

import os
from collections import deque
from pathlib import Path
from threading import Lock, Semaphore
from time import monotonic
from typing import Final

# How long a turn lasts: a writer that comes back within it needs no change of threads, which costs
# more than what it writes. Then the first in the queue has its turn.
_TURN_S: Final = 0.0015
# How often the first looks whether nobody writes.
_LOOK_EVERY_S: Final = 0.002


class WriterQueue:
    """A lock that no writer waits for much longer than another."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._is_held = False
        self._turn_ends = 0.0
        self._waiting: deque[_Waiter] = deque()

    def enter(self, timeout: float) -> bool:
        """Wait for the turn; return whether it came within ``timeout`` seconds."""
        with self._lock:
            if not self._is_held:
                self._is_held = True
                return True
            waiter = _Waiter()
            self._waiting.append(waiter)
            waiter.is_first = self._waiting[0] is waiter
            if waiter.is_first:
                self._turn_ends = waiter.since + _TURN_S
        try:
            while not self._takes_turn(waiter):
                rest = waiter.since + timeout - monotonic()
                if rest <= 0:
                    return not self._gives_up(waiter)
                waiter.woken.acquire(timeout=min(rest, _LOOK_EVERY_S) if waiter.is_first else rest)
        except BaseException:
            if not self._gives_up(waiter):
                self.leave()
            raise
        return True

    def leave(self) -> None:
        """Let the next writer in."""
        with self._lock:
            if self._waiting and monotonic() >= self._turn_ends:
                first = self._waiting[0]
                self._hand_to(first)
                first.woken.release()
            else:
                self._is_held = False

    def after_fork(self) -> None:
        """Forget the parent's threads: none of them releases the lock in the child."""
        self._lock = Lock()

    def _takes_turn(self, waiter: "_Waiter") -> bool:
        with self._lock:
            if waiter.is_first and not waiter.has_turn and not self._is_held:
                self._hand_to(waiter)
            return waiter.has_turn

    def _gives_up(self, waiter: "_Waiter") -> bool:
        """Leave the queue; return false where the turn came at this moment."""
        with self._lock:
            if not waiter.has_turn:
                self._remove(waiter)
            return not waiter.has_turn

    def _hand_to(self, waiter: "_Waiter") -> None:
        self._is_held = waiter.has_turn = True
        self._turn_ends = monotonic() + _TURN_S
        self._remove(waiter)

    def _remove(self, waiter: "_Waiter") -> None:
        self._waiting.remove(waiter)
        if self._waiting and not self._waiting[0].is_first:
            self._waiting[0].is_first = True
            self._waiting[0].woken.release()


class _Waiter:
    __slots__ = ("has_turn", "is_first", "since", "woken")

    def __init__(self) -> None:
        self.since = monotonic()
        self.has_turn = False
        self.is_first = False
        self.woken = Semaphore(0)


_QUEUES: Final[dict[Path, WriterQueue]] = {}
_LOCK = Lock()


def queue_of(file: Path) -> WriterQueue:
    """Return the queue of a database file, whatever path leads to it."""
    with _LOCK:
        return _QUEUES.setdefault(file.resolve(), WriterQueue())


def _after_fork() -> None:
    global _LOCK  # noqa: PLW0603 - a thread of the parent may have held it
    _LOCK = Lock()
    for queue in _QUEUES.values():
        queue.after_fork()
    # What the parent's transactions hold is theirs.
    _QUEUES.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
