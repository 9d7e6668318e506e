"""Databases to try queries on, migrated from the files."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cardlink_sql.database.sqlite_file import open_read_only
from cardlink_sql.dialect import Dialect
from cardlink_sql.resources import folder
from cardlink_sql.schema.migrator.files import read_migrations


@contextmanager
def sqlite_in_memory() -> Iterator[sqlite3.Connection]:
    """An SQLite database in memory, made by the migrations."""
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
    """An SQLite database in memory with the schema of a file, which is only read.

    Raises:
        ConnectionError: the file cannot be read.
    """
    source, connection = open_read_only(file), _in_memory()
    try:
        # Tables first: an index or a trigger needs its own.
        rows = source.execute(
            "SELECT sql FROM sqlite_master WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite!_%'"
            " ESCAPE '!' ORDER BY type <> 'table', rowid"
        ).fetchall()
        for (sql,) in rows:
            connection.execute(sql)
        yield connection
    finally:
        connection.close()
        source.close()


def _in_memory() -> sqlite3.Connection:
    connection = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
    connection.create_function("lower", 1, str.lower, deterministic=True)
    return connection
