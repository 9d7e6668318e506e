"""A connection of a backup or a restore, and the contents of its database."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from cardlink_sql.database.internal import InternalStatements
from cardlink_sql.manager import DatabaseManager
from cardlink_sql.model import times
from cardlink_sql.model.tables import event_counter, metadata
from cardlink_sql.schema.migrator import bookkeeping
from cardlink_sql.schema.migrator.backend import migration_backend
from cardlink_sql.transfer.backup.manifest import Contents

# Those of the schema, parents first, and those of the migrations. Other tables of the same
# database are somebody else's: no backup takes them, no restore touches them.
TABLES: Final = (*(table.name for table in metadata.sorted_tables), *bookkeeping.BOOKKEEPING_TABLES)


@contextmanager
def own_connection(manager: DatabaseManager) -> Iterator[InternalStatements]:
    """Open a connection in autocommit and close it after the block; the pool never gets it."""
    pooled = manager.take_connection()
    connection = pooled.driver_connection
    pooled.detach()
    try:
        yield InternalStatements(manager.dialect, connection)
    except manager.driver_errors as error:
        raise manager.pool.backend.translate(error, manager.config.safe_url) from error
    finally:
        pooled.close()


def read_contents(statements: InternalStatements) -> Contents:
    """Return what a database holds; in a transaction the figures agree."""
    present = migration_backend(statements.dialect, statements.connection).table_names()
    applied = (
        statements.rows("migrations.read_applied") if bookkeeping.MIGRATION_TABLE in present else []
    )
    counted = {
        name: int(statements.value("backup.count_rows", table=name))
        for name in TABLES
        if name in present
    }
    return Contents(tuple(name for name, _ in applied), counted)


def advance_event_counter(statements: InternalStatements) -> None:
    """Let the events of a restored database count on, so that no number is given twice.

    A listener keeps the number up to which it has read. A restored database would count on from the
    backup's number and assign the numbers after it once more, and the listener would miss events
    silently. So its counter goes on from the time in milliseconds, which no database has counted to
    (that takes a thousand events a second for as long as it lives), and leaves at least one number
    out, for a missing number is what a listener reports. A schema before the events has no counter.
    """
    backend = migration_backend(statements.dialect, statements.connection)
    if event_counter.name in backend.table_names():
        beyond = int(times.utc_now().timestamp() * 1000)
        statements.execute("backup.advance_event_counter", beyond=beyond)
