"""What SQLite itself says that a statement reads and writes, while it prepares it.

Its authorizer is called for each table and column of the statement. EXPLAIN prepares and runs
nothing. With foreign keys on, it is called for what their actions do, too; the difference is
what a deletion takes along. For what a trigger does it names the trigger.
"""

import sqlite3
from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

from cardlink_sql.review.access import Access
from cardlink_sql.review.clauses import Clauses
from cardlink_sql.review.variants import Variant

_CATALOG: Final = "sqlite_master"

Call = tuple[int, str | None, str | None, str | None]


def observe(connection: sqlite3.Connection, variant: Variant) -> tuple[Access, Access, Access]:
    """What a statement does by itself, by foreign keys and by triggers.

    Args:
        connection: of a migrated SQLite database; its foreign keys are off afterwards.
        variant: a form that SQLite understands.

    Raises:
        sqlite3.Error: SQLite refuses the statement.
    """
    sql = variant.sql(lambda _number: "?")
    names = [None] * len(variant.names)
    calls = _calls(connection, sql, names, foreign_keys=False)
    own = _access([call for call in calls if call[3] is None])
    # The columns of an INSERT and of an upsert's conflict are no matter of the authorizer.
    clauses = Clauses(variant.tokens)
    listed = frozenset(name for name, _ in clauses.listed)
    own = replace(own, inserts=dict.fromkeys(own.inserts, listed))
    own |= Access(reads=clauses.upsert_reads())
    triggered = _access([call for call in calls if call[3] is not None])
    every = _access(_calls(connection, sql, names, foreign_keys=True))
    return own, _writes_beyond(every, own | triggered), triggered


def _calls(
    connection: sqlite3.Connection, sql: str, values: list[Any], *, foreign_keys: bool
) -> list[Call]:
    calls: list[Call] = []
    connection.execute(f"PRAGMA foreign_keys = {'ON' if foreign_keys else 'OFF'}")
    connection.set_authorizer(_noting(calls))
    try:
        connection.execute(f"EXPLAIN {sql}", values).fetchall()
    finally:
        connection.set_authorizer(None)
    return calls


def _noting(calls: list[Call]) -> Callable[..., int]:
    def note(
        action: int, table: str | None, column: str | None, _base: str | None, inner: str | None
    ) -> int:
        calls.append((action, table, column, inner))
        return sqlite3.SQLITE_OK

    return note


def _access(calls: list[Call]) -> Access:
    columns: dict[int, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for action, table, column, _ in calls:
        if table is not None:
            columns[action][table].update({column} - {None, "", "ROWID"})  # type: ignore[arg-type]

    def of(action: int) -> dict[str, frozenset[str]]:
        return {table: frozenset(names) for table, names in columns[action].items()}

    return Access(
        of(sqlite3.SQLITE_READ),
        of(sqlite3.SQLITE_INSERT),
        # A virtual table such as dbstat is declared, as if to sqlite_master, when it is first used.
        {table: names for table, names in of(sqlite3.SQLITE_UPDATE).items() if table != _CATALOG},
        frozenset(columns[sqlite3.SQLITE_DELETE]),
    )


def _writes_beyond(every: Access, own: Access) -> Access:
    updates = {
        table: columns - own.updates.get(table, frozenset())
        for table, columns in every.updates.items()
    }
    return Access(
        updates={table: columns for table, columns in updates.items() if columns},
        deletes=every.deletes - own.deletes,
    )
