"""Making a backup."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import IO

from cardlink_sql.dialect import Dialect
from cardlink_sql.errors import DatabaseError
from cardlink_sql.formats.files import refuse_existing, write_atomically
from cardlink_sql.manager import DatabaseManager
from cardlink_sql.transfer.backup import jsonl, mysql, postgresql, sqlite
from cardlink_sql.transfer.backup.container import Container, write_container
from cardlink_sql.transfer.backup.manifest import Manifest, PayloadKind
from cardlink_sql.transfer.backup.tools import UnusableToolError
from cardlink_sql.transfer.progress import OnProgress, no_progress

_Way = tuple[PayloadKind, Callable[[IO[bytes]], Manifest]]


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
    obstacle = None
    way: _Way = PayloadKind.JSONL, partial(jsonl.write_payload, manager)
    if method is not Method.JSONL:
        try:
            way = _native(manager, file.resolve().parent)
        except UnusableToolError as found:
            if method is Method.NATIVE:
                raise
            obstacle = found.what
    with write_atomically(file, binary=True, private=True) as part:
        manifest = write_container(part, *way, on_progress)
        with Container(Path(part.name)) as written:
            for _ in written.chunks(on_progress):
                pass  # each is checked
    return Backup(file, file.stat().st_size, manifest, obstacle)


def _native(manager: DatabaseManager, folder: Path) -> _Way:
    """Return what writes a native payload; SQLite's copy is in the folder meanwhile."""
    match manager.dialect:
        case Dialect.SQLITE:
            return PayloadKind.SQLITE, partial(sqlite.write_payload, manager, folder)
        case Dialect.POSTGRESQL:
            dumper = postgresql.usable_dumper(manager)
            return PayloadKind.PG_DUMP, partial(postgresql.write_payload, manager, dumper)
        case Dialect.MYSQL:
            dumper = mysql.usable_dumper(manager)
            return PayloadKind.MYSQLDUMP, partial(mysql.write_payload, manager, dumper)
