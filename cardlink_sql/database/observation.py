"""Reports the statements that are sent: to handlers, the slow-query log and echo.

A :class:`StatementBus` is ``manager.statements``; each connection reports to it. No value is
ever reported.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from itertools import takewhile
from time import perf_counter
from typing import Final

from cardlink_sql.database.backend import backend_of
from cardlink_sql.database.event_bus import Bus, name_of_handler
from cardlink_sql.dialect import Dialect
from cardlink_sql.errors import QueryError
from cardlink_sql.model.times import utc_now
from cardlink_sql.queries import load_library
from cardlink_sql.queries.query import title_in

_log: Final = logging.getLogger(__name__)
_slow_log: Final = logging.getLogger("cardlink_sql.slow_query")


@dataclass(frozen=True, slots=True)
class ObservedStatement:
    """A statement that was sent, without its values.

    Attributes:
        name: the query's, such as ``sessions.find_open``; for other statements the words of
            the statement, such as ``BEGIN``, ``COMMIT`` or ``SAVEPOINT``.
        duration_ms: from before it was sent until its last row was fetched.
        rows: those that were read, or that the statement found to write; 0 where it failed.
        error: the class of the error, such as ``ConflictError``; ``None`` where there was none.
        where: the query's place, such as ``sql/common/sessions.sql:42``; ``None`` for the rest.
        dialect: of the database.
        started_at: when it was sent, in UTC.
    """

    name: str
    duration_ms: float
    rows: int
    error: str | None
    where: str | None
    dialect: Dialect
    started_at: datetime


StatementHandler = Callable[[ObservedStatement], object]


@dataclass(frozen=True, slots=True)
class Sent:
    """A statement under way."""

    sql: str
    started_at: datetime
    clock: float


class StatementBus(Bus[StatementHandler]):
    """Reports each statement to the handlers of this process, once it has ended.

    They are called on the thread that sent it, in the order in which they were registered. A
    handler that raises is logged and stops nobody. Statements that a handler itself sends are not
    reported: it would never end. All methods may be called from any thread, and by handlers.
    """

    def __init__(self, dialect: Dialect, slow_query_ms: float | None = None) -> None:
        super().__init__()
        self._dialect = dialect
        self._slow_ms = slow_query_ms
        self._echo: Callable[[str], object] | None = None
        # By statement; there are no more of them than the queries have forms.
        self._names: dict[str, tuple[str, str | None]] = {}

    @property
    def is_observed(self) -> bool:
        """Return whether there is a handler, a slow-query log or echo."""
        return bool(self._registered or self._echo) or self._slow_ms is not None

    def on(self, handler: StatementHandler) -> None:
        """Call ``handler`` after each statement, with an :class:`ObservedStatement`.

        Registered twice, it is called once. Units of work that were open before the first handler
        was there are not reported.

        Raises:
            ValidationError: the handler cannot be called.
        """
        self._add(handler, handler)

    def off(self, handler: StatementHandler) -> bool:
        """Undo :meth:`on`; whether there was anything to undo. It holds at once."""
        return self._remove(handler)

    def begin(self, sql: str) -> Sent:
        """Note that a statement is about to be sent."""
        if self._echo is not None:
            self._echo(sql)
        return Sent(sql, utc_now(), perf_counter())

    def end(self, sent: Sent, rows: int, error: BaseException | None = None) -> None:
        """Report a statement that has ended."""
        duration_ms = (perf_counter() - sent.clock) * 1000
        is_slow = self._slow_ms is not None and duration_ms >= self._slow_ms
        if self._turn.is_running or not (is_slow or self._registered):
            return
        named = self._names.get(sent.sql)
        if named is None:
            named = self._names[sent.sql] = self._named(sent.sql)
        name, where = named
        failed = None if error is None else self._class_of(error)
        told = ObservedStatement(
            name, duration_ms, max(rows, 0), failed, where, self._dialect, sent.started_at
        )
        self._turn.is_running = True
        try:
            if is_slow:
                _warn(told)
            self._tell(told)
        finally:
            self._turn.is_running = False

    def echo_to(self, log: Callable[[str], object]) -> None:
        """Log each statement before it is sent."""
        self._echo = log

    def _named(self, sql: str) -> tuple[str, str | None]:
        title = title_in(sql)
        if title is None:
            # Only words in capitals: neither a name nor a value gets through.
            return " ".join(takewhile(str.isupper, sql.split())), None
        try:
            return title, load_library(self._dialect).query(*title.split(".")).where
        except QueryError:
            return title, None

    def _class_of(self, error: BaseException) -> str:
        backend = backend_of(self._dialect)
        if isinstance(error, backend.driver_errors):
            error = backend.translate(error, None)
        return type(error).__name__

    def _tell(self, told: ObservedStatement) -> None:
        for handler in self._registered:
            try:
                handler(told)
            except Exception:
                _log.exception("the handler %s of statements raised", name_of_handler(handler))


def _warn(told: ObservedStatement) -> None:
    _slow_log.warning(
        "%s: %.1f ms, %d rows%s%s",
        told.name,
        told.duration_ms,
        told.rows,
        f", {told.error}" if told.error else "",
        f", {told.where}" if told.where else "",
    )
