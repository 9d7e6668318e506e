"""A unit of work: one transaction, and the gateways that work inside it."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import TracebackType

from cardlink_sql.database.transaction import Transaction
from cardlink_sql.errors import DatabaseError, QueryError
from cardlink_sql.gateways.cards import CardGateway
from cardlink_sql.gateways.devices import DeviceGateway
from cardlink_sql.gateways.logs import LogGateway
from cardlink_sql.gateways.sessions import SessionGateway
from cardlink_sql.gateways.settings import SettingGateway
from cardlink_sql.gateways.statistics import StatisticsGateway
from cardlink_sql.gateways.tests import TestGateway
from cardlink_sql.manager import DatabaseManager
from cardlink_sql.outbox.gateway import OutboxGateway


class UnitOfWork:
    """One transaction. Leaving the ``with`` block without :meth:`commit` rolls it back.

    Args:
        manager: the database.
        read_only: no transaction is opened and nothing may be written. Each statement sees
            what was committed before it; a read costs one round trip.

    A statement that the database refused ends the unit of work: only :meth:`rollback` helps,
    on every backend. What may fail is tried inside :meth:`savepoint`.
    """

    __slots__ = (
        "_cards",
        "_depth",
        "_devices",
        "_logs",
        "_manager",
        "_outbox",
        "_sessions",
        "_settings",
        "_statistics",
        "_tests",
        "_transaction",
    )  # fmt: skip

    def __init__(self, manager: DatabaseManager, *, read_only: bool = False) -> None:
        self._manager = manager
        self._transaction = Transaction(manager, read_only=read_only)
        self._depth = 0
        self._devices: DeviceGateway | None = None
        self._cards: CardGateway | None = None
        self._sessions: SessionGateway | None = None
        self._logs: LogGateway | None = None
        self._tests: TestGateway | None = None
        self._settings: SettingGateway | None = None
        self._statistics: StatisticsGateway | None = None
        self._outbox: OutboxGateway | None = None

    def __enter__(self) -> "UnitOfWork":
        if self._transaction.is_open:
            raise QueryError("this unit of work is open already", remedy="make another one")
        self._transaction.open()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._transaction.close()

    @property
    def devices(self) -> DeviceGateway:
        """Phones and modems."""
        if self._devices is None:
            self._devices = DeviceGateway(self._transaction, self._manager.library)
        return self._devices

    @property
    def cards(self) -> CardGateway:
        """Card profiles and their PSKs."""
        if self._cards is None:
            manager = self._manager
            self._cards = CardGateway(self._transaction, manager.library, lambda: manager.keyring)
        return self._cards

    @property
    def sessions(self) -> SessionGateway:
        """OTA sessions."""
        if self._sessions is None:
            self._sessions = SessionGateway(self._transaction, self._manager.library)
        return self._sessions

    @property
    def logs(self) -> LogGateway:
        """The APDUs of the sessions."""
        if self._logs is None:
            self._logs = LogGateway(self._transaction, self._manager.library)
        return self._logs

    @property
    def tests(self) -> TestGateway:
        """Test results."""
        if self._tests is None:
            self._tests = TestGateway(self._transaction, self._manager.library)
        return self._tests

    @property
    def settings(self) -> SettingGateway:
        """Settings."""
        if self._settings is None:
            self._settings = SettingGateway(self._transaction, self._manager.library)
        return self._settings

    @property
    def outbox(self) -> OutboxGateway:
        """The events kept for other processes."""
        if self._outbox is None:
            self._outbox = OutboxGateway(self._transaction, self._manager.library)
        return self._outbox

    @property
    def statistics(self) -> StatisticsGateway:
        """Figures over several tables."""
        if self._statistics is None:
            self._statistics = StatisticsGateway(self._transaction, self._manager.library)
        return self._statistics

    def commit(self) -> None:
        """Write the buffered log, then commit everything. Work may go on afterwards.

        Raises:
            IntegrityError: the buffered log names a session that does not exist.
            ConflictError: another transaction won; nothing was kept.
            QueryError: a statement failed before, or the ``with`` block has been left.
        """
        self._refuse_in_savepoint("commit")
        self._transaction.commit()

    def rollback(self) -> None:
        """Undo everything since the last commit, the buffered log included."""
        self._refuse_in_savepoint("roll back")
        self._transaction.rollback()

    def _refuse_in_savepoint(self, what: str) -> None:
        if self._depth:
            raise QueryError(
                f"a savepoint is open, so the unit of work cannot {what}",
                remedy=f"{what} behind the block of savepoint()",
            )

    @contextmanager
    def savepoint(self) -> Iterator[None]:
        """Try what may fail: an error inside undoes the block alone and is raised on."""
        if self._transaction.read_only:
            raise QueryError("the unit of work is read-only", remedy="open one without read_only")
        # One name for all would make MySQL forget the outer of two.
        name = f"cardlink_{self._depth}"
        self._transaction.savepoint("SAVEPOINT", name)
        mark = self._transaction.pending_events.mark()
        self._depth += 1
        try:
            yield
            self._transaction.savepoint("RELEASE SAVEPOINT", name)
        except BaseException:
            self._transaction.pending_events.undo(mark)
            # It cannot be undone alone where a deadlock has undone the whole transaction, or
            # the connection broke: then the unit of work cannot go on, and that error says why.
            with suppress(DatabaseError):
                self._transaction.savepoint("ROLLBACK TO SAVEPOINT", name)
                self._transaction.savepoint("RELEASE SAVEPOINT", name)
            raise
        finally:
            self._depth -= 1
