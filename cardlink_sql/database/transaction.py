"""Sends queries over one pooled connection, inside one transaction.

The statement goes to the driver's own cursor; what SQLAlchemy would do for it was done when
the query was loaded. Every error that leaves here is the project's own.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import chain
from threading import current_thread, get_ident
from time import monotonic
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, NoReturn, Protocol, TypeVar

from sqlalchemy.pool import PoolProxiedConnection

from cardlink_sql.database.driver_errors import translate, translate_commit
from cardlink_sql.database.engine import in_transaction
from cardlink_sql.database.event_bus import PendingEvents
from cardlink_sql.database.rows import Row
from cardlink_sql.dialect import Dialect
from cardlink_sql.errors import DatabaseError, QueryError
from cardlink_sql.queries import Query, Statement

if TYPE_CHECKING:
    from cardlink_sql.manager import DatabaseManager

T = TypeVar("T")

_BEGIN: Final = {
    # IMMEDIATE takes the write lock at once: a transaction that reads first and writes later
    # could otherwise fail at its first write, after its work.
    Dialect.SQLITE: "BEGIN IMMEDIATE",
    Dialect.MYSQL: "BEGIN",
    Dialect.POSTGRESQL: "BEGIN",
}

# One state of all tables for as long as the transaction lasts; no writer is held up by it.
_SNAPSHOT: Final = {
    Dialect.SQLITE: ("BEGIN DEFERRED",),
    # Under READ COMMITTED, which the sessions have, MySQL would take no snapshot.
    Dialect.MYSQL: (
        "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ",
        "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY",
    ),
    Dialect.POSTGRESQL: ("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",),
}

# Rows in one VALUES on SQLite: more gain little, and an SQLite before 3.32 takes 999 parameters.
_BATCH_ROWS: Final = 100

_OUTSIDE: Final = "a unit of work is used inside its with block"


class Pending(Protocol):
    """Writes that a gateway holds back to send them together."""

    def flush(self) -> int:
        """Send them; gives their number."""

    def discard(self) -> None:
        """Forget them."""


class Transaction:
    """A connection of the pool for the time of one unit of work.

    Args:
        manager: where the connection comes from.
        read_only: no transaction, and no query that writes. Each statement sees what was
            committed before it, and one that meets a dead connection is sent once more.
        snapshot: for reading only, too, but in one transaction: all statements see the state
            that the first of them saw.
    """

    __slots__ = (
        "_autocommit",
        "_begun",
        "_connection",
        "_cursor",
        "_errors",
        "_failed",
        "_manager",
        "_owner",
        "_owner_name",
        "_pending",
        "_pending_events",
        "_snapshot",
        "_spoiled",
        "dialect",
        "events",
        "read_only",
    )  # fmt: skip

    def __init__(
        self, manager: "DatabaseManager", *, read_only: bool, snapshot: bool = False
    ) -> None:
        self.dialect: Final = manager.dialect
        self.read_only: Final = read_only or snapshot
        self._autocommit = read_only and not snapshot
        self._snapshot = snapshot
        self._manager = manager
        self._errors = manager.driver_errors
        self._connection: PoolProxiedConnection | None = None
        self._cursor: Any = None
        # The ident of the thread that opened it; 0, which no thread has, while it is closed.
        self._owner = 0
        self._owner_name = ""
        self._begun = False
        self._failed: str | None = None
        self._spoiled = False
        self._pending: Pending | None = None
        self.events: Final = manager.events
        self._pending_events: PendingEvents | None = None

    @property
    def is_open(self) -> bool:
        """Whether the transaction has a connection."""
        return self._connection is not None

    def open(self) -> None:
        """Take a connection from the pool.

        Raises:
            ConnectionError: none is free, or the database does not answer.
        """
        self._connection = self._manager.take_connection()
        self._cursor = self._manager.cursor(self._connection)
        self._owner = get_ident()
        self._owner_name = current_thread().name
        self._begun = self._autocommit
        self._failed = None
        self._spoiled = False
        self._pending_events = None

    def close(self) -> None:
        """Roll back an open transaction and return the connection to the pool.

        Raises:
            QueryError: another thread opened the transaction.
        """
        if self._connection is None:
            return
        self.check_owner()
        self._discard_pending()
        connection, self._connection, self._cursor = self._connection, None, None
        self._owner = 0
        try:
            if self._spoiled:
                connection.invalidate()
            elif self._begun and not self._autocommit:
                self._roll_back(connection)
        except self._errors:
            connection.invalidate()
        connection.close()

    def __enter__(self) -> "Transaction":
        self.open()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def one(self, query: Query, parameters: Mapping[str, Any]) -> Row | None:
        """The only row, or ``None`` where there is none.

        Raises:
            QueryError: there are two rows or more.
        """
        rows = self._fetch(query, parameters, None)
        if not rows:
            return None
        if len(rows) > 1:
            raise query.fault(
                "is declared to give one row and gave more", "declare it :many, or bind its key"
            )
        return rows[0]

    def many(
        self, query: Query, parameters: Mapping[str, Any], order: str | None = None
    ) -> Sequence[Row]:
        """All rows."""
        return self._fetch(query, parameters, order)

    def scalar(self, query: Query, parameters: Mapping[str, Any]) -> Any:
        """The only value.

        Raises:
            QueryError: there is not exactly one row of one column.
        """
        rows = self._fetch(query, parameters, None)
        if len(rows) != 1 or len(rows[0]) != 1:
            raise query.fault("is declared to give one value and did not")
        return rows[0][0]

    def execute(self, query: Query, parameters: Mapping[str, Any]) -> int:
        """Run a query that writes; gives the number of rows that it found."""
        self._ready_to_write(query)
        statement = self._statement(query, parameters, None)
        self._send(query, statement.sql, statement.pick(parameters))
        return int(self._cursor.rowcount)

    def insert(self, query: Query, parameters: Mapping[str, Any]) -> int:
        """Insert one row; gives the key that the database made for it, 0 where it made none."""
        self._ready_to_write(query)
        statement = self._statement(query, parameters, None)
        self._send(query, statement.sql, statement.pick(parameters))
        if self._cursor.description:
            row = self._cursor.fetchone()
            return int(row[0]) if row else 0
        return int(self._cursor.lastrowid)

    def batch(self, query: Query, rows: Sequence[tuple[Any, ...]]) -> int:
        """Insert many rows, each a tuple in the order of the query's parameters."""
        self._ready_to_write(query)
        statement = self._statement(query, dict.fromkeys(query.required), None)
        if self.dialect is Dialect.SQLITE:
            self._attempt(query, lambda: self._write_in_chunks(query, statement.sql, rows))
        else:
            self._attempt(query, lambda: self._cursor.executemany(statement.sql, rows))
        return len(rows)

    def copy(self, query: Query, rows: Iterable[tuple[Any, ...]]) -> int:
        """Insert many rows by PostgreSQL's COPY, each a tuple in the order of its columns."""
        self._ready_to_write(query)
        statement = self._statement(query, {}, None)

        def write() -> None:
            with self._cursor.copy(statement.sql) as copy:
                write_row = copy.write_row
                for row in rows:
                    write_row(row)

        self._attempt(query, write)
        return int(self._cursor.rowcount)

    def commit(self) -> None:
        """Commit. What comes after is a transaction of its own.

        Raises:
            ConflictError: the commit lost against another transaction.
            CommitInDoubtError: the connection broke, so the commit took place or did not.
            QueryError: a statement of this transaction failed before.
        """
        self._check_open()
        self._refuse_failed()
        self._flush_pending()
        if self._pending_events is not None:
            self._manager.publisher.publish(self, self._pending_events.events)
        pending_events, self._pending_events = self._pending_events, None
        if self._begun and not self._autocommit:
            self._begun = False
            try:
                self._cursor.execute("COMMIT")
            except self._errors as error:
                self._failed = "COMMIT"
                self._abandon()
                fault = translate_commit(self.dialect, error)
                self.events.fail(fault)
                raise fault from error
            except BaseException:
                self._spoil("COMMIT")
                raise
        if pending_events is not None:
            self.events.fire(pending_events.events)

    def rollback(self) -> None:
        """Undo everything since the last commit."""
        connection = self._check_open()
        self._discard_pending()
        self._failed = None
        self._pending_events = None
        if self._begun and not self._autocommit:
            self._begun = False
            try:
                self._roll_back(connection)
            except self._errors as error:
                raise self._fault(error, "ROLLBACK") from error

    def savepoint(self, verb: str, name: str) -> None:
        """``SAVEPOINT``, ``RELEASE SAVEPOINT`` or ``ROLLBACK TO SAVEPOINT`` of this name."""
        self._check_open()
        if verb.startswith("ROLLBACK"):
            self._discard_pending()
            self._failed = None
        self._refuse_failed()
        self._flush_pending()
        if not self._begun:
            self._begin()
        try:
            self._cursor.execute(f"{verb} {name}")
        except self._errors as error:
            self._failed = verb
            raise self._fault(error, verb) from error

    @property
    def pending_events(self) -> PendingEvents:
        """The events that the commit will fire; a rollback forgets them."""
        if self._pending_events is None:
            self._pending_events = PendingEvents()
        return self._pending_events

    def _fetch(
        self, query: Query, parameters: Mapping[str, Any], order: str | None
    ) -> Sequence[Row]:
        statement = query.plain
        if statement is None or parameters.keys() != statement.keys or order is not None:
            statement = query.statement(parameters, order)
        if get_ident() != self._owner:
            self._refuse_thread()
        if self._failed is not None:
            self._refuse_failed()
        if self._pending is not None:
            self._flush_pending()
        if not self._begun:
            self._begin()
        try:
            cursor = self._cursor
            cursor.execute(statement.sql, statement.pick(parameters))
            rows: Sequence[Row] = cursor.fetchall()
        except self._errors as error:
            self._recover(query, error)
            return self._fetch_again(query, statement.sql, statement.pick(parameters))
        except BaseException:
            self._check_open()
            self._spoil(query.title)
            raise
        return rows

    def _fetch_again(self, query: Query, sql: str, values: tuple[Any, ...]) -> Sequence[Row]:
        try:
            self._cursor.execute(sql, values)
            rows: Sequence[Row] = self._cursor.fetchall()
        except self._errors as error:
            raise self._fault(error, f"{query.where} {query.title}") from error
        return rows

    def _statement(
        self, query: Query, parameters: Mapping[str, Any], order: str | None
    ) -> Statement:
        statement = query.plain
        if statement is None or parameters.keys() != statement.keys:
            statement = query.statement(parameters, order)
        return statement

    def _send(self, query: Query, sql: str, values: tuple[Any, ...]) -> None:
        self._attempt(query, lambda: self._cursor.execute(sql, values))

    def _write_in_chunks(self, query: Query, sql: str, rows: Sequence[tuple[Any, ...]]) -> None:
        whole = len(rows) - len(rows) % _BATCH_ROWS
        for start in range(0, whole, _BATCH_ROWS):
            chunk = rows[start : start + _BATCH_ROWS]
            self._cursor.execute(query.for_rows(_BATCH_ROWS), list(chain.from_iterable(chunk)))
        if whole < len(rows):
            self._cursor.executemany(sql, rows[whole:])

    def _attempt(self, query: Query, work: Callable[[], Any]) -> None:
        if not self._begun:
            self._begin()
        try:
            work()
        except self._errors as error:
            self._failed = query.title
            raise self._fault(error, f"{query.where} {query.title}") from error
        except BaseException:
            self._spoil(query.title)
            raise

    def _ready_to_write(self, query: Query) -> None:
        self._check_open()
        if self.read_only:
            raise query.fault(
                "writes, and the unit of work is read-only", "open one without read_only"
            )
        self._refuse_failed()
        self._flush_pending()

    def hold(self, pending: Pending) -> None:
        """Flush ``pending`` before the next statement or commit, so that order is kept.

        Raises:
            QueryError: the transaction is closed, read-only or has failed.
        """
        self._check_open()
        if self.read_only:
            raise QueryError("the unit of work is read-only", remedy="open one without read_only")
        self._refuse_failed()
        self._pending = pending

    def _flush_pending(self) -> None:
        pending, self._pending = self._pending, None
        if pending is not None:
            pending.flush()

    def _discard_pending(self) -> None:
        pending, self._pending = self._pending, None
        if pending is not None:
            pending.discard()

    def _refuse_failed(self) -> None:
        # PostgreSQL would refuse every further statement; the others would commit the rest.
        if self._failed:
            raise QueryError(
                f"this unit of work cannot go on: {self._failed} failed in it",
                remedy="roll back, or try what may fail inside uow.savepoint()",
            )

    def check_owner(self) -> None:
        """Refuse a thread other than the one that opened the transaction.

        A driver's connection has one answer under way at a time, so a second thread would read
        the rows of the first.

        Raises:
            QueryError: the transaction is closed, or another thread opened it.
        """
        if get_ident() != self._owner:
            self._refuse_thread()

    def _refuse_thread(self) -> NoReturn:
        if self._connection is None:
            raise QueryError(_OUTSIDE, remedy="write: with UnitOfWork(manager) as uow: …")
        raise QueryError(
            f"thread {current_thread().name!r} used a unit of work"
            f" that thread {self._owner_name!r} opened",
            remedy="open a unit of work in each thread: with UnitOfWork(manager) as uow: …",
        )

    def _check_open(self) -> PoolProxiedConnection:
        if get_ident() != self._owner or self._connection is None:
            self._refuse_thread()
        return self._connection

    def _begin(self) -> None:
        """Open the transaction; a connection that died in the pool is replaced, once."""
        self._check_open()
        publisher = self._manager.publisher
        if monotonic() >= publisher.due and not self.read_only:
            publisher.look(self._cursor)
        # What was buffered is gone if this fails, so that nothing may be committed later on.
        self._failed = "BEGIN"
        try:
            self._send_begin()
        except self._errors as error:
            if not self._replaced(error):
                raise self._fault(error, "BEGIN") from error
            try:
                self._send_begin()
            except self._errors as again:
                raise self._fault(again, "BEGIN") from again
        self._failed = None
        self._begun = True

    def _send_begin(self) -> None:
        for statement in _SNAPSHOT[self.dialect] if self._snapshot else (_BEGIN[self.dialect],):
            self._cursor.execute(statement)

    def _fault(self, error: Exception, where: str) -> DatabaseError:
        fault = translate(self.dialect, error, where)
        self.events.fail(fault)
        return fault

    def _spoil(self, title: str) -> None:
        """After an exception that is not the driver's, such as an interrupt.

        It may have left the answer to a statement unread, which the next one over the same
        connection would take for its own. SQLite has no answer under way.
        """
        self._failed = title
        self._spoiled = self.dialect is not Dialect.SQLITE

    def _recover(self, query: Query, error: Exception) -> None:
        """Return only where the read may be sent again over a new connection."""
        if self._autocommit and self._replaced(error):
            return
        self._failed = None if self._autocommit else query.title
        raise self._fault(error, f"{query.where} {query.title}") from error

    def _replaced(self, error: Exception) -> bool:
        connection = self._check_open()
        if not self._manager.is_disconnect(error, connection, self._cursor):
            return False
        connection.invalidate()
        self._manager.discard_connections()
        self._connection = self._manager.take_connection()
        self._cursor = self._manager.cursor(self._connection)
        return True

    def _abandon(self) -> None:
        """After a commit that failed: nothing of it is kept on this connection."""
        connection = self._check_open()
        with suppress(*self._errors):
            self._roll_back(connection)

    def _roll_back(self, connection: PoolProxiedConnection) -> None:
        if in_transaction(self.dialect, connection.driver_connection):
            # By the driver's own means: it knows what becomes of its prepared statements.
            with self._manager.statements.timed("ROLLBACK"):
                connection.rollback()


class OwnedIterator(Iterator[T]):
    """An iterator that is refused to threads other than the one that opened its transaction.

    The check stands outside the generator, which an exception would end: its owner reads on.

    Args:
        transaction: the connection that the items are read over.
        items: what to hand out.
    """

    __slots__ = ("_items", "_transaction")

    def __init__(self, transaction: Transaction, items: Iterator[T]) -> None:
        self._transaction = transaction
        self._items = items

    def __next__(self) -> T:
        self._transaction.check_owner()
        return next(self._items)
