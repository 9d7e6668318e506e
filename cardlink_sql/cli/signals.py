"""Ctrl-C, SIGTERM and SIGHUP, which end a command alike."""

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def heard() -> Iterator[None]:
    """Treat SIGTERM and SIGHUP as Ctrl-C in the block, so that no half-made file is left.

    The exit code is 128 and the signal's number: 130 after Ctrl-C.
    """
    received = signal.SIGINT

    def interrupt(number: int, frame: FrameType | None) -> None:
        nonlocal received
        received = signal.Signals(number)
        handler = signal.getsignal(signal.SIGINT)  # `purge` has another one than Python's
        if not callable(handler):  # Ctrl-C is ignored, as in a script's background
            raise KeyboardInterrupt
        handler(number, frame)

    # A signal that the parent ignored, as nohup does, stays ignored.
    endings = (signal.SIGTERM, signal.SIGHUP)
    taken = [ending for ending in endings if signal.getsignal(ending) is signal.SIG_DFL]
    try:
        for ending in taken:
            signal.signal(ending, interrupt)
        yield
    except KeyboardInterrupt as error:
        sys.stderr.write(f"{str(error) or 'interrupted'}\n")
        sys.exit(128 + received)
    finally:
        for ending in taken:
            signal.signal(ending, signal.SIG_DFL)
