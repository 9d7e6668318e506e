"""Making a backup."""

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from cardlink_sql.errors import DatabaseError
from cardlink_sql.formats.files import refuse_existing, write_atomically
from cardlink_sql.manager import DatabaseManager
from cardlink_sql.model.progress import OnProgress, no_progress
from cardlink_sql.transfer.backup.container import Container, write_container
from cardlink_sql.transfer.backup.manifest import Manifest, PayloadKind
from cardlink_sql.transfer.backup.payload import payload_of
from cardlink_sql.transfer.backup.tools import UnusableToolError


class Method(StrEnum):
    """The way that a database is backed up."""

    AUTO = "auto"
    NATIVE = "native"
    JSONL = "jsonl"


@dataclass(frozen=True)
class Backup:
    """A backup that was made.

    Args:
        file: where it is.
        bytes: the size of the file.
        manifest: what it holds.
        obstacle: why it is JSON lines though the server's own tool was preferred.
    """

    file: Path
    bytes: int
    manifest: Manifest
    obstacle: str | None = None


def create_backup(
    manager: DatabaseManager,
    file: Path,
    *,
    method: Method = Method.AUTO,
    force: bool = False,
    on_progress: OnProgress = no_progress,
) -> Backup:
    """Back up the database into one file, while others use it.

    The file is written next to its place, read again from end to end, and then renamed; only
    its owner may read it, for it holds the PSKs as they are stored, encrypted.

    Args:
        manager: of the database.
        file: the backup to make.
        method: ``NATIVE`` is SQLite's online backup and the dump tools of the servers, which
            take the tables as they are; ``JSONL`` can be restored into every backend, too.
            ``AUTO`` is native where it can be.
        force: replace a file of that name.
        on_progress: called with the bytes done.

    Raises:
        ValidationError: the database is damaged.
        MigrationError: no migration is applied to the database.
        DatabaseError: the file is there already, or it cannot be written; the dump tool is
            missing, or failed.
    """
    if file.exists() and not file.is_file():
        raise DatabaseError("not a file", str(file), "name a file to make")
    refuse_existing(file, force=force)
    folder, obstacle = file.resolve().parent, None
    payload = payload_of(PayloadKind.JSONL if method is Method.JSONL else None, manager.dialect)
    try:
        write = payload.writer(manager, folder)
    except UnusableToolError as found:
        if method is Method.NATIVE:
            raise
        obstacle = found.what
        payload = payload_of(PayloadKind.JSONL, manager.dialect)
        write = payload.writer(manager, folder)
    with write_atomically(file, binary=True, private=True) as part:
        manifest = write_container(part, payload.kind, write, on_progress)
        with Container(Path(part.name), on_progress) as written:
            for _ in written.chunks():
                pass  # each is checked
    return Backup(file, file.stat().st_size, manifest, obstacle)
