"""Any database as the JSON lines of an export: from every backend into every other."""

from dataclasses import replace
from pathlib import Path
from typing import IO, Final

from cardlink_sql.dialect import Dialect
from cardlink_sql.errors import DatabaseError, MigrationError, ValidationError
from cardlink_sql.manager import DatabaseManager
from cardlink_sql.outbox.gateway import OutboxGateway
from cardlink_sql.transfer.backup.contents import (
    own_connection,
    read_contents,
    refuse_difference,
    refuse_nothing,
)
from cardlink_sql.transfer.backup.manifest import Contents, Counter, Manifest, PayloadKind
from cardlink_sql.transfer.backup.mysql import product_of
from cardlink_sql.transfer.exchange import Format, Keys, Selection, export, import_file

_PRODUCTS: Final = {Dialect.SQLITE: "SQLite", Dialect.POSTGRESQL: "PostgreSQL"}


def write_payload(manager: DatabaseManager, payload: IO[bytes]) -> Manifest:
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
    tables = export(manager, payload, selection=Selection(secrets=True), keys=Keys.STORED)
    return Manifest(
        kind=PayloadKind.JSONL,
        dialect=manager.dialect,
        product=_PRODUCTS.get(manager.dialect) or product_of(version),
        server_version=version,
        contents=Contents(applied, tables),
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
        _refuse_other_rows(read_contents(statements), manifest.contents, where)
        if (counter := manifest.counter) is not None:
            statements.execute("backup.set_event_counter", **vars(counter))


def _refuse_other_rows(found: Contents, expected: Contents, where: str) -> None:
    """Refuse other rows than the manifest's; the schema may be newer, with more tables."""
    tables = {name: found.tables[name] for name in found.own_tables}
    said = {**dict.fromkeys(tables, 0), **expected.tables}
    refuse_difference(replace(expected, tables=tables), replace(expected, tables=said), where)


def _counter(manager: DatabaseManager) -> Counter | None:
    # After the rows: what was published meanwhile has no number that comes again.
    with manager.transaction(read_only=True) as transaction:
        last_id, publishes = OutboxGateway(transaction, manager.library).get_counter()
    return Counter(last_id, publishes) if last_id or publishes else None
