"""Any database as the JSON lines of an export: from every backend into every other."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import IO, Final

from cardlink_sql.config import DatabaseConfig
from cardlink_sql.dialect import Dialect
from cardlink_sql.errors import DatabaseError, MigrationError, ValidationError
from cardlink_sql.manager import DatabaseManager
from cardlink_sql.outbox.gateway import OutboxGateway
from cardlink_sql.transfer.backup.container import Container
from cardlink_sql.transfer.backup.contents import own_connection
from cardlink_sql.transfer.backup.manifest import Contents, Counter, Manifest, PayloadKind
from cardlink_sql.transfer.backup.mysql import product_of
from cardlink_sql.transfer.backup.payload import Payload
from cardlink_sql.transfer.backup.refusals import refuse_difference, refuse_empty
from cardlink_sql.transfer.exchange import Format, Keys, Selection, export, import_file

_PRODUCTS: Final = {Dialect.SQLITE: "SQLite", Dialect.POSTGRESQL: "PostgreSQL"}


class JSONLines(Payload):
    """The lines of an export, the PSKs as they are stored."""

    kind = PayloadKind.JSONL

    def writer(self, manager: DatabaseManager, folder: Path) -> Callable[[IO[bytes]], Manifest]:
        return partial(_write, manager)

    def make_file(self, backup: Container, target: Path) -> None:
        """Make a new database of them."""
        with DatabaseManager(DatabaseConfig(f"sqlite:///{target}")) as manager:
            self.load(manager, backup)

    def load(self, manager: DatabaseManager, backup: Container) -> None:
        """Load JSON lines into an empty database, whose schema is made first, and count its rows.

        The counter of the events comes from the manifest.
        """
        with backup.unpacked() as file:
            manager.create_tables()
            try:
                report = import_file(manager, file, file_format=Format.JSONL, keys=Keys.STORED)
            except DatabaseError as error:
                what = f"the rows of the backup cannot be taken: {error.what}"
                raise ValidationError(what, backup.where, "use another backup") from error
        tables = {name: counts.created for name, counts in report.tables.items()}
        # The schema may be newer, with more tables.
        expected = {**dict.fromkeys(tables, 0), **backup.manifest.contents.tables}
        refuse_difference(Contents((), tables), Contents((), expected), backup.where)
        if (counter := backup.manifest.counter) is not None:
            with own_connection(manager) as statements:
                statements.execute("backup.set_event_counter", **vars(counter))


PAYLOAD: Final = JSONLines()


def _write(manager: DatabaseManager, payload: IO[bytes]) -> Manifest:
    where = manager.config.safe_url
    status = manager.migrator.status()
    applied = tuple(one.id for one in status.applied)
    refuse_empty(Contents(applied, {}), where)
    if not status.is_current:
        raise MigrationError(
            "JSON lines are of the current schema, and this database has another",
            where,
            "see cardlink-db status; a backup by --method native takes it as it is",
        )
    version = manager.health_check()["server_version"] or ""
    tables = export(manager, payload, selection=Selection(secrets=True), keys=Keys.STORED)
    product = _PRODUCTS.get(manager.dialect) or product_of(version)
    contents, counter = Contents(applied, tables), _counter(manager)
    return Manifest(PayloadKind.JSONL, manager.dialect, product, version, contents, counter=counter)


def _counter(manager: DatabaseManager) -> Counter | None:
    # After the rows: what was published meanwhile has no number that comes again.
    with manager.transaction(read_only=True) as transaction:
        last_id, publishes = OutboxGateway(transaction, manager.library).get_counter()
    return Counter(last_id, publishes) if last_id or publishes else None
