"""Restoring a backup, or only checking whether it can be restored."""

import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from cardlink_sql.config import DatabaseConfig, without_secrets
from cardlink_sql.database.backend import LOCK_TIMEOUT_MS
from cardlink_sql.database.internal import InternalStatements, text_to_paste
from cardlink_sql.dialect import Dialect
from cardlink_sql.errors import StateError, ValidationError
from cardlink_sql.formats.leftovers import temporary_folder
from cardlink_sql.manager import DatabaseManager
from cardlink_sql.schema.migrator.backend import migration_backend
from cardlink_sql.transfer.backup import jsonl, mysql, postgresql, sqlite
from cardlink_sql.transfer.backup.container import Container
from cardlink_sql.transfer.backup.contents import (
    go_on,
    own_connection,
    read_contents,
    refuse_difference,
    refuse_newer,
)
from cardlink_sql.transfer.backup.manifest import PAYLOAD_NAMES, Manifest, PayloadKind
from cardlink_sql.transfer.progress import OnProgress, no_progress


@dataclass(frozen=True)
class Restored:
    """A database that was restored.

    Args:
        manifest: of the backup.
        replaced: what was there before; None where there was nothing.
        pending: the migrations that the backup is older than.
    """

    manifest: Manifest
    replaced: sqlite.Replaced | None
    pending: list[str]


def check_backup(file: Path, *, on_progress: OnProgress = no_progress) -> Manifest:
    """Read a backup from end to end and verify it, without a database. Changes nothing.

    A file of SQLite's is checked and counted, JSON lines are imported into a database that is
    thrown away, and the rows of a dump are counted where PostgreSQL's ``pg_restore``, which it
    takes to read one, is on the PATH.

    Args:
        file: the backup.
        on_progress: called with the bytes done.

    Returns:
        Its description.

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
    """Restore a backup.

    An SQLite file is replaced in one step and kept under another name; stop what uses it first.
    On a server the database must be empty: make a new one, restore there, and point
    ``DATABASE_URL`` at it.

    Args:
        manager: of the database to restore into. Its connections are closed.
        file: the backup.
        on_progress: called with the bytes done.

    Raises:
        ValidationError: the backup is damaged, or cannot be restored into this database.
        MigrationError: it is of a newer version, or a migration is under way.
        StateError: the server's database is not empty; the remedy has the commands.
        ConflictError: the SQLite file is in use.
        DatabaseError: a file cannot be written, a tool is missing, or the role may not.
    """
    with Container(file) as backup:
        manifest = backup.manifest
        refuse_newer(manifest.contents, manifest.dialect, str(file))
        if manifest.kind is not PayloadKind.JSONL and manifest.dialect is not manager.dialect:
            raise ValidationError(
                f"this is a backup of {manifest.product}, and the database is {manager.dialect}",
                str(file),
                "make one that every backend takes: cardlink-db backup --method jsonl",
            )
        replaced = None
        if manager.dialect is Dialect.SQLITE:
            make = partial(_make_sqlite_file, backup, on_progress)
            replaced = sqlite.replace_database(manager, make)
        else:
            _fill_server(manager, backup, on_progress)
    manager.close()
    pending = manager.migrator.status().pending
    manager.close()
    return Restored(manifest, replaced, pending)


def _check(backup: Container, on_progress: OnProgress) -> None:
    manifest = backup.manifest
    match manifest.kind:
        case PayloadKind.PG_DUMP:
            with _unpacked(backup, on_progress) as dump:
                postgresql.examine(dump, manifest, backup.where)
        case PayloadKind.MYSQLDUMP:
            mysql.examine(backup.chunks(on_progress), manifest, backup.where)
        case PayloadKind.SQLITE | PayloadKind.JSONL:
            with temporary_folder() as folder:
                _make_sqlite_file(backup, on_progress, folder / "checked.db")


def _make_sqlite_file(backup: Container, on_progress: OnProgress, target: Path) -> None:
    manifest = backup.manifest
    if manifest.kind is PayloadKind.SQLITE:
        backup.unpack(target, on_progress)
        refuse_difference(sqlite.examine(target, backup.where), manifest.contents, backup.where)
        return
    aside = DatabaseConfig(f"sqlite:///{target}")
    with _unpacked(backup, on_progress) as file, DatabaseManager(aside) as manager:
        jsonl.load(manager, file, manifest, backup.where)


def _fill_server(manager: DatabaseManager, backup: Container, on_progress: OnProgress) -> None:
    manifest = backup.manifest
    with own_connection(manager) as server:
        _refuse_filled(manager, server, backup)
        if manifest.kind is PayloadKind.JSONL:
            with _unpacked(backup, on_progress) as file:
                jsonl.load(manager, file, manifest, backup.where)
        else:
            backend = migration_backend(manager.dialect, server.connection)
            with backend.locked(LOCK_TIMEOUT_MS / 1000):
                _load_dump(manager, server, backup, on_progress)
                refuse_difference(read_contents(server), manifest.contents, backup.where)
        go_on(server)


def _load_dump(
    manager: DatabaseManager,
    server: InternalStatements,
    backup: Container,
    on_progress: OnProgress,
) -> None:
    manifest = backup.manifest
    if manifest.kind is PayloadKind.PG_DUMP:
        with _unpacked(backup, on_progress) as dump:
            postgresql.examine(dump, manifest, backup.where)
            postgresql.load(manager, server, dump, manifest)
    else:
        client = mysql.client_for(manager, server, manifest)
        mysql.examine(backup.chunks(on_progress), manifest, backup.where)
        mysql.load(manager, server, client, backup.chunks(on_progress))


def _refuse_filled(manager: DatabaseManager, server: InternalStatements, backup: Container) -> None:
    """Refuse a database that a restore would have to change.

    JSON lines go into the tables of ``cardlink-db init``; a dump brings its own.
    """
    there = read_contents(server)
    names = list(there.tables)
    if backup.manifest.kind is PayloadKind.JSONL:
        names = [name for name in there.own_tables if there.tables[name]]
    if names:
        raise StateError(
            f"the database already has {'rows in ' if there.tables[names[0]] else ''}"
            f"the table {names[0]}",
            manager.config.safe_url,
            f"nothing was changed; {_way_out(manager, server, backup)}",
        )


def _way_out(manager: DatabaseManager, server: InternalStatements, backup: Container) -> str:
    """Explain how to make an empty database and restore there."""
    url = manager.config.engine_url
    # The shortest limit of a name is PostgreSQL's, 63 bytes.
    name = f"{(url.database or '')[:50]}_restored"
    user = str(server.value("backup.user"))
    paste = partial(text_to_paste, manager.dialect)
    if manager.dialect is Dialect.MYSQL:
        user, _, host = user.rpartition("@")
        pattern = name.replace("_", r"\_")
        make = paste("backup.make_database", database=name)
        let = paste("backup.let_use_database", database=pattern, user=user, host=host)
        make = f"{make}; {let}"
    else:
        make = paste("backup.make_database", database=name, user=user)
    target = without_secrets(url.set(database=name))
    return (
        f"as an administrator run: {make}; "
        f"then: cardlink-db restore {shlex.quote(backup.where)} -d {shlex.quote(target)}; "
        "then point DATABASE_URL at that database"
    )


@contextmanager
def _unpacked(backup: Container, on_progress: OnProgress) -> Iterator[Path]:
    """Unpack the payload to a file that only this user can read, while the block lasts."""
    with temporary_folder() as folder:
        path = folder / PAYLOAD_NAMES[backup.manifest.kind]
        backup.unpack(path, on_progress)
        yield path
