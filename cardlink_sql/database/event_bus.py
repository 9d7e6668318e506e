"""Changes of the database, reported once they are committed.

The gateways note their writes in the transaction, and its commit hands them to the bus of the
manager: :class:`EventBus`, which is ``manager.events``.
"""

import logging
import threading
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import KW_ONLY, dataclass, field
from datetime import datetime
from enum import StrEnum
from threading import Lock
from typing import Any, Final, Generic, TypeVar

from cardlink_sql.errors import DatabaseError, ValidationError
from cardlink_sql.model.times import utc_now

_log: Final = logging.getLogger(__name__)
E = TypeVar("E")


class EventType(StrEnum):
    """The subject of an event."""

    DEVICE_CHANGED = "device_changed"
    PROFILE_CHANGED = "profile_changed"
    SESSION_CHANGED = "session_changed"
    LOG_ADDED = "log_added"
    BATCH_COMPLETED = "batch_completed"
    TEST_RESULT_ADDED = "test_result_added"
    SETTINGS_CHANGED = "settings_changed"
    DATABASE_ERROR = "database_error"


@dataclass(frozen=True, slots=True)
class DatabaseEvent:
    """Something that was committed, or an error of the database.

    Attributes:
        event_type: what it is about.
        entity_type: ``device``, ``card``, ``session``, ``log``, ``test_result``, ``setting`` or
            ``database``.
        entity_id: the key of the row; ``None`` where the event is about many, or none.
        action: what was done, such as ``created``, ``deleted`` or ``completed``.
        timestamp: when it was written, in UTC; the commit came later.
        data: JSON-ready values, such as the record as stored. Never a PSK.
        position: its number among the events of the database, where a listener yields it.
    """

    event_type: EventType
    entity_type: str
    entity_id: str | None
    action: str
    _: KW_ONLY
    timestamp: datetime = field(default_factory=utc_now)
    data: dict[str, Any] = field(default_factory=dict)
    position: int | None = None


Handler = Callable[[DatabaseEvent], object]
ALL: Final = "*"


class PendingEvents:
    """The writes of a transaction so far, as the events that its commit fires."""

    __slots__ = ("_logged", "events")

    def __init__(self) -> None:
        self.events: list[DatabaseEvent] = []
        # The place of the log_added of each session, while nothing else follows it.
        self._logged: dict[str, int] = {}

    def add(self, event: DatabaseEvent) -> None:
        """Note an event."""
        self.events.append(event)
        self._logged.clear()

    def add_logs(self, counts: Mapping[str, int]) -> None:
        """Note the entries written for each session: one event a session, batch upon batch."""
        for session_id, count in counts.items():
            at = self._logged.setdefault(session_id, len(self.events))
            if at == len(self.events):
                self.events.append(_log_added(session_id, count))
            else:
                self.events[at] = _log_added(session_id, count + self.events[at].data["count"])

    def mark(self) -> int:
        """Return the current count, for :meth:`undo`; later additions do not change it."""
        self._logged.clear()
        return len(self.events)

    def undo(self, mark: int) -> None:
        """Forget what came after the mark: a savepoint was rolled back."""
        del self.events[mark:]
        self._logged.clear()


class Bus(Generic[E]):
    """The handlers of a process, each with what it waits for; any thread may change them."""

    def __init__(self) -> None:
        self._registered: tuple[E, ...] = ()
        self.after_fork()

    def after_fork(self) -> None:
        """Begin again in a forked child: no thread of the parent holds the lock there."""
        self._lock = Lock()
        self._turn = _Turn()

    def _add(self, entry: E, handler: object) -> None:
        if not callable(handler):
            raise ValidationError(f"{type(handler).__name__} cannot be called", "handler")
        with self._lock:
            if entry not in self._registered:
                self._register((*self._registered, entry))

    def _remove(self, gone: E) -> bool:
        with self._lock:
            kept = tuple(entry for entry in self._registered if entry != gone)
            was_there = len(kept) < len(self._registered)
            self._register(kept)
        return was_there

    def _register(self, entries: tuple[E, ...]) -> None:
        # Replaced, never changed: a thread that is calling handlers finishes with the old ones.
        self._registered = entries


class EventBus(Bus[tuple[str, Handler]]):
    """Notifies the handlers of this process of what was committed.

    Events fire after the commit, in the order of the writes, on the thread that committed.
    Events that a handler itself commits, or emits, run on its thread when all handlers have seen
    what came before. A handler that raises is logged and stops nobody. All methods may be
    called from any thread, and by handlers.

    Attributes:
        wanted: the types of events that anybody waits for; nobody makes the others.
    """

    def __init__(self) -> None:
        super().__init__()
        self.wanted: frozenset[EventType] = frozenset()
        self._handlers: Mapping[EventType, tuple[Handler, ...]] = {}
        self._is_published = False

    def on(self, event_type: EventType | str, handler: Handler) -> None:
        """Call ``handler`` for every event of this type, or of all types: ``"*"``.

        Registered twice, or for a type and ``"*"``, it is called once an event. Handlers are
        called in the order in which they were registered.

        Raises:
            ValidationError: there is no such type, or the handler cannot be called.
        """
        self._add((_type_or_all(event_type), handler), handler)

    def off(self, event_type: EventType | str, handler: Handler) -> bool:
        """Undo :meth:`on` of the same arguments; whether there was anything to undo.

        It holds at once, even for the event that the calling handler has in its hands.

        Raises:
            ValidationError: there is no such type.
        """
        return self._remove((_type_or_all(event_type), handler))

    def emit(self, event: DatabaseEvent) -> None:
        """Notify the handlers of this process of an event, now; no other process sees it.

        Raises:
            ValidationError: this is not an event.
        """
        if not isinstance(event, DatabaseEvent):
            raise ValidationError(f"expected DatabaseEvent, got {type(event).__name__}", "event")
        self.fire((event,))

    def fire(self, events: Iterable[DatabaseEvent]) -> None:
        """Call the handlers of the events of a commit, in order."""
        turn = self._turn
        turn.queue.extend(events)
        if turn.is_running:
            return
        turn.is_running = True
        try:
            while turn.queue:
                self._tell(turn.queue.popleft())
        finally:
            turn.is_running = False
            turn.is_of_error = False

    def fail(self, error: DatabaseError) -> None:
        """Fire ``database_error`` for what the database refused.

        What handlers of ``database_error`` run into fires no other: it would never end.
        """
        if EventType.DATABASE_ERROR in self._handlers and not self._turn.is_of_error:
            kind = type(error).__name__
            data = {"error": kind, "what": error.what, "where": error.where}
            event = DatabaseEvent(EventType.DATABASE_ERROR, "database", None, "failed", data=data)
            self.fire((event,))

    def want_all(self, *, wanted: bool) -> None:
        """Want events of all types, handlers or not: they are published to other processes."""
        with self._lock:
            self._is_published = wanted
            self._register(self._registered)

    def _register(self, entries: tuple[tuple[str, Handler], ...]) -> None:
        super()._register(entries)
        self._handlers = {
            kind: tuple(told)
            for kind in EventType
            # A dict, for a set would lose the order.
            if (told := dict.fromkeys(handler for of, handler in entries if of in (kind, ALL)))
        }
        self.wanted = frozenset(EventType if self._is_published else self._handlers)

    def _tell(self, event: DatabaseEvent) -> None:
        kind = event.event_type
        self._turn.is_of_error = kind is EventType.DATABASE_ERROR
        for handler in self._handlers.get(kind, ()):
            if handler not in self._handlers.get(kind, ()):
                continue
            try:
                handler(event)
            except KeyboardInterrupt:
                raise
            except BaseException:  # not even SystemExit: what was written is committed
                _log.exception("the handler %s of %s raised", name_of_handler(handler), kind)


class _Turn(threading.local):
    """Whether a thread is reporting, and the events that it still has to report."""

    def __init__(self) -> None:
        self.queue: deque[DatabaseEvent] = deque()
        self.is_running = False
        self.is_of_error = False


def _log_added(session_id: str, count: int) -> DatabaseEvent:
    data = {"count": count}
    return DatabaseEvent(EventType.LOG_ADDED, "session", session_id, "logged", data=data)


def _type_or_all(event_type: EventType | str) -> str:
    if event_type in (ALL, *EventType):
        return str(event_type)
    listed = ", ".join([*EventType, ALL])
    raise ValidationError(f"{event_type!r} is not an event type", "event_type", f"one of: {listed}")


def name_of_handler(handler: Callable[..., object]) -> str:
    """Return a handler's name for a log: its module and its name there."""
    named = getattr(handler, "func", handler)
    name = getattr(named, "__qualname__", type(named).__qualname__)
    return f"{getattr(named, '__module__', None) or '?'}.{name}"
