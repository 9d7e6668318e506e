"""One SQLAlchemy engine for a database: its pool and the settings of each connection.

Every driver connection is in autocommit, and a transaction is opened with an explicit
``BEGIN``: by the unit of work, or by SQLAlchemy for those who use the engine themselves.
A read then costs one round trip, where a driver's implicit BEGIN and the pool's ROLLBACK
would make it three.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from threading import local
from time import monotonic
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.pool import ConnectionPoolEntry, QueuePool
from sqlalchemy.util.queue import Empty

from cardlink_sql.config import DatabaseConfig
from cardlink_sql.database.backend import Backend, backend_of
from cardlink_sql.database.sqlite_file import open_read_only
from cardlink_sql.errors import ConnectionError

if TYPE_CHECKING:
    from cardlink_sql.database.fork_gate import ForkGate


# With several hosts, so that those who only read leave a primary that became a replica, too.
_LONGEST_LIFE_S: Final = 300


class _Limit(local):
    """The time that the current thread has to get a connection.

    Attributes:
        deadline: by the monotonic clock; ``None`` leaves it to the configuration.
    """

    deadline: float | None = None

    @contextmanager
    def until(self, deadline: float | None) -> Iterator[None]:
        """Set the deadline of this thread for the time of a block."""
        before, self.deadline = self.deadline, deadline
        try:
            yield
        finally:
            self.deadline = before

    def within(self, seconds: float) -> float:
        """Return the deadline that is reached first: the thread's, or in ``seconds``."""
        own = monotonic() + seconds
        return own if self.deadline is None else min(self.deadline, own)


LIMIT: Final = _Limit()
# Of a pooled connection whose answers have a deadline, until it is back in the pool.
LIMITED: Final = "limited"


class LimitedPool(QueuePool):
    """SQLAlchemy's queue, which waits no longer than the thread's limit for a free connection."""

    # The logger's name comes from it: programs set up SQLAlchemy's.
    __module__ = QueuePool.__module__

    # QueuePool reads its timeout from this attribute each time it waits.
    @property
    def _timeout(self) -> float:
        if LIMIT.deadline is None:
            return self._configured
        return min(self._configured, max(0.0, LIMIT.deadline - monotonic()))

    @_timeout.setter
    def _timeout(self, seconds: float) -> None:
        self._configured = seconds

    # SQLite's; the servers' drivers keep nothing in the process that a fork could tear.
    gate: "ForkGate | None" = None

    # Counts the calls of discard(); a connection has the count of the moment it was made.
    generation = 0
    _is_disposed = False

    def discard(self) -> None:
        """Close the idle connections now, and each one in use when it is returned."""
        self.generation += 1
        with suppress(Empty):
            while True:
                self._pool.get(block=False).close()
                self._dec_overflow()

    def dispose(self) -> None:
        """Close every connection, as :meth:`discard` does, and keep none from now on."""
        self._is_disposed = True
        self.discard()

    def _do_get(self) -> ConnectionPoolEntry:
        if self.gate is None:
            return super()._do_get()
        record: ConnectionPoolEntry = self.gate.take(super()._do_get)
        return record

    def _do_return_conn(self, record: ConnectionPoolEntry) -> None:
        try:
            if self._is_disposed or record.generation != self.generation:  # type: ignore[attr-defined]
                record.close()  # and not dropped: a thread may be waiting for its place
            super()._do_return_conn(record)
        finally:
            if self.gate is not None:
                self.gate.give_back(record)

    def recreate(self) -> "LimitedPool":
        """Return a new pool with the configured timeout, whatever limit the thread has."""
        # The new pool reads its timeout from this one.
        made: LimitedPool = super().recreate()  # type: ignore[assignment]
        made._timeout, made.gate = self._configured, self.gate
        return made


def make_engine(config: DatabaseConfig, *, read_only: bool = False) -> Engine:
    """Return an engine for the database; nothing is connected yet.

    Args:
        config: where the database is.
        read_only: an SQLite file is opened so that neither it nor its folder is written; a
            server refuses to write.

    Raises:
        ConnectionError: the driver is not installed.
    """
    backend = backend_of(config.dialect)
    # A database in memory is its connection: there is one, and the units of work take turns.
    sizes = (1, 0) if config.is_memory else (config.pool_size, config.max_overflow)
    options: dict[str, Any] = {}
    if read_only and config.file is not None:
        options["creator"] = partial(open_read_only, config.file)
    # The URL may set each of them itself.
    arguments = backend.connect_arguments(config)
    given = config.engine_url.query
    with _refused_settings(config, backend):
        engine = create_engine(
            config.engine_url,
            poolclass=LimitedPool,
            pool_size=sizes[0],
            max_overflow=sizes[1],
            pool_timeout=config.pool_timeout,
            pool_use_lifo=True,
            pool_recycle=_LONGEST_LIFE_S if config.has_several_hosts else -1,
            pool_reset_on_return=None,
            echo=config.echo,
            hide_parameters=True,
            connect_args={name: arguments[name] for name in arguments if name not in given},
            **options,
        )
    if config.is_sqlite:
        from cardlink_sql.database.fork_gate import GATE

        engine.pool.gate = GATE  # type: ignore[attr-defined]
    _listen(engine, config, backend, read_only=read_only)
    return engine


@contextmanager
def _refused_settings(config: DatabaseConfig, backend: Backend) -> Iterator[None]:
    """Raise ConnectionError for a driver that is missing or refuses an option of the URL."""
    try:
        yield
    except ModuleNotFoundError as error:
        package, wanted = backend.package
        raise ConnectionError(
            f"the driver for {config.dialect} is not installed: {package}",
            remedy=f"run: pip install '{wanted}'",
        ) from error
    except TypeError as error:
        raise ConnectionError(
            "the database URL has an option that the driver does not take",
            config.safe_url,
        ) from error


def _connector(config: DatabaseConfig, backend: Backend) -> Callable[[dict[str, Any]], Any]:
    """Return what connects with the driver's options."""
    if config.has_several_hosts:
        from cardlink_sql.database.hosts import Hosts

        return Hosts(backend, config, LIMIT).connect

    def connect(options: dict[str, Any]) -> Any:
        deadline = LIMIT.within(config.connect_timeout)
        with LIMIT.until(deadline):
            return backend.connect(options, deadline)

    return connect


def _listen(engine: Engine, config: DatabaseConfig, backend: Backend, *, read_only: bool) -> None:
    reach = _connector(config, backend)
    begin_statement = f"BEGIN{backend.read_only_mode}" if read_only else "BEGIN"

    @event.listens_for(engine, "do_connect")
    def connect(_dialect: Any, _record: Any, _arguments: Any, options: dict[str, Any]) -> Any:
        backend.prepare(config, options, read_only=read_only)
        return reach(options)

    # Before SQLAlchemy's own look at the connection: it remembers the sql_mode that it finds.
    @event.listens_for(engine, "connect", insert=True)
    def settle(connection: Any, record: Any) -> None:
        record.generation = engine.pool.generation  # type: ignore[attr-defined]
        backend.settle(connection, config, read_only=read_only)
        backend.limit(connection, None)

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        connection.exec_driver_sql(begin_statement)

    @event.listens_for(engine, "reset")
    def reset(connection: Any, record: Any, _state: Any) -> None:
        try:
            if backend.in_transaction(connection):
                connection.rollback()
            if record is not None and record.info.pop(LIMITED, False):
                backend.limit(connection, None)
        except backend.driver_error:
            if record is not None:
                record.invalidate()
