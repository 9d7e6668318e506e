"""A unit of work: one transaction, from ``with`` to its end."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from threading import Barrier, Event
from typing import Any

import pytest

from cardlink_sql import (
    ConflictError,
    DatabaseEvent,
    DatabaseManager,
    Dialect,
    IntegrityError,
    QueryError,
    UnitOfWork,
    ValidationError,
)
from tests.conftest import (
    MOMENT,
    add,
    card,
    device,
    device_ids,
    dump,
    entry,
    iccid,
    on_servers,
    on_sqlite,
    session_id,
)

KEY = session_id()


class BrokenError(Exception):
    """What a caller's own code raises."""


def test_leaving_keeps_what_was_committed_and_rolls_back_the_rest(manager: DatabaseManager) -> None:
    with UnitOfWork(manager) as uow:
        uow.commit()
        uow.rollback()
        uow.devices.create(device(1))
        assert uow.devices.count() == 1
        uow.commit()
        uow.devices.create(device(2))

    assert device_ids(manager) == ["device-0001"]


@on_sqlite
@pytest.mark.parametrize(
    ("work", "is_warned"),
    [
        (lambda uow: uow.devices.create(device()), True),
        (lambda uow: uow.logs.add_log(KEY, "command", "00"), True),
        (lambda uow: (uow.commit(), uow.devices.create(device())), True),
        (lambda uow: (uow.devices.create(device()), uow.commit()), False),
        (lambda uow: (uow.devices.create(device()), uow.rollback()), False),
        (lambda uow: uow.devices.get_all(), False),
    ],
    ids=["a write", "a buffered write", "after a commit", "commit", "rollback", "a read"],
)
def test_writes_that_end_without_commit_are_warned_of(
    manager: DatabaseManager,
    work: Callable[[UnitOfWork], object],
    is_warned: bool,
    caplog: pytest.LogCaptureFixture,
) -> None:
    with UnitOfWork(manager) as uow:
        work(uow)
    assert ["without commit()" in message for message in caplog.messages] == [True] * is_warned


def test_rollback_undoes_everything_since_the_last_commit(manager: DatabaseManager) -> None:
    with UnitOfWork(manager) as uow:
        uow.devices.create(device(1))
        uow.commit()
        uow.devices.create(device(2))
        uow.rollback()
        uow.devices.create(device(3))
        uow.commit()

    assert device_ids(manager) == ["device-0001", "device-0003"]


def test_an_error_inside_rolls_back_the_work_of_all_gateways(manager: DatabaseManager) -> None:
    with pytest.raises(BrokenError), UnitOfWork(manager) as uow:
        uow.devices.create(device())
        uow.cards.create(card())
        uow.sessions.create_session(session_id=KEY, device_id="device-0001", card_iccid=iccid())
        uow.logs.add_log(KEY, "command", "00")
        uow.logs.flush_batch()
        raise BrokenError

    assert not any(dump(manager).values())


def test_others_see_nothing_before_the_commit(manager: DatabaseManager) -> None:
    with UnitOfWork(manager) as uow, UnitOfWork(manager, read_only=True) as other:
        uow.devices.create(device(1))
        assert other.devices.count() == 0

        uow.commit()
        assert other.devices.count() == 1


def outside_calls(uow: UnitOfWork) -> list[Callable[[], Any]]:
    """What may be done inside the ``with`` block only."""
    return [
        uow.commit,
        uow.rollback,
        lambda: uow.savepoint().__enter__(),
        lambda: uow.devices.get_by_id("x"),
        lambda: uow.devices.find_by(model="x"),
        lambda: uow.devices.create(device()),
        lambda: uow.devices.delete_by_id("x"),
        lambda: uow.cards.get_psk_key_by_identity("x"),
        uow.sessions.get_statistics,
        uow.sessions.create_session,
        lambda: uow.logs.add_log(KEY, "command", "00"),
        lambda: uow.logs.add_log_batch([entry()]),
        lambda: uow.logs.create(entry()),
        lambda: uow.logs.find_by_session(KEY),
        lambda: list(uow.logs.stream_all()),
    ]


@on_sqlite
@pytest.mark.parametrize("read_only", [False, True])
def test_outside_the_with_block_it_is_an_error(manager: DatabaseManager, read_only: bool) -> None:
    uow = UnitOfWork(manager, read_only=read_only)
    error = r"is not open|read-only" if read_only else "this unit of work is not open"

    for call in outside_calls(uow):
        with pytest.raises(QueryError, match=error):
            call()
    with uow:
        devices, logs = uow.devices, uow.logs
        devices.count()
    for call in [
        *outside_calls(uow),
        lambda: devices.create(device()),
        lambda: logs.add_log(KEY, "command", "00"),
    ]:
        with pytest.raises(QueryError, match=error):
            call()

    assert device_ids(manager) == []


@pytest.mark.parametrize("database", ["sqlite:///x.db", None], ids=["a URL", "nothing"])
def test_a_unit_of_work_is_of_a_manager(database: Any) -> None:
    with pytest.raises(ValidationError, match="db_manager: expected a DatabaseManager, got"):
        UnitOfWork(database)


def test_a_unit_of_work_is_not_entered_twice(manager: DatabaseManager) -> None:
    with UnitOfWork(manager) as uow:
        uow.devices.create(device())
        with pytest.raises(QueryError, match="open already"):
            uow.__enter__()
        uow.commit()

    assert device_ids(manager) == ["device-0001"]


def writes(uow: UnitOfWork) -> list[Callable[[], Any]]:
    """Every way to write."""
    return [
        lambda: uow.devices.create(device(2)),
        lambda: uow.devices.create_all([device(2)]),
        lambda: uow.devices.update(device(1)),
        lambda: uow.devices.delete(device(1)),
        lambda: uow.devices.delete_by_id("device-0001"),
        lambda: uow.devices.delete_with_sessions("device-0001"),
        lambda: uow.devices.update_last_seen("device-0001", MOMENT),
        lambda: uow.devices.activate("device-0001"),
        lambda: uow.devices.deactivate("device-0001"),
        lambda: uow.cards.create(card(2)),
        lambda: uow.cards.create_with_psk(card(2), b"x", psk_identity="x"),
        lambda: uow.cards.update_psk(iccid(1), "x", b"x"),
        lambda: uow.cards.clear_psk(iccid(1)),
        uow.sessions.create_session,
        lambda: uow.sessions.start_session(KEY),
        lambda: uow.sessions.complete_session(KEY),
        lambda: uow.sessions.fail_session(KEY),
        lambda: uow.sessions.timeout_session(KEY),
        lambda: uow.sessions.set_tls_info(KEY, "x", "x"),
        uow.sessions.close_stale,
        lambda: uow.logs.add_log(KEY, "command", "00"),
        lambda: uow.logs.add_log_batch([entry()]),
        lambda: uow.logs.add_log_batch([entry()] * 20),
        lambda: uow.logs.create(entry()),
        lambda: uow.logs.purge_old(1),
        lambda: uow.savepoint().__enter__(),
    ]


def test_read_only_refuses_every_write(manager: DatabaseManager) -> None:
    with UnitOfWork(manager) as uow:
        uow.devices.create(device(1))
        uow.cards.create(card(1))
        uow.sessions.create_session(session_id=KEY, at=MOMENT)
        uow.logs.add_log(KEY, "command", "00", timestamp=MOMENT)
        uow.commit()
    before = dump(manager)

    with UnitOfWork(manager, read_only=True) as reader:
        for write in writes(reader):
            with pytest.raises(QueryError, match="read-only"):
                write()
            assert reader.devices.count() == 1
        reader.rollback()
        assert reader.devices.count() == 1

    assert dump(manager) == before


def fail(uow: UnitOfWork) -> None:
    """A statement that every database refuses."""
    with pytest.raises(IntegrityError):
        uow.sessions.create_session(device_id="nobody")


def test_a_failed_unit_of_work_does_nothing_before_its_rollback(manager: DatabaseManager) -> None:
    with UnitOfWork(manager) as uow:
        uow.devices.create(device(1))
        fail(uow)

        for call in [
            uow.commit,
            lambda: uow.devices.create(device(2)),
            lambda: uow.logs.add_log(KEY, "command", "00"),
            lambda: uow.savepoint().__enter__(),
            uow.devices.count,
            lambda: uow.devices.get_by_id("x"),
            uow.logs.get_all,
        ]:
            with pytest.raises(
                QueryError, match=r"sessions\.create failed earlier in this unit of work .roll back"
            ):
                call()
        uow.rollback()
        uow.devices.create(device(2))
        uow.commit()
        fail(uow)

    assert device_ids(manager) == ["device-0002"]


def test_a_refused_value_does_not_end_the_unit_of_work(manager: DatabaseManager) -> None:
    with UnitOfWork(manager) as uow:
        uow.devices.create(device(1))
        with pytest.raises(ValidationError):
            uow.devices.create(device(2, imei="x"))
        uow.commit()

    assert device_ids(manager) == ["device-0001"]


def test_a_savepoint_undoes_only_its_block(manager: DatabaseManager) -> None:
    with UnitOfWork(manager) as uow:
        uow.devices.create(device(1))
        with pytest.raises(IntegrityError), uow.savepoint():
            uow.devices.create(device(2))
            uow.devices.create(device(1))
        with pytest.raises(BrokenError), uow.savepoint():
            uow.devices.create(device(3))
            raise BrokenError
        # An error that the block catches undoes it all the same.
        with pytest.raises(QueryError, match="failed earlier"), uow.savepoint():
            uow.devices.create(device(4))
            fail(uow)
        with uow.savepoint():
            uow.devices.create(device(5))
        uow.devices.create(device(6))
        uow.commit()

    assert device_ids(manager) == ["device-0001", "device-0005", "device-0006"]


def test_savepoints_within_each_other_undo_their_own_part(manager: DatabaseManager) -> None:
    with UnitOfWork(manager) as uow:
        with uow.savepoint():
            uow.devices.create(device(1))
            with pytest.raises(IntegrityError), uow.savepoint():
                uow.devices.create(device(2))
                uow.devices.create(device(2))
            uow.devices.create(device(3))
        with pytest.raises(BrokenError), uow.savepoint():
            uow.devices.create(device(4))
            with uow.savepoint():
                uow.devices.create(device(5))
            raise BrokenError
        uow.commit()

    assert device_ids(manager) == ["device-0001", "device-0003"]


def test_a_savepoint_is_entered_once_at_a_time_and_left_once(manager: DatabaseManager) -> None:
    with UnitOfWork(manager) as uow:
        savepoint = uow.savepoint()
        with pytest.raises(QueryError, match="is not open"):
            savepoint.__exit__(None, None, None)
        with savepoint, pytest.raises(QueryError, match="is open already"):
            savepoint.__enter__()
        with savepoint:
            uow.devices.create(device(1))
        uow.commit()
    assert device_ids(manager) == [device(1).id]


def test_the_buffer_from_before_a_savepoint_survives_it(manager: DatabaseManager) -> None:
    with UnitOfWork(manager) as uow:
        uow.sessions.create_session(session_id=KEY)
        uow.logs.add_log(KEY, "command", "AA")
        with pytest.raises(BrokenError), uow.savepoint():
            uow.logs.add_log(KEY, "command", "BB")
            raise BrokenError
        uow.logs.add_log(KEY, "command", "CC")
        uow.commit()

    with UnitOfWork(manager) as uow:
        assert [log.raw_data for log in uow.logs.get_all()] == ["AA", "CC"]


@on_sqlite
def test_two_writers_on_sqlite_wait_for_each_other(manager: DatabaseManager) -> None:
    second_begins = Event()

    def second() -> int:
        second_begins.set()
        with UnitOfWork(manager) as uow:
            # A deferred transaction could not write after this read.
            seen = uow.devices.count()
            uow.devices.create(device(2))
            uow.commit()
            return seen

    with ThreadPoolExecutor(1) as threads:
        with UnitOfWork(manager) as first:
            first.devices.create(device(1))
            waiting: Future[int] = threads.submit(second)
            assert second_begins.wait(10)
            assert first.devices.count() == 1
            assert not waiting.done()
            first.commit()
        assert waiting.result(10) == 1

    assert device_ids(manager) == ["device-0001", "device-0002"]


def deadlock(manager: DatabaseManager, second_update: Callable[[UnitOfWork, int, int], str]) -> str:
    """Let two transactions update two devices crosswise; return what the winner returned."""
    add(manager, device(1), device(2))
    both_hold_one = Barrier(2, timeout=10)

    def work(first: int, second: int) -> str:
        with UnitOfWork(manager) as uow:
            uow.devices.update(device(first, notes=f"by {first}"))
            both_hold_one.wait()
            return second_update(uow, first, second)

    with ThreadPoolExecutor(2) as threads:
        results = list(threads.map(work, (1, 2), (2, 1)))
    results.remove("lost")
    return results[0]


@on_servers
def test_a_deadlock_is_a_conflict_for_one_and_nothing_of_it_is_kept_or_reported(
    manager: DatabaseManager,
) -> None:
    heard: list[DatabaseEvent] = []
    manager.events.on("device_changed", heard.append)

    def update(uow: UnitOfWork, first: int, second: int) -> str:
        try:
            uow.devices.update(device(second, notes=f"by {first}"))
        except ConflictError:
            with pytest.raises(QueryError, match="failed earlier"):
                uow.commit()
            return "lost"
        uow.commit()
        return f"by {first}"

    winner = deadlock(manager, update)

    with UnitOfWork(manager) as uow:
        assert {d.notes for d in uow.devices.get_all()} == {winner}
    updates = [event.data["notes"] for event in heard if event.action == "updated"]
    assert updates == [winner, winner]


@on_servers
def test_a_lock_that_others_keep_is_a_conflict_that_says_so(manager: DatabaseManager) -> None:
    add(manager, device())
    soon = {
        Dialect.POSTGRESQL: "SET lock_timeout = '50ms'",
        Dialect.MYSQL: "SET innodb_lock_wait_timeout = 1",
    }
    with DatabaseManager(manager.config) as impatient, UnitOfWork(manager) as holder:
        with closing(impatient.take_connection()) as pooled:
            pooled.cursor().execute(soon[manager.dialect])
        holder.devices.update(device(notes="first"))
        with (
            UnitOfWork(impatient) as uow,
            pytest.raises(ConflictError, match="another transaction kept a lock for too long"),
        ):
            uow.devices.update(device(notes="second"))


@on_servers
def test_after_a_deadlock_a_savepoint_does_not_go_on_without_its_transaction(
    manager: DatabaseManager,
) -> None:
    def update(uow: UnitOfWork, first: int, second: int) -> str:
        try:
            with uow.savepoint():
                uow.devices.update(device(second, notes=f"by {first}"))
            uow.commit()
        except ConflictError:
            # PostgreSQL undoes only the block, MySQL the whole transaction.
            try:
                uow.devices.create(device(3, notes="lost"))
            except QueryError as refused:
                assert "failed earlier" in refused.what
            return "lost"
        return f"by {first}"

    assert deadlock(manager, update) != "lost"
    assert device_ids(manager) == ["device-0001", "device-0002"]


@on_servers
def test_a_session_and_its_device_are_written_by_many_without_a_conflict(
    manager: DatabaseManager,
) -> None:
    add(manager, device(1))

    def work(_number: int) -> None:
        with UnitOfWork(manager) as uow:
            uow.sessions.create_session(device_id=device(1).id)
            uow.devices.update_last_seen(device(1).id)
            uow.commit()

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(work, range(80)))
