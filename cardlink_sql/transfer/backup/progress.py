"""The callback of long work: it takes the bytes done since the last call."""

from collections.abc import Callable

OnProgress = Callable[[int], None]


def no_progress(done: int, /) -> None:
    """Ignore the progress."""
