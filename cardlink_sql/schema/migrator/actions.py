"""The kinds of change of a migration's statement, and the lock of each on its table.

The tests verify the locks: on PostgreSQL with ``pg_locks`` inside the transaction, on MySQL and
MariaDB by requesting the declared algorithm and lock, on SQLite with readers and writers during a
migration.

Sources: PostgreSQL 13 to 18, "Explicit Locking" (13.3) and ALTER TABLE; MySQL 8.0, "Online DDL
Operations" (15.12.1); MariaDB, "InnoDB Online DDL Overview"; SQLite, "Write-Ahead Logging". Where
versions differ, the strongest lock comes first.
"""

from dataclasses import dataclass
from enum import Enum, StrEnum
from typing import Final, NamedTuple


class Work(StrEnum):
    """The server's work on the existing rows, while it holds the lock."""

    NONE = "reads no row"
    SCAN = "reads every row"
    REWRITE = "rewrites every row"
    OWN = "as many rows as it names"


class TableLock(NamedTuple):
    """The lock of a kind of change on its table: the lock's name at the server, and the work."""

    level: str
    work: Work


EXCLUSIVE: Final = "ACCESS EXCLUSIVE"
REFERRED: Final = "SHARE ROW EXCLUSIVE"
_BESIDE: Final = "SHARE UPDATE EXCLUSIVE"
_SHARED: Final = "INPLACE, LOCK = SHARED"
WAITS: Final = {
    EXCLUSIVE: "reads and writes wait",
    REFERRED: "writes wait",
    "SHARE": "writes wait",
    _BESIDE: "nobody waits but other DDL",
    "ROW EXCLUSIVE": "writers of the same rows wait",
    "ACCESS SHARE": "nobody waits",
    "INSTANT": "nobody waits",
    "INPLACE": "nobody waits",
    _SHARED: "writes wait",
    "COPY": "writes wait",
    "for a moment": "reads and writes wait",
}

_LOCKED: Final = TableLock(EXCLUSIVE, Work.NONE)
_SCANNED: Final = TableLock(EXCLUSIVE, Work.SCAN)
_REWRITTEN: Final = TableLock(EXCLUSIVE, Work.REWRITE)
_OF_ROWS: Final = TableLock("ROW EXCLUSIVE", Work.OWN)
_INSTANT: Final = TableLock("INSTANT", Work.NONE)
_INPLACE: Final = TableLock("INPLACE", Work.NONE)
_BUILT: Final = TableLock("INPLACE", Work.SCAN)
_COPIED: Final = TableLock("COPY", Work.REWRITE)
_MOMENT: Final = TableLock("for a moment", Work.NONE)


@dataclass(frozen=True)
class Locks:
    """A kind of change, and its lock on each backend; ``None`` where that is not known.

    Attributes:
        title: names it for people.
        postgresql: PostgreSQL's lock.
        mariadb: MariaDB's algorithm.
        mysql: MySQL's, where some version from 8.0.19 on locks more than MariaDB.
        sqlite: the work under SQLite's one lock.
    """

    title: str
    postgresql: TableLock | None = None
    mariadb: TableLock | None = None
    mysql: TableLock | None = None
    sqlite: Work | None = None

    @property
    def on_mysql(self) -> TableLock | None:
        """Return MySQL's algorithm."""
        return self.mysql or self.mariadb

    @property
    def blocks_writes_on_mysql(self) -> bool:
        """Return whether MySQL's algorithm blocks writes."""
        return self.on_mysql is not None and self.on_mysql.level in (_SHARED, "COPY")


class Action(Enum):
    """A kind of change; the value has its locks."""

    CREATE_TABLE = Locks("a new table", sqlite=Work.NONE)
    DROP_TABLE = Locks("a table dropped", _LOCKED, _MOMENT, sqlite=Work.NONE)
    RENAME_TABLE = Locks("a table renamed", _LOCKED, _MOMENT, sqlite=Work.NONE)
    TRUNCATE = Locks("a table emptied", _LOCKED, _MOMENT)
    CREATE_INDEX = Locks("a new index", TableLock("SHARE", Work.SCAN), _BUILT, sqlite=Work.SCAN)
    CREATE_INDEX_CONCURRENTLY = Locks(
        "a new index, built without blocking writers", TableLock(_BESIDE, Work.SCAN)
    )
    # The first one of a table adds a hidden column, and so rewrites the table.
    CREATE_FULLTEXT_INDEX = Locks("a new full-text index", mariadb=TableLock(_SHARED, Work.REWRITE))
    CREATE_SPATIAL_INDEX = Locks("a new spatial index", mariadb=TableLock(_SHARED, Work.SCAN))
    DROP_INDEX = Locks("an index dropped", _LOCKED, _INPLACE, sqlite=Work.NONE)
    DROP_INDEX_CONCURRENTLY = Locks(
        "an index dropped without blocking writers", TableLock(_BESIDE, Work.NONE)
    )
    RENAME_INDEX = Locks("an index renamed", None, _INSTANT, _INPLACE)
    ADD_COLUMN = Locks("a new column", _LOCKED, _INSTANT, sqlite=Work.NONE)
    ADD_REQUIRED_COLUMN = Locks("a new column, NOT NULL without a default", _SCANNED, _INSTANT)
    ADD_CHECKED_COLUMN = Locks("a new column with a check or a key", _SCANNED, sqlite=Work.SCAN)
    ADD_COMPUTED_COLUMN = Locks("a new column that is computed for every row", _REWRITTEN)
    # INSTANT on MariaDB if no index contains the column.
    DROP_COLUMN = Locks(
        "a column dropped",
        _LOCKED,
        _INPLACE,
        TableLock("INPLACE", Work.REWRITE),
        sqlite=Work.REWRITE,
    )
    RENAME_COLUMN = Locks("a column renamed", _LOCKED, _INSTANT, _INPLACE, sqlite=Work.NONE)
    CHANGE_TYPE = Locks("a column's type changed", _REWRITTEN, _COPIED)
    LENGTHEN = Locks("a VARCHAR made longer", _LOCKED)
    CHANGE_DEFAULT = Locks("a column's default changed", _LOCKED, _INSTANT)
    SET_NOT_NULL = Locks("NULL no longer allowed", _SCANNED)
    DROP_NOT_NULL = Locks("NULL now allowed", _LOCKED)
    ADD_FOREIGN_KEY = Locks("a new foreign key", TableLock(REFERRED, Work.SCAN), _COPIED)
    ADD_FOREIGN_KEY_NOT_VALID = Locks(
        "a new foreign key, for new rows only", TableLock(REFERRED, Work.NONE)
    )
    ADD_CHECK = Locks("a new check", _SCANNED, _COPIED)
    ADD_CHECK_NOT_VALID = Locks("a new check, for new rows only", _LOCKED)
    VALIDATE = Locks("a constraint validated on existing rows", TableLock(_BESIDE, Work.SCAN))
    ADD_UNIQUE = Locks("a new unique constraint", _SCANNED, _BUILT)
    ADD_PRIMARY_KEY = Locks("a new primary key", _SCANNED)
    ADD_EXCLUSION = Locks("a new exclusion constraint", _SCANNED)
    ADD_KEY_USING_INDEX = Locks("a key made from an index", _SCANNED)
    DROP_FOREIGN_KEY = Locks("a foreign key dropped", _LOCKED, _INSTANT, _INPLACE)
    DROP_CONSTRAINT = Locks("a constraint dropped", _LOCKED, _INSTANT, _COPIED)
    RENAME_CONSTRAINT = Locks("a constraint renamed", _LOCKED)
    INSERT = Locks("rows inserted", _OF_ROWS, sqlite=Work.OWN)
    UPDATE = Locks("rows updated", _OF_ROWS, sqlite=Work.OWN)
    DELETE = Locks("rows deleted", _OF_ROWS, sqlite=Work.OWN)
    SELECT = Locks("rows read", TableLock("ACCESS SHARE", Work.OWN))
    COMMENT = Locks("a comment", TableLock(_BESIDE, Work.NONE))
    SET = Locks("a setting of the session")
    UNKNOWN = Locks("a statement of an unknown kind")
