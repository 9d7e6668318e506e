"""A connection that a backup or a restore keeps to itself."""

from collections.abc import Iterator
from contextlib import contextmanager

from cardlink_sql.database.driver_errors import translate
from cardlink_sql.database.internal import InternalStatements
from cardlink_sql.manager import DatabaseManager


@contextmanager
def own_connection(manager: DatabaseManager) -> Iterator[InternalStatements]:
    """Open a connection in autocommit and close it after the block; the pool never gets it.

    Raises:
        ConnectionError: none can be made.
        DatabaseError: the driver raised an error in the block.
    """
    pooled = manager.take_connection()
    connection = pooled.driver_connection
    pooled.detach()
    try:
        yield InternalStatements(manager.dialect, connection)
    except manager.driver_errors as error:
        raise translate(manager.dialect, error, manager.config.safe_url) from error
    finally:
        pooled.close()
