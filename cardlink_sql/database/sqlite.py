"""SQLite at run time."""

import re
import sqlite3
from collections.abc import Sequence
from datetime import datetime
from itertools import chain
from time import monotonic
from typing import Any, ClassVar, Final

from cardlink_sql.config import DatabaseConfig
from cardlink_sql.database.backend import LOCK_TIMEOUT_MS, Backend
from cardlink_sql.database.faults import Fault
from cardlink_sql.database.internal import InternalStatements
from cardlink_sql.database.sqlite_file import make_file
from cardlink_sql.dialect import Dialect
from cardlink_sql.queries import Query

# Rows in one VALUES: more gain little, and an SQLite before 3.32 takes 999 parameters.
_BATCH_ROWS: Final = 100

# How many steps of SQLite's machine are between two looks at the time; a look-up takes fewer.
_LOOK_EVERY: Final = 1000

_FAULTS: Final = {
    "SQLITE_CONSTRAINT_UNIQUE": Fault.DUPLICATE,
    "SQLITE_CONSTRAINT_PRIMARYKEY": Fault.DUPLICATE,
    "SQLITE_CONSTRAINT_ROWID": Fault.DUPLICATE,
    "SQLITE_CONSTRAINT_FOREIGNKEY": Fault.PARENT,
    "SQLITE_CONSTRAINT_NOTNULL": Fault.NOT_NULL,
    "SQLITE_CONSTRAINT_CHECK": Fault.CHECK,
    "SQLITE_CANTOPEN": Fault.CONNECTION,
    "SQLITE_CORRUPT": Fault.DAMAGED,
    "SQLITE_NOTADB": Fault.DAMAGED,
    "SQLITE_READONLY": Fault.READ_ONLY,
    "SQLITE_FULL": Fault.FULL,
    "SQLITE_IOERR_SHMSIZE": Fault.FULL,  # the index of the log could not grow
}

_MISSING: Final = re.compile(r"^no such (table|column)|has no column named")
_TIMES: Final = {datetime: datetime.fromisoformat}


class SQLite(Backend):
    """SQLite, by Python's own driver."""

    dialect = Dialect.SQLITE
    driver = "sqlite3"
    package = ("sqlite3", "")
    # IMMEDIATE takes the write lock at once: a transaction that reads first and writes later
    # could otherwise fail at its first write, after its work.
    begin = "BEGIN IMMEDIATE"
    begins_before_reading = True
    begin_snapshot = ("BEGIN DEFERRED",)
    settings: ClassVar = ("check_foreign_keys", "sync_normal", "cache_size", "temporary_in_memory")
    leaves_answers = False
    row_converters: ClassVar = Backend.row_converters | _TIMES
    bound_converters: ClassVar = Backend.bound_converters | _TIMES
    purge_rows = 1_000  # a batch holds up all other writers, for 10 to 20 ms
    hint = "check that the folder exists and may be written, and that the file is SQLite"

    def connect_arguments(self, config: DatabaseConfig) -> dict[str, Any]:
        return {"isolation_level": None, "check_same_thread": False, "cached_statements": 512}

    def prepare(self, config: DatabaseConfig, options: dict[str, Any], *, read_only: bool) -> None:
        if config.file is not None and not read_only:
            make_file(config.file)

    def connect(self, options: dict[str, Any], deadline: float) -> Any:
        options["timeout"] = max(0.0, deadline - monotonic())

    def limit(self, connection: Any, deadline: float | None) -> None:
        seconds = LOCK_TIMEOUT_MS / 1000
        if deadline is None:
            connection.set_progress_handler(None, 0)
        else:
            seconds = min(seconds, max(0.0, deadline - monotonic()))
            connection.set_progress_handler(lambda: monotonic() >= deadline, _LOOK_EVERY)
        statements = InternalStatements(Dialect.SQLITE, connection)
        statements.rows("connection.busy_timeout", milliseconds=str(round(seconds * 1000)))

    def is_timeout(self, error: Exception) -> bool:
        return getattr(error, "sqlite_errorname", None) == "SQLITE_INTERRUPT"

    def settle(self, connection: Any, config: DatabaseConfig, *, read_only: bool) -> None:
        # SQLite's own knows ASCII only; its ICU extension replaces it in the same way.
        connection.create_function("lower", 1, _lower, deterministic=True)
        if not read_only:
            self._use_wal(connection)
        super().settle(connection, config, read_only=read_only)

    def _use_wal(self, connection: sqlite3.Connection) -> None:
        """Set the journal of an SQLite file, which keeps it.

        One that is read-only, or that another program uses in another mode, stays as it is.
        """
        statements = InternalStatements(Dialect.SQLITE, connection)
        milliseconds = str(statements.value("connection.busy_timeout_now"))
        # Others wait for a transaction that uses the file in its old mode, a read does not need to.
        statements.rows("connection.busy_timeout", milliseconds="0")
        try:
            statements.rows("connection.use_wal")
        except sqlite3.OperationalError as error:
            if not error.sqlite_errorname.startswith(("SQLITE_READONLY", "SQLITE_BUSY")):
                raise
        finally:
            statements.rows("connection.busy_timeout", milliseconds=milliseconds)

    def find_damage(self, connection: Any) -> str | None:
        try:
            found = InternalStatements(Dialect.SQLITE, connection).value("connection.quick_check")
        except sqlite3.DatabaseError as error:
            if self.diagnose(error)[0] is not Fault.DAMAGED:
                raise
            found = str(error)
        return None if found == "ok" else str(found).splitlines()[-1]

    def in_transaction(self, connection: Any) -> bool:
        return bool(connection.in_transaction)

    def diagnose(self, error: Exception) -> tuple[Fault, str | None]:
        name = getattr(error, "sqlite_errorname", "") or ""
        message = str(error)
        if name == "SQLITE_BUSY_SNAPSHOT":
            return Fault.CONFLICT, None
        if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
            return Fault.LOCKED, None
        if _MISSING.search(message):
            return Fault.NO_TABLE, message
        fault = _FAULTS.get(name) or _FAULTS.get("_".join(name.split("_")[:2]))
        if fault in (Fault.DUPLICATE, Fault.NOT_NULL, Fault.CHECK):
            return fault, message.rpartition("failed: ")[2]
        if fault is not None:
            return fault, None
        is_value = isinstance(error, sqlite3.DataError | sqlite3.InterfaceError)
        return (Fault.VALUE, None) if is_value else (Fault.OTHER, message)

    def write_many(self, cursor: Any, query: Query, sql: str, rows: Sequence[Any]) -> None:
        whole = len(rows) - len(rows) % _BATCH_ROWS
        for start in range(0, whole, _BATCH_ROWS):
            chunk = rows[start : start + _BATCH_ROWS]
            cursor.execute(query.for_rows(_BATCH_ROWS), list(chain.from_iterable(chunk)))
        if whole < len(rows):
            cursor.executemany(sql, rows[whole:])


def _lower(value: Any) -> Any:
    # Letter by letter, as the servers do: Python's own lower() looks at the letters around.
    return "".join(map(str.lower, value)) if isinstance(value, str) else value


BACKEND: Final = SQLite()
