"""Whether a rollback leaves the tables and indexes that were there before its migration.

The statements of all migrations are followed by name, without a database: a table or an index is
made, renamed or dropped. Columns and types are compared by the tests, on each backend.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from cardlink_sql.dialect import Dialect
from cardlink_sql.review.findings import Finding
from cardlink_sql.schema.migrator.actions import Action
from cardlink_sql.schema.migrator.files import MigrationStatement, SQLMigration
from cardlink_sql.schema.migrator.kinds import Change, changes

# Each table, and each index with its table, by name.
_Names = dict[str, str]

_MAKES_INDEX: Final = (Action.CREATE_INDEX, Action.CREATE_INDEX_CONCURRENTLY)
_DROPS_INDEX: Final = (Action.DROP_INDEX, Action.DROP_INDEX_CONCURRENTLY)
# MySQL's tables are made with their indexes.
_INLINE_INDEX: Final = re.compile(r"(?m)^\s*(?:INDEX|KEY) (\w+) \(")


def check_rollbacks(migrations: Sequence[SQLMigration], dialect: Dialect) -> Iterator[Finding]:
    """Yield the rollbacks that forget a table or an index, or make one that was not there.

    Args:
        migrations: all of a dialect, in their order.
        dialect: theirs.
    """
    before: _Names = {}
    for migration in migrations:
        after = _after(before, migration.apply_statements, dialect)
        if migration.rollback_statements is not None:
            left = _after(after, migration.rollback_statements, dialect)
            for name in sorted(before.keys() ^ left.keys()):
                what = "an index" if (before | after | left)[name] else "a table"
                done = "leaves" if name in left else "does not bring back"
                yield Finding(
                    "incomplete-rollback",
                    f"{migration.where.removesuffix('.sql')}.rollback.sql:1:1",
                    None,
                    dialect,
                    f"it {done} {what}: {name}",
                    "undo each statement of the migration, the last one first",
                )
        before = after


def _after(names: _Names, statements: Iterable[MigrationStatement], dialect: Dialect) -> _Names:
    found = dict(names)
    for statement in statements:
        for change in changes(statement.text, dialect):
            _follow(found, change)
            if change.kind is Action.CREATE_TABLE:
                inline = _INLINE_INDEX.findall(statement.text)
                found |= dict.fromkeys(inline, str(change.table))
    return found


def _follow(found: _Names, change: Change) -> None:
    """Change the names as a statement does; a table has no table in turn."""
    table, name = change.table or "", change.name or ""
    if change.kind is Action.CREATE_TABLE:
        found[table] = ""
    elif change.kind is Action.DROP_TABLE:
        for gone in [one for one, of in found.items() if table in (one, of)]:
            del found[gone]
    elif change.kind is Action.RENAME_TABLE:
        found.pop(table, None)
        found |= {one: name for one, of in found.items() if of == table} | {name: ""}
    elif change.kind in _MAKES_INDEX and name:
        found[name] = table
    elif change.kind in _DROPS_INDEX:
        found.pop(name, None)
