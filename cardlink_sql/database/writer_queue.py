"""The writers of one process at one SQLite file, first come, first served.

SQLite lets one writer in at a time and makes the others poll, so that an unlucky one waits for
seconds. Other processes still meet in SQLite's busy handler.
"""

import os
from collections import deque
from collections.abc import Callable
from pathlib import Path
from threading import Lock, Semaphore, Thread, current_thread
from time import monotonic
from typing import Final, Protocol, TypeAlias

from cardlink_sql.errors import QueryError

# How long a turn lasts: a writer that comes back within it needs no change of threads, which costs
# more than what it writes. Then the first in the queue has its turn.
_TURN_S: Final = 0.0015
# How often the first looks whether nobody writes.
_LOOK_EVERY_S: Final = 0.002


class Abandonable(Protocol):
    """A connection whose thread may end before its transaction."""

    def abandon(self) -> None:
        """Roll back, and leave the queue to who calls this."""


Holder: TypeAlias = Callable[[], Abandonable | None]


def _nobody() -> None:
    return None


class WriterQueue:
    """A lock that no writer waits for much longer than another."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._is_held = False
        # Its holder: the thread, and the connection where that is still in use.
        self._thread: Thread | None = None
        self._holder: Holder = _nobody
        self._is_lost = False
        self._turn_ends = 0.0
        self._waiting: deque[_Waiter] = deque()

    def enter(self, timeout: float, holder: Holder = _nobody) -> bool:
        """Wait for the turn; return whether it came within ``timeout`` seconds.

        ``holder`` returns the connection that writes, or ``None`` once nobody has it any more.
        """
        thread = current_thread()
        with self._lock:
            if self._is_lost:
                raise QueryError(
                    "this process was forked inside a unit of work that writes to this file",
                    remedy="fork while no unit of work is open, or start the process by spawn",
                )
            if not self._is_held:
                self._is_held, self._thread, self._holder = True, thread, holder
                return True
            if self._thread is thread:
                raise QueryError(
                    f"thread {thread.name!r} already has a unit of work that writes to this file,"
                    " so a second one would wait for itself",
                    remedy="write in the first one (pass its uow on), or commit it before you open"
                    " another",
                )
            waiter = _Waiter(thread, holder)
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
        """Forget the parent's threads: none of them releases the lock in the child.

        SQLite has inherited the lock of an open transaction, too.
        """
        self._lock = Lock()
        self._waiting.clear()
        self._is_lost = self._is_held

    def _takes_turn(self, waiter: "_Waiter") -> bool:
        with self._lock:
            if waiter.is_first and not waiter.has_turn:
                if self._is_held and self._thread is not None and not self._thread.is_alive():
                    # It ended inside its unit of work, whose transaction ends now.
                    holder = self._holder()
                    if holder is not None:
                        holder.abandon()
                    self._is_held = False
                if not self._is_held:
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
        self._thread, self._holder = waiter.thread, waiter.holder
        self._turn_ends = monotonic() + _TURN_S
        self._remove(waiter)

    def _remove(self, waiter: "_Waiter") -> None:
        self._waiting.remove(waiter)
        if self._waiting and not self._waiting[0].is_first:
            self._waiting[0].is_first = True
            self._waiting[0].woken.release()


class _Waiter:
    __slots__ = ("has_turn", "holder", "is_first", "since", "thread", "woken")

    def __init__(self, thread: Thread, holder: Holder) -> None:
        self.thread = thread
        self.holder = holder
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


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
