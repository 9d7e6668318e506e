"""PostgreSQL at run time."""

import math
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from functools import cache
from itertools import chain, takewhile
from typing import Any, ClassVar, Final

from cardlink_sql.config import DatabaseConfig
from cardlink_sql.database.backend import Backend, socket_limits
from cardlink_sql.database.faults import CONFLICTS, Fault
from cardlink_sql.database.internal import InternalStatements
from cardlink_sql.dialect import Dialect
from cardlink_sql.queries import Query

# Rows in one VALUES; a power of two.
_BATCH_ROWS: Final = 64

# By SQLSTATE, or by its first three or two characters.
_FAULTS: Final = {
    "23505": Fault.DUPLICATE,
    "23503": Fault.PARENT,
    "23001": Fault.PARENT,
    "23502": Fault.NOT_NULL,
    "23514": Fault.CHECK,
    "40": Fault.CONFLICT,
    "55P03": Fault.LOCK_WAIT,
    "08": Fault.CONNECTION,
    "53300": Fault.CONNECTION,
    "57P": Fault.CONNECTION,
    "22": Fault.VALUE,
    "42P01": Fault.NO_TABLE,
    "42703": Fault.NO_TABLE,
    "25006": Fault.READ_ONLY,
    "42501": Fault.RIGHTS,
    "53100": Fault.FULL,
}


class PostgreSQL(Backend):
    """PostgreSQL, by psycopg."""

    dialect = Dialect.POSTGRESQL
    driver = "psycopg"
    package = ("psycopg 3", "psycopg[binary]")
    begin = "BEGIN"
    read_only_mode = " READ ONLY"
    begin_snapshot = ("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",)
    begins_together = True
    row_converters: ClassVar = {}
    copy_from = 32  # for fewer, its own round trips cost more than an INSERT saves

    @property
    def pipelines(self) -> bool:
        return _pipelines()

    def send_together(
        self,
        connection: Any,
        ahead: Sequence[tuple[str, tuple[Any, ...] | None]],
        send: Callable[[], object],
        matched: list[int],
    ) -> None:
        cursors = [connection.cursor() for _ in ahead]
        try:
            with connection.pipeline():
                for cursor, (sql, values) in zip(cursors, ahead, strict=True):
                    cursor.execute(sql, values)
                send()
        finally:
            answered = takewhile(lambda cursor: cursor.pgresult is not None, cursors)
            matched += [cursor.rowcount for cursor in answered]

    def connect_arguments(self, config: DatabaseConfig) -> dict[str, Any]:
        user_timeout, idle, interval, count = socket_limits(config.network_timeout)
        return {
            "autocommit": True,
            "client_encoding": "utf8",
            "application_name": "cardlink-sql",
            "connect_timeout": math.ceil(config.connect_timeout),
            # A long statement may be silent for long; a host that is gone acknowledges nothing.
            "tcp_user_timeout": user_timeout,
            "keepalives_idle": idle,
            "keepalives_interval": interval,
            "keepalives_count": count,
        }

    def connect(self, options: dict[str, Any], deadline: float) -> Any:
        from cardlink_sql.database.postgresql_connection import DeadlineConnection, RowCursor

        connection = DeadlineConnection.connect(**options, cursor_factory=RowCursor)
        connection.deadline = deadline
        return connection

    def is_timeout(self, error: Exception) -> bool:
        return getattr(error, "sqlstate", None) is None and "timed out" in str(error)

    def settle(self, connection: Any, config: DatabaseConfig, *, read_only: bool) -> None:
        # No session is read-only, for a pooler would hand that on: its transactions are.
        statements = InternalStatements(self.dialect, connection)
        is_pooled = statements.value(
            "connection.settings", client_pid=connection.pgconn.backend_pid
        )
        calls = config.prepare_threshold
        # PgBouncer before 1.21 mixes up what its clients have prepared.
        if calls == "none" or (calls is None and is_pooled):
            connection.prepare_threshold = None
        elif calls is not None:
            connection.prepare_threshold = calls

    def host_of(self, connection: Any) -> tuple[str, int]:
        return connection.info.host, connection.info.port

    def encoding_note(self, connection: Any) -> str | None:
        encoding = connection.info.parameter_status("server_encoding")
        if encoding in ("UTF8", "SQL_ASCII"):  # SQL_ASCII keeps bytes as they come
            return None
        return (
            f"the database is {encoding} and refuses text that {encoding} has no character for; "
            "CREATE DATABASE … ENCODING 'UTF8' makes one that keeps all"
        )

    def in_transaction(self, connection: Any) -> bool:
        return bool(connection.pgconn.transaction_status)  # 0 is IDLE

    def diagnose(self, error: Exception) -> tuple[Fault, str | None]:
        state = getattr(error, "sqlstate", None)
        if state is None:
            if type(error).__name__ in ("DataError", "ProgrammingError"):
                return Fault.VALUE, None
            return Fault.CONNECTION, str(error).strip().splitlines()[0]
        classes = (state, state[:3], state[:2])
        fault = next((_FAULTS[key] for key in classes if key in _FAULTS), Fault.OTHER)
        if fault in (*CONFLICTS, Fault.VALUE):
            return fault, None
        detail: Any = getattr(error, "diag", None)
        if detail.severity_nonlocalized in ("FATAL", "PANIC"):  # they end the connection
            return Fault.CONNECTION, detail.message_primary
        return fault, detail.constraint_name or detail.column_name or detail.message_primary

    def write_many(self, cursor: Any, query: Query, sql: str, rows: Sequence[Any]) -> None:
        """Send INSERTs of 64, 32, … 1 rows, so that there are few statements to prepare."""
        connection = cursor.connection
        is_alone = not connection.pgconn.pipeline_status
        with connection.pipeline() if is_alone and self.pipelines else nullcontext():
            start, size = 0, _BATCH_ROWS
            while start < len(rows):
                while size > len(rows) - start:
                    size //= 2
                chunk = rows[start : start + size]
                values = list(chain.from_iterable(chunk))
                connection.cursor().execute(query.for_rows(size), values)
                start += size

    def copy(self, connection: Any, sql: str, rows: Sequence[tuple[Any, ...]]) -> None:
        """Send rows by COPY; ``BEGIN`` may precede it in ``sql``, which saves a round trip.

        ``Cursor.copy`` takes one statement only, so the COPY is started without it.
        """
        from psycopg import Copy, errors, generators, pq

        connection.pgconn.send_query(sql.encode())
        result = connection.wait(generators.execute(connection.pgconn))[-1]
        if result.status != pq.ExecStatus.COPY_IN:
            raise errors.error_from_result(result)
        with Copy(connection.cursor()) as copy:
            for row in rows:
                copy.write_row(row)


@cache
def _pipelines() -> bool:
    from psycopg import Pipeline

    return Pipeline.is_supported()  # libpq has it since PostgreSQL 14


BACKEND: Final = PostgreSQL()
