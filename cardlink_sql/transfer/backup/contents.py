"""The contents of a database: tables with their rows, and the migrations applied."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from cardlink_sql.database.internal import InternalStatements
from cardlink_sql.dialect import Dialect
from cardlink_sql.errors import DatabaseError, MigrationError, ValidationError
from cardlink_sql.manager import DatabaseManager
from cardlink_sql.model import times
from cardlink_sql.model.tables import event_counter, metadata
from cardlink_sql.queries.resources import folder
from cardlink_sql.schema.migrator import bookkeeping
from cardlink_sql.schema.migrator.backend import migration_backend
from cardlink_sql.schema.migrator.files import read_migrations
from cardlink_sql.transfer.backup.manifest import Contents

# Those of the schema, parents first, and those of the migrations. Other tables of the same
# database are somebody else's: no backup takes them, no restore touches them.
TABLES: Final = (*(table.name for table in metadata.sorted_tables), *bookkeeping.BOOKKEEPING_TABLES)

# The rights that a backup needs.
LET_READ: Final = "let the role read the tables: cardlink-db sql grants --role reader"


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


def refuse_nothing(contents: Contents, where: str) -> None:
    """Refuse to back up a database without a schema."""
    if not contents.migrations:
        raise MigrationError(
            "there is nothing to back up: no migration is applied to this database",
            where,
            "check the URL, or make the schema: cardlink-db init",
        )


def read_whole_contents(server: InternalStatements, where: str) -> Contents:
    """Return what a server's database holds, and refuse to back up nothing, or less than there is.

    A server hides a table from who has no right to it.
    """
    contents = read_contents(server)
    refuse_nothing(contents, where)
    is_current = set(contents.migrations) >= _known_migrations(server.dialect)
    unseen = [name for name in TABLES if name not in contents.tables]
    if is_current and unseen:
        raise DatabaseError(f"the role does not see the table {unseen[0]}", where, LET_READ)
    return contents


def refuse_newer(contents: Contents, dialect: Dialect, where: str) -> None:
    """Refuse a backup whose migrations this version does not know."""
    known = _known_migrations(dialect)
    unknown = [name for name in contents.migrations if name not in known]
    if unknown:
        raise MigrationError(
            f"the backup has migrations that this cardlink-sql does not know: {', '.join(unknown)}",
            where,
            "install the cardlink-sql that wrote it, or a newer one; nothing was changed",
        )


def _known_migrations(dialect: Dialect) -> set[str]:
    return {file.id for file in read_migrations(folder("migrations"), dialect)}


def refuse_difference(found: Contents, expected: Contents, where: str) -> None:
    """Refuse what was unpacked where it is not what the manifest says."""
    names = sorted(found.tables.keys() | expected.tables.keys())
    compared: list[tuple[str, object, object]] = [
        ("migrations", ", ".join(found.migrations), ", ".join(expected.migrations)),
        *((f"rows of {name}", found.tables.get(name), expected.tables.get(name)) for name in names),
        ("rows that refer to none", found.orphans, expected.orphans),
    ]
    for what, there, said in compared:
        if there != said:
            raise ValidationError(
                f"the backup holds {what}: {there}, but its manifest says {said}",
                where,
                "use another backup; nothing was changed",
            )
