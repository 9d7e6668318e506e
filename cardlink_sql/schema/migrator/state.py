"""The state of a database against the migration files. Reads only."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from cardlink_sql.errors import DriftError, MigrationError
from cardlink_sql.model.tables import metadata
from cardlink_sql.schema.migrator import bookkeeping, table_locks
from cardlink_sql.schema.migrator.backend import MigrationBackend
from cardlink_sql.schema.migrator.bookkeeping import JournalEntry, read_journal
from cardlink_sql.schema.migrator.files import Direction, SQLMigration

_UNDO = f"or undo its statements by hand and delete its row from {bookkeeping.JOURNAL_TABLE}"


@dataclass(frozen=True)
class AppliedMigration:
    """An applied migration: its id, its time (UTC) and its user (``user@host``)."""

    id: str
    applied_at: datetime
    applied_by: str | None


@dataclass(frozen=True)
class PlannedMigration:
    """A planned migration, and the exact statements that it would send.

    ``locks`` describes the locks of each statement, and ``note`` those of the whole, a line each.
    """

    id: str
    direction: Direction
    statements: list[str]
    locks: list[str] = field(default_factory=list, compare=False)
    note: str = field(default="", compare=False)


@dataclass(frozen=True)
class MigrationStatus:
    """The state of a database's migrations.

    Args:
        applied: the applied migrations, in the order of the files.
        pending: the ids of those that are not applied.
        drift: a sentence for each disagreement between the database and the files.
        unfinished: a sentence on a migration that is half applied or half rolled back.
    """

    applied: list[AppliedMigration] = field(default_factory=list)
    pending: list[str] = field(default_factory=list)
    drift: list[str] = field(default_factory=list)
    unfinished: str | None = None

    @property
    def current(self) -> str | None:
        """Return the id of the newest applied migration."""
        return self.applied[-1].id if self.applied else None

    @property
    def is_current(self) -> bool:
        """Return whether everything is applied, without drift or an unfinished migration."""
        return not (self.pending or self.drift or self.unfinished)


@dataclass(frozen=True)
class State:
    """The migration files and their records in the bookkeeping."""

    files: list[SQLMigration]
    applied: dict[str, AppliedMigration] = field(default_factory=dict)
    journal: dict[str, JournalEntry] = field(default_factory=dict)

    @property
    def pending(self) -> list[SQLMigration]:
        """Return the migrations that are not fully applied, in order."""
        return [file for file in self.files if file.id not in self.applied]

    @property
    def done(self) -> list[SQLMigration]:
        """Return the applied migrations that have a file, in order."""
        return [file for file in self.files if file.id in self.applied]

    @property
    def unfinished(self) -> JournalEntry | None:
        """Return the journal's row of a half-applied or half-rolled-back migration, if any."""
        for entry in self.journal.values():
            if entry.direction == "rollback" or entry.migration_id not in self.applied:
                return entry
        return None

    def unfinished_of(self, file: SQLMigration) -> JournalEntry | None:
        """Return the journal's row of this migration, if it is half run."""
        entry = self.unfinished
        return entry if entry is not None and entry.migration_id == file.id else None

    @property
    def drift(self) -> list[str]:
        """Return a sentence for each disagreement."""
        return [*self._edited(), *self._missing(), *self._out_of_order()]

    def status(self) -> MigrationStatus:
        """Return this state for callers."""
        names, unfinished = [file.id for file in self.files], self.unfinished
        without_file = sorted(self.applied.keys() - set(names))
        return MigrationStatus(
            applied=[self.applied[one] for one in (*without_file, *names) if one in self.applied],
            pending=[file.id for file in self.pending],
            drift=self.drift,
            unfinished=_describe(unfinished) if unfinished else None,
        )

    def check(self, direction: Direction) -> None:
        """Refuse to run anything if files and database disagree, or one is half run backwards."""
        if drift := self.drift:
            raise DriftError(
                "; ".join(drift),
                remedy="restore the files as they were applied; "
                "a change to the schema is a new migration"
                + (f"; of the half-run one: restore it, {_UNDO}" if self.unfinished else ""),
            )
        entry = self.unfinished
        if entry is None or entry.direction == direction:
            return
        finish = "migrate" if entry.direction == "apply" else "roll back"
        raise MigrationError(_describe(entry), remedy=f"{finish} first, to finish it; {_UNDO}")

    def resolve(self, revision: str) -> SQLMigration:
        """Return the migration that a revision names."""
        found = [file for file in self.files if file.id == revision] or [
            file for file in self.files if revision and file.id.startswith(revision)
        ]
        if len(found) == 1:
            return found[0]
        names = ", ".join(file.id for file in found or self.files) or "none"
        what = "more than one migration" if found else "no migration"
        raise MigrationError(
            f"{revision!r} names {what}", remedy=f"write one of these, or its number: {names}"
        )

    def can_roll_back_to(self, revision: str) -> bool:
        """Return whether a revision is one to roll back to, such as ``base``."""
        return revision == "base" or self.resolve(revision).id in self.applied

    def to_apply(self, revision: str | None) -> list[SQLMigration]:
        """Return the pending migrations up to a revision, in order."""
        if revision is None:
            return self.pending
        last = self.files.index(self.resolve(revision))
        return [file for file in self.pending if self.files.index(file) <= last]

    def to_stamp(self, revision: str | None) -> list[SQLMigration]:
        """Return the pending migrations up to a revision, to be recorded without running them."""
        self.check("apply")
        if self.unfinished is not None:
            raise MigrationError(_describe(self.unfinished), remedy="migrate first, to finish it")
        return self.to_apply(revision)

    def to_roll_back(self, revision: str) -> list[SQLMigration]:
        """Return the applied migrations after a revision, newest first; each has a rollback."""
        if not self.can_roll_back_to(revision):
            raise MigrationError(
                f"{self.resolve(revision).id} is not applied, so it is not possible to roll back "
                "to it",
                remedy="see what is applied: cardlink-db status",
            )
        keep = -1 if revision == "base" else self.files.index(self.resolve(revision))
        going = [file for file in reversed(self.done) if self.files.index(file) > keep]
        entry = self.unfinished
        if entry is not None and entry.migration_id not in {file.id for file in going}:
            raise MigrationError(_describe(entry), remedy="roll back to a revision before it")
        for file in going:
            file.statements("rollback")
        return going

    def planned(self, file: SQLMigration, direction: Direction) -> PlannedMigration:
        """Return the statements that a migration would send; the rest of a half-run one."""
        entry = self.unfinished_of(file)
        texts = [statement.text for statement in file.statements(direction)]
        done = 0 if entry is None else entry.statements_done
        end = self.files.index(file) + (direction == "rollback")
        before = [one.text for earlier in self.files[:end] for one in earlier.apply_statements]
        return PlannedMigration(
            file.id,
            direction,
            texts[done:],
            table_locks.locks(texts[done:], file.dialect, before + texts[:done]),
            table_locks.note(file.dialect, is_atomic=file.use_transactions),
        )

    def planned_after(self, start: str, revision: str | None) -> list[PlannedMigration]:
        """Return the plan from a migration, or from ``base``, up to a revision."""
        first = 0 if start == "base" else self.files.index(self.resolve(start)) + 1
        going = [file for file in self.to_apply(revision) if self.files.index(file) >= first]
        return [self.planned(file, "apply") for file in going]

    def _edited(self) -> list[str]:
        return [
            f"{file.id} was edited after it was applied"
            for file in self.done
            if file.id in self.journal and self.journal[file.id].checksum != file.checksum
        ]

    def _missing(self) -> list[str]:
        names = {file.id for file in self.files}
        return [
            f"{name} is {'applied' if name in self.applied else 'half applied'}, "
            "but its file is missing"
            for name in sorted({*self.applied, *self.journal} - names)
        ]

    def _out_of_order(self) -> list[str]:
        touched = [file for file in self.files if file.id in {*self.applied, *self.journal}]
        before = self.files[: self.files.index(touched[-1])] if touched else []
        return [
            f"{file.id} is not applied, but {touched[-1].id}, which comes after it, is"
            for file in before
            if file not in touched
        ]


def read_state(backend: MigrationBackend, files: list[SQLMigration]) -> State:
    """Return the records of the bookkeeping; without its tables, nothing is applied."""
    present = backend.table_names()
    if bookkeeping.MIGRATION_TABLE not in present:
        refuse_unrecorded(present)
        return State(files)
    rows = backend.send("read_who_applied").fetchall() if bookkeeping.LOG_TABLE in present else ()
    who = {name: f"{user}@{host}" for name, user, host in rows}
    applied = {
        name: AppliedMigration(name, _as_utc(moment), who.get(name))
        for name, moment in backend.send("read_applied").fetchall()
    }
    journal = read_journal(backend) if bookkeeping.JOURNAL_TABLE in present else {}
    return State(files, applied, journal)


def refuse_unrecorded(present: set[str]) -> None:
    """Refuse a database that only looks empty: it has tables, but no record of migrations."""
    known = sorted(present & metadata.tables.keys())
    if known and bookkeeping.MIGRATION_TABLE not in present:
        raise MigrationError(
            f"the table {known[0]} exists, but no record of migrations is visible",
            remedy=f"let the role read {', '.join(bookkeeping.BOOKKEEPING_TABLES)}; "
            "or, if the tables were created by other means: cardlink-db migrate --stamp ID",
        )


def _as_utc(moment: Any) -> datetime:
    known = datetime.fromisoformat(moment) if isinstance(moment, str) else moment
    return known.replace(tzinfo=UTC) if known.tzinfo is None else known.astimezone(UTC)


def _describe(entry: JournalEntry) -> str:
    half = "half applied" if entry.direction == "apply" else "half rolled back"
    sentence = (
        f"{entry.migration_id} is {half}: "
        f"{entry.statements_done} of {entry.statements} statements are committed"
    )
    if entry.error is not None:
        return f"{sentence}; statement {entry.statement_started} failed: {entry.error}"
    if entry.statement_started is not None:
        return (
            f"{sentence}; statement {entry.statement_started} was under way when last noted, "
            "and may still be running"
        )
    return sentence
