"""The differences between the dialects at run time: one :class:`Backend` for each.

Each subclass is in the module named as its dialect; its driver is imported on first use.
"""

import json
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from functools import cache
from importlib import import_module
from typing import Any, ClassVar, Final, TypeAlias

from cardlink_sql.config import DatabaseConfig
from cardlink_sql.database.faults import Fault, error_for
from cardlink_sql.database.internal import InternalStatements
from cardlink_sql.dialect import Dialect
from cardlink_sql.errors import DatabaseError, ValidationError
from cardlink_sql.queries import Query

Converters: TypeAlias = dict[Any, Callable[[Any], Any]]
# How long a statement waits for a lock that another transaction holds, on every backend.
LOCK_TIMEOUT_MS: Final = 10_000
# An operating system refuses more.
_LONGEST_USER_TIMEOUT_MS: Final = 2**31 - 1
_LONGEST_KEEPALIVE_S: Final = 32_767


class Backend(ABC):
    """One dialect's driver, its settings and its errors.

    Attributes:
        dialect: the dialect.
        driver: the driver's module.
        package: its name, and what pip installs it by.
        begin: opens a transaction that writes.
        read_only_mode: added to ``BEGIN`` by a manager that only reads, where nothing else keeps
            the server from writing.
        begins_before_reading: a read before the first write belongs to the transaction, too.
            Under READ COMMITTED each statement sees what was committed before it, so that a
            read needs none.
        begin_snapshot: opens one that reads one state of all tables and holds up no writer.
        begins_together: ``BEGIN`` may go with a statement, which does not run where it fails.
        settings: what every new connection is sent, by the names in ``connection.sql``.
        leaves_answers: an interrupted statement may leave its answer unread, which the next
            one over the same connection would read as its own.
        copy_from: from how many rows on COPY beats INSERT; ``None`` where there is no COPY.
        row_converters: by type of a record's field, ``dict`` for JSON, what converts the driver's
            value, where it does not return that type.
        bound_converters: the same for a value as it is bound.
        purge_rows: how many rows a purge deletes in one transaction.
        hint: what to check when no connection can be made.
    """

    dialect: ClassVar[Dialect]
    driver: ClassVar[str]
    package: ClassVar[tuple[str, str]]
    begin: str
    read_only_mode: ClassVar[str] = ""
    begins_before_reading: ClassVar[bool] = False
    begin_snapshot: ClassVar[tuple[str, ...]]
    begins_together: ClassVar[bool] = False
    settings: ClassVar[tuple[str, ...]]
    leaves_answers: ClassVar[bool] = True
    copy_from: ClassVar[int | None] = None
    row_converters: ClassVar[Converters] = {dict: json.loads, bool: bool}
    bound_converters: ClassVar[Converters] = {dict: json.loads, bool: bool}
    purge_rows: ClassVar[int] = 5_000
    hint: ClassVar[str] = "check host, port, user, password and database, and that the server runs"

    _errors: tuple[type[Exception], ...] = ()

    @property
    def driver_error(self) -> type[Exception]:
        """Return the base of the driver's errors."""
        error: type[Exception] = import_module(self.driver).Error
        return error

    @property
    def driver_errors(self) -> tuple[type[Exception], ...]:
        """Return the driver's errors, for the connection to translate."""
        # No cached_property: its lock could be held by another thread when the process forks.
        if not self._errors:
            self._errors = (self.driver_error, UnicodeError, OverflowError)
        return self._errors

    @property
    def pipelines(self) -> bool:
        """Return whether :meth:`send_together` can be used."""
        return False

    def send_together(
        self,
        connection: Any,
        ahead: Sequence[tuple[str, tuple[Any, ...] | None]],
        send: Callable[[], object],
        matched: list[int],
    ) -> None:
        """Send the statements ``ahead``, with their parameters, together with what ``send`` sends.

        ``matched`` receives how many rows each of them matched that the server has run.
        """
        raise NotImplementedError

    @abstractmethod
    def connect_arguments(self, config: DatabaseConfig) -> dict[str, Any]:
        """Return what the driver's ``connect`` takes beyond the URL."""

    def prepare(  # noqa: B027 - most have nothing to do
        self, config: DatabaseConfig, options: dict[str, Any], *, read_only: bool
    ) -> None:
        """Do what must precede connecting; may change the driver's options."""

    @abstractmethod
    def connect(self, options: dict[str, Any], deadline: float) -> Any:
        """Connect by a deadline, which the connection keeps until :meth:`limit` lifts it.

        Returns:
            The driver's connection; ``None`` lets SQLAlchemy connect with the options.
        """

    def limit(self, connection: Any, deadline: float | None) -> None:
        """Let every answer be complete by a deadline of the monotonic clock; ``None`` lifts it."""
        connection.deadline = deadline

    def is_timeout(self, error: Exception) -> bool:
        """Return whether a driver's error means that the server or the network kept silent."""
        return False

    def settle(self, connection: Any, config: DatabaseConfig, *, read_only: bool) -> None:
        """Send a new connection its settings."""
        statements = InternalStatements(self.dialect, connection)
        for name in (*self.settings, *(["read_only"] if read_only else [])):
            statements.rows(f"connection.{name}")

    def host_of(self, connection: Any) -> tuple[str, int]:
        """Return the host and the port that a connection goes to; SQLite has none."""
        raise NotImplementedError

    def encoding_note(self, connection: Any) -> str | None:
        """Return why the database cannot keep all text; ``None`` where it can."""
        return None

    def find_damage(self, connection: Any) -> str | None:
        """Read the whole database and return the first damage; ``None`` on a server."""
        return None

    @abstractmethod
    def in_transaction(self, connection: Any) -> bool:
        """Return whether a driver connection has a transaction open."""

    @abstractmethod
    def diagnose(self, error: Exception) -> tuple[Fault, str | None]:
        """Return the kind of a driver's error, and what of its text is safe to show."""

    def translate(self, error: Exception, where: str | None) -> DatabaseError:
        """Return the layer's error for a driver's."""
        if isinstance(error, UnicodeError | OverflowError):
            return ValidationError("the database cannot store a value", where)
        return error_for(*self.diagnose(error), where)

    def refuses_to_write(self, error: BaseException | None) -> bool:
        """Return whether an error of the driver means that the server is read-only."""
        if not isinstance(error, self.driver_error):
            return False
        return self.diagnose(error)[0] is Fault.READ_ONLY

    def write_many(self, cursor: Any, query: Query, sql: str, rows: Sequence[Any]) -> None:
        """Send an INSERT for many rows."""
        cursor.executemany(sql, rows)

    def copy(self, connection: Any, sql: str, rows: Sequence[tuple[Any, ...]]) -> None:
        """Send rows by COPY, which only PostgreSQL has."""
        raise NotImplementedError


def socket_limits(seconds: float) -> tuple[int, int, int, int]:
    """Return the options of TCP that end a connection whose host acknowledges nothing.

    Args:
        seconds: after which it ends.

    Returns:
        TCP_USER_TIMEOUT in milliseconds, TCP_KEEPIDLE and TCP_KEEPINTVL in seconds, TCP_KEEPCNT.
    """
    milliseconds = min(_LONGEST_USER_TIMEOUT_MS, math.ceil(seconds * 1000))
    idle, interval = (min(_LONGEST_KEEPALIVE_S, max(1, round(seconds / part))) for part in (2, 8))
    return milliseconds, idle, interval, 4


@cache
def backend_of(dialect: Dialect) -> Backend:
    """Return the backend of a dialect."""
    backend: Backend = import_module(f"cardlink_sql.database.{dialect.value}").BACKEND
    return backend
