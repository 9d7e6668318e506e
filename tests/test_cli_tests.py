"""``cardlink-db tests``."""

import json
from datetime import timedelta
from pathlib import Path

import pytest

from cardlink_sql import DatabaseManager, TestStatus
from tests.conftest import MOMENT, Run, card, committed, device, dump, iccid, result, sqlite
from tests.test_cli_lists import on_a_terminal

REPORTS = Path(__file__).parent / "junit_reports"
SECOND = timedelta(seconds=1)

dialect = sqlite


@pytest.fixture
def url(manager: DatabaseManager) -> str:
    """Two runs; the later with a regression and an open result."""
    with committed(manager) as uow:
        uow.devices.create(device())
        uow.cards.create(card())
        later = MOMENT + 10 * SECOND
        failed = {"status": TestStatus.FAILED, "error_message": "expected 9000\ngot \x1b[31m6A84"}
        uow.tests.create_results(
            [
                result(1, run_id="a", suite_name="ota", test_name="installs"),
                result(2, run_id="a", suite_name="ota", test_name="deletes", duration_ms=100),
                result(3, run_id="a", suite_name="tls", test_name="resumes", **failed),
                result(4, run_id="b", suite_name="ota", test_name="installs", started_at=later,
                       device_id="device-0001", card_iccid=iccid(), **failed),
                result(5, run_id="b", suite_name="ota", test_name="deletes", started_at=later,
                       duration_ms=250),
                result(6, run_id="b", suite_name="tls", test_name="resumes",
                       started_at=later + SECOND),
                result(7, run_id="b", suite_name="tls", test_name="polls",
                       started_at=later + SECOND, duration_ms=None),
            ]
        )  # fmt: skip
    return manager.config.url


def cells(printed: str, first: str) -> list[str]:
    """The cells of the table's row that begins so."""
    lines = (line.strip() for line in printed.splitlines())
    return next(line.split() for line in lines if line.startswith(first))


def test_runs_are_listed_in_figures(url: str, run: Run) -> None:
    listed = json.loads(run("tests", "runs", "--json", "-d", url).stdout)
    assert [one["run_id"] for one in listed] == ["b", "a"]
    assert listed[0]["started_at"] == "2026-03-29T01:00:09.987654+00:00"
    assert {name: listed[0][name] for name in ("total", "passed", "failed", "open")} == {
        "total": 4, "passed": 2, "failed": 1, "open": 1,
    }  # fmt: skip
    shown = run("tests", "runs", "-d", url).stdout
    assert cells(shown, "b ") == [
        "b", "2026-03-29", "01:00:09", "4", "2", "1", "1", "66.7%", "2,250", "ms",
    ]  # fmt: skip
    cut = run("tests", "runs", "--limit", "1", "-d", url).stdout
    assert "The newest 1; --limit shows more." in cut


def test_a_database_without_results_has_no_runs(manager: DatabaseManager, run: Run) -> None:
    url = manager.config.url
    assert run("tests", "runs", "-d", url).stdout == "No runs.\n"
    assert json.loads(run("tests", "runs", "--json", "-d", url).stdout) == []
    assert run("tests", "flaky", "-d", url).stdout == "No flaky tests.\n"
    assert run("tests", "history", "s", "t", "-d", url).stdout == "No results.\n"


def test_a_run_is_shown_with_its_suites_and_results(url: str, run: Run) -> None:
    shown = run("tests", "show", "b", "-d", url).stdout
    assert cells(shown, "all ")[:5] == ["all", "4", "2", "1", "1"]
    assert "device-0001" in shown
    assert "expected 9000" in shown
    assert "6A84" not in shown
    assert cells(shown[shown.index("test ") :], "tls ")[:3] == ["tls", "resumes", "passed"]
    report = json.loads(run("tests", "show", "b", "--json", "-d", url).stdout)
    assert [suite["suite_name"] for suite in report["suites"]] == ["ota", "tls"]
    assert [one["test_name"] for one in report["results"]] == [
        "installs", "deletes", "resumes", "polls",
    ]  # fmt: skip


def test_a_run_is_shown_by_suite_and_by_failures(url: str, run: Run) -> None:
    of_suite = json.loads(run("tests", "show", "b", "--suite", "tls", "--json", "-d", url).stdout)
    assert [one["test_name"] for one in of_suite["results"]] == ["resumes", "polls"]
    failures = run("tests", "show", "b", "--failures", "-d", url).stdout
    assert "  got \\x1b[31m6A84" in failures
    assert "deletes" not in failures


def test_two_runs_are_compared(url: str, run: Run) -> None:
    done = run("tests", "compare", "a", "b", "-d", url)
    assert done.returncode == 0
    assert cells(done.stdout, "regression") == [
        "regression", "ota", "installs", "passed", "failed", "expected", "9000",
    ]  # fmt: skip
    assert cells(done.stdout, "slower") == ["slower", "ota", "deletes", "100", "ms", "250", "ms"]
    assert "a → b: 1 regression, 1 improvement, 1 slower, 1 new." in done.stdout
    factor = run("tests", "compare", "a", "b", "--factor", "3", "-d", url).stdout
    assert "slower" not in factor
    changes = json.loads(run("tests", "compare", "a", "b", "--json", "-d", url).stdout)
    assert (changes["before"], changes["after"], changes["removed"]) == ("a", "b", [])
    (regression,) = changes["regression"]
    assert (regression["test_name"], regression["after_status"]) == ("installs", "failed")


def test_a_check_fails_where_something_regressed(
    url: str, manager: DatabaseManager, run: Run
) -> None:
    assert run("tests", "compare", "a", "b", "--check", "-d", url).returncode == 1
    assert run("tests", "compare", "b", "a", "--check", "--json", "-d", url).returncode == 1
    with committed(manager) as uow:
        uow.tests.delete_by_id(uow.tests.find_failures("b")[0].id)
    assert run("tests", "compare", "a", "b", "--check", "-d", url).returncode == 0


def test_the_history_of_a_test_and_flaky_tests_are_shown(url: str, run: Run) -> None:
    history = run("tests", "history", "ota", "installs", "-d", url).stdout.splitlines()
    assert [line.split()[0] for line in history if " 2026-" in line] == ["b", "a"]
    listed = json.loads(
        run("tests", "history", "ota", "installs", "-n", "1", "--json", "-d", url).stdout
    )
    assert [one["status"] for one in listed] == ["failed"]
    flaky = json.loads(run("tests", "flaky", "--json", "-d", url).stdout)
    assert [one["test_name"] for one in flaky] == ["installs", "resumes"]
    assert "installs" in run("tests", "flaky", "-d", url).stdout
    assert run("tests", "flaky", "--runs", "1", "-d", url).stdout == "No flaky tests.\n"


def test_a_run_goes_out_as_junit_and_comes_in_again(url: str, run: Run, tmp_path: Path) -> None:
    printed = run("tests", "junit", "b", "-d", url).stdout
    assert printed.startswith('<?xml version="1.0" encoding="UTF-8"?>\n<testsuites name="b"')
    assert run("tests", "junit", "b", "--output", "b.xml", "-d", url).stdout == ""
    assert (tmp_path / "b.xml").read_text("utf-8") == printed

    done = run("tests", "import", "b.xml", "--run", "again", "-d", url)
    assert done.stdout == "Run again: 4 recorded, 0 known already.\n"
    report = json.loads(run("tests", "show", "again", "--json", "-d", url).stdout)
    assert {one["device_id"] for one in report["results"]} == {None, "device-0001"}
    again = run("tests", "import", "b.xml", "--run", "again", "--json", "-d", url)
    assert json.loads(again.stdout) == {
        "run_id": "again", "created": 0, "unchanged": 4, "unread": 0, "missing": 0,
    }  # fmt: skip


def test_reports_are_imported_together(manager: DatabaseManager, run: Run) -> None:
    files = [str(path) for path in sorted(REPORTS.glob("*.xml"))]
    url = manager.config.url
    done = run("tests", "import", *files, "--run", "all", "--json", "-d", url)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["created"] == 45
    shown = run("tests", "show", "all", "-d", url).stdout
    assert cells(shown, "all ")[1] == "42"  # tests, of 45 tries


def test_of_reports_all_or_none_are_imported(
    manager: DatabaseManager, run: Run, tmp_path: Path
) -> None:
    (tmp_path / "bad.xml").write_text("<testsuites>\n<testsuite name='s'>", "utf-8")
    good = str(REPORTS / "pytest.xml")
    done = run("tests", "import", good, "bad.xml", "--run", "r", "-d", manager.config.url)
    assert done.returncode == 1
    assert done.stderr.startswith("error: bad.xml:2:21: not XML: no element found")
    assert dump(manager)["test_results"] == []


def test_statuses_are_coloured_on_a_terminal_only(url: str, run: Run) -> None:
    command = ("tests", "show", "b", "-d", url)
    assert "\x1b[" not in run(*command).stdout
    assert "\x1b[31mfailed" in on_a_terminal(*command)
