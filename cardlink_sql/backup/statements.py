"""The SQL that names a table, a schema or a database in a place that takes no bound value.

Every name is quoted by the dialect's own preparer; the tables are those of the schema and the
bookkeeping, and the other names are made here or asked of the server.
"""

from typing import Final

from sqlalchemy.dialects.mysql.base import MySQLDialect
from sqlalchemy.dialects.postgresql.base import PGDialect
from sqlalchemy.dialects.sqlite.base import SQLiteDialect
from sqlalchemy.sql.compiler import IdentifierPreparer

from cardlink_sql.dialect import Dialect

_PREPARERS: Final[dict[Dialect, IdentifierPreparer]] = {
    Dialect.SQLITE: SQLiteDialect().identifier_preparer,
    Dialect.MYSQL: MySQLDialect().identifier_preparer,
    Dialect.POSTGRESQL: PGDialect().identifier_preparer,  # type: ignore[no-untyped-call]
}


def quoted(dialect: Dialect, *names: str) -> str:
    """A name, with what it is in before it: ``"public"."devices"``."""
    return ".".join(_PREPARERS[dialect].quote_identifier(name) for name in names)


def count_rows(dialect: Dialect, *table: str) -> str:
    """The rows of a table."""
    return f"SELECT COUNT(*) FROM {quoted(dialect, *table)}"  # noqa: S608 - a quoted name


SQLITE_READ: Final = "SELECT COUNT(*) FROM sqlite_master"
SQLITE_ONE_FILE: Final = "PRAGMA journal_mode = DELETE"
SQLITE_JOURNAL: Final = "PRAGMA journal_mode"
SQLITE_LOCK: Final = "BEGIN EXCLUSIVE"
SQLITE_ALONE: Final = "PRAGMA locking_mode = EXCLUSIVE"
SQLITE_INTEGRITY: Final = "PRAGMA integrity_check(1)"
SQLITE_ORPHANS: Final = "PRAGMA foreign_key_check"
