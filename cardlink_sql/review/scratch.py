"""Temporary databases to try queries on, dropped afterwards."""

import secrets
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from cardlink_sql.config import DatabaseConfig
from cardlink_sql.database.dead_scratch import clear_dead_scratch
from cardlink_sql.database.internal import InternalStatements
from cardlink_sql.database.sqlite import add_functions
from cardlink_sql.database.sqlite_file import open_read_only
from cardlink_sql.dialect import Dialect
from cardlink_sql.errors import DatabaseError
from cardlink_sql.manager import DatabaseManager
from cardlink_sql.queries.resources import folder
from cardlink_sql.schema.migrator import driver
from cardlink_sql.schema.migrator.files import read_migrations


@contextmanager
def sqlite_in_memory() -> Iterator[sqlite3.Connection]:
    """Yield an in-memory SQLite database, created by the migrations."""
    connection = _in_memory()
    try:
        for migration in read_migrations(folder("migrations"), Dialect.SQLITE):
            for statement in migration.statements("apply"):
                statement.run(connection)
        yield connection
    finally:
        connection.close()


@contextmanager
def schema_in_memory(file: Path) -> Iterator[sqlite3.Connection]:
    """Yield an in-memory SQLite database with the schema of a file, which is only read.

    Raises:
        ConnectionError: the file cannot be read.
    """
    source, connection = open_read_only(file), _in_memory()
    try:
        for (sql,) in InternalStatements(Dialect.SQLITE, source).rows("review.definitions"):
            connection.execute(sql)
        yield connection
    finally:
        connection.close()
        source.close()


def _in_memory() -> sqlite3.Connection:
    connection = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
    add_functions(connection)
    return connection


@contextmanager
def scratch_database(config: DatabaseConfig) -> Iterator[DatabaseManager]:
    """Yield an empty database on the same server, dropped at the end; on SQLite one in memory.

    Args:
        config: of any database on that server, which is not changed.

    Raises:
        DatabaseError: the user may not create a database.
        ConnectionError: no connection.
    """
    if config.dialect is Dialect.SQLITE:
        with DatabaseManager(DatabaseConfig("sqlite:///:memory:")) as manager:
            yield manager
        return
    with DatabaseManager(config) as server:
        clear_dead_scratch(server.engine, config.dialect)
        with closing(server.take_connection()) as pooled:
            session = InternalStatements(config.dialect, pooled.driver_connection)
            name = session.value("review.claim_database", token=secrets.token_hex(6))
            _run(session, config, "review.create_database", name)
            try:
                url = config.engine_url.set(database=name).render_as_string(hide_password=False)
                with DatabaseManager(DatabaseConfig(url)) as made:
                    yield made
            finally:
                _run(session, config, "review.drop_database", name)


def _run(session: InternalStatements, config: DatabaseConfig, title: str, name: str) -> None:
    try:
        session.rows(title, database=name)
    except session.connection.Error as error:
        raise DatabaseError(
            f"no scratch database: {driver.message(error)}",
            config.safe_url,
            "connect as a user with CREATE DATABASE, on a test server",
        ) from error
