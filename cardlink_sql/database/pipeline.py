"""Statements that go out together with the next one."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from cardlink_sql.database.backend import Backend
from cardlink_sql.database.observation import Sent, StatementBus
from cardlink_sql.queries import Query


@dataclass(slots=True)
class DeferredStatement:
    """A statement that goes out together with the next one.

    Attributes:
        what: the query, or the statement where it belongs to none.
        sql: the statement.
        values: its parameters.
        matched: the number of rows that it matched; ``None`` until the server has run it.
        sent: what the report of its answer takes.
    """

    what: Query | str
    sql: str
    values: tuple[Any, ...] | None
    matched: int | None = None
    sent: Sent | None = None

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
        """Return the number of rows that it matched; 0 for one that frames the transaction."""
        return 0 if self.is_command else self.matched or 0


def place_of(what: Query | str) -> str:
    """Return where an error is that a query met, or a statement that belongs to none."""
    return what if isinstance(what, str) else f"{what.where} {what.title}"


def send_together(
    backend: Backend, connection: Any, deferred: list[DeferredStatement], send: Callable[[], object]
) -> None:
    """Send statements in one round trip, and note how many rows those that go first matched.

    Args:
        backend: of the connection.
        connection: the driver's.
        deferred: those that go first.
        send: hands the last one to the driver.
    """
    matched: list[int] = []
    try:
        backend.send_together(
            connection, [(one.sql, one.values) for one in deferred], send, matched
        )
    finally:
        for one, rows in zip(deferred, matched, strict=False):
            one.matched = rows


def report_sent(
    observer: StatementBus | None, deferred: list[DeferredStatement], sql: str
) -> Sent | None:
    """Report statements that go out now; return what the report of the last one's answer takes."""
    if observer is None:
        return None
    for one in deferred:
        one.sent = observer.begin(one.sql)
    return observer.begin(sql)


def report_deferred(
    deferred: list[DeferredStatement],
    observer: StatementBus | None,
    error: BaseException | None = None,
) -> DeferredStatement | None:
    """Report deferred statements that were sent; return the one that failed."""
    for one in deferred:
        if observer is not None and one.sent is not None:
            observer.end(one.sent, one.rows, None if one.is_answered else error)
        if not one.is_answered:
            return one
    return None
