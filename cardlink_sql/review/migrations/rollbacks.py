"""Whether a rollback leaves the tables and indexes that were there before its migration.

The statements of all migrations are followed by name, without a database. Columns and types are
compared by the tests, on each backend.
"""

from collections.abc import Iterator, Sequence

from cardlink_sql.dialect import Dialect
from cardlink_sql.review.findings import Finding
from cardlink_sql.schema.migrator.files import SQLMigration
from cardlink_sql.schema.migrator.kinds import Made


def check_rollbacks(migrations: Sequence[SQLMigration], dialect: Dialect) -> Iterator[Finding]:
    """Yield the rollbacks that forget a table or an index, or make one that was not there.

    Args:
        migrations: all of a dialect, in their order.
        dialect: theirs.
    """
    sent: list[str] = []
    before: dict[str, str] = {}
    for migration in migrations:
        sent += [statement.text for statement in migration.apply_statements]
        after = Made(dialect, sent).names
        if migration.rollback_statements is not None:
            undone = [statement.text for statement in migration.rollback_statements]
            left = Made(dialect, sent + undone).names
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
