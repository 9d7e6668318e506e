"""Recording a schema that was made from ``migrate --dry-run``, after checking it."""

from cardlink_sql.manager import DatabaseManager
from cardlink_sql.model.tables import metadata
from cardlink_sql.review.databases.scratch import scratch_database
from cardlink_sql.schema.ddl.reflect import read_some
from cardlink_sql.schema.drift import differences


def stamp(manager: DatabaseManager, revision: str | None = None) -> list[str]:
    """Record the pending migrations up to a revision as applied, without running them.

    The live schema must be what they make. For an older revision than the newest they run in a
    scratch database next to it, to compare.

    Args:
        manager: of the database.
        revision: the last migration to record, an id or the beginning of one; by default all.

    Returns:
        The ids recorded, in order.

    Raises:
        DriftError: the schema is another one; nothing was recorded.
        MigrationError: no such revision, or a migration is half applied.
        DatabaseError: the user may not create the scratch database.
        ConnectionError: no connection.
    """

    def found(name: str) -> list[str]:
        if name == manager.migrator.newest:
            return differences(manager.engine)
        with scratch_database(manager.config) as made:
            made.migrator.migrate(name)
            with made.engine.connect() as connection:
                tables, _unknown = read_some(connection, metadata.tables)
        return differences(manager.engine, list(tables.values()))

    return manager.migrator.stamp(revision, found)
