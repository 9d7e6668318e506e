"""The refusals of a transaction, and their remedies."""

from threading import current_thread

from cardlink_sql.errors import ConnectionError, QueryError

_REMEDY = "with UnitOfWork(manager) as uow: …"


def outside() -> QueryError:
    """Return the error for use outside of the ``with`` block."""
    return QueryError("a unit of work is used inside its with block", remedy=f"write: {_REMEDY}")


def other_thread(owner: str) -> QueryError:
    """Return the error for use by another thread than the one that opened it."""
    return QueryError(
        f"thread {current_thread().name!r} used a unit of work that thread {owner!r} opened",
        remedy=f"open a unit of work in each thread: {_REMEDY}",
    )


def after_failure(title: str) -> QueryError:
    """Return the error for a statement after one that failed."""
    return QueryError(
        f"this unit of work cannot go on: {title} failed in it",
        remedy="roll back, or try what may fail inside uow.savepoint()",
    )


def read_only() -> QueryError:
    """Return the error for a write where nothing may be written."""
    return QueryError("the unit of work is read-only", remedy="open one without read_only")


def too_late() -> ConnectionError:
    """Return the error for a commit after the unit of work's time is over."""
    return ConnectionError(
        "the unit of work took longer than its timeout, and was rolled back",
        "COMMIT",
        "raise the timeout, or do less in one unit of work",
    )


def silent(where: str) -> ConnectionError:
    """Return the error for a statement without an answer in time."""
    return ConnectionError(
        "the database did not answer in time",
        where,
        "check the server and the network, or raise the timeout",
    )
