"""A database filled with the data set, for plans to be judged on."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from cardlink_sql.config import DatabaseConfig
from cardlink_sql.dialect import Dialect
from cardlink_sql.manager import DatabaseManager
from cardlink_sql.review.dataset import SIZES, rows
from cardlink_sql.review.scratch import scratch_database

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

_TABLES: Final = ", ".join(SIZES)
# The plans are to be the same each time: statistics come from every row and not from a sample, and
# the server gathers none on its own meanwhile.
_GATHER: Final = {
    Dialect.SQLITE: ("ANALYZE",),
    Dialect.MYSQL: (
        *(
            f"ALTER TABLE {table}"
            " STATS_PERSISTENT = 1, STATS_AUTO_RECALC = 0, STATS_SAMPLE_PAGES = 65535"
            for table in SIZES
        ),
        f"ANALYZE TABLE {_TABLES}",
    ),
    # PostgreSQL plans to read an index alone where VACUUM noted that everybody sees the rows. It
    # does so for rows whose commit is on the disk, which the next commit sees to.
    Dialect.POSTGRESQL: (
        "SET synchronous_commit = on",
        *(f"ALTER TABLE {table} SET (autovacuum_enabled = off)" for table in SIZES),
        "SET default_statistics_target = 1000",
        f"VACUUM (ANALYZE) {_TABLES}",
        "RESET default_statistics_target",
        "RESET synchronous_commit",
    ),
}
# The queries that fill the database, by title.
FILLING: Final = frozenset(".".join(query) for query in _INSERTS.values())


@contextmanager
def seeded_database(
    dialect: Dialect, server: DatabaseConfig | None = None
) -> Iterator[DatabaseManager]:
    """A scratch database with the data set in it and its statistics gathered, dropped at the end.

    Args:
        dialect: SQLite's is in memory.
        server: where a server's is made, beside the database that is named.

    Raises:
        DatabaseError: the user may not make a database.
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
            filled = [pick(row) for row in rows(table, manager.dialect)]
            if table == "comm_logs" and manager.dialect is Dialect.POSTGRESQL:
                transaction.copy(manager.library.query("logs", "copy_log_batch"), filled)
            else:
                transaction.batch(query, filled)
        transaction.execute(manager.library.query("outbox", "set_publishing"), {"publishes": True})
        transaction.commit()
    gather_statistics(manager)


def gather_statistics(manager: DatabaseManager) -> None:
    """Let the database look at every row of every table, for its planner."""
    pooled = manager.take_connection()
    cursor = pooled.cursor()
    try:
        for statement in _GATHER[manager.dialect]:
            cursor.execute(statement)
            if cursor.description:
                cursor.fetchall()
    finally:
        cursor.close()
        pooled.close()
