"""A connection that a backup or a restore keeps to itself, and the numbers of the events after."""

from collections.abc import Iterator
from contextlib import contextmanager

from cardlink_sql.database.internal import InternalStatements
from cardlink_sql.manager import DatabaseManager
from cardlink_sql.model import times
from cardlink_sql.model.tables import event_counter
from cardlink_sql.schema.migrator.backend import migration_backend


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


def go_on(statements: InternalStatements) -> None:
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
