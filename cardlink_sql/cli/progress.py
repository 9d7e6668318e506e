"""How far long work has come, on stderr: nothing for the first second."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, Protocol

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

_QUIET_SECONDS: Final = 1.0
# Where stderr is no terminal, a line now and then does.
_LINE_SECONDS: Final = 10.0


class OnProgress(Protocol):
    """What long work calls after each step."""

    def __call__(self, done: int, /) -> None:
        """``done`` more is done."""


def no_progress(done: int, /) -> None:
    """Tell nobody."""


@contextmanager
def progress(what: str, total: int | None = None) -> Iterator[OnProgress]:
    """Show the progress of the block; gives what it calls after each step.

    Args:
        what: what is done, such as ``Importing``.
        total: how much there is to do, if known.
    """
    shown = _Bar(what, total) if sys.stderr.isatty() else _Lines(what, total)
    try:
        yield shown.advance
    finally:
        shown.close()


class _Bar:
    """A bar that a terminal draws over, and that is gone afterwards."""

    def __init__(self, what: str, total: int | None) -> None:
        self._what, self._total = what, total
        self._shown_from = time.monotonic() + _QUIET_SECONDS
        self._done = 0
        self._progress: Progress | None = None

    def advance(self, done: int, /) -> None:
        self._done += done
        if self._progress is not None:
            self._progress.update(self._progress.task_ids[0], completed=self._done)
        elif time.monotonic() >= self._shown_from:
            self._show()

    def _show(self) -> None:
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            transient=True,
        )
        self._progress.add_task(self._what, total=self._total, completed=self._done)
        self._progress.start()

    def close(self) -> None:
        if self._progress is not None:
            self._progress.stop()


class _Lines:
    """A line after a second and then every ten, for a log."""

    def __init__(self, what: str, total: int | None) -> None:
        self._what = what
        self._of = "" if total is None else f" of {total:,}"
        self._next = time.monotonic() + _QUIET_SECONDS
        self._done = 0

    def advance(self, done: int, /) -> None:
        self._done += done
        if time.monotonic() >= self._next:
            self._next = time.monotonic() + _LINE_SECONDS
            sys.stderr.write(f"{self._what}: {self._done:,}{self._of}\n")
            sys.stderr.flush()

    def close(self) -> None:
        pass
