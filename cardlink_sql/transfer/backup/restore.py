"""Restoring a backup, or only checking whether it can be restored."""

import shlex
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from cardlink_sql.config import without_secrets
from cardlink_sql.database.internal import InternalStatements, text_to_paste
from cardlink_sql.dialect import Dialect
from cardlink_sql.errors import StateError, ValidationError
from cardlink_sql.manager import DatabaseManager
from cardlink_sql.model.progress import OnProgress, no_progress
from cardlink_sql.transfer.backup import sqlite
from cardlink_sql.transfer.backup.container import Container
from cardlink_sql.transfer.backup.contents import (
    advance_event_counter,
    own_connection,
    read_contents,
)
from cardlink_sql.transfer.backup.manifest import Manifest, PayloadKind
from cardlink_sql.transfer.backup.payload import payload_of
from cardlink_sql.transfer.backup.refusals import refuse_newer


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
    with Container(file, on_progress) as backup:
        manifest = backup.manifest
        refuse_newer(manifest.contents, manifest.dialect, str(file))
        payload_of(manifest.kind, manifest.dialect).examine(backup)
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
    with Container(file, on_progress) as backup:
        manifest = backup.manifest
        refuse_newer(manifest.contents, manifest.dialect, str(file))
        if manifest.kind is not PayloadKind.JSONL and manifest.dialect is not manager.dialect:
            raise ValidationError(
                f"this is a backup of {manifest.product}, and the database is {manager.dialect}",
                str(file),
                "make one that every backend takes: cardlink-db backup --method jsonl",
            )
        payload, replaced = payload_of(manifest.kind, manifest.dialect), None
        if manager.dialect is Dialect.SQLITE:
            replaced = sqlite.replace_database(manager, partial(payload.make_file, backup))
        else:
            with own_connection(manager) as server:
                _refuse_filled(manager, server, backup)
            payload.load(manager, backup)
            with own_connection(manager) as server:
                advance_event_counter(server)
    manager.close()
    pending = manager.migrator.status().pending
    manager.close()
    return Restored(manifest, replaced, pending)


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
