"""The door to the database: its pool, its health, its events and its schema."""

import os
import time
from collections.abc import Callable
from contextlib import ExitStack, closing
from functools import partial
from threading import Lock
from typing import TYPE_CHECKING, Final, Literal, TypedDict, TypeVar
from weakref import WeakSet

from sqlalchemy import Engine
from sqlalchemy.pool import PoolProxiedConnection

from cardlink_sql.config import DatabaseConfig
from cardlink_sql.database.event_bus import EventBus
from cardlink_sql.database.observation import StatementBus
from cardlink_sql.database.pool import Pool
from cardlink_sql.database.retry import run_again
from cardlink_sql.database.transaction import Transaction
from cardlink_sql.dialect import Dialect
from cardlink_sql.errors import DatabaseError, ValidationError
from cardlink_sql.model import validation
from cardlink_sql.outbox.publisher import Publisher
from cardlink_sql.queries import load_library
from cardlink_sql.unit_of_work import UnitOfWork, run_once

if TYPE_CHECKING:
    from concurrent.futures import ThreadPoolExecutor

    from cardlink_sql.database.keyring import Keyring
    from cardlink_sql.gateways.server import ServerGateway
    from cardlink_sql.model.records.server import TableSize
    from cardlink_sql.outbox.listener import Listener
    from cardlink_sql.schema.migrator import Migrator

T = TypeVar("T")


class Health(TypedDict):
    """The state of the database, ready for JSON.

    ``status`` is ``healthy`` or ``unhealthy``; then ``error`` and ``hint`` say why. A ``hint``
    alone is :meth:`DatabaseManager.encoding_note`. ``latency_ms`` is the time of one round trip,
    connecting not counted; ``host`` is the one in use of several.
    """

    status: Literal["healthy", "unhealthy"]
    backend: str
    url: str
    host: str | None
    server_version: str | None
    latency_ms: float | None
    error: str | None
    hint: str | None


class DatabaseManager:
    """The database, for all threads of a process.

    Args:
        config: where the database is, as a configuration or a URL; without it the environment
            says (see :class:`DatabaseConfig`).
        keyring: the encryption keys; without it ``CARDLINK_ENCRYPTION_KEY`` provides them when a
            PSK is first stored or read.
        read_only: nothing may be written, not even the journal mode of an SQLite file.

    Attributes:
        events: reports to the handlers of this process what was committed through this manager.
        statements: reports to the handlers of this process which statements were sent.
        library: the queries of this dialect.
        pool: hands out the connections.
        publisher: writes events to the outbox, for other processes.

    A process that forks after connecting is safe: the child opens its own connections. On SQLite
    a fork waits up to 2 s until no other thread has a unit of work open. Where one still has, or
    the forking thread itself is writing, the child's use of that database raises an error.
    """

    def __init__(
        self,
        config: DatabaseConfig | str | None = None,
        *,
        keyring: "Keyring | None" = None,
        read_only: bool = False,
    ) -> None:
        if config is None:
            config = DatabaseConfig()
        elif isinstance(config, str):
            config = DatabaseConfig(config)
        if not isinstance(config, DatabaseConfig):
            raise ValidationError(
                f"expected a DatabaseConfig or a URL, got {type(config).__name__}",
                "config",
                "write DatabaseManager(DatabaseConfig(url))",
            )
        self.config: Final = config
        self.read_only = read_only
        self._keyring = keyring
        self._lock = Lock()
        # No cached_property: its lock could be held by another thread when the process forks.
        self.library: Final = load_library(self.dialect)
        self._threads: ThreadPoolExecutor | None = None
        self.events: Final = EventBus()
        self.statements: Final = StatementBus(self.dialect, self.config.slow_query_ms)
        self.pool: Final = Pool(self.config, self.events, self.statements, read_only=read_only)
        if config.replica is not None:
            from cardlink_sql.database.replica import ReplicaPool

            self.pool.replica = ReplicaPool(config.replica, self.pool)
        self.publisher: Final = Publisher(self.pool)
        self._listeners: WeakSet[Listener] = WeakSet()
        # Whether a unit of work has warned that it holds up an event loop; once is enough.
        self._warned_of_loop = False
        _MANAGERS.add(self)

    @property
    def dialect(self) -> Dialect:
        """Return the dialect that the configuration names."""
        return self.config.dialect

    def initialize(self) -> None:
        """Make the engine. Done by the first use; again, it does nothing.

        Raises:
            ConnectionError: the driver is missing.
        """
        self.pool.engine  # noqa: B018 - makes it

    @property
    def engine(self) -> Engine:
        """Return the SQLAlchemy engine."""
        return self.pool.engine

    @property
    def keyring(self) -> "Keyring":
        """Return the encryption keys.

        Raises:
            EncryptionError: no key is set, or one is malformed.
        """
        if self._keyring is None:
            from cardlink_sql.database.keyring import Keyring

            self._keyring = Keyring.from_environment()
        return self._keyring

    @property
    def threads(self) -> "ThreadPoolExecutor":
        """Return the threads that :mod:`cardlink_sql.aio` works on, one for each connection."""
        from concurrent.futures import ThreadPoolExecutor

        config = self.config
        most = 1 if config.is_memory else config.pool_size + config.max_overflow
        with self._lock:
            if self._threads is None:
                self._threads = ThreadPoolExecutor(most, "cardlink-aio")
            return self._threads

    @property
    def driver_errors(self) -> tuple[type[Exception], ...]:
        """Return the errors of this backend's driver."""
        return self.pool.backend.driver_errors

    @property
    def migrator(self) -> "Migrator":
        """Return the migrator of this database."""
        # Few processes migrate, and yoyo is large.
        from cardlink_sql.schema.migrator import Migrator

        return Migrator(self.engine, self.dialect)

    def take_connection(self) -> PoolProxiedConnection:
        """Take a connection of the driver from the pool; closing it returns it.

        Raises:
            ConnectionError: none is free within ``pool_timeout``, or none can be made.
        """
        return self.pool.take()

    def transaction(
        self,
        *,
        read_only: bool,
        snapshot: bool = False,
        timeout: float | None = None,
        prefer_replica: bool = False,
    ) -> Transaction:
        """Return a transaction to open, without the gateways of a unit of work.

        Args:
            read_only: no transaction is opened and nothing may be written.
            snapshot: for reading only, too, but all statements see one state.
            timeout: seconds that all of it may take, connecting included.
            prefer_replica: go to the replica, if there is one that answers.
        """
        pool = (self.pool.replica if prefer_replica else None) or self.pool
        return Transaction(
            pool, self.publisher, read_only=read_only, snapshot=snapshot, timeout=timeout
        )

    def warm_up(self, connections: int | None = None) -> int:
        """Open connections ahead of the first requests, and return how many are open.

        Args:
            connections: how many; ``pool_size`` where none is given, and at most that, since
                the pool keeps no more.

        Raises:
            ConnectionError: the database does not answer.
        """
        most = 1 if self.config.is_memory else self.config.pool_size
        if connections is not None:
            most = min(most, validation.whole(connections, "connections", least=1))
        with ExitStack() as opened:
            for _ in range(most):
                transaction = opened.enter_context(self.transaction(read_only=True))
                self._server(transaction).version()
        return most

    def run(
        self,
        work: Callable[[UnitOfWork], T],
        *,
        read_only: bool = False,
        prefer_replica: bool = False,
        attempts: int = 20,
        within: float = 30.0,
        timeout: float | None = None,
    ) -> T:
        """Run ``work(uow)`` in a unit of work, commit it and return its result.

        The whole of it runs again, after a growing, random pause, where nothing was kept and the
        same work may succeed: after a ``ConflictError``, or a ``ConnectionError`` before the
        COMMIT was sent. So ``work`` must do nothing that may not happen twice, such as sending an
        APDU. It does not run again once it has committed by itself.

        Args:
            work: a function of one argument, the unit of work.
            read_only: open the unit of work for reading only.
            prefer_replica: as :class:`UnitOfWork` takes it.
            attempts: the maximum number of runs; 1 means no retry.
            within: seconds after which no retry starts.
            timeout: seconds that each run may take, as :class:`UnitOfWork` takes it.

        Raises:
            CommitInDoubtError: the answer to the COMMIT was lost, so it took place or did not.
            ValidationError: ``work`` is a coroutine function.
        """
        validation.whole(attempts, "attempts", least=1)
        once = partial(run_once, self, work, read_only, prefer_replica, timeout)
        return run_again(once, attempts, validation.waiting_time(within, "within"))

    def health_check(self) -> Health:
        """Return the state of the database. Raises nothing: an error is part of the answer."""
        health = Health(
            status="unhealthy",
            backend=self.dialect.value,
            url=self.config.safe_url,
            host=None,
            server_version=None,
            latency_ms=None,
            error=None,
            hint=None,
        )
        if self.config.is_missing:
            health["error"] = "the database file does not exist"
            health["hint"] = "run: cardlink-db init"
            return health
        try:
            with self.transaction(read_only=True) as transaction:
                server = self._server(transaction)
                version = server.version()
                started = time.perf_counter()
                server.version()
                latency = (time.perf_counter() - started) * 1000
            health["hint"], health["host"] = self.encoding_note(), self.pool.host_in_use()
        except DatabaseError as error:
            health["error"], health["hint"] = error.what, error.remedy
        else:
            health["status"] = "healthy"
            health["server_version"], health["latency_ms"] = version, round(latency, 3)
        return health

    def encoding_note(self) -> str | None:
        """Return why the database cannot keep all text; ``None`` where it can.

        Raises:
            ConnectionError: the database does not answer.
        """
        with closing(self.take_connection()) as pooled:
            return self.pool.backend.encoding_note(pooled.driver_connection)

    def table_sizes(self, *, exact: bool = True) -> "list[TableSize]":
        """Return rows and bytes of each table; unless ``exact``, large ones are estimated.

        Raises:
            QueryError: a table is missing.
        """
        with self.transaction(read_only=True) as transaction:
            return self._server(transaction).table_sizes(exact=exact)

    def publish_events(self, *, on: bool = True) -> None:
        """Turn publishing of events on or off for every process that writes to this database.

        The database stores the choice. Running processes notice a change within 10 s.

        Raises:
            QueryError: the schema is older, or the role may not write.
        """
        self.publisher.switch(on=on)

    def listen(
        self, after: int | None = None, *, interval: float = 0.5, timeout: float | None = None
    ) -> "Listener":
        """Iterate over events that other managers and processes commit; close it at the end.

        Args:
            after: the ``position`` to go on from, 0 for all that are kept; without it, from now.
            interval: seconds between two looks.
            timeout: seconds without an event after which an iteration ends; without it, never.

        Raises:
            StateError: publishing is not turned on.
            QueryError: the database is in memory, or it is an SQLite file opened read-only.
        """
        from cardlink_sql.outbox.listener import Listener

        listener = Listener(
            self.pool, self.publisher, self.library, after=after, interval=interval, timeout=timeout
        )
        with self._lock:
            self._listeners.add(listener)
        return listener

    def create_tables(self) -> list[str]:
        """Bring the schema up to date by the migrations; return the ids applied.

        Raises:
            MigrationError: a migration failed, or the files and the database do not agree.
        """
        return self.migrator.migrate()

    def drop_tables(self) -> None:
        """Drop the schema with all its rows, and the record of its migrations."""
        self.migrator.drop_all()

    def close(self) -> None:
        """Close every connection and listener. A later use opens new connections."""
        with self._lock:
            listeners = list(self._listeners)
            threads, self._threads = self._threads, None
        for listener in listeners:
            listener.close()
        if threads is not None:
            threads.shutdown(wait=False)
        self.pool.close()

    def _forget_connections(self) -> None:
        """Leave the connections to the parent process, which goes on using them."""
        self._lock = Lock()
        self.events.after_fork()
        self.statements.after_fork()
        self.publisher.after_fork()
        self._threads = None
        self.pool.after_fork()

    def _server(self, transaction: Transaction) -> "ServerGateway":
        from cardlink_sql.gateways.server import ServerGateway

        return ServerGateway(transaction, self.library)

    def __enter__(self) -> "DatabaseManager":
        self.initialize()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"DatabaseManager({self.config.safe_url!r})"


_MANAGERS: Final[WeakSet[DatabaseManager]] = WeakSet()


def _after_fork() -> None:
    for manager in _MANAGERS:
        manager._forget_connections()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
