"""Purging: what goes and what stays, in batches, while others write."""

import random
import threading
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any

import pytest

from cardlink_sql import (
    DatabaseManager,
    Dialect,
    Direction,
    IntegrityError,
    OTASession,
    SessionStatus,
    TestResult,
    UnitOfWork,
    ValidationError,
)
from cardlink_sql.database.backend import backend_of
from cardlink_sql.gateways import log_retention, sessions
from cardlink_sql.gateways.sessions import SessionGateway
from cardlink_sql.model import tables
from cardlink_sql.model.times import utc_now
from cardlink_sql.operations.retention import TABLES, count_old, purge, retention_days
from tests.conftest import committed, dump, entry, session_id

OLD, RECENT = 40.0, 5.0
DAYS = dict.fromkeys(TABLES, 30.0)
# What is purged of the mixture: a session that has ended goes with its log, and an old entry goes
# whatever becomes of its session.
PURGED: dict[tuple[str, ...], dict[str, int]] = {
    ("sessions",): {"logs": 6, "sessions": 3},
    ("logs",): {"logs": 7},
    ("logs", "sessions"): {"logs": 9, "sessions": 3},
    ("tests",): {"tests": 2},
    ("events",): {"events": 9},
    TABLES: {"logs": 9, "sessions": 3, "tests": 2, "events": 9},
}
NAMES = {
    "logs": "comm_logs",
    "sessions": "ota_sessions",
    "tests": "test_results",
    "events": "event_outbox",
}


@pytest.fixture
def small_batches(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Batches of seven rows, and counts by two or three."""
    monkeypatch.setattr(log_retention, "_COUNTED", 3)
    monkeypatch.setattr(sessions, "_COUNTED", 2)
    for dialect in Dialect:
        monkeypatch.setattr(backend_of(dialect), "purge_rows", 7)
    yield


def ago(days: float) -> datetime:
    return utc_now() - timedelta(days=days)


def add_session(
    uow: UnitOfWork,
    number: int,
    *,
    created: float,
    ended: float | None,
    status: SessionStatus = SessionStatus.COMPLETED,
    logs: tuple[float, ...] = (),
) -> None:
    """A session created and ended so many days ago, with an entry as old as each of ``logs``."""
    uow.sessions.create(
        OTASession(
            session_id(number),
            status=status,
            ended_at=None if ended is None else ago(ended),
            created_at=ago(created),
            updated_at=ago(created),
        )
    )
    uow.logs.add_log_batch(
        entry(session_id(number), timestamp=ago(age), raw_data=f"00A4{number:04X}") for age in logs
    )


def add_old(manager: DatabaseManager, sessions: int, logs: int) -> None:
    with committed(manager) as uow:
        for number in range(sessions):
            add_session(uow, number, created=OLD, ended=OLD, logs=(OLD,) * logs)


def add_test(uow: UnitOfWork, number: int, age: float) -> None:
    uow.tests.create(
        TestResult(session_id(number), "run", "suite", "test", "passed", created_at=ago(age))  # type: ignore[arg-type]
    )


def add_events(manager: DatabaseManager, *ages: float) -> None:
    """An event in the outbox as old as each of ``ages``."""
    with manager.engine.begin() as connection:
        for number, age in enumerate(ages):
            values = {"id": number + 1, "origin": "test", "event_type": "log_added", "data": "{}"}
            values |= {"entity_type": "log", "action": "created", "occurred_at": ago(age)}
            connection.execute(tables.event_outbox.insert().values(**values))


def add_mixture(manager: DatabaseManager) -> None:
    """Rows of each kind, old and recent."""
    with committed(manager) as uow:
        add_session(uow, 1, created=OLD, ended=OLD, logs=(OLD, OLD, OLD))
        add_session(uow, 2, created=OLD, ended=OLD, logs=(OLD, RECENT), status=SessionStatus.FAILED)
        add_session(uow, 3, created=OLD, ended=RECENT, logs=(OLD, RECENT))
        add_session(uow, 4, created=OLD, ended=None, status=SessionStatus.ACTIVE, logs=(OLD,))
        add_session(uow, 5, created=OLD, ended=None, status=SessionStatus.PENDING)
        add_session(uow, 6, created=OLD, ended=None, status=SessionStatus.TIMEOUT, logs=(RECENT,))
        add_session(uow, 7, created=RECENT, ended=OLD, logs=(OLD,))
        add_session(uow, 8, created=RECENT, ended=RECENT, logs=(RECENT,))
        for number, age in enumerate((OLD, OLD, RECENT)):
            add_test(uow, number, age)
    add_events(manager, *[OLD] * 9, RECENT)


def rows(manager: DatabaseManager) -> dict[str, int]:
    dumped = dump(manager)
    return {name: len(dumped[NAMES[name]]) for name in TABLES}


def left(manager: DatabaseManager) -> list[int]:
    return [int(row[0][-2:], 16) for row in dump(manager)["ota_sessions"]]


@pytest.mark.parametrize(("names", "expected"), PURGED.items(), ids="+".join)
def test_the_count_is_what_the_purge_deletes(
    manager: DatabaseManager, small_batches: None, names: tuple[str, ...], expected: dict[str, int]
) -> None:
    add_mixture(manager)
    days = {name: DAYS[name] for name in names}
    before = rows(manager)

    assert count_old(manager, days) == expected
    assert rows(manager) == before
    assert purge(manager, days) == expected

    after = rows(manager)
    assert {name: before[name] - after[name] for name in TABLES} == {
        name: expected.get(name, 0) for name in TABLES
    }
    assert left(manager) == ([3, 4, 5, 7, 8] if "sessions" in names else [*range(1, 9)])
    assert set(purge(manager, days).values()) == {0}


def test_logs_and_sessions_of_all_sizes_and_ages_add_up(
    manager: DatabaseManager, small_batches: None
) -> None:
    chance = random.Random(1)
    with committed(manager) as uow:
        for number in range(30):
            ended = chance.uniform(1, 60)
            ages = tuple(
                chance.uniform(1, 60) for _ in range(chance.choice([0, 0, 1, 6, 7, 8, 30]))
            )
            add_session(uow, number, created=ended + 1, ended=ended, logs=ages)
    before = rows(manager)
    days = {"logs": chance.uniform(5, 50), "sessions": chance.uniform(5, 50)}
    batches: list[Mapping[str, int]] = []

    counted = count_old(manager, days)
    purged = purge(manager, days, batches.append)

    assert purged == counted
    assert {name: before[name] - rows(manager)[name] for name in purged} == purged
    assert max(batch.get("logs", 0) for batch in batches) <= 7
    for name, number in purged.items():
        assert sum(batch.get(name, 0) for batch in batches) == number


def test_a_session_that_fits_a_batch_goes_as_a_whole(
    manager: DatabaseManager, small_batches: None
) -> None:
    add_old(manager, sessions=12, logs=4)

    def look(_rows: Mapping[str, int]) -> None:
        held = dump(manager)
        of_session = {row[1] for row in held["comm_logs"]}
        assert of_session == {row[0] for row in held["ota_sessions"]}

    assert purge(manager, {"sessions": 30}, look) == {"logs": 48, "sessions": 12}


@pytest.mark.parametrize(
    ("sessions", "logs", "batches"),
    [(4, 3, [{"logs": 6, "sessions": 2}]), (1, 40, [{"logs": 7}] * 3)],
    ids=["small sessions", "a large one"],
)
def test_an_interrupt_leaves_whole_batches_and_they_were_reported(
    manager: DatabaseManager,
    small_batches: None,
    sessions: int,
    logs: int,
    batches: list[dict[str, int]],
) -> None:
    add_old(manager, sessions, logs)
    reported: list[Mapping[str, int]] = []

    def interrupt(batch: Mapping[str, int]) -> None:
        reported.append(batch)
        if len(reported) == len(batches):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        purge(manager, {"sessions": 30}, interrupt)

    assert reported == batches
    gone = {name: sum(batch.get(name, 0) for batch in batches) for name in ("logs", "sessions")}
    rest = {"logs": sessions * logs - gone["logs"], "sessions": sessions - gone["sessions"]}
    assert rows(manager) == {**rest, "tests": 0, "events": 0}
    assert purge(manager, {"sessions": 30}) == rest


def test_two_purges_at_once_share_the_work(manager: DatabaseManager, small_batches: None) -> None:
    with committed(manager) as uow:
        for number in range(60):
            add_session(uow, number, created=OLD, ended=OLD, logs=(OLD,) * (number % 11))
            add_test(uow, number, OLD)
    before = rows(manager)
    purged: list[dict[str, int]] = []
    together = threading.Barrier(2)

    def work() -> None:
        together.wait()
        purged.append(purge(manager, DAYS))

    run_together(work, work)

    assert rows(manager) == dict.fromkeys(TABLES, 0)
    # What goes by the foreign key, between two steps of the other, is counted by nobody.
    assert sum(one["sessions"] for one in purged) == before["sessions"]
    assert sum(one["tests"] for one in purged) == before["tests"]


def test_who_logs_meanwhile_loses_nothing_that_was_to_stay(
    manager: DatabaseManager, small_batches: None
) -> None:
    add_old(manager, sessions=40, logs=9)
    with committed(manager) as uow:
        add_session(uow, 99, created=RECENT, ended=None, status=SessionStatus.ACTIVE)
    done = threading.Event()
    written: list[int] = []

    def write() -> None:
        while not done.is_set() or not written:
            try:
                with committed(manager) as uow:
                    uow.logs.add_log(session_id(99), Direction.COMMAND, "00A40004")
                written.append(1)
                with committed(manager) as uow:
                    uow.logs.add_log(session_id(39), Direction.COMMAND, "00B00000")
            except IntegrityError:
                pass  # the session that it logs to has been purged
            time.sleep(0.002)  # SQLite has no queue: who never pauses keeps the others out

    def work() -> None:
        try:
            purge(manager, DAYS)
        finally:
            done.set()

    run_together(write, work)

    assert left(manager) == [99]
    assert rows(manager)["logs"] == len(written)


def run_together(*work: Any) -> None:
    """Run each in its own thread until all are done."""
    with ThreadPoolExecutor(len(work)) as threads:
        for done in [threads.submit(one) for one in work]:
            done.result(60)


def test_a_session_that_has_not_ended_is_not_deleted_with_others(manager: DatabaseManager) -> None:
    with committed(manager) as uow:
        ended, active = (uow.sessions.open_session().id for _ in range(2))
        pending = uow.sessions.create_session().id
        uow.sessions.complete_session(ended)
        assert uow.sessions.delete_many([ended, active, pending]) == 1
    with UnitOfWork(manager, read_only=True) as uow:
        assert set(uow.sessions.get_many([ended, active, pending])) == {active, pending}


def test_what_cannot_be_deleted_is_not_tried_for_ever(
    manager: DatabaseManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_mixture(manager)
    monkeypatch.setattr(SessionGateway, "delete_many", lambda _self, _ids: 0)

    assert purge(manager, {"sessions": 30}) == {"logs": 6, "sessions": 0}


def test_the_settings_say_how_long_rows_are_kept(manager: DatabaseManager) -> None:
    kept = {"logs": 30, "sessions": 90, "tests": 90, "events": 7}
    assert retention_days(manager) == kept
    with committed(manager) as uow:
        uow.settings.set_value("retention.logs_days", 7)
    assert retention_days(manager, ["logs"]) == {"logs": 7}


def test_what_cannot_be_purged_is_refused_before_anything_goes(manager: DatabaseManager) -> None:
    add_mixture(manager)
    before = dump(manager)
    for days in [{"cards": 1}, {"logs": 0}, {"logs": -1}, {"tests": float("nan")}]:
        for call in (purge, count_old):
            with pytest.raises(ValidationError):
                call(manager, {"sessions": 1, **days})
        assert dump(manager) == before
