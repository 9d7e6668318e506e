"""Running one migration: in one transaction, or statement by statement with the journal."""

from dataclasses import replace
from functools import partial

from cardlink_sql.database.faults import CONFLICTS, error_for
from cardlink_sql.database.internal import text_to_paste
from cardlink_sql.database.retry import PATIENT_ATTEMPTS, PATIENT_SECONDS, run_again
from cardlink_sql.errors import MigrationError
from cardlink_sql.schema.migrator import resume
from cardlink_sql.schema.migrator.backend import MigrationBackend
from cardlink_sql.schema.migrator.files import (
    Direction,
    MigrationStatement,
    SQLMigration,
    StatementFailed,
)
from cardlink_sql.schema.migrator.journal import JournalEntry, entry_after, write_entry

_AGAIN = {"apply": "migrate", "rollback": "roll back"}


def run(
    backend: MigrationBackend,
    migration: SQLMigration,
    direction: Direction,
    entry: JournalEntry | None,
) -> None:
    """Apply a migration or roll it back, and record it; ``entry`` is its row in the journal."""
    backend.start()
    if not (backend.has_transactional_ddl and migration.use_transactions):
        _ByStatement(backend, migration, direction, entry).run()
        return
    try:
        with backend.transaction():
            backend.run_whole(migration, direction)
            record(backend, migration, direction)
    except StatementFailed as failure:
        advice = _advice(backend, failure, "the file", _AGAIN[direction])
        remedy = f"nothing of this migration was kept; {advice}"
        raise MigrationError(failure.what, failure.statement.where, remedy) from failure.cause


def record(backend: MigrationBackend, migration: SQLMigration, direction: Direction) -> None:
    """Record that a whole migration was applied or rolled back."""
    backend.record(migration, direction)
    if direction == "apply":
        done = len(migration.apply_statements)
        write_entry(backend, entry_after(migration, direction, done))
    else:
        backend.send("delete_journal", migration_id=migration.id)


def _advice(backend: MigrationBackend, failure: StatementFailed, faulty: str, again: str) -> str:
    """Return what to do about a lock that others hold, or about a faulty statement."""
    if backend.driver.diagnose(failure.cause)[0] not in CONFLICTS:
        return f"correct {faulty} and {again} again"
    return (
        f"the statement waited for a lock, and is not at fault: {backend.lock_holders()}; "
        f"end that session or wait for it, and {again} again"
    )


class _ByStatement:
    """Runs a migration whose statements commit one by one, so that it can be resumed."""

    def __init__(
        self,
        backend: MigrationBackend,
        migration: SQLMigration,
        direction: Direction,
        entry: JournalEntry | None,
    ) -> None:
        self._backend = backend
        self._migration = migration
        self._direction = direction
        self._statements = migration.statements(direction)
        if entry is not None and entry.direction == direction:
            resume.check(entry, migration, direction)
        else:
            entry = entry_after(migration, direction, 0)
            write_entry(backend, entry)
        self._done = entry.statements_done
        self._uncertain = entry.statement_started if entry.is_uncertain else None

    def run(self) -> None:
        for statement in self._statements[: self._done]:
            if resume.is_setting(statement):  # of a session that has ended
                self._backend.run(statement)
        for statement in self._statements[self._done :]:
            if self._backend.shares_transaction(statement):
                once = partial(self._run_with_entry, statement)
                run_again(once, PATIENT_ATTEMPTS, PATIENT_SECONDS)
            else:
                self._run_alone(statement)
        with self._backend.transaction():
            record(self._backend, self._migration, self._direction)

    def _run_with_entry(self, statement: MigrationStatement) -> None:
        try:
            with self._backend.transaction():
                self._backend.run(statement)
                self._write_done(statement)
        except (StatementFailed, self._backend.connection.Error) as failure:
            cause = getattr(failure, "cause", failure)
            fault = self._backend.driver.diagnose(cause)[0]
            if fault in CONFLICTS:  # a Galera cluster's may come at the COMMIT
                raise error_for(fault, None, statement.where) from cause
            if not isinstance(failure, StatementFailed):
                raise
            raise self._failed(failure) from cause

    def _run_alone(self, statement: MigrationStatement) -> None:
        for schema, index in self._backend.invalid_indexes(statement):
            self._backend.send("drop_index", schema=schema, index=index)
        started = self._entry_before(statement)
        write_entry(self._backend, replace(started, started_checksum=statement.checksum))
        is_uncertain = statement.number == self._uncertain
        try:
            self._backend.run(statement)
        except StatementFailed as failure:
            if not (is_uncertain and resume.took_effect(statement, failure.cause)):
                raise self._failed(failure, is_uncertain=is_uncertain) from failure.cause
        self._write_done(statement)

    def _write_done(self, statement: MigrationStatement) -> None:
        done = entry_after(self._migration, self._direction, statement.number)
        write_entry(self._backend, done)

    def _entry_before(self, statement: MigrationStatement) -> JournalEntry:
        done = entry_after(self._migration, self._direction, statement.number - 1)
        return replace(done, statement_started=statement.number)

    def _failed(self, failure: StatementFailed, *, is_uncertain: bool = False) -> MigrationError:
        statement, again = failure.statement, _AGAIN[self._direction]
        done = self._statements[: statement.number - 1]
        lines = ", ".join(earlier.line for earlier in done)
        kept = f"the statements of lines {lines} are committed and stay; " if done else ""
        try:
            # The statement stays uncertain: this error may not be about its first run.
            if not is_uncertain:
                refused = replace(self._entry_before(statement), error=failure.what)
                write_entry(self._backend, refused)
        except self._backend.connection.Error:
            advice = f"the connection is lost; {again} again to find out whether it took effect"
        else:
            advice = _advice(self._backend, failure, "this one", again)
            advice += ": it continues at this statement"
            for schema, index in self._backend.invalid_indexes(statement):
                names = {"schema": schema, "index": index}
                undo = text_to_paste(self._backend.dialect, "migrations.drop_index", **names)
                advice += (
                    f"; its invalid index is left, which {again} drops first, as does: {undo};"
                )
        return MigrationError(failure.what, statement.where, kept + advice)
