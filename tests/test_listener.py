"""Events across managers and processes: in the order of the commits, none missed."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import pytest

from cardlink_sql import (
    ConflictError,
    ConnectionError,
    DatabaseConfig,
    DatabaseError,
    DatabaseEvent,
    DatabaseManager,
    Dialect,
    Listener,
    NotFoundError,
    QueryError,
    StateError,
    UnitOfWork,
    ValidationError,
)
from cardlink_sql.database.event_bus import EventType
from cardlink_sql.database.transaction import Transaction
from cardlink_sql.outbox import listener
from tests.conftest import (
    add,
    card,
    committed,
    device,
    iccid,
    on_postgresql,
    on_servers,
    on_sqlite,
    session_id,
)
from tests.roles import owner_of
from tests.test_manager import kill_connections

KEY = session_id()
PSK = "00112233445566778899AABBCCDDEEFF"
# Longer than anything here takes; a wait that goes so far is a failure.
LONG = 30


@pytest.fixture
def other(manager: DatabaseManager) -> Iterator[DatabaseManager]:
    """A second manager of the same database, as another process has; both publish."""
    config = DatabaseConfig(manager.config.engine_url.render_as_string(hide_password=False))
    with DatabaseManager(config, keyring=manager.keyring) as second:
        second.publish_events()
        manager.publisher.know(is_on=True)
        yield second


@pytest.fixture
def heard(manager: DatabaseManager, other: DatabaseManager) -> Iterator[Listener]:
    """What the manager hears of the other."""
    with manager.listen(interval=0.02) as listening:
        yield listening


def ids(events: list[DatabaseEvent]) -> list[str | None]:
    return [event.entity_id for event in events]


def take(listening: Listener, count: int) -> list[DatabaseEvent]:
    events = []
    for _ in range(count):
        event = listening.get(LONG)
        assert event is not None, f"only {ids(events)} came"
        events.append(event)
    return events


def in_thread(work: Callable[[], Any]) -> threading.Thread:
    thread = threading.Thread(target=work)
    thread.start()
    return thread


def writer(manager: DatabaseManager, script: str) -> subprocess.Popen[str]:
    """Another process with ``manager`` and ``UnitOfWork``."""
    url = manager.config.engine_url.render_as_string(hide_password=False)
    code = f"""
import sys
from cardlink_sql import *
manager = DatabaseManager(DatabaseConfig({url!r}))
def device(number):
    return Device(f"device-{{number:04d}}", DeviceType.PHONE)
{script}
"""
    return subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


# What is heard


def test_what_another_manager_committed_is_heard(other: DatabaseManager, heard: Listener) -> None:
    with committed(other) as uow:
        uow.cards.create_with_psk(card(), PSK, psk_identity="identity")
        uow.sessions.create_session(session_id=KEY, card_iccid=iccid())
        for _ in range(3):
            uow.logs.add_log(KEY, "command", "00")

    profile, session, log = take(heard, 3)
    assert profile.event_type is EventType.PROFILE_CHANGED
    assert (profile.entity_type, profile.entity_id, profile.action) == ("card", iccid(), "created")
    assert profile.data["psk_identity"] == "identity"
    assert PSK not in repr(profile)
    assert profile.timestamp.utcoffset() is not None
    assert profile.timestamp <= session.timestamp
    assert (log.event_type, log.entity_id, log.data) == (EventType.LOG_ADDED, KEY, {"count": 3})
    assert [event.position for event in (profile, session, log)] == [1, 2, 3]
    assert heard.position == 3


def test_an_event_is_heard_as_the_other_process_reported_it(
    other: DatabaseManager, heard: Listener
) -> None:
    document: Any = {"a": [1, 2.5, None, "ä💡"]}
    for _ in range(29):  # as deep as may be stored
        document = [document]
    told: list[DatabaseEvent] = []
    other.events.on("*", told.append)
    add(other, device(1, connection_settings=document, notes="ä\n'\"\\"))
    (event,) = take(heard, 1)
    for name in ("event_type", "entity_type", "entity_id", "action", "timestamp", "data"):
        assert getattr(event, name) == getattr(told[0], name)


def test_one_hears_not_what_one_committed_oneself(
    manager: DatabaseManager, other: DatabaseManager, heard: Listener
) -> None:
    add(manager, device(1))
    add(other, device(2))
    add(manager, device(3))
    assert ids(take(heard, 1)) == ["device-0002"]
    assert heard.get(0) is None
    assert heard.position == 3
    with other.listen(after=0) as reverse:
        assert ids(take(reverse, 2)) == ["device-0001", "device-0003"]


def test_what_was_rolled_back_is_not_heard(
    manager: DatabaseManager, other: DatabaseManager, heard: Listener
) -> None:
    with UnitOfWork(other) as uow:
        uow.devices.create(device(1))
        uow.rollback()
        with suppress(ValueError), uow.savepoint():
            uow.devices.create(device(2))
            raise ValueError
        uow.devices.create(device(3))
        uow.commit()
        uow.logs.add_log(KEY, "command", "00")
        with pytest.raises(DatabaseError):
            uow.commit()
        uow.rollback()
    add(other, device(4))
    assert ids(take(heard, 2)) == ["device-0003", "device-0004"]
    assert heard.position == 2


def test_a_payload_of_megabytes_is_heard_whole(other: DatabaseManager, heard: Listener) -> None:
    document = {"long": ["x" * 8000] * 30}
    add(other, device(1, notes="ä" * 250_000, connection_settings=document))
    (event,) = take(heard, 1)
    assert event.data["notes"] == "ä" * 250_000
    assert event.data["connection_settings"] == document


def test_more_than_is_read_at_a_time_is_heard_in_order(
    other: DatabaseManager, heard: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listener, "_PAGE", 7)
    add(other, *map(device, range(25)))
    first = take(heard, 2)
    assert heard.position == 2, "not that of an event that was read and not returned"
    assert ids([*first, *take(heard, 23)]) == [f"device-{number:04d}" for number in range(25)]


def test_errors_of_the_database_stay_in_their_process(
    other: DatabaseManager, heard: Listener
) -> None:
    with UnitOfWork(other) as uow, pytest.raises(DatabaseError):
        uow.logs.add_log_batch([])
        uow.sessions.create_session(session_id=KEY, device_id="nobody")
    add(other, device(1))
    assert ids(take(heard, 1)) == ["device-0001"]


# Order


@on_servers
def test_a_late_commit_is_not_missed(other: DatabaseManager, heard: Listener) -> None:
    with committed(other) as slow:
        slow.devices.create(device(1))
        add(other, device(2))
        assert ids(take(heard, 1)) == ["device-0002"]
        add(other, device(3))
    assert ids(take(heard, 2)) == ["device-0003", "device-0001"]


def test_nothing_is_missed_of_many_writers(
    manager: DatabaseManager, other: DatabaseManager, heard: Listener
) -> None:
    rounds, writers = 8, 8
    committed: list[int] = []

    def write(first: int) -> None:
        for number in range(first, first + rounds):
            with UnitOfWork(other) as uow:
                uow.devices.create(device(number))
                # While this one is open, others commit, where the backend lets them.
                time.sleep(0.002 * (number % 3))
                if number % 4 == 3:
                    uow.rollback()
                else:
                    uow.commit()
                    committed.append(number)

    with ThreadPoolExecutor(writers) as threads:
        writing = [threads.submit(write, 100 * number) for number in range(writers)]
        events = take(heard, writers * rounds * 3 // 4)
    for one in writing:
        one.result()
    assert heard.get(0) is None
    assert [event.position for event in events] == list(range(1, len(events) + 1))
    assert sorted(ids(events)) == sorted(f"device-{number:04d}" for number in committed)
    for first in range(0, 100 * writers, 100):
        own = [n for n in map(_number, events) if first <= n < first + 100]
        assert own == sorted(own)


def _number(event: DatabaseEvent) -> int:
    return int(event.entity_id[7:])


# Other processes


@on_sqlite
def test_another_process_is_heard_and_hears(
    manager: DatabaseManager, other: DatabaseManager
) -> None:
    process = writer(
        manager,
        """
with manager.listen(timeout=30) as listening:
    print("ready", flush=True)
    print(listening.get(30).entity_id, flush=True)
manager.run(lambda uow: uow.devices.create(device(7)))
""",
    )
    with manager.listen(interval=0.02) as heard, process:
        assert process.stdout.readline() == "ready\n"
        add(manager, device(1))
        assert process.stdout.readline() == "device-0001\n"
        assert ids(take(heard, 1)) == ["device-0007"]
        assert process.wait(LONG) == 0


def test_a_killed_writer_leaves_no_gap(
    manager: DatabaseManager, other: DatabaseManager, heard: Listener
) -> None:
    process = writer(
        manager,
        """
manager.run(lambda uow: uow.devices.create(device(1)))
with UnitOfWork(manager) as uow:
    uow.devices.create(device(2))
    uow._transaction._flush_buffered()
    manager.publisher.before_commit(uow._transaction, uow._transaction.pending_events.events)
    print("numbered", flush=True)
    sys.stdin.read()
""",
    )
    with process:
        assert process.stdout.readline() == "numbered\n"
        process.send_signal(signal.SIGKILL)
        process.wait(LONG)
    add(other, device(3))
    events = take(heard, 2)
    assert ids(events) == ["device-0001", "device-0003"]
    assert [event.position for event in events] == [1, 2]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_forked_child_listens_over_a_connection_of_its_own(
    manager: DatabaseManager, other: DatabaseManager, heard: Listener
) -> None:
    add(other, device(1))
    assert ids(take(heard, 1)) == ["device-0001"]
    ready, go = os.pipe()
    child = os.fork()
    if not child:
        try:
            os.read(ready, 1)
            found = ids([event for event in (heard.get(LONG), heard.get(LONG)) if event])
            heard.close()
            manager.close()
            os._exit(0 if found == ["device-0002", "device-0003"] else 1)
        finally:
            os._exit(2)
    add(other, device(2))
    # The parent is another process to the child, and none to itself.
    add(manager, device(3))
    os.write(go, b"!")
    assert os.waitpid(child, 0)[1] == 0
    assert ids(take(heard, 1)) == ["device-0002"]
    add(other, device(4))
    assert ids(take(heard, 1)) == ["device-0004"]
    assert heard.get(0.05) is None
    os.close(ready)
    os.close(go)


# Where to go on


def test_a_listener_goes_on_where_another_stopped(
    manager: DatabaseManager, other: DatabaseManager, heard: Listener
) -> None:
    add(other, device(1))
    add(other, device(2))
    take(heard, 1)
    heard.close()
    add(other, device(3))
    with manager.listen(after=heard.position) as again:
        assert ids(take(again, 2)) == ["device-0002", "device-0003"]
    with manager.listen() as fresh:
        assert fresh.position == 3
        assert fresh.get(0) is None


@on_servers
def test_nothing_is_missed_when_every_connection_is_killed(
    manager: DatabaseManager, other: DatabaseManager, heard: Listener
) -> None:
    add(other, device(1))
    assert ids(take(heard, 1)) == ["device-0001"]
    for number in (2, 3):
        kill_connections(manager)
        add(other, device(number))
        assert ids(take(heard, 1)) == [f"device-{number:04d}"]
    waiting: list[DatabaseEvent | None] = []
    thread = in_thread(lambda: waiting.append(heard.get(LONG)))
    kill_connections(manager)
    add(other, device(4))
    thread.join()
    assert waiting[0].entity_id == "device-0004"


def test_a_database_that_is_away_is_an_error_at_the_end_of_the_wait(
    other: DatabaseManager, heard: Listener, monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    add(other, device(1))
    real = Transaction.open

    def away(_transaction: Transaction) -> None:
        raise ConnectionError("the database is away")

    monkeypatch.setattr(Transaction, "open", away)
    with pytest.raises(ConnectionError, match="away"):
        heard.get(0.1)
    monkeypatch.setattr(Transaction, "open", real)
    assert caplog.text.count("the database is away") == 1
    assert ids(take(heard, 1)) == ["device-0001"]


@on_postgresql
def test_a_manager_that_is_read_only_may_listen(
    manager: DatabaseManager, other: DatabaseManager
) -> None:
    with DatabaseManager(other.config, read_only=True) as reader, reader.listen() as heard:
        assert heard.get(0) is None
        add(other, device(1))
        assert ids(take(heard, 1)) == ["device-0001"]


# What is gone


def age_events(manager: DatabaseManager, upto: int) -> None:
    """Make the first events old."""
    at = "2020-01-01 00:00:00" + ("+00:00" if not manager.config.is_mysql else "")
    with owner_of(manager).engine.begin() as connection:
        connection.exec_driver_sql(
            f"UPDATE event_outbox SET occurred_at = '{at}' WHERE id <= {upto}"
        )


def test_what_was_purged_before_it_was_read_is_said(
    manager: DatabaseManager, other: DatabaseManager, heard: Listener
) -> None:
    for number in range(1, 7):
        add(other, device(number))
    age_events(other, 4)
    with committed(other) as uow:
        assert uow.outbox.count_old(30) == 4
        assert uow.outbox.purge_old(30, limit=3) == 3
        assert uow.outbox.purge_old(30, limit=3) == 1
        assert uow.outbox.purge_old(30, limit=3) == 0
        assert uow.outbox.count_old(30) == 0
    with pytest.raises(NotFoundError, match="the events 1 to 4 are gone"):
        heard.get(LONG)
    assert heard.position == 4
    assert ids(take(heard, 2)) == ["device-0005", "device-0006"]
    assert heard.get(0) is None


def test_what_was_purged_to_the_last_is_said(other: DatabaseManager, heard: Listener) -> None:
    add(other, device(1))
    add(other, device(2))
    age_events(other, 2)
    with committed(other) as uow:
        assert uow.outbox.purge_old(30) == 2
    with pytest.raises(NotFoundError, match="the events 1 to 2 are gone"):
        heard.get(LONG)
    add(other, device(3))
    assert ids(take(heard, 1)) == ["device-0003"]


def test_a_hole_is_said_where_it_is(other: DatabaseManager, heard: Listener) -> None:
    for number in range(1, 5):
        add(other, device(number))
    with other.engine.begin() as connection:
        connection.exec_driver_sql("DELETE FROM event_outbox WHERE id = 3")
    assert ids(take(heard, 2)) == ["device-0001", "device-0002"]
    with pytest.raises(NotFoundError, match="the events 3 to 3 are gone"):
        heard.get(LONG)
    assert ids(take(heard, 1)) == ["device-0004"]


def test_a_database_with_fewer_events_is_said_to_be_another(
    manager: DatabaseManager, other: DatabaseManager
) -> None:
    add(other, device(1))
    with manager.listen(after=50) as lost:
        with pytest.raises(NotFoundError, match="the events end at 1, so the database"):
            lost.get(LONG)
        add(other, device(2))
        assert ids(take(lost, 1)) == ["device-0002"]


def test_a_counter_that_went_missing_goes_on_after_the_events(other: DatabaseManager) -> None:
    add(other, device(1))
    add(other, device(2))
    with owner_of(other).engine.begin() as connection:
        connection.exec_driver_sql("DELETE FROM event_counter")
    add(other, device(3))  # nobody publishes now
    threads = [in_thread(other.publish_events) for _ in range(4)]
    for thread in threads:
        thread.join()
    add(other, device(4))
    assert other.run(lambda uow: uow.outbox.get_counter(), read_only=True) == (3, True)


# The end of the waiting


def test_a_timeout_ends_the_wait_and_the_iteration(
    manager: DatabaseManager, other: DatabaseManager
) -> None:
    with manager.listen(timeout=0.05) as heard:
        assert heard.get(0.05) is None
        assert list(heard) == []
        add(other, device(1))
        add(other, device(2))
        assert ids(list(heard)) == ["device-0001", "device-0002"]
        assert list(heard) == []


def test_close_wakes_who_waits(manager: DatabaseManager, other: DatabaseManager) -> None:
    heard = manager.listen(interval=3600)
    ended: list[list[DatabaseEvent]] = []
    thread = in_thread(lambda: ended.append(list(heard)))
    # It waits as soon as nobody else can have the lock.
    while heard._reading.acquire(blocking=False):
        heard._reading.release()
    started = time.monotonic()
    heard.close()
    heard.close()
    thread.join(LONG)
    assert time.monotonic() - started < 2
    assert ended == [[]]
    assert heard.get() is None
    assert list(heard) == []


def test_a_signal_may_close_who_waits(manager: DatabaseManager, other: DatabaseManager) -> None:
    heard = manager.listen(interval=3600)
    before = signal.signal(signal.SIGALRM, lambda _number, _frame: heard.close())
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        assert heard.get(LONG) is None
    finally:
        signal.signal(signal.SIGALRM, before)


def test_closing_the_manager_closes_its_listeners(other: DatabaseManager) -> None:
    second = DatabaseManager(other.config)
    heard = second.listen()
    second.close()
    assert heard.get() is None


# The switch


def test_nobody_publishes_unless_it_is_turned_on(manager: DatabaseManager) -> None:
    add(manager, device(1))
    assert not manager.events.wanted
    with pytest.raises(StateError, match="turned off") as caught:
        manager.listen()
    assert "publish_events" in str(caught.value)
    manager.publish_events()
    add(manager, device(2))
    assert manager.run(lambda uow: uow.outbox.get_counter()) == (1, True)
    manager.publish_events(on=False)
    add(manager, device(3))
    assert manager.run(lambda uow: uow.outbox.get_counter()) == (1, False)


def test_a_process_learns_that_it_was_turned_on_and_off(
    manager: DatabaseManager, other: DatabaseManager
) -> None:
    with DatabaseManager(other.config) as third:
        add(third, device(1))
        other.publish_events(on=False)
        add(third, device(2))  # it thinks that it publishes, and the counter knows better
        other.publish_events()
        add(third, device(3))  # it learns of it when it is due
        third.publisher.due = 0
        add(third, device(4))
    with manager.listen(after=0) as heard:
        assert ids(take(heard, 2)) == ["device-0001", "device-0004"]


def test_without_its_tables_all_else_works(
    empty_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    with DatabaseManager(DatabaseConfig(empty_url)) as manager:
        manager.migrator.migrate("0001")
        for number in range(3):
            manager.publisher.due = 0
            add(manager, device(number))
        with pytest.raises(QueryError, match="missing"):
            manager.listen()
        assert caplog.text.count("no events are published") == 1
        manager.create_tables()
        manager.publish_events()
        add(manager, device(3))
        assert manager.run(lambda uow: uow.outbox.get_counter()) == (1, True)


@on_servers
def test_a_counter_that_another_holds_is_a_conflict(
    other: DatabaseManager, heard: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[DatabaseEvent] = []
    other.events.on("device_changed", told.append)
    wait = "SET innodb_lock_wait_timeout = 1" if other.config.is_mysql else "SET lock_timeout = 100"
    with other.engine.begin() as holder, UnitOfWork(other) as uow:
        holder.exec_driver_sql("UPDATE event_counter SET last_id = last_id")
        uow.devices.create(device(1))
        connection = uow._transaction._connection
        connection.command(wait)
        with pytest.raises(ConflictError):
            uow.commit()
        connection._is_unusable = True  # its wait is another one now
    assert told == []
    add(other, device(2))
    assert ids(take(heard, 1)) == ["device-0002"]


# Where there is nothing to listen to


def test_a_database_in_memory_has_nobody_to_listen_to() -> None:
    with DatabaseManager(DatabaseConfig("sqlite:///:memory:")) as manager:
        manager.create_tables()
        with pytest.raises(QueryError, match=r"nobody to listen to.*manager\.events\.on"):
            manager.listen()


def test_an_sqlite_file_opened_read_only_is_refused(migrated: Any) -> None:
    config = migrated(Dialect.SQLITE).config
    with (
        DatabaseManager(config, read_only=True) as manager,
        pytest.raises(QueryError, match="read-only"),
    ):
        manager.listen()


@on_sqlite
def test_bad_arguments_are_refused(other: DatabaseManager) -> None:
    for arguments in [
        {"after": -1},
        {"after": "1"},
        {"interval": 0},
        {"interval": None},
        {"interval": float("nan")},
        {"timeout": -1},
    ]:
        with pytest.raises(ValidationError):
            other.listen(**arguments)
        with other.listen() as heard, pytest.raises(ValidationError):
            heard.get("1")  # type: ignore[arg-type]
