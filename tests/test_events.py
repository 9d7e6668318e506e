"""Events in process: after the commit, in order, never for what was rolled back."""

import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, timedelta
from functools import partial
from pathlib import Path

import pytest

from cardlink_sql import (
    DatabaseConfig,
    DatabaseError,
    DatabaseEvent,
    DatabaseManager,
    EventType,
    IntegrityError,
    NotFoundError,
    QueryError,
    UnitOfWork,
    ValidationError,
)
from cardlink_sql.model.times import utc_now
from cardlink_sql.transfer.exchange import export, import_file
from tests.conftest import (
    add,
    card,
    committed,
    device,
    entry,
    iccid,
    on_postgresql,
    on_sqlite,
    session_id,
)
from tests.test_transaction import query

KEY, OTHER = session_id(1), session_id(2)
LOGGER = "cardlink_sql.database.event_bus"
PSK = "00112233445566778899AABBCCDDEEFF"
ALL_BUT_ERRORS = set(EventType) - {EventType.DATABASE_ERROR}


@pytest.fixture
def heard(manager: DatabaseManager) -> list[DatabaseEvent]:
    """Every event of the manager, as it is reported."""
    events: list[DatabaseEvent] = []
    manager.events.on("*", events.append)
    return events


def short(events: list[DatabaseEvent]) -> list[tuple[str, str | None, str]]:
    """What distinguishes events."""
    return [(event.event_type.value, event.entity_id, event.action) for event in events]


# When they fire


def test_they_fire_after_the_commit_in_the_order_of_the_writes(
    manager: DatabaseManager, heard: list[DatabaseEvent]
) -> None:
    with UnitOfWork(manager) as uow:
        uow.devices.create(device(1))
        uow.sessions.create_session(session_id=KEY, device_id="device-0001")
        uow.devices.update_last_seen("device-0001")
        assert heard == []
        uow.commit()

    assert short(heard) == [
        ("device_changed", "device-0001", "created"),
        ("session_changed", KEY, "created"),
        ("device_changed", "device-0001", "seen"),
    ]
    assert [event.timestamp for event in heard] == sorted(event.timestamp for event in heard)
    assert all(event.timestamp.tzinfo is UTC for event in heard)


def test_nothing_fires_for_what_was_rolled_back(
    manager: DatabaseManager, heard: list[DatabaseEvent]
) -> None:
    uow = UnitOfWork(manager)
    with uow:
        uow.devices.create(device(1))
        uow.rollback()
        uow.devices.create(device(2))
        uow.commit()
        uow.devices.create(device(3))
    with uow:
        uow.commit()

    assert short(heard) == [("device_changed", "device-0002", "created")]


def test_nothing_fires_for_what_a_savepoint_undid(
    manager: DatabaseManager, heard: list[DatabaseEvent]
) -> None:
    with UnitOfWork(manager) as uow:
        uow.sessions.create_session(session_id=KEY)
        uow.logs.add_log(KEY, "command", "00")
        with suppress(ValueError), uow.savepoint():
            uow.logs.add_log(KEY, "command", "00")
            uow.logs.flush_batch()
            uow.devices.create(device(1))
            with uow.savepoint():
                uow.devices.create(device(2))
            raise ValueError
        with uow.savepoint():
            uow.logs.add_log(KEY, "command", "00")
            with suppress(NotFoundError), uow.savepoint():
                uow.devices.update_last_seen("nobody")
        uow.devices.create(device(3))
        uow.commit()

    assert short(heard) == [
        ("session_changed", KEY, "created"),
        ("log_added", KEY, "logged"),
        ("log_added", KEY, "logged"),
        ("device_changed", "device-0003", "created"),
    ]
    assert [event.data for event in heard[1:3]] == [{"count": 1}, {"count": 1}]


def test_nothing_fires_for_a_commit_that_failed(
    manager: DatabaseManager, heard: list[DatabaseEvent]
) -> None:
    with UnitOfWork(manager) as uow:
        uow.devices.create(device(1))
        uow.logs.add_log(KEY, "command", "00")
        with pytest.raises(IntegrityError):
            uow.commit()
        uow.rollback()
        uow.commit()
    assert [event.event_type for event in heard] == [EventType.DATABASE_ERROR]


@on_postgresql
def test_nothing_fires_when_the_connection_breaks_before_the_commit(
    manager: DatabaseManager, heard: list[DatabaseEvent]
) -> None:
    with UnitOfWork(manager) as uow, manager.engine.connect() as other:
        uow.devices.create(device(1))
        connection = uow._transaction._connection
        pid = connection.pooled.driver_connection.info.backend_pid  # type: ignore[union-attr]
        other.exec_driver_sql(f"SELECT PG_TERMINATE_BACKEND({pid})")
        with pytest.raises(DatabaseError):
            uow.commit()
    assert [event.event_type for event in heard] == [EventType.DATABASE_ERROR]


# What they say


def test_devices(manager: DatabaseManager, heard: list[DatabaseEvent]) -> None:
    with committed(manager) as uow:
        made = uow.devices.create(device(1, connection_settings={"baud": [9600]}))
        made.connection_settings["baud"] = "changed by the caller"  # type: ignore[call-overload]
        uow.devices.update(device(1, name="Lab"))
        uow.devices.activate("device-0001")
        uow.devices.deactivate("device-0001")
        uow.devices.update_last_seen("device-0001")
        uow.sessions.create_session(session_id=KEY, device_id="device-0001")
        assert uow.devices.delete_with_sessions("device-0001")
        assert not uow.devices.delete_by_id("device-0001")
    assert short(heard) == [
        *[
            ("device_changed", "device-0001", action)
            for action in ("created", "updated", "activated", "deactivated", "seen")
        ],
        ("session_changed", KEY, "created"),
        ("session_changed", None, "deleted"),
        ("device_changed", "device-0001", "deleted"),
    ]
    assert heard[0].data["connection_settings"] == {"baud": [9600]}
    assert heard[1].data["name"] == "Lab"
    assert heard[4].data["last_seen"].endswith("+00:00")
    assert heard[6].data == {"count": 1, "device_id": "device-0001"}
    assert heard[7].data == {}


@on_sqlite
def test_cards_without_their_keys(manager: DatabaseManager, heard: list[DatabaseEvent]) -> None:
    with committed(manager) as uow:
        uow.cards.create_with_psk(card(1), PSK, psk_identity="identity")
        uow.cards.update_psk(iccid(1), "other", PSK)
        uow.cards.clear_psk(iccid(1))
        uow.cards.delete_by_id(iccid(1))
    assert short(heard) == [
        ("profile_changed", iccid(1), action)
        for action in ("created", "psk_updated", "psk_cleared", "deleted")
    ]
    assert [event.data.get("has_psk") for event in heard] == [True, True, False, None]
    assert heard[1].data["psk_identity"] == "other"
    for event in heard:
        assert not {"psk", "psk_key", "psk_key_encrypted"} & event.data.keys()
        assert PSK not in repr(event)
        assert "gAAAA" not in repr(event)


def test_sessions(manager: DatabaseManager, heard: list[DatabaseEvent]) -> None:
    with committed(manager) as uow:
        session = uow.sessions.create_session(session_id=KEY)
        uow.sessions.update(session)
        uow.sessions.start_session(KEY)
        uow.sessions.set_tls_info(KEY, "TLS_PSK_WITH_AES_128_CBC_SHA256", "identity")
        uow.sessions.complete_session(KEY)
        uow.sessions.create_session(session_id=OTHER)
        uow.sessions.fail_session(OTHER, "E1")
    assert short(heard) == [
        *[
            ("session_changed", KEY, action)
            for action in ("created", "updated", "started", "tls_info_set", "completed")
        ],
        ("session_changed", OTHER, "created"),
        ("session_changed", OTHER, "failed"),
    ]
    assert heard[4].data["status"] == "completed"
    assert heard[6].data["error_code"] == "E1"


def test_a_session_that_may_not_change_reports_nothing(
    manager: DatabaseManager, heard: list[DatabaseEvent]
) -> None:
    with UnitOfWork(manager) as uow:
        with pytest.raises(NotFoundError):
            uow.sessions.timeout_session(KEY)
        assert uow.sessions.close_stale() == 0
        assert uow.logs.purge_old(1) == 0
        assert uow.logs.add_log_batch([]) == 0
        assert uow.devices.create_all([]) == []
        uow.commit()
    assert heard == []


def test_close_stale_is_one_event(manager: DatabaseManager, heard: list[DatabaseEvent]) -> None:
    with committed(manager) as uow:
        for number in (1, 2):
            at = utc_now() - timedelta(hours=3)
            uow.sessions.create_session(session_id=session_id(number), at=at)
        assert uow.sessions.close_stale() == 2
    events = heard[2:]
    assert short(events) == [
        ("session_changed", None, "timeout"),
        ("batch_completed", None, "completed"),
    ]
    assert events[0].data == {"count": 2}
    assert events[1].data == {"table": "ota_sessions", "operation": "close_stale", "count": 2}


def test_a_log_is_one_event_a_session(manager: DatabaseManager, heard: list[DatabaseEvent]) -> None:
    with committed(manager) as uow:
        for key in (KEY, OTHER):
            uow.sessions.create_session(session_id=key)
        for _ in range(3):
            uow.logs.add_log(KEY, "command", "00")
            uow.logs.add_log(OTHER, "command", "00")
            uow.logs.flush_batch()
        uow.logs.create(entry(OTHER))
        uow.devices.create(device(1))
        uow.logs.add_log(KEY, "command", "00")
    events = heard[2:]
    assert [(event.entity_id, event.data.get("count")) for event in events] == [
        (KEY, 3),
        (OTHER, 4),
        ("device-0001", None),
        (KEY, 1),
    ]
    assert {event.entity_type for event in events} == {"session", "device"}


def test_many_rows_are_reported_as_a_batch(
    manager: DatabaseManager, heard: list[DatabaseEvent]
) -> None:
    with committed(manager) as uow:
        uow.devices.create_all([device(1), device(2)])
        uow.sessions.create_session(session_id=KEY)
        uow.logs.add_log_batch([entry(KEY)] * 20)
        last = uow.logs.create(entry(KEY))
        uow.logs.update(last)
        uow.logs.delete_by_id(last.id)
        assert uow.logs.purge_old(1) == 20
    assert short(heard)[:2] == [
        ("device_changed", None, "created"),
        ("batch_completed", None, "completed"),
    ]
    batches = [event for event in heard if event.event_type is EventType.BATCH_COMPLETED]
    assert [tuple(event.data.values()) for event in batches] == [
        ("devices", "create_all", 2),
        ("comm_logs", "add_log_batch", 20),
        ("comm_logs", "update", 1),
        ("comm_logs", "delete_by_id", 1),
        ("comm_logs", "purge_old", 20),
    ]


def test_test_results(manager: DatabaseManager, heard: list[DatabaseEvent]) -> None:
    with committed(manager) as uow:
        made = uow.tests.create_result("run", "suite", "test", "passed", metadata={"a": [1]})
        uow.tests.update(made)
        uow.tests.create_results(
            [replace(made, id=f"{n}", run_id="even" if n % 2 == 0 else "odd") for n in range(3)]
        )
        assert uow.tests.create_all([]) == []
        uow.tests.delete(made)
        assert uow.tests.purge_old(1) == 0
    assert [(event.event_type.value, event.action) for event in heard] == [
        ("test_result_added", "created"),
        ("test_result_added", "updated"),
        ("test_result_added", "created"),
        ("test_result_added", "created"),
        ("batch_completed", "completed"),
        ("batch_completed", "completed"),
    ]
    assert heard[0].data["metadata"] == {"a": [1]}
    assert heard[0].entity_id == heard[0].data["id"]
    assert [event.data for event in heard[2:5]] == [
        {"count": 2, "run_id": "even"},
        {"count": 1, "run_id": "odd"},
        {"table": "test_results", "operation": "create_results", "count": 3},
    ]
    assert heard[5].data["operation"] == "delete_by_id"


@on_sqlite
def test_settings(manager: DatabaseManager, heard: list[DatabaseEvent]) -> None:
    with committed(manager) as uow:
        uow.settings.set_value("lab.name", None)
        uow.settings.set_value("server.port", 9000)
        assert uow.settings.reset_to_defaults() == ["server.port"]
        uow.settings.delete("lab.name")
    assert short(heard) == [
        ("settings_changed", "lab.name", "set"),
        ("settings_changed", "server.port", "set"),
        ("settings_changed", "server.port", "deleted"),
        ("settings_changed", "lab.name", "deleted"),
    ]
    assert [event.data.get("value", "none") for event in heard] == [None, 9000, "none", "none"]


def test_an_import_is_reported_by_table(manager: DatabaseManager, tmp_path: Path) -> None:
    file = tmp_path / "lab.jsonl"
    with UnitOfWork(manager) as uow:
        uow.devices.create_all([device(1), device(2)])
        uow.sessions.create_session(session_id=KEY)
        uow.logs.add_log_batch([entry(KEY)] * 3)
        uow.commit()
    export(manager, file)
    with UnitOfWork(manager) as uow:
        uow.sessions.delete_by_id(KEY)
        uow.devices.delete_by_id("device-0002")
        uow.commit()
    events: list[DatabaseEvent] = []
    manager.events.on("*", events.append)
    import_file(manager, file, dry_run=True)
    assert events == []
    import_file(manager, file)
    assert [(event.event_type.value, event.entity_type, event.action) for event in events] == [
        ("device_changed", "device", "imported"),
        ("batch_completed", "device", "completed"),
        ("session_changed", "session", "imported"),
        ("batch_completed", "session", "completed"),
        ("log_added", "log", "imported"),
        ("batch_completed", "log", "completed"),
    ]
    assert events[0].data == {"count": 1}
    assert events[5].data == {"table": "comm_logs", "operation": "import", "count": 3}


# Errors of the database


def test_an_error_of_the_database_fires_at_once(
    manager: DatabaseManager, heard: list[DatabaseEvent]
) -> None:
    with UnitOfWork(manager) as uow:
        uow.devices.create(device(1))
        with pytest.raises(IntegrityError):
            uow.devices.create(device(1, notes="secret"))
        (event,) = heard
    assert event.event_type is EventType.DATABASE_ERROR
    assert (event.entity_type, event.entity_id, event.action) == ("database", None, "failed")
    assert event.data["error"] == "IntegrityError"
    assert "exists already" in event.data["what"]
    assert "devices.create" in event.data["where"]
    assert "secret" not in repr(event)
    assert len(heard) == 1


def test_a_database_that_does_not_answer_is_reported() -> None:
    url = "postgresql://nobody:secret@127.0.0.1:1/none"
    with DatabaseManager(DatabaseConfig(url)) as manager:
        heard: list[DatabaseEvent] = []
        manager.events.on(EventType.DATABASE_ERROR, heard.append)
        assert manager.health_check()["status"] == "unhealthy"
    assert [event.data["error"] for event in heard] == ["ConnectionError"]
    assert "secret" not in repr(heard)


@on_sqlite
def test_a_mistake_of_the_caller_is_not_an_error_of_the_database(
    manager: DatabaseManager, heard: list[DatabaseEvent]
) -> None:
    with UnitOfWork(manager) as uow:
        with pytest.raises(ValidationError):
            uow.devices.create(device(1, iccid="x"))
        with pytest.raises(NotFoundError):
            uow.devices.activate("nobody")
    assert heard == []


def test_a_handler_of_errors_that_runs_into_one_does_not_go_round(
    manager: DatabaseManager, caplog: pytest.LogCaptureFixture
) -> None:
    calls = []

    def ask_for_nothing() -> None:
        with manager.transaction(read_only=True) as transaction:
            transaction.scalar(query(manager, "scalar", "SELECT nothing FROM nowhere;"), {})

    def ask_again(event: DatabaseEvent) -> None:
        calls.append(event)
        ask_for_nothing()

    manager.events.on("database_error", ask_again)
    for _ in range(2):
        with pytest.raises(QueryError):
            ask_for_nothing()
    assert len(calls) == 2
    assert "ask_again of database_error raised" in caplog.text


# Handlers


@on_sqlite
def test_a_handler_that_raises_is_named_and_stops_nobody(
    manager: DatabaseManager, caplog: pytest.LogCaptureFixture, heard: list[DatabaseEvent]
) -> None:
    def broken(event: DatabaseEvent, _more: str = "") -> None:
        raise RuntimeError(event.action)

    after: list[DatabaseEvent] = []
    for handler in (broken, partial(broken, _more="secret"), after.append):
        manager.events.on("device_changed", handler)
    with UnitOfWork(manager) as uow, caplog.at_level(logging.ERROR, LOGGER):
        uow.devices.create(device(1))
        uow.commit()
        uow.devices.create(device(2))
        uow.commit()

    assert len(heard) == len(after) == 2
    records = [r.getMessage() for r in caplog.records if r.name == LOGGER]
    assert len(records) == 4
    assert all("test_events" in line and "broken of device_changed" in line for line in records)
    assert "secret" not in caplog.text


@on_sqlite
def test_a_handler_hears_the_types_it_asked_for_once_each(manager: DatabaseManager) -> None:
    heard: list[DatabaseEvent] = []
    for kind in ("device_changed", EventType.DEVICE_CHANGED, "*"):
        manager.events.on(kind, heard.append)
    add(manager, device(1), card(1))
    assert short(heard) == [
        ("device_changed", "device-0001", "created"),
        ("profile_changed", iccid(1), "created"),
    ]
    assert manager.events.off("*", heard.append)
    assert manager.events.wanted == {EventType.DEVICE_CHANGED}
    assert manager.events.off("device_changed", heard.append)
    assert not manager.events.off("device_changed", heard.append)
    assert not manager.events.wanted


@on_sqlite
def test_handlers_are_called_in_the_order_of_their_registration(manager: DatabaseManager) -> None:
    calls: list[int] = []
    handlers = [lambda _event, number=number: calls.append(number) for number in range(5)]
    for number, handler in enumerate(handlers):
        manager.events.on("*" if number % 2 else "device_changed", handler)
    manager.events.emit(DatabaseEvent(EventType.DEVICE_CHANGED, "device", None, "seen"))
    assert calls == [0, 1, 2, 3, 4]


@on_sqlite
def test_handlers_come_and_go_while_events_are_reported(manager: DatabaseManager) -> None:
    heard: list[tuple[str, str | None]] = []

    def late(event: DatabaseEvent) -> None:
        heard.append(("late", event.entity_id))

    def gone(event: DatabaseEvent) -> None:
        heard.append(("gone", event.entity_id))

    def first(event: DatabaseEvent) -> None:
        heard.append(("first", event.entity_id))
        manager.events.on("device_changed", late)
        manager.events.off("device_changed", gone)
        manager.events.off("device_changed", first)

    for handler in (first, gone):
        manager.events.on("device_changed", handler)
    with UnitOfWork(manager) as uow:
        uow.devices.create(device(1))
        uow.devices.create(device(2))
        uow.commit()
    assert heard == [("first", "device-0001"), ("late", "device-0002")]


def test_what_a_handler_commits_is_reported_after_what_came_before(
    manager: DatabaseManager,
) -> None:
    heard: list[tuple[str, str | None]] = []

    def writer(event: DatabaseEvent) -> None:
        heard.append(("writer", event.entity_id))
        if event.entity_id == "device-0001":
            add(manager, device(3))
            heard.append(("committed", "device-0003"))

    manager.events.on("*", writer)
    manager.events.on("*", lambda event: heard.append(("second", event.entity_id)))
    with UnitOfWork(manager) as uow:
        uow.devices.create(device(1))
        uow.devices.create(device(2))
        uow.commit()
    assert heard == [
        ("writer", "device-0001"),
        ("committed", "device-0003"),
        ("second", "device-0001"),
        ("writer", "device-0002"),
        ("second", "device-0002"),
        ("writer", "device-0003"),
        ("second", "device-0003"),
    ]


@on_sqlite
def test_what_an_interrupted_handler_left_is_reported_next(manager: DatabaseManager) -> None:
    heard: list[str | None] = []

    def interrupted(event: DatabaseEvent) -> None:
        heard.append(event.entity_id)
        if event.entity_id == "device-0001":
            raise KeyboardInterrupt

    manager.events.on("*", interrupted)
    with UnitOfWork(manager) as uow:
        uow.devices.create(device(1))
        uow.devices.create(device(2))
        with pytest.raises(KeyboardInterrupt):
            uow.commit()
        uow.devices.create(device(3))
        uow.commit()
    assert heard == ["device-0001", "device-0002", "device-0003"]


def test_another_type_handler_or_event_is_refused() -> None:
    for call in [
        lambda bus: bus.on("device", print),
        lambda bus: bus.on(None, print),
        lambda bus: bus.off("device", print),
        lambda bus: bus.on("*", "print"),
        lambda bus: bus.emit("device_changed"),
    ]:
        with pytest.raises(ValidationError):
            call(DatabaseManager(DatabaseConfig("sqlite:///:memory:")).events)


# Threads


def test_each_thread_reports_its_own_in_order(manager: DatabaseManager) -> None:
    heard: list[tuple[int, int, str | None]] = []
    manager.events.on(
        "device_changed",
        lambda event: heard.append((threading.get_ident(), event.data["notes"], event.entity_id)),
    )
    rounds = 10

    def work(first: int) -> None:
        ident = threading.get_ident()
        for number in range(first, first + rounds):
            add(manager, device(number, notes=str(ident)))

    def come_and_go() -> None:
        for _ in range(200):
            handler = [].append
            manager.events.on("*", handler)
            manager.events.off("*", handler)

    with ThreadPoolExecutor(9) as threads:
        done = [threads.submit(work, 100 * number) for number in range(8)]
        done.append(threads.submit(come_and_go))
    for one in done:
        one.result()
    assert all(str(reported_by) == written_by for reported_by, written_by, _ in heard)
    for first in range(0, 800, 100):
        own = [name for _, _, name in heard if name and first <= int(name[7:]) < first + 100]
        assert own == [f"device-{n:04d}" for n in range(first, first + rounds)]
