"""Making a backup."""

from dataclasses import dataclass
from pathlib import Path
from typing import IO

from cardlink_sql import times
from cardlink_sql.backup import sqlite_copy
from cardlink_sql.backup.container import Container, NewContainer
from cardlink_sql.backup.manifest import Kind, Manifest
from cardlink_sql.backup.progress import OnProgress, no_progress
from cardlink_sql.dialect import Dialect
from cardlink_sql.errors import DatabaseError
from cardlink_sql.files import write_atomically
from cardlink_sql.manager import DatabaseManager


@dataclass(frozen=True)
class Backup:
    """A backup that was made.

    Args:
        file: where it is.
        bytes: the size of the file.
        manifest: what it holds.
    """

    file: Path
    bytes: int
    manifest: Manifest


def create_backup(
    manager: DatabaseManager,
    file: Path,
    *,
    force: bool = False,
    on_progress: OnProgress = no_progress,
) -> Backup:
    """Back up the database into one file, while others use it.

    The file is written beside its place, read again from end to end, and then renamed; only
    its owner may read it, for it holds the PSKs as they are stored, encrypted.

    Args:
        manager: of the database.
        file: the backup to make.
        force: replace a file of that name.
        on_progress: called with the bytes done.

    Raises:
        ValidationError: the database is damaged.
        MigrationError: no migration is applied to the database.
        DatabaseError: the file is there already, or it cannot be written.
    """
    if manager.dialect is not Dialect.SQLITE:
        raise DatabaseError("only SQLite is backed up so far", manager.config.safe_url)
    _refuse_existing(file, force=force)
    with write_atomically(file, binary=True, private=True) as part:
        manifest = _write(manager, part, on_progress)
        with Container(Path(part.name)) as written:
            written.verify(on_progress)
    return Backup(file, file.stat().st_size, manifest)


def _refuse_existing(file: Path, *, force: bool) -> None:
    if file.exists() and not file.is_file():
        raise DatabaseError("this is no file", str(file), "name a file to make")
    if file.exists() and not force:
        raise DatabaseError(
            "the file is there already", str(file), "name another, or replace it: --force"
        )


def _write(manager: DatabaseManager, part: IO[bytes], on_progress: OnProgress) -> Manifest:
    kind = Kind.SQLITE
    with NewContainer(part, kind) as container:
        with container.payload(on_progress) as payload:
            source = sqlite_copy.write_payload(manager, payload, Path(part.name).parent)
        manifest = Manifest(
            kind=kind,
            dialect=manager.dialect,
            product=source.product,
            server_version=source.server_version,
            contents=source.contents,
            size=payload.size,
            sha256=payload.sha256,
            created_at=times.utc_now(),
            schema=source.schema,
            tool=source.tool,
        )
        container.finish(manifest)
    return manifest
