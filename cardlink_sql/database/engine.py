"""One SQLAlchemy engine per database: its pool and the settings of each connection.

Every driver connection is in autocommit, and a transaction is opened with an explicit
``BEGIN``: by the unit of work, or by SQLAlchemy for those who use the engine themselves.
A read then costs one round trip, where a driver's implicit BEGIN and the pool's ROLLBACK
would make it three.
"""

import sqlite3
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.pool import QueuePool

from cardlink_sql.config import DatabaseConfig
from cardlink_sql.database.sqlite_file import open_read_only
from cardlink_sql.dialect import Dialect
from cardlink_sql.errors import ConnectionError

# How long a statement waits for a lock that another transaction holds, on every backend.
LOCK_TIMEOUT_MS: Final = 10_000

_SQLITE_WAL: Final = "PRAGMA journal_mode = WAL"
_SQLITE_PRAGMAS: Final = (
    "PRAGMA foreign_keys = ON",
    "PRAGMA synchronous = NORMAL",
    "PRAGMA cache_size = -65536",  # KiB, so 64 MB
    # In a file, what SQLite keeps to undo one statement slows an INSERT of many rows by a third.
    "PRAGMA temp_store = MEMORY",
)

# The modes are named in full: the lexer's rules and the refusal of bad values rest on them.
# READ COMMITTED, as on PostgreSQL: after an UPDATE that found no row, the read that explains
# why must see what the other transaction committed.
_MYSQL_SETTINGS: Final = (
    "SET time_zone = '+00:00',"
    " sql_mode = 'STRICT_ALL_TABLES,ONLY_FULL_GROUP_BY,NO_ZERO_IN_DATE,NO_ZERO_DATE,"
    "ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION'",
    "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED",
    f"SET innodb_lock_wait_timeout = {LOCK_TIMEOUT_MS // 1000},"
    f" lock_wait_timeout = {LOCK_TIMEOUT_MS // 1000}",
)

_POSTGRESQL_SETTINGS: Final = ("SET TIME ZONE 'UTC'", f"SET lock_timeout = {LOCK_TIMEOUT_MS}")

_DRIVER_PACKAGES: Final = {
    Dialect.MYSQL: ("PyMySQL", "mysql"),
    Dialect.POSTGRESQL: ("psycopg 3", "postgresql"),
}


def make_engine(config: DatabaseConfig, *, read_only: bool = False) -> Engine:
    """An engine for the database; nothing is connected yet.

    Args:
        config: where the database is.
        read_only: an SQLite file is opened so that nothing of it or beside it is written; a
            server refuses to write.

    Raises:
        ConnectionError: the driver is not installed.
    """
    # A database in memory is its connection: there is one, and the units of work take turns.
    pool_size, max_overflow = (
        (1, 0) if config.is_memory else (config.pool_size, config.max_overflow)
    )
    try:
        engine = create_engine(
            config.engine_url,
            poolclass=QueuePool,
            pool_size=pool_size,
            max_overflow=max_overflow,
            pool_timeout=config.pool_timeout,
            pool_use_lifo=True,
            pool_reset_on_return=None,
            echo=config.echo,
            hide_parameters=True,
            connect_args=_CONNECT_ARGUMENTS[config.dialect](),
            **_read_only_creator(config) if read_only else {},
        )
    except ModuleNotFoundError as error:
        package, extra = _DRIVER_PACKAGES[config.dialect]
        raise ConnectionError(
            f"the driver for {config.dialect} is not installed: {package}",
            remedy=f"pip install 'cardlink-sql[{extra}]'",
        ) from error
    except TypeError as error:
        raise ConnectionError(
            "the database URL has an option that the driver does not take",
            config.safe_url,
        ) from error
    _listen(engine, config, read_only=read_only)
    return engine


def in_transaction(dialect: Dialect, connection: Any) -> bool:
    """Whether a driver connection has a transaction open."""
    return _IN_TRANSACTION[dialect](connection)


def make_parent_folder(file: Path) -> None:
    """The folder of an SQLite file, made if it is not there.

    Raises:
        ConnectionError: it cannot be made.
    """
    folder = file.parent
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConnectionError(
            f"the folder of the database cannot be made: {error.strerror}",
            str(folder),
            "name another file in the URL, or make the folder",
        ) from error


def _sqlite_arguments() -> dict[str, Any]:
    return {
        "isolation_level": None,
        "check_same_thread": False,
        "timeout": LOCK_TIMEOUT_MS / 1000,
        "cached_statements": 512,
    }


def _mysql_arguments() -> dict[str, Any]:
    from pymysql import converters
    from pymysql.constants import FIELD_TYPE

    def read_datetime(text: str) -> datetime:
        return datetime.fromisoformat(f"{text}+00:00")

    return {
        "autocommit": True,
        "charset": "utf8mb4",
        "conv": {**converters.conversions, FIELD_TYPE.DATETIME: read_datetime},
    }


def _postgresql_arguments() -> dict[str, Any]:
    return {"autocommit": True, "client_encoding": "utf8", "application_name": "cardlink-sql"}


_CONNECT_ARGUMENTS: Final[dict[Dialect, Callable[[], dict[str, Any]]]] = {
    Dialect.SQLITE: _sqlite_arguments,
    Dialect.MYSQL: _mysql_arguments,
    Dialect.POSTGRESQL: _postgresql_arguments,
}

_SETTINGS: Final = {
    Dialect.SQLITE: _SQLITE_PRAGMAS,
    Dialect.MYSQL: _MYSQL_SETTINGS,
    Dialect.POSTGRESQL: _POSTGRESQL_SETTINGS,
}

_READ_ONLY: Final = {
    Dialect.SQLITE: "PRAGMA query_only = ON",
    Dialect.MYSQL: "SET SESSION TRANSACTION READ ONLY",
    Dialect.POSTGRESQL: "SET default_transaction_read_only = on",
}


def _lower(value: object) -> object:
    # Letter by letter, as the servers do: Python's own lower() looks at the letters around.
    return "".join(map(str.lower, value)) if isinstance(value, str) else value


def _sqlite_in_transaction(connection: sqlite3.Connection) -> bool:
    return connection.in_transaction


def _mysql_in_transaction(connection: Any) -> bool:
    return bool(connection.server_status & 1)  # SERVER_STATUS_IN_TRANS of the protocol


def _postgresql_in_transaction(connection: Any) -> bool:
    return bool(connection.pgconn.transaction_status)  # 0 is IDLE


_IN_TRANSACTION: Final[dict[Dialect, Callable[[Any], bool]]] = {
    Dialect.SQLITE: _sqlite_in_transaction,
    Dialect.MYSQL: _mysql_in_transaction,
    Dialect.POSTGRESQL: _postgresql_in_transaction,
}


def _read_only_creator(config: DatabaseConfig) -> dict[str, Any]:
    if not config.is_sqlite or config.is_memory:
        return {}
    return {"creator": lambda: open_read_only(Path(config.engine_url.database or ""))}


def _use_wal(connection: sqlite3.Connection) -> None:
    """Set the journal of an SQLite file, which keeps it; one that is read-only stays as it is."""
    try:
        connection.execute(_SQLITE_WAL)
    except sqlite3.OperationalError as error:
        if not error.sqlite_errorname.startswith("SQLITE_READONLY"):
            raise


def _listen(engine: Engine, config: DatabaseConfig, *, read_only: bool) -> None:
    dialect = config.dialect
    settings = (*_SETTINGS[dialect], *((_READ_ONLY[dialect],) if read_only else ()))
    is_open = _IN_TRANSACTION[dialect]

    @event.listens_for(engine, "do_connect")
    def prepare(_dialect: Any, _record: Any, _arguments: Any, options: dict[str, Any]) -> None:
        if config.is_sqlite and not config.is_memory and not read_only:
            make_parent_folder(Path(config.engine_url.database or ""))
        password = options.get("password")
        if config.is_mysql and isinstance(password, str):
            # PyMySQL would send Latin-1, and give up where there is no such character.
            options["password"] = password.encode()

    @event.listens_for(engine, "connect")
    def settle(connection: Any, _record: Any) -> None:
        if dialect is Dialect.SQLITE:
            # SQLite's own knows ASCII only; its ICU extension replaces it in the same way.
            connection.create_function("lower", 1, _lower, deterministic=True)
            if not read_only:
                _use_wal(connection)
        cursor = connection.cursor()
        for setting in settings:
            cursor.execute(setting)
        cursor.close()

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN")

    @event.listens_for(engine, "reset")
    def reset(connection: Any, record: Any, _state: Any) -> None:
        try:
            if is_open(connection):
                connection.rollback()
        except engine.dialect.loaded_dbapi.Error:
            if record is not None:
                record.invalidate()
