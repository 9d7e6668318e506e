"""Statements that go out together with the next one."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from cardlink_sql.database.observation import Sent, StatementBus
from cardlink_sql.queries import Query


@dataclass(slots=True)
class Ahead:
    """A statement that goes out together with the next one."""

    what: Query | str
    sql: str
    values: tuple[Any, ...] | None
    cursor: Any = None
    sent: Sent | None = None

    @property
    def is_command(self) -> bool:
        """Return whether it frames the transaction and belongs to no query."""
        return isinstance(self.what, str)

    @property
    def is_answered(self) -> bool:
        """Return whether the server has run it."""
        return self.cursor is not None and self.cursor.pgresult is not None

    @property
    def rows(self) -> int:
        """Return the number of rows that it matched."""
        return 0 if self.is_command or not self.is_answered else int(self.cursor.rowcount)


def place_of(what: Query | str) -> str:
    """Return where an error is that a query met, or a statement that belongs to none."""
    return what if isinstance(what, str) else f"{what.where} {what.title}"


def send_together(connection: Any, ahead: list[Ahead], send: Callable[[], object]) -> None:
    """Send statements in one round trip.

    Args:
        connection: the driver's.
        ahead: those that go first.
        send: hands the last one to the driver.
    """
    with connection.pipeline():
        for one in ahead:
            one.cursor = connection.cursor()
            one.cursor.execute(one.sql, one.values)
        send()


def report_sent(observer: StatementBus | None, ahead: list[Ahead], sql: str) -> Sent | None:
    """Report statements that go out now; return what the report of the last one's answer takes."""
    if observer is None:
        return None
    for one in ahead:
        one.sent = observer.begin(one.sql)
    return observer.begin(sql)


def report_ahead(
    ahead: list[Ahead], observer: StatementBus | None, error: BaseException | None = None
) -> Ahead | None:
    """Report statements that were sent ahead; return the one that failed."""
    for one in ahead:
        if observer is not None and one.sent is not None:
            observer.end(one.sent, one.rows, None if one.is_answered else error)
        if not one.is_answered:
            return one
    return None


class Pending(Protocol):
    """Writes that a gateway holds back to send them together."""

    def flush(self) -> int:
        """Send them; return their number."""

    def discard(self) -> None:
        """Forget them."""
