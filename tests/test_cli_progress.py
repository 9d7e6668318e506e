"""Progress on stderr: what is counted, and of how many."""

import io
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import ClassVar

import pytest

from cardlink_sql import DatabaseConfig, DatabaseManager
from cardlink_sql.cli.shared import progress as module
from cardlink_sql.cli.shared.progress import progress
from tests.conftest import Run, committed, entry, session_id

URL = "sqlite:///a.db"


class AtOnce:
    """A timer that does not wait."""

    def __init__(self, _seconds: float, function: Callable[[], None]) -> None:
        self.start = function

    def cancel(self) -> None:
        """There is nothing to cancel."""

    def join(self) -> None:
        """There is nothing to wait for."""


class Terminal(io.StringIO):
    """Text that a terminal would show."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Progress is shown from the start."""
    monkeypatch.setattr(module, "Timer", AtOnce)


class Lines:
    """A bar that notes each state that it would show."""

    shown: ClassVar[list[str]] = []

    def __init__(self, what: str, total: int | None, unit: str) -> None:
        of = "" if total is None else f" of {total:,}"
        self._form = f"{what}: {{:,}}{of} {unit}"
        self._done = 0

    def advance(self, done: int, /) -> None:
        """Note the state after the step."""
        self._done += done
        self.show()

    def show(self) -> None:
        self.shown.append(self._form.format(self._done))

    def close(self) -> None:
        """There is nothing to remove."""


@contextmanager
def terminal(monkeypatch: pytest.MonkeyPatch) -> Iterator[Terminal]:
    """Stderr is a terminal."""
    shown = Terminal()
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stderr", shown)
        patch.setenv("COLUMNS", "100")
        patch.setenv("TERM", "xterm")
        yield shown


def test_an_import_tells_its_check_and_then_the_rows_of_all(
    run: Run, at_once: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    run("init", "-d", URL)
    with DatabaseManager(DatabaseConfig(URL)) as manager, committed(manager) as uow:
        uow.sessions.create_session(session_id=session_id())
        uow.logs.add_log_batch(entry() for _ in range(1_100))
    run("export", "-o", "all.jsonl", "-d", URL)
    run("init", "-d", "sqlite:///b.db")

    monkeypatch.setattr(module, "_Bar", Lines)
    monkeypatch.setattr(Lines, "shown", [])
    with terminal(monkeypatch):
        run("import", "all.jsonl", "-d", "sqlite:///b.db")

    assert Lines.shown == [
        "Checking: 0 rows",
        "Checking: 500 rows",
        "Checking: 1,000 rows",
        "Checking: 1,101 rows",
        "Importing: 0 of 1,101 rows",
        "Importing: 1 of 1,101 rows",
        "Importing: 501 of 1,101 rows",
        "Importing: 1,001 of 1,101 rows",
        "Importing: 1,101 of 1,101 rows",
    ]


def test_a_terminal_has_a_bar_with_the_unit(at_once: None, monkeypatch: pytest.MonkeyPatch) -> None:
    with terminal(monkeypatch) as shown, progress("Importing", 1_500, unit="rows") as advance:
        advance(500)
        deadline = time.monotonic() + 10
        while "500 of 1,500 rows" not in shown.getvalue() and time.monotonic() < deadline:
            time.sleep(0.02)
    assert "500 of 1,500 rows" in shown.getvalue()


def test_short_work_shows_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    with terminal(monkeypatch) as shown, progress("Importing", unit="rows") as advance:
        advance(500)
    assert shown.getvalue() == ""


def test_one_long_step_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_QUIET_SECONDS", 0.01)
    with terminal(monkeypatch) as shown, progress("Checking", unit="rows"):
        deadline = time.monotonic() + 10
        while "0 rows" not in shown.getvalue() and time.monotonic() < deadline:
            time.sleep(0.01)
    assert "Checking" in shown.getvalue()
    assert "0 rows" in shown.getvalue()


def test_a_log_of_errors_gets_no_progress(
    at_once: None, capsys: pytest.CaptureFixture[str]
) -> None:
    with progress("Importing", 1, unit="reports") as advance:
        advance(1)
    assert capsys.readouterr().err == ""
