"""Writers of one process at one SQLite file take turns, for a limited time."""

import gc
import os
import signal
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest

from cardlink_sql import (
    ConflictError,
    DatabaseConfig,
    DatabaseError,
    DatabaseManager,
    QueryError,
    UnitOfWork,
)
from cardlink_sql.database import connection as connection_module, fork_gate
from cardlink_sql.database.writer_queue import WriterQueue, queue_of
from tests.conftest import add, committed, device, device_ids, on_sqlite, wait_until
from tests.test_threads import in_thread

LONG = 20.0


def test_writers_are_let_in_as_they_came() -> None:
    queue, order = WriterQueue(), []
    assert queue.enter(LONG)

    def write(number: int) -> None:
        assert queue.enter(LONG)
        order.append(number)
        queue.leave()

    threads = [threading.Thread(target=write, args=(number,)) for number in range(8)]
    for number, thread in enumerate(threads, 1):
        thread.start()
        wait_until(lambda number=number: len(queue._waiting) == number)  # type: ignore[misc]
    queue.leave()
    for thread in threads:
        thread.join(LONG)
    assert order == list(range(8))
    assert queue.enter(0)


def test_a_writer_that_comes_back_does_not_keep_the_others_out() -> None:
    queue, entered = WriterQueue(), threading.Event()
    assert queue.enter(LONG)

    def write() -> None:
        assert queue.enter(LONG)
        entered.set()
        queue.leave()

    thread = threading.Thread(target=write)
    thread.start()
    started = time.monotonic()
    while not entered.is_set():
        queue.leave()
        assert queue.enter(LONG)
        assert time.monotonic() - started < LONG
    queue.leave()
    thread.join(LONG)
    assert queue.enter(0)


def test_a_wait_that_is_given_up_leaves_the_queue_as_it_was() -> None:
    queue = WriterQueue()
    assert queue.enter(LONG)
    with ThreadPoolExecutor(1) as threads:
        assert not threads.submit(queue.enter, 0.01).result(LONG)
    assert not queue._waiting
    queue.leave()
    assert queue.enter(0)


def test_one_file_has_one_queue_by_whatever_path(tmp_path: Path) -> None:
    link = tmp_path / "link.db"
    link.symlink_to(tmp_path / "file.db")
    assert queue_of(tmp_path / "file.db") is queue_of(tmp_path / "x" / ".." / "file.db")
    assert queue_of(link) is queue_of(tmp_path / "file.db")
    assert queue_of(tmp_path / "other.db") is not queue_of(link)


@on_sqlite
def test_a_wait_for_another_writer_is_a_conflict_in_the_end(
    manager: DatabaseManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection_module, "LOCK_TIMEOUT_MS", 50)
    with UnitOfWork(manager) as holder, DatabaseManager(DatabaseConfig(manager.config.url)) as one:
        holder.devices.create(device(1))
        with ThreadPoolExecutor(1) as threads, pytest.raises(ConflictError):
            threads.submit(add, one, device(2)).result(LONG)
        holder.commit()
        add(one, device(2))


@on_sqlite
def test_an_error_and_a_rollback_end_the_turn(manager: DatabaseManager) -> None:
    for number in range(3):
        with pytest.raises(ZeroDivisionError), UnitOfWork(manager) as uow:
            uow.devices.create(device(number))
            raise ZeroDivisionError
        with UnitOfWork(manager) as uow:
            uow.devices.create(device(number))
            uow.rollback()
            assert in_thread(partial(add, manager, device(100 + number))) is None
    assert len(device_ids(manager)) == 3


@on_sqlite
def test_a_thread_that_waits_for_itself_is_refused_at_once(manager: DatabaseManager) -> None:
    def nested(uow: UnitOfWork) -> None:
        uow.devices.create(device(1))
        manager.run(lambda inner: inner.devices.create(device(2)))

    started = time.monotonic()
    with pytest.raises(QueryError, match="would wait for itself"):
        manager.run(nested)
    assert time.monotonic() - started < 1
    assert in_thread(partial(add, manager, device(3))) is None


@on_sqlite
@pytest.mark.parametrize("kept", [True, False], ids=["unit kept", "unit forgotten"])
def test_a_thread_that_died_in_its_unit_of_work_lets_the_others_in(
    manager: DatabaseManager, kept: bool
) -> None:
    units = []

    def die() -> None:
        uow = UnitOfWork(manager).__enter__()
        uow.devices.create(device(1))
        if kept:
            units.append(uow)

    thread = threading.Thread(target=die)
    thread.start()
    thread.join(LONG)
    gc.collect()
    assert in_thread(partial(add, manager, device(2))) is None
    assert device_ids(manager) == [device(2).id]


@on_sqlite
@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_child_forked_next_to_threads_reads_and_writes(manager: DatabaseManager) -> None:
    done = threading.Event()

    def use(read_only: bool) -> None:
        while not done.is_set():
            manager.run(lambda uow: uow.settings.set_value("a.b", 1), read_only=False)
            manager.run(lambda uow: uow.devices.count(), read_only=read_only)

    with ThreadPoolExecutor(4) as threads:
        for number in range(4):
            threads.submit(use, number % 2 == 0)
        codes = [
            child_of(lambda: manager.run(lambda uow: uow.settings.set_value("a.b", 2)))
            for _ in range(15)
        ]
        done.set()
    assert codes == [0] * 15


@on_sqlite
@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_child_forked_inside_a_unit_of_work_that_writes_is_refused(
    manager: DatabaseManager,
) -> None:
    with committed(manager) as uow:
        uow.devices.create(device(1))
        assert child_of(lambda: add(manager, device(2))) == REFUSED
    assert child_of(lambda: add(manager, device(2))) == 0
    assert len(device_ids(manager)) == 2


@on_sqlite
@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_child_forked_while_another_thread_reads_on_is_refused(
    manager: DatabaseManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fork_gate, "_LONGEST_WAIT_S", 0.1)
    reading, done = threading.Event(), threading.Event()

    def read() -> None:
        with UnitOfWork(manager, read_only=True) as uow:
            uow.devices.count()
            reading.set()
            assert done.wait(LONG)

    thread = threading.Thread(target=read)
    thread.start()
    assert reading.wait(LONG)
    assert child_of(lambda: add(manager, device(1))) == REFUSED
    done.set()
    thread.join(LONG)
    assert in_thread(partial(add, manager, device(1))) is None


REFUSED = 3


def child_of(work: Callable[[], object]) -> int:
    """The exit code of a forked child that does the work, for a limited time."""
    child = os.fork()
    if not child:
        code = 1
        try:
            signal.alarm(int(LONG))
            work()
            code = 0
        except DatabaseError as error:
            code = REFUSED if "forked" in str(error) else 2
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
