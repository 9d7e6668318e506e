"""A unit of work: one transaction, and the gateways that work inside it."""

import logging
import sys
import warnings
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator
from contextlib import suppress
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar

from cardlink_sql.database.transaction import Transaction
from cardlink_sql.errors import (
    CommitInDoubtError,
    ConflictError,
    ConnectionError,
    DatabaseError,
    QueryError,
    ValidationError,
)
from cardlink_sql.model import validation
from cardlink_sql.queries import Library

if TYPE_CHECKING:
    from cardlink_sql.database.keyring import Keyring
    from cardlink_sql.gateways.cards import CardGateway
    from cardlink_sql.gateways.devices import DeviceGateway
    from cardlink_sql.gateways.logs import LogGateway
    from cardlink_sql.gateways.sessions import SessionGateway
    from cardlink_sql.gateways.settings import SettingGateway
    from cardlink_sql.gateways.statistics import StatisticsGateway
    from cardlink_sql.gateways.tests import TestGateway
    from cardlink_sql.outbox.gateway import OutboxGateway

T = TypeVar("T")

_log: Final = logging.getLogger(__name__)

_IN_EVENT_LOOP: Final = (
    "a unit of work was opened for writing on the thread of a running event loop, and blocks it"
    " while the database works;"
    " write: await cardlink_sql.aio.run(manager, work)"
)


class Database(Protocol):
    """The part that a unit of work needs of its :class:`~cardlink_sql.DatabaseManager`."""

    _warned_of_loop: bool

    @property
    def library(self) -> Library:
        """Return the queries of the database's dialect."""

    @property
    def keyring(self) -> "Keyring":
        """Return the encryption keys."""

    def transaction(
        self, *, read_only: bool, timeout: float | None = None, prefer_replica: bool = False
    ) -> Transaction:
        """Return a transaction to open."""


class _Lazy:
    """A gateway of a unit of work: imported when one first asks for it; a key server needs one."""

    def __init__(self, module: str, kind: str) -> None:
        self._module, self._kind = module, kind
        self._class: Any = None

    def __set_name__(self, _owner: object, name: str) -> None:
        self._name = name

    def __get__(self, uow: "UnitOfWork", _owner: object = None) -> Any:
        if self._class is None:
            self._class = getattr(import_module(f"cardlink_sql.{self._module}"), self._kind)
        manager = uow._manager
        # A lambda that held the unit of work would leave each one to the garbage collector.
        more = (lambda: manager.keyring,) if self._name == "cards" else ()
        made = self._class(uow._transaction, manager.library, *more)
        # From now on it is found there.
        uow.__dict__[self._name] = made
        return made


def _lazy(module: str, kind: str) -> Any:  # a gateway, for mypy
    return _Lazy(module, kind)


class UnitOfWork:
    """One transaction. Leaving the ``with`` block without :meth:`commit` rolls it back.

    If that loses writes, and no exception says why, a warning is logged.

    Args:
        db_manager: the database.
        read_only: no transaction is opened and nothing may be written. Each statement sees
            what was committed before it; a read costs one round trip.
        timeout: seconds from opening it until the last answer must be complete, connecting
            included; then the unit of work fails with a ``ConnectionError``, and nothing is sent
            again. Without it the limits of the configuration hold.
        prefer_replica: read from the replica of the configuration, whose state may be seconds old,
            and from the primary while no replica answers. Only with ``read_only``.

    Attributes:
        devices: phones and modems.
        cards: card profiles and their PSKs.
        sessions: OTA sessions.
        logs: the APDUs of the sessions.
        tests: test results.
        settings: settings.
        statistics: figures over several tables.
        outbox: the events kept for other processes.
        has_committed: whether :meth:`commit` has succeeded in it.

    A statement that the database refused ends the unit of work: only :meth:`rollback` helps,
    on every backend. Try statements that may fail inside :meth:`savepoint`.
    """

    devices: "DeviceGateway" = _lazy("gateways.devices", "DeviceGateway")
    cards: "CardGateway" = _lazy("gateways.cards", "CardGateway")
    sessions: "SessionGateway" = _lazy("gateways.sessions", "SessionGateway")
    logs: "LogGateway" = _lazy("gateways.logs", "LogGateway")
    tests: "TestGateway" = _lazy("gateways.tests", "TestGateway")
    settings: "SettingGateway" = _lazy("gateways.settings", "SettingGateway")
    statistics: "StatisticsGateway" = _lazy("gateways.statistics", "StatisticsGateway")
    outbox: "OutboxGateway" = _lazy("outbox.gateway", "OutboxGateway")

    def __init__(
        self,
        db_manager: Database,
        *,
        read_only: bool = False,
        timeout: float | None = None,
        prefer_replica: bool = False,
    ) -> None:
        if prefer_replica and not read_only:
            raise ValidationError(
                "a replica only reads", "prefer_replica", "open the unit of work with read_only"
            )
        limit = None if timeout is None else validation.seconds(timeout, "timeout")
        try:
            make = db_manager.transaction
        except AttributeError:
            raise ValidationError(
                f"expected a DatabaseManager, got {type(db_manager).__name__}",
                "db_manager",
                "write UnitOfWork(DatabaseManager(url))",
            ) from None
        self._manager = db_manager
        self._transaction = make(read_only=read_only, timeout=limit, prefer_replica=prefer_replica)
        self._depth = 0
        self.has_committed = False

    def __enter__(self) -> "UnitOfWork":
        if self._transaction.is_open:
            raise QueryError("this unit of work is open already", remedy="make another one")
        is_quiet = self._transaction.read_only or self._manager._warned_of_loop
        if not is_quiet and runs_event_loop():
            self._manager._warned_of_loop = True
            warnings.warn(_IN_EVENT_LOOP, RuntimeWarning, stacklevel=2)
        self._transaction.open()
        self.has_committed = False
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None and self._transaction.has_uncommitted_writes:
            self._transaction.check_owner()
            _log.warning(
                "a unit of work ended with writes and without commit(), so they are rolled back;"
                " call commit(), or rollback() where that is meant"
            )
        self.close()

    def close(self) -> None:
        """Roll back what is not committed and return the connection; leaving the block does."""
        self._transaction.close()

    def commit(self) -> None:
        """Write the buffered log, then commit everything. Work may go on afterwards.

        Raises:
            IntegrityError: the buffered log names a session that does not exist.
            ConflictError: another transaction won; nothing was kept.
            CommitInDoubtError: the connection broke, so the commit took place or did not.
            QueryError: a statement failed before, or the ``with`` block has been left.
        """
        self._refuse_in_savepoint("commit")
        self._transaction.commit()
        self.has_committed = True

    def rollback(self) -> None:
        """Undo everything since the last commit, the buffered log included."""
        self._refuse_in_savepoint("roll back")
        self._transaction.rollback()

    def _refuse_in_savepoint(self, what: str) -> None:
        if self._depth:
            raise QueryError(
                f"a savepoint is open, so the unit of work cannot {what}",
                remedy=f"{what} after the block of savepoint()",
            )

    def savepoint(self) -> "Savepoint":
        """Return a ``with`` block for what may fail: an error undoes only the block."""
        return Savepoint(self)


_SAVEPOINT: Final = "write: with uow.savepoint(): …, once for each block"


class Savepoint:
    """A part of a unit of work that is undone by itself when an error leaves its block.

    A class and no generator: a generator would be used up by a thread that is refused, and the
    owner's own exit would do nothing.
    """

    __slots__ = ("_mark", "_name", "_uow")

    def __init__(self, uow: UnitOfWork) -> None:
        self._uow = uow
        self._name = ""
        self._mark = 0

    def __enter__(self) -> None:
        transaction = self._uow._transaction
        if self._name:
            raise QueryError("this savepoint is open already", remedy=_SAVEPOINT)
        # One name for all would make MySQL forget the outer of two.
        name = f"cardlink_{self._uow._depth}"
        transaction.savepoint("SAVEPOINT", name)
        self._name, self._mark = name, transaction.pending_events.mark()
        self._uow._depth += 1

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        transaction = self._uow._transaction
        transaction.check_owner()
        if not self._name:
            raise QueryError("this savepoint is not open", remedy=_SAVEPOINT)
        try:
            if kind is not None:
                self._undo()
                return
            try:
                transaction.savepoint("RELEASE SAVEPOINT", self._name)
            except BaseException:
                self._undo()
                raise
        finally:
            self._uow._depth -= 1
            self._name = ""

    def _undo(self) -> None:
        transaction = self._uow._transaction
        transaction.pending_events.undo(self._mark)
        # It cannot be undone by itself where a deadlock has undone the whole transaction, or the
        # connection broke: then the unit of work cannot go on, and that error says why.
        with suppress(DatabaseError):
            transaction.savepoint("ROLLBACK TO SAVEPOINT", self._name)
            transaction.savepoint("RELEASE SAVEPOINT", self._name)


def run_once(
    manager: Database,
    work: Callable[[UnitOfWork], T],
    read_only: bool,  # noqa: FBT001
    prefer_replica: bool,  # noqa: FBT001
    timeout: float | None,
) -> T:
    """Run ``work`` in a unit of work and commit it: one attempt of :meth:`DatabaseManager.run`."""
    check_callable(work)
    with UnitOfWork(
        manager, read_only=read_only, prefer_replica=prefer_replica, timeout=timeout
    ) as uow:
        try:
            result = work(uow)
            _refuse_unfinished(result)
            uow.commit()
        except (ConflictError, ConnectionError) as error:
            if not uow.has_committed or isinstance(error, CommitInDoubtError):
                raise
            raise QueryError(
                f"the work failed after it had committed a part by itself: {error.headline}",
                remedy="leave the commit to run(), or run the rest in a separate unit",
            ) from error
    return result


def check_callable(work: object) -> None:
    """Refuse work that cannot be called."""
    if not callable(work):
        raise ValidationError(f"expected a function, got {type(work).__name__}", "work")


def check_instance(value: object, kind: type, where: str) -> None:
    """Refuse an argument of another class."""
    if not isinstance(value, kind):
        raise ValidationError(f"expected a {kind.__name__}, got {type(value).__name__}", where)


def _refuse_unfinished(result: object) -> None:
    if isinstance(result, Generator | AsyncGenerator):
        raise ValidationError(
            "the work is a generator function, which would run after its transaction",
            "work",
            "pass a plain function that returns a list",
        )
    if isinstance(result, Coroutine):
        result.close()
        raise ValidationError(
            "the work is a coroutine function, which would hold its transaction while it waits",
            "work",
            "pass a plain function; in asyncio write: await cardlink_sql.aio.run(manager, work)",
        )


def runs_event_loop() -> bool:
    """Return whether this thread runs an event loop, without importing asyncio for it."""
    running = getattr(sys.modules.get("asyncio"), "_get_running_loop", None)
    return running is not None and running() is not None
