"""The database of a review: a live one, which is only read, or a scratch one."""

from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, replace
from typing import Final

from sqlalchemy import Engine

from cardlink_sql.config import DatabaseConfig
from cardlink_sql.database.internal import InternalStatements
from cardlink_sql.dialect import Dialect
from cardlink_sql.errors import ConnectionError, DatabaseError
from cardlink_sql.manager import DatabaseManager
from cardlink_sql.review.databases.backend import ReviewBackend, asking, review_backend_class
from cardlink_sql.review.databases.dataset import SIZES, rows
from cardlink_sql.review.databases.scratch import scratch_database
from cardlink_sql.review.findings import Finding
from cardlink_sql.review.migrations.schema_dump import place_in_schema
from cardlink_sql.schema.drift import differences

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


@dataclass(frozen=True)
class Target:
    """A database whose schema a review checks against.

    Attributes:
        name: a name for people: the URL without secrets, or a scratch database.
        asked: describes queries on it.
        faults: differences between its schema, the migrations and the tables.
        is_scratch: whether the migrations created it just for this review.
        note: the reason why it is not the requested one; None if it is.
    """

    dialect: Dialect
    name: str
    asked: ReviewBackend
    faults: list[Finding]
    is_scratch: bool = False
    note: str | None = None


@contextmanager
def live(config: DatabaseConfig) -> Iterator[Target]:
    """Yield the database of a URL. Nothing is written, and no query is executed.

    Raises:
        DatabaseError: it cannot be reached or read.
    """
    if config.is_memory:
        with scratch(Dialect.SQLITE) as target:
            yield target
        return
    # In a read-only session, MySQL refuses even to PREPARE a statement that writes.
    with DatabaseManager(config, read_only=not config.is_mysql) as manager:
        faults = [*_migration_faults(manager), *_differences(manager.engine, config.dialect)]
        with asking(manager) as asked:
            yield Target(config.dialect, config.safe_url, asked, faults)


@contextmanager
def scratch(dialect: Dialect, server: DatabaseConfig | None = None) -> Iterator[Target]:
    """Yield a database that the migrations create, dropped at the end.

    Args:
        dialect: SQLite's is in memory.
        server: the server on which to create it, next to the configured database. If the role
            may not create databases, the configured one is used, as in :func:`live`.

    Raises:
        DatabaseError: the server cannot be reached, or a migration failed.
    """
    if dialect is Dialect.SQLITE or server is None:
        server = DatabaseConfig("sqlite:///:memory:")
    with ExitStack() as stack:
        manager, note = None, None
        try:
            manager = stack.enter_context(scratch_database(server))
        except ConnectionError:
            raise
        except DatabaseError as refusal:
            note = f"{refusal.what}: the live one was used, read-only"
        if manager is None:
            yield replace(stack.enter_context(live(server)), note=note)
            return
        manager.create_tables()
        faults = _differences(manager.engine, dialect)
        place = "in memory" if server.is_memory else f"on {server.safe_url}"
        asked = stack.enter_context(asking(manager))
        yield Target(dialect, f"a scratch database {place}", asked, faults, is_scratch=True)


def _migration_faults(manager: DatabaseManager) -> Iterator[Finding]:
    status, dialect = manager.migrator.status(), manager.dialect
    migrate, url = "run: cardlink-db migrate", manager.config.safe_url
    said = [(f"the migration {one} is not applied to {url}", migrate) for one in status.pending]
    said += [(sentence, "see: cardlink-db status") for sentence in status.drift]
    if status.unfinished is not None:
        said.append((f"a migration is half applied: {status.unfinished}", migrate))
    for what, remedy in said:
        yield Finding("migrations", f"migrations/{dialect}", None, dialect, what, remedy)


def _differences(engine: Engine, dialect: Dialect) -> list[Finding]:
    remedy = "reconcile cardlink_sql/model/tables.py, the migrations and the database"
    return [
        Finding("schema", place_in_schema(dialect, sentence), None, dialect, sentence, remedy)
        for sentence in differences(engine)
    ]


@contextmanager
def seeded_database(
    dialect: Dialect, server: DatabaseConfig | None = None
) -> Iterator[DatabaseManager]:
    """Yield a scratch database with the data set and fresh statistics, dropped at the end.

    It is made as by :func:`scratch`, but never replaced by the configured one.
    """
    with scratch_database(None if dialect is Dialect.SQLITE else server) as manager:
        manager.create_tables()
        seed(manager)
        yield manager


def seed(manager: DatabaseManager) -> None:
    """Fill an empty, migrated database with the data set, and gather its statistics."""
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
    with closing(manager.take_connection()) as pooled:
        statements = InternalStatements(manager.dialect, pooled.driver_connection)
        for name, is_of_table in review_backend_class(manager.dialect).gathers:
            for given in [{"table": table} for table in SIZES] if is_of_table else [{}]:
                statements.rows(f"review.{name}", **given)
