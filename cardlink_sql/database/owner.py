"""The thread that opened a transaction, in the process that it did so in."""

import os
from threading import current_thread, local
from typing import Final

from cardlink_sql.errors import QueryError

_REMEDY: Final = "with UnitOfWork(manager) as uow: …"


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


def refusal(owner: object, name: str) -> QueryError:
    """Return the error for use by another thread than the owner, or outside of the ``with`` block.

    Args:
        owner: the token of the thread that opened the transaction; ``None`` where it is closed.
        name: its name.
    """
    if owner is None:
        return QueryError("this unit of work is not open", remedy=f"write: {_REMEDY}")
    if owner in _INHERITED:
        return QueryError(
            "this unit of work was opened before the process was forked: it is the parent's",
            remedy=f"open a unit of work in the child: {_REMEDY}",
        )
    return QueryError(
        f"thread {current_thread().name!r} used a unit of work that thread {name!r} opened",
        remedy=f"open a unit of work in each thread: {_REMEDY}",
    )
