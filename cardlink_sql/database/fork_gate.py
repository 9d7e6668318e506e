"""Lets a process fork only while no other thread uses SQLite.

A child inherits SQLite's state in the process: its mutexes and the locks of open transactions.
A lock that another thread holds at that moment is never released in the child.
"""

import os
from collections.abc import Callable
from threading import Event, RLock, get_ident
from time import monotonic, sleep
from typing import Any, Final

from cardlink_sql.errors import ConnectionError

# How long a fork waits for the units of work of other threads.
_LONGEST_WAIT_S: Final = 2.0


class ForkGate:
    """Closed while a thread forks: other threads take no connection then."""

    def __init__(self) -> None:
        # The thread of each connection in use, by what identifies it.
        self._users: dict[object, int] = {}
        self._open = Event()
        self._open.set()
        self._forking = RLock()
        self._is_unsafe = False

    def take(self, get: Callable[[], Any]) -> Any:
        """Return the connection that ``get`` takes from a pool, once the gate is open."""
        me = get_ident()
        # Before the look at the gate, so that a fork that closes it now sees this thread.
        key = (me,)
        self._users[key] = me
        if not self._open.is_set() or self._is_unsafe:
            self._pass(key, me)
        try:
            record = get()
            self._users[id(record)] = me
        finally:
            self._users.pop(key, None)
        return record

    def give_back(self, record: object) -> None:
        """Note that a connection is back in its pool."""
        self._users.pop(id(record), None)

    def _pass(self, key: object, me: int) -> None:
        """Wait for the gate, unless this thread has a connection, for whose end the fork waits."""
        del self._users[key]
        if self._is_unsafe:
            raise ConnectionError(
                "this process was forked while another thread used SQLite",
                remedy="fork while no unit of work is open, or start the process by spawn",
            )
        if me not in list(self._users.values()):
            self._open.wait(2 * _LONGEST_WAIT_S)
        self._users[key] = me

    def before_fork(self) -> None:
        """Close the gate, and wait until no other thread uses SQLite."""
        self._forking.acquire()
        self._open.clear()
        until = monotonic() + _LONGEST_WAIT_S
        while self._is_used_by_others() and monotonic() < until:
            sleep(0.001)

    def after_fork(self) -> None:
        """Open the gate again."""
        self._open.set()
        self._forking.release()

    def after_fork_in_child(self) -> None:
        """Forget the parent's connections, which the child must not touch."""
        self._is_unsafe = self._is_unsafe or self._is_used_by_others()
        self._users.clear()
        self._open, self._forking = Event(), RLock()
        self._open.set()

    def _is_used_by_others(self) -> bool:
        me = get_ident()
        return any(user != me for user in list(self._users.values()))


GATE: Final = ForkGate()

if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=GATE.before_fork,
        after_in_parent=GATE.after_fork,
        after_in_child=GATE.after_fork_in_child,
    )
