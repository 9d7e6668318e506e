"""Running one migration: in one transaction, or statement by statement with the journal.

An interrupted one continues at the statement that the journal names.
"""

import re
from dataclasses import replace
from functools import partial
from typing import Final

from cardlink_sql.database.faults import CONFLICTS, error_for
from cardlink_sql.database.internal import text_to_paste
from cardlink_sql.database.retry import PATIENT_ATTEMPTS, PATIENT_SECONDS, run_again
from cardlink_sql.errors import DriftError, MigrationError
from cardlink_sql.schema.migrator.backend import MigrationBackend
from cardlink_sql.schema.migrator.bookkeeping import (
    JOURNAL_TABLE,
    JournalEntry,
    entry_after,
    record,
    write_entry,
)
from cardlink_sql.schema.migrator.files import (
    Direction,
    MigrationStatement,
    SQLMigration,
    StatementFailed,
    statements_checksum,
)

_REPEATABLE: Final = re.compile(
    r"\s*(CREATE|ALTER|DROP|SET|GRANT|REVOKE|ANALYZE|OPTIMIZE|TRUNCATE|VACUUM|PRAGMA|REINDEX)\b",
    re.IGNORECASE,
)
_SETTING: Final = re.compile(r"\s*SET\s+(?!GLOBAL\b|PERSIST\w*\b|@)", re.IGNORECASE)
# Repeating these would create a second index or constraint, named by the server.
_NAMELESS: Final = re.compile(
    r"\bINDEX\s+CONCURRENTLY\s+ON\b|\bADD\s+(?:CONSTRAINT\s+)?(?:UNIQUE|(?:UNIQUE\s+|FULLTEXT\s+|SPATIAL\s+)?(?:INDEX|KEY)"
    r"|FOREIGN\s+KEY|CHECK)\s*\(",
    re.IGNORECASE,
)
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


def _advice(backend: MigrationBackend, failure: StatementFailed, faulty: str, again: str) -> str:
    """Return what to do about a lock that others hold, or about a faulty statement."""
    if backend.database_backend.diagnose(failure.cause)[0] not in CONFLICTS:
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
            _check_unfinished(entry, migration, direction)
        else:
            entry = self._after(0)
            write_entry(backend, entry)
        self._done = entry.statements_done
        self._uncertain = entry.statement_started if entry.is_uncertain else None

    def run(self) -> None:
        for statement in self._statements[: self._done]:
            if _SETTING.match(statement.code):  # of a session that has ended
                self._backend.run(statement)
        for statement in self._statements[self._done :]:
            if self._backend.shares.match(statement.code):
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
                write_entry(self._backend, self._after(statement.number))
        except (StatementFailed, self._backend.connection.Error) as failure:
            cause = getattr(failure, "cause", failure)
            fault = self._backend.database_backend.diagnose(cause)[0]
            if fault in CONFLICTS:  # a Galera cluster's may come at the COMMIT
                raise error_for(fault, None, statement.where) from cause
            if not isinstance(failure, StatementFailed):
                raise
            raise self._failed(failure) from cause

    def _run_alone(self, statement: MigrationStatement) -> None:
        for schema, index in self._backend.invalid_indexes(statement):
            self._backend.send("drop_index", schema=schema, index=index)
        started = replace(
            self._after(statement.number - 1),
            statement_started=statement.number,
            started_checksum=statement.checksum,
        )
        write_entry(self._backend, started)
        is_uncertain = statement.number == self._uncertain
        try:
            self._backend.run(statement)
        except StatementFailed as failure:
            if not (is_uncertain and _took_effect(self._backend, statement, failure.cause)):
                raise self._failed(failure, is_uncertain=is_uncertain) from failure.cause
        write_entry(self._backend, self._after(statement.number))

    def _after(self, number: int) -> JournalEntry:
        return entry_after(self._migration, self._direction, number)

    def _failed(self, failure: StatementFailed, *, is_uncertain: bool = False) -> MigrationError:
        statement, again = failure.statement, _AGAIN[self._direction]
        done = self._statements[: statement.number - 1]
        lines = ", ".join(earlier.line for earlier in done)
        kept = f"the statements of lines {lines} are committed and stay; " if done else ""
        try:
            # The statement stays uncertain: this error may not be about its first run.
            if not is_uncertain:
                refused = replace(
                    self._after(len(done)),
                    statement_started=statement.number,
                    started_checksum=statement.checksum,
                    error=failure.what,
                )
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


def _check_unfinished(entry: JournalEntry, migration: SQLMigration, direction: Direction) -> None:
    """Refuse to continue if the file no longer begins with the committed statements."""
    statements = migration.statements(direction)
    done = statements[: entry.statements_done]
    if entry.done_checksum is not None and (
        len(done) < entry.statements_done or statements_checksum(done) != entry.done_checksum
    ):
        raise DriftError(
            f"{migration.id} is unfinished, and of its first {entry.statements_done} statements, "
            "which are committed, one was edited",
            statements[0].where,
            "restore them as they were; only the statements after them may change",
        )
    if not entry.is_uncertain:
        return
    cut_off = statements[entry.statements_done : entry.statements_done + 1]
    if not cut_off or cut_off[0].checksum != entry.started_checksum:
        raise DriftError(
            f"{migration.id}: statement {entry.statement_started} was under way when its process "
            "or its connection ended, and it was edited since",
            cut_off[0].where if cut_off else migration.where,
            "restore it as it was; whether it took effect is found out by running it again",
        )
    is_repeatable = _REPEATABLE.match(cut_off[0].code) and not _NAMELESS.search(cut_off[0].text)
    if not is_repeatable:
        raise _undecided(migration, cut_off[0])


def _took_effect(
    backend: MigrationBackend, statement: MigrationStatement, error: Exception
) -> bool:
    """Return whether the error of a repeated statement shows that its first run took effect."""
    code = backend.error_code(error)
    word = statement.code.split(maxsplit=1)[0].upper()
    is_made = word in ("CREATE", "ALTER") and code in backend.exists_codes
    return is_made or (word in ("DROP", "ALTER") and code in backend.gone_codes)


def _undecided(migration: SQLMigration, statement: MigrationStatement) -> MigrationError:
    row = f"WHERE migration_id = '{migration.id}'"
    return MigrationError(
        f"statement {statement.number} was under way when its process or its connection ended; "
        "whether it took effect is not known, and running it again may do it twice",
        statement.where,
        "check whether it did. If so: "  # noqa: S608 - advice to a person, never run
        f"UPDATE {JOURNAL_TABLE} SET statements_done = {statement.number}, "
        f"done_checksum = NULL, statement_started = NULL {row}. "
        f"If not: UPDATE {JOURNAL_TABLE} SET statement_started = NULL {row}. "
        "Then migrate again",
    )
