"""OTA sessions: their steps, their lists and their figures."""

import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta, timezone
from threading import Barrier
from typing import Any

import pytest
from hypothesis import example, given, settings, strategies as st

from cardlink_sql import (
    DatabaseManager,
    IntegrityError,
    NotFoundError,
    OTASession,
    SessionStatus,
    SessionType,
    StateError,
    UnitOfWork,
    ValidationError,
)
from tests.conftest import MOMENT, card, committed, device, iccid, session_id

Step = Callable[[UnitOfWork, datetime | None], OTASession]
KEY = session_id()

STEPS: dict[str, Step] = {
    "start": lambda uow, at: uow.sessions.start_session(KEY, at),
    "complete": lambda uow, at: uow.sessions.complete_session(KEY, at),
    "fail": lambda uow, at: uow.sessions.fail_session(KEY, "E1", "no answer", at),
    "timeout": lambda uow, at: uow.sessions.timeout_session(KEY, at),
}
LEGAL = {
    (SessionStatus.PENDING, "start"): SessionStatus.ACTIVE,
    (SessionStatus.PENDING, "fail"): SessionStatus.FAILED,
    (SessionStatus.PENDING, "timeout"): SessionStatus.TIMEOUT,
    (SessionStatus.ACTIVE, "complete"): SessionStatus.COMPLETED,
    (SessionStatus.ACTIVE, "fail"): SessionStatus.FAILED,
    (SessionStatus.ACTIVE, "timeout"): SessionStatus.TIMEOUT,
}
ILLEGAL = [(s, step) for s in SessionStatus for step in STEPS if (s, step) not in LEGAL]


def in_status(uow: UnitOfWork, status: SessionStatus) -> OTASession:
    """The session in a status, by legal steps from MOMENT on."""
    session = uow.sessions.create_session(session_id=KEY, at=MOMENT)
    if status is not SessionStatus.PENDING:
        session = uow.sessions.start_session(KEY, MOMENT)
    if status.is_end:
        step = {"completed": "complete", "failed": "fail"}.get(status.value, status.value)
        session = STEPS[step](uow, MOMENT + timedelta(seconds=1))
    assert session.status is status
    return session


def create(uow: UnitOfWork, number: int, **fields: Any) -> OTASession:
    """A session with these fields, created a second later for each number."""
    at = MOMENT + timedelta(seconds=number)
    record = OTASession(**{"id": session_id(number), "created_at": at, "updated_at": at, **fields})
    return uow.sessions.create(record)


def ids(sessions: list[OTASession]) -> list[int]:
    """The numbers that the sessions were created with."""
    return [int(session.id[-4:], 16) for session in sessions]


def test_a_new_session_is_pending_and_has_a_new_id(uow: UnitOfWork) -> None:
    sessions = [uow.sessions.create_session() for _ in range(20)]

    assert len({session.id for session in sessions}) == 20
    session = sessions[0]
    assert session.status is SessionStatus.PENDING
    assert session.session_type is None
    assert (session.started_at, session.ended_at, session.duration_ms) == (None, None, None)


def test_a_session_may_bring_its_id_and_its_time(uow: UnitOfWork) -> None:
    session = uow.sessions.create_session(session_id=KEY.upper(), at=MOMENT)

    assert session.id == KEY
    assert (session.created_at, session.updated_at) == (MOMENT, MOMENT)
    with pytest.raises(IntegrityError, match="exists already"):
        uow.sessions.create_session(session_id=KEY)


def test_a_session_names_its_device_card_and_type_and_outlives_them(uow: UnitOfWork) -> None:
    uow.devices.create(device())
    uow.cards.create(card())

    session = uow.sessions.create_session(
        device_id="device-0001", card_iccid=iccid(), session_type="polled"
    )
    uow.devices.delete_by_id("device-0001")
    uow.cards.delete_by_id(iccid())

    assert (session.device_id, session.card_iccid) == ("device-0001", iccid())
    assert session.session_type is SessionType.POLLED
    (left,) = uow.sessions.get_all()
    assert (left.device_id, left.card_iccid) == (None, None)


@pytest.mark.parametrize(("status", "step"), LEGAL, ids=str)
def test_a_legal_step_leads_to_its_status(
    uow: UnitOfWork, status: SessionStatus, step: str
) -> None:
    in_status(uow, status)

    session = STEPS[step](uow, MOMENT + timedelta(seconds=2))

    assert session.status is LEGAL[status, step]
    assert session == uow.sessions.get_by_id(KEY)


@pytest.mark.parametrize("status", SessionStatus, ids=str)
def test_an_illegal_step_is_refused_and_changes_nothing(
    uow: UnitOfWork, status: SessionStatus
) -> None:
    before = in_status(uow, status)
    reasons = {
        (SessionStatus.PENDING, "complete"): "the session is pending .start it first",
        (SessionStatus.ACTIVE, "start"): "the session is active already",
    }

    for refused, step in ILLEGAL:
        if refused is status:
            reason = reasons.get((status, step), f"the session has ended as {status}")
            with pytest.raises(StateError, match=reason):
                STEPS[step](uow, MOMENT + timedelta(seconds=2))

    assert uow.sessions.get_by_id(KEY) == before


def test_a_step_of_no_session_is_an_error(uow: UnitOfWork) -> None:
    for step in STEPS.values():
        with pytest.raises(NotFoundError, match=KEY):
            step(uow, None)


@pytest.mark.parametrize("step", ["complete", "fail", "timeout"])
def test_a_session_does_not_end_before_it_started(uow: UnitOfWork, step: str) -> None:
    before = in_status(uow, SessionStatus.ACTIVE)

    with pytest.raises(StateError, match="end before it started"):
        STEPS[step](uow, MOMENT - timedelta(microseconds=1))

    assert uow.sessions.get_by_id(KEY) == before
    assert STEPS[step](uow, MOMENT).duration_ms == 0


@pytest.mark.parametrize("step", ["complete", "fail", "timeout"])
def test_a_clock_that_is_set_back_ends_a_session_at_its_start(uow: UnitOfWork, step: str) -> None:
    soon = datetime.now(UTC) + timedelta(hours=1)
    uow.sessions.create_session(session_id=KEY)
    uow.sessions.start_session(KEY, soon)

    ended = STEPS[step](uow, None)

    assert (ended.started_at, ended.ended_at, ended.duration_ms) == (soon, soon, 0)


def test_a_step_happens_now_or_at_the_time_given(uow: UnitOfWork) -> None:
    in_status(uow, SessionStatus.PENDING)
    before = datetime.now(UTC)

    started = uow.sessions.start_session(KEY, MOMENT)
    ended = uow.sessions.complete_session(KEY)

    assert started.started_at == MOMENT
    assert before <= started.updated_at <= ended.ended_at <= datetime.now(UTC)
    uow.sessions.create_session(session_id=session_id(2))
    now = uow.sessions.start_session(session_id(2)).started_at
    assert ended.ended_at <= now <= datetime.now(UTC)


def test_a_failure_keeps_code_and_message_and_has_no_duration_without_a_start(
    uow: UnitOfWork,
) -> None:
    in_status(uow, SessionStatus.PENDING)

    session = uow.sessions.fail_session(KEY, "TLS-40", "handshake_failure: 'no key'", MOMENT)

    assert (session.error_code, session.error_message) == ("TLS-40", "handshake_failure: 'no key'")
    assert (session.ended_at, session.duration_ms) == (MOMENT, None)


@pytest.mark.parametrize("step", ["complete", "fail", "timeout"])
def test_the_duration_is_whole_milliseconds_rounded_down(uow: UnitOfWork, step: str) -> None:
    second = MOMENT.replace(microsecond=0)

    for start, end, duration in [
        (0, 999, 0),
        (0, 1_000, 1),
        (0, 1_999, 1),
        (999, 1_998, 0),
        (999, 1_999, 1),
        (999_500, 1_000_499, 0),
        (999_500, 1_000_500, 1),
        (999_999, 1_000_000, 0),
        (400, 999_600, 999),
        (999_600, 1_999_600, 1_000),
        (0, 86_400_000_000, 86_400_000),
        (1, 86_400_000_000, 86_399_999),
    ]:
        uow.sessions.create_session(session_id=KEY)
        uow.sessions.start_session(KEY, second + timedelta(microseconds=start))
        session = STEPS[step](uow, second + timedelta(microseconds=end))
        assert session.duration_ms == duration, (start, end)
        uow.sessions.delete_by_id(KEY)


ZONES = st.sampled_from([UTC, timezone(timedelta(hours=2)), timezone(timedelta(hours=-11))])
DAYS = st.datetimes(datetime(1000, 1, 3), datetime(9999, 12, 1), timezones=ZONES)  # noqa: DTZ001


@settings(max_examples=40)
@example(start=datetime(2026, 3, 29, 0, 59, 59, 999_999, UTC), lasted=timedelta(hours=2))
@example(start=datetime(1000, 1, 3, tzinfo=UTC), lasted=timedelta(days=3_000_000))
@given(start=DAYS, lasted=st.timedeltas(timedelta(0), timedelta(hours=3)))
def test_every_duration_is_exact(uow: UnitOfWork, start: datetime, lasted: timedelta) -> None:
    uow.rollback()
    uow.sessions.create_session(session_id=KEY)
    uow.sessions.start_session(KEY, start)

    session = uow.sessions.complete_session(KEY, start + lasted)

    assert session.duration_ms == lasted // timedelta(milliseconds=1)


@pytest.mark.parametrize("step", ["complete", "fail", "timeout"])
def test_of_two_workers_who_end_a_session_exactly_one_does(
    manager: DatabaseManager, step: str
) -> None:
    with committed(manager) as uow:
        in_status(uow, SessionStatus.ACTIVE)
    together = Barrier(2)

    def end(number: int) -> str:
        with UnitOfWork(manager, read_only=True) as before:
            assert before.sessions.find_open()
        together.wait(10)
        with UnitOfWork(manager) as uow:
            try:
                STEPS[step](uow, MOMENT + timedelta(seconds=number))
                uow.commit()
            except StateError as refused:
                return refused.what
            return "ended"

    with ThreadPoolExecutor(2) as threads:
        results = list(threads.map(end, (1, 2)))

    assert results.count("ended") == 1
    assert sum("the session has ended as" in result for result in results) == 1


def test_tls_info_and_metadata_are_kept_until_they_are_replaced(uow: UnitOfWork) -> None:
    in_status(uow, SessionStatus.PENDING)
    facts = {"client": "192.0.2.7:40312", "tls_version": "1.2", "handshake_ms": 12.5}

    first = uow.sessions.set_tls_info(KEY, psk_identity="unknown", metadata=facts)
    assert (first.tls_cipher_suite, first.tls_psk_identity) == (None, "unknown")
    assert first.metadata == facts

    second = uow.sessions.set_tls_info(KEY, "TLS_PSK_WITH_AES_128_CBC_SHA256", "card-é")
    assert second.tls_cipher_suite == "TLS_PSK_WITH_AES_128_CBC_SHA256"
    assert second.tls_psk_identity == "card-é"
    assert second.status is SessionStatus.PENDING
    assert second.metadata == facts

    third = uow.sessions.set_tls_info(KEY, metadata={"close": "reset"})
    assert third.metadata == {"close": "reset"}
    assert third.tls_cipher_suite == second.tls_cipher_suite
    assert third.tls_psk_identity == "card-é"


@pytest.mark.parametrize("status", [status for status in SessionStatus if status.is_end])
def test_an_ended_session_does_not_change(uow: UnitOfWork, status: SessionStatus) -> None:
    ended = in_status(uow, status)

    with pytest.raises(StateError, match="has ended"):
        uow.sessions.set_tls_info(KEY, "suite", "identity")
    with pytest.raises(StateError, match="has ended"):
        uow.sessions.update(ended)

    assert uow.sessions.get_by_id(KEY) == ended


def test_an_update_does_not_change_what_the_steps_change(uow: UnitOfWork) -> None:
    session = in_status(uow, SessionStatus.ACTIVE)
    session.status = SessionStatus.COMPLETED
    with pytest.raises(StateError, match="call start_session, complete_session"):
        uow.sessions.update(session)
    session.status = SessionStatus.ACTIVE
    session.started_at = session.ended_at = MOMENT + timedelta(days=1)
    session.duration_ms = 5
    session.error_code = "E1"

    updated = uow.sessions.update(session)

    assert updated.error_code == "E1"
    assert updated.status is SessionStatus.ACTIVE
    assert (updated.started_at, updated.ended_at, updated.duration_ms) == (MOMENT, None, None)


def test_lists_are_newest_first_and_have_one_order_for_a_moment(uow: UnitOfWork) -> None:
    uow.devices.create_all([device(1), device(2)])
    uow.cards.create_all([card(1), card(2)])
    for number in (2, 5, 1, 4, 3):
        one, at = 1 + number % 2, MOMENT + timedelta(seconds=number // 3)
        of: dict[str, Any] = {"device_id": f"device-000{one}", "card_iccid": iccid(3 - one)}
        create(uow, number, created_at=at, **of)

    for every in (
        uow.sessions.get_all(),
        uow.sessions.find_by_status("pending"),
        uow.sessions.find_open(),
        uow.sessions.find_by_date_range(MOMENT, MOMENT + timedelta(seconds=2)),
    ):
        assert ids(every) == [5, 4, 3, 2, 1]
    assert ids(uow.sessions.find_by_device("device-0001")) == [4, 2]
    assert ids(uow.sessions.find_by_device("device-0002", limit=2)) == [5, 3]
    assert uow.sessions.find_by_device("device-0003") == []
    assert ids(uow.sessions.find_by_card(iccid(2))) == [4, 2]
    assert ids(uow.sessions.find_by_card(iccid(1))) == [5, 3, 1]
    assert ids(uow.sessions.find_by_card(iccid(1), limit=1)) == [5]


def test_sessions_are_found_by_status(uow: UnitOfWork) -> None:
    for number, status in enumerate(SessionStatus):
        create(uow, number, status=status)

    for number, status in enumerate(SessionStatus):
        assert ids(uow.sessions.find_by_status(status)) == [number]
        assert ids(uow.sessions.find_by_status(status.value, limit=1)) == [number]
    assert {s.status for s in uow.sessions.find_open()} == {"pending", "active"}
    assert {s.status for s in uow.sessions.find_active()} == {"active"}


def test_a_date_range_holds_its_start_and_not_its_end(uow: UnitOfWork) -> None:
    for number in range(1, 6):
        create(uow, number)
    second, step = timedelta(seconds=1), timedelta(microseconds=1)
    zone = timezone(timedelta(hours=-7))
    find = uow.sessions.find_by_date_range
    at = MOMENT + second

    assert ids(find(MOMENT + 2 * second, MOMENT + 4 * second)) == [3, 2]
    assert ids(find(at.astimezone(zone), (at + 9 * second).astimezone(zone), limit=2)) == [5, 4]
    assert ids(find(at, at + step)) == [1]
    assert find(at - step, at) == []
    assert find(at, at) == []
    with pytest.raises(ValidationError, match="ends before it starts"):
        find(at, at - step)


@pytest.fixture
def two_hours_ago() -> datetime:
    """Longer ago than a session may stand still in these tests."""
    return datetime.now(UTC) - timedelta(hours=2)


def test_a_session_where_nothing_happened_is_stale(
    uow: UnitOfWork, two_hours_ago: datetime
) -> None:
    for number in (1, 2, 3):
        uow.sessions.create_session(session_id=session_id(number), at=two_hours_ago)
    uow.sessions.create_session(session_id=session_id(4))
    uow.logs.add_log(session_id(1), "command", "00", timestamp=two_hours_ago)
    uow.logs.add_log(session_id(2), "command", "00", timestamp=two_hours_ago)
    uow.logs.add_log(session_id(2), "response", "9000")
    uow.sessions.start_session(session_id(3), two_hours_ago)

    assert ids(uow.sessions.find_stale(60)) == [1]
    assert ids(uow.sessions.find_stale(121)) == []


def test_close_stale_ends_the_open_sessions_of_find_stale(
    uow: UnitOfWork, two_hours_ago: datetime
) -> None:
    old = {"created_at": two_hours_ago, "updated_at": two_hours_ago}
    for number, status in enumerate(SessionStatus, 1):
        started = two_hours_ago if status is SessionStatus.ACTIVE else None
        create(uow, number, status=status, started_at=started, **old)
    assert {s.status for s in uow.sessions.find_stale(60)} == {"pending", "active"}
    assert uow.sessions.close_stale(60, at=two_hours_ago - timedelta(seconds=1)) == 1
    create(uow, 6, **old)
    create(uow, 7, **old)
    uow.logs.add_log(session_id(7), "command", "00")
    end = two_hours_ago + timedelta(seconds=90, microseconds=500)

    assert uow.sessions.close_stale(60, at=end) == 2

    closed = [s for s in uow.sessions.find_by_status("timeout") if s.ended_at == end]
    assert {session.id: session.duration_ms for session in closed} == {
        session_id(2): 90_000,
        session_id(6): None,
    }
    assert uow.sessions.find_stale(60) == []
    assert uow.sessions.close_stale(60) == 0


def test_there_is_no_success_rate_before_a_session_ended(uow: UnitOfWork) -> None:
    empty = uow.sessions.get_statistics()
    assert (empty.total_sessions, empty.success_rate, empty.avg_duration_ms) == (0, None, None)

    uow.sessions.create_session()
    begun = uow.sessions.get_statistics()
    assert (begun.total_sessions, begun.pending, begun.success_rate) == (1, 1, None)


def test_the_figures_equal_a_count_by_hand(uow: UnitOfWork) -> None:
    chance = random.Random(1)
    now = datetime.now(UTC)
    sessions = [
        OTASession(
            id=session_id(number),
            status=chance.choice(list(SessionStatus)),
            duration_ms=chance.choice([None, chance.randrange(10_000_000)]),
            created_at=now - timedelta(days=chance.uniform(0, 14)),
        )
        for number in range(1, 101)
    ]
    uow.sessions.create_all(sessions)
    recent = [s for s in sessions if s.created_at >= now - timedelta(days=7)]
    count = {status: sum(s.status is status for s in recent) for status in SessionStatus}
    durations = [s.duration_ms for s in recent if s.duration_ms is not None]
    ended = sum(n for status, n in count.items() if status.is_end)

    figures = uow.sessions.get_statistics(days=7)

    assert figures.total_sessions == len(recent)
    assert {s: getattr(figures, s.value) for s in SessionStatus} == count
    assert figures.avg_duration_ms == pytest.approx(sum(durations) / len(durations), rel=1e-12)
    assert figures.success_rate == pytest.approx(count[SessionStatus.COMPLETED] / ended, rel=1e-12)
