"""The progress of long work, on a terminal; nothing for the first second."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Timer
from typing import TYPE_CHECKING, Final

from cardlink_sql.model.progress import OnProgress, no_progress

if TYPE_CHECKING:
    from rich.progress import Progress

_QUIET_SECONDS: Final = 1.0


@contextmanager
def progress(what: str, total: int | None = None, *, unit: str) -> Iterator[OnProgress]:
    """Show the progress of the block; yields what it calls after each step.

    A log of errors gets none of it: nothing is shown where stderr is not a terminal.

    Args:
        what: what is done, such as ``Importing``.
        total: how much there is to do, if known.
        unit: what is counted, such as ``rows``.
    """
    if not sys.stderr.isatty():
        yield no_progress
        return
    shown = _Bar(what, total, unit)
    # The first step may be long, and is shown all the same.
    timer = Timer(_QUIET_SECONDS, shown.show)
    timer.daemon = True
    timer.start()
    try:
        yield shown.advance
    finally:
        timer.cancel()
        timer.join()
        shown.close()


class _Bar:
    """A terminal's progress bar, removed at the end."""

    def __init__(self, what: str, total: int | None, unit: str) -> None:
        self._what, self._total, self._unit = what, total, unit
        self._done = 0
        self._progress: Progress | None = None

    def advance(self, done: int, /) -> None:
        self._done += done
        if self._progress is not None:
            self._progress.update(self._progress.task_ids[0], completed=self._done)

    def show(self) -> None:
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            Progress,
            TextColumn,
            TimeElapsedColumn,
            TimeRemainingColumn,
        )

        of = "" if self._total is None else f" of {self._total:,}"
        shown = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn(f"{{task.completed:,}}{of} {self._unit}"),
            TimeElapsedColumn() if self._total is None else TimeRemainingColumn(),
            console=Console(stderr=True),
            transient=True,
        )
        shown.add_task(self._what, total=self._total, completed=self._done)
        shown.start()
        self._progress = shown

    def close(self) -> None:
        if self._progress is not None:
            self._progress.stop()
