"""Making a backup."""

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import IO, Final

from cardlink_sql.dialect import Dialect
from cardlink_sql.errors import DatabaseError
from cardlink_sql.formats.files import refuse_existing, write_atomically
from cardlink_sql.manager import DatabaseManager
from cardlink_sql.model import times
from cardlink_sql.transfer.backup import jsonl, mysql, postgresql, sqlite_copy
from cardlink_sql.transfer.backup.container import Container, Payload, write_container
from cardlink_sql.transfer.backup.manifest import Manifest, Origin, PayloadKind
from cardlink_sql.transfer.progress import OnProgress, no_progress


class Method(StrEnum):
    """The way that a database is backed up."""

    AUTO = "auto"
    NATIVE = "native"
    JSONL = "jsonl"


_NATIVE: Final = {
    Dialect.SQLITE: PayloadKind.SQLITE,
    Dialect.POSTGRESQL: PayloadKind.PG_DUMP,
    Dialect.MYSQL: PayloadKind.MYSQLDUMP,
}
_OBSTACLES: Final = {
    PayloadKind.PG_DUMP: postgresql.obstacle,
    PayloadKind.MYSQLDUMP: mysql.obstacle,
}


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
    kind, obstacle = _choose(manager, method)
    with write_atomically(file, binary=True, private=True) as part:
        manifest = _write(manager, kind, part, on_progress)
        with Container(Path(part.name)) as written:
            for _ in written.chunks(on_progress):
                pass  # each is checked
    return Backup(file, file.stat().st_size, manifest, obstacle)


def _choose(manager: DatabaseManager, method: Method) -> tuple[PayloadKind, str | None]:
    """Return the kind of the payload, and why it is not the native one."""
    if method is Method.JSONL:
        return PayloadKind.JSONL, None
    kind = _NATIVE[manager.dialect]
    obstacle = _OBSTACLES[kind](manager) if kind in _OBSTACLES else None
    if obstacle is None:
        return kind, None
    if method is Method.NATIVE:
        raise DatabaseError(obstacle, manager.config.safe_url, "see to that, or use --method jsonl")
    return PayloadKind.JSONL, obstacle


def _write(
    manager: DatabaseManager, kind: PayloadKind, part: IO[bytes], on_progress: OnProgress
) -> Manifest:
    def write(payload: Payload) -> Manifest:
        origin = _write_payload(manager, kind, payload, Path(part.name).parent)
        return Manifest(
            **vars(origin),
            kind=kind,
            dialect=manager.dialect,
            size=payload.size,
            sha256=payload.sha256,
            created_at=times.utc_now(),
        )

    return write_container(part, kind, write, on_progress)


def _write_payload(
    manager: DatabaseManager, kind: PayloadKind, payload: Payload, folder: Path
) -> Origin:
    match kind:
        case PayloadKind.SQLITE:
            return sqlite_copy.write_payload(manager, payload, folder)
        case PayloadKind.PG_DUMP:
            return postgresql.write_payload(manager, payload)
        case PayloadKind.MYSQLDUMP:
            return mysql.write_payload(manager, payload)
        case PayloadKind.JSONL:
            return jsonl.write_payload(manager, payload)
