"""A database filled with the data set, for checking plans."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from cardlink_sql.config import DatabaseConfig
from cardlink_sql.database.internal import InternalStatements
from cardlink_sql.dialect import Dialect
from cardlink_sql.manager import DatabaseManager
from cardlink_sql.review.databases.backend import review_backend_class
from cardlink_sql.review.databases.dataset import SIZES, rows
from cardlink_sql.review.databases.scratch import scratch_database

_MEMORY: Final = "sqlite:///:memory:"

_INSERTS: Final = {
    "devices": ("exchange", "insert_devices"),
    "card_profiles": ("exchange", "insert_cards"),
    "ota_sessions": ("exchange", "insert_sessions"),
    "comm_logs": ("logs", "add_log_batch"),
    "test_results": ("exchange", "insert_tests"),
    "settings": ("exchange", "insert_settings"),
    "event_outbox": ("outbox", "add"),
}

# The queries that fill the database, by title.
FILLING: Final = frozenset(".".join(query) for query in _INSERTS.values())


@contextmanager
def seeded_database(
    dialect: Dialect, server: DatabaseConfig | None = None
) -> Iterator[DatabaseManager]:
    """Yield a scratch database with the data set and fresh statistics, dropped at the end.

    Args:
        dialect: SQLite's is in memory.
        server: the server on which to create it, next to the configured database.

    Raises:
        DatabaseError: the user may not create a database.
        ConnectionError: no connection.
    """
    if dialect is Dialect.SQLITE or server is None:
        server = DatabaseConfig(_MEMORY)
    with scratch_database(server) as manager:
        manager.create_tables()
        seed(manager)
        yield manager


def seed(manager: DatabaseManager) -> None:
    """Fill an empty, migrated database with the data set, and gather its statistics.

    Raises:
        DatabaseError: the database refuses a row.
    """
    with manager.transaction(read_only=False) as transaction:
        for table, (gateway, name) in _INSERTS.items():
            query = manager.library.query(gateway, name)
            pick = query.as_written().pick
            nothing = dict.fromkeys(query.required)  # for a new column that the data set lacks
            filled = [pick({**nothing, **row}) for row in rows(table, manager.dialect)]
            if table == "comm_logs" and manager.dialect is Dialect.POSTGRESQL:
                transaction.copy(manager.library.query("logs", "copy_log_batch"), filled)
            else:
                transaction.batch(query, filled)
        transaction.execute(manager.library.query("outbox", "set_publishing"), {"publishes": True})
        transaction.commit()
    gather_statistics(manager)


def gather_statistics(manager: DatabaseManager) -> None:
    """Have the database read every row of every table, for its planner."""
    pooled = manager.take_connection()
    statements = InternalStatements(manager.dialect, pooled.driver_connection)
    try:
        for name, is_of_table in review_backend_class(manager.dialect).gathers:
            if is_of_table:
                for table in SIZES:
                    statements.rows(f"review.{name}", table=table)
            else:
                statements.rows(f"review.{name}")
    finally:
        pooled.close()
