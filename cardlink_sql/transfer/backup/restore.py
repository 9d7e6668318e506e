"""Restoring a backup, or only looking whether it could be."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from cardlink_sql.config import DatabaseConfig
from cardlink_sql.dialect import Dialect
from cardlink_sql.errors import ValidationError
from cardlink_sql.manager import DatabaseManager
from cardlink_sql.transfer.backup import jsonl, mysqldump, pg_restore
from cardlink_sql.transfer.backup.connections import own_connection
from cardlink_sql.transfer.backup.container import Container
from cardlink_sql.transfer.backup.contents import read_contents, refuse_difference, refuse_newer
from cardlink_sql.transfer.backup.manifest import PAYLOAD_NAMES, Contents, Kind, Manifest
from cardlink_sql.transfer.backup.mysql_scratch import mysql_scratch
from cardlink_sql.transfer.backup.pg_scratch import postgresql_scratch
from cardlink_sql.transfer.backup.progress import OnProgress, no_progress
from cardlink_sql.transfer.backup.restored import Replaced, Restored
from cardlink_sql.transfer.backup.scratch import OpenScratch
from cardlink_sql.transfer.backup.sqlite_copy import examine
from cardlink_sql.transfer.backup.sqlite_scratch import sqlite_scratch

_SCRATCHES: Final[Mapping[Dialect, OpenScratch]] = {
    Dialect.SQLITE: sqlite_scratch,
    Dialect.MYSQL: mysql_scratch,
    Dialect.POSTGRESQL: postgresql_scratch,
}


def check_backup(file: Path, *, on_progress: OnProgress = no_progress) -> Manifest:
    """Read a backup from end to end and look through it, without a database. Changes nothing.

    A file of SQLite's is checked and counted, JSON lines are imported into a database that is
    thrown away, and the rows of a dump are counted where PostgreSQL's ``pg_restore``, which it
    takes to read one, is on the PATH.

    Args:
        file: the backup.
        on_progress: called with the bytes done.

    Returns:
        What it holds.

    Raises:
        ValidationError: it is damaged.
        MigrationError: it is of a newer version.
    """
    with Container(file) as backup:
        manifest = backup.manifest
        refuse_newer(manifest.contents, manifest.dialect, str(file))
        _check(backup, on_progress)
        return manifest


def restore_backup(
    manager: DatabaseManager, file: Path, *, on_progress: OnProgress = no_progress
) -> Restored:
    """Put a backup in the place of the database, which is kept under another name.

    The backup is read, unpacked aside and looked through; what is there is replaced only then,
    in one step. Stop what uses the database first.

    Args:
        manager: of the database to replace; a missing or an empty one is made. Its
            connections are closed.
        file: the backup.
        on_progress: called with the bytes done.

    Raises:
        ValidationError: the backup is damaged, or cannot be restored into this database.
        MigrationError: it is of a newer version, or a migration is under way.
        ConflictError: the database is in use.
        DatabaseError: a file cannot be written, a tool is missing, or the role may not.
    """
    with Container(file) as backup:
        manifest = backup.manifest
        refuse_newer(manifest.contents, manifest.dialect, str(file))
        if manifest.kind is not Kind.JSONL and manifest.dialect is not manager.dialect:
            raise ValidationError(
                f"this is a backup of {manifest.product}, and the database is {manager.dialect}",
                str(file),
                "make one that every backend takes: cardlink-db backup --method jsonl",
            )
        replaced = _restore(manager, backup, on_progress)
    manager.close()
    pending = manager.migrator.status().pending
    manager.close()
    return Restored(manifest, replaced, pending)


def _check(backup: Container, on_progress: OnProgress) -> None:
    where = str(backup.path)
    match backup.manifest.kind:
        case Kind.SQLITE:
            with TemporaryDirectory(prefix="cardlink-") as folder:
                _examine_sqlite(backup, Path(folder) / PAYLOAD_NAMES[Kind.SQLITE], on_progress)
        case Kind.PG_DUMP:
            with _unpacked(backup, on_progress) as dump:
                _examine_dump(backup, pg_restore.examine(dump, backup.manifest, where))
        case Kind.MYSQLDUMP:
            pieces = backup.chunks(on_progress)
            _examine_dump(backup, mysqldump.examine(pieces, backup.manifest, where))
        case Kind.JSONL:
            with _unpacked(backup, on_progress) as file:
                aside = DatabaseConfig(f"sqlite:///{file}.db")
                with DatabaseManager(aside) as manager:
                    jsonl.load(manager, file, backup.manifest, where)


def _restore(
    manager: DatabaseManager, backup: Container, on_progress: OnProgress
) -> Replaced | None:
    where, manifest = str(backup.path), backup.manifest
    match manifest.kind:
        case Kind.SQLITE:
            with sqlite_scratch(manager) as scratch:
                _examine_sqlite(backup, scratch.file, on_progress)
                return scratch.replace()
        case Kind.PG_DUMP:
            with _unpacked(backup, on_progress) as dump:
                _examine_dump(backup, pg_restore.examine(dump, manifest, where))
                return pg_restore.restore(manager, dump, manifest)
        case Kind.MYSQLDUMP:
            client = mysqldump.client_for(manager, manifest)
            _examine_dump(backup, mysqldump.examine(backup.chunks(on_progress), manifest, where))
            with mysql_scratch(manager) as aside:
                mysqldump.load(aside.manager, client, backup.chunks(on_progress))
                with own_connection(aside.manager) as connection:
                    found = read_contents(manager.dialect, connection)
                refuse_difference(found, manifest.contents, where)
                return aside.replace()
        case Kind.JSONL:
            opened = _SCRATCHES[manager.dialect](manager)
            with _unpacked(backup, on_progress) as file, opened as place:
                jsonl.load(place.manager, file, manifest, where)
                return place.replace()


@contextmanager
def _unpacked(backup: Container, on_progress: OnProgress) -> Iterator[Path]:
    """The payload in a file that is this user's alone, while the block lasts."""
    with TemporaryDirectory(prefix="cardlink-") as folder:
        path = Path(folder) / PAYLOAD_NAMES[backup.manifest.kind]
        with path.open("xb") as file:
            backup.unpack(file, on_progress)
        yield path


def _examine_sqlite(backup: Container, target: Path, on_progress: OnProgress) -> None:
    with target.open("xb") as file:
        backup.unpack(file, on_progress)
    found = examine(target, str(backup.path))
    refuse_difference(found, backup.manifest.contents, str(backup.path))


def _examine_dump(backup: Container, found: Contents | None) -> None:
    if found is not None:
        refuse_difference(found, backup.manifest.contents, str(backup.path))
