"""Statements that go out in one round trip."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from cardlink_sql.database.backend import Backend
from cardlink_sql.database.observation import Sent, StatementBus
from cardlink_sql.queries import Query


@dataclass(slots=True)
class Statement:
    """A statement that is sent now, or together with the next one.

    Attributes:
        what: the query, or the statement where it belongs to none.
        sql: the statement.
        values: its parameters.
        matched: the number of rows in its answer; ``None`` until the server has run it.
    """

    what: Query | str
    sql: str
    values: tuple[Any, ...] | None = None
    matched: int | None = None

    @property
    def is_command(self) -> bool:
        """Return whether it frames the transaction and belongs to no query."""
        return isinstance(self.what, str)

    @property
    def is_answered(self) -> bool:
        """Return whether the server has run it."""
        return self.matched is not None

    @property
    def rows(self) -> int:
        """Return the number of rows in its answer; 0 for one that frames the transaction."""
        return 0 if self.is_command else self.matched or 0


def place_of(what: Query | str) -> str:
    """Return where an error is that a query met, or a statement that belongs to none."""
    return what if isinstance(what, str) else f"{what.where} {what.title}"


def send_together(
    backend: Backend, connection: Any, deferred: list[Statement], send: Callable[[], object]
) -> None:
    """Send statements in one round trip, and note how many rows those that go first matched."""
    matched: list[int] = []
    ahead = [(one.sql, one.values) for one in deferred]
    try:
        backend.send_together(connection, ahead, send, matched)
    finally:
        for one, rows in zip(deferred, matched, strict=False):
            one.matched = rows


def report(
    observer: StatementBus,
    sent: list[Sent],
    statements: list[Statement],
    error: BaseException | None = None,
) -> None:
    """Report the statements of one round trip, up to the one that failed."""
    for its, one in zip(sent, statements, strict=True):
        observer.end(its, one.rows, None if one.is_answered else error)
        if not one.is_answered:
            return
