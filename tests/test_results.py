"""Test results: how they are recorded and found, and what runs of them show."""

from collections.abc import Callable
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from cardlink_sql import (
    ChangeKind,
    FlakyTest,
    IntegrityError,
    NotFoundError,
    RunComparison,
    TestChange,
    TestResult,
    TestStatus,
    UnitOfWork,
    ValidationError,
)
from tests.conftest import MOMENT, card, device, iccid, result, session_id

SECOND = timedelta(seconds=1)


def create(uow: UnitOfWork, status: TestStatus | str = "passed", **fields: Any) -> TestResult:
    """A result of the run ``run``, by create_result."""
    return uow.tests.create_result(
        **{
            "run_id": "run",
            "suite_name": "suite",
            "test_name": "test",
            "status": status,
            **fields,
        }
    )


def numbers(results: list[TestResult]) -> list[int]:
    """The numbers that the results were created with."""
    return [int(one.id[-4:], 16) for one in results]


# Recording


def test_a_result_is_recorded_with_all_that_is_given(uow: UnitOfWork) -> None:
    uow.devices.create(device())
    uow.cards.create(card())

    values = {
        "run_id": "nightly #7",
        "suite_name": "ota.install",
        "test_name": "test_cap[1 kB, 'é']",
        "status": TestStatus.FAILED,
        "started_at": MOMENT,
        "device_id": "device-0001",
        "card_iccid": iccid(),
        "ended_at": MOMENT + SECOND,
        "duration_ms": 1000,
        "error_message": "expected 9000, got 6A84",
        "assertions": [{"expected": "9000", "got": "6A84"}],
        "metadata": {"firmware": "1.2"},
    }

    recorded = uow.tests.create_result(*values.values())  # type: ignore[arg-type]

    assert recorded == uow.tests.get_by_id(recorded.id)
    assert {name: getattr(recorded, name) for name in values} == values


@pytest.mark.parametrize(
    ("given", "derived"),
    [
        ({"ended_at": MOMENT + SECOND}, (MOMENT, MOMENT + SECOND, 1000)),
        ({"duration_ms": 2500}, (MOMENT, MOMENT + 2.5 * SECOND, 2500)),
        ({"ended_at": MOMENT, "duration_ms": 0}, (MOMENT, MOMENT, 0)),
        ({"ended_at": MOMENT}, (MOMENT, MOMENT, None)),
        # Cut, as the duration of a session is.
        ({"ended_at": MOMENT + timedelta(microseconds=1999)},
         (MOMENT, MOMENT + timedelta(microseconds=1999), 1)),
        # The stopwatch and the wall clock, which differ.
        ({"ended_at": MOMENT + SECOND, "duration_ms": 1003}, (MOMENT, MOMENT + SECOND, 1003)),
        ({}, (MOMENT, None, None)),
        ({"started_at": None, "ended_at": MOMENT + SECOND, "duration_ms": 1000},
         (MOMENT, MOMENT + SECOND, 1000)),
        ({"started_at": None, "ended_at": MOMENT}, (None, MOMENT, None)),
        ({"started_at": MOMENT.astimezone(timezone(timedelta(hours=2))),
          "ended_at": MOMENT + SECOND}, (MOMENT, MOMENT + SECOND, 1000)),
    ],
)  # fmt: skip
def test_what_is_missing_of_start_end_and_duration_is_derived(
    uow: UnitOfWork, given: dict[str, Any], derived: tuple[Any, ...]
) -> None:
    one = create(uow, **{"started_at": MOMENT, **given})

    assert (one.started_at, one.ended_at, one.duration_ms) == derived


def test_a_result_without_times_is_a_verdict_of_now(uow: UnitOfWork) -> None:
    before = datetime.now(UTC)

    one = create(uow, "failed", error_message="expected 9000")

    assert before <= one.started_at <= datetime.now(UTC)
    assert (one.ended_at, one.duration_ms) == (one.started_at, 0)
    summary = uow.tests.get_run_summary(one.run_id)
    assert (summary.failed, summary.open, summary.pass_rate) == (1, 0, 0.0)


def test_a_result_with_only_a_duration_ended_now(uow: UnitOfWork) -> None:
    before = datetime.now(UTC)

    one = create(uow, duration_ms=1500)

    assert one.started_at is not None
    assert before <= one.ended_at <= datetime.now(UTC)
    assert one.ended_at - one.started_at == 1.5 * SECOND


def test_an_open_result_is_ended_by_an_update(uow: UnitOfWork) -> None:
    begun = create(uow, started_at=MOMENT)

    ended = uow.tests.update(
        replace(begun, status=TestStatus.ERROR, ended_at=MOMENT + 2 * SECOND, error_message="lost")
    )

    assert (ended.status, ended.duration_ms) == (TestStatus.ERROR, 2000)
    assert (ended.error_message, ended.created_at) == ("lost", begun.created_at)


WAYS: list[Callable[[UnitOfWork, TestResult], object]] = [
    lambda uow, one: uow.tests.create(one),
    lambda uow, one: uow.tests.create_all([result(1), one]),
    lambda uow, one: uow.tests.create_results([result(1), one]),
    lambda uow, one: uow.tests.update(one),
]


def test_an_end_before_the_start_is_refused(uow: UnitOfWork) -> None:
    wrong = result(2, ended_at=MOMENT - timedelta(microseconds=1), duration_ms=None)

    for write in WAYS:
        with pytest.raises(ValidationError, match="end before it started") as caught:
            write(uow, wrong)

        assert caught.value.where == "test_results.ended_at"
        assert uow.tests.count() == 0


def test_a_duration_that_leads_out_of_time_is_refused(uow: UnitOfWork) -> None:
    for times in [{"started_at": MOMENT}, {"started_at": None, "ended_at": MOMENT}]:
        with pytest.raises(ValidationError, match="latest possible date"):
            create(uow, duration_ms=2**62, **times)


@pytest.mark.parametrize(
    "missing", [{"device_id": "nobody"}, {"card_iccid": iccid(99)}, {"result_id": session_id(1)}]
)
def test_a_missing_parent_and_a_key_that_is_taken_are_refused(
    uow: UnitOfWork, missing: dict[str, Any]
) -> None:
    uow.tests.create(result(1))

    with pytest.raises(IntegrityError):
        create(uow, **missing)


def test_many_results_are_recorded_at_once(uow: UnitOfWork) -> None:
    many = [result(n, duration_ms=n, metadata={"n": n}) for n in range(1, 250)]

    assert uow.tests.create_results(iter(many)) == 249
    assert uow.tests.create_results([]) == 0

    assert uow.tests.count() == 249
    found = uow.tests.get_by_id(session_id(123))
    assert (found.duration_ms, found.metadata) == (123, {"n": 123})
    assert found.ended_at == MOMENT + timedelta(milliseconds=123)


def test_one_bad_result_among_many_leaves_none(uow: UnitOfWork) -> None:
    with pytest.raises(ValidationError, match=r"test_results\.test_name"):
        uow.tests.create_results([result(1), result(2, test_name=""), result(3)])

    assert uow.tests.count() == 0


def test_a_run_is_any_identifier(uow: UnitOfWork) -> None:
    for run in ["1", "Ä" * 255, "main/2026-11-23T05:00"]:
        create(uow, run_id=run)

        assert run in uow.tests.get_run_ids()
        assert len(uow.tests.find_by_run(run)) == 1
    for run in ["", " run", "x" * 256]:
        with pytest.raises(ValidationError, match=r"test_results\.run_id"):
            create(uow, run_id=run)


@settings(max_examples=25)
@given(
    suite=st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1,
                  max_size=128),
    test=st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1,
                 max_size=256),
)  # fmt: skip
def test_any_text_names_a_test(uow: UnitOfWork, suite: str, test: str) -> None:
    uow.rollback()

    created = create(uow, suite_name=suite, test_name=test)

    assert uow.tests.history(suite, test) == [created]
    assert uow.tests.get_suite_names() == [suite]


# Finding


@pytest.fixture
def runs(uow: UnitOfWork) -> UnitOfWork:
    """Three runs, an hour after each other, of two suites; the last with an open result."""
    uow.devices.create_all([device(1), device(2)])
    uow.cards.create(card(1))
    hour = timedelta(hours=1)
    plan = [
        # number, run, suite, test, status, hour, device, card
        (1, "first", "a", "one", "passed", 0, 1, True),
        (2, "first", "a", "two", "failed", 0.1, 1, False),
        (3, "first", "b", "one", "skipped", 0.2, 2, False),
        (4, "second", "a", "one", "error", 1, 2, True),
        (5, "second", "a", "two", "passed", 1.1, 1, False),
        (6, "third", "b", "one", "failed", 2, 1, False),
    ]
    uow.tests.create_results(
        result(
            number,
            run_id=run,
            suite_name=suite,
            test_name=test,
            status=TestStatus(status),
            started_at=MOMENT + at * hour,
            device_id=f"device-{on:04d}",
            card_iccid=iccid() if with_card else None,
        )
        for number, run, suite, test, status, at, on, with_card in plan
    )
    uow.tests.create(
        result(7, run_id="third", suite_name="b", test_name="two",
               started_at=MOMENT + 2.5 * hour, duration_ms=None)
    )  # fmt: skip
    return uow


def test_a_run_is_read_in_the_order_of_its_starts(runs: UnitOfWork) -> None:
    assert numbers(runs.tests.find_by_run("first")) == [1, 2, 3]
    assert numbers(runs.tests.find_by_run("third")) == [6, 7]
    assert runs.tests.find_by_run("fourth") == []


def test_lists_are_newest_first_and_limited(runs: UnitOfWork) -> None:
    tests = runs.tests

    assert numbers(tests.find_by_suite("a")) == [5, 4, 2, 1]
    assert numbers(tests.find_by_suite("a", limit=2)) == [5, 4]
    assert numbers(tests.find_by_status("failed")) == [6, 2]
    assert numbers(tests.find_by_status(TestStatus.PASSED, 2)) == [7, 5]
    assert numbers(tests.find_by_device("device-0001")) == [6, 5, 2, 1]
    assert numbers(tests.find_by_device("device-0002", 1)) == [4]
    assert numbers(tests.find_by_card(iccid())) == [4, 1]
    assert numbers(tests.find_by_card(iccid(), 0)) == []


def test_results_that_started_together_keep_the_order_of_writing_and_those_without_come_last(
    uow: UnitOfWork,
) -> None:
    uow.tests.create(result(7, started_at=None, duration_ms=None))
    for number in (5, 3, 9, 1):
        uow.tests.create(result(number))

    assert numbers(uow.tests.find_by_run("run")) == [7, 5, 3, 9, 1]
    assert numbers(uow.tests.find_by_suite("suite"))[-1] == 7


def test_a_range_of_dates_holds_its_start_and_not_its_end(runs: UnitOfWork) -> None:
    hour = timedelta(hours=1)
    found = runs.tests.find_by_date_range

    assert numbers(found(MOMENT, MOMENT + hour)) == [3, 2, 1]
    assert numbers(found(MOMENT + hour, MOMENT + 2 * hour + SECOND)) == [6, 5, 4]
    assert numbers(found(MOMENT, MOMENT + 9 * hour, 2)) == [7, 6]
    assert found(MOMENT, MOMENT) == []
    with pytest.raises(ValidationError, match="ends before it starts"):
        found(MOMENT, MOMENT - SECOND)


def test_filters_are_joined(runs: UnitOfWork) -> None:
    for filters, found in [
        ({}, [7, 6, 5, 4, 3, 2, 1]),
        ({"suite_name": "a", "status": "passed"}, [5, 1]),
        ({"suite_name": "a", "status": "passed", "start": MOMENT + SECOND}, [5]),
        ({"suite_name": "a", "status": "passed", "end": MOMENT + SECOND}, [1]),
        ({"suite_name": "b", "start": MOMENT, "end": MOMENT + timedelta(hours=2)}, [3]),
        ({"run_id": "second", "device_id": "device-0001"}, [5]),
        ({"card_iccid": iccid(), "status": "error"}, [4]),
        ({"limit": 3}, [7, 6, 5]),
        ({"suite_name": "c"}, []),
    ]:
        assert numbers(runs.tests.find_by_filters(**filters)) == found


def test_failures_are_what_failed_or_broke_off(runs: UnitOfWork) -> None:
    assert numbers(runs.tests.find_failures("first")) == [2]
    assert numbers(runs.tests.find_failures("second")) == [4]
    assert numbers(runs.tests.find_failures()) == [6, 4, 2]
    assert numbers(runs.tests.find_failures(limit=1)) == [6]


def test_failures_without_a_start_come_last_and_earlier_tries_not_at_all(uow: UnitOfWork) -> None:
    create(uow, "error", test_name="late", started_at=MOMENT + SECOND, duration_ms=1)
    create(uow, "failed", test_name="timeless", ended_at=MOMENT)
    create(uow, "failed", test_name="early", started_at=MOMENT, duration_ms=1)
    create(uow, "failed", test_name="tried", started_at=MOMENT, duration_ms=1, tries=0)

    found = [one.test_name for one in uow.tests.find_failures()]
    assert found == ["late", "early", "timeless"]
    assert [one.test_name for one in uow.tests.find_failures(limit=2)] == found[:2]


def test_runs_are_listed_newest_first_and_suites_by_name(runs: UnitOfWork) -> None:
    runs.tests.create(result(8, run_id="timeless", started_at=None, duration_ms=None))

    assert runs.tests.get_run_ids() == ["third", "second", "first", "timeless"]
    assert runs.tests.get_run_ids(2) == ["third", "second"]
    assert runs.tests.get_suite_names() == ["a", "b", "suite"]


def test_a_run_is_as_late_as_its_first_result(uow: UnitOfWork) -> None:
    # The long run began first and goes on; one has two results that began at once.
    starts = {"long": (0, 9, 20), "twins": (5, 5, 6), "short": (7,), "last": (8,)}
    for run, seconds in starts.items():
        for number, second in enumerate(seconds):
            create(uow, run_id=run, test_name=f"test {number}", duration_ms=1,
                   started_at=MOMENT + second * SECOND)  # fmt: skip

    for limit in (1, 2, 3, 4, 5, None):
        latest = ["last", "short", "twins", "long"][:limit]
        assert uow.tests.get_run_ids(limit) == latest
        assert [one.run_id for one in uow.tests.get_runs(limit or 9)] == latest


def test_the_history_of_a_test_is_newest_first(runs: UnitOfWork) -> None:
    assert numbers(runs.tests.history("a", "one")) == [4, 1]
    assert numbers(runs.tests.history("b", "one")) == [6, 3]
    assert numbers(runs.tests.history("b", "one", 1)) == [6]
    assert runs.tests.history("c", "one") == []


def test_a_result_outlives_its_device_and_its_card(runs: UnitOfWork) -> None:
    runs.devices.delete_by_id("device-0001")
    runs.cards.delete_by_id(iccid())

    (one,) = runs.tests.find_by_filters(run_id="first", suite_name="a", status="passed")
    assert (one.device_id, one.card_iccid) == (None, None)


# Figures


def test_a_summary_counts_a_run_and_each_suite(runs: UnitOfWork) -> None:
    summary = runs.tests.get_run_summary("first")

    assert (summary.run_id, summary.total) == ("first", 3)
    assert (summary.passed, summary.failed, summary.error, summary.skipped) == (1, 1, 0, 1)
    assert summary.open == 0
    assert summary.pass_rate == 0.5
    assert summary.duration_ms == 3000
    assert type(summary.duration_ms) is int
    assert summary.started_at == MOMENT
    assert summary.ended_at == MOMENT + timedelta(hours=0.2) + SECOND
    a, b = summary.suites
    assert (a.suite_name, a.total, a.passed, a.failed, a.pass_rate) == ("a", 2, 1, 1, 0.5)
    assert (a.duration_ms, a.started_at) == (2000, MOMENT)
    assert (b.suite_name, b.total, b.skipped, b.pass_rate) == ("b", 1, 1, None)


def test_an_open_result_counts_only_as_open(runs: UnitOfWork) -> None:
    summary = runs.tests.get_run_summary("third")

    assert (summary.total, summary.failed, summary.passed, summary.open) == (2, 1, 0, 1)
    assert summary.pass_rate == 0.0
    assert summary.ended_at == MOMENT + timedelta(hours=2) + SECOND


def test_a_run_of_only_open_results_has_a_summary(uow: UnitOfWork) -> None:
    uow.tests.create(result(1, started_at=None, duration_ms=None))

    summary = uow.tests.get_run_summary("run")

    assert (summary.total, summary.open, summary.pass_rate) == (1, 1, None)
    assert (summary.duration_ms, summary.started_at, summary.ended_at) == (0, None, None)


def test_a_summary_sums_more_than_an_integer_of_32_bits(uow: UnitOfWork) -> None:
    uow.tests.create_results(
        result(n, ended_at=MOMENT, duration_ms=2**61) for n in (1, 2, 3)
    )  # fmt: skip

    assert uow.tests.get_run_summary("run").duration_ms == 3 * 2**61


def test_runs_are_given_in_figures(runs: UnitOfWork) -> None:
    third, second, first = runs.tests.get_runs()

    assert [run.run_id for run in (third, second, first)] == ["third", "second", "first"]
    for run in (third, second, first):
        summary = runs.tests.get_run_summary(run.run_id)
        assert all(getattr(run, f.name) == getattr(summary, f.name) for f in fields(run))
    assert runs.tests.get_runs(1) == [third]
    assert runs.tests.get_runs(0) == []
    assert runs.tests.get_runs(since=second.started_at) == [third, second]


def kinds(comparison: RunComparison) -> dict[str, str]:
    return {f"{c.suite_name}.{c.test_name}": c.kind.value for c in comparison.changes}


def test_two_runs_are_compared_by_suite_and_test(runs: UnitOfWork) -> None:
    assert kinds(runs.tests.compare_runs("first", "second")) == {
        "a.one": "regression",
        "a.two": "improvement",
        "b.one": "removed",
    }
    assert kinds(runs.tests.compare_runs("first", "third")) == {
        "a.one": "removed",
        "a.two": "removed",
        "b.one": "changed",
        "b.two": "new",
    }


def fill(uow: UnitOfWork, run: str, *outcomes: tuple[Any, ...]) -> None:
    """Results of a run: (test, status or None for an open one, duration)."""
    for test, status, duration in outcomes:
        ended = {} if status is None else {"duration_ms": duration}
        create(uow, status or "passed", run_id=run, test_name=test, started_at=MOMENT, **ended)


def test_each_kind_of_change_is_distinguished(uow: UnitOfWork) -> None:
    fill(
        uow, "a",
        ("broke", "passed", 10), ("broke off", "passed", 10), ("healed", "failed", 10),
        ("recovered", "error", 1), ("bad", "failed", 10), ("worse", "failed", 1),
        ("gone", "passed", 1), ("same", "passed", 10), ("idle", "skipped", 1),
        ("slow", "passed", 100), ("just not", "passed", 100), ("hidden", "failed", 10),
        ("woken", "skipped", 10), ("running", "passed", 5), ("ran", None, 0),
        ("instant", "passed", 0), ("blink", "passed", 0), ("slow and bad", "failed", 1),
        ("dropped", "error", 10), ("paused", "passed", 1), ("resumed", "skipped", 1),
        ("tried", "failed", 1), ("waiting", None, 0),
    )  # fmt: skip
    fill(
        uow, "b",
        ("broke", "failed", 10), ("broke off", "error", 10), ("healed", "passed", 900),
        ("recovered", "passed", 1), ("bad", "failed", 10), ("worse", "error", 1),
        ("added", "failed", 1), ("same", "passed", 11), ("idle", "skipped", 900),
        ("slow", "passed", 151), ("just not", "passed", 150), ("hidden", "skipped", 10),
        ("woken", "failed", 10), ("running", None, 0), ("ran", "passed", 5),
        ("instant", "passed", 1), ("blink", "passed", 2), ("slow and bad", "failed", 900),
        ("dropped", "skipped", 10), ("paused", "skipped", 1), ("resumed", "passed", 9),
        ("tried", None, 0), ("waiting", None, 0), ("begun", None, 0),
    )  # fmt: skip

    comparison = uow.tests.compare_runs("a", "b", slower_factor=1.5)

    def names(changes: list[TestChange]) -> list[str]:
        return [change.test_name for change in changes]

    assert names(comparison.regressions) == ["broke", "broke off"]
    assert names(comparison.improvements) == ["healed", "recovered"]
    assert names(comparison.still_failing) == ["bad", "slow and bad", "worse"]
    assert names(comparison.new_tests) == ["added", "begun"]
    assert names(comparison.removed_tests) == ["gone"]
    assert names(comparison.slower) == ["blink", "slow"]
    assert names(comparison.new_failures) == ["broke", "broke off", "woken", "added"]
    assert names(comparison.changed) == ["dropped", "hidden", "paused", "resumed", "woken"]
    assert names(comparison.open) == ["ran", "running", "tried", "waiting"]
    (slow,) = (change for change in comparison.slower if change.test_name == "slow")
    assert (slow.before_ms, slow.after_ms) == (100, 151)
    assert (slow.before_status, slow.after_status) == (TestStatus.PASSED, TestStatus.PASSED)


def test_of_a_test_that_was_tried_again_the_last_result_counts(uow: UnitOfWork) -> None:
    for run, outcomes in {"a": ["failed", "passed"], "b": ["passed", "error", "failed"]}.items():
        for number, status in enumerate(outcomes):
            tries = len(outcomes) if number == len(outcomes) - 1 else 0
            create(uow, status, run_id=run, started_at=MOMENT + number * SECOND, duration_ms=1,
                   error_message=f"try {number}", tries=tries)  # fmt: skip

    (change,) = uow.tests.compare_runs("a", "b").changes

    assert change.kind is ChangeKind.REGRESSION
    assert (change.before_status, change.after_status) == (TestStatus.PASSED, TestStatus.FAILED)
    assert change.error_message == "try 2"
    earlier, later = uow.tests.get_run_summary("a"), uow.tests.get_run_summary("b")
    assert (earlier.total, earlier.passed, earlier.tries, earlier.flaky) == (1, 1, 2, 1)
    assert (later.total, later.failed, later.tries, later.flaky) == (1, 1, 3, 0)
    assert [(run.total, run.tries) for run in uow.tests.get_runs()] == [(1, 2), (1, 3)]
    assert len(uow.tests.find_failures("b")) == 1


def test_namesakes_are_compared_in_their_order(uow: UnitOfWork) -> None:
    for run, outcomes in {"a": ["passed", "passed"], "b": ["failed", "passed", "error"]}.items():
        for number, status in enumerate(outcomes):
            create(uow, status, run_id=run, started_at=MOMENT + number * SECOND, duration_ms=1)

    comparison = uow.tests.compare_runs("a", "b")

    assert [change.kind for change in comparison.changes] == ["regression", "new"]
    assert [change.after_status for change in comparison.new_failures] == ["failed", "error"]


def test_tests_of_one_name_in_two_suites_are_two_tests(uow: UnitOfWork) -> None:
    for run, suite, status in [("a", "x", "passed"), ("a", "y", "failed"),
                               ("b", "x", "failed"), ("b", "y", "failed")]:  # fmt: skip
        create(uow, status, run_id=run, suite_name=suite, duration_ms=1)

    assert kinds(uow.tests.compare_runs("a", "b")) == {
        "x.test": "regression",
        "y.test": "still_failing",
    }


def test_what_cannot_be_compared_is_refused(runs: UnitOfWork) -> None:
    for arguments, error, message in [
        (("first", "none"), NotFoundError, "there is no run 'none'"),
        (("none", "first"), NotFoundError, "there is no run 'none'"),
        (("first", "first"), ValidationError, "both are the run 'first'"),
        (("first", "second", 0.99), ValidationError, "below 1"),
        (("first", "second", float("inf")), ValidationError, "slower_factor"),
        (("first", "second", "2"), ValidationError, "slower_factor"),
        (("first", None), ValidationError, "run_id"),
    ]:
        with pytest.raises(error, match=message):
            runs.tests.compare_runs(*arguments)


def test_flaky_tests_both_passed_and_failed_over_the_last_runs(uow: UnitOfWork) -> None:
    plan = {
        # The newest run is the last; r1 is too old to count.
        "r1": {"steady": "failed", "flaky": "passed", "healed": "failed"},
        "r2": {"steady": "passed", "flaky": "failed", "healed": "passed", "skips": "skipped"},
        "r3": {"steady": "passed", "flaky": "passed", "healed": "passed", "skips": "failed"},
        "r4": {"steady": "passed", "flaky": "error", "healed": "passed", "broken": "failed"},
    }
    for number, (run, outcomes) in enumerate(plan.items()):
        for test, status in outcomes.items():
            create(uow, status, run_id=run, test_name=test, duration_ms=1,
                   started_at=MOMENT + number * SECOND)  # fmt: skip

    (flaky,) = uow.tests.find_flaky(3)

    assert flaky == FlakyTest("suite", "flaky", 3, 1, 2, MOMENT + 3 * SECOND)
    assert [one.test_name for one in uow.tests.find_flaky(4)] == ["flaky", "healed", "steady"]
    assert uow.tests.find_flaky(1) == []


def test_flaky_tests_of_a_suite_are_sought_in_its_own_runs(uow: UnitOfWork) -> None:
    nightly = {"night 1": "passed", "night 2": "failed"}
    for number, (run, status) in enumerate(nightly.items()):
        create(uow, status, run_id=run, suite_name="nightly", started_at=MOMENT + number * SECOND,
               duration_ms=1)  # fmt: skip
    for number in range(3):
        create(uow, ("passed", "failed")[number % 2], run_id=f"hour {number}", suite_name="hourly",
               started_at=MOMENT + (9 + number) * SECOND, duration_ms=1)  # fmt: skip

    assert [one.suite_name for one in uow.tests.find_flaky(3)] == ["hourly"]
    assert [one.suite_name for one in uow.tests.find_flaky(2, "nightly")] == ["nightly"]
    assert uow.tests.find_flaky(1, suite_name="nightly") == []


def test_flaky_tests_of_a_suite_are_sought_in_all_of_its_results(uow: UnitOfWork) -> None:
    create(uow, "passed", run_id="before", duration_ms=1, started_at=MOMENT)
    uow.tests.create_results(
        replace(result(number), run_id="large", test_name="test", status="failed",
                started_at=MOMENT + SECOND, ended_at=None, duration_ms=1)
        for number in range(1_000)
    )  # fmt: skip

    assert uow.tests.find_flaky(1, "suite") == []
    (flaky,) = uow.tests.find_flaky(2, "suite")
    assert (flaky.runs, flaky.passed, flaky.failed) == (2, 1, 1_000)
    assert uow.tests.find_flaky(3, "suite") == [flaky]


def test_a_test_that_passed_when_it_was_tried_again_is_flaky(uow: UnitOfWork) -> None:
    create(uow, "failed", started_at=MOMENT, duration_ms=1)
    create(uow, "passed", started_at=MOMENT + SECOND, duration_ms=1)
    create(uow, "failed", test_name="other", started_at=MOMENT, duration_ms=1)
    create(uow, "passed", test_name="other", started_at=MOMENT)

    assert [one.test_name for one in uow.tests.find_flaky()] == ["test"]


# Purging


def test_a_purge_deletes_the_oldest_in_batches(uow: UnitOfWork) -> None:
    now = datetime.now(UTC)
    ages = {1: 40, 2: 31, 3: 35, 4: 29, 5: 1, 6: 50}
    uow.tests.create_results(
        result(number, created_at=now - timedelta(days=days)) for number, days in ages.items()
    )

    assert uow.tests.count_old(30) == 4
    assert uow.tests.purge_old(30, limit=3) == 3
    assert sorted(numbers(uow.tests.get_all())) == [2, 4, 5]
    assert uow.tests.purge_old(30, limit=3) == 1
    assert uow.tests.purge_old(30, limit=3) == 0
    assert sorted(numbers(uow.tests.get_all())) == [4, 5]
    assert uow.tests.count_old(30) == 0


def test_a_batch_does_not_exceed_its_limit_where_results_are_of_one_time(
    uow: UnitOfWork,
) -> None:
    old = datetime.now(UTC) - timedelta(days=2)
    uow.tests.create_results(result(number, created_at=old) for number in range(1, 8))

    assert [uow.tests.purge_old(1, limit=3) for _ in range(3)] == [3, 3, 1]
