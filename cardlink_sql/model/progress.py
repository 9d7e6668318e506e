"""The callback of long work: it receives the rows, keys or bytes done since the last call."""

from collections.abc import Callable

OnProgress = Callable[[int], None]


def no_progress(done: int, /) -> None:
    """Ignore the progress."""
