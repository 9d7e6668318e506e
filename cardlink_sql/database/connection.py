"""One connection of the pool, and the one place where statements go out."""

from collections.abc import Sequence
from time import monotonic
from typing import Any, Final, TypeVar
from weakref import ref

from sqlalchemy.pool import PoolProxiedConnection

from cardlink_sql.database.backend import LOCK_TIMEOUT_MS
from cardlink_sql.database.faults import Fault, error_for
from cardlink_sql.database.observation import Sent
from cardlink_sql.database.pipeline import Call, DeferredStatement, place_of, report, send_together
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
        self._deferred: list[DeferredStatement] = []
        self._take()

    def _take(self) -> None:
        self.pooled: PoolProxiedConnection = self._pool.take(self._deadline)
        self._cursor: Any = self.pooled.cursor()
        self._is_unusable = False
        self._limit()

    def _limit(self) -> None:
        if self._deadline is not None:
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
            elif self._deadline is not None and self.pooled.is_valid:
                self._backend.limit(self.pooled.driver_connection, None)
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
            self._deferred.append(DeferredStatement(begin, begin, None))
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

    def defer(self, query: Query, sql: str, values: tuple[Any, ...]) -> DeferredStatement:
        """Send a statement that writes together with the next one, which a pipeline can."""
        deferred = DeferredStatement(query, sql, values)
        self._deferred.append(deferred)
        return deferred

    def fetch(
        self, query: Query, sql: str, values: tuple[Any, ...], *, again: bool = False
    ) -> Sequence[Row]:
        """Return all rows; ``again`` sends it once more where the connection is found dead."""
        if self._observer is not None or self._deferred:
            call = Call(query, sql, lambda: self._cursor.execute(sql, values), self._all_rows, len)
            return self._run(call, again=again)
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
        call = Call(
            query,
            sql,
            lambda: self._cursor.execute(sql, values),
            lambda: int(self._cursor.rowcount),
        )
        return self._run(call)

    def insert(self, query: Query, sql: str, values: tuple[Any, ...]) -> int:
        """Insert a row; return the key that the database made for it, 0 where it made none."""
        call = Call(
            query, sql, lambda: self._cursor.execute(sql, values), self._new_key, _one_if_made
        )
        return self._run(call)

    def write_many(self, query: Query, sql: str, rows: Sequence[tuple[Any, ...]]) -> int:
        """Insert many rows; return their number."""

        def send() -> None:
            self._backend.write_many(self._cursor, query, sql, rows)

        return self._run(Call(query, sql, send, lambda: len(rows)))

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

        return self._run(Call(query, sql, send, lambda: len(rows)), again=bool(deferred))

    def command(self, sql: str, *, again: bool = False) -> None:
        """Send a statement that frames a transaction, such as ``BEGIN``."""
        self._run(Call(sql, sql, lambda: self._cursor.execute(sql), _no_rows), again=again)

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
            if not self._pool.leaves_doubt(error):
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
            self._run(Call("ROLLBACK", "ROLLBACK", self.pooled.rollback, _no_rows))
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

    def _run(self, call: Call[T], *, again: bool = False) -> T:
        """Send a statement, after the deferred ones, and report it."""
        if self._deadline is not None and not isinstance(call.what, str):
            self._refuse_late(call.what)
        deferred, self._deferred = self._deferred, []
        observer = self._observer
        sent: list[Sent] = []
        if observer is not None:
            sent = [observer.begin(sql) for sql in (*(one.sql for one in deferred), call.sql)]
        try:
            if deferred:
                send_together(self._backend, self._cursor.connection, deferred, call.send)
            else:
                call.send()
            answer = call.result()
        except BaseException as error:
            if observer is not None:
                report(observer, sent, deferred, 0, error)
            refused = self._refused(error, call, deferred)
            # Nothing was committed where the transaction was to begin with it.
            begins = bool(deferred) and deferred[0].is_command
            self._recover(error, refused, again=again or begins)
        else:
            if observer is not None:
                report(observer, sent, deferred, call.count(answer))
            return answer
        self._deferred = deferred
        return self._run(call)

    def _refused(
        self, error: BaseException, call: Call[T], deferred: list[DeferredStatement]
    ) -> Query | str:
        """Return which of the statements that went out together an error is about."""
        if isinstance(error, self._errors) and self._backend.is_timeout(error):
            # A query takes the server's time, and not the BEGIN in the same message.
            candidates = [one for one in deferred if not one.is_command]
        else:
            candidates = [one for one in deferred if not one.is_answered]
        return candidates[0].what if candidates else call.what

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
        raise self._fault(error, where) from error

    def _fault(self, error: Exception, where: str) -> DatabaseError:
        fault = self._pool.fault(error, where)
        self._is_unusable |= isinstance(fault, ConnectionError)
        return fault

    def _is_replaced(self, error: Exception) -> bool:
        """Take another connection if the error means that this one is dead."""
        if not self._pool.is_disconnect(error, self.pooled, self._cursor):
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
