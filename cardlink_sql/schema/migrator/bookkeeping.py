"""The tables of the bookkeeping.

They are yoyo's (``_yoyo_migration``, ``_yoyo_log`` and ``_yoyo_version``, in the shape of its
schema version 2) and one of ours, ``cardlink_migration_journal``: a row per migration, with the
checksum of the file that was applied and, where a migration cannot be one transaction, how many of
its statements are done. Their SQL is in ``sql/internal``.
"""

import getpass
import os
import socket
import uuid
from dataclasses import asdict, dataclass
from typing import Final

from cardlink_sql.errors import MigrationError
from cardlink_sql.model import times
from cardlink_sql.schema.migrator.backend import MigrationBackend
from cardlink_sql.schema.migrator.files import Direction, SQLMigration, statements_checksum

MIGRATION_TABLE: Final = "_yoyo_migration"
LOG_TABLE: Final = "_yoyo_log"
VERSION_TABLE: Final = "_yoyo_version"
JOURNAL_TABLE: Final = "cardlink_migration_journal"
BOOKKEEPING_TABLES: Final = (JOURNAL_TABLE, MIGRATION_TABLE, LOG_TABLE, VERSION_TABLE)

YOYO_VERSION: Final = 2
_NAME_LENGTH: Final = 255


def utc_text() -> str:
    """Return the time without its zone, in the form that all servers read."""
    return times.utc_now().replace(tzinfo=None).isoformat(" ")


def create_bookkeeping(backend: MigrationBackend) -> None:
    """Create the tables that are missing."""
    present = backend.table_names()
    with backend.transaction():
        if not present.issuperset(BOOKKEEPING_TABLES):
            # Each can be repeated, so a process killed between two needs no repair.
            for title in ("make_migrations", "make_log", "make_version", "make_journal"):
                backend.send(title)
        version = _read_version(backend)
    if version != YOYO_VERSION:
        raise MigrationError(
            f"the bookkeeping is of yoyo's version {version}, not {YOYO_VERSION}",
            VERSION_TABLE,
            "install the cardlink-sql that made it",
        )


def make_lock_row(backend: MigrationBackend) -> None:
    """Create the row that is a cluster's lock, where it is missing."""
    if VERSION_TABLE not in backend.table_names():
        backend.send("make_version")
    _read_version(backend)


def _read_version(backend: MigrationBackend) -> int:
    """Return the version of yoyo's tables, which is written where none is."""
    version = backend.send("read_version").fetchone()[0]
    if version is None:
        version = YOYO_VERSION
        backend.send("write_version", version=version, now=utc_text())
    return int(version)


def record(backend: MigrationBackend, migration: SQLMigration, direction: Direction) -> None:
    """Record that a whole migration was applied or rolled back, and by which user.

    It makes no DNS query, and works for a user without a name.
    """
    now = utc_text()
    backend.send(
        "write_log",
        id=str(uuid.uuid4()),
        migration_id=migration.id,
        migration_hash=migration.hash,
        username=_user_name()[:_NAME_LENGTH],
        hostname=socket.gethostname()[:_NAME_LENGTH],
        created_at_utc=now,
        operation=direction,
    )
    if direction == "apply":
        names = {"migration_hash": migration.hash, "migration_id": migration.id}
        backend.send("mark_applied", **names, now=now)
        write_entry(backend, entry_after(migration, direction, len(migration.apply_statements)))
    else:
        backend.send("unmark_applied", migration_hash=migration.hash)
        backend.send("delete_journal", migration_id=migration.id)


def _user_name() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):  # a container's uid without an account
        return f"uid {os.getuid()}" if hasattr(os, "getuid") else "unknown"


@dataclass(frozen=True)
class JournalEntry:
    """A migration's row in the journal.

    ``statement_started`` with an ``error`` is a statement that the server refused; without
    one it was under way when its process or its connection ended.
    """

    migration_id: str
    direction: Direction
    checksum: str
    statements: int
    statements_done: int
    done_checksum: str | None
    statement_started: int | None = None
    started_checksum: str | None = None
    error: str | None = None

    @property
    def is_uncertain(self) -> bool:
        """Return whether it is unknown if the started statement took effect."""
        return self.statement_started is not None and self.error is None


def entry_after(migration: SQLMigration, direction: Direction, done: int) -> JournalEntry:
    """Return the row of a migration of which so many statements are done."""
    statements = migration.statements(direction)
    return JournalEntry(
        migration.id,
        direction,
        migration.checksum,
        len(statements),
        done,
        statements_checksum(statements[:done]),
    )


def read_journal(backend: MigrationBackend) -> dict[str, JournalEntry]:
    """Return all rows by the migration's id."""
    rows = backend.send("read_journal").fetchall()
    return {row[0]: JournalEntry(*row) for row in rows}


def write_entry(backend: MigrationBackend, entry: JournalEntry) -> None:
    """Write a row in the place of the migration's last one."""
    with backend.transaction():
        backend.send("delete_journal", migration_id=entry.migration_id)
        backend.send("insert_journal", **asdict(entry), now=utc_text())
