"""A connection of a backup's own, beside the pool's."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from cardlink_sql.database.driver_errors import translate
from cardlink_sql.manager import DatabaseManager


@contextmanager
def own_connection(manager: DatabaseManager) -> Iterator[Any]:
    """A driver connection that is in autocommit, and closed behind the block, not given back.

    Raises:
        ConnectionError: none can be made.
        DatabaseError: for whatever the driver raises in the block.
    """
    pooled = manager.take_connection()
    connection = pooled.driver_connection
    pooled.detach()
    try:
        yield connection
    except manager.driver_errors as error:
        raise translate(manager.dialect, error, manager.config.safe_url) from error
    finally:
        pooled.close()


def rows(connection: Any, statement: str, values: Any = None) -> list[Any]:
    """The rows that a statement gives, over a driver connection; none where it gives none."""
    cursor = connection.cursor()
    try:
        cursor.execute(statement, *(() if values is None else (values,)))
        return list(cursor.fetchall()) if cursor.description else []
    finally:
        cursor.close()


def value(connection: Any, statement: str, values: Any = None) -> Any:
    """The one value that a statement gives."""
    return rows(connection, statement, values)[0][0]
