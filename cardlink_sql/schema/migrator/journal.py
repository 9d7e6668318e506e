"""The journal: the contents of each migration's file, and the progress of a half-run one."""

from dataclasses import dataclass
from typing import Any

from cardlink_sql.model import times
from cardlink_sql.schema.migrator.backend import MigrationBackend
from cardlink_sql.schema.migrator.files import (
    Direction,
    MigrationStatement,
    SQLMigration,
    statements_checksum,
)


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
    statement_started: int | None
    started_checksum: str | None
    error: str | None

    @property
    def is_uncertain(self) -> bool:
        """Return whether it is unknown if the started statement took effect."""
        return self.statement_started is not None and self.error is None


class Journal:
    """Reads and writes the journal over a backend's connection."""

    def __init__(self, backend: MigrationBackend) -> None:
        self._backend = backend

    def read(self) -> dict[str, JournalEntry]:
        """Return all rows by the migration's id."""
        rows = self._backend.send("read_journal").fetchall()
        return {row[0]: JournalEntry(*row) for row in rows}

    def begin(self, migration: SQLMigration, direction: Direction) -> JournalEntry:
        """Insert the row of a migration that runs statement by statement, with nothing done."""
        self._write(migration, direction, [])
        return self.read()[migration.id]

    def record(self, migration: SQLMigration) -> None:
        """Insert the row of a migration that was applied as a whole."""
        self._write(migration, "apply", migration.apply_statements)

    def forget(self, migration: SQLMigration) -> None:
        """Delete the row: the migration is rolled back."""
        self._backend.send("delete_journal", migration_id=migration.id)

    def started(self, migration: SQLMigration, statement: MigrationStatement) -> None:
        """Record that a statement is about to run."""
        self._send(
            "journal_started",
            migration,
            number=statement.number,
            started_checksum=statement.checksum,
        )

    def done(
        self, migration: SQLMigration, direction: Direction, statement: MigrationStatement
    ) -> None:
        """Record that the statements up to this one have run."""
        done = migration.statements(direction)[: statement.number]
        self._send(
            "journal_done",
            migration,
            number=statement.number,
            done_checksum=statements_checksum(done),
        )

    def failed(self, migration: SQLMigration, statement: MigrationStatement, error: str) -> None:
        """Record that the server refused a statement, so that it took no effect."""
        self._send("journal_failed", migration, number=statement.number, error=error)

    def complete(self, migration: SQLMigration) -> None:
        """Record the checksum of the file after its last statement ran."""
        self._send(
            "journal_complete",
            migration,
            checksum=migration.checksum,
            statements=len(migration.apply_statements),
        )

    def _write(
        self, migration: SQLMigration, direction: Direction, done: list[MigrationStatement]
    ) -> None:
        with self._backend.transaction():
            self._backend.send("delete_journal", migration_id=migration.id)
            self._send(
                "insert_journal",
                migration,
                direction=direction,
                checksum=migration.checksum,
                statements=len(migration.statements(direction)),
                statements_done=len(done),
                done_checksum=statements_checksum(done),
            )

    def _send(self, title: str, migration: SQLMigration, **values: Any) -> None:
        self._backend.send(title, migration_id=migration.id, now=times.utc_now(), **values)
