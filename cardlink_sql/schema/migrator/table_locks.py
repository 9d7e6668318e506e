"""What each statement of a migration locks, and who waits meanwhile: for the one who applies it.

Declared for each kind of change, and held by the tests: on PostgreSQL against ``pg_locks`` inside
the transaction, on MySQL and MariaDB by asking for the algorithm and the lock that are claimed
here, on SQLite by readers and writers beside a migration.

Sources: PostgreSQL 13 to 17, "Explicit Locking" (13.3) and ALTER TABLE; MySQL 8.0, "Online DDL
Operations" (15.12.1); MariaDB, "InnoDB Online DDL Overview"; SQLite, "Write-Ahead Logging". Where
versions differ, the one that locks most is told first.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from cardlink_sql.dialect import Dialect
from cardlink_sql.schema.migrator.kinds import Change, Kind, changes


class Work(StrEnum):
    """What the server does with the rows that there are, while it holds the lock."""

    NONE = "reads no row"
    SCAN = "reads every row"
    REWRITE = "writes every row anew"
    OWN = "as many rows as it names"


@dataclass(frozen=True, slots=True)
class Lock:
    """What a kind of change locks on its table: the lock's name at the server, and the work."""

    level: str
    work: Work


_EXCLUSIVE: Final = "ACCESS EXCLUSIVE"
_BESIDE: Final = "SHARE UPDATE EXCLUSIVE"
_REFERRED: Final = "SHARE ROW EXCLUSIVE"

POSTGRESQL: Final[dict[Kind, Lock]] = {
    Kind.DROP_TABLE: Lock(_EXCLUSIVE, Work.NONE),
    Kind.RENAME_TABLE: Lock(_EXCLUSIVE, Work.NONE),
    Kind.TRUNCATE: Lock(_EXCLUSIVE, Work.NONE),
    Kind.CREATE_INDEX: Lock("SHARE", Work.SCAN),
    Kind.CREATE_INDEX_CONCURRENTLY: Lock(_BESIDE, Work.SCAN),
    Kind.DROP_INDEX: Lock(_EXCLUSIVE, Work.NONE),
    Kind.DROP_INDEX_CONCURRENTLY: Lock(_BESIDE, Work.NONE),
    Kind.ADD_COLUMN: Lock(_EXCLUSIVE, Work.NONE),
    Kind.ADD_REQUIRED_COLUMN: Lock(_EXCLUSIVE, Work.SCAN),
    Kind.ADD_CHECKED_COLUMN: Lock(_EXCLUSIVE, Work.SCAN),
    Kind.ADD_COMPUTED_COLUMN: Lock(_EXCLUSIVE, Work.REWRITE),
    Kind.DROP_COLUMN: Lock(_EXCLUSIVE, Work.NONE),
    Kind.RENAME_COLUMN: Lock(_EXCLUSIVE, Work.NONE),
    Kind.CHANGE_TYPE: Lock(_EXCLUSIVE, Work.REWRITE),
    Kind.CHANGE_DEFAULT: Lock(_EXCLUSIVE, Work.NONE),
    Kind.SET_NOT_NULL: Lock(_EXCLUSIVE, Work.SCAN),
    Kind.DROP_NOT_NULL: Lock(_EXCLUSIVE, Work.NONE),
    Kind.ADD_FOREIGN_KEY: Lock(_REFERRED, Work.SCAN),
    Kind.ADD_FOREIGN_KEY_NOT_VALID: Lock(_REFERRED, Work.NONE),
    Kind.ADD_CHECK: Lock(_EXCLUSIVE, Work.SCAN),
    Kind.ADD_CHECK_NOT_VALID: Lock(_EXCLUSIVE, Work.NONE),
    Kind.VALIDATE: Lock(_BESIDE, Work.SCAN),
    Kind.ADD_UNIQUE: Lock(_EXCLUSIVE, Work.SCAN),
    Kind.ADD_PRIMARY_KEY: Lock(_EXCLUSIVE, Work.SCAN),
    Kind.ADD_KEY_USING_INDEX: Lock(_EXCLUSIVE, Work.SCAN),
    Kind.DROP_FOREIGN_KEY: Lock(_EXCLUSIVE, Work.NONE),
    Kind.DROP_CONSTRAINT: Lock(_EXCLUSIVE, Work.NONE),
    Kind.RENAME_CONSTRAINT: Lock(_EXCLUSIVE, Work.NONE),
    Kind.INSERT: Lock("ROW EXCLUSIVE", Work.OWN),
    Kind.UPDATE: Lock("ROW EXCLUSIVE", Work.OWN),
    Kind.DELETE: Lock("ROW EXCLUSIVE", Work.OWN),
    Kind.SELECT: Lock("ACCESS SHARE", Work.OWN),
    Kind.COMMENT: Lock(_BESIDE, Work.NONE),
}
_WAITS: Final = {
    _EXCLUSIVE: "reads and writes wait",
    _REFERRED: "writes wait",
    "SHARE": "writes wait",
    _BESIDE: "nobody waits but other DDL",
    "ROW EXCLUSIVE": "who writes the same rows waits",
    "ACCESS SHARE": "nobody waits",
}

_INSTANT: Final = "INSTANT"
_INPLACE: Final = "INPLACE"
_COPY: Final = "COPY"

MARIADB: Final[dict[Kind, Lock]] = {
    Kind.CREATE_INDEX: Lock(_INPLACE, Work.SCAN),
    Kind.DROP_INDEX: Lock(_INPLACE, Work.NONE),
    Kind.RENAME_INDEX: Lock(_INSTANT, Work.NONE),
    Kind.ADD_COLUMN: Lock(_INSTANT, Work.NONE),
    Kind.ADD_REQUIRED_COLUMN: Lock(_INSTANT, Work.NONE),
    # INSTANT where no index holds it.
    Kind.DROP_COLUMN: Lock(_INPLACE, Work.NONE),
    Kind.RENAME_COLUMN: Lock(_INSTANT, Work.NONE),
    Kind.CHANGE_TYPE: Lock(_COPY, Work.REWRITE),
    Kind.CHANGE_DEFAULT: Lock(_INSTANT, Work.NONE),
    Kind.ADD_FOREIGN_KEY: Lock(_COPY, Work.REWRITE),
    Kind.ADD_CHECK: Lock(_COPY, Work.REWRITE),
    Kind.ADD_UNIQUE: Lock(_INPLACE, Work.SCAN),
    Kind.DROP_FOREIGN_KEY: Lock(_INSTANT, Work.NONE),
    Kind.DROP_CONSTRAINT: Lock(_INSTANT, Work.NONE),
}
# Where MySQL, in one of its versions from 8.0.19, locks more than MariaDB.
MYSQL: Final[dict[Kind, Lock]] = {
    **MARIADB,
    Kind.RENAME_INDEX: Lock(_INPLACE, Work.NONE),
    Kind.DROP_COLUMN: Lock(_INPLACE, Work.REWRITE),
    Kind.RENAME_COLUMN: Lock(_INPLACE, Work.NONE),
    Kind.DROP_FOREIGN_KEY: Lock(_INPLACE, Work.NONE),
    Kind.DROP_CONSTRAINT: Lock(_COPY, Work.REWRITE),
}
_METADATA: Final = frozenset({Kind.DROP_TABLE, Kind.RENAME_TABLE, Kind.TRUNCATE})
_ROWS: Final = frozenset({Kind.INSERT, Kind.UPDATE, Kind.DELETE})
_HARMLESS: Final = frozenset({Kind.SELECT, Kind.SET})

SQLITE: Final[dict[Kind, Work]] = {
    Kind.CREATE_TABLE: Work.NONE,
    Kind.DROP_TABLE: Work.NONE,
    Kind.RENAME_TABLE: Work.NONE,
    Kind.CREATE_INDEX: Work.SCAN,
    Kind.DROP_INDEX: Work.NONE,
    Kind.ADD_COLUMN: Work.NONE,
    Kind.ADD_CHECKED_COLUMN: Work.SCAN,
    Kind.DROP_COLUMN: Work.REWRITE,
    Kind.RENAME_COLUMN: Work.NONE,
    Kind.INSERT: Work.OWN,
    Kind.UPDATE: Work.OWN,
    Kind.DELETE: Work.OWN,
}

_NOTES: Final = {
    Dialect.POSTGRESQL: (
        "one transaction: what it locks stays locked to its end, and it waits 10 s for a lock"
    ),
    Dialect.MYSQL: (
        "each statement commits, and waits 10 s for transactions that have used its table; "
        "who comes behind it waits with it"
    ),
    Dialect.SQLITE: (
        "one transaction under the database's one write lock: other writers wait, "
        "readers go on with what was committed before"
    ),
}
_NOTE_OF_STATEMENTS: Final = "no transaction: each statement commits and lets its locks go"


def note(dialect: Dialect, *, is_atomic: bool) -> str:
    """What holds for a migration as a whole, a line."""
    if dialect is Dialect.POSTGRESQL and not is_atomic:
        return _NOTE_OF_STATEMENTS
    return _NOTES[dialect]


def locks(
    statements: list[str], dialect: Dialect, tables_of_indexes: Mapping[str, str]
) -> list[str]:
    """What each statement of one migration locks, a sentence each.

    Args:
        statements: in the order in which they run; a table that one of them makes is no lock to
            anybody in those behind it.
        dialect: whose they are.
        tables_of_indexes: the table of an index, which DROP INDEX does not name.
    """
    new = set[str]()
    told = list[str]()
    for statement in statements:
        made = [
            replace(change, table=tables_of_indexes.get(change.name))
            if change.table is None and change.name
            else change
            for change in changes(statement, dialect)
        ]
        told.append("; ".join(dict.fromkeys(_sentences(made, new, dialect))))
        new |= {
            change.table for change in made if change.kind is Kind.CREATE_TABLE and change.table
        }
    return told


def _sentences(made: list[Change], new: set[str], dialect: Dialect) -> Iterator[str]:
    for change in made:
        if change.kind is Kind.UNKNOWN:
            yield "unknown: assume the strongest lock, on every table that it names"
        elif change.kind is Kind.CREATE_TABLE or change.table in new:
            yield f"nothing that others use: {change.table} is new"
        elif dialect is Dialect.SQLITE:
            yield _sqlite(change)
        elif change.kind is Kind.SET:
            yield "nothing"
        else:
            yield (_postgresql if dialect is Dialect.POSTGRESQL else _mysql)(change)
        if change.refers_to and change.refers_to not in new | {change.table}:
            yield from _referred(change, dialect)


def _sqlite(change: Change) -> str:
    if change.kind in _HARMLESS:
        return "as above"
    work = SQLITE.get(change.kind)
    return f"as above; {work}" if work else "as above; unknown work: assume every row"


def _postgresql(change: Change) -> str:
    lock = POSTGRESQL.get(change.kind)
    if lock is None:
        return _strongest(change)
    also = ""
    if change.kind in (Kind.DROP_TABLE, Kind.DROP_FOREIGN_KEY):
        also = ", and so each table that its foreign keys refer to"
    return f"{change.table or 'its table'} {lock.level}{also} ({_WAITS[lock.level]}); {lock.work}"


def _mysql(change: Change) -> str:
    table = change.table or "its table"
    if change.kind in _METADATA:
        return f"{table} for a moment (reads and writes wait); {Work.NONE}"
    if change.kind in _ROWS:
        return f"the rows of {table} that it names; {Work.OWN}"
    if change.kind in _HARMLESS:
        return "nothing"
    mysql, mariadb = MYSQL.get(change.kind), MARIADB.get(change.kind)
    if mysql is None or mariadb is None:
        return _strongest(change)
    if mysql == mariadb:
        return f"{table} {_algorithm(mysql)}"
    return f"{table} on MySQL {_algorithm(mysql)}; on MariaDB {_algorithm(mariadb)}"


def _algorithm(lock: Lock) -> str:
    waits = "writes wait" if lock.level == _COPY else "nobody waits"
    return f"{lock.level} ({waits}); {lock.work}"


def _referred(change: Change, dialect: Dialect) -> Iterator[str]:
    if dialect is Dialect.POSTGRESQL:
        yield f"{change.refers_to} {_REFERRED} ({_WAITS[_REFERRED]})"
    elif dialect is Dialect.MYSQL:
        yield f"{change.refers_to} for a moment (writes wait)"


def _strongest(change: Change) -> str:
    return (
        f"{change.table or 'its table'}: unknown, so assume that reads and writes wait; every row"
    )
