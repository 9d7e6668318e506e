"""Reads the events that other processes commit.

The outbox numbers them without gaps, in the order of the commits. So a number says all there
is to know about a place among them: what was read, where to go on, and whether any are gone.
The listener polls the counter.
"""

import logging
import math
import os
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from threading import Lock
from typing import Final, TypeVar

from cardlink_sql.database.event_bus import DatabaseEvent
from cardlink_sql.database.pool import Pool
from cardlink_sql.database.transaction import Transaction
from cardlink_sql.errors import (
    ConflictError,
    ConnectionError,
    DatabaseError,
    NotFoundError,
    QueryError,
    StateError,
)
from cardlink_sql.model import validation
from cardlink_sql.outbox.gateway import OutboxGateway
from cardlink_sql.outbox.publisher import Publisher
from cardlink_sql.queries import Library

_log: Final = logging.getLogger(__name__)
T = TypeVar("T")

# Events read at a time.
_PAGE: Final = 500
_GONE: Final = "purged before they were read, or lost when the database was restored"


class Listener:
    """The events of other managers, in the order of their commits; ``manager.listen()`` makes it.

    Iterate it, or call :meth:`get`: from one thread, while any may :meth:`close` it. A lost
    connection is replaced, and no event is missed meanwhile. A forked child may use its
    copy, over new connections.
    """

    def __init__(
        self,
        pool: Pool,
        publisher: Publisher,
        library: Library,
        *,
        after: int | None,
        interval: float,
        timeout: float | None,
    ) -> None:
        _check_database(pool)
        self._pool = pool
        self._publisher = publisher
        self._library = library
        self._interval = validation.seconds(interval, "interval")
        self._timeout = None if timeout is None else validation.waiting_time(timeout, "timeout")
        # Read and not yet handed out: an event's number, and the event where it is wanted.
        self._read: deque[tuple[int, DatabaseEvent | DatabaseError | None]] = deque()
        self._closed = False
        self._is_lost = False
        self._process = os.getpid()
        self._reading = Lock()
        self._open = _held()
        last_id, publishes = self._ask(OutboxGateway.get_counter)
        if not publishes:
            raise StateError(
                "publishing of events is turned off in this database",
                pool.config.safe_url,
                "turn it on: cardlink-db events on, or manager.publish_events()",
            )
        self._position = last_id if after is None else validation.whole(after, "after", least=0)
        self._next = self._position

    @property
    def position(self) -> int:
        """Return the number of the last event that was handed out or passed over.

        ``manager.listen(after=position)`` continues after it.
        """
        return self._position

    @property
    def is_closed(self) -> bool:
        """Return whether it was closed, by :meth:`close` or with its manager."""
        return self._closed

    def get(self, timeout: float | None = None) -> DatabaseEvent | None:
        """Return the next event, as soon as there is one.

        Args:
            timeout: seconds to wait; without it, for ever.

        Returns:
            The event, or ``None`` where the time is over or the listener was closed.

        Raises:
            NotFoundError: events after the position were purged, or the database was restored;
                said once, then the listener goes on with what there is.
            ConnectionError: the database did not answer at the end of the time. The position is
                kept: go on as if nothing had happened.
        """
        wait = math.inf if timeout is None else validation.waiting_time(timeout, "timeout")
        self._adopt()
        with self._reading:
            return self._next_until(time.monotonic() + wait)

    def close(self) -> None:
        """End it: whoever waits for an event at this moment gets ``None``, an iteration ends.

        A signal's handler may call it, too.
        """
        self._adopt()
        self._closed = True
        with suppress(RuntimeError):  # it is closed already
            self._open.release()

    def __iter__(self) -> "Listener":
        return self

    def __next__(self) -> DatabaseEvent:
        event = self.get(self._timeout)
        if event is None:
            raise StopIteration
        return event

    def __enter__(self) -> "Listener":
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def _next_until(self, deadline: float) -> DatabaseEvent | None:
        while not self._closed:
            while self._read:
                self._position, found = self._read.popleft()
                if isinstance(found, DatabaseError):
                    raise found
                if found is not None:
                    return found
            fault = self._look()
            if self._read:
                continue
            rest = deadline - time.monotonic()
            if rest <= 0:
                if fault is not None:
                    raise fault
                return None
            self._open.acquire(timeout=min(rest, self._interval))
        return None

    def _adopt(self) -> None:
        """In a forked child: leave to the parent what is its own."""
        if self._process != os.getpid():
            self._process = os.getpid()
            self._reading = Lock()
            self._open = _held()

    def _look(self) -> DatabaseError | None:
        """Read what there is; return the error if the database cannot be reached now."""
        try:
            last_id, _ = self._ask(OutboxGateway.get_counter)
            if last_id != self._next:
                self._fill(last_id)
        except (ConnectionError, ConflictError) as error:
            if not self._is_lost:
                what = "events after %d wait until the database answers: %s"
                _log.warning(what, self._next, error)
            self._is_lost = True
            return error
        if self._is_lost:
            self._is_lost = False
            _log.info("events are heard again")
        return None

    def _fill(self, last_id: int) -> None:
        if last_id < self._next:
            self._say(last_id, f"the events end at {last_id}, so the database was replaced")
            return
        origin = self._publisher.origin
        rows = self._ask(lambda outbox: outbox.read_after(self._next, origin, _PAGE))
        for number, event in rows:
            self._expect(number)
            self._read.append((number, event))
            self._next = number
        if not rows:
            self._expect(last_id + 1)

    def _expect(self, number: int) -> None:
        """Say which events are missing before this number."""
        first, last = self._next + 1, number - 1
        if first <= last:
            self._say(last, f"the events {first} to {last} are gone: {_GONE}")

    def _say(self, position: int, what: str) -> None:
        where = f"events after {self._next}"
        remedy = "reload your data, then keep listening"
        self._read.append((position, NotFoundError(what, where, remedy)))
        self._next = position

    def _ask(self, question: Callable[[OutboxGateway], T]) -> T:
        with Transaction(self._pool, self._publisher, read_only=True) as transaction:
            return question(OutboxGateway(transaction, self._library))


def _held() -> Lock:
    """Return a lock that is held while the listener is open: to wait for it is to wait for the end.

    A signal's handler may release a lock; it may not set an event.
    """
    lock = Lock()
    lock.acquire()
    return lock


def _check_database(pool: Pool) -> None:
    where = pool.config.safe_url
    if pool.config.is_memory:
        raise QueryError(
            "a database in memory is this manager's own, so there is nobody to listen to",
            where,
            "use manager.events.on",
        )
    if pool.config.is_sqlite and pool.read_only:
        raise QueryError(
            "a manager that is read-only may not see what others write to an SQLite file",
            where,
            "listen through a manager that is not",
        )
