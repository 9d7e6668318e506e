"""Writers of one process at one SQLite file take turns, for a limited time."""

import gc
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from cardlink_sql import ConflictError, DatabaseConfig, DatabaseManager, Dialect, UnitOfWork
from cardlink_sql.database import connection as connection_module
from cardlink_sql.database.writer_queue import WriterQueue, queue_of
from tests.conftest import device

LONG = 20.0
on_sqlite = pytest.mark.parametrize("dialect", [Dialect.SQLITE], ids=str, indirect=True)


def wait_until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + LONG
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.001)


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
    assert not queue.enter(0.01)
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
        with UnitOfWork(one) as uow, pytest.raises(ConflictError):
            uow.devices.create(device(2))
        holder.commit()
        with UnitOfWork(one) as uow:
            uow.devices.create(device(2))
            uow.commit()


@on_sqlite
def test_an_error_and_a_rollback_end_the_turn(manager: DatabaseManager) -> None:
    for number in range(3):
        with pytest.raises(ZeroDivisionError), UnitOfWork(manager) as uow:
            uow.devices.create(device(number))
            raise ZeroDivisionError
        with UnitOfWork(manager) as uow:
            uow.devices.create(device(number))
            uow.rollback()
            in_thread(manager, 100 + number)
    with UnitOfWork(manager, read_only=True) as uow:
        assert uow.devices.count() == 3


@on_sqlite
def test_a_thread_that_died_in_its_unit_of_work_lets_the_others_in(
    manager: DatabaseManager,
) -> None:
    def die() -> None:
        UnitOfWork(manager).__enter__().devices.create(device(1))

    thread = threading.Thread(target=die)
    thread.start()
    thread.join(LONG)
    gc.collect()
    in_thread(manager, 2)
    with UnitOfWork(manager, read_only=True) as uow:
        assert [one.id for one in uow.devices.get_all()] == [device(2).id]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_forked_child_waits_for_no_thread_of_its_parent(tmp_path: Path) -> None:
    file = tmp_path / "file.db"
    held = queue_of(file)
    assert held.enter(LONG)
    with held._lock:
        child = os.fork()
        if not child:
            held.leave()
            os._exit(0 if queue_of(file).enter(0) else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert queue_of(file) is held
    held.leave()


def in_thread(manager: DatabaseManager, number: int) -> None:
    """Write a device on another thread, which must not wait."""
    done = threading.Event()

    def write() -> None:
        with UnitOfWork(manager) as uow:
            uow.devices.create(device(number))
            uow.commit()
        done.set()

    threading.Thread(target=write, daemon=True).start()
    assert done.wait(5)
