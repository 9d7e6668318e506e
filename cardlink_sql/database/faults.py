"""The kinds of fault that drivers report, and the layer's error for each.

There is one sentence for each kind, whichever backend reports it. A driver's own text is kept
out of the message where it may quote a row.
"""

from enum import Enum
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
    """A kind of fault, the same for all drivers.

    Attributes:
        kind: the class of its error.
        what: what happened.
        remedy: what helps, if anything does.
    """

    DUPLICATE = (IntegrityError, "a row with this key exists already")
    PARENT = (
        IntegrityError,
        "the row that this one refers to does not exist, or others still refer to this one",
    )
    NOT_NULL = (IntegrityError, "a required column has no value")
    CHECK = (IntegrityError, "a CHECK constraint refuses the value")
    CONFLICT = (
        ConflictError,
        "a conflicting transaction forced a rollback",
        "run the unit of work again",
    )
    LOCK_WAIT = (
        ConflictError,
        "another transaction kept a lock for too long",
        "run the unit of work again, and let long ones commit sooner",
    )
    LOCKED = (
        ConflictError,
        "another program or transaction kept the file locked",
        "wait until it is done, or end it; then run this again",
    )
    CONNECTION = (
        ConnectionError,
        "the connection to the database broke",
        "run the unit of work again; nothing of it was committed",
    )
    VALUE = (ValidationError, "the database cannot store a value")
    TOO_LARGE = (
        ValidationError,
        "the statement is larger than the server reads",
        "raise max_allowed_packet on the server, or write a smaller value",
    )
    NO_TABLE = (
        QueryError,
        "a table or column of the schema is missing",
        "run: cardlink-db migrate; with nothing to apply, cardlink-db status names what is missing",
    )
    READ_ONLY = (QueryError, "the database is read-only")
    RIGHTS = (QueryError, "the database role may not do this", "grant it the right")
    DAMAGED = (
        QueryError,
        "the file is damaged, or not an SQLite database",
        "restore it from a backup, or name another file",
    )
    FULL = (
        StorageFullError,
        "the disk of the database is full, and nothing of this was written",
        "make room there, then run it again; cardlink-db purge makes room inside the database",
    )
    OTHER = (QueryError, "the database refused the statement")

    def __init__(self, kind: type[DatabaseError], what: str, remedy: str | None = None) -> None:
        self.kind, self.what, self.remedy = kind, what, remedy


# Others were in between, and the same work may succeed.
CONFLICTS: Final = (Fault.CONFLICT, Fault.LOCK_WAIT, Fault.LOCKED)


def error_for(fault: Fault, detail: str | None, where: str | None) -> DatabaseError:
    """Return the layer's error for a fault, with what of the driver's text is safe to show."""
    what = f"{fault.what}: {detail}" if detail else fault.what
    error = fault.kind(what, where, fault.remedy)
    if isinstance(error, QueryError) and detail:
        error.detail = detail
    return error


def driver_message(error: BaseException) -> str:
    """Return the driver's message with the server's code.

    PostgreSQL's DETAIL is left out: it quotes whole rows, and a row may hold a key.
    """
    primary = getattr(getattr(error, "diag", None), "message_primary", None)
    if primary:
        return f"{primary} (SQLSTATE {error.sqlstate})"  # type: ignore[attr-defined]
    match error.args:
        case (int() as number, str() as text):
            return f"{text} (error {number})"
    return " ".join(str(error).split()) or type(error).__name__
