"""The journal: the checksum of each migration's file, and the progress of a half-run one."""

from dataclasses import asdict, dataclass

from cardlink_sql.schema.migrator.backend import MigrationBackend
from cardlink_sql.schema.migrator.files import Direction, SQLMigration, statements_checksum


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
        backend.send("insert_journal", **asdict(entry), now=backend.now())
