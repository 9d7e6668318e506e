"""How a command ends: exit codes, and the interruption that has to be reported."""

from enum import IntEnum


class WorkInterruptedError(Exception):
    """Ctrl-C, where the command has to say how far its work had come."""


class Exit(IntEnum):
    """The exit codes of ``cardlink-db``."""

    FINE = 0
    ERROR = 1
    USAGE = 2
    PENDING = 3
    DRIFT = 4
    INTERRUPTED = 130
