"""Statements that cannot be undone, and how to continue after an interrupted one."""

import re
from typing import Final

from cardlink_sql.errors import DriftError, MigrationError
from cardlink_sql.schema.migrator import driver
from cardlink_sql.schema.migrator.bookkeeping import JOURNAL_TABLE
from cardlink_sql.schema.migrator.files import (
    Direction,
    MigrationStatement,
    SQLMigration,
    statements_checksum,
)
from cardlink_sql.schema.migrator.journal import JournalEntry

_REPEATABLE: Final = re.compile(
    r"\s*(CREATE|ALTER|DROP|SET|GRANT|REVOKE|ANALYZE|OPTIMIZE|TRUNCATE|VACUUM|PRAGMA|REINDEX)\b",
    re.IGNORECASE,
)
_SETTING: Final = re.compile(r"\s*SET\s+(?!GLOBAL\b|PERSIST\w*\b|@)", re.IGNORECASE)
# Repeating these would create a second index or constraint, named by the server.
_NAMELESS: Final = re.compile(
    r"\bINDEX\s+CONCURRENTLY\s+ON\b|\bADD\s+(?:CONSTRAINT\s+)?(?:UNIQUE|(?:UNIQUE\s+|FULLTEXT\s+|SPATIAL\s+)?(?:INDEX|KEY)"
    r"|FOREIGN\s+KEY|CHECK)\s*\(",
    re.IGNORECASE,
)
# MySQL and MariaDB: table, column, index, key, routine, trigger, event, constraint.
_EXISTS: Final = frozenset(
    {1007, 1050, 1060, 1061, 1068, 1304, 1359, 1537, 1826, 3822}
    | {"42P06", "42P07", "42701", "42710", "42723"}
)
_GONE: Final = frozenset(
    {1008, 1051, 1091, 1305, 1360, 1539, 3821, 4092} | {"3F000", "42P01", "42703", "42704", "42883"}
)
_MARIADB_DUPLICATE_FOREIGN_KEY: Final = (1005, "errno: 121")


def is_setting(statement: MigrationStatement) -> bool:
    """Return whether a statement changes a setting of the session, which ends with it."""
    return _SETTING.match(statement.code) is not None


def check(entry: JournalEntry, migration: SQLMigration, direction: Direction) -> None:
    """Refuse to continue if the file no longer begins with the committed statements."""
    statements = migration.statements(direction)
    done = statements[: entry.statements_done]
    if entry.done_checksum is not None and (
        len(done) < entry.statements_done or statements_checksum(done) != entry.done_checksum
    ):
        raise DriftError(
            f"{migration.id} is unfinished, and of its first {entry.statements_done} statements, "
            "which are committed, one was edited",
            statements[0].where,
            "restore them as they were; only the statements after them may change",
        )
    if not entry.is_uncertain:
        return
    cut_off = statements[entry.statements_done : entry.statements_done + 1]
    if not cut_off or cut_off[0].checksum != entry.started_checksum:
        raise DriftError(
            f"{migration.id}: statement {entry.statement_started} was under way when its process "
            "or its connection ended, and it was edited since",
            cut_off[0].where if cut_off else migration.where,
            "restore it as it was; whether it took effect is found out by running it again",
        )
    is_repeatable = _REPEATABLE.match(cut_off[0].code) and not _NAMELESS.search(cut_off[0].text)
    if not is_repeatable:
        raise _undecided(migration, cut_off[0])


def took_effect(statement: MigrationStatement, error: Exception) -> bool:
    """Return whether the error of a repeated statement shows that its first run took effect."""
    code = driver.code(error)
    word = statement.code.split(maxsplit=1)[0].upper()
    number, words = _MARIADB_DUPLICATE_FOREIGN_KEY
    exists = code in _EXISTS or (code == number and words in driver.message(error))
    return (word in ("CREATE", "ALTER") and exists) or (word in ("DROP", "ALTER") and code in _GONE)


def _undecided(migration: SQLMigration, statement: MigrationStatement) -> MigrationError:
    row = f"WHERE migration_id = '{migration.id}'"
    return MigrationError(
        f"statement {statement.number} was under way when its process or its connection ended; "
        "whether it took effect is not known, and running it again may do it twice",
        statement.where,
        "check whether it did. If so: "  # noqa: S608 - advice to a person, never run
        f"UPDATE {JOURNAL_TABLE} SET statements_done = {statement.number}, "
        f"done_checksum = NULL, statement_started = NULL {row}. "
        f"If not: UPDATE {JOURNAL_TABLE} SET statement_started = NULL {row}. "
        "Then migrate again",
    )
