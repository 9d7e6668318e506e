"""The kinds of fault that drivers report, and the layer's error for each.

There is one sentence for each kind, whichever backend reports it. A driver's own text is kept
out of the message where it may quote a row.
"""

from enum import Enum, auto
from typing import Final

from cardlink_sql.errors import (
    ConflictError,
    ConnectionError,
    DatabaseError,
    IntegrityError,
    QueryError,
    StorageFullError,
    ValidationError,
)


class Fault(Enum):
    """A kind of fault, the same for all drivers."""

    DUPLICATE = auto()
    PARENT = auto()
    NOT_NULL = auto()
    CHECK = auto()
    CONFLICT = auto()
    LOCKED = auto()
    CONNECTION = auto()
    VALUE = auto()
    TOO_LARGE = auto()
    NO_TABLE = auto()
    READ_ONLY = auto()
    RIGHTS = auto()
    DAMAGED = auto()
    FULL = auto()
    OTHER = auto()


# Others were in between, and the same work may succeed.
CONFLICTS: Final = (Fault.CONFLICT, Fault.LOCKED)

_SENTENCES: Final[dict[Fault, tuple[type[DatabaseError], str, str | None]]] = {
    Fault.DUPLICATE: (IntegrityError, "a row with this key exists already", None),
    Fault.PARENT: (
        IntegrityError,
        "the row that this one refers to does not exist, or others still refer to this one",
        None,
    ),
    Fault.NOT_NULL: (IntegrityError, "a required column has no value", None),
    Fault.CHECK: (IntegrityError, "a CHECK constraint refuses the value", None),
    Fault.CONFLICT: (
        ConflictError,
        "a conflicting transaction forced a rollback",
        "run the unit of work again",
    ),
    Fault.LOCKED: (
        ConflictError,
        "another program or transaction kept the file locked",
        "wait until it is done, or end it; then run this again",
    ),
    Fault.CONNECTION: (
        ConnectionError,
        "the connection to the database broke",
        "run the unit of work again; nothing of it was committed",
    ),
    Fault.VALUE: (ValidationError, "the database cannot store a value", None),
    Fault.TOO_LARGE: (
        ValidationError,
        "the statement is larger than the server reads",
        "raise max_allowed_packet on the server, or write a smaller value",
    ),
    Fault.NO_TABLE: (
        QueryError,
        "a table or column of the schema is missing",
        "run: cardlink-db migrate; with nothing to apply, cardlink-db status names what is missing",
    ),
    Fault.READ_ONLY: (QueryError, "the database is read-only", None),
    Fault.RIGHTS: (QueryError, "the database role may not do this", "grant it the right"),
    Fault.DAMAGED: (
        QueryError,
        "the file is damaged, or not an SQLite database",
        "restore it from a backup, or name another file",
    ),
    Fault.FULL: (
        StorageFullError,
        "the disk of the database is full, and nothing of this was written",
        "make room there, then run it again; cardlink-db purge makes room inside the database",
    ),
    Fault.OTHER: (QueryError, "the database refused the statement", None),
}


def sentence(fault: Fault) -> str:
    """Return what happened, in the words that all backends share."""
    return _SENTENCES[fault][1]


def remedy(fault: Fault) -> str | None:
    """Return what helps against a fault, in the words that all backends share."""
    return _SENTENCES[fault][2]


def error_for(fault: Fault, detail: str | None, where: str | None) -> DatabaseError:
    """Return the layer's error for a fault, with what of the driver's text is safe to show."""
    kind, what, remedy = _SENTENCES[fault]
    error = kind(f"{what}: {detail}" if detail else what, where, remedy)
    if isinstance(error, QueryError) and detail:
        error.detail = detail
    return error
