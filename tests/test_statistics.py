"""Figures of what is recorded: each against a reckoning in Python."""

import math
import random
from collections import Counter
from datetime import date, datetime, timedelta
from typing import Any

import pytest

from cardlink_sql import (
    CommLog,
    DatabaseManager,
    Direction,
    OTASession,
    SessionStatus,
    UnitOfWork,
)
from cardlink_sql.model.times import utc_now
from cardlink_sql.operations.statistics import STEPS, take_statistics
from tests.conftest import card, committed, iccid, session_id


def add_session(uow: UnitOfWork, number: int, created: datetime, **fields: Any) -> None:
    values = {"status": SessionStatus.COMPLETED, "created_at": created, **fields}
    uow.sessions.create(OTASession(session_id(number), **values))


def exchange(number: int, command: str | None, word: str, latency: float | None) -> list[CommLog]:
    response = CommLog(session_id(number), Direction.RESPONSE, word, latency)
    if command is None:
        return [response]
    return [CommLog(session_id(number), Direction.COMMAND, command), response]


@pytest.mark.parametrize("count", [0, 1, 2, 19, 20, 21, 100])
def test_a_percentile_is_the_nearest_rank(uow: UnitOfWork, count: int) -> None:
    chance = random.Random(count)
    durations = [chance.randrange(1000) for _ in range(count)]
    for number, duration in enumerate(durations):
        add_session(uow, number, utc_now(), duration_ms=duration)
    add_session(uow, 1000, utc_now(), status=SessionStatus.PENDING)
    add_session(uow, 1001, utc_now() - timedelta(days=31), duration_ms=10_000)

    for percent in (1, 50, 95, 100):
        expected = sorted(durations)[math.ceil(percent * count / 100) - 1] if count else None
        assert uow.statistics.get_duration_percentile(30, percent) == expected


def test_sessions_are_counted_by_the_day_of_utc(uow: UnitOfWork) -> None:
    midnight = utc_now().replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=3)
    moments = [
        (midnight - timedelta(microseconds=1), SessionStatus.COMPLETED),
        (midnight, SessionStatus.FAILED),
        (midnight + timedelta(hours=12), SessionStatus.ACTIVE),
        (midnight + timedelta(hours=23, minutes=59, seconds=59), SessionStatus.TIMEOUT),
        (midnight + timedelta(days=2), SessionStatus.PENDING),
    ]
    for number, (at, status) in enumerate(moments):
        add_session(uow, number, at, status=status)

    found = uow.statistics.get_session_days(30)

    day = midnight.date()
    assert [(one.day, one.total, one.completed, one.failed, one.timeout) for one in found] == [
        (day - timedelta(days=1), 1, 1, 0, 0),
        (day, 3, 0, 1, 1),
        (day + timedelta(days=2), 1, 0, 0, 0),
    ]


def test_exchanges_are_paired_within_their_session(uow: UnitOfWork) -> None:
    now = utc_now()
    for number in (1, 2, 3):
        add_session(uow, number, now - timedelta(hours=number))
    first = [
        *exchange(1, "00A40004023F00", "9000", 10.0),
        *exchange(1, None, "9110", 3.0),
        *exchange(1, "00A4040007A000", "6A82", 30.0),
        *exchange(1, "00B0000000", "9000", None),
    ]
    other = exchange(2, "80F28002024F00", "9000", 5.0)
    # The entries of two sessions are written in turns.
    uow.logs.add_log_batch([first[0], other[0], first[1], other[1], *first[2:]])
    uow.logs.add_log_batch(exchange(3, "00A40004023F00", "9000", 99.0))

    found = uow.statistics.count_exchanges(now - timedelta(hours=2, minutes=1), now)

    assert {(one.header, one.status_word): one for one in found}.keys() == {
        ("00A400", "9000"), ("00A404", "6A82"), ("00B000", "9000"), ("80F280", "9000"),
        (None, "9110"),
    }  # fmt: skip
    by_header = {one.header: one for one in found}
    select = by_header["00A400"]
    assert (select.responses, select.latencies) == (1, 1)
    assert (select.total_latency_ms, select.maximum_latency_ms) == (10.0, 10.0)
    assert by_header["00B000"].latencies == 0
    assert by_header["00B000"].total_latency_ms == 0


def test_the_slowest_stand_with_their_command(uow: UnitOfWork) -> None:
    now = utc_now()
    add_session(uow, 1, now - timedelta(hours=1))
    add_session(uow, 2, now - timedelta(days=9))
    uow.logs.add_log_batch(exchange(1, "00A40004023F00", "9000", 10.0))
    uow.logs.add_log_batch(exchange(1, None, "9110", 20.0))
    uow.logs.add_log_batch(exchange(1, "00B0000000", "6A82", 10.0))
    uow.logs.add_log_batch(exchange(1, "00B2010424", "9000", None))
    uow.logs.add_log_batch(exchange(2, "00B2010424", "9000", 99.0))

    found = uow.statistics.find_slowest(now - timedelta(days=1), now, limit=3)

    assert [(one.latency_ms, one.command, one.status_word) for one in found] == [
        (20.0, None, "9110"),
        (10.0, "00A40004023F00", "9000"),
        (10.0, "00B0000000", "6A82"),
    ]
    assert {one.session_id for one in found} == {session_id(1)}
    assert len(uow.statistics.find_slowest(now - timedelta(days=1), now, limit=1)) == 1


def test_all_figures_agree_with_a_reckoning(manager: DatabaseManager) -> None:
    chance = random.Random(1)
    now = utc_now()
    commands = ["00A40004023F00", "80E60C0000", "80F28002024F00", "005A000000"]
    inside: list[CommLog] = []
    days: Counter[date] = Counter()
    with committed(manager) as uow:
        uow.cards.create_with_psk(card(1), "00" * 16, psk_identity="one")
        uow.cards.create(card(2))
        for number in range(80):
            created = now - timedelta(days=chance.uniform(0, 20))
            add_session(uow, number, created, card_iccid=iccid(1), duration_ms=number)
            entries = [
                entry
                for _ in range(chance.randrange(6))
                for entry in exchange(
                    number, chance.choice(commands), chance.choice(["9000", "6A82"]), number + 0.5
                )
            ]
            uow.logs.add_log_batch(entries)
            if created >= now - timedelta(days=10):
                inside += entries
                days[created.date()] += 1
    steps: list[int] = []

    taken = take_statistics(manager, 10, steps.append)

    assert sum(steps) == STEPS
    responses = [entry for entry in inside if entry.direction is Direction.RESPONSE]
    assert {one.status_word: one.responses for one in taken.status_words} == Counter(
        entry.raw_data for entry in responses
    )
    assert sum(one.responses for one in taken.commands) == len(responses)
    assert {one.command for one in taken.commands} == {
        "SELECT", "INSTALL", "GET STATUS", "INS 5A",
    }  # fmt: skip
    for one in taken.commands:
        assert one.average_latency_ms <= one.maximum_latency_ms
    latencies = sorted((entry.latency_ms or 0 for entry in responses), reverse=True)
    assert [one.latency_ms for one in taken.slowest] == latencies[:10]
    assert {day.day: day.total for day in taken.session_days if day.total} == days
    assert len(taken.session_days) in (11, 12)
    assert (taken.cards.with_psk, taken.cards.without_psk) == (1, 1)
    assert taken.database_bytes > 0
    assert {one.name: one.rows for one in taken.tables}["comm_logs"] >= len(inside)
