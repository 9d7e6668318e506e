"""The tries of tests in reports as pytest-rerunfailures and pytest-xdist write them, shortened."""

import pytest

from cardlink_sql import TestStatus, UnitOfWork
from cardlink_sql.formats.junit import read_report
from tests.conftest import MOMENT

FAILED = '<failure message="AssertionError: lost">E</failure>'
POWERED = '<error message="failed on teardown with &quot;RuntimeError: powered&quot;">E</error>'
GONE = POWERED.replace("powered", "gone")
SKIPPED = '<skipped type="pytest.skip" message="no card">E</skipped>'
XFAILED = '<skipped type="pytest.xfail" message="" />'


def written(counts: str, *cases: str) -> str:
    """A report of pytest; each case is the name of a test and what its element holds."""
    tests = "".join(
        f'<testcase classname="test_ota" name="test_{name}" time="0.001">{inside}</testcase>'
        for name, _, inside in (case.partition(" ") for case in cases)
    )
    suite = f'<testsuite name="pytest" {counts} time="0.370" hostname="lab">{tests}</testsuite>'
    return f'<testsuites name="pytest tests">{suite}</testsuites>'


# pytest -n 3 --reruns 2: the tries of one test are not side by side.
SPREAD = written(
    'errors="0" failures="1" skipped="0" tests="7"',
    *[
        "steady[0]",
        "steady[2]",
        "retried[1]",
        "retried[1]",
        "retried[2]",
        "steady[1]",
        "retried[2]",
    ],
    *["retried[0]", "broken", "retried[0]", "broken", "retried[0]"],
    f"broken {FAILED}",
)
# pytest --reruns 2, with fixtures that break off.
TORN = written(
    'errors="3" failures="1" skipped="5" tests="10"',
    *("lost", "lost", f"lost {FAILED}", f"lost {POWERED}", "fine"),
    *(f"skip {SKIPPED}", f"skip {SKIPPED}", f"skip {SKIPPED}{GONE}"),
    *("flaky", "flaky", f"flaky {POWERED}", f"expected {XFAILED}{XFAILED}"),
)
# The same without --reruns: pytest writes a test that fails twice as two.
TWICE = written(
    'errors="2" failures="1" skipped="1" tests="4"',
    f"lost {FAILED}<system-out>call</system-out>",
    f"lost {POWERED}<system-out>down</system-out>",
    *("fine", f"skip {SKIPPED}{GONE}"),
)


def verdicts(xml: str) -> dict[str, tuple[str, int]]:
    """The status and the number of tries of each test, of which there must be one by its name."""
    last = [case.result for case in read_report(xml).cases if case.result.tries]
    found = {case.test_name: (case.status.value, case.tries) for case in last}
    assert len(found) == len(last)
    return found


def test_tries_that_are_not_side_by_side_are_those_of_one_test() -> None:
    assert verdicts(SPREAD) == {
        **{f"test_steady[{number}]": ("passed", 1) for number in range(3)},
        "test_retried[0]": ("passed", 3),
        "test_retried[1]": ("passed", 2),
        "test_retried[2]": ("passed", 2),
        "test_broken": ("failed", 3),
    }


# Releases of pytest differ in whether they count the error of a teardown.
@pytest.mark.parametrize("tests", [10, 11, 12, 13])
@pytest.mark.parametrize("name", ["pytest tests", "cards"])
def test_a_test_whose_teardown_breaks_off_is_one_test(tests: int, name: str) -> None:
    report = TORN.replace('tests="10"', f'tests="{tests}"').replace("pytest tests", name)

    assert verdicts(report) == {
        "test_lost": ("error", 3),
        "test_fine": ("passed", 1),
        "test_skip": ("error", 3),
        "test_flaky": ("error", 3),
        "test_expected": ("skipped", 1),
    }
    assert read_report(report).missing == 0


@pytest.mark.parametrize("tests", [4, 5])
def test_a_failure_and_its_teardown_are_joined(tests: int) -> None:
    report = read_report(TWICE.replace('tests="4"', f'tests="{tests}"'))

    lost, fine, skip = (case.result for case in report.cases)
    assert (lost.status, lost.tries, lost.duration_ms) == (TestStatus.ERROR, 1, 2)
    assert lost.error_message == (
        'AssertionError: lost\n\nE\n\nfailed on teardown with "RuntimeError: powered"\n\nE'
    )
    assert lost.metadata == {"hostname": "lab", "system_out": "call\ndown"}
    assert (skip.error_message or "").startswith("failed on teardown with")
    assert skip.metadata is not None
    assert "type" not in skip.metadata
    assert (fine.status, skip.status) == (TestStatus.PASSED, TestStatus.ERROR)
    assert report.missing == 0


@pytest.mark.parametrize("name", ["pytest", "ReportNamesTest"])
def test_namesakes_stay_tests_where_the_suite_counts_them(name: str) -> None:
    report = f"""<testsuite name="{name}" tests="4"><testcase name="[1]" classname="c"/>
      <testcase name="[2]" classname="c"/><testcase name="[1]" classname="c"/>
      <testcase name="[2]" classname="c"><failure/></testcase></testsuite>"""

    cases = [case.result for case in read_report(report).cases]

    assert [(case.status.value, case.tries) for case in cases] == [
        *[("passed", 1)] * 3,
        ("failed", 1),
    ]


def test_a_failure_that_another_test_of_the_name_follows_is_never_a_try() -> None:
    report = """<testsuite name="pytest" tests="1"><testcase name="t" classname="c"><failure/>
      </testcase><testcase name="t" classname="c"/></testsuite>"""

    assert [case.result.tries for case in read_report(report).cases] == [1, 1]


def test_a_red_run_of_pytest_is_red(uow: UnitOfWork) -> None:
    green = TWICE.replace("<error", "<system-out").replace("</error", "</system-out")
    uow.tests.import_junit_xml(green, "green", started_at=MOMENT)
    uow.tests.import_junit_xml(TORN, "red", started_at=MOMENT)

    summary = uow.tests.get_run_summary("red")
    assert (summary.total, summary.passed, summary.error, summary.skipped) == (5, 1, 3, 1)
    assert (summary.tries, summary.flaky, summary.pass_rate) == (11, 0, 0.25)
    new = {change.test_name for change in uow.tests.compare_runs("green", "red").new_failures}
    assert {"test_skip", "test_flaky"} <= new
