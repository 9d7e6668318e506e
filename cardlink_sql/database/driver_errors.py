"""The drivers' errors, told apart and put into the project's own words.

One sentence for each kind of fault, whichever backend it comes from. A driver's own text is
kept out of the message where it may quote a row.
"""

import re
import sqlite3
from collections.abc import Callable
from enum import Enum, auto
from typing import Any, Final

from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from cardlink_sql.config import without_secrets
from cardlink_sql.dialect import Dialect
from cardlink_sql.errors import (
    CommitInDoubtError,
    ConflictError,
    ConnectionError,
    DatabaseError,
    IntegrityError,
    QueryError,
    ValidationError,
)


class Fault(Enum):
    """What went wrong, whichever driver says so."""

    DUPLICATE = auto()
    PARENT = auto()
    NOT_NULL = auto()
    CHECK = auto()
    CONFLICT = auto()
    CONNECTION = auto()
    VALUE = auto()
    NO_TABLE = auto()
    READ_ONLY = auto()
    RIGHTS = auto()
    DAMAGED = auto()
    OTHER = auto()


_SENTENCES: Final[dict[Fault, tuple[type[DatabaseError], str, str | None]]] = {
    Fault.DUPLICATE: (IntegrityError, "a row with this key exists already", None),
    Fault.PARENT: (
        IntegrityError,
        "the row that this one refers to does not exist, or others still refer to this one",
        None,
    ),
    Fault.NOT_NULL: (IntegrityError, "a column that needs a value got none", None),
    Fault.CHECK: (IntegrityError, "a CHECK constraint refuses the value", None),
    Fault.CONFLICT: (
        ConflictError,
        "another transaction was in the way, and this one was rolled back",
        "run the unit of work again",
    ),
    Fault.CONNECTION: (
        ConnectionError,
        "the connection to the database broke",
        "run the unit of work again; nothing of it was committed",
    ),
    Fault.VALUE: (ValidationError, "the database cannot keep a value", None),
    Fault.NO_TABLE: (
        QueryError,
        "a table or column of the schema is missing",
        "run: cardlink-db migrate",
    ),
    Fault.READ_ONLY: (QueryError, "the database is read-only", None),
    Fault.RIGHTS: (QueryError, "the database role may not do this", "grant it the right"),
    Fault.DAMAGED: (
        QueryError,
        "the file is damaged, or is no SQLite database",
        "restore it from a backup, or name another file",
    ),
    Fault.OTHER: (QueryError, "the database refused the statement", None),
}

_SQLITE_FAULTS: Final = {
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
}

_MYSQL_FAULTS: Final = {
    **dict.fromkeys((1022, 1062, 1586), Fault.DUPLICATE),
    **dict.fromkeys((1216, 1217, 1451, 1452), Fault.PARENT),
    **dict.fromkeys((1048, 1364), Fault.NOT_NULL),
    **dict.fromkeys((3819, 4025), Fault.CHECK),
    # 1180 and 1213 are Galera's certification failures too; 1020 is MariaDB's snapshot check.
    **dict.fromkeys((1020, 1180, 1205, 1213, 3572), Fault.CONFLICT),
    **dict.fromkeys(
        (1040, 1045, 1047, 1049, 1053, 1077, 1152, 1158, 1159, 1160, 1161, 1203, 1226,
         1927, 2002, 2003, 2006, 2013, 2055, 4031),
        Fault.CONNECTION,
    ),
    **dict.fromkeys((1264, 1292, 1366, 1406, 3140, 4025), Fault.VALUE),
    **dict.fromkeys((1054, 1146), Fault.NO_TABLE),
    **dict.fromkeys((1290, 1792, 1836), Fault.READ_ONLY),
    # 1044 is met in connecting, too: connection_error() tells that.
    **dict.fromkeys((1044, 1142, 1143, 1227, 1370), Fault.RIGHTS),
    4025: Fault.CHECK,
}  # fmt: skip

_SQLSTATE_FAULTS: Final = {
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


def translate(dialect: Dialect, error: Exception, where: str | None) -> DatabaseError:
    """The project's error for a driver's.

    Args:
        dialect: whose driver raised it.
        error: what it raised.
        where: the query, or another place to name.
    """
    if isinstance(error, UnicodeError | OverflowError):
        return ValidationError("the database cannot keep a value", where)
    fault, detail = _DIAGNOSES[dialect](error)
    kind, what, remedy = _SENTENCES[fault]
    translated = kind(f"{what}: {detail}" if detail else what, where, remedy)
    if isinstance(translated, QueryError) and detail:
        translated.detail = detail
    return translated


def translate_commit(dialect: Dialect, error: Exception) -> DatabaseError:
    """Return the project's error for what a COMMIT raised.

    A server that was reached may have committed before its answer was lost. SQLite answers within
    the process, so it never leaves that open.
    """
    fault = translate(dialect, error, "COMMIT")
    if isinstance(fault, ConnectionError) and dialect is not Dialect.SQLITE:
        return CommitInDoubtError(
            "the connection to the database broke during COMMIT, so its answer is lost",
            "COMMIT",
            "check whether the rows are there before you run the unit of work again",
        )
    return fault


def connection_error(dialect: Dialect, error: Exception, url: URL) -> ConnectionError:
    """The error for a connection that could not be had; the password never shows.

    Args:
        dialect: whose driver raised it.
        error: what it raised, or what the pool did.
        url: where the connection was to go.
    """
    where = without_secrets(url)
    if isinstance(error, PoolTimeoutError):
        return ConnectionError(
            "every connection of the pool is in use",
            where,
            "end units of work sooner, or raise pool_size or pool_timeout",
        )
    if isinstance(error, UnicodeError):
        return ConnectionError(
            "the user, the password or the host holds a character that cannot be sent", where
        )
    cause = error.orig if isinstance(error, DBAPIError) and error.orig else error
    text = " ".join(str(part) for part in cause.args[-1:]).strip() or type(cause).__name__
    line = text.splitlines()[0]
    if url.password:
        line = line.replace(str(url.password), "***")
    if _NO_DATABASE.search(line):
        return ConnectionError(f"cannot connect: {line}", where, "create the database first")
    is_option = not isinstance(error, DBAPIError) and bool(url.query)
    hint = "check the options behind ? in the URL" if is_option else _HINTS[dialect]
    return ConnectionError(f"cannot connect: {line}", where, hint)


_CHECK_SERVER: Final = "check host, port, user, password and database, and that the server runs"
_NO_DATABASE: Final = re.compile(r'database ".*" does not exist|Unknown database')
_HINTS: Final = {
    Dialect.SQLITE: "check that the folder exists and may be written, and that the file is SQLite",
    Dialect.MYSQL: _CHECK_SERVER,
    Dialect.POSTGRESQL: _CHECK_SERVER,
}


def _sqlite(error: Exception) -> tuple[Fault, str | None]:
    name = getattr(error, "sqlite_errorname", "") or ""
    message = str(error)
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return Fault.CONFLICT, None
    if message.startswith(("no such table", "no such column")):
        return Fault.NO_TABLE, message
    fault = _SQLITE_FAULTS.get(name) or _SQLITE_FAULTS.get("_".join(name.split("_")[:2]))
    if fault in (Fault.DUPLICATE, Fault.NOT_NULL, Fault.CHECK):
        return fault, message.rpartition("failed: ")[2]
    if fault is not None:
        return fault, None
    is_value = isinstance(error, sqlite3.DataError | sqlite3.InterfaceError)
    return (Fault.VALUE, None) if is_value else (Fault.OTHER, message)


_MYSQL_NAME: Final = re.compile(r"(?:for key|CONSTRAINT|Column|column)\s+[`'](?P<name>[^`']+)[`']")


def _mysql(error: Exception) -> tuple[Fault, str | None]:
    number = error.args[0] if error.args else 0
    message = str(error.args[1]) if len(error.args) > 1 else str(error)
    fault = _MYSQL_FAULTS.get(number, Fault.OTHER)
    if number == 0 or (fault is Fault.OTHER and type(error).__name__ == "InterfaceError"):
        return Fault.CONNECTION, None
    if fault is Fault.CONFLICT:
        return fault, None
    named = _MYSQL_NAME.search(message)
    if fault in (Fault.DUPLICATE, Fault.PARENT, Fault.NOT_NULL, Fault.CHECK, Fault.VALUE):
        return fault, named["name"] if named else None
    return fault, message


def _postgresql(error: Exception) -> tuple[Fault, str | None]:
    state = getattr(error, "sqlstate", None)
    detail: Any = getattr(error, "diag", None)
    if state is None:
        is_value = type(error).__name__ in ("DataError", "ProgrammingError")
        fault = Fault.VALUE if is_value else Fault.CONNECTION
        return fault, None if is_value else str(error).strip().splitlines()[0]
    fault = next(
        (_SQLSTATE_FAULTS[key] for key in (state, state[:3], state[:2]) if key in _SQLSTATE_FAULTS),
        Fault.OTHER,
    )
    if fault in (Fault.CONFLICT, Fault.VALUE):
        return fault, None
    return fault, detail.constraint_name or detail.column_name or detail.message_primary


_DIAGNOSES: Final[dict[Dialect, Callable[[Exception], tuple[Fault, str | None]]]] = {
    Dialect.SQLITE: _sqlite,
    Dialect.MYSQL: _mysql,
    Dialect.POSTGRESQL: _postgresql,
}
