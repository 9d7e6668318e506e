"""One connection of the pool, and the one place where statements go out."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final, TypeVar

from sqlalchemy.pool import PoolProxiedConnection

from cardlink_sql.database.driver_errors import translate
from cardlink_sql.database.pool import Pool
from cardlink_sql.database.rows import Row
from cardlink_sql.errors import CommitInDoubtError, ConnectionError, DatabaseError
from cardlink_sql.queries import Query

T = TypeVar("T")


class Connection:
    """Sends statements to the driver's own cursor.

    It reports each statement to the observers, turns what the driver raises into the layer's
    errors, and replaces a connection that died in the pool where a statement may be sent again.

    Args:
        pool: where the connection is taken from, and returned to by :meth:`close`.

    Attributes:
        pooled: the connection as the pool hands it out.

    Raises:
        ConnectionError: none is free, or the database does not answer.
    """

    __slots__ = ("_backend", "_cursor", "_errors", "_is_unusable", "_observer", "_pool", "pooled")

    def __init__(self, pool: Pool) -> None:
        self._pool: Final = pool
        self.pooled: PoolProxiedConnection = pool.take()
        self._cursor: Any = self.pooled.cursor()
        self._backend: Final = pool.backend
        self._errors: Final = pool.backend.driver_errors
        self._observer = pool.statements if pool.statements.is_observed else None
        self._is_unusable = False

    def close(self, *, roll_back: bool) -> None:
        """Return the connection to the pool; one that is broken is closed instead."""
        try:
            if roll_back and not self._is_unusable:
                self.roll_back()
        except DatabaseError:
            self._is_unusable = True
        finally:
            if self._is_unusable:
                self.pooled.invalidate()
            self.pooled.close()

    def fetch(
        self, query: Query, sql: str, values: tuple[Any, ...], *, again: bool = False
    ) -> Sequence[Row]:
        """Return all rows of a statement.

        Args:
            query: the query that the statement belongs to.
            sql: the statement.
            values: its parameters.
            again: send it once more where the connection turns out to be dead.
        """
        if self._observer is not None:
            return self._run(query, sql, lambda: self._all_rows(sql, values), len, again=again)
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
        return self._run(query, sql, lambda: self._row_count(sql, values), int)

    def insert(self, query: Query, sql: str, values: tuple[Any, ...]) -> int:
        """Insert a row; return the key that the database made for it, 0 where it made none."""
        return self._run(query, sql, lambda: self._new_key(sql, values), bool)

    def write_many(self, query: Query, sql: str, rows: Sequence[tuple[Any, ...]]) -> int:
        """Insert many rows; return their number."""
        self._run(
            query,
            sql,
            lambda: self._backend.write_many(self._cursor, query, sql, rows),
            lambda _none: len(rows),
        )
        return len(rows)

    def copy(self, query: Query, sql: str, rows: Iterable[tuple[Any, ...]]) -> int:
        """Insert many rows by PostgreSQL's COPY; return their number."""
        return self._run(query, sql, lambda: self._copied(sql, rows), int)

    def command(self, sql: str, *, again: bool = False) -> None:
        """Send a statement that frames a transaction, such as ``BEGIN``.

        Args:
            sql: the statement.
            again: send it once more where the connection turns out to be dead.
        """
        self._run(sql, sql, lambda: self._cursor.execute(sql), lambda _none: 0, again=again)

    def commit(self) -> None:
        """Commit the transaction.

        Raises:
            CommitInDoubtError: a server was reached, and its answer was lost: it may have
                committed. SQLite answers within the process, so it never leaves that open.
        """
        try:
            self.command("COMMIT")
        except ConnectionError as error:
            if not self._backend.leaves_answers:
                raise
            raise CommitInDoubtError(
                "the connection to the database broke during COMMIT, so its answer is lost",
                "COMMIT",
                "check whether the rows are there before you run the unit of work again",
            ) from error

    def roll_back(self) -> None:
        """Roll back the transaction, if one is open."""
        if self._backend.in_transaction(self.pooled.driver_connection):
            # By the driver's own means, which know what becomes of its prepared statements.
            self._run("ROLLBACK", "ROLLBACK", self.pooled.rollback, lambda _none: 0)

    def _all_rows(self, sql: str, values: tuple[Any, ...]) -> Sequence[Row]:
        self._cursor.execute(sql, values)
        rows: Sequence[Row] = self._cursor.fetchall()
        return rows

    def _row_count(self, sql: str, values: tuple[Any, ...]) -> int:
        self._cursor.execute(sql, values)
        return int(self._cursor.rowcount)

    def _new_key(self, sql: str, values: tuple[Any, ...]) -> int:
        self._cursor.execute(sql, values)
        if self._cursor.description:
            row = self._cursor.fetchone()
            return int(row[0]) if row else 0
        return int(self._cursor.lastrowid)

    def _copied(self, sql: str, rows: Iterable[tuple[Any, ...]]) -> int:
        with self._cursor.copy(sql) as copy:
            write_row = copy.write_row
            for row in rows:
                write_row(row)
        return int(self._cursor.rowcount)

    def _run(
        self,
        what: Query | str,
        sql: str,
        send: Callable[[], T],
        count: Callable[[T], int],
        *,
        again: bool = False,
    ) -> T:
        """Send a statement and report it.

        Args:
            what: the query, or the statement where it belongs to none.
            sql: the statement.
            send: hands it to the driver and returns what came of it.
            count: returns the number of rows in that.
            again: send it once more where the connection turns out to be dead.
        """
        observer = self._observer
        sent = None if observer is None else observer.begin(sql)
        try:
            result = send()
        except BaseException as error:
            if observer is not None and sent is not None:
                observer.end(sent, 0, error)
            self._recover(error, what, again=again)
            return self._run(what, sql, send, count)
        if observer is not None and sent is not None:
            observer.end(sent, count(result))
        return result

    def _recover(self, error: BaseException, what: Query | str, *, again: bool) -> None:
        """Return only where the statement may be sent again, over a new connection."""
        if not isinstance(error, self._errors):
            # An interrupt, say: the answer may still be on its way.
            self._is_unusable = self._backend.leaves_answers
            raise error
        if again and self._is_replaced(error):
            return
        where = what if isinstance(what, str) else f"{what.where} {what.title}"
        raise translate(self._backend.dialect, error, where) from error

    def _is_replaced(self, error: Exception) -> bool:
        """Take another connection if the error means that this one is dead."""
        if not self._pool.is_disconnect(error, self.pooled, self._cursor):
            return False
        self.pooled.invalidate()
        self._pool.discard()
        self.pooled = self._pool.take()
        self._cursor = self.pooled.cursor()
        return True
