"""Records what a live server sees, without letting it wait for the database."""

import atexit
import logging
import os
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from itertools import chain
from time import monotonic
from typing import Any, Final, Literal

from cardlink_sql.errors import (
    ConnectionError,
    DatabaseError,
    RecorderFullError,
    StateError,
    ValidationError,
)
from cardlink_sql.live.batch import Item, RefusedItem
from cardlink_sql.live.calls import Calls
from cardlink_sql.live.persistent_writer import PersistentWriter
from cardlink_sql.manager import DatabaseManager
from cardlink_sql.model import validation
from cardlink_sql.model.json_value import Record
from cardlink_sql.unit_of_work import check_instance, runs_event_loop

_log: Final = logging.getLogger(__name__)

_EXIT_TIMEOUT: Final = 10.0


@dataclass(frozen=True, slots=True)
class RecorderFigures(Record):
    """How far a recorder is.

    Attributes:
        queued: items put in that are not committed yet.
        written: items committed.
        refused: items that the database refused, each of them reported.
        behind_ms: how long the oldest queued item has waited; 0 where none waits.
    """

    queued: int
    written: int
    refused: int
    behind_ms: float


class Recorder(Calls):
    """Takes sessions and APDUs from any thread or event loop; one thread of its own writes them.

    All that waits is written in one transaction, in the order of each session. A kill of the
    process loses what was put in during the last ``interval`` and the transaction under way.
    While the database is away the recorder keeps what it has and tries again. Values are checked
    when they are put in; what the database refuses then is left out, logged and reported.

    The APDUs of a session come from only one recorder: by their number it sees whether a COMMIT
    took place whose answer was lost.

    Args:
        manager: the database.
        interval: seconds that an item waits at most for others to be written with.
        capacity: items held at most, where each begun KiB of an item's values counts as one.
        when_full: ``wait`` lets a thread wait for room; ``refuse`` raises at once. On the thread
            of an event loop nothing waits: see :func:`cardlink_sql.aio.put`.
        full_timeout: seconds that ``wait`` waits.
        on_refused: called for each item that the database refused, on the recorder's thread.
    """

    def __init__(
        self,
        manager: DatabaseManager,
        *,
        interval: float = 0.05,
        capacity: int = 10_000,
        when_full: Literal["wait", "refuse"] = "wait",
        full_timeout: float = 30.0,
        on_refused: Callable[[RefusedItem], object] | None = None,
    ) -> None:
        check_instance(manager, DatabaseManager, "manager")
        if when_full not in ("wait", "refuse"):
            raise ValidationError(f"expected wait or refuse, got {when_full!r}", "when_full")
        self.interval: Final = validation.waiting_time(interval, "interval")
        self._capacity = validation.whole(capacity, "capacity", least=1)
        self.full_timeout = validation.waiting_time(full_timeout, "full_timeout")
        self.waits_when_full = when_full == "wait"
        if on_refused is not None and not callable(on_refused):
            raise ValidationError(f"{on_refused!r} cannot be called", "on_refused")
        self._on_refused = on_refused
        self._writer = PersistentWriter(manager)
        self._changed = threading.Condition()
        self._queue: deque[Item] = deque()
        self._in_hand: dict[int, Item] = {}
        self._weight = 0
        self._taken = self._written = self._refused = 0
        # The number of the last item that somebody waits for.
        self._wanted = 0
        self._is_closed = False
        self._exit_timeout = _EXIT_TIMEOUT
        self._stopped_by: BaseException | None = None
        self._thread: threading.Thread | None = None
        self._process = os.getpid()

    # Ending and watching

    def flush(self, timeout: float = 30.0) -> None:
        """Return when all that was put in before is committed, or refused and reported.

        Raises:
            ConnectionError: that took longer than ``timeout`` seconds. Nothing is lost by it.
        """
        self._check_process()
        if threading.current_thread() is self._thread:
            raise StateError("on_refused called flush(), which would wait for itself")
        limit = validation.waiting_time(timeout, "timeout")
        with self._changed:
            self._wanted = target = self._taken
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._done >= target or self._stopped_by, limit)
            left = target - self._done
        if left > 0 and self._stopped_by is not None:
            raise self._stopped()
        if left > 0:
            raise ConnectionError(
                f"{left} items are not committed after {limit:g} s",
                remedy="the recorder keeps trying; its log names the cause",
            )

    def close(self, timeout: float = 30.0) -> None:
        """Take nothing more, and return when all is committed. Safe to call again.

        In ``on_refused`` it returns at once, and all that waits is still written.

        Raises:
            ConnectionError: that took longer than ``timeout`` seconds. The recorder keeps trying
                until the process ends.
        """
        if self._process != os.getpid():
            return  # what it holds is its parent's to write
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()
        if threading.current_thread() is self._thread:
            return
        try:
            self.flush(timeout)
        except ConnectionError:
            self._exit_timeout = 0.001  # it was waited for: the exit only logs what is left
            raise
        if self._thread is not None:
            self._thread.join()
        atexit.unregister(self._at_exit)

    def figures(self) -> RecorderFigures:
        """Return how far the recorder is."""
        self._check_process()
        with self._changed:
            oldest = next(chain(self._in_hand.values(), self._queue), None)
            behind = 0.0 if oldest is None else (monotonic() - oldest.put_at) * 1000
            queued = len(self._in_hand) + len(self._queue)
            return RecorderFigures(queued, self._written, self._refused, round(behind, 3))

    def __enter__(self) -> "Recorder":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def _done(self) -> int:
        return self._written + self._refused

    def _check_process(self) -> None:
        # Before the lock: another thread of the parent may have held it at the fork.
        if self._process != os.getpid():
            raise StateError(
                "this recorder belongs to the process that forked this one",
                remedy="make a Recorder in each process",
            )

    def _put(
        self,
        method: str,
        session_id: str,
        values: dict[str, Any],
        *,
        card_of: str | None = None,
        is_now: bool = False,
    ) -> None:
        self._check_process()
        name = validation.session_id(session_id)
        item = Item(method, name, values, card_of, monotonic(), is_now)
        weight = item.weight
        with self._changed:
            if self._weight and self._weight + weight > self._capacity:
                self._wait_for_room(weight)
            self._refuse_closed()
            self._queue.append(item)
            self._taken += 1
            self._weight += weight
            if self._thread is None:
                self._start()
            elif len(self._queue) == 1 or self._weight * 2 >= self._capacity:
                self._changed.notify_all()

    def _wait_for_room(self, weight: int) -> None:
        may_wait = self.waits_when_full and not runs_event_loop()
        limit = self.full_timeout
        if not may_wait or threading.current_thread() is self._thread:
            limit = 0.0
        if not self._changed.wait_for(
            lambda: self._has_room(weight) or self._is_closed or self._stopped_by, limit
        ):
            raise RecorderFullError(
                f"the recorder is full: unwritten items take {self._weight}"
                f" of {self._capacity} places",
                remedy="look at its figures() and its log; in asyncio: await aio.put(…)",
            )

    def _has_room(self, weight: int) -> bool:
        return not self._weight or self._weight + weight <= self._capacity

    def _refuse_closed(self) -> None:
        if self._is_closed:
            raise StateError("the recorder is closed", remedy="make another one")
        if self._stopped_by is not None:
            raise self._stopped()

    def _stopped(self) -> StateError:
        return StateError(
            f"the recorder's thread ended: {type(self._stopped_by).__name__}",
            remedy="make another one; what was not committed is lost, and the log names the cause",
        )

    def _start(self) -> None:
        self._thread = threading.Thread(target=self._run, name="cardlink-recorder", daemon=True)
        self._thread.start()
        atexit.register(self._at_exit)

    def _at_exit(self) -> None:
        try:
            self.close(self._exit_timeout)
        except DatabaseError:
            _log.exception("the process ends before all was recorded")

    # On the recorder's thread

    def _run(self) -> None:
        try:
            while (batch := self._take()) is not None:
                for part, refused in self._writer.write_all(batch):
                    self._settle(part, refused)
        except BaseException as error:
            _log.critical("the recorder has stopped", exc_info=True)
            with self._changed:
                self._stopped_by = error
                self._changed.notify_all()

    def _take(self) -> list[Item] | None:
        """Wait until a batch is due; returns ``None`` when the recorder is closed and empty."""
        with self._changed:
            while True:
                times = [self._queue[0].put_at + self.interval] if self._queue else []
                if self._writer.due is not None:
                    times.append(self._writer.due)
                if not times and self._is_closed:
                    return None
                wait = min(times) - monotonic() if times else None
                if (wait is not None and wait <= 0) or (self._queue and self._is_urgent()):
                    break
                self._changed.wait(wait)
            batch = list(self._queue)
            self._in_hand.update((id(item), item) for item in batch)
            self._queue.clear()
            return batch

    def _is_urgent(self) -> bool:
        return self._is_closed or self._wanted > self._done or self._weight * 2 >= self._capacity

    def _settle(self, part: list[Item], refused: list[RefusedItem]) -> None:
        for refusal in refused:
            self._report_refusal(refusal)
        with self._changed:
            self._written += len(part) - len(refused)
            self._refused += len(refused)
            self._weight -= sum(item.weight for item in part)
            for item in part:
                del self._in_hand[id(item)]
            self._changed.notify_all()

    def _report_refusal(self, item: RefusedItem) -> None:
        error = item.error
        # A refused value could be quoted: the callback gets it, the log does not.
        shown = error.where if isinstance(error, ValidationError) else error
        kind = type(error).__name__
        _log.error("%s of session %s refused: %s: %s", item.method, item.session_id, kind, shown)
        if self._on_refused is not None:
            try:
                self._on_refused(item)
            except BaseException:  # not even SystemExit may end the thread that writes
                _log.exception("on_refused raised")
