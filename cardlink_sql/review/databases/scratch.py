"""Temporary databases to try queries on, dropped afterwards."""

import secrets
from collections.abc import Iterator
from contextlib import closing, contextmanager

from cardlink_sql.config import DatabaseConfig
from cardlink_sql.database.dead_scratch import clear_dead_scratch
from cardlink_sql.database.faults import driver_message
from cardlink_sql.database.internal import InternalStatements
from cardlink_sql.dialect import Dialect
from cardlink_sql.errors import DatabaseError
from cardlink_sql.manager import DatabaseManager


@contextmanager
def scratch_database(config: DatabaseConfig | None = None) -> Iterator[DatabaseManager]:
    """Yield an empty database on the same server, dropped at the end; on SQLite one in memory.

    Args:
        config: of any database on that server, which is not changed; without one, SQLite.

    Raises:
        DatabaseError: the user may not create a database.
        ConnectionError: no connection.
    """
    if config is None or config.dialect is Dialect.SQLITE:
        with DatabaseManager(DatabaseConfig("sqlite:///:memory:")) as manager:
            yield manager
        return
    with DatabaseManager(config) as server:
        clear_dead_scratch(server.engine, config.dialect)
        with closing(server.take_connection()) as pooled:
            session = InternalStatements(config.dialect, pooled.driver_connection)
            name = session.value("review.claim_database", token=secrets.token_hex(6))
            _run(session, config, "review.create_database", name)
            try:
                url = config.engine_url.set(database=name).render_as_string(hide_password=False)
                with DatabaseManager(DatabaseConfig(url)) as made:
                    yield made
            finally:
                _run(session, config, "review.drop_database", name)


def _run(session: InternalStatements, config: DatabaseConfig, title: str, name: str) -> None:
    try:
        session.rows(title, database=name)
    except session.connection.Error as error:
        raise DatabaseError(
            f"no scratch database: {driver_message(error)}",
            config.safe_url,
            "connect as a user with CREATE DATABASE, on a test server",
        ) from error
