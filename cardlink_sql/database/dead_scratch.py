"""The scratch databases that a killed command left on a server."""

from contextlib import suppress
from typing import Any

from sqlalchemy import Engine, event

from cardlink_sql.database.internal import InternalStatements
from cardlink_sql.dialect import Dialect


def clear_dead_scratch(engine: Engine, dialect: Dialect) -> None:
    """Drop them once an engine of any database on that server connects, if the user may."""

    @event.listens_for(engine, "connect", once=True)
    def clear(connection: Any, _record: Any) -> None:
        statements = InternalStatements(dialect, connection)
        with suppress(connection.Error):
            for (name,) in statements.rows("review.find_dead_databases"):
                statements.rows("review.drop_database", database=name)
