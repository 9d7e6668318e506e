"""The layer in asyncio: the event loop never waits for the database."""

import asyncio
import os
import threading
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar
from functools import wraps
from time import monotonic
from typing import Any

import pytest

from cardlink_sql import (
    ConflictError,
    DatabaseConfig,
    DatabaseEvent,
    DatabaseManager,
    KeyStore,
    NotFoundError,
    QueryError,
    Recorder,
    RecorderFullError,
    StateError,
    UnitOfWork,
    ValidationError,
    aio,
)
from tests.conftest import (
    add,
    card,
    device,
    device_ids,
    on_sqlite,
    session_id,
    wait_until,
)

PATIENCE = 20


def in_loop(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Run a test's coroutine in a loop of its own; it may take so long and no longer."""

    @wraps(test)
    def run(*arguments: Any, **fixtures: Any) -> None:
        asyncio.run(asyncio.wait_for(test(*arguments, **fixtures), PATIENCE))

    return run


async def longest_standstill(work: Coroutine[Any, Any, Any]) -> float:
    """How long the loop stood still at most while ``work`` ran, in seconds."""
    longest = 0.0

    async def tick() -> None:
        nonlocal longest
        while True:
            before = monotonic()
            await asyncio.sleep(0.01)
            longest = max(longest, monotonic() - before)

    ticking = asyncio.create_task(tick())
    await asyncio.sleep(0.02)
    await work
    await asyncio.sleep(0.02)
    ticking.cancel()
    return longest


@in_loop
async def test_work_is_committed_on_a_thread_and_its_result_returned(
    manager: DatabaseManager,
) -> None:
    names = []

    def work(uow: UnitOfWork) -> str:
        names.append(threading.current_thread().name)
        return uow.devices.create(device(1)).id

    assert await aio.run(manager, work) == "device-0001"
    found = await aio.run(manager, lambda uow: uow.devices.count(), read_only=True)
    assert found == 1
    assert names[0].startswith("cardlink-aio")


@in_loop
async def test_it_runs_again_and_raises_as_run_does(manager: DatabaseManager) -> None:
    runs = []

    def work(uow: UnitOfWork) -> None:
        runs.append(uow)
        if len(runs) < 3:
            raise ConflictError("lost")

    async def coroutine(uow: UnitOfWork) -> None:
        pass

    await aio.run(manager, work)
    assert len(runs) == 3
    with pytest.raises(NotFoundError):
        await aio.run(manager, lambda uow: uow.devices.update(device(1)))
    with pytest.raises(ValidationError, match="coroutine function"):
        await aio.run(manager, coroutine)


@in_loop
async def test_the_loop_goes_on_while_two_wait_for_each_other(manager: DatabaseManager) -> None:
    await asyncio.to_thread(add, manager, device(1))
    held, let_go = threading.Event(), threading.Event()

    def first(uow: UnitOfWork) -> None:
        uow.devices.update_last_seen("device-0001")
        held.set()
        assert let_go.wait(PATIENCE)

    async def both() -> None:
        holding = asyncio.create_task(aio.run(manager, first))
        while not held.is_set():
            await asyncio.sleep(0.01)
        waiting = asyncio.create_task(
            aio.run(manager, lambda uow: uow.devices.update_last_seen("device-0001"))
        )
        done, _ = await asyncio.wait({waiting}, timeout=0.5)
        assert not done
        let_go.set()
        await asyncio.gather(holding, waiting)

    assert await longest_standstill(both()) < 2.0


def test_there_are_no_more_threads_than_connections(manager: DatabaseManager) -> None:
    running, most = 0, 0
    lock = threading.Lock()
    met = threading.Barrier(3)

    def work(uow: UnitOfWork) -> int:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        met.wait(PATIENCE)
        with lock:
            running -= 1
        return uow.devices.count()

    config = DatabaseConfig(manager.config.url, pool_size=2, max_overflow=1, pool_timeout=0.01)

    async def main() -> None:
        counts = await asyncio.gather(*(aio.run(one, work, read_only=True) for _ in range(12)))
        assert counts == [0] * 12

    with DatabaseManager(config) as one:
        in_loop(main)()
    assert most == 3


def test_a_manager_may_be_used_again_after_its_close(manager: DatabaseManager) -> None:
    async def main() -> None:
        assert await aio.run(one, lambda uow: uow.devices.count()) == 0

    with DatabaseManager(manager.config) as one:
        in_loop(main)()
        one.close()
        in_loop(main)()


@in_loop
async def test_the_context_comes_along(manager: DatabaseManager) -> None:
    request: ContextVar[str] = ContextVar("request")

    request.set("one")
    assert await aio.run(manager, lambda _uow: request.get(), read_only=True) == "one"


def test_cancelled_work_is_rolled_back(manager: DatabaseManager) -> None:
    created, go_on = threading.Event(), threading.Event()

    def work(uow: UnitOfWork) -> None:
        uow.devices.create(device(1))
        created.set()
        assert go_on.wait(PATIENCE)

    async def main() -> None:
        task = asyncio.create_task(aio.run(one, work))
        while not created.is_set():
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        go_on.set()

    with DatabaseManager(manager.config) as one:
        in_loop(main)()
        one.threads.shutdown(wait=True)
    assert device_ids(manager) == []


def test_a_forked_child_has_threads_of_its_own(manager: DatabaseManager) -> None:
    async def main() -> None:
        assert await aio.run(manager, lambda uow: uow.devices.count()) == 0

    in_loop(main)()
    child = os.fork()
    if not child:
        try:
            in_loop(main)()
        except BaseException:
            os._exit(1)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    in_loop(main)()


@in_loop
async def test_key_look_ups(manager: DatabaseManager) -> None:
    await aio.run(
        manager,
        lambda uow: uow.cards.create_with_psk(card(1), psk_identity="card_1", psk_key=b"k" * 16),
    )
    store = KeyStore(manager)

    assert await aio.get_key(store, "card_1") == b"k" * 16
    assert await aio.get_key(store, "nobody") is None
    assert await aio.identity_exists(store, "card_1")
    assert await aio.get_all_identities(store) == ["card_1"]
    with pytest.raises(ValidationError):
        await aio.get_key(store, 5)  # type: ignore[arg-type]


# The recorder


@in_loop
async def test_the_recorder_is_put_into_and_flushed(manager: DatabaseManager) -> None:
    with Recorder(manager, interval=3600) as recorder:
        session = await aio.put(recorder.open_session, card_iccid=None)
        await aio.put(recorder.add_log, session, "command", "00A4")
        recorder.add_log(session, "response", "9000")
        await aio.flush(recorder)
        assert recorder.figures().written == 3
        with pytest.raises(ValidationError):
            await aio.put(recorder.add_log, session, "command", "zz")
        with pytest.raises(QueryError, match="expected a method of a Recorder"):
            await aio.put(print, "x")
        with pytest.raises(QueryError, match="that puts something in"):
            await aio.put(recorder.flush)
        await aio.close(recorder)


@in_loop
async def test_a_full_recorder_is_awaited_and_the_loop_goes_on(manager: DatabaseManager) -> None:
    async def fill() -> None:
        for _ in range(20):
            await aio.put(recorder.open_session)

    with Recorder(manager, interval=3600, capacity=4) as recorder:
        with held(manager, recorder):
            filling = asyncio.create_task(fill())
            assert await longest_standstill(asyncio.sleep(0.3)) < 2.0
            assert not filling.done()
            assert recorder.figures().queued == 4
        await filling
        await aio.flush(recorder)
        assert recorder.figures().written == 21


@pytest.mark.parametrize("when_full", ["refuse", "wait"])
@in_loop
async def test_a_recorder_that_stays_full_refuses(manager: DatabaseManager, when_full: Any) -> None:
    with Recorder(
        manager, interval=3600, capacity=2, when_full=when_full, full_timeout=0.05
    ) as recorder:
        with held(manager, recorder):
            await aio.put(recorder.open_session)
            with pytest.raises(RecorderFullError):
                await aio.put(recorder.open_session)
        await aio.flush(recorder)


@contextmanager
def held(manager: DatabaseManager, recorder: Recorder) -> Iterator[None]:
    """While the block runs, the recorder's next session waits for another transaction."""
    ready, end = threading.Event(), threading.Event()

    def hold() -> None:
        with UnitOfWork(manager) as uow:
            uow.sessions.create_session(session_id=session_id(9))
            ready.set()
            end.wait(PATIENCE)

    with ThreadPoolExecutor(1) as thread:
        thread.submit(hold)
        assert ready.wait(PATIENCE)
        recorder.open_session(session_id=session_id(9))
        try:
            yield
        finally:
            end.set()


# Events


@pytest.fixture
def published(manager: DatabaseManager, owner: DatabaseManager) -> Iterator[DatabaseManager]:
    """A second manager, whose events are published."""
    owner.publish_events()
    with DatabaseManager(manager.config, keyring=manager.keyring) as writer:
        yield writer
    owner.publish_events(on=False)


def ids(events: list[DatabaseEvent]) -> list[str | None]:
    return [event.entity_id for event in events]


@in_loop
async def test_events_come_in_order(manager: DatabaseManager, published: DatabaseManager) -> None:
    events = []
    async with aio.listen(manager, interval=0.02) as stream:
        for number in range(5):
            await asyncio.to_thread(add, published, device(number))
        async for event in stream:
            events.append(event)
            if len(events) == 5:
                break
    assert ids(events) == [f"device-000{n}" for n in range(5)]
    with pytest.raises(StopAsyncIteration):
        await anext(stream)
    # Without a block: from a position, as after a restart.
    position = events[2].position
    async for event in aio.listen(manager, position, interval=0.02):
        assert event.entity_id == "device-0003"
        break


@in_loop
async def test_a_task_that_listens_can_be_cancelled_and_loses_no_event(
    manager: DatabaseManager, published: DatabaseManager
) -> None:
    async with aio.listen(manager, interval=0.02) as stream:
        for number in range(3):
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(anext(stream), 0.05)
            await asyncio.to_thread(add, published, device(number))
            assert (await anext(stream)).entity_id == f"device-000{number}"


@in_loop
async def test_a_stream_of_events_is_for_one_task(
    manager: DatabaseManager, published: DatabaseManager
) -> None:
    async with aio.listen(manager, interval=0.02) as stream:
        waiting = asyncio.create_task(stream.__anext__())
        await asyncio.sleep(0)  # it begins
        with pytest.raises(QueryError, match="another task awaits the next event"):
            await anext(stream)
        await asyncio.to_thread(add, published, device(1))
        assert (await waiting).entity_id == "device-0001"


@on_sqlite
@pytest.mark.parametrize(
    "call",
    [
        lambda manager: aio.get_key(manager, "card_1"),
        lambda manager: aio.identity_exists(manager, "card_1"),
        aio.get_all_identities,
        aio.flush,
        aio.close,
        lambda manager: aio.run(manager.config, lambda uow: None),
        lambda manager: aio.run(manager, None),
        lambda manager: anext(aio.listen(manager.config)),
    ],
)
@in_loop
async def test_a_wrong_argument_is_refused(manager: DatabaseManager, call: Any) -> None:
    with pytest.raises(ValidationError, match="expected a "):
        await call(manager)


def test_a_loop_over_events_that_is_cancelled_or_left_leaves_no_thread(
    manager: DatabaseManager, published: DatabaseManager
) -> None:
    async def watch() -> None:
        async for _ in aio.listen(manager, interval=0.02):
            pass

    async def main() -> None:
        before = monotonic()
        task = asyncio.create_task(watch())
        await asyncio.sleep(0.2)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert monotonic() - before < 5.0
        await asyncio.to_thread(add, published, device(1))
        async for event in aio.listen(manager, 0, interval=0.02):
            assert event.position
            break

    in_loop(main)()
    wait_until(lambda: "cardlink-listen" not in str(threading.enumerate()))


@in_loop
async def test_closing_ends_the_wait_for_an_event(
    manager: DatabaseManager, published: DatabaseManager
) -> None:
    async def collect(stream: aio.EventStream) -> list[DatabaseEvent]:
        return [event async for event in stream]

    stream = aio.listen(manager, interval=0.02)
    collecting = asyncio.create_task(collect(stream))
    await asyncio.sleep(0.1)
    await stream.aclose()
    assert await collecting == []
    with DatabaseManager(manager.config) as other:
        async with aio.listen(other, interval=0.02) as stream:
            collecting = asyncio.create_task(collect(stream))
            await asyncio.sleep(0.1)
            await asyncio.to_thread(other.close)
            assert await collecting == []


@in_loop
async def test_what_listening_raises_is_raised(
    manager: DatabaseManager, published: DatabaseManager
) -> None:
    async with aio.listen(manager, 10**9, interval=0.02) as stream:
        with pytest.raises(NotFoundError, match="the database was replaced"):
            await anext(stream)
        await asyncio.to_thread(add, published, device(1))
        assert (await anext(stream)).entity_id == "device-0001"


@in_loop
async def test_without_publishing_nobody_listens(manager: DatabaseManager) -> None:
    with pytest.raises(StateError, match="turned off"):
        await anext(aio.listen(manager))


@in_loop
async def test_stop_iteration_of_the_work_is_an_error(manager: DatabaseManager) -> None:
    with pytest.raises(RuntimeError, match="StopIteration"):
        await aio.run(manager, lambda _uow: next(iter([])))
