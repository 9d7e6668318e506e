"""The locks of each statement of a migration, and who waits for them, shown before applying it."""

from collections.abc import Iterable, Iterator
from typing import Final

from cardlink_sql.dialect import Dialect
from cardlink_sql.schema.migrator.actions import EXCLUSIVE, REFERRED, WAITS, Action, TableLock, Work
from cardlink_sql.schema.migrator.kinds import Change, KnownSchema

# They drop the foreign keys of their column; a change of type makes them again.
_REBUILDS: Final = (Action.CHANGE_TYPE, Action.LENGTHEN, Action.DROP_COLUMN)
_ROWS: Final = (Action.INSERT, Action.UPDATE, Action.DELETE)
_HARMLESS: Final = (Action.SELECT, Action.SET)
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


def note(dialect: Dialect, *, is_atomic: bool) -> str:
    """Return a sentence on the locks of a migration as a whole."""
    if is_atomic or dialect is not Dialect.POSTGRESQL:
        return _NOTES[dialect]
    return (
        "no transaction: each statement commits and releases its locks; CONCURRENTLY waits 10 s "
        "for every older transaction of the database to end"
    )


def locks(statements: list[str], dialect: Dialect, before: Iterable[str] = ()) -> list[str]:
    """Return the locks of each statement of one migration, a sentence each.

    ``before`` has the earlier statements, by which the tables of indexes, the lengths of VARCHARs
    and the foreign keys are known.
    """
    new = set[str]()
    known = KnownSchema(dialect, before)
    lines = list[str]()
    for statement in statements:
        changes = known.read(statement)
        lines.append("; ".join(dict.fromkeys(_sentences(changes, new, known, dialect))))
        new |= {
            change.table
            for change in changes
            if change.kind is Action.CREATE_TABLE and change.table
        }
    return lines


def _sentences(
    changes: list[Change], new: set[str], known: KnownSchema, dialect: Dialect
) -> Iterator[str]:
    own = {Dialect.SQLITE: _sqlite, Dialect.POSTGRESQL: _postgresql, Dialect.MYSQL: _mysql}[dialect]
    for change in changes:
        if change.kind is Action.UNKNOWN:
            yield "unknown: assume the strongest lock, on every table that it names"
        elif change.kind is Action.CREATE_TABLE or change.table in new:
            yield f"nothing that others use: {change.table} is new"
        else:
            yield own(change)
        if change.refers_to and change.refers_to not in new | {change.table}:
            if dialect is Dialect.POSTGRESQL:
                yield f"{change.refers_to} {REFERRED} ({WAITS[REFERRED]})"
            elif dialect is Dialect.MYSQL:
                yield f"{change.refers_to} for a moment (writes wait)"
        if dialect is Dialect.POSTGRESQL and change.kind in _REBUILDS:
            others = (
                known.other_ends.get((change.table or "", column), set())
                for column in (change.name or "", "")
            )
            for other in sorted(set().union(*others) - new - {change.table}):
                yield f"{other} {EXCLUSIVE} ({WAITS[EXCLUSIVE]}): the foreign key between them"


def _sqlite(change: Change) -> str:
    if change.kind in _HARMLESS:
        return "as above"
    return f"as above; {change.kind.value.sqlite or 'unknown work: assume every row'}"


def _postgresql(change: Change) -> str:
    if change.kind is Action.SET:
        return "nothing"
    also = ""
    if change.kind in (Action.DROP_TABLE, Action.DROP_FOREIGN_KEY):
        also = ", and so each table that its foreign keys refer to"
    return f"{_table(change)}{_lock(change.kind.value.postgresql, also)}"


def _mysql(change: Change) -> str:
    if change.kind in _HARMLESS:
        return "nothing"
    if change.kind in _ROWS:
        return f"the rows of {_table(change)} that it names; {Work.OWN}"
    mysql, mariadb = change.kind.value.on_mysql, change.kind.value.mariadb
    if mysql == mariadb:
        return f"{_table(change)}{_lock(mysql)}"
    return f"{_table(change)} on MySQL{_lock(mysql)}; on MariaDB{_lock(mariadb)}"


def _table(change: Change) -> str:
    return change.table or "its table"


def _lock(lock: TableLock | None, also: str = "") -> str:
    if lock is None:
        return ": unknown, so assume that reads and writes wait; every row"
    return f" {lock.level}{also} ({WAITS[lock.level]}); {lock.work}"
