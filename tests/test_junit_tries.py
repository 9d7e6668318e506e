"""The tries of tests in reports as pytest-rerunfailures and pytest-xdist write them, shortened."""

import pytest

from cardlink_sql import TestStatus, UnitOfWork
from cardlink_sql.formats.junit import read_report
from tests.conftest import MOMENT

# pytest -n 3 --reruns 2: the tries of one test are not side by side.
SPREAD = """<testsuites name="pytest tests"><testsuite name="pytest" errors="0" failures="1"
  skipped="0" tests="7" time="3.271" timestamp="2026-11-29T02:34:12.571161+00:00" hostname="lab">
  <testcase classname="test_ota" name="test_steady[0]" time="0.001" />
  <testcase classname="test_ota" name="test_steady[2]" time="0.001" />
  <testcase classname="test_ota" name="test_retried[1]" time="0.001" />
  <testcase classname="test_ota" name="test_retried[1]" time="0.000" />
  <testcase classname="test_ota" name="test_retried[2]" time="0.001" />
  <testcase classname="test_ota" name="test_steady[1]" time="0.012" />
  <testcase classname="test_ota" name="test_retried[2]" time="0.001" />
  <testcase classname="test_ota" name="test_retried[0]" time="0.001" />
  <testcase classname="test_ota" name="test_broken" time="0.000" />
  <testcase classname="test_ota" name="test_retried[0]" time="0.001" />
  <testcase classname="test_ota" name="test_broken" time="0.001" />
  <testcase classname="test_ota" name="test_retried[0]" time="0.000" />
  <testcase classname="test_ota" name="test_broken" time="0.001"><failure
    message="AssertionError: 6A83&#10;assert False">E</failure></testcase>
</testsuite></testsuites>"""

# pytest --reruns 2, with fixtures that break off.
TORN = """<testsuites name="pytest tests"><testsuite name="pytest" errors="3" failures="1"
  skipped="5" tests="10" time="0.370" timestamp="2026-11-29T02:34:16.944171+00:00" hostname="lab">
  <testcase classname="test_tear" name="test_lost" time="0.001" />
  <testcase classname="test_tear" name="test_lost" time="0.007" />
  <testcase classname="test_tear" name="test_lost" time="0.001"><failure
    message="AssertionError: lost">E</failure></testcase>
  <testcase classname="test_tear" name="test_lost" time="0.002"><error
    message="failed on teardown with &quot;RuntimeError: powered&quot;">E</error></testcase>
  <testcase classname="test_tear" name="test_fine" time="0.013" />
  <testcase classname="test_tear" name="test_skip" time="0.000"><skipped type="pytest.skip"
    message="no card">E</skipped></testcase>
  <testcase classname="test_tear" name="test_skip" time="0.001"><skipped type="pytest.skip"
    message="no card">E</skipped></testcase>
  <testcase classname="test_tear" name="test_skip" time="0.000"><skipped type="pytest.skip"
    message="no card">E</skipped><error
    message="failed on teardown with &quot;RuntimeError: gone&quot;">E</error></testcase>
  <testcase classname="test_tear" name="test_flaky" time="0.000" />
  <testcase classname="test_tear" name="test_flaky" time="0.000" />
  <testcase classname="test_tear" name="test_flaky" time="0.000"><error
    message="failed on teardown with &quot;RuntimeError: powered&quot;">E</error></testcase>
  <testcase classname="test_tear" name="test_expected" time="0.000"><skipped type="pytest.xfail"
    message="" /><skipped type="pytest.xfail" message="" /></testcase>
</testsuite></testsuites>"""

# The same without --reruns: pytest writes a test that fails twice as two.
TWICE = """<testsuites name="pytest tests"><testsuite name="pytest" errors="2" failures="1"
  skipped="1" tests="4" time="0.164" timestamp="2026-11-29T02:34:26.215485+00:00" hostname="lab">
  <testcase classname="test_tear" name="test_lost" time="0.001"><failure
    message="AssertionError: lost">E</failure><system-out>call</system-out></testcase>
  <testcase classname="test_tear" name="test_lost" time="0.002"><error
    message="failed on teardown with &quot;RuntimeError: powered&quot;">E</error
    ><system-out>down</system-out></testcase>
  <testcase classname="test_tear" name="test_fine" time="0.000" />
  <testcase classname="test_tear" name="test_skip" time="0.000"><skipped type="pytest.skip"
    message="no card">E</skipped><error
    message="failed on teardown with &quot;RuntimeError: gone&quot;">E</error></testcase>
</testsuite></testsuites>"""


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
    assert (lost.status, lost.tries, lost.duration_ms) == (TestStatus.ERROR, 1, 3)
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
        ("passed", 1),
        ("passed", 1),
        ("passed", 1),
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
