"""Restoring a backup, or only looking whether it could be."""

from pathlib import Path
from tempfile import TemporaryDirectory

from cardlink_sql.backup.container import Container
from cardlink_sql.backup.contents import refuse_difference, refuse_newer
from cardlink_sql.backup.manifest import Manifest
from cardlink_sql.backup.progress import OnProgress, no_progress
from cardlink_sql.backup.restored import Replaced, Restored
from cardlink_sql.backup.sqlite_copy import examine
from cardlink_sql.backup.sqlite_scratch import sqlite_scratch
from cardlink_sql.errors import ValidationError
from cardlink_sql.manager import DatabaseManager


def check_backup(file: Path, *, on_progress: OnProgress = no_progress) -> Manifest:
    """Read a backup from end to end and look through it as a restore would. Changes nothing.

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
        refuse_newer(backup.manifest.contents, backup.manifest.dialect, str(file))
        with TemporaryDirectory(prefix="cardlink-") as folder:
            _examine_sqlite(backup, Path(folder) / "unpacked.db", on_progress)
        return backup.manifest


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
        DatabaseError: a file cannot be written.
    """
    with Container(file) as backup:
        manifest = backup.manifest
        refuse_newer(manifest.contents, manifest.dialect, str(file))
        if manifest.dialect is not manager.dialect:
            raise ValidationError(
                f"this is a backup of {manifest.product}, and the database is {manager.dialect}",
                str(file),
                "make one that every backend takes: cardlink-db backup --method jsonl",
            )
        replaced = _restore_sqlite(manager, backup, on_progress)
    pending = manager.migrator.status().pending
    manager.close()
    return Restored(manifest, replaced, pending)


def _restore_sqlite(
    manager: DatabaseManager, backup: Container, on_progress: OnProgress
) -> Replaced | None:
    with sqlite_scratch(manager) as scratch:
        _examine_sqlite(backup, scratch.file, on_progress)
        return scratch.replace()


def _examine_sqlite(backup: Container, target: Path, on_progress: OnProgress) -> None:
    with target.open("xb") as file:
        backup.unpack(file, on_progress)
    found = examine(target, str(backup.path))
    refuse_difference(found, backup.manifest.contents, str(backup.path))
