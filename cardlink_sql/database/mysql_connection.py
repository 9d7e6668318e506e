"""The layer's connection to MySQL and MariaDB: PyMySQL's, with what this layer asks of it."""

from datetime import datetime
from typing import Any, Final

from pymysql.constants import COMMAND, ER, FIELD_TYPE, SERVER_STATUS
from pymysql.converters import escape_str, escape_string
from pymysql.err import MySQLError, OperationalError

from cardlink_sql.database.internal import InternalStatements
from cardlink_sql.database.mysql_network import DeadlineConnection
from cardlink_sql.database.unreadable_rows import UnreadableTime, without_unreadable
from cardlink_sql.dialect import Dialect

_NO_BACKSLASHES: Final = SERVER_STATUS.SERVER_STATUS_NO_BACKSLASH_ESCAPES
# Characters, of at most four bytes: no server's default is smaller.
_SMALL: Final = 1 << 18


class LayerConnection(DeadlineConnection):
    """A connection that sends statements together, and finds the times that Python cannot hold.

    Attributes:
        first: statements that are sent before the next one, without waiting for an answer.
        matched: receives how many rows each of these matched.
    """

    def __init__(self, *, deadline: float | None, **options: Any) -> None:
        self.first: list[str] = []
        self.matched: list[int] = []
        self._unread = 0
        self._largest: int | None = None
        self._has_unreadable = False
        super().__init__(deadline=deadline, **options)
        self.decoders[FIELD_TYPE.DATETIME] = self._read_datetime
        # For values of a type that PyMySQL does not know: it would send them all as text.
        self.encoders[str] = _encode_other

    def refuse_read_only(self) -> None:
        """Close the connection where its server does not let everybody write.

        Raises:
            OperationalError: it is a replica, or a node of Galera that is not ready.
        """
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

        One that the server would not read is refused, and nothing is lost: the server would close
        the connection, so that the client sees it break.

        Raises:
            ValidationError: a row holds a time that Python cannot hold.
            OperationalError: it is larger than ``max_allowed_packet``; or the server refused it.
        """
        first, self.first = self.first, []
        for one in first:
            if len(one) > _SMALL:
                self.matched.append(self.query(one))
            else:
                self.is_holding = True
                self._execute_command(COMMAND.COM_QUERY, one)
                self.is_holding = False
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


def _encode_other(value: Any, mapping: Any) -> str:
    """Return a value of another type as SQL: a number of a subclass of ``int`` is one."""
    return str(int(value)) if isinstance(value, int) else str(escape_str(value, mapping))
