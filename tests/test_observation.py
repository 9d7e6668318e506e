"""Who observes the statements learns names, durations and row counts, and never a value."""

import logging
import os
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import UTC
from time import perf_counter

import pytest

from cardlink_sql import (
    DatabaseConfig,
    DatabaseManager,
    Dialect,
    IntegrityError,
    ObservedStatement,
    QueryError,
    UnitOfWork,
    ValidationError,
)
from tests.conftest import (
    add,
    card,
    committed,
    device,
    entry,
    iccid,
    on_servers,
    on_sqlite,
    session_id,
    wait_until,
)
from tests.roles import ask, execute
from tests.test_transaction import query

KEY = session_id()
IDENTITY = "card_of_the_test"
PSK = "00112233445566778899AABBCCDDEEFF"
APDU = "80E2900010CAFE"
# What no observer may get to see, however it is written.
VALUES = (IDENTITY, PSK, PSK.lower(), APDU, iccid(), KEY, "SECRET")
Observed = list[ObservedStatement]


@pytest.fixture
def observed(manager: DatabaseManager) -> Observed:
    """Each statement of the manager, as it is observed."""
    statements: Observed = []
    manager.statements.on(statements.append)
    return statements


def names(observed: Observed) -> list[str]:
    """What was sent. A look at event_counter may come in between at any time."""
    return [one.name for one in observed if one.name != "outbox.get_counter"]


def work(manager: DatabaseManager) -> None:
    """Some of everything, with values that nobody may see."""
    with UnitOfWork(manager) as uow:
        uow.cards.create_with_psk(card(), PSK, psk_identity=IDENTITY)
        uow.sessions.create_session(session_id=KEY, card_iccid=iccid())
        uow.logs.add_log(KEY, "command", APDU)
        uow.commit()
        with suppress(IntegrityError), uow.savepoint():
            uow.cards.create(card(notes="SECRET"))
        uow.cards.get_psk_key_by_identity(IDENTITY)
        uow.logs.search_hex(APDU)
        uow.rollback()


# What is observed


def test_each_statement_is_reported_by_its_name_and_rows(
    manager: DatabaseManager, observed: Observed
) -> None:
    with committed(manager) as uow:
        uow.devices.create_all([device(1), device(2)])
        uow.devices.find_by(device_type="phone")
        uow.devices.deactivate("device-0001")
        uow.devices.get_by_id("nobody")
        uow.devices.delete_by_id("device-0002")

    begin = "BEGIN IMMEDIATE" if manager.dialect is Dialect.SQLITE else "BEGIN"
    found = [(one.name, one.rows) for one in observed if one.name != "outbox.get_counter"]
    assert found == [
        (begin, 0),
        ("devices.create", 1),
        ("devices.create", 1),
        ("devices.find_by", 2),
        ("devices.set_active", 1),
        ("devices.get_by_id", 1),
        ("devices.get_by_id", 0),
        ("devices.delete_by_id", 1),
        ("COMMIT", 0),
    ]
    assert all(one.error is None for one in observed)
    assert all(one.duration_ms > 0 for one in observed)
    assert all(one.dialect is manager.dialect for one in observed)
    assert [one.started_at for one in observed] == sorted(one.started_at for one in observed)
    assert all(one.started_at.tzinfo is UTC for one in observed)
    where = {one.name: one.where for one in observed}
    assert where["devices.create"] == manager.library.query("devices", "create").where
    assert where["COMMIT"] is None


@pytest.mark.parametrize("count", [250, 1000])
def test_a_batch_has_the_rows_written(
    manager: DatabaseManager, observed: Observed, count: int
) -> None:
    with UnitOfWork(manager) as uow:
        uow.sessions.create_session(session_id=KEY)
        uow.logs.add_log_batch([entry(KEY)] * count)
        uow.commit()
        assert len(list(uow.logs.stream_session(KEY))) == count

    written = [one for one in observed if one.name in ("logs.add_log_batch", "logs.copy_log_batch")]
    assert sum(one.rows for one in written) == count
    assert sum(one.rows for one in observed if one.name == "logs.stream_session") == count


def test_a_number_that_the_database_gives_is_a_row(
    manager: DatabaseManager, observed: Observed
) -> None:
    with UnitOfWork(manager) as uow:
        uow.sessions.create_session(session_id=KEY)
        uow.logs.create(entry(KEY))
    assert [one.rows for one in observed if one.name == "logs.create"] == [1]


def test_what_frames_a_transaction_is_reported(
    manager: DatabaseManager, observed: Observed
) -> None:
    with UnitOfWork(manager) as uow:
        uow.devices.count()
        with suppress(ValueError), uow.savepoint():
            raise ValueError
        with uow.savepoint():
            pass
        uow.rollback()
        uow.devices.count()
    frame = ["SAVEPOINT", "ROLLBACK TO SAVEPOINT", "RELEASE SAVEPOINT"]
    frame += ["SAVEPOINT", "RELEASE SAVEPOINT", "ROLLBACK"]
    count, begin = "devices.count_by", manager.pool.backend.begin
    if manager.dialect is Dialect.SQLITE:
        framed = [begin, count, *frame, begin, count, "ROLLBACK"]
    else:
        # Under READ COMMITTED a read needs no transaction.
        framed = [count, begin, *frame, count]
    assert [name for name in names(observed) if name != "outbox.get_counter"] == framed
    with manager.transaction(read_only=True, snapshot=True) as transaction:
        transaction.scalar(manager.library.query("devices", "count_by"), {})
    assert names(observed)[-3:-1] == [
        {
            Dialect.SQLITE: "BEGIN DEFERRED",
            Dialect.MYSQL: "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY",
            Dialect.POSTGRESQL: "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
        }[manager.dialect],
        "devices.count_by",
    ]


def test_fetching_belongs_to_the_duration(manager: DatabaseManager, observed: Observed) -> None:
    # SQLite makes the rows while they are fetched.
    rows = query(
        manager,
        "many",
        "WITH RECURSIVE n AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM n WHERE i < 300)"
        " SELECT a.i FROM n a, n b;",
    )

    def is_most_of_it() -> bool:
        with manager.transaction(read_only=True) as transaction:
            begun = perf_counter()
            assert len(transaction.many(rows, {})) == 90_000
            took_ms = (perf_counter() - begun) * 1000
        assert observed[-1].name == "trials.trial"
        assert observed[-1].rows == 90_000
        assert observed[-1].duration_ms <= took_ms
        return took_ms / 2 < observed[-1].duration_ms

    wait_until(is_most_of_it)  # a busy machine may pause the process in between


def test_a_statement_that_fails_has_the_class_of_its_error(
    manager: DatabaseManager, observed: Observed
) -> None:
    with UnitOfWork(manager) as uow:
        uow.cards.create(card(notes="SECRET"))
        with pytest.raises(IntegrityError), uow.savepoint():
            uow.cards.create(card(notes="SECRET"))
        with pytest.raises(QueryError):
            uow._transaction.many(query(manager, "many", "SELECT secret FROM devices;"), {})
    failed = [(one.name, one.rows, one.error) for one in observed if one.error]
    assert failed == [("cards.create", 0, "IntegrityError"), ("trials.trial", 0, "QueryError")]


def test_a_write_that_is_refused_is_the_only_failure_of_its_round_trip(
    manager: DatabaseManager, observed: Observed
) -> None:
    with UnitOfWork(manager) as uow:
        created = uow.sessions.create_session()
        with pytest.raises(IntegrityError), uow.savepoint():
            uow.sessions.update(replace(created, device_id="nobody"))
    assert [one.name for one in observed if one.error] == ["sessions.update"]


@on_servers
def test_a_read_that_is_sent_again_is_reported_twice(
    manager: DatabaseManager, owner: DatabaseManager, observed: Observed
) -> None:
    own, kill, alive = {
        Dialect.MYSQL: (
            "CONNECTION_ID()",
            "KILL {}",
            "SELECT COUNT(*) FROM information_schema.processlist WHERE id = {}",
        ),
        Dialect.POSTGRESQL: (
            "PG_BACKEND_PID()",
            "SELECT PG_TERMINATE_BACKEND({})",
            "SELECT COUNT(*) FROM pg_stat_activity WHERE pid = {}",
        ),
    }[manager.dialect]
    with manager.transaction(read_only=True) as transaction:
        number = transaction.scalar(query(manager, "scalar", f"SELECT {own};"), {})
        execute(owner, kill.format(number))
        wait_until(lambda: ask(owner, alive.format(number)) == [(0,)])
        transaction.scalar(manager.library.query("devices", "count_by"), {})
    assert [one.error for one in observed if one.name == "devices.count_by"] == [
        "ConnectionError",
        None,
    ]


def test_no_value_is_reported(manager: DatabaseManager, observed: Observed) -> None:
    work(manager)
    assert "cards.get_psk_key_by_identity" in names(observed)
    assert "IntegrityError" in [one.error for one in observed]
    shown = "\n".join(map(repr, observed))
    assert [value for value in VALUES if value in shown] == []


# Who is observed


@on_sqlite
def test_a_handler_is_reported_from_the_next_unit_of_work_and_not_after_its_end(
    manager: DatabaseManager,
) -> None:
    first: Observed = []
    second: Observed = []
    with UnitOfWork(manager, read_only=True) as early:
        manager.statements.on(first.append)
        early.devices.count()
        with UnitOfWork(manager, read_only=True) as uow:
            uow.devices.count()
            manager.statements.on(second.append)
            uow.devices.count()
            manager.statements.off(first.append)
            uow.devices.count()
            manager.statements.off(second.append)
            uow.devices.count()
    assert names(first) == ["devices.count_by"] * 2
    assert names(second) == ["devices.count_by"] * 2


@on_sqlite
def test_a_handler_that_raises_is_logged_and_stops_nobody(
    manager: DatabaseManager, caplog: pytest.LogCaptureFixture
) -> None:
    heard: Observed = []

    def broken(_told: ObservedStatement) -> None:
        raise RuntimeError("handler")

    manager.statements.on(broken)
    manager.statements.on(heard.append)
    manager.statements.on(heard.append)
    assert manager.run(lambda uow: uow.devices.count(), read_only=True) == 0
    assert names(heard) == ["devices.count_by"]
    (record,) = caplog.records
    assert record.name == "cardlink_sql.database.observation"
    assert "broken of statements raised" in record.getMessage()
    with pytest.raises(ValidationError, match="str cannot be called"):
        manager.statements.on("broken")  # type: ignore[arg-type]


@on_sqlite
def test_statements_of_a_handler_are_not_reported(manager: DatabaseManager) -> None:
    heard: list[str] = []

    def look(observed: ObservedStatement) -> None:
        heard.append(observed.name)
        with UnitOfWork(manager, read_only=True) as other:
            other.devices.count()

    manager.statements.on(look)
    with UnitOfWork(manager, read_only=True) as uow:
        uow.cards.count()
        uow.cards.count()
    assert heard == ["cards.count_by"] * 2


def test_each_thread_reports_its_own_statements(manager: DatabaseManager) -> None:
    heard: list[tuple[str, int]] = []

    def hear(observed: ObservedStatement) -> None:
        heard.append((observed.name, threading.current_thread().name))

    def read(count: Callable[[UnitOfWork], int]) -> None:
        for _ in range(20):
            with UnitOfWork(manager, read_only=True) as uow:
                count(uow)

    readers = [
        threading.Thread(target=read, args=[count], name=name)
        for name, count in (
            ("cards.count_by", lambda uow: uow.cards.count()),
            ("devices.count_by", lambda uow: uow.devices.count()),
        )
    ]
    manager.statements.on(hear)
    for reader in readers:
        reader.start()
    for _ in range(200):  # handlers come and go meanwhile
        manager.statements.on(print)
        manager.statements.off(print)
    for reader in readers:
        reader.join()
    assert len(heard) == 40
    assert set(heard) == {(reader.name, reader.name) for reader in readers}


# The slow-query log


def test_a_slow_statement_is_one_line_without_values(
    manager: DatabaseManager, caplog: pytest.LogCaptureFixture
) -> None:
    config = replace(manager.config, slow_query_ms=0)
    with DatabaseManager(config, keyring=manager.keyring) as slow:
        work(slow)
    lines = [record.getMessage() for record in caplog.records]
    assert {(record.name, record.levelname) for record in caplog.records} == {
        ("cardlink_sql.slow_query", "WARNING")
    }
    where = manager.library.query("cards", "get_psk_key_by_identity").where
    (psk,) = (line for line in lines if line.startswith("cards.get_psk_key_by_identity: "))
    assert psk.endswith(f" ms, 1 rows, {where}")
    assert any(line.startswith("COMMIT: ") and line.endswith(" ms, 0 rows") for line in lines)
    (failed,) = (line for line in lines if "IntegrityError" in line)
    assert failed.startswith("cards.create: ")
    assert all("\n" not in line for line in lines)
    shown = "\n".join([*lines, *(repr(record.args) for record in caplog.records)])
    assert [value for value in VALUES if value in shown] == []


def test_what_is_quicker_than_the_threshold_is_not_logged(
    manager: DatabaseManager, caplog: pytest.LogCaptureFixture
) -> None:
    with DatabaseManager(replace(manager.config, slow_query_ms=60_000)) as slow:
        add(slow, device())
        assert caplog.records == []
    wait = {
        Dialect.SQLITE: "WITH RECURSIVE n AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM n"
        " WHERE i < 400000) SELECT MAX(i) FROM n;",
        Dialect.MYSQL: "SELECT SLEEP(0.03);",
        Dialect.POSTGRESQL: "SELECT CAST(PG_SLEEP(0.03) AS TEXT);",
    }[manager.dialect]
    with (
        DatabaseManager(replace(manager.config, slow_query_ms=20)) as slow,
        slow.transaction(read_only=True) as transaction,
    ):
        transaction.scalar(query(manager, "scalar", wait), {})
    (record,) = (one for one in caplog.records if "trials" in one.getMessage())
    assert record.getMessage().startswith("trials.trial: ")


@on_sqlite
def test_a_process_is_reported_to_log_by_its_environment(
    manager: DatabaseManager, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("CARDLINK_SLOW_QUERY_MS", "0")
    with DatabaseManager(DatabaseConfig(manager.config.url)) as slow:
        slow.health_check()
    assert caplog.messages[0].startswith("server.version: ")


def test_a_forked_child_reports_too(manager: DatabaseManager) -> None:
    heard: Observed = []
    ended: list[int] = []

    def fork(observed: ObservedStatement) -> None:
        heard.append(observed)
        if len(heard) > 1:
            return
        child = os.fork()
        if not child:
            with UnitOfWork(manager, read_only=True) as own:
                own.devices.count()
            os._exit(0 if names(heard) == ["cards.count_by", "devices.count_by"] else 1)
        ended.append(os.waitpid(child, 0)[1])

    manager.statements.on(fork)
    with UnitOfWork(manager, read_only=True) as uow:
        uow.cards.count()
    assert names(heard) == ["cards.count_by"]
    assert ended == [0]


def test_echo_and_a_handler_go_together(
    manager: DatabaseManager, caplog: pytest.LogCaptureFixture
) -> None:
    heard: Observed = []
    with (
        caplog.at_level(logging.INFO, "sqlalchemy.engine"),
        DatabaseManager(replace(manager.config, echo=True, slow_query_ms=0)) as loud,
    ):
        loud.statements.on(heard.append)
        with UnitOfWork(loud, read_only=True) as uow:
            uow.devices.find_by(name="SECRET")
    assert names(heard) == ["devices.find_by"]
    echoed, slow = (one for one in caplog.records if "devices.find_by" in one.getMessage())
    assert (echoed.name, slow.name) == ("sqlalchemy.engine.Engine", "cardlink_sql.slow_query")
    assert "SECRET" not in caplog.text
