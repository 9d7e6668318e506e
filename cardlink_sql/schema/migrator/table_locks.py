"""The locks of each statement of a migration, and who waits for them, shown before applying it.

They are declared for each kind of change, and the tests verify them: on PostgreSQL with
``pg_locks`` inside the transaction, on MySQL and MariaDB by requesting the declared algorithm and
lock, on SQLite with readers and writers during a migration.

Sources: PostgreSQL 13 to 17, "Explicit Locking" (13.3) and ALTER TABLE; MySQL 8.0, "Online DDL
Operations" (15.12.1); MariaDB, "InnoDB Online DDL Overview"; SQLite, "Write-Ahead Logging". Where
versions differ, the strongest lock comes first.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from cardlink_sql.dialect import Dialect
from cardlink_sql.schema.migrator.kinds import (
    Action,
    Change,
    Made,
    changes,
    lengths,
)


class Work(StrEnum):
    """The server's work on the existing rows, while it holds the lock."""

    NONE = "reads no row"
    SCAN = "reads every row"
    REWRITE = "rewrites every row"
    OWN = "as many rows as it names"


@dataclass(frozen=True, slots=True)
class TableLock:
    """The lock of a kind of change on its table: the lock's name at the server, and the work."""

    level: str
    work: Work


_EXCLUSIVE: Final = "ACCESS EXCLUSIVE"
_BESIDE: Final = "SHARE UPDATE EXCLUSIVE"
_REFERRED: Final = "SHARE ROW EXCLUSIVE"

POSTGRESQL: Final[dict[Action, TableLock]] = {
    Action.DROP_TABLE: TableLock(_EXCLUSIVE, Work.NONE),
    Action.RENAME_TABLE: TableLock(_EXCLUSIVE, Work.NONE),
    Action.TRUNCATE: TableLock(_EXCLUSIVE, Work.NONE),
    Action.CREATE_INDEX: TableLock("SHARE", Work.SCAN),
    Action.CREATE_INDEX_CONCURRENTLY: TableLock(_BESIDE, Work.SCAN),
    Action.DROP_INDEX: TableLock(_EXCLUSIVE, Work.NONE),
    Action.DROP_INDEX_CONCURRENTLY: TableLock(_BESIDE, Work.NONE),
    Action.ADD_COLUMN: TableLock(_EXCLUSIVE, Work.NONE),
    Action.ADD_REQUIRED_COLUMN: TableLock(_EXCLUSIVE, Work.SCAN),
    Action.ADD_CHECKED_COLUMN: TableLock(_EXCLUSIVE, Work.SCAN),
    Action.ADD_COMPUTED_COLUMN: TableLock(_EXCLUSIVE, Work.REWRITE),
    Action.DROP_COLUMN: TableLock(_EXCLUSIVE, Work.NONE),
    Action.RENAME_COLUMN: TableLock(_EXCLUSIVE, Work.NONE),
    Action.CHANGE_TYPE: TableLock(_EXCLUSIVE, Work.REWRITE),
    Action.LENGTHEN: TableLock(_EXCLUSIVE, Work.NONE),
    Action.CHANGE_DEFAULT: TableLock(_EXCLUSIVE, Work.NONE),
    Action.SET_NOT_NULL: TableLock(_EXCLUSIVE, Work.SCAN),
    Action.DROP_NOT_NULL: TableLock(_EXCLUSIVE, Work.NONE),
    Action.ADD_FOREIGN_KEY: TableLock(_REFERRED, Work.SCAN),
    Action.ADD_FOREIGN_KEY_NOT_VALID: TableLock(_REFERRED, Work.NONE),
    Action.ADD_CHECK: TableLock(_EXCLUSIVE, Work.SCAN),
    Action.ADD_CHECK_NOT_VALID: TableLock(_EXCLUSIVE, Work.NONE),
    Action.VALIDATE: TableLock(_BESIDE, Work.SCAN),
    Action.ADD_UNIQUE: TableLock(_EXCLUSIVE, Work.SCAN),
    Action.ADD_PRIMARY_KEY: TableLock(_EXCLUSIVE, Work.SCAN),
    Action.ADD_EXCLUSION: TableLock(_EXCLUSIVE, Work.SCAN),
    Action.ADD_KEY_USING_INDEX: TableLock(_EXCLUSIVE, Work.SCAN),
    Action.DROP_FOREIGN_KEY: TableLock(_EXCLUSIVE, Work.NONE),
    Action.DROP_CONSTRAINT: TableLock(_EXCLUSIVE, Work.NONE),
    Action.RENAME_CONSTRAINT: TableLock(_EXCLUSIVE, Work.NONE),
    Action.INSERT: TableLock("ROW EXCLUSIVE", Work.OWN),
    Action.UPDATE: TableLock("ROW EXCLUSIVE", Work.OWN),
    Action.DELETE: TableLock("ROW EXCLUSIVE", Work.OWN),
    Action.SELECT: TableLock("ACCESS SHARE", Work.OWN),
    Action.COMMENT: TableLock(_BESIDE, Work.NONE),
}
# They drop the foreign keys of their column; a change of type makes them again.
_REBUILDS: Final = (Action.CHANGE_TYPE, Action.LENGTHEN, Action.DROP_COLUMN)
_LENGTHENED: Final = {Action.CHANGE_TYPE: Action.LENGTHEN}
_WAITS: Final = {
    _EXCLUSIVE: "reads and writes wait",
    _REFERRED: "writes wait",
    "SHARE": "writes wait",
    _BESIDE: "nobody waits but other DDL",
    "ROW EXCLUSIVE": "writers of the same rows wait",
    "ACCESS SHARE": "nobody waits",
}

_INSTANT: Final = "INSTANT"
_INPLACE: Final = "INPLACE"
_SHARED: Final = "INPLACE, LOCK = SHARED"
_COPY: Final = "COPY"
BLOCKS_WRITES: Final = (_SHARED, _COPY)

MARIADB: Final[dict[Action, TableLock]] = {
    Action.CREATE_INDEX: TableLock(_INPLACE, Work.SCAN),
    # The first one of a table adds a hidden column, and so rewrites the table.
    Action.CREATE_FULLTEXT_INDEX: TableLock(_SHARED, Work.REWRITE),
    Action.CREATE_SPATIAL_INDEX: TableLock(_SHARED, Work.SCAN),
    Action.DROP_INDEX: TableLock(_INPLACE, Work.NONE),
    Action.RENAME_INDEX: TableLock(_INSTANT, Work.NONE),
    Action.ADD_COLUMN: TableLock(_INSTANT, Work.NONE),
    Action.ADD_REQUIRED_COLUMN: TableLock(_INSTANT, Work.NONE),
    # INSTANT if no index contains the column.
    Action.DROP_COLUMN: TableLock(_INPLACE, Work.NONE),
    Action.RENAME_COLUMN: TableLock(_INSTANT, Work.NONE),
    Action.CHANGE_TYPE: TableLock(_COPY, Work.REWRITE),
    Action.CHANGE_DEFAULT: TableLock(_INSTANT, Work.NONE),
    Action.ADD_FOREIGN_KEY: TableLock(_COPY, Work.REWRITE),
    Action.ADD_CHECK: TableLock(_COPY, Work.REWRITE),
    Action.ADD_UNIQUE: TableLock(_INPLACE, Work.SCAN),
    Action.DROP_FOREIGN_KEY: TableLock(_INSTANT, Work.NONE),
    Action.DROP_CONSTRAINT: TableLock(_INSTANT, Work.NONE),
}
# Changes for which some MySQL version from 8.0.19 locks more than MariaDB.
MYSQL: Final[dict[Action, TableLock]] = {
    **MARIADB,
    Action.RENAME_INDEX: TableLock(_INPLACE, Work.NONE),
    Action.DROP_COLUMN: TableLock(_INPLACE, Work.REWRITE),
    Action.RENAME_COLUMN: TableLock(_INPLACE, Work.NONE),
    Action.DROP_FOREIGN_KEY: TableLock(_INPLACE, Work.NONE),
    Action.DROP_CONSTRAINT: TableLock(_COPY, Work.REWRITE),
}
_METADATA: Final = frozenset({Action.DROP_TABLE, Action.RENAME_TABLE, Action.TRUNCATE})
_ROWS: Final = frozenset({Action.INSERT, Action.UPDATE, Action.DELETE})
_HARMLESS: Final = frozenset({Action.SELECT, Action.SET})

SQLITE: Final[dict[Action, Work]] = {
    Action.CREATE_TABLE: Work.NONE,
    Action.DROP_TABLE: Work.NONE,
    Action.RENAME_TABLE: Work.NONE,
    Action.CREATE_INDEX: Work.SCAN,
    Action.DROP_INDEX: Work.NONE,
    Action.ADD_COLUMN: Work.NONE,
    Action.ADD_CHECKED_COLUMN: Work.SCAN,
    Action.DROP_COLUMN: Work.REWRITE,
    Action.RENAME_COLUMN: Work.NONE,
    Action.INSERT: Work.OWN,
    Action.UPDATE: Work.OWN,
    Action.DELETE: Work.OWN,
}

_NOTES: Final = {
    Dialect.POSTGRESQL: (
        "one transaction: it waits 10 s for each lock, and keeps its locks to the end"
    ),
    Dialect.MYSQL: (
        "each statement commits, and waits 10 s for transactions that have used its table; "
        "later transactions queue after it"
    ),
    Dialect.SQLITE: (
        "one transaction under the database's one write lock: other writers wait, "
        "readers still see the last committed state"
    ),
}
_NOTE_OF_STATEMENTS: Final = (
    "no transaction: each statement commits and releases its locks; CONCURRENTLY waits 10 s for "
    "every older transaction of the database to end"
)


def note(dialect: Dialect, *, is_atomic: bool) -> str:
    """Return a sentence on the locks of a migration as a whole."""
    if dialect is Dialect.POSTGRESQL and not is_atomic:
        return _NOTE_OF_STATEMENTS
    return _NOTES[dialect]


def locks(statements: list[str], dialect: Dialect, before: Iterable[str] = ()) -> list[str]:
    """Return the locks of each statement of one migration, a sentence each.

    ``before`` has the earlier statements, by which the tables of indexes, the lengths of VARCHARs
    and the foreign keys are known.
    """
    new = set[str]()
    known = Made(dialect, before)
    lines = list[str]()
    for statement in statements:
        is_longer = dialect is Dialect.POSTGRESQL and _lengthens(statement, known)
        known.add(statement)
        made = [
            replace(
                change,
                table=change.table or known.indexes.get(change.name or ""),
                kind=_LENGTHENED.get(change.kind, change.kind) if is_longer else change.kind,
            )
            for change in changes(statement, dialect)
        ]
        lines.append("; ".join(dict.fromkeys(_sentences(made, new, known, dialect))))
        new |= {
            change.table for change in made if change.kind is Action.CREATE_TABLE and change.table
        }
    return lines


def _lengthens(statement: str, known: Made) -> bool:
    """Return whether a statement changes the types of VARCHARs only, to longer ones."""
    now = lengths(statement, Dialect.POSTGRESQL)
    changed = {column: length for column, length in now.items() if column in known.lengths}
    types = sum(one.kind is Action.CHANGE_TYPE for one in changes(statement, Dialect.POSTGRESQL))
    return types == len(changed) and all(known.lengths[one] <= now[one] for one in changed)


def _sentences(made: list[Change], new: set[str], known: Made, dialect: Dialect) -> Iterator[str]:
    for change in made:
        if change.kind is Action.UNKNOWN:
            yield "unknown: assume the strongest lock, on every table that it names"
        elif change.kind is Action.CREATE_TABLE or change.table in new:
            yield f"nothing that others use: {change.table} is new"
        elif dialect is Dialect.SQLITE:
            yield _sqlite(change)
        elif change.kind is Action.SET:
            yield "nothing"
        else:
            yield (_postgresql if dialect is Dialect.POSTGRESQL else _mysql)(change)
        if change.refers_to and change.refers_to not in new | {change.table}:
            yield from _referred(change, dialect)
        if dialect is Dialect.POSTGRESQL and change.kind in _REBUILDS:
            others = (
                known.other_ends.get((change.table or "", column), set())
                for column in (change.name or "", "")
            )
            for other in sorted(set().union(*others) - new - {change.table}):
                yield f"{other} {_EXCLUSIVE} ({_WAITS[_EXCLUSIVE]}): the foreign key between them"


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
    if change.kind in (Action.DROP_TABLE, Action.DROP_FOREIGN_KEY):
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


def _algorithm(lock: TableLock) -> str:
    waits = "writes wait" if lock.level in BLOCKS_WRITES else "nobody waits"
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
