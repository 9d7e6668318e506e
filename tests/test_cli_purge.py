"""``cardlink-db purge``."""

import json
import signal
import subprocess
import time

import pytest

from cardlink_sql import DatabaseManager, Dialect, SessionStatus, UnitOfWork
from tests.conftest import COMMAND, Run, committed, dump, entry, session_id
from tests.test_retention import OLD, add_mixture, add_session, ago, rows

ENTRIES = 60_000


@pytest.fixture
def url(manager: DatabaseManager) -> str:
    """A database with old rows and recent ones, on each backend in turn."""
    add_mixture(manager)
    return manager.config.url


def test_a_dry_run_counts_what_the_purge_deletes(
    manager: DatabaseManager, url: str, run: Run
) -> None:
    command = ("purge", "--older-than", "30", "-d", url)
    before = dump(manager)

    counted = json.loads(run(*command, "--dry-run", "--json").stdout)
    assert dump(manager) == before
    shown = run(*command, "--dry-run").stdout
    purged = json.loads(run(*command, "--yes", "--json").stdout)

    assert counted == {
        "dry_run": True,
        "tables": [
            {"name": "logs", "older_than_days": 30.0, "rows": 9},
            {"name": "sessions", "older_than_days": 30.0, "rows": 3},
            {"name": "tests", "older_than_days": 30.0, "rows": 2},
            {"name": "events", "older_than_days": 30.0, "rows": 9},
        ],
    }
    assert purged == {**counted, "dry_run": False}
    assert "would be deleted" in shown
    assert ["logs", "30", "days", "9"] in map(str.split, shown.splitlines())
    assert rows(manager) == {"logs": 2, "sessions": 5, "tests": 1, "events": 1}


def test_the_settings_are_the_defaults(manager: DatabaseManager, url: str, run: Run) -> None:
    nothing = json.loads(run("purge", "--yes", "--json", "-d", url).stdout)["tables"]
    assert [(one["older_than_days"], one["rows"]) for one in nothing] == [
        (30, 7), (90, 0), (90, 0), (7, 9),
    ]  # fmt: skip
    with committed(manager) as uow:
        uow.settings.set_value("retention.sessions_days", 30)
        uow.settings.set_value("retention.tests_days", 40)
    shown = run("purge", "--yes", "--tables", "sessions,tests", "-d", url).stdout
    words = [line.split() for line in shown.splitlines()]
    assert ["logs", "with", "their", "sessions", "2"] in words
    assert ["sessions", "30", "days", "3"] in words
    assert ["tests", "40", "days", "2"] in words


def test_it_asks_unless_yes_is_given(manager: DatabaseManager, url: str, run: Run) -> None:
    before = dump(manager)
    done = run("purge", "--older-than", "30", "-d", url)
    assert done.returncode == 1
    assert "add --yes" in done.stderr
    assert dump(manager) == before
    nothing = run("purge", "--older-than", "300", "-d", url)
    assert nothing.returncode == 0, nothing.stderr


@pytest.mark.parametrize(
    ("dialect", "ending"),
    [
        (Dialect.SQLITE, signal.SIGINT),
        (Dialect.POSTGRESQL, signal.SIGTERM),
        (Dialect.MYSQL, signal.SIGINT),
    ],
    indirect=["dialect"],
)
def test_a_signal_ends_it_between_two_batches(
    manager: DatabaseManager, ending: signal.Signals
) -> None:
    with committed(manager) as uow:
        add_session(uow, 1, created=OLD, ended=OLD)
        add_session(uow, 2, created=OLD, ended=None, status=SessionStatus.ACTIVE)
        at = ago(OLD)
        uow.logs.add_log_batch(
            entry(session_id(1 + number % 2), timestamp=at) for number in range(ENTRIES)
        )
    command = [COMMAND, "purge", "--older-than", "30", "--yes", "-d", manager.config.url]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        deadline = time.monotonic() + 30
        while count(manager) == ENTRIES and time.monotonic() < deadline:
            time.sleep(0.005)
        process.send_signal(ending)
        _, printed = process.communicate(timeout=30)

    assert process.returncode == 128 + ending, printed
    last = printed.splitlines()[-1]
    assert last.startswith("interrupted: ")
    assert last.endswith(" purged, in whole batches")
    told = int(last.split()[1].replace(",", ""))
    assert count(manager) == ENTRIES - told
    assert 0 < told < ENTRIES


def count(manager: DatabaseManager) -> int:
    with UnitOfWork(manager, read_only=True) as uow:
        return uow.logs.count()
