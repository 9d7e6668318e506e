"""MySQL and MariaDB at run time."""

import re
import socket
from collections.abc import Callable, Sequence
from datetime import datetime
from itertools import chain
from time import monotonic
from typing import Any, ClassVar, Final

from cardlink_sql.config import TARGET, DatabaseConfig
from cardlink_sql.database.backend import Backend, socket_limits
from cardlink_sql.database.faults import CONFLICTS, Fault
from cardlink_sql.dialect import Dialect
from cardlink_sql.queries import Query

# Rows in one VALUES.
_BATCH_ROWS: Final = 1000

_FAULTS: Final = {
    **dict.fromkeys((1022, 1062, 1586), Fault.DUPLICATE),
    **dict.fromkeys((1216, 1217, 1451, 1452), Fault.PARENT),
    **dict.fromkeys((1048, 1364), Fault.NOT_NULL),
    **dict.fromkeys((3819, 4025), Fault.CHECK),
    # 1180 and 1213 are Galera's certification failures too; 1020 is MariaDB's snapshot check.
    **dict.fromkeys((1020, 1180, 1213), Fault.CONFLICT),
    **dict.fromkeys((1205, 3572), Fault.LOCK_WAIT),
    **dict.fromkeys(
        (1040, 1045, 1047, 1049, 1053, 1077, 1152, 1158, 1159, 1160, 1161, 1203, 1226,
         1927, 2002, 2003, 2006, 2013, 2055, 3169, 4031),
        Fault.CONNECTION,
    ),
    **dict.fromkeys((1264, 1292, 1366, 1406, 3140), Fault.VALUE),
    1153: Fault.TOO_LARGE,
    **dict.fromkeys((1021, 1114), Fault.FULL),
    **dict.fromkeys((1054, 1146), Fault.NO_TABLE),
    **dict.fromkeys((1290, 1792, 1836), Fault.READ_ONLY),
    # 1044 is met in connecting, too: connection_error() handles that.
    **dict.fromkeys((1044, 1142, 1143, 1227, 1370), Fault.RIGHTS),
}  # fmt: skip

_SHOWS_A_NAME: Final = (Fault.DUPLICATE, Fault.PARENT, Fault.NOT_NULL, Fault.CHECK, Fault.VALUE)
# PyMySQL's options, and the entries of its TLS dictionary that mean the same.
_VERIFY: Final = {"ssl_verify_identity": "check_hostname", "ssl_verify_cert": "verify_mode"}
_OPTIONS: Final = ("TCP_USER_TIMEOUT", "TCP_KEEPIDLE", "TCP_KEEPINTVL", "TCP_KEEPCNT")
_NAME: Final = re.compile(r"(?:for key|CONSTRAINT|Column|column)\s+[`'](?P<name>[^`']+)[`']")


def _bound_time(text: str) -> datetime:
    """Return the UTC time of a DATETIME, which has no zone."""
    return datetime.fromisoformat(f"{text}+00:00")


class MySQL(Backend):
    """MySQL and MariaDB, by PyMySQL."""

    dialect = Dialect.MYSQL
    driver = "pymysql"
    package = ("PyMySQL", "pymysql")
    begin = "BEGIN"
    begin_snapshot = (
        # Under READ COMMITTED, which the sessions have, MySQL would take no snapshot.
        "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ",
        "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY",
    )
    settings: ClassVar = ("settings", "read_committed")
    bound_converters: ClassVar = Backend.bound_converters | {datetime: _bound_time}
    # Each statement is a separate message: MariaDB counts all of one message as its first.
    pipelines = True

    def send_together(
        self,
        connection: Any,
        ahead: Sequence[tuple[str, tuple[Any, ...] | None]],
        send: Callable[[], object],
        matched: list[int],
    ) -> None:
        cursor = connection.cursor()
        connection.first = [cursor.mogrify(sql, values) for sql, values in ahead]
        connection.matched = matched
        send()

    def connect_arguments(self, config: DatabaseConfig) -> dict[str, Any]:
        return {
            "connect_timeout": config.connect_timeout,
            "write_timeout": config.network_timeout,
            "autocommit": True,
            "charset": "utf8mb4",
        }

    def prepare(self, config: DatabaseConfig, options: dict[str, Any], *, read_only: bool) -> None:
        password = options.get("password")
        if isinstance(password, str):
            # PyMySQL would send Latin-1, and fail where there is no such character.
            options["password"] = password.encode()
        tls = options.get("ssl")
        if isinstance(tls, dict):
            # Given by themselves, they would replace the dictionary, and the CA with it.
            for option, entry in _VERIFY.items():
                if option in options:
                    tls[entry] = is_true(options.pop(option))
            if tls.get("verify_mode") is False:
                tls["check_hostname"] = False

    def connect(self, options: dict[str, Any], deadline: float) -> Any:
        from cardlink_sql.database.mysql_connection import LayerConnection

        seconds = max(0.001, deadline - monotonic())
        given = {name: value for name, value in options.items() if name != TARGET}
        connection = LayerConnection(deadline=deadline, **{**given, "connect_timeout": seconds})
        if options.get(TARGET) == "read-write":
            connection.refuse_read_only()
        return connection

    def is_timeout(self, error: Exception) -> bool:
        # Any error has a context where the caller is handling another one.
        reason = error.__context__
        quoted = (f"({reason})", f"({reason!r})")
        return isinstance(reason, TimeoutError) and str(error.args[-1]).endswith(quoted)

    def settle(self, connection: Any, config: DatabaseConfig, *, read_only: bool) -> None:
        super().settle(connection, config, read_only=read_only)
        # A long statement may be silent for long; a host that is gone acknowledges nothing.
        if connection._sock.family in (socket.AF_INET, socket.AF_INET6):
            for name, value in zip(_OPTIONS, socket_limits(config.network_timeout), strict=True):
                if hasattr(socket, name):
                    option = getattr(socket, name)
                    connection._sock.setsockopt(socket.IPPROTO_TCP, option, value)

    def host_of(self, connection: Any) -> tuple[str, int]:
        return connection.host, connection.port

    def write_many(self, cursor: Any, query: Query, sql: str, rows: Sequence[Any]) -> None:
        """Send one INSERT where the driver's own, which fills in row by row, would."""
        for start in range(0, len(rows), _BATCH_ROWS):
            chunk = rows[start : start + _BATCH_ROWS]
            values = list(chain.from_iterable(chunk))
            whole = cursor.mogrify(query.for_rows(len(chunk)), values).encode()
            if len(whole) <= cursor.max_stmt_length:
                cursor.execute(whole)
            else:
                cursor.executemany(sql, chunk)

    def in_transaction(self, connection: Any) -> bool:
        return bool(connection.server_status & 1)  # SERVER_STATUS_IN_TRANS of the protocol

    def diagnose(self, error: Exception) -> tuple[Fault, str | None]:
        number = error.args[0] if error.args else 0
        message = str(error.args[1]) if len(error.args) > 1 else str(error)
        fault = _FAULTS.get(number, Fault.OTHER)
        if number == 0 or (fault is Fault.OTHER and type(error).__name__ == "InterfaceError"):
            return Fault.CONNECTION, None
        if fault in CONFLICTS:
            return fault, None
        if fault in _SHOWS_A_NAME:
            named = _NAME.search(message)
            return fault, named["name"] if named else None
        return fault, message


def is_true(value: object) -> bool:
    """Return whether an option of a URL says yes."""
    return str(value).lower() in ("1", "true", "yes")


BACKEND: Final = MySQL()
