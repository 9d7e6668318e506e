"""PostgreSQL at run time."""

from typing import Any, ClassVar, Final

from cardlink_sql.database.backend import Backend
from cardlink_sql.database.faults import Fault
from cardlink_sql.dialect import Dialect

# By SQLSTATE, or by its first three or two characters.
_FAULTS: Final = {
    "23505": Fault.DUPLICATE,
    "23503": Fault.PARENT,
    "23001": Fault.PARENT,
    "23502": Fault.NOT_NULL,
    "23514": Fault.CHECK,
    "40": Fault.CONFLICT,
    "55P03": Fault.CONFLICT,
    "08": Fault.CONNECTION,
    "53300": Fault.CONNECTION,
    "57P": Fault.CONNECTION,
    "22": Fault.VALUE,
    "42P01": Fault.NO_TABLE,
    "42703": Fault.NO_TABLE,
    "25006": Fault.READ_ONLY,
    "42501": Fault.RIGHTS,
}


class PostgreSQL(Backend):
    """PostgreSQL, by psycopg."""

    dialect = Dialect.POSTGRESQL
    package = ("psycopg 3", "postgresql")
    begin = "BEGIN"
    begin_snapshot = ("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",)
    settings: ClassVar = ("use_utc", "lock_timeout")

    @property
    def driver_error(self) -> type[Exception]:
        from psycopg import Error

        return Error

    def connect_arguments(self) -> dict[str, Any]:
        return {"autocommit": True, "client_encoding": "utf8", "application_name": "cardlink-sql"}

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
        if fault in (Fault.CONFLICT, Fault.VALUE):
            return fault, None
        detail: Any = getattr(error, "diag", None)
        return fault, detail.constraint_name or detail.column_name or detail.message_primary


BACKEND: Final = PostgreSQL()
