"""The layer's connection to MySQL and MariaDB: PyMySQL's, with what this layer asks of it."""

from datetime import datetime
from time import monotonic
from typing import Any, Final

from pymysql.connections import Connection
from pymysql.constants import COMMAND, CR, ER, FIELD_TYPE, SERVER_STATUS
from pymysql.converters import escape_str, escape_string
from pymysql.err import MySQLError, OperationalError

from cardlink_sql.database.internal import InternalStatements
from cardlink_sql.database.unreadable_rows import UnreadableTime, without_unreadable
from cardlink_sql.dialect import Dialect

_NO_BACKSLASHES: Final = SERVER_STATUS.SERVER_STATUS_NO_BACKSLASH_ESCAPES
# Characters, of at most four bytes: no server's default is smaller.
_SMALL: Final = 1 << 18
# The longest timeout that a socket takes on every platform.
_LONGEST_WAIT_S: Final = 1_000_000.0


class LayerConnection(Connection):  # type: ignore[misc] # PyMySQL has no types
    """A connection that sends statements together, and whose answers are complete by a deadline.

    PyMySQL's own timeout holds for each packet of the network, so a server that sends a byte at
    a time outlasts it.

    Attributes:
        deadline: by the monotonic clock; ``None`` for no deadline.
        first: statements that are sent before the next one, without waiting for an answer.
        matched: receives how many rows each of these matched.
    """

    def __init__(self, *, deadline: float | None, **options: Any) -> None:
        self.deadline = deadline
        self.first: list[str] = []
        self.matched: list[int] = []
        # A message that waits for the next one, to be sent together with it.
        self._is_holding = False
        self._held = b""
        self._unread = 0
        self._largest: int | None = None
        self._has_unreadable = False
        super().__init__(**options)
        self.decoders[FIELD_TYPE.DATETIME] = self._read_datetime
        # For values of a type that PyMySQL does not know: it would send them all as text.
        self.encoders[str] = _encode_other

    def refuse_read_only(self) -> None:
        """Close the connection to a replica, or to a node of Galera that is not ready."""
        statements = InternalStatements(Dialect.MYSQL, self)
        try:
            statements.rows("connection.is_ready")
            found = statements.value("connection.is_read_only")
        except OperationalError:
            self._force_close()
            raise
        if found not in (0, "OFF"):
            self._force_close()
            raise OperationalError(ER.OPTION_PREVENTS_STATEMENT, "the server is read-only")

    def query(self, sql: str | bytes, unbuffered: bool = False) -> int:  # noqa: FBT001, FBT002
        """Send a statement, after those that go first, and keep the answer to this one.

        One larger than ``max_allowed_packet`` is refused, and nothing is lost: the server would
        close the connection, so that the client sees it break.
        """
        first, self.first = self.first, []
        for one in first:
            if len(one) > _SMALL:
                self.matched.append(self.query(one))
            else:
                self._is_holding = True
                self._execute_command(COMMAND.COM_QUERY, one)
                self._is_holding = False
                self._unread += 1
        if len(sql) > _SMALL:
            size = len(sql.encode() if isinstance(sql, str) else sql)
            largest = self._largest_packet()
            if size + 1 >= largest:  # with the byte that says it is a statement
                raise OperationalError(
                    ER.NET_PACKET_TOO_LARGE,
                    f"{size:,} bytes, and max_allowed_packet is {largest:,}",
                )
        count = int(super().query(sql, unbuffered))
        if self._has_unreadable:
            self._has_unreadable = False
            names = [field.name for field in self._result.fields]
            self._result.rows = without_unreadable(self._result.rows, names)
        return count

    def _read_query_result(self, unbuffered: bool = False) -> int:  # noqa: FBT001, FBT002
        unread, self._unread = self._unread, 0
        refused: Exception | None = None
        for _ in range(unread):
            self._next_seq_id = 1  # the numbers of each answer begin with it
            try:
                matched = super()._read_query_result()
            except MySQLError as error:
                if not self.open:
                    raise
                refused = refused or error
            else:
                if refused is None:
                    self.matched.append(matched)
        if unread:
            self._next_seq_id = 1
        count = 0
        try:
            count = int(super()._read_query_result(unbuffered))
        except MySQLError:
            if refused is None or not self.open:
                raise
        if refused is not None:
            raise refused
        return count

    def escape(self, obj: Any, mapping: Any = None) -> str:
        """Return a value as SQL. Most are text or NULL, which PyMySQL takes twice as long for."""
        if type(obj) is str and not self.server_status & _NO_BACKSLASHES:
            return f"'{escape_string(obj)}'"
        if obj is None:
            return "NULL"
        return str(super().escape(obj, mapping))

    def _read_datetime(self, text: str) -> datetime | UnreadableTime:
        try:
            return datetime.fromisoformat(f"{text}+00:00")
        except ValueError:
            self._has_unreadable = True
            return UnreadableTime(text)

    def _largest_packet(self) -> int:
        if self._largest is None:
            statements = InternalStatements(Dialect.MYSQL, self)
            self._largest = int(statements.value("connection.largest_packet"))
        return self._largest

    def _read_bytes(self, num_bytes: int) -> bytes:
        if self.deadline is None:
            return bytes(super()._read_bytes(num_bytes))
        read = b""
        while len(read) < num_bytes:
            ready = self._wait_for_bytes()
            read += super()._read_bytes(min(ready, num_bytes - len(read)))
        return read

    def _write_bytes(self, data: bytes) -> None:
        data, self._held = self._held + data, b""
        if self._is_holding:
            self._held = data
            return
        if self.deadline is None:
            super()._write_bytes(data)
            return
        configured = self._write_timeout  # type: ignore[has-type]
        try:
            self._write_timeout = self._seconds_left()
            super()._write_bytes(data)
        except TimeoutError as error:
            raise self._lost(error) from error
        finally:
            self._write_timeout = configured

    def _wait_for_bytes(self) -> int:
        """Return how many bytes can be read without waiting; 1 at the end of the answer."""
        try:
            # PyMySQL compares it with its own timeouts before it sets them again.
            self._current_timeout = self._seconds_left()
            self._sock.settimeout(self._current_timeout)
            return max(1, len(self._rfile.peek(1)))
        except OSError as error:
            raise self._lost(error) from error

    def _seconds_left(self) -> float:
        left = min(_LONGEST_WAIT_S, (self.deadline or 0.0) - monotonic())
        if left <= 0:
            raise TimeoutError("timed out")
        return left

    def _lost(self, error: OSError) -> OperationalError:
        self._force_close()
        return OperationalError(CR.CR_SERVER_LOST, f"no answer from the server ({error})")


def _encode_other(value: Any, mapping: Any) -> str:
    """Return a value of another type as SQL: a number of a subclass of ``int`` is one."""
    return str(int(value)) if isinstance(value, int) else str(escape_str(value, mapping))
