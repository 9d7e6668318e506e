"""The refusals of a transaction, and their remedies."""

import os
from threading import current_thread, local
from typing import Final

from cardlink_sql.errors import CommitInDoubtError, ConnectionError, QueryError

_REMEDY = "with UnitOfWork(manager) as uow: …"


class _Thread(local):
    def __init__(self) -> None:
        self.token = object()


# Its ``token`` differs for each thread, even one that got the ident of a thread that has ended.
this_thread = _Thread()
# The tokens of this thread in the processes that it was forked from.
_INHERITED: Final[set[object]] = set()


def _after_fork() -> None:
    _INHERITED.add(this_thread.token)
    this_thread.token = object()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def outside() -> QueryError:
    """Return the error for use outside of the ``with`` block."""
    return QueryError("this unit of work is not open", remedy=f"write: {_REMEDY}")


def other_thread(owner: object, name: str) -> QueryError:
    """Return the error for use by another thread than the one that opened it.

    Args:
        owner: the token of that thread.
        name: its name.
    """
    if owner in _INHERITED:
        return QueryError(
            "this unit of work was opened before the process was forked: it is the parent's",
            remedy=f"open a unit of work in the child: {_REMEDY}",
        )
    return QueryError(
        f"thread {current_thread().name!r} used a unit of work that thread {name!r} opened",
        remedy=f"open a unit of work in each thread: {_REMEDY}",
    )


def after_failure(title: str) -> QueryError:
    """Return the error for a statement after one that failed."""
    return QueryError(
        f"{title} failed earlier in this unit of work",
        remedy="roll back, or try what may fail inside uow.savepoint()",
    )


def waits_for_itself() -> QueryError:
    """Return the error for a second unit of work that writes, in one thread on SQLite."""
    return QueryError(
        f"thread {current_thread().name!r} already has a unit of work that writes to this file,"
        " so a second one would wait for itself",
        remedy="write in the first one (pass its uow on), or commit it before you open another",
    )


def forked_while_writing() -> QueryError:
    """Return the error for a child of a process that was writing to an SQLite file."""
    return QueryError(
        "this process was forked inside a unit of work that writes to this file",
        remedy="fork while no unit of work is open, or start the process by spawn",
    )


def read_only() -> QueryError:
    """Return the error for a write where nothing may be written."""
    return QueryError("the unit of work is read-only", remedy="open one without read_only")


def too_late(where: str) -> ConnectionError:
    """Return the error for a statement after the unit of work's time is over."""
    return ConnectionError(
        "not sent, because the unit of work took longer than its timeout",
        where,
        "raise the timeout, or do less in one unit of work",
    )


def in_doubt() -> CommitInDoubtError:
    """Return the error for a commit whose answer was lost."""
    return CommitInDoubtError(
        "the connection to the database broke during COMMIT, so its answer is lost",
        "COMMIT",
        "check whether the rows are there before you run the unit of work again",
    )


def demoted(where: str) -> ConnectionError:
    """Return the error for a server that became read-only while it was connected to."""
    return ConnectionError(
        "the server became read-only, so nothing was committed",
        where,
        "run the unit of work again: it connects to another host",
    )


def silent(where: str) -> ConnectionError:
    """Return the error for a statement without an answer in time."""
    return ConnectionError(
        "the database did not answer in time",
        where,
        "check the server and the network, or raise the timeout",
    )
