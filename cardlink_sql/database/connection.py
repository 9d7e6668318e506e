"""One connection of the pool, and the one place where statements go out."""

from collections.abc import Callable, Sequence
from functools import partial
from time import monotonic
from typing import Any, Final, TypeVar
from weakref import ref

from sqlalchemy.pool import PoolProxiedConnection

from cardlink_sql.database.backend import LOCK_TIMEOUT_MS
from cardlink_sql.database.engine import LIMITED
from cardlink_sql.database.faults import Fault, error_for
from cardlink_sql.database.pipeline import Statement, place_of, report, send_together
from cardlink_sql.database.pool import Pool
from cardlink_sql.database.writer_queue import WriterQueue
from cardlink_sql.errors import CommitInDoubtError, ConnectionError, DatabaseError
from cardlink_sql.queries import Query, Row

T = TypeVar("T")


class Connection:
    """Sends statements to the driver's own cursor.

    It reports each statement to the observers, turns what the driver raises into the layer's
    errors, and replaces a connection that died in the pool where a statement may be sent again.

    Args:
        pool: where the connection is taken from, and returned to by :meth:`close`.
        timeout: seconds until the last answer must be complete, from now; ``None`` leaves it to
            the configuration.

    Attributes:
        pooled: the connection as the pool hands it out.
    """

    def __init__(self, pool: Pool, timeout: float | None = None) -> None:
        self._queue: WriterQueue | None = None
        self._pool: Final = pool
        self._deadline: Final = None if timeout is None else monotonic() + timeout
        self._backend: Final = pool.backend
        self._errors: Final = pool.backend.driver_errors
        self._observer = pool.statements if pool.statements.is_observed else None
        self._deferred: list[Statement] = []
        self._take()

    def _take(self) -> None:
        self.pooled: PoolProxiedConnection = self._pool.take(self._deadline)
        self._cursor: Any = self.pooled.cursor()
        self._is_unusable = False
        self._limit()

    def _limit(self) -> None:
        if self._deadline is not None:
            self.pooled.info[LIMITED] = True
            self._backend.limit(self.pooled.driver_connection, self._deadline)

    def close(self, *, roll_back: bool) -> None:
        """Return the connection to the pool; one that is broken is closed instead."""
        try:
            if roll_back and not self._is_unusable:
                self.roll_back()
        except DatabaseError:
            self._is_unusable = True
        finally:
            if self._is_unusable:
                self._drop()
            self.pooled.close()
            self._leave_queue()

    def begin(self) -> None:
        """Open a transaction; a connection that died in the pool is replaced, once.

        On PostgreSQL ``BEGIN`` travels with the next statement.
        """
        begin = self._backend.begin
        if self._pool.read_only:
            begin += self._backend.read_only_mode
        queue = self._pool.writer_queue()
        if queue is not None:
            if not queue.enter(self._seconds_left(), ref(self)):
                raise error_for(Fault.LOCKED, None, begin)
            self._queue = queue
            self._limit()
        if self._backend.begins_together and self._backend.pipelines:
            self._deferred.append(Statement(begin, begin))
            return
        try:
            self.command(begin, again=True)
        except BaseException:
            self._leave_queue()
            raise

    def _refuse_late(self, what: Query | str) -> None:
        """Refuse a statement after the time is over; a rollback is always sent."""
        if self._deadline is not None and monotonic() >= self._deadline:
            raise ConnectionError(
                "not sent, because the unit of work took longer than its timeout",
                place_of(what),
                "raise the timeout, or do less in one unit of work",
            )

    def _seconds_left(self) -> float:
        """Return how long to wait for a lock."""
        longest = LOCK_TIMEOUT_MS / 1000
        left = longest if self._deadline is None else self._deadline - monotonic()
        return min(longest, max(0.0, left))

    def begin_snapshot(self) -> None:
        """Open a transaction that reads one state of all tables."""
        first, *others = self._backend.begin_snapshot
        self.command(first, again=True)
        for statement in others:
            self.command(statement)

    def defer(self, query: Query, sql: str, values: tuple[Any, ...]) -> Statement:
        """Send a statement that writes together with the next one, which a pipeline can."""
        deferred = Statement(query, sql, values)
        self._deferred.append(deferred)
        return deferred

    def fetch(
        self, query: Query, sql: str, values: tuple[Any, ...], *, again: bool = False
    ) -> Sequence[Row]:
        """Return all rows; ``again`` sends it once more where the connection is found dead."""
        if self._observer is not None or self._deferred:
            statement = Statement(query, sql, values)
            return self._run(statement, self._all_rows, count=len, again=again)
        if self._deadline is not None:
            self._refuse_late(query)
        try:
            cursor = self._cursor
            cursor.execute(sql, values)
            rows: Sequence[Row] = cursor.fetchall()
        except BaseException as error:
            self._recover(error, query, again=again)
            return self.fetch(query, sql, values)
        return rows

    def write(self, query: Query, sql: str, values: tuple[Any, ...]) -> int:
        """Send a statement that writes; return the number of matched rows."""
        return self._run(Statement(query, sql, values), lambda: int(self._cursor.rowcount))

    def insert(self, query: Query, sql: str, values: tuple[Any, ...]) -> int:
        """Insert a row; return the key that the database made for it, 0 where it made none."""
        return self._run(Statement(query, sql, values), self._new_key, count=_one_if_made)

    def write_many(self, query: Query, sql: str, rows: Sequence[tuple[Any, ...]]) -> int:
        """Insert many rows; return their number."""

        def send() -> None:
            self._backend.write_many(self._cursor, query, sql, rows)

        return self._run(Statement(query, sql), lambda: len(rows), send=send)

    def copy(self, query: Query, sql: str, rows: Sequence[tuple[Any, ...]]) -> int:
        """Insert many rows by PostgreSQL's COPY; return their number."""
        # COPY does not go into a pipeline, but one message can hold BEGIN and COPY.
        deferred, self._deferred = self._deferred, []
        for one in deferred:
            if self._observer is not None:
                self._observer.end(self._observer.begin(one.sql), 0)
        whole = "; ".join([*(one.sql for one in deferred), sql])

        def send() -> None:
            self._backend.copy(self._cursor.connection, whole, rows)

        began = bool(deferred)
        return self._run(Statement(query, sql), lambda: len(rows), send=send, again=began)

    def command(self, sql: str, *, again: bool = False) -> None:
        """Send a statement that frames a transaction, such as ``BEGIN``."""
        self._run(Statement(sql, sql), _no_rows, again=again)

    def commit(self) -> None:
        """Commit the transaction.

        Raises:
            CommitInDoubtError: a server was reached, and its answer was lost: it may have
                committed. SQLite answers within the process, so it never leaves that open.
            ConnectionError: the time was over before, so nothing was committed.
        """
        self._refuse_late("COMMIT")
        try:
            self.command("COMMIT")
            if self._queue is not None:
                self._leave_queue()
        except ConnectionError as error:
            refused = self._backend.refuses_to_write(error.__cause__)
            if refused or not self._backend.leaves_answers:
                raise
            raise CommitInDoubtError(
                "the connection to the database broke during COMMIT, so its answer is lost",
                "COMMIT",
                "check whether the rows are there before you run the unit of work again",
            ) from error

    def roll_back(self) -> None:
        """Roll back the transaction, if one is open."""
        self._deferred.clear()
        if self._is_unusable:
            self._drop()  # the server rolls back what a closed connection began
        elif self.pooled.is_valid and self._backend.in_transaction(self.pooled.driver_connection):
            # By the driver's own means, which know what becomes of its prepared statements.
            self._run(Statement("ROLLBACK", "ROLLBACK"), _no_rows, send=self.pooled.rollback)
        self._leave_queue()

    def abandon(self) -> None:
        """Roll back for a thread that ended; its unit of work cannot be used any more."""
        self._queue = None
        self._drop()

    def __del__(self) -> None:
        # A unit of work that nobody left, because its thread died: the pool rolls back. An
        # interrupt may have come before the first attribute was there.
        if getattr(self, "_queue", None) is not None:
            self._leave_queue()

    def _leave_queue(self) -> None:
        queue, self._queue = self._queue, None
        if queue is not None:
            queue.leave()

    def _all_rows(self) -> Sequence[Row]:
        rows: Sequence[Row] = self._cursor.fetchall()
        return rows

    def _new_key(self) -> int:
        if self._cursor.description:
            row = self._cursor.fetchone()
            return int(row[0]) if row else 0
        return int(self._cursor.lastrowid)

    def _execute(self, statement: Statement) -> None:
        if statement.values is None:
            self._cursor.execute(statement.sql)
        else:
            self._cursor.execute(statement.sql, statement.values)

    def _run(
        self,
        statement: Statement,
        result: Callable[[], T],
        *,
        count: Callable[[T], int] = int,  # type: ignore[assignment]  # most answers are the number
        send: Callable[[], object] | None = None,
        again: bool = False,
    ) -> T:
        """Send a statement, after the deferred ones, and report it.

        ``result`` reads its answer, in which ``count`` finds the number of rows. ``send`` hands it
        to the driver in another way than by its cursor.
        """
        if self._deadline is not None and not statement.is_command:
            self._refuse_late(statement.what)
        deferred, self._deferred = self._deferred, []
        statements, observer = [*deferred, statement], self._observer
        sent = [] if observer is None else [observer.begin(one.sql) for one in statements]
        send_last = send or partial(self._execute, statement)
        try:
            if deferred:
                send_together(self._backend, self._cursor.connection, deferred, send_last)
            else:
                send_last()
            answer = result()
        except BaseException as error:
            if observer is not None:
                report(observer, sent, statements, error)
            # Nothing was committed where the transaction was to begin with it.
            begins = bool(deferred) and deferred[0].is_command
            self._recover(error, self._refused(error, statements), again=again or begins)
        else:
            if observer is not None:
                statement.matched = count(answer)
                report(observer, sent, statements)
            return answer
        self._deferred = deferred
        return self._run(statement, result, count=count, send=send)

    def _refused(self, error: BaseException, statements: list[Statement]) -> Query | str:
        """Return which of the statements that went out together an error is about."""
        if isinstance(error, self._errors) and self._backend.is_timeout(error):
            # A query takes the server's time, and not the BEGIN in the same message.
            candidates = (one for one in statements if not one.is_command)
        else:
            candidates = (one for one in statements if not one.is_answered)
        return next(candidates, statements[-1]).what

    def _recover(self, error: BaseException, what: Query | str, *, again: bool) -> None:
        """Return only where the statement may be sent again, over a new connection."""
        if not isinstance(error, self._errors):
            # An interrupt, say: the answer may still be on its way.
            self._is_unusable = self._backend.leaves_answers
            raise error
        where = place_of(what)
        if self._backend.is_timeout(error):
            # Not sent again, not even a read: it would wait as long once more.
            if self._backend.leaves_answers:
                self._is_unusable = True
                self._pool.discard()
            raise ConnectionError(
                "the database did not answer in time",
                where,
                "check the server and the network, or raise the timeout",
            ) from error
        if again and self._is_replaced(error):
            return
        # No local name for it: the error would hold this frame, and so the cursor and its locks.
        raise self._fault(error, where) from error

    def _fault(self, error: Exception, where: str) -> DatabaseError:
        fault = self._pool.fault(error, where)
        self._is_unusable |= isinstance(fault, ConnectionError)
        return fault

    def _is_replaced(self, error: Exception) -> bool:
        """Take another connection if the driver's error means that this one is dead."""
        if not isinstance(error, self._backend.driver_error):
            return False
        # One that is not valid died before, and no other could be made.
        dialect: Any = self._pool.engine.dialect
        if self.pooled.is_valid and not dialect.is_disconnect(error, self.pooled, self._cursor):
            return False
        self._drop()
        self._pool.discard()
        self._take()
        return True

    def _drop(self) -> None:
        self._is_unusable = True
        # It is gone already where no other could be made in its place.
        if self.pooled.is_valid:
            self.pooled.invalidate()


def _no_rows() -> int:
    return 0


def _one_if_made(key: int) -> int:
    return int(bool(key))
