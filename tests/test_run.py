"""manager.run: what runs again, what does not, and a COMMIT whose answer was lost."""

import asyncio
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest

from cardlink_sql import (
    CommitInDoubtError,
    ConflictError,
    ConnectionError,
    DatabaseConfig,
    DatabaseManager,
    IntegrityError,
    NotFoundError,
    QueryError,
    UnitOfWork,
    ValidationError,
)
from cardlink_sql.database.retry import LONGEST_PAUSE, pause_after
from tests.conftest import add, device, device_ids, on_servers, on_sqlite
from tests.cutting_proxy import CuttingProxy
from tests.test_manager import kill_connections


@pytest.fixture
def cut(manager: DatabaseManager, proxy: CuttingProxy) -> Iterator[DatabaseManager]:
    """A manager that connects through the proxy."""
    with proxy.manager(manager) as through:
        yield through


class Work:
    """Creates a device in each run and counts its runs; the first ones raise."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)
        self.runs = 0

    def __call__(self, uow: UnitOfWork) -> str:
        self.runs += 1
        created = uow.devices.create(device(self.runs)).id
        if self.errors:
            raise self.errors.pop(0)
        return created


def test_the_work_is_committed_and_its_result_returned(manager: DatabaseManager) -> None:
    assert manager.run(Work()) == "device-0001"
    assert device_ids(manager) == ["device-0001"]


def test_a_read_only_run_reads(manager: DatabaseManager) -> None:
    assert manager.run(lambda uow: uow.devices.count(), read_only=True) == 0
    with pytest.raises(QueryError, match="read-only"):
        manager.run(Work(), read_only=True)


def test_a_conflict_and_a_broken_connection_run_again(manager: DatabaseManager) -> None:
    work = Work(ConflictError("lost"), ConnectionError("broke"))
    assert manager.run(work) == "device-0003"
    assert device_ids(manager) == ["device-0003"]


@on_sqlite
@pytest.mark.parametrize(
    "error",
    [
        NotFoundError("no row"),
        IntegrityError("taken"),
        QueryError("wrong"),
        CommitInDoubtError("lost"),
        ValueError("its own"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_any_other_error_does_not(manager: DatabaseManager, error: Exception) -> None:
    work = Work(error)
    with pytest.raises(type(error)) as raised:
        manager.run(work)
    assert raised.value is error
    assert work.runs == 1
    assert device_ids(manager) == []


@on_sqlite
def test_the_attempts_end(manager: DatabaseManager) -> None:
    work = Work(*(ConflictError("lost") for _ in range(9)))
    with pytest.raises(ConflictError) as raised:
        manager.run(work, attempts=3)
    assert work.runs == 3
    assert raised.value.__notes__ == ["given up after 3 attempts"]


@on_sqlite
def test_no_attempt_begins_after_the_time(manager: DatabaseManager) -> None:
    work = Work(*(ConflictError("lost") for _ in range(9)))
    with pytest.raises(ConflictError):
        manager.run(work, attempts=9, within=0)
    assert work.runs == 1


def test_work_that_has_committed_by_itself_does_not_run_again(manager: DatabaseManager) -> None:
    def work(uow: UnitOfWork) -> None:
        uow.devices.create(device(1))
        uow.commit()
        raise ConflictError("lost")

    with pytest.raises(QueryError, match="committed a part by itself"):
        manager.run(work)
    assert device_ids(manager) == ["device-0001"]


async def coroutine(uow: UnitOfWork) -> None:
    uow.devices.create(device(1))


def generator(uow: UnitOfWork) -> Iterator[int]:
    yield uow.devices.count()


@pytest.mark.parametrize(
    ("work", "attempts", "message"),
    [
        (None, 1, "work: expected a function, got NoneType"),
        (coroutine, 1, "coroutine function"),
        (generator, 1, "generator function"),
        *((Work(), attempts, "attempts") for attempts in (0, -1, 1.5, True)),
    ],
)
def test_a_wrong_argument_is_refused(work: Any, attempts: int, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        DatabaseManager("sqlite://").run(work, attempts=attempts)


def test_the_pauses_grow_to_a_limit_and_differ() -> None:
    for failures in (1, 2, 5, 50, 100_000):
        assert 0.5 * pause_after(failures) <= LONGEST_PAUSE
    assert max(pause_after(1) for _ in range(50)) < min(pause_after(3) for _ in range(50))
    assert len({pause_after(3) for _ in range(50)}) > 40


@on_servers
def test_both_sides_of_a_deadlock_get_through(manager: DatabaseManager) -> None:
    add(manager, device(1), device(2))
    both_hold_one = Barrier(2, timeout=10)
    runs = {1: 0, 2: 0}

    def work(first: int, second: int) -> None:
        def update(uow: UnitOfWork) -> None:
            runs[first] += 1
            uow.devices.update(device(first, notes=f"by {first}"))
            if runs[first] == 1:
                both_hold_one.wait()
            uow.devices.update(device(second, notes=f"by {first}"))

        manager.run(update)

    with ThreadPoolExecutor(2) as threads:
        list(threads.map(work, (1, 2), (2, 1)))

    assert sorted(runs.values()) == [1, 2]
    with UnitOfWork(manager) as uow:
        assert len({one.notes for one in uow.devices.get_all()}) == 1


@on_sqlite
def test_a_writer_that_waited_too_long_for_the_lock_gets_through(
    manager: DatabaseManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cardlink_sql.database.sqlite.LOCK_TIMEOUT_MS", 1)
    with DatabaseManager(manager.config) as impatient, UnitOfWork(manager) as holder:
        holder.devices.create(device(9))
        with ThreadPoolExecutor(1) as threads:
            done = threads.submit(impatient.run, Work(), attempts=100)
            with pytest.raises(TimeoutError):
                done.result(0.1)
            holder.rollback()
            assert done.result(20)
    assert len(device_ids(manager)) == 1


@on_servers
def test_a_connection_that_is_killed_before_the_commit_runs_again(
    manager: DatabaseManager,
) -> None:
    runs = []

    def work(uow: UnitOfWork) -> None:
        runs.append(uow.devices.create(device(1)).id)
        if len(runs) == 1:
            kill_connections(one)
        uow.devices.create(device(2))

    with DatabaseManager(manager.config) as one:
        manager.engine.dispose()
        one.run(work)
    assert len(runs) == 2
    assert device_ids(manager) == ["device-0001", "device-0002"]


@on_servers
def test_a_server_that_is_away_for_a_moment_is_asked_again(
    manager: DatabaseManager, proxy: CuttingProxy, cut: DatabaseManager
) -> None:
    proxy.is_down = True
    with ThreadPoolExecutor(1) as threads:
        done = threads.submit(cut.run, Work(), attempts=100)
        with pytest.raises(TimeoutError):
            done.result(0.1)
        proxy.is_down = False
        done.result(20)
    assert len(device_ids(manager)) == 1


@on_servers
@pytest.mark.parametrize(("what", "kept"), [("lose", []), ("answer", ["device-0001"])])
def test_a_lost_answer_to_a_commit_is_an_error_of_its_own_and_does_not_run_again(
    manager: DatabaseManager, proxy: CuttingProxy, cut: DatabaseManager, what: str, kept: list[str]
) -> None:
    work = Work()
    assert cut.health_check()["status"] == "healthy"
    proxy.at_commit = what
    with pytest.raises(CommitInDoubtError, match="its answer is lost") as raised:
        cut.run(work)
    assert isinstance(raised.value, ConnectionError)
    assert work.runs == 1
    assert device_ids(manager) == kept
    assert cut.run(lambda uow: uow.devices.count()) == len(kept)


@on_sqlite
def test_sqlite_is_never_in_doubt(manager: DatabaseManager) -> None:
    with DatabaseManager(DatabaseConfig(manager.config.url)) as one, UnitOfWork(one) as uow:
        uow.devices.create(device(1))
        uow._transaction._connection.pooled.driver_connection.close()  # type: ignore[union-attr]
        with pytest.raises(Exception) as raised:
            uow.commit()
        assert not isinstance(raised.value, CommitInDoubtError)


def test_a_unit_of_work_for_writing_in_an_event_loop_warns_once(manager: DatabaseManager) -> None:
    async def work() -> None:
        with UnitOfWork(one, read_only=True):
            pass
        for _ in range(3):
            with UnitOfWork(one):
                pass

    with DatabaseManager(manager.config) as one, warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with UnitOfWork(one):
            pass
        asyncio.run(work())
        assert len(caught) == 1
        assert caught[0].category is RuntimeWarning
        assert "await cardlink_sql.aio.run(manager, work)" in str(caught[0].message)
        assert caught[0].filename == __file__


def test_a_thread_next_to_the_event_loop_does_not_warn(manager: DatabaseManager) -> None:
    async def work() -> str:
        return await asyncio.to_thread(manager.run, Work())

    assert asyncio.run(work()) == "device-0001"
