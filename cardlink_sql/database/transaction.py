"""Runs queries inside one transaction, on the thread that opened it."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from threading import current_thread
from typing import Any, Final, Protocol, TypeVar

from cardlink_sql.database.connection import Connection
from cardlink_sql.database.event_bus import DatabaseEvent, EventType, PendingEvents
from cardlink_sql.database.owner import refusal, this_thread
from cardlink_sql.database.pool import Pool
from cardlink_sql.errors import DatabaseError, IntegrityError, QueryError
from cardlink_sql.queries import Query, Row

T = TypeVar("T")


class Hooks(Protocol):
    """Hooks at the two ends of a transaction that writes."""

    def before_begin(self, connection: Connection) -> None:
        """Run before ``BEGIN``, over the same connection."""

    def before_commit(self, transaction: "Transaction", events: Sequence[DatabaseEvent]) -> None:
        """Run before ``COMMIT``, with what the transaction wrote; may write too."""


class BufferedWrites(Protocol):
    """Writes that a gateway holds back to send them together."""

    def flush(self) -> int:
        """Send them; return their number."""

    def discard(self) -> None:
        """Forget them."""


class Transaction:
    """A connection of the pool for the time of one unit of work.

    Args:
        pool: where the connection comes from.
        hooks: called before ``BEGIN`` and ``COMMIT``.
        read_only: no transaction, and no query that writes. Each statement sees what was
            committed before it, and one that meets a dead connection is sent once more.
        snapshot: read-only in one transaction, whose statements all see one state.
        timeout: seconds that all of it may take, connecting included.
    """

    def __init__(
        self,
        pool: Pool,
        hooks: Hooks,
        *,
        read_only: bool,
        snapshot: bool = False,
        timeout: float | None = None,
    ) -> None:
        self.backend: Final = pool.backend
        self.dialect: Final = pool.backend.dialect
        self.events: Final = pool.events
        self.read_only: Final = read_only or snapshot
        self._autocommit = read_only and not snapshot
        self._snapshot = snapshot
        self._begins_before_reading = snapshot or pool.backend.begins_before_reading
        self._pool = pool
        self._timeout = timeout
        self._hooks = hooks
        self._connection: Connection | None = None
        self._owner: object = None  # the token of the thread that opened it
        self._owner_name = ""
        self._begun = False
        self._has_written = False
        self._failed: str | None = None
        self._buffered: BufferedWrites | None = None
        self._pending_events: PendingEvents | None = None

    @property
    def is_open(self) -> bool:
        """Return whether the transaction has a connection."""
        return self._connection is not None

    @property
    def has_uncommitted_writes(self) -> bool:
        """Return whether a commit would keep anything, a buffered statement included."""
        return self._has_written or self._buffered is not None

    def open(self) -> None:
        """Take a connection from the pool, for this thread."""
        self._connection = Connection(self._pool, self._timeout)
        self._owner = this_thread.token
        self._owner_name = current_thread().name
        self._begun = self._autocommit
        self._has_written = False
        self._failed = None
        self._pending_events = None

    def close(self) -> None:
        """Roll back an open transaction and return the connection to the pool."""
        if self._connection is None:
            return
        self.check_owner()
        self._discard_buffered()
        connection, self._connection = self._connection, None
        self._owner = None
        connection.close(roll_back=self._begun and not self._autocommit)

    def __enter__(self) -> "Transaction":
        self.open()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def one(self, query: Query, parameters: Mapping[str, Any]) -> Row | None:
        """Return the only row, or ``None`` where there is none; refuse two rows or more."""
        rows = self._fetch(query, parameters, None)
        if not rows:
            return None
        if len(rows) > 1:
            raise query.fault(
                "is declared to return one row, got more", "declare it :many, or bind its key"
            )
        return rows[0]

    def many(
        self, query: Query, parameters: Mapping[str, Any], order: str | None = None
    ) -> Sequence[Row]:
        """Return all rows."""
        return self._fetch(query, parameters, order)

    def scalar(self, query: Query, parameters: Mapping[str, Any]) -> Any:
        """Return the only value; refuse anything but one row of one column."""
        rows = self._fetch(query, parameters, None)
        if len(rows) != 1 or len(rows[0]) != 1:
            raise query.fault("is declared to return one value and did not")
        return rows[0][0]

    def execute(self, query: Query, parameters: Mapping[str, Any]) -> int:
        """Run a query that writes; return the number of matched rows."""
        return self._write(Connection.write, query, parameters)

    def insert(self, query: Query, parameters: Mapping[str, Any]) -> int:
        """Insert one row; return the key that the database made for it, 0 where it made none."""
        return self._write(Connection.insert, query, parameters)

    def write_and_read(
        self, write: Query, parameters: Mapping[str, Any], read: Query, key: Mapping[str, Any]
    ) -> Row | None:
        """Run a query that writes, then return the row that it wrote; ``None`` if it matched none.

        Args:
            write: the query that writes, of ``parameters``.
            read: a query of at most one row, of ``key``.
        """
        if not self.backend.pipelines:
            return self.one(read, key) if self.execute(write, parameters) else None
        connection = self._ready_to_write(write)
        sent, asked = write.statement(parameters), read.statement(key)

        def send() -> Row | None:
            deferred = connection.defer(write, sent.sql, sent.pick(parameters))
            rows = connection.fetch(read, asked.sql, asked.pick(key))
            return rows[0] if deferred.rows and rows else None

        return self._attempt(write, send, [parameters])

    def batch(self, query: Query, rows: Sequence[tuple[Any, ...]]) -> int:
        """Insert many rows, each a tuple in the order of the query's parameters."""
        connection = self._ready_to_write(query)
        sql = query.statement(dict.fromkeys(query.required)).sql
        return self._attempt(query, lambda: connection.write_many(query, sql, rows), rows)

    def copy(self, query: Query, rows: Sequence[tuple[Any, ...]]) -> int:
        """Insert many rows by PostgreSQL's COPY, each a tuple in the order of its columns."""
        connection = self._ready_to_write(query)
        sql = query.statement({}).sql
        return self._attempt(query, lambda: connection.copy(query, sql, rows), rows)

    def commit(self) -> None:
        """Commit. Later statements belong to another transaction.

        Raises:
            ConflictError: the commit lost against another transaction.
            CommitInDoubtError: the connection broke, so the commit took place or did not.
            QueryError: a statement of this transaction failed before.
        """
        connection = self._check_open()
        self._refuse_failed()
        self._flush_buffered()
        if self._pending_events is not None:
            self._hooks.before_commit(self, self._pending_events.events)
        pending_events, self._pending_events = self._pending_events, None
        if self._begun and not self._autocommit:
            self._begun = False
            try:
                connection.commit()
            except BaseException as error:
                self._fail("COMMIT", error)
                with suppress(DatabaseError):
                    connection.roll_back()
                raise
        self._has_written = False
        if pending_events is not None:
            self.events.fire(pending_events.events)

    def rollback(self) -> None:
        """Undo everything since the last commit."""
        connection = self._check_open()
        self._discard_buffered()
        self._has_written, self._failed, self._pending_events = False, None, None
        if self._begun and not self._autocommit:
            self._begun = False
            try:
                connection.roll_back()
            except DatabaseError as error:
                self.events.fail(error)
                raise

    def savepoint(self, verb: str, name: str) -> None:
        """Send ``SAVEPOINT``, ``RELEASE SAVEPOINT`` or ``ROLLBACK TO SAVEPOINT``."""
        self._refuse_read_only()
        connection = self._check_open()
        if verb.startswith("ROLLBACK"):
            self._discard_buffered()
            self._failed = None
        self._refuse_failed()
        self._flush_buffered()
        self.begin()
        try:
            connection.command(f"{verb} {name}")
        except BaseException as error:
            self._fail(verb, error)
            raise

    @property
    def pending_events(self) -> PendingEvents:
        """Return the events that the commit will fire; a rollback forgets them."""
        if self._pending_events is None:
            self._pending_events = PendingEvents()
        return self._pending_events

    def note(
        self, event_type: EventType, entity: str, key: str | None, action: str, /, **data: Any
    ) -> None:
        """Note what was written, as an event for the commit, where anybody waits for its type."""
        if event_type in self.events.wanted:
            self.pending_events.add(DatabaseEvent(event_type, entity, key, action, data=data))

    def buffer(self, writes: BufferedWrites) -> None:
        """Flush ``writes`` before the next statement or commit, so that order is kept."""
        self._check_open()
        self._refuse_read_only()
        self._refuse_failed()
        self._buffered = writes

    def check_owner(self) -> None:
        """Refuse a thread other than the one that opened the transaction, or one that is closed."""
        if this_thread.token is not self._owner:
            raise refusal(self._owner, self._owner_name)

    def _fetch(
        self, query: Query, parameters: Mapping[str, Any], order: str | None
    ) -> Sequence[Row]:
        statement = query.plain
        if statement is None or len(parameters) != len(statement.keys) or order is not None:
            statement = query.statement(parameters, order)
        try:
            values = statement.pick(parameters)
        except KeyError:  # the right number, and one is misnamed
            raise query.wrong_parameters(parameters) from None
        if this_thread.token is not self._owner or (connection := self._connection) is None:
            raise refusal(self._owner, self._owner_name)
        if self._failed is not None:
            self._refuse_failed()
        if self._buffered is not None:
            self._flush_buffered()
        if not self._begun and self._begins_before_reading:
            self.begin()
        try:
            return connection.fetch(
                query, statement.sql, values, again=self._autocommit or not self._begun
            )
        except BaseException as error:
            self._fail(query.title, error)
            raise

    def _write(self, send: Callable[..., int], query: Query, values: Mapping[str, Any]) -> int:
        connection = self._ready_to_write(query)
        statement = query.statement(values)
        sql, bound = statement.sql, statement.pick(values)
        return self._attempt(query, lambda: send(connection, query, sql, bound), [values])

    def _attempt(self, query: Query, write: Callable[[], T], rows: Sequence[Any]) -> T:
        self.begin()
        try:
            return write()
        except IntegrityError as error:
            # The driver's own text may quote the row, and a key in it. No local name for the error:
            # it would hold this frame, and so the cursor and its locks.
            raise self._named(error, query, rows) from None
        except BaseException as error:
            self._fail(query.title, error)
            raise

    def _named(self, error: IntegrityError, query: Query, rows: Sequence[Any]) -> IntegrityError:
        # Few processes need it.
        from cardlink_sql.database.integrity_details import with_column_and_value

        driver = self._check_open().pooled.driver_connection
        named = with_column_and_value(error, self.backend, driver, query, rows)
        self._fail(query.title, named)
        return named

    def begin(self) -> None:
        """Begin unless it has begun; a connection that died in the pool is replaced, once."""
        if self._begun:
            return
        connection = self._check_open()
        try:
            if not self.read_only:
                self._hooks.before_begin(connection)
            begin = connection.begin_snapshot if self._snapshot else connection.begin
            begin()
        except BaseException as error:
            # The buffered writes are gone, so nothing may be committed later.
            self._fail("BEGIN", error)
            raise
        self._begun = True

    def _fail(self, title: str, error: BaseException) -> None:
        """Report an error, and let nothing follow it but a rollback."""
        self._failed = title
        if isinstance(error, DatabaseError):
            if self._autocommit:  # a read undoes nothing: the next one may go well
                self._failed = None
            self.events.fail(error)

    def _ready_to_write(self, query: Query) -> Connection:
        connection = self._check_open()
        if self.read_only:
            raise query.fault(
                "writes, and the unit of work is read-only", "open one without read_only"
            )
        self._refuse_failed()
        self._flush_buffered()
        self._has_written = True
        return connection

    def _flush_buffered(self) -> None:
        buffered, self._buffered = self._buffered, None
        if buffered is not None:
            buffered.flush()

    def _discard_buffered(self) -> None:
        buffered, self._buffered = self._buffered, None
        if buffered is not None:
            buffered.discard()

    def _refuse_failed(self) -> None:
        # PostgreSQL would refuse every further statement; the others would commit the rest.
        if self._failed:
            raise QueryError(
                f"{self._failed} failed earlier in this unit of work",
                remedy="roll back, or try what may fail inside uow.savepoint()",
            )

    def _refuse_read_only(self) -> None:
        if self.read_only:
            raise QueryError("the unit of work is read-only", remedy="open one without read_only")

    def _check_open(self) -> Connection:
        if this_thread.token is not self._owner or self._connection is None:
            raise refusal(self._owner, self._owner_name)
        return self._connection
