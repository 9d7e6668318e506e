"""Running one migration: in one transaction, or statement by statement with the journal."""

from functools import partial
from typing import Any

from cardlink_sql.database.backend import backend_of
from cardlink_sql.database.faults import CONFLICTS, error_for
from cardlink_sql.database.retry import PATIENT_ATTEMPTS, PATIENT_SECONDS, run_again
from cardlink_sql.errors import MigrationError
from cardlink_sql.schema.migrator import driver, resume
from cardlink_sql.schema.migrator.backend import MigrationBackend
from cardlink_sql.schema.migrator.files import (
    Direction,
    MigrationStatement,
    SQLMigration,
    StatementFailed,
)
from cardlink_sql.schema.migrator.journal import Journal, JournalEntry

_AGAIN = {"apply": "migrate", "rollback": "roll back"}


def run(
    backend: MigrationBackend,
    migration: SQLMigration,
    direction: Direction,
    entry: JournalEntry | None,
) -> None:
    """Apply a migration or roll it back, and record it; ``entry`` is its row in the journal."""
    backend.start()
    if backend.has_transactional_ddl and migration.use_transactions:
        _in_one_transaction(backend, migration, direction)
    else:
        _ByStatement(backend, migration, direction, entry).run()


def _in_one_transaction(
    backend: MigrationBackend, migration: SQLMigration, direction: Direction
) -> None:
    try:
        with backend.transaction():
            backend.run_whole(migration, direction)
            _record(backend, migration, direction)
            if direction == "apply":
                Journal(backend).record(migration)
    except StatementFailed as failure:
        kept = "nothing of this migration was kept"
        again = f"{_AGAIN[direction]} again"
        advice = _advice(backend, failure, again) or f"correct the file and {again}"
        what = driver.message(failure.__cause__ or failure)
        raise MigrationError(
            what, failure.statement.where, f"{kept}; {advice}"
        ) from failure.__cause__


def _advice(backend: MigrationBackend, failure: StatementFailed, again: str) -> str | None:
    """Return what to do about a lock that others hold; None if the statement is at fault."""
    cause: Any = failure.__cause__
    if backend_of(backend.dialect).diagnose(cause)[0] not in CONFLICTS:
        return None
    return (
        f"the statement waited for a lock, and is not at fault: {backend.lock_holders()}; "
        f"end that session or wait for it, and {again}"
    )


def _record(backend: MigrationBackend, migration: SQLMigration, direction: Direction) -> None:
    backend.record(migration, direction)
    if direction == "rollback":
        Journal(backend).forget(migration)


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
        self._journal = Journal(backend)
        self._migration = migration
        self._direction = direction
        self._statements = migration.statements(direction)
        if entry is not None and entry.direction == direction:
            resume.check(entry, migration, direction)
            self._entry = entry
        else:
            self._entry = self._journal.begin(migration, direction)

    def run(self) -> None:
        for statement in self._statements[: self._entry.statements_done]:
            if resume.is_setting(statement):  # of a session that has ended
                self._backend.run(statement)
        for statement in self._statements[self._entry.statements_done :]:
            if self._backend.shares_transaction(statement):
                self._run_with_entry(statement)
            else:
                self._run_alone(statement)
        with self._backend.transaction():
            _record(self._backend, self._migration, self._direction)
            if self._direction == "apply":
                self._journal.complete(self._migration)

    def _run_with_entry(self, statement: MigrationStatement) -> None:
        once = partial(self._try_with_entry, statement)
        run_again(once, PATIENT_ATTEMPTS, PATIENT_SECONDS)

    def _try_with_entry(self, statement: MigrationStatement) -> None:
        try:
            with self._backend.transaction():
                self._backend.run(statement)
                self._journal.done(self._migration, self._direction, statement)
        except (StatementFailed, self._backend.connection.Error) as failure:
            cause: Any = failure.__cause__ or failure
            fault = backend_of(self._backend.dialect).diagnose(cause)[0]
            if fault in CONFLICTS:  # a Galera cluster's may come at the COMMIT
                raise error_for(fault, None, statement.where) from cause
            if not isinstance(failure, StatementFailed):
                raise
            raise self._failed(failure) from cause

    def _run_alone(self, statement: MigrationStatement) -> None:
        was_started = statement.number == self._entry.statement_started
        is_uncertain = was_started and self._entry.is_uncertain
        resume.clear_away(self._backend, statement)
        self._journal.started(self._migration, statement)
        try:
            self._backend.run(statement)
        except StatementFailed as failure:
            if not (is_uncertain and resume.took_effect(statement, failure.__cause__)):
                raise self._failed(failure, is_uncertain=is_uncertain) from failure.__cause__
        self._journal.done(self._migration, self._direction, statement)

    def _failed(self, failure: StatementFailed, *, is_uncertain: bool = False) -> MigrationError:
        statement = failure.statement
        what = driver.message(failure.__cause__ or failure)
        done = self._statements[: statement.number - 1]
        lines = ", ".join(earlier.line for earlier in done)
        kept = f"the statements of lines {lines} are committed and stay; " if done else ""
        again = _AGAIN[self._direction]
        try:
            # The statement stays uncertain: this error may not be about its first run.
            if not is_uncertain:
                self._journal.failed(self._migration, statement, what)
        except self._backend.connection.Error:
            advice = f"the connection is lost; {again} again to find out whether it took effect"
        else:
            advice = _advice(self._backend, failure, f"{again} again") or (
                f"correct this one and {again} again"
            )
            advice += ": it continues at this statement"
            for undo in resume.leftovers(self._backend, statement):
                advice += (
                    f"; its invalid index is left, which {again} drops first, as does: {undo};"
                )
        return MigrationError(what, statement.where, kept + advice)
