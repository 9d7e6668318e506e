"""Hears the events that other processes commit.

The outbox numbers them without gaps, in the order of the commits. So a number says all there
is to know about a place among them: what was read, where to go on, and whether any are gone.
What wakes the listener (PostgreSQL's NOTIFY, elsewhere the clock) only says when to look.
"""

import logging
import math
import os
import selectors
import socket
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from threading import Lock
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, TypeVar

from cardlink_sql.database.driver_errors import translate
from cardlink_sql.database.event_bus import DatabaseEvent
from cardlink_sql.database.transaction import Transaction
from cardlink_sql.dialect import Dialect
from cardlink_sql.errors import (
    ConflictError,
    ConnectionError,
    DatabaseError,
    NotFoundError,
    QueryError,
    StateError,
    ValidationError,
)
from cardlink_sql.model import validation
from cardlink_sql.outbox.gateway import OutboxGateway

if TYPE_CHECKING:
    from cardlink_sql.manager import DatabaseManager

_log: Final = logging.getLogger(__name__)
T = TypeVar("T")

# Events read at a time.
_PAGE: Final = 500
# How often PostgreSQL is looked at without a notification, such as behind a pooler that loses them.
_SAFETY_S: Final = 30.0
# The name stands in sql/postgresql/outbox.sql, too.
_LISTEN: Final = "LISTEN cardlink_events"
_GONE: Final = "purged before they were read, or lost when the database was restored"
# epoll would be shared with a forked child.
_Selector: Final = getattr(selectors, "PollSelector", selectors.SelectSelector)


class Listener:
    """The events of other managers, in the order of their commits; ``manager.listen()`` makes it.

    Iterate it, or call :meth:`get`: from one thread, while any may :meth:`close` it. A lost
    connection is made anew, and nothing is missed meanwhile. A forked child may go on with its
    copy, over connections of its own.
    """

    def __init__(
        self,
        manager: "DatabaseManager",
        *,
        after: int | None,
        interval: float,
        timeout: float | None,
    ) -> None:
        _check_database(manager)
        self._manager = manager
        self._interval = _seconds(interval, "interval")
        self._timeout = None if timeout is None else validation.latency(timeout, "timeout")
        # What was read and not handed out: an event's number, and the event where it is wanted.
        self._read: deque[tuple[int, DatabaseEvent | DatabaseError | None]] = deque()
        self._closed = False
        self._is_lost = False
        self._process = os.getpid()
        self._reading = Lock()
        last_id, publishes = self._ask(OutboxGateway.get_counter)
        if not publishes:
            raise StateError(
                "nobody publishes events in this database",
                manager.config.safe_url,
                "turn it on: cardlink-db events on, or manager.publish_events()",
            )
        self._position = last_id if after is None else validation.whole(after, "after", least=0)
        self._next = self._position
        self._bell = _make_bell(manager, self._interval)

    @property
    def position(self) -> int:
        """The number of the last event that was handed out or passed over.

        ``manager.listen(after=position)`` goes on behind it.
        """
        return self._position

    @property
    def is_closed(self) -> bool:
        """Whether it was closed, by :meth:`close` or with its manager."""
        return self._closed

    def get(self, timeout: float | None = None) -> DatabaseEvent | None:
        """The next event, as soon as there is one.

        Args:
            timeout: seconds to wait; without it, for ever.

        Returns:
            The event, or ``None`` where the time is over or the listener was closed.

        Raises:
            NotFoundError: events behind the position were purged, or the database was restored;
                said once, then the listener goes on with what there is.
            ConnectionError: the database did not answer at the end of the time. The position is
                kept: go on as if nothing had happened.
        """
        wait = math.inf if timeout is None else validation.latency(timeout, "timeout")
        self._adopt()
        try:
            with self._reading:
                return self._next_until(time.monotonic() + wait)
        finally:
            if self._closed:
                self._free()

    def close(self) -> None:
        """End it: whoever waits for an event at this moment gets ``None``, an iteration ends.

        A signal's handler may call it, too.
        """
        self._adopt()
        self._closed = True
        self._bell.ring()
        self._free()

    def __iter__(self) -> "Listener":
        return self

    def __next__(self) -> DatabaseEvent:
        event = self.get(self._timeout)
        if event is None:
            raise StopIteration
        return event

    def __enter__(self) -> "Listener":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
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
            self._bell.wait(rest if fault is None else min(rest, self._interval))
        return None

    def _free(self) -> None:
        # Who is waiting holds the lock, and frees the bell when it has heard it.
        if self._reading.acquire(blocking=False):
            self._bell.free()
            self._reading.release()

    def _adopt(self) -> None:
        """In a forked child: leave to the parent what is its own."""
        if self._process != os.getpid():
            self._process = os.getpid()
            self._reading = Lock()
            self._bell.abandon()
            self._bell = _make_bell(self._manager, self._interval)

    def _look(self) -> DatabaseError | None:
        """Read what there is; gives the error where the database cannot be reached now."""
        try:
            # First: what is committed behind the reading rings.
            self._bell.prepare()
            last_id, _ = self._ask(OutboxGateway.get_counter)
            if last_id != self._next:
                self._fill(last_id)
        except (ConnectionError, ConflictError) as error:
            if not self._is_lost:
                _log.warning("events wait behind %d until it is mended: %s", self._next, error)
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
        origin = self._manager.publisher.origin
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
        where = f"events behind {self._next}"
        remedy = "read anew what you show, and go on listening"
        self._read.append((position, NotFoundError(what, where, remedy)))
        self._next = position

    def _ask(self, question: Callable[[OutboxGateway], T]) -> T:
        with Transaction(self._manager, read_only=True) as transaction:
            return question(OutboxGateway(transaction, self._manager.library))


class _Bell:
    """What a listener waits at: until it rings, or until it is time to look."""

    def __init__(self, interval: float) -> None:
        self._interval = interval
        self._ear, self._hammer = socket.socketpair()

    def prepare(self) -> None:
        """Before each look at the database: ring for what is committed after this."""

    def wait(self, seconds: float) -> None:
        """Wait until it rings, the interval is over, or ``seconds`` are."""
        self._select(min(seconds, self._interval))

    def ring(self) -> None:
        """End the waiting, and every later one; from any thread."""
        # A byte: closing the socket would not be seen while a forked child has it open.
        with suppress(OSError):
            self._hammer.send(b"!")

    def free(self) -> None:
        """Give back what it holds."""
        self._ear.close()
        self._hammer.close()

    def abandon(self) -> None:
        """The same in a forked child, where the parent goes on using it."""
        self.free()

    def _select(self, seconds: float, *others: int) -> bool:
        """Wait; gives whether one of the others has something to read."""
        with _Selector() as selector:
            for readable in (self._ear.fileno(), *others):
                selector.register(readable, selectors.EVENT_READ)
            ready = {key.fileobj for key, _ in selector.select(seconds)}
        return not ready.isdisjoint(others)


class _NotifiedBell(_Bell):
    """PostgreSQL's: a notification over a connection of its own rings it, too."""

    def __init__(self, manager: "DatabaseManager", interval: float) -> None:
        super().__init__(interval)
        self._manager = manager
        self._errors = manager.driver_errors
        # The driver's own: one that was detached from its pool has no other.
        self._connection: Any = None
        self._is_refused = False

    def prepare(self) -> None:
        if self._connection is None and not self._is_refused:
            self._listen()

    def wait(self, seconds: float) -> None:
        if self._connection is None:
            super().wait(seconds)
            return
        pgconn = self._connection.pgconn
        if self._select(min(seconds, _SAFETY_S), pgconn.socket):
            try:
                pgconn.consume_input()
                while pgconn.notifies():
                    pass
            except self._errors:
                self._hang_up()

    def free(self) -> None:
        self._hang_up()
        super().free()

    def abandon(self) -> None:
        # Its end here would be its end in the parent: it stays, and nobody uses it.
        _INHERITED.append(self._connection)
        self._connection = None
        super().abandon()

    def _listen(self) -> None:
        pooled = self._manager.take_connection()
        self._connection = pooled.driver_connection
        pooled.detach()
        try:
            self._connection.execute(_LISTEN)
        except self._errors as error:
            self._hang_up()
            fault = translate(Dialect.POSTGRESQL, error, _LISTEN)
            if not isinstance(fault, QueryError):
                raise fault from error
            # A replica takes no LISTEN; the events get there all the same.
            self._is_refused = True
            _log.info("events are looked for every %s s: %s", self._interval, fault)

    def _hang_up(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(*self._errors):
                connection.close()


_INHERITED: Final[list[object]] = []


def _make_bell(manager: "DatabaseManager", interval: float) -> _Bell:
    if manager.dialect is Dialect.POSTGRESQL:
        return _NotifiedBell(manager, interval)
    return _Bell(interval)


def _check_database(manager: "DatabaseManager") -> None:
    where = manager.config.safe_url
    if manager.config.is_memory:
        raise QueryError(
            "a database in memory is this manager's own, so there is nobody to listen to",
            where,
            "use manager.events.on",
        )
    if manager.config.is_sqlite and manager.read_only:
        raise QueryError(
            "a manager that is read-only may not see what others write to an SQLite file",
            where,
            "listen through a manager that is not",
        )


def _seconds(value: float, where: str) -> float:
    number = validation.latency(value, where)
    if not number:
        raise ValidationError("0 is not a number of seconds above 0", where)
    return number
