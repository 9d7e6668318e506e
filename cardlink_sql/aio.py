"""The layer in asyncio: units of work, key look-ups, the recorder and events, all in threads.

It adds no second set of gateways. A function works on a unit of work as anywhere else, and
:func:`run` keeps it off the thread of the event loop::

    session = await aio.run(manager, lambda uow: uow.sessions.get_by_id(session_id))
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from functools import partial
from time import monotonic
from typing import Final, ParamSpec, TypedDict, TypeVar, Unpack

from cardlink_sql.database.event_bus import DatabaseEvent
from cardlink_sql.errors import ConnectionError, QueryError, RecorderFullError
from cardlink_sql.live.calls import PUTS
from cardlink_sql.live.key_store import KeyStore
from cardlink_sql.live.recorder import Recorder
from cardlink_sql.manager import DatabaseManager
from cardlink_sql.outbox.listener import Listener
from cardlink_sql.unit_of_work import UnitOfWork, check_callable, check_instance

P = ParamSpec("P")
T = TypeVar("T")

# How long a look for the next event holds its thread, and so the exit of the process.
_LOOK_S: Final = 1.0
_PAUSE_WHEN_FULL: Final = 0.01


class RunOptions(TypedDict, total=False):
    """The options of :meth:`DatabaseManager.run`."""

    read_only: bool
    prefer_replica: bool
    attempts: int
    within: float
    timeout: float | None


async def run(
    manager: DatabaseManager, work: Callable[[UnitOfWork], T], **options: Unpack[RunOptions]
) -> T:
    """Run ``work(uow)`` as :meth:`DatabaseManager.run` does, on a thread.

    The manager's threads are as many as its pool has connections, so work queues for a thread
    and not for a connection. Cancelled, it is rolled back, unless its COMMIT was sent before.

    Args:
        manager: the database.
        work: a plain function of one argument, the unit of work.
        options: as :meth:`DatabaseManager.run` takes them.
    """
    check_instance(manager, DatabaseManager, "manager")
    check_callable(work)
    is_cancelled = False

    def refuse_if_cancelled() -> None:
        if is_cancelled:
            raise QueryError("the task that waited for this unit of work was cancelled")

    def unless_cancelled(uow: UnitOfWork) -> T:
        refuse_if_cancelled()
        try:
            result = work(uow)
        except StopIteration as error:
            # A future cannot carry it, so the coroutine would wait for ever (PEP 479).
            raise RuntimeError("the work raised StopIteration") from error
        refuse_if_cancelled()
        return result

    try:
        once = partial(manager.run, unless_cancelled, **options)
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(manager.threads, copy_context().run, once)
    except asyncio.CancelledError:
        is_cancelled = True
        raise


async def get_key(store: KeyStore, identity: str) -> bytes | None:
    """Return the PSK of an identity, as :meth:`KeyStore.get_key` does.

    It runs on the default threads of the loop, apart from the units of work.
    """
    check_instance(store, KeyStore, "store")
    return await asyncio.to_thread(store.get_key, identity)


async def identity_exists(store: KeyStore, identity: str) -> bool:
    """Return whether a card claims an identity."""
    check_instance(store, KeyStore, "store")
    return await asyncio.to_thread(store.identity_exists, identity)


async def get_all_identities(store: KeyStore) -> list[str]:
    """Return the identities of all cards that have a PSK, in order."""
    check_instance(store, KeyStore, "store")
    return await asyncio.to_thread(store.get_all_identities)


async def put(method: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
    """Call a recorder's method that puts something in, and await room where it is full.

    The call itself never waits, so a coroutine may also make it without this function and treat
    a full recorder as an error.

    Raises:
        RecorderFullError: there was no room within the recorder's ``full_timeout``, or it was
            made to refuse.
    """
    recorder = getattr(method, "__self__", None)
    if not isinstance(recorder, Recorder) or getattr(method, "__name__", "") not in PUTS:
        raise QueryError(
            "expected a method of a Recorder that puts something in",
            remedy="await put(recorder.add_log, …), flush(recorder) or close(recorder)",
        )
    deadline = monotonic() + recorder.full_timeout
    while True:
        try:
            return method(*args, **kwargs)
        except RecorderFullError:
            if not recorder.waits_when_full or monotonic() > deadline:
                raise
        await asyncio.sleep(_PAUSE_WHEN_FULL)


async def flush(recorder: Recorder, timeout: float = 30.0) -> None:
    """Return when all that was put in before is committed, as :meth:`Recorder.flush`."""
    check_instance(recorder, Recorder, "recorder")
    await asyncio.to_thread(recorder.flush, timeout)


async def close(recorder: Recorder, timeout: float = 30.0) -> None:
    """Take nothing more, and return when all is committed, as :meth:`Recorder.close`."""
    check_instance(recorder, Recorder, "recorder")
    await asyncio.to_thread(recorder.close, timeout)


def listen(
    manager: DatabaseManager, after: int | None = None, *, interval: float = 0.5
) -> "EventStream":
    """Return the events that other managers and processes commit, for ``async for``.

    Args:
        manager: the database.
        after: the ``position`` to go on from, 0 for all that are kept; without it, from now.
        interval: seconds between two looks, as :meth:`DatabaseManager.listen` takes it.
    """
    check_instance(manager, DatabaseManager, "manager")
    return EventStream(partial(manager.listen, after, interval=interval))


class EventStream(AsyncIterator[DatabaseEvent]):
    """The events of other managers, in the order of their commits; :func:`listen` makes it.

    It serves one task; a second one that asks while the first waits gets a ``QueryError``.
    ``async with`` begins to listen and ends it; without the block the first event asked for
    begins, and :meth:`aclose` ends. Cancelling a task that waits for an event loses none: the
    next one asked for is the one that it waited for. An error of :meth:`Listener.get` is raised
    once, then the stream goes on.
    """

    def __init__(self, make: Callable[[], Listener]) -> None:
        self._make = make
        self._listener: Listener | None = None
        self._is_closed = False
        self._thread = ThreadPoolExecutor(1, "cardlink-listen")
        self._next: asyncio.Future[DatabaseEvent | None] | None = None
        self._is_awaited = False

    async def __anext__(self) -> DatabaseEvent:
        if self._is_awaited:
            raise QueryError(
                "another task awaits the next event of this stream",
                remedy="call listen() once for each task",
            )
        self._is_awaited = True
        try:
            return await self._event()
        finally:
            self._is_awaited = False

    async def _event(self) -> DatabaseEvent:
        while not self._is_closed:
            if self._next is None:
                self._next = asyncio.get_running_loop().run_in_executor(self._thread, self._look)
            try:
                event = await asyncio.shield(self._next)
            except asyncio.CancelledError:
                raise  # what the thread finds is for the next one that asks
            except Exception:
                self._next = None
                raise
            self._next = None
            if event is not None:
                return event
        raise StopAsyncIteration

    async def aclose(self) -> None:
        """End it at once, whether an event is awaited or not."""
        self._close()

    def __del__(self) -> None:
        # A plain ``async for`` that was left or cancelled has nobody else to end it.
        self._close()

    async def __aenter__(self) -> "EventStream":
        await asyncio.get_running_loop().run_in_executor(self._thread, self._open)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    def _close(self) -> None:
        self._is_closed = True
        if self._listener is not None:
            self._listener.close()
        self._thread.shutdown(wait=False)

    # Called on the thread of the listener

    def _open(self) -> Listener:
        if self._listener is None:
            self._listener = self._make()
            if self._is_closed:
                self._listener.close()
        return self._listener

    def _look(self) -> DatabaseEvent | None:
        listener = self._open()
        try:
            event = listener.get(_LOOK_S)
        except ConnectionError:
            return None  # the listener has logged it, and tries again
        if listener.is_closed:
            self._is_closed = True
        return event
