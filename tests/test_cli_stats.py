"""``cardlink-db stats``."""

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from cardlink_sql import (
    DatabaseManager,
    Direction,
    OTASession,
    SessionStatus,
    TestResult,
    TestStatus,
)
from cardlink_sql.cli.bars import bar, sparkline
from cardlink_sql.model.times import utc_now
from tests.conftest import Run, card, committed, entry, session_id, sqlite
from tests.test_cli_lists import in_process

dialect = sqlite

# What the guide documents; a key that goes or changes its name breaks what others built on it.
KEYS = {
    "": {
        "days", "taken_at", "since", "database_bytes", "tables", "cards", "sessions",
        "newest_session_at", "p95_duration_ms", "session_days", "status_words", "commands",
        "slowest", "test_runs",
    },
    "tables": {"name", "rows", "bytes", "is_estimate"},
    "cards": {"total", "with_psk", "without_psk"},
    "sessions": {
        "total_sessions", "pending", "active", "completed", "failed", "timeout", "avg_duration_ms",
        "by_status", "period_days", "success_rate",
    },
    "session_days": {"day", "total", "completed", "failed", "timeout"},
    "status_words": {"status_word", "meaning", "responses"},
    "commands": {
        "command", "responses", "errors", "average_latency_ms", "maximum_latency_ms",
    },
    "slowest": {"session_id", "log_id", "timestamp", "latency_ms", "status_word", "command"},
    "test_runs": {
        "run_id", "total", "passed", "failed", "error", "skipped", "open", "tries", "flaky",
        "pass_rate", "duration_ms", "started_at", "ended_at",
    },
}  # fmt: skip


@pytest.fixture
def url(manager: DatabaseManager) -> str:
    """A database with some of everything."""
    now = utc_now()
    with committed(manager) as uow:
        uow.cards.create_with_psk(card(1), "00" * 16, psk_identity="one")
        for number, status in enumerate(SessionStatus):
            at = now - timedelta(days=number, minutes=1)
            lasted = 100 * number if status.is_end else None
            uow.sessions.create(
                OTASession(session_id(number), status=status, duration_ms=lasted, created_at=at)
            )
        uow.logs.add_log_batch(
            entry(session_id(0), raw, direction=direction, latency_ms=latency)
            for direction, raw, latency in (
                (Direction.COMMAND, "00A40004023F00", None),
                (Direction.RESPONSE, "6120", 17.5),
                (Direction.COMMAND, "80E60C0000", None),
                (Direction.RESPONSE, "9000", 41.25),
            )
        )
        for number, outcome in enumerate((TestStatus.PASSED, TestStatus.FAILED)):
            uow.tests.create(
                TestResult(
                    session_id(number), "nightly", "suite", "test", outcome,
                    started_at=now, ended_at=now,
                )
            )  # fmt: skip
    return manager.config.url


def keys_of(value: Any) -> set[str]:
    return {key for one in (value if isinstance(value, list) else [value]) for key in one}


def test_the_json_has_the_keys_that_the_guide_documents(url: str, run: Run) -> None:
    done = run("stats", "--json", "-d", url)
    report = json.loads(done.stdout)
    assert {"": set(report), **{key: keys_of(report[key]) for key in KEYS if key}} == KEYS
    guide = (Path(__file__).parent.parent / "cardlink_sql/guides/operations.md").read_text("utf-8")
    for name, keys in KEYS.items():
        for key in {name, *keys} - {""}:
            assert f"`{key}`" in guide, key


def test_the_figures_are_those_of_the_window(url: str, run: Run) -> None:
    report = json.loads(run("stats", "--days", "3.5", "--json", "-d", url).stdout)
    assert report["sessions"]["total_sessions"] == 4
    assert report["sessions"]["success_rate"] == 0.5
    assert report["p95_duration_ms"] == 300
    assert len(report["session_days"]) in (4, 5)
    assert [one["status_word"] for one in report["status_words"]] == ["6120", "9000"]
    assert [one["command"] for one in report["commands"]] == ["INSTALL", "SELECT"]
    assert report["slowest"][0]["latency_ms"] == 41.25
    assert report["test_runs"][0]["pass_rate"] == 0.5
    nothing = json.loads(run("stats", "--days", "0.0001", "--json", "-d", url).stdout)
    assert nothing["sessions"]["total_sessions"] == 0
    assert nothing["status_words"] == []


def test_one_day_is_in_the_singular(url: str, run: Run) -> None:
    assert "Sessions of 1 day\n" in run("stats", "--days", "1", "-d", url).stdout
    assert "Sessions of 1.5 days\n" in run("stats", "--days", "1.5", "-d", url).stdout


def test_the_tables_say_it_in_words_and_bars(url: str, run: Run) -> None:
    shown = run("stats", "-d", url).stdout
    lines = [" ".join(line.split()) for line in shown.splitlines()]
    assert "Cards: 1 with a PSK, 0 without." in lines
    assert "completed 1 20.0% ████" in lines
    assert "6120 Normal ending, 32 more bytes available 1 50.0% ██████████" in lines
    assert any(line.startswith("INSTALL 1 41.2 41.2 ███") for line in lines)
    assert any(line.startswith("SELECT 1 17.5 17.5") for line in lines)
    assert any("nightly" in line and "50.0%" in line for line in lines)
    assert "95th percentile 400 ms" in lines
    # Zeros and bars of nothing are left out.
    (settings,) = (line for line in shown.splitlines() if line.split()[:1] == ["settings"])
    assert not {"█", "▏", "0"} & set(settings.split())
    assert "skipped" not in shown


def test_an_empty_window_names_the_newest_session(
    url: str, manager: DatabaseManager, run: Run
) -> None:
    (newest,) = manager.run(lambda uow: uow.sessions.find_matching(limit=1), read_only=True)
    shown = " ".join(run("stats", "--days", "0.0001", "-d", url).stdout.split())
    assert (
        f"No sessions in 0.0001 days; the newest is of {newest.created_at:%Y-%m-%d %H:%M:%S} UTC. "
        "Run: cardlink-db stats --days 1"
    ) in shown
    assert "completed" not in shown


def test_it_fits_a_narrow_terminal(url: str, run: Run) -> None:
    for columns in ["40", "60", "100"]:
        done = run("stats", "-d", url, COLUMNS=columns)
        assert done.returncode == 0, done.stderr
        url_line = 1
        assert max(map(len, done.stdout.splitlines()[url_line + 1 :])) <= int(columns)


def test_bars_are_ascii_where_there_is_nothing_else(url: str) -> None:
    done = in_process("stats", "-d", url, env={"PYTHONIOENCODING": "ascii", "COLUMNS": "60"})
    assert done.returncode == 0, done.stderr
    assert done.stdout.isascii()
    assert "####" in done.stdout
    assert "\\u" not in done.stdout


def test_an_empty_database_has_figures(manager: DatabaseManager, run: Run) -> None:
    done = run("stats", "-d", manager.config.url)
    assert done.returncode == 0, done.stderr
    assert "Cards: 0 with a PSK, 0 without." in done.stdout


def test_a_bar_is_as_long_as_its_share() -> None:
    for share, expected, ascii_only in [
        (0, "", ""),
        (0.0001, "▏", "#"),
        (0.5, "█████", "#####"),
        (0.55, "█████▌", "######"),
        (1, "█" * 10, "#" * 10),
        (7, "█" * 10, "#" * 10),
    ]:
        assert bar(share, 10, is_unicode=True) == expected
        assert bar(share, 10, is_unicode=False) == ascii_only


def test_a_sparkline_is_as_high_as_its_values() -> None:
    assert sparkline([0, 1, 4, 8], 10, is_unicode=True) == " ▁▄█"
    assert sparkline([0, 1, 4, 8], 10, is_unicode=False) == " .=%"
    assert sparkline([1, 1, 2, 2, 0], 3, is_unicode=True) == "▄█ "
    assert sparkline([], 3, is_unicode=True) == ""
    assert sparkline([0, 0], 3, is_unicode=True) == "  "
