"""What long work calls with the bytes that it has done since it last called."""

from collections.abc import Callable

OnProgress = Callable[[int], None]


def no_progress(done: int, /) -> None:
    """Tell nobody."""
