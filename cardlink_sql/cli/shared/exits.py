"""Exit codes, and the interruption that a command has to report."""

from enum import IntEnum


class WorkInterruptedError(Exception):
    """Ctrl-C in a command that has to report its progress."""


class Exit(IntEnum):
    """The exit codes of ``cardlink-db``."""

    FINE = 0
    ERROR = 1
    USAGE = 2
    PENDING = 3
    DRIFT = 4
    INTERRUPTED = 130
