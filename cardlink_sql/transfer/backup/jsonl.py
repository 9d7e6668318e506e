"""Any database as the JSON lines of an export: from every backend into every other."""

import io
from dataclasses import replace
from pathlib import Path

from cardlink_sql.dialect import Dialect
from cardlink_sql.errors import DatabaseError, MigrationError, ValidationError
from cardlink_sql.manager import DatabaseManager
from cardlink_sql.outbox.gateway import OutboxGateway
from cardlink_sql.transfer.backup.connections import own_connection
from cardlink_sql.transfer.backup.container import CHUNK, Payload
from cardlink_sql.transfer.backup.contents import (
    read_contents,
    refuse_difference,
    refuse_nothing,
)
from cardlink_sql.transfer.backup.manifest import Contents, Counter, Manifest, Origin
from cardlink_sql.transfer.backup.mysql import product_of
from cardlink_sql.transfer.exchange import Format, Keys, Selection, export, import_file


def write_payload(manager: DatabaseManager, payload: Payload) -> Origin:
    """Write every table as JSON lines, the PSKs as they are stored."""
    where = manager.config.safe_url
    status = manager.migrator.status()
    applied = tuple(one.id for one in status.applied)
    refuse_nothing(Contents(applied, {}), where)
    if not status.is_current:
        raise MigrationError(
            "JSON lines are of the current schema, and this database has another",
            where,
            "see cardlink-db status; a backup by --method native takes it as it is",
        )
    version = manager.health_check()["server_version"] or ""
    # Closed here even after an interrupt, while the payload is open: it writes what it holds.
    with io.BufferedWriter(payload, CHUNK) as lines:
        tables = export(manager, lines, selection=Selection(secrets=True), keys=Keys.STORED)
    contents = Contents(applied, tables)
    return Origin(
        product=_product(manager, version),
        server_version=version,
        contents=contents,
        counter=_counter(manager),
    )


def load(manager: DatabaseManager, file: Path, manifest: Manifest, where: str) -> None:
    """Load JSON lines into an empty database, whose schema is made first, and count its rows.

    The counter of the events comes from the manifest.
    """
    manager.create_tables()
    try:
        import_file(manager, file, file_format=Format.JSONL, keys=Keys.STORED)
    except DatabaseError as error:
        raise ValidationError(
            f"the rows of the backup cannot be taken: {error.what}", where, "use another backup"
        ) from error
    with own_connection(manager) as statements:
        _compare(read_contents(statements), manifest.contents, where)
        if (counter := manifest.counter) is not None:
            statements.execute(
                "backup.set_event_counter", last_id=counter.last_id, publishes=counter.publishes
            )


def _compare(found: Contents, expected: Contents, where: str) -> None:
    """Refuse other rows than the manifest's; the schema may be newer, with more tables."""
    tables = {name: found.tables[name] for name in found.own_tables}
    refuse_difference(
        replace(expected, tables=tables),
        replace(expected, tables={**dict.fromkeys(tables, 0), **expected.tables}),
        where,
    )


def _counter(manager: DatabaseManager) -> Counter | None:
    # After the rows: what was published meanwhile has no number that comes again.
    with manager.transaction(read_only=True) as transaction:
        last_id, publishes = OutboxGateway(transaction, manager.library).get_counter()
    return Counter(last_id, publishes) if last_id or publishes else None


def _product(manager: DatabaseManager, version: str) -> str:
    match manager.dialect:
        case Dialect.SQLITE:
            return "SQLite"
        case Dialect.POSTGRESQL:
            return "PostgreSQL"
        case Dialect.MYSQL:
            return product_of(version)
