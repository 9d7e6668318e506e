"""The connections of one manager to its database."""

from contextlib import closing
from pathlib import Path
from threading import Lock
from time import monotonic
from typing import Final

from sqlalchemy import Engine
from sqlalchemy.pool import PoolProxiedConnection

from cardlink_sql.config import DatabaseConfig
from cardlink_sql.database.backend import backend_of
from cardlink_sql.database.connection_errors import connection_error
from cardlink_sql.database.engine import LIMIT, make_engine
from cardlink_sql.database.event_bus import EventBus
from cardlink_sql.database.observation import StatementBus
from cardlink_sql.database.sqlite_file import identity
from cardlink_sql.database.writer_queue import WriterQueue, queue_of
from cardlink_sql.errors import ConnectionError, DatabaseError

# How often a writer looks whether the SQLite file is still there.
_LOOK_EVERY_S: Final = 1.0


class Pool:
    """Hands out connections; the first use makes the engine.

    Attributes:
        backend: what the dialect does in its own way.
        events: notified of errors.
        statements: notified of every statement that a connection sends.
        replica: hands out connections for reading, where there is a replica.
    """

    def __init__(
        self,
        config: DatabaseConfig,
        events: EventBus,
        statements: StatementBus,
        *,
        read_only: bool = False,
    ) -> None:
        self.config: Final = config
        self.read_only: Final = read_only
        self.backend: Final = backend_of(config.dialect)
        self.events: Final = events
        self.statements: Final = statements
        self.replica: Pool | None = None
        self._engine: Engine | None = None
        self._lock = Lock()
        self._queue: WriterQueue | None = None
        self._identity: tuple[int, int] | None = None
        self._next_look = 0.0
        self._file = None if config.file is None or read_only else config.file.absolute()

    @property
    def engine(self) -> Engine:
        """Return the SQLAlchemy engine."""
        engine = self._engine
        return self._make_engine() if engine is None else engine

    def writer_queue(self) -> WriterQueue | None:
        """Return where writers wait for their turn; ``None`` where the database sees to it."""
        if self._file is not None:
            self._check_file(self._file)
            if self._queue is None:
                self._queue = queue_of(self._file)
        return self._queue

    def take(self, deadline: float | None = None) -> PoolProxiedConnection:
        """Take a connection; closing it returns it.

        Args:
            deadline: when waiting for a free one, and connecting, must end by the monotonic
                clock, where that is sooner than configured.

        Raises:
            ConnectionError: none is free in time, or none can be made.
        """
        engine = self.engine
        try:
            before, LIMIT.deadline = LIMIT.deadline, deadline
            try:  # a context manager would take a microsecond
                connection = engine.pool.connect()
            finally:
                LIMIT.deadline = before
        except DatabaseError:
            raise
        except Exception as error:
            fault = connection_error(self.backend, error, self.config.engine_url)
            self.events.fail(fault)
            raise fault from None
        if self._identity is None and self._file is not None:
            self._identity = identity(self._file)
        return connection

    def host_in_use(self) -> str | None:
        """Return the host and port of the last connection, if the URL names several."""
        if not self.config.has_several_hosts:
            return None
        with closing(self.take()) as pooled:
            host, port = self.backend.host_of(pooled.driver_connection)
        return f"{host}:{port}"

    def _check_file(self, file: Path) -> None:
        """Look, once a second at most, whether the SQLite file is still the one connected to."""
        now = monotonic()
        if now < self._next_look:
            return
        if identity(file) != self._identity:
            raise ConnectionError(
                "the database file was deleted or replaced while this process had it open",
                str(file),
                "put the file back, or close the manager to go on with the file that is there now",
            )
        self._next_look = now + _LOOK_EVERY_S

    def fault(self, error: Exception, where: str) -> DatabaseError:
        """Return the layer's error for a driver's.

        With several hosts the idle connections are closed where the server is gone, or became
        read-only: the next connection goes to another host.
        """
        fault = self.backend.translate(error, where)
        if not self.config.has_several_hosts:
            return fault
        if not self.read_only and self.backend.refuses_to_write(error):
            fault = ConnectionError(
                "the server became read-only, so nothing was committed",
                where,
                "run the unit of work again: it connects to another host",
            )
        if isinstance(fault, ConnectionError):
            self.discard()
        return fault

    def discard(self) -> None:
        """Close the idle connections, and those in use when they are returned.

        One died, and the others may have died with it.
        """
        self.engine.pool.discard()  # type: ignore[attr-defined]

    def close(self) -> None:
        """Close the idle connections, and those in use when they are returned.

        A later use opens new ones.
        """
        with self._lock:
            engine, self._engine = self._engine, None
            self._identity, self._next_look = None, 0.0
        if engine is not None:
            engine.dispose()
        if self.replica is not None:
            self.replica.close()

    def after_fork(self) -> None:
        """Leave the connections to the parent process, which goes on using them."""
        self._lock = Lock()
        self._queue = None
        if self._engine is not None:
            self._engine.dispose(close=False)
        if self.replica is not None:
            self.replica.after_fork()

    def _make_engine(self) -> Engine:
        with self._lock:
            if self._engine is None:
                engine = make_engine(self.config, read_only=self.read_only)
                if self.config.echo:
                    self.statements.echo_to(engine.logger.info)
                self._engine = engine
            return self._engine
