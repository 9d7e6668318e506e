"""The recorder: nothing waits, nothing is lost, doubled or dropped in silence."""

import asyncio
import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from inspect import getsource
from typing import Any

import pytest
from cryptography.fernet import Fernet
from sqlalchemy import event

from cardlink_sql import (
    ConnectionError,
    DatabaseConfig,
    DatabaseManager,
    Dialect,
    Direction,
    IntegrityError,
    NotFoundError,
    ObservedStatement,
    QueryError,
    Recorder,
    RecorderFigures,
    RecorderFullError,
    RefusedItem,
    SessionStatus,
    SessionType,
    StateError,
    UnitOfWork,
    ValidationError,
)
from cardlink_sql.live import persistent_writer
from cardlink_sql.live.batch import BatchWriter
from cardlink_sql.model.records.session import OTASession
from tests.conftest import (
    MOMENT,
    card,
    committed,
    iccid,
    on_servers,
    on_sqlite,
    session_id,
    wait_until,
)
from tests.cutting_proxy import CuttingProxy
from tests.roles import ask, execute
from tests.test_manager import kill_connections
from tests.test_threads import at_once

FOREVER = 3600.0


@pytest.fixture
def recorder(manager: DatabaseManager) -> Iterator[Recorder]:
    """A recorder that writes when it is flushed."""
    with Recorder(manager, interval=FOREVER) as one:
        yield one


@contextmanager
def through(proxy: CuttingProxy, manager: DatabaseManager, **options: Any) -> Iterator[Recorder]:
    """A recorder that writes through the proxy."""
    with (
        proxy.manager(manager) as far,
        Recorder(far, **{"interval": FOREVER, **options}) as recorder,
    ):
        assert far.health_check()["status"] == "healthy"
        yield recorder


def record_session(recorder: Recorder, exchanges: int = 3) -> str:
    """Put in a whole session; returns its id."""
    session = recorder.create_session()
    recorder.set_tls_info(session, "PSK-AES128-GCM-SHA256", "card_1")
    recorder.start_session(session)
    for number in range(exchanges):
        recorder.add_log(session, "command", f"00A4{number:04X}")
        recorder.add_log(session, Direction.RESPONSE, f"{number:04X}9000", latency_ms=1.5)
    recorder.complete_session(session)
    return session


def apdus(manager: DatabaseManager, session: str) -> list[str]:
    found = manager.run(lambda uow: uow.logs.find_by_session(session), read_only=True)
    return [entry.raw_data for entry in found]


def whole(exchanges: int = 3) -> list[str]:
    """The APDUs of :func:`record_session`."""
    return [apdu for n in range(exchanges) for apdu in (f"00A4{n:04X}", f"{n:04X}9000")]


def row_of(manager: DatabaseManager, session: str) -> OTASession:
    row = manager.run(lambda uow: uow.sessions.get_by_id(session), read_only=True)
    assert row is not None
    return row


def is_whole(manager: DatabaseManager, session: str, exchanges: int = 3) -> bool:
    """Whether a session of :func:`record_session` is there, byte for byte."""
    if not manager.run(lambda uow: uow.sessions.exists(session), read_only=True):
        return False
    row = row_of(manager, session)
    return (
        row.status is SessionStatus.COMPLETED
        and row.tls_psk_identity == "card_1"
        and apdus(manager, session) == whole(exchanges)
    )


# What is written


def test_a_session_is_written_with_the_times_at_which_it_was_put_in(
    recorder: Recorder, manager: DatabaseManager
) -> None:
    session = recorder.create_session(None, None, "polled", session_id=session_id(5), at=MOMENT)
    recorder.start_session(session, at=MOMENT)
    recorder.add_log(session, "response", "6a82", "SELECT", None, None, 2.5, timestamp=MOMENT)
    recorder.fail_session(session, "E1", "broke", at=MOMENT)
    recorder.flush()
    row = row_of(manager, session_id(5))
    (entry,) = manager.run(lambda uow: uow.logs.find_by_session(session))
    assert (row.session_type, row.status) == (SessionType.POLLED, SessionStatus.FAILED)
    assert row.created_at == row.started_at == row.ended_at == entry.timestamp == MOMENT
    assert (row.error_code, row.error_message) == ("E1", "broke")
    assert (entry.raw_data, entry.status_word, entry.decoded_data) == ("6A82", "6A82", "SELECT")
    assert entry.latency_ms == 2.5


@on_sqlite
def test_times_are_those_of_the_call(recorder: Recorder, manager: DatabaseManager) -> None:
    session = record_session(recorder)
    put_in = time.time()
    wait_until(lambda: time.time() > put_in + 0.05)
    recorder.flush()
    ended_at = row_of(manager, session).ended_at
    assert ended_at.timestamp() <= put_in


def test_a_session_gets_the_card_of_its_identity(
    recorder: Recorder, manager: DatabaseManager
) -> None:
    with committed(manager) as uow:
        uow.cards.create_with_psk(card(1), psk_identity="card_1", psk_key=b"k" * 16)
    known = recorder.open_session(psk_identity="card_1")
    unknown = recorder.open_session(psk_identity="nobody")
    timed_out = recorder.open_session(card_iccid=iccid(1), psk_identity="nobody")
    recorder.timeout_session(timed_out)
    recorder.flush()
    rows = [row_of(manager, one) for one in (known, unknown, timed_out)]
    assert [row.card_iccid for row in rows] == [iccid(1), None, iccid(1)]
    assert rows[2].status is SessionStatus.TIMEOUT


def test_a_session_that_is_opened_is_active_and_described(
    recorder: Recorder, manager: DatabaseManager
) -> None:
    opened = recorder.open_session(
        None, None, "polled", cipher_suite="PSK-AES", psk_identity="card_1", at=MOMENT
    )
    facts = {"client": "192.0.2.7:4433", "tls": "1.2"}
    recorder.set_tls_info(opened, "PSK-AES", "card_1", metadata=facts)
    facts.clear()
    recorder.flush()
    row = row_of(manager, opened)
    assert row.metadata == {"client": "192.0.2.7:4433", "tls": "1.2"}
    assert (row.status, row.session_type) == (SessionStatus.ACTIVE, SessionType.POLLED)
    assert (row.tls_cipher_suite, row.tls_psk_identity) == ("PSK-AES", "card_1")
    assert row.created_at == row.started_at == MOMENT


@on_sqlite
def test_eight_threads_lose_nothing_and_keep_the_order(manager: DatabaseManager) -> None:
    sessions: list[str] = []
    with Recorder(manager, interval=0.01) as recorder:

        def work(number: int) -> None:
            for _ in range(10):
                sessions.append(record_session(recorder, exchanges=4))

        at_once(work)
        recorder.flush()
        assert recorder.figures() == RecorderFigures(0, 80 * 12, 0, 0.0)
    assert all(is_whole(manager, session, exchanges=4) for session in sessions)


def test_one_transaction_writes_all_that_waits(
    recorder: Recorder, manager: DatabaseManager
) -> None:
    for _ in range(5):
        record_session(recorder)
    sent: list[Any] = []
    manager.statements.on(sent.append)
    recorder.flush()
    named = [statement.name for statement in sent]
    assert named.count("COMMIT") == 1
    assert sum("log" in name for name in named) == 1, "the APDUs of all sessions go together"


# Nothing waits, and memory is bounded


@on_servers
def test_nothing_waits_while_the_database_is_away_and_nothing_is_lost(
    manager: DatabaseManager, proxy: CuttingProxy, caplog: pytest.LogCaptureFixture
) -> None:
    with through(proxy, manager, interval=0.01) as recorder:
        proxy.is_down = True
        proxy.cut()
        before = time.monotonic()
        sessions = [record_session(recorder) for _ in range(50)]
        assert time.monotonic() - before < 5.0
        wait_until(lambda: "tries again until it can write" in caplog.text)
        with pytest.raises(ConnectionError, match="500 items are not committed"):
            recorder.flush(timeout=0.1)
        figures = recorder.figures()
        assert (figures.queued, figures.written) == (500, 0)
        assert figures.behind_ms > 100
        proxy.is_down = False
        recorder.flush()
        assert recorder.figures() == RecorderFigures(0, 500, 0, 0.0)
    assert all(is_whole(manager, session) for session in sessions)


@on_sqlite
@pytest.mark.parametrize("options", [{"when_full": "refuse"}, {"full_timeout": 0.05}], ids=str)
def test_a_full_recorder_refuses(manager: DatabaseManager, options: dict[str, Any]) -> None:
    with Recorder(manager, interval=FOREVER, capacity=4, **options) as recorder:
        with UnitOfWork(manager) as uow:
            hold_the_writer(recorder, uow)
            with pytest.raises(RecorderFullError, match="take 4 of 4 places"):
                for _ in range(10):
                    recorder.create_session()
            assert recorder.figures().queued == 4
        recorder.flush()
        assert recorder.figures().written == 4


def hold_the_writer(recorder: Recorder, uow: UnitOfWork) -> None:
    """Create in ``uow`` the session that the recorder creates next, so that it must wait."""
    uow.sessions.create_session(session_id=session_id(9))
    recorder.create_session(session_id=session_id(9))


@on_sqlite
def test_a_full_recorder_lets_a_thread_wait_for_room(manager: DatabaseManager) -> None:
    with Recorder(manager, interval=FOREVER, capacity=4) as recorder:
        with UnitOfWork(manager) as uow:
            hold_the_writer(recorder, uow)

            def fill() -> None:
                for _ in range(10):
                    recorder.create_session()

            filling = threading.Thread(target=fill)
            filling.start()
            wait_until(lambda: recorder.figures().queued == 4)
            filling.join(0.1)
            assert filling.is_alive()
            uow.rollback()
        filling.join(20)
        assert not filling.is_alive()
        recorder.flush()
        assert recorder.figures().written == 11


@on_sqlite
def test_nothing_waits_on_the_thread_of_an_event_loop(manager: DatabaseManager) -> None:
    async def fill() -> None:
        for _ in range(10):
            recorder.create_session()

    with Recorder(manager, interval=FOREVER, capacity=4) as recorder:
        with UnitOfWork(manager) as uow:
            hold_the_writer(recorder, uow)
            with pytest.raises(RecorderFullError, match=r"await aio\.put"):
                asyncio.run(fill())
        recorder.flush()


@on_sqlite
def test_a_great_apdu_takes_the_room_of_many(manager: DatabaseManager) -> None:
    with Recorder(manager, interval=FOREVER, capacity=40, when_full="refuse") as recorder:
        with UnitOfWork(manager) as uow:
            hold_the_writer(recorder, uow)
            recorder.add_log(session_id(9), "command", "00" * 15_000)
            with pytest.raises(RecorderFullError):
                recorder.add_log(session_id(9), "command", "00" * 15_000)
        recorder.flush()
        # What is larger than all its room is taken while nothing else is held.
        recorder.add_log(session_id(9), "command", "00" * 30_000)
        recorder.flush()
    assert [len(apdu) for apdu in apdus(manager, session_id(9))] == [30_000, 60_000]


@on_sqlite
@pytest.mark.parametrize(
    "put",
    [
        lambda recorder: recorder.fail_session(session_id(9), "E1", "x" * 30_000),
        lambda recorder: recorder.add_log(
            session_id(9), "response", "9000", decoded_data="x" * 30_000
        ),
        lambda recorder: recorder.open_session(metadata={"note": "x" * 30_000}),
    ],
    ids=["error_message", "decoded_data", "metadata"],
)
def test_every_text_takes_room(manager: DatabaseManager, put: Callable[[Recorder], object]) -> None:
    with (
        Recorder(manager, interval=FOREVER, capacity=40, when_full="refuse") as recorder,
        UnitOfWork(manager) as uow,
    ):
        hold_the_writer(recorder, uow)
        put(recorder)
        with pytest.raises(RecorderFullError):
            put(recorder)
        uow.rollback()


# What is refused


@on_sqlite
def test_a_wrong_value_is_refused_at_once(recorder: Recorder) -> None:
    for method, arguments in [
        ("open_session", {"card_iccid": "12"}),
        ("open_session", {"session_type": "pushed"}),
        ("open_session", {"session_id": "five"}),
        ("open_session", {"cipher_suite": 5}),
        ("create_session", {"device_id": ""}),
        ("open_session", {"psk_identity": "x" * 500}),
        ("start_session", {"session_id": "five"}),
        ("add_log", {"session_id": session_id(), "direction": "up", "raw_data": "00"}),
        ("add_log", {"session_id": session_id(), "direction": "command", "raw_data": "0G"}),
        ("set_tls_info", {"session_id": session_id(), "cipher_suite": 3, "psk_identity": "x"}),
        ("complete_session", {"session_id": session_id(), "at": MOMENT.replace(tzinfo=None)}),
    ]:
        with pytest.raises(ValidationError):
            getattr(recorder, method)(**arguments)
        assert recorder.figures() == RecorderFigures(0, 0, 0, 0.0)


def test_only_items_that_the_database_refuses_are_left_out_and_reported(
    manager: DatabaseManager, caplog: pytest.LogCaptureFixture
) -> None:
    reported: list[RefusedItem] = []

    def report(item: RefusedItem) -> None:
        reported.append(item)
        raise RuntimeError("of the callback")

    with Recorder(manager, interval=FOREVER, on_refused=report) as recorder:
        first = record_session(recorder)
        recorder.complete_session(first)
        no_card = recorder.create_session(card_iccid=iccid(9))
        recorder.add_log(no_card, "command", "00C0FFEE")
        recorder.add_log(session_id(77), "command", "00C0FFEE")
        second = record_session(recorder)
        recorder.flush()
        recorder.complete_session(no_card)
        recorder.flush()
        assert recorder.figures() == RecorderFigures(0, 20, 5, 0.0)
    assert is_whole(manager, first)
    assert is_whole(manager, second)
    assert {(one.method, one.session_id, type(one.error)) for one in reported} == {
        ("complete_session", first, StateError),
        ("create_session", no_card, IntegrityError),
        ("add_log", no_card, IntegrityError),
        ("complete_session", no_card, IntegrityError),
        ("add_log", session_id(77), NotFoundError),
    }
    assert caplog.text.count(" refused: ") == 5
    assert caplog.text.count("on_refused raised") == 5
    assert "C0FFEE" not in caplog.text


TRIGGERS = {
    Dialect.SQLITE: "CREATE TRIGGER no_ff BEFORE INSERT ON comm_logs"
    " WHEN NEW.raw_data LIKE '{}' BEGIN SELECT RAISE(ABORT, 'no'); END",
    Dialect.MYSQL: "CREATE TRIGGER no_ff BEFORE INSERT ON comm_logs FOR EACH ROW"
    " IF NEW.raw_data LIKE '{}' THEN SIGNAL SQLSTATE '45000'; END IF",
    Dialect.POSTGRESQL: "CREATE FUNCTION no_ff() RETURNS TRIGGER LANGUAGE plpgsql AS"
    " $$ BEGIN IF NEW.raw_data LIKE '{}' THEN RAISE EXCEPTION 'no'; END IF; RETURN NEW; END $$;"
    "CREATE TRIGGER no_ff BEFORE INSERT ON comm_logs FOR EACH ROW EXECUTE FUNCTION no_ff()",
}
END_TRIGGER = {
    Dialect.SQLITE: "DROP TRIGGER no_ff",
    Dialect.MYSQL: "DROP TRIGGER no_ff",
    Dialect.POSTGRESQL: "DROP FUNCTION no_ff() CASCADE",
}


@contextmanager
def refused(owner: DatabaseManager, pattern: str) -> Iterator[None]:
    """Have the database refuse the APDUs of a pattern meanwhile."""
    execute(owner, TRIGGERS[owner.dialect].format(pattern))
    try:
        yield
    finally:
        execute(owner, END_TRIGGER[owner.dialect])


def test_an_item_that_the_database_cannot_write_does_not_stop_the_others(
    manager: DatabaseManager, owner: DatabaseManager
) -> None:
    reported: list[RefusedItem] = []
    recorder = Recorder(manager, interval=FOREVER, on_refused=reported.append)
    with refused(owner, "FFFF"), recorder:
        sessions = [record_session(recorder) for _ in range(3)]
        recorder.add_log(sessions[0], "command", "FFFF")
        recorder.flush()
    assert all(is_whole(manager, session) for session in sessions)
    assert [(one.method, type(one.error)) for one in reported] == [("add_log", QueryError)]


def test_a_table_that_takes_nothing_refuses_no_item(
    manager: DatabaseManager, owner: DatabaseManager
) -> None:
    with Recorder(manager, interval=0.01) as recorder:
        with refused(owner, "%"):
            sessions = [record_session(recorder, exchanges=1) for _ in range(2)]
            with pytest.raises(ConnectionError):
                recorder.flush(timeout=1.5)
        recorder.flush()
        assert recorder.figures().refused == 0
    assert all(is_whole(manager, session, exchanges=1) for session in sessions)


@on_sqlite
def test_a_database_that_takes_nothing_refuses_no_item(
    empty_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    with (
        DatabaseManager(DatabaseConfig(empty_url)) as manager,
        Recorder(manager, interval=0.01) as recorder,
    ):
        session = record_session(recorder)
        wait_until(lambda: "table or column of the schema is missing" in caplog.text)
        with pytest.raises(ConnectionError):
            recorder.flush(timeout=0.5)
        manager.create_tables()
        recorder.flush()
        assert recorder.figures().refused == 0
        assert is_whole(manager, session)


# Connections that break


@on_servers
@pytest.mark.parametrize("what", ["lose", "answer"])
@pytest.mark.parametrize("batch", ["created", "opened", "logged", "described", "ended", "isolated"])
def test_a_lost_answer_to_a_commit_doubles_nothing_and_loses_nothing(
    manager: DatabaseManager, proxy: CuttingProxy, what: str, batch: str
) -> None:
    with through(proxy, manager) as recorder:
        session = recorder.create_session()
        recorder.start_session(session)
        recorder.add_log(session, "command", "00A4")
        recorder.flush()
        expected = ["00A4"]
        other = ""
        if batch == "created":
            other = record_session(recorder)
        if batch == "opened":
            recorder.complete_session(recorder.open_session(session_id=session_id(5)))
        if batch == "ended":
            recorder.complete_session(session)
        if batch == "described":
            recorder.set_tls_info(session, "PSK", "card_1")
        else:
            recorder.add_log(session, "response", "9000")
            expected.append("9000")
        if batch == "isolated":
            recorder.complete_session(session_id(77))
        proxy.at_commit = what
        recorder.flush()
        assert proxy.at_commit is None
        assert recorder.figures().refused == (batch == "isolated")
        recorder.add_log(session, "command", "00B0")
        recorder.flush()
    assert apdus(manager, session) == [*expected, "00B0"]
    assert not other or is_whole(manager, other)
    count = manager.run(lambda uow: uow.sessions.count())
    assert count == 1 + (batch in ("created", "opened"))
    row = row_of(manager, session)
    assert row.status is (SessionStatus.COMPLETED if batch == "ended" else SessionStatus.ACTIVE)
    assert row.tls_psk_identity == ("card_1" if batch == "described" else None)


@on_servers
def test_apdus_of_a_session_that_another_opened_are_not_doubled(
    manager: DatabaseManager, proxy: CuttingProxy
) -> None:
    with committed(manager) as uow:
        session = uow.sessions.create_session().id
        uow.logs.add_log(session, "command", "00A4")
    with through(proxy, manager) as recorder:
        for number, what in enumerate(("answer", "lose", "answer")):
            recorder.add_log(session, "response", f"0{number}9000")
            proxy.at_commit = what
            recorder.flush()
    assert apdus(manager, session) == ["00A4", "009000", "019000", "029000"]


@on_servers
@pytest.mark.parametrize("what", ["lose", "answer"])
@pytest.mark.parametrize("begins", [True, False], ids=["begins", "ends"])
def test_a_lost_commit_is_judged_by_more_than_one_session(
    manager: DatabaseManager,
    proxy: CuttingProxy,
    monkeypatch: pytest.MonkeyPatch,
    what: str,
    begins: bool,
) -> None:
    took_place = BatchWriter._took_place

    def touch(writer: BatchWriter, attempt: Any) -> bool:
        """Change one session of the batch before it is looked at, as another program may."""
        with committed(manager) as uow:
            if what == "answer":
                uow.sessions.delete_by_id(touched)
            else:
                uow.sessions.timeout_session(touched)
        return took_place(writer, attempt)

    with through(proxy, manager) as recorder:
        touched, kept = recorder.open_session(), recorder.open_session()
        recorder.flush()
        monkeypatch.setattr(BatchWriter, "_took_place", touch)
        recorder.complete_session(touched)
        recorder.add_log(kept, "command", "00A4")
        recorder.complete_session(kept)
        new = recorder.open_session() if begins else kept
        proxy.at_commit = what
        recorder.flush()
        assert recorder.figures().refused == (what == "lose")
    assert apdus(manager, kept) == ["00A4"]
    assert row_of(manager, new)


# Handlers of "checkout" that let a connection wait only a moment for another's lock.
SHORT_WAITS = {
    Dialect.POSTGRESQL: lambda one, *_: one.cursor().execute("SET lock_timeout = '200ms'"),
    Dialect.MYSQL: lambda one, *_: one.cursor().execute("SET innodb_lock_wait_timeout = 1"),
}


@on_servers
def test_a_locked_session_does_not_stop_the_others(
    manager: DatabaseManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(persistent_writer, "_LONG_WAIT", 0.1)
    with (
        DatabaseManager(manager.config) as own,
        Recorder(own, interval=0.01) as recorder,
        UnitOfWork(manager) as locker,
    ):
        event.listen(own.pool.engine, "checkout", SHORT_WAITS[own.dialect])
        locked, free = recorder.open_session(), recorder.open_session()
        recorder.flush()
        assert locker.sessions.lock(locked)
        recorder.add_log(free, "command", "00A4")
        recorder.complete_session(locked)
        recorder.complete_session(free)
        wait_until(lambda: recorder.figures().queued == 1)
        recorder.add_log(locked, "command", "00A4")
        later = record_session(recorder)
        wait_until(lambda: recorder.figures().queued == 2)
        assert is_whole(manager, later)
        with pytest.raises(ConnectionError, match="2 items"):
            recorder.flush(0.1)
        locker.rollback()
        recorder.flush()
        assert apdus(manager, locked) == apdus(manager, free) == ["00A4"]


@on_servers
def test_an_outage_that_ends_during_the_probe_refuses_nothing(
    manager: DatabaseManager, proxy: CuttingProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    takes_writes = BatchWriter.takes_writes
    probes: list[bool] = []

    def end_outage(writer: BatchWriter) -> bool:
        proxy.is_down = False
        probes.append(takes_writes(writer))
        return probes[-1]

    monkeypatch.setattr(BatchWriter, "takes_writes", end_outage)
    with through(proxy, manager) as recorder:
        session = recorder.open_session()
        proxy.is_down = True
        proxy.cut()
        recorder.flush()
        assert probes == [True]
        assert recorder.figures().refused == 0
    assert row_of(manager, session)


@on_sqlite
def test_a_full_disk_refuses_no_item(empty_url: str) -> None:
    pages = 0

    def limit(connection: Any, *_: object) -> None:
        connection.execute(f"PRAGMA max_page_count = {pages or 1_000_000}")

    with DatabaseManager(empty_url) as manager, Recorder(manager, interval=FOREVER) as recorder:
        manager.create_tables()
        event.listen(manager.pool.engine, "checkout", limit)
        session = recorder.open_session()
        recorder.flush()
        pages = ask(manager, "PRAGMA page_count")[0][0]
        recorder.add_log(session, "command", "00A4" * 15_000)  # a smaller one may have room
        for number in range(300):
            recorder.add_log(session, "command", f"{number:04X}" * 50)
        with pytest.raises(ConnectionError):
            recorder.flush(3)
        assert recorder.figures().refused == 0
        pages = 0
        recorder.flush()
        assert len(apdus(manager, session)) == 301


@on_servers
def test_holding_a_session_waits_for_the_apdus_under_way(manager: DatabaseManager) -> None:
    with committed(manager) as uow:
        uow.sessions.create_session(session_id=session_id())

    def look(uow: UnitOfWork) -> tuple[bool, int]:
        return uow.sessions.lock(session_id()), uow.logs.count_by_session(session_id())

    with ThreadPoolExecutor(1) as thread, UnitOfWork(manager) as writer:
        writer.logs.add_log(session_id(), "command", "00A4")
        writer.logs.flush_batch()
        looking = thread.submit(manager.run, look)
        with pytest.raises(TimeoutError):
            looking.result(0.2)
        writer.commit()
        assert looking.result(20) == (True, 1)
    assert manager.run(lambda uow: uow.sessions.lock(session_id(2))) is False


@on_servers
def test_connections_that_are_killed_all_the_time_lose_and_double_nothing(
    manager: DatabaseManager,
) -> None:
    sessions: list[str] = []
    with DatabaseManager(manager.config) as one, Recorder(one, interval=0.005) as recorder:

        def work(number: int) -> None:
            for _ in range(15):
                sessions.append(record_session(recorder))

        racing = threading.Thread(target=at_once, args=(work,))
        racing.start()
        manager.engine.dispose()
        for _ in range(10):
            kill_connections(one)
        racing.join(60)
        recorder.flush()
        assert recorder.figures() == RecorderFigures(0, 120 * 10, 0, 0.0)
    assert all(is_whole(manager, session) for session in sessions)


# The end


def test_a_closed_recorder_has_written_all_and_takes_nothing(manager: DatabaseManager) -> None:
    recorder = Recorder(manager, interval=FOREVER)
    session = record_session(recorder)
    recorder.close()
    recorder.close()
    assert is_whole(manager, session)
    assert recorder.figures() == RecorderFigures(0, 10, 0, 0.0)
    with pytest.raises(StateError, match="closed"):
        recorder.create_session()
    recorder.flush()
    with Recorder(manager) as idle:
        idle.flush()


def test_a_session_that_was_refused_may_be_created_once_its_card_is_there(
    recorder: Recorder, manager: DatabaseManager
) -> None:
    for number in (1, 2):
        recorder.open_session(card_iccid=iccid(9), session_id=session_id(number))
    recorder.flush()
    with committed(manager) as uow:
        uow.cards.create(card(9))
        uow.sessions.create_session(session_id=session_id(2), card_iccid=iccid(9))
    recorder.open_session(card_iccid=iccid(9), session_id=session_id(1))
    for number in (1, 2):
        recorder.add_log(session_id(number), "command", "00A4")
    recorder.flush()
    assert recorder.figures() == RecorderFigures(0, 3, 2, 0.0)
    assert apdus(manager, session_id(1)) == apdus(manager, session_id(2)) == ["00A4"]


def test_many_refusals_among_many_items_take_little_time(
    recorder: Recorder, manager: DatabaseManager
) -> None:
    statements: list[ObservedStatement] = []
    good = [recorder.create_session() for _ in range(50)]
    for number in range(1500):
        recorder.add_log(good[number % 50], "command", f"00A4{number:04X}")
        recorder.add_log(session_id(1000 + number % 50), "command", "00A4")
    manager.statements.on(statements.append)
    recorder.flush()
    manager.statements.off(statements.append)
    assert recorder.figures() == RecorderFigures(0, 1550, 1500, 0.0)
    assert len(apdus(manager, good[0])) == 30
    assert 50 < len(statements) < 750


def test_a_clock_that_is_set_back_loses_nothing(
    recorder: Recorder, manager: DatabaseManager
) -> None:
    soon = datetime.now(UTC) + timedelta(hours=1)
    ids = [recorder.open_session(at=soon) for _ in range(3)]
    recorder.complete_session(ids[0])
    recorder.fail_session(ids[1], "E1")
    recorder.complete_session(ids[2], at=MOMENT)
    recorder.flush()
    assert recorder.figures().refused == 1
    assert [row_of(manager, one).duration_ms for one in ids] == [0, 0, None]


@on_sqlite
def test_a_callback_may_close_the_recorder_and_may_not_flush_it(manager: DatabaseManager) -> None:
    closed = threading.Event()

    def report(_item: RefusedItem) -> None:
        with pytest.raises(StateError):
            recorder.flush()
        recorder.close()
        closed.set()

    recorder = Recorder(manager, interval=FOREVER, on_refused=report)
    recorder.complete_session(session_id(77))
    session = recorder.create_session()
    recorder.flush()
    assert closed.is_set()
    recorder.close()
    assert row_of(manager, session)


def test_a_forked_child_is_refused_and_takes_nothing_from_its_parent(
    recorder: Recorder, manager: DatabaseManager
) -> None:
    session = record_session(recorder)

    def refused(call: Callable[[], object]) -> bool:
        try:
            call()
        except StateError as error:
            return "make a Recorder in each process" in str(error)
        return False

    child = os.fork()
    if not child:
        calls = (recorder.create_session, recorder.flush, recorder.figures)
        done = all(refused(call) for call in calls) and recorder.close() is None
        os._exit(0 if done else 1)
    assert os.waitpid(child, 0)[1] == 0
    recorder.flush()
    assert is_whole(manager, session)


PROCESS = f"""
import sys
from cardlink_sql import DatabaseConfig, DatabaseManager, Direction, Recorder

{getsource(record_session)}
recorder = Recorder(DatabaseManager(DatabaseConfig(sys.argv[1])), interval=float(sys.argv[2]))
"""


def start_process(what: str, url: str, interval: float) -> "subprocess.Popen[str]":
    """Another process that records."""
    environment = {**os.environ, "CARDLINK_ENCRYPTION_KEY": Fernet.generate_key().decode()}
    return subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", PROCESS + what, url, str(interval)],
        stdout=subprocess.PIPE, text=True, env=environment,
    )  # fmt: skip


@on_sqlite
def test_a_process_that_forgets_to_close_it_loses_nothing(manager: DatabaseManager) -> None:
    with start_process("print(record_session(recorder))", manager.config.url, 60) as process:
        session = process.stdout.read().strip()
    assert is_whole(manager, session)


def test_a_kill_loses_only_what_was_not_written_yet_and_no_flushed_session(
    manager: DatabaseManager,
) -> None:
    what = """
import time
flushed = record_session(recorder)
recorder.flush()
print("flushed", flushed, flush=True)
while True:
    session = record_session(recorder)
    put_at = time.time()
    behind_ms = recorder.figures().behind_ms
    print(put_at, session, time.time() - behind_ms / 1000, flush=True)
    time.sleep(0.002)
"""
    with start_process(what, manager.config.url, 0.05) as process:
        _, flushed = process.stdout.readline().split()
        lines = [process.stdout.readline() for _ in range(200)]
        first = lines[0].split()[1]
        wait_until(lambda: is_whole(manager, first))  # it writes by itself
        process.kill()
        lines += process.stdout.readlines()
    whole = [line.split() for line in lines if line.endswith("\n")]  # the kill may cut the last
    put_in = [(float(at), session, float(since)) for at, session, since in whole]
    assert is_whole(manager, flushed)
    lost = [at for at, session, _ in put_in if not is_whole(manager, session)]
    # All that was put in before the oldest waiting item is written, however busy the machine.
    oldest_that_waited = put_in[-1][2]
    assert all(at > oldest_that_waited - 0.05 for at in lost)
    with UnitOfWork(manager, read_only=True) as uow:
        assert uow.sessions.count() >= 1 + len(put_in) - len(lost)


@on_sqlite
def test_the_log_shows_no_apdu(manager: DatabaseManager, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG), Recorder(manager) as recorder:
        recorder.add_log(session_id(77), "command", "00C0FFEE", "decoded C0FFEE")
        recorder.add_log(session_id(77), "response", "C0FFEE9000", None, None, "message C0FFEE")
    assert "refused" in caplog.text
    assert "C0FFEE" not in caplog.text


def test_a_second_creation_is_refused_and_the_session_goes_on(manager: DatabaseManager) -> None:
    with Recorder(manager) as recorder:
        session = recorder.create_session()
        recorder.flush()
        recorder.create_session(session_id=session)
        recorder.flush()
        recorder.add_log(session, "command", "00A4")
        recorder.flush()
        assert recorder.figures().refused == 1
    assert apdus(manager, session) == ["00A4"]


@on_sqlite
def test_an_exit_in_a_handler_or_the_callback_does_not_end_the_recorder(
    manager: DatabaseManager,
) -> None:
    def leave(_told: object) -> None:
        raise SystemExit

    manager.events.on("session_changed", leave)
    with Recorder(manager, on_refused=leave) as recorder:
        session = recorder.open_session()
        recorder.flush()
        recorder.add_log(session_id(999), "command", "00A4")
        recorder.flush()
        recorder.add_log(session, "command", "00A4")
        recorder.flush()
    assert apdus(manager, session) == ["00A4"]


@pytest.mark.parametrize(
    ("arguments", "place"),
    [
        ({"manager": "sqlite:///x.db"}, "manager"),
        ({"interval": 1e300}, "interval"),
        ({"full_timeout": 4e7}, "full_timeout"),
        ({"on_refused": 5}, "on_refused"),
        ({"when_full": "drop"}, "when_full"),
    ],
)
def test_a_wrong_argument_is_refused(arguments: dict[str, Any], place: str) -> None:
    arguments.setdefault("manager", DatabaseManager("sqlite://"))
    with pytest.raises(ValidationError) as refused:
        Recorder(**arguments)
    assert refused.value.where == place


def test_an_exit_after_a_close_that_failed_does_not_wait_again() -> None:
    program = """
import contextlib, time
from cardlink_sql import ConnectionError, DatabaseManager, Recorder
recorder = Recorder(DatabaseManager("postgresql://nobody@127.0.0.1:9/none"))
recorder.create_session()
with contextlib.suppress(ConnectionError):
    recorder.close(0.1)
print(time.time())
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True
    )
    assert time.time() - float(done.stdout) < 9
    assert "the process ends before all was recorded" in done.stderr


@on_servers
def test_a_connection_that_never_answers_is_given_up(
    manager: DatabaseManager,
    proxy: CuttingProxy,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(BatchWriter, "longest_s", 0.3)
    with proxy.manager(manager) as remote, Recorder(remote, interval=0.01) as recorder:
        session = recorder.open_session()
        recorder.flush()
        proxy.flows.clear()
        recorder.add_log(session, "command", "00A40004023F00")
        wait_until(lambda: "tries again until it can write" in caplog.text)
        proxy.flows.set()
        recorder.flush()
    assert manager.run(lambda uow: uow.logs.count_by_session(session)) == 1
