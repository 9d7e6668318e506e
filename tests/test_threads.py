"""A unit of work belongs to the thread that opened it, on each backend."""

import gc
import threading
from collections import Counter
from collections.abc import Callable
from contextlib import closing, suppress
from typing import Any

import pytest

from cardlink_sql import QueryError, UnitOfWork
from cardlink_sql.manager import DatabaseManager
from tests.conftest import card, device, device_ids, entry, iccid, on_sqlite

THREADS = 8


def in_thread(work: Callable[[], Any], name: str = "second") -> BaseException | None:
    """What ``work`` raised in a thread of its own."""
    raised: list[BaseException] = []

    def run() -> None:
        try:
            work()
        except BaseException as error:
            raised.append(error)

    thread = threading.Thread(target=run, name=name)
    thread.start()
    thread.join(20)
    assert not thread.is_alive()
    return raised[0] if raised else None


def at_once(work: Callable[[int], None]) -> None:
    """Run ``work`` in all threads, each let go at the same moment."""
    start = threading.Barrier(THREADS)

    def run(number: int) -> None:
        start.wait(20)
        work(number)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not any(thread.is_alive() for thread in threads)


def test_writes_of_many_threads_leave_the_owners_own_unchanged(manager: DatabaseManager) -> None:
    outcomes: Counter[str] = Counter()

    with UnitOfWork(manager) as uow:
        uow.devices.create(device(1))

        def write(number: int) -> None:
            for turn in range(50):
                try:
                    uow.devices.create(device(1000 + 100 * number + turn))
                except QueryError as error:
                    outcomes["refused" if "opened" in error.what else str(error)] += 1
                with suppress(QueryError):
                    uow.rollback()
                    outcomes["rolled back"] += 1

        race = threading.Thread(target=at_once, args=(write,))
        race.start()
        written = 1
        while race.is_alive():
            written += 1
            uow.devices.create(device(written))
        race.join(60)
        uow.commit()

    assert outcomes == {"refused": THREADS * 50}
    assert len(device_ids(manager)) == written


USES: dict[str, Callable[[UnitOfWork], Any]] = {
    "read": lambda uow: uow.devices.get_by_id("device-0001"),
    "list": lambda uow: uow.devices.get_all(),
    "count": lambda uow: uow.devices.count(),
    "exists": lambda uow: uow.devices.exists("device-0001"),
    "write": lambda uow: uow.devices.create(device(2)),
    "discard": lambda uow: uow.logs.discard(),
    "buffer": lambda uow: uow.logs.add_log(entry().session_id, "command", "00A4"),
    "flush": lambda uow: uow.logs.flush_batch(),
    "batch": lambda uow: uow.logs.add_log_batch([entry()]),
    "commit": lambda uow: uow.commit(),
    "rollback": lambda uow: uow.rollback(),
    "savepoint": lambda uow: uow.savepoint().__enter__(),
    "leave": lambda uow: uow.__exit__(None, None, None),
}


@on_sqlite
@pytest.mark.parametrize("use", USES)
def test_another_thread_gets_both_threads_and_the_remedy(uow: UnitOfWork, use: str) -> None:
    uow.devices.create(device(1))

    error = in_thread(lambda: USES[use](uow))

    assert isinstance(error, QueryError)
    assert "'second'" in error.what
    assert f"'{threading.current_thread().name}'" in error.what
    assert error.remedy == "open a unit of work in each thread: with UnitOfWork(manager) as uow: …"
    assert uow.devices.exists("device-0001")


def test_another_thread_cannot_take_a_buffer_or_a_half_read_stream(uow: UnitOfWork) -> None:
    uow.devices.create(device(1))
    uow.cards.create(card(1))
    session = uow.sessions.create_session(device_id="device-0001", card_iccid=iccid(1)).id
    uow.logs.add_log(session, "command", "00A4")
    assert isinstance(in_thread(uow.logs.flush_batch), QueryError)
    uow.logs.add_log(session, "response", "9000")
    uow.logs.flush_batch()

    stream = uow.logs.stream_session(session)
    assert next(stream).raw_data == "00A4"
    assert isinstance(in_thread(lambda: next(stream)), QueryError)
    assert isinstance(in_thread(stream.close), QueryError)
    assert [log.raw_data for log in stream] == ["9000"]
    with closing(uow.logs.stream_session(session)) as stream:
        assert next(stream).raw_data == "00A4"
    assert list(stream) == []


def test_a_thread_with_the_ident_of_a_dead_one_is_another(manager: DatabaseManager) -> None:
    work = UnitOfWork(manager, read_only=True)
    opener = threading.Thread(target=work.__enter__)
    opener.start()
    opener.join()
    # Most systems hand the ident out again at once.
    errors = [in_thread(work.devices.count) for _ in range(20)]
    assert {type(error) for error in errors} == {QueryError}
    del work, errors
    gc.collect()  # a test after this one may fork, which an open connection forbids


def test_a_unit_of_work_may_be_opened_again_by_another_thread(manager: DatabaseManager) -> None:
    work = UnitOfWork(manager, read_only=True)
    with work:
        assert work.devices.count() == 0

    def reopen() -> None:
        with work:
            assert work.devices.count() == 0

    assert in_thread(reopen) is None


def test_a_refused_exit_of_a_savepoint_leaves_it_to_its_owner(uow: UnitOfWork) -> None:
    uow.devices.create(device(1))
    savepoint = uow.savepoint()
    with pytest.raises(ZeroDivisionError), savepoint:
        uow.devices.create(device(2))
        assert isinstance(in_thread(lambda: savepoint.__exit__(None, None, None)), QueryError)
        raise ZeroDivisionError

    assert [one.id for one in uow.devices.get_all()] == ["device-0001"]
    uow.commit()
