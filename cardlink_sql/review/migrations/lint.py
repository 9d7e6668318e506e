"""Rules for migrations, checked before they run on a database that is in use.

One rule (``refused``) covers what the migrator itself refuses. The others find statements that
run, but block writers, break servers of the last release, or cannot be undone. A comment above
a statement, or at the top of a file for all its statements, exempts from a rule with a reason::

    -- allow-lint: index-concurrently: the table is empty until this release
    CREATE INDEX ix_test_results_started_at ON test_results (started_at);

squawk, which has many more rules for PostgreSQL, also runs in the tests.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from importlib.resources.abc import Traversable
from typing import Final

from cardlink_sql.dialect import Dialect
from cardlink_sql.model.tables import GROWING
from cardlink_sql.review.findings import Finding
from cardlink_sql.schema.migrator.actions import Action
from cardlink_sql.schema.migrator.files import MigrationStatement, SQLMigration, read_each
from cardlink_sql.schema.migrator.kinds import Change, KnownSchema, changes_of, has_no_where

_ALLOW: Final = re.compile(r"^[ \t]*--[ \t]*allow-lint\b:?(?P<rest>.*)$", re.MULTILINE)
_ALLOWED: Final = re.compile(r"\s*(?P<rule>[a-z-]+):\s*(?P<why>\S.*)")
_ALLOW_FORM: Final = "write -- allow-lint: rule: the reason"
_LOST_TO_OLD_SERVERS: Final = {
    Action.DROP_TABLE: "dropped",
    Action.RENAME_TABLE: "renamed",
    Action.DROP_COLUMN: "dropped",
    Action.RENAME_COLUMN: "renamed",
}


_CONCURRENTLY: Final = (
    "CREATE INDEX CONCURRENTLY, in a migration that begins -- transactional: false"
)
_USING_INDEX: Final = f"{_CONCURRENTLY}; then ADD … USING INDEX"
# SQLite refuses a column that is computed for existing rows.
_LOCKS_TABLES: Final = (Dialect.POSTGRESQL, Dialect.MYSQL)
# Those that block writes on MySQL; a change of type has its own rule.
_COPIES: Final = tuple(
    kind for kind in Action if kind.value.blocks_writes_on_mysql and kind is not Action.CHANGE_TYPE
)
_BUILDS_INDEX: Final = {
    Action.CREATE_INDEX: _CONCURRENTLY,
    Action.ADD_UNIQUE: _USING_INDEX,
    Action.ADD_PRIMARY_KEY: _USING_INDEX,
    Action.ADD_EXCLUSION: "run it while nothing else runs and say so: it has no CONCURRENTLY",
}


@dataclass(frozen=True)
class _Step:
    """A statement and its changes."""

    migration: SQLMigration
    statement: MigrationStatement
    changes: list[Change]
    new: frozenset[str]
    coming: frozenset[str]

    def on_old_tables(self, *kinds: Action) -> Iterator[Change]:
        """Yield the changes of these kinds of tables that existed before the migration."""
        return (one for one in self.changes if one.kind in kinds and one.table not in self.new)


def lint(folder: Traversable) -> list[Finding]:
    """Return the faults of the migrations, by dialect and file.

    Args:
        folder: the folder ``migrations``, with one folder per dialect in it.
    """
    faults = list[Finding]()
    read = {dialect: read_each(folder, dialect) for dialect in Dialect}
    for dialect, (migrations, errors) in read.items():
        for error in errors:
            where = error.where or f"{folder.name}/{dialect}"
            remedy = error.remedy or "correct the file"
            faults.append(Finding("refused", f"{where}:1", None, dialect, error.what, remedy))
        for migration in migrations:
            faults += _Linted(migration).faults()
        faults += _check_rollbacks(migrations, dialect)
    return [*faults, *_in_some_dialects_only({d: found for d, (found, _) in read.items()}, folder)]


class _Linted:
    """The check of one migration against the rules."""

    def __init__(self, migration: SQLMigration) -> None:
        self._migration = migration
        self._used = set[tuple[int, str]]()

    def faults(self) -> Iterator[Finding]:
        """Yield the faults that are not exempt, and the exemptions that nothing needs."""
        for step in self._steps():
            for rule, check in _CHECKS.items():
                for what, remedy in check(step):
                    if not self._is_allowed(rule, step.statement):
                        where = f"{step.statement.where}:{step.statement.column}"
                        yield Finding(rule, where, None, step.migration.dialect, what, remedy)
        if self._migration.rollback_statements is None and not self._is_allowed("missing-rollback"):
            yield self._fault(
                1,
                "missing-rollback",
                "it cannot be undone",
                f"write {self._migration.id}.rollback.sql, or say why there is none",
            )
        yield from self._faulty_allows()

    def _steps(self) -> Iterator[_Step]:
        new = set[str]()
        read = [
            changes_of(s.text, self._migration.dialect) for s in self._migration.apply_statements
        ]
        for number, (statement, made) in enumerate(
            zip(self._migration.apply_statements, read, strict=True)
        ):
            # Rebuilding a table drops it and renames its copy.
            coming = {
                str(change.name)
                for later in read[number + 1 :]
                for change in later
                if change.kind is Action.RENAME_TABLE
            }
            yield _Step(self._migration, statement, made, frozenset(new), frozenset(coming))
            new |= {str(change.table) for change in made if change.kind is Action.CREATE_TABLE}

    @cached_property
    def _allows(self) -> list[tuple[int, re.Match[str] | None]]:
        """Return the line of each ``allow-lint``, and its match; None if it is malformed."""
        text = self._migration.text
        return [
            (text.count("\n", 0, found.start()) + 1, _ALLOWED.fullmatch(found["rest"]))
            for found in _ALLOW.finditer(text)
        ]

    def _is_allowed(self, rule: str, statement: MigrationStatement | None = None) -> bool:
        top = int(self._migration.apply_statements[0].line)
        comments = [range(1, top)] + ([_comment_above(statement)] if statement else [])
        for line, said in self._allows:
            if said and said["rule"] == rule and any(line in comment for comment in comments):
                self._used.add((line, rule))
                return True
        return False

    def _faulty_allows(self) -> Iterator[Finding]:
        for line, said in self._allows:
            if said is None:
                yield self._fault(line, "allow-lint", "it has no rule and reason", _ALLOW_FORM)
            elif said["rule"] not in RULES:
                what = f"there is no rule {said['rule']!r}"
                yield self._fault(line, "allow-lint", what, f"there are: {', '.join(RULES)}")
            elif (line, said["rule"]) not in self._used:
                what = f"nothing here breaks the rule {said['rule']}"
                yield self._fault(line, "allow-lint", what, "remove the line")

    def _fault(self, line: int, rule: str, what: str, remedy: str) -> Finding:
        where = f"{self._migration.where}:{line}:1"
        return Finding(rule, where, None, self._migration.dialect, what, remedy)


def _comment_above(statement: MigrationStatement) -> range:
    """Return the lines of the comment above a statement."""
    before = statement.text[: len(statement.code) - len(statement.code.lstrip())]
    line = int(statement.line)
    return range(line - before.count("\n"), line)


Found = Iterator[tuple[str, str]]


def _index_concurrently(step: _Step) -> Found:
    for change in step.on_old_tables(*_BUILDS_INDEX):
        if step.migration.dialect is Dialect.POSTGRESQL and change.table in GROWING:
            yield (
                f"{change.table} grows, and building this index blocks every write to it",
                _BUILDS_INDEX[change.kind],
            )


def _concurrently_in_transaction(step: _Step) -> Found:
    kinds = {change.kind for change in step.changes}
    concurrent = {Action.CREATE_INDEX_CONCURRENTLY, Action.DROP_INDEX_CONCURRENTLY}
    if kinds & concurrent and step.migration.use_transactions:
        yield (
            "CONCURRENTLY does not run in a transaction, and this migration uses one",
            "write -- transactional: false in the first line of the file",
        )


def _required_column(step: _Step) -> Found:
    for change in step.on_old_tables(Action.ADD_REQUIRED_COLUMN):
        yield (
            f"the new column of {change.table} is NOT NULL without a default: existing rows "
            "have no value for it, nor do rows that old servers write",
            "add a DEFAULT, or allow NULL",
        )


def _type_change(step: _Step) -> Found:
    for change in step.on_old_tables(Action.CHANGE_TYPE):
        yield (
            f"a column of {change.table} changes its type: the table is rewritten while "
            "others wait, and old servers may not know the type",
            "add a column of the new type, fill it in batches, and drop the old one a "
            "release later",
        )


def _rewrites_table(step: _Step) -> Found:
    for change in step.on_old_tables(Action.ADD_COMPUTED_COLUMN):
        if step.migration.dialect in _LOCKS_TABLES:
            yield (
                f"the new column of {change.table} is computed for every row: the table is "
                "rewritten while reads and writes wait",
                "add the column without it, then ALTER its DEFAULT for new rows, and fill the "
                "existing ones in batches",
            )


def _every_row(step: _Step) -> Found:
    is_of_all = has_no_where(step.statement.text, step.migration.dialect)
    for change in step.on_old_tables(Action.UPDATE, Action.DELETE):
        if change.table in GROWING and is_of_all:
            yield (
                f"{change.table} grows, and this changes every row of it in one transaction",
                "name rows by a WHERE, and change them in batches; or say why all at once",
            )


def _copies_table(step: _Step) -> Found:
    for change in step.on_old_tables(*_COPIES):
        if step.migration.dialect is Dialect.MYSQL and change.table in GROWING:
            yield (
                f"{change.table} grows, and {change.kind.value.title} blocks writes meanwhile",
                "rely on the layer's validation, or run it while nothing else runs and say so",
            )


def _breaks_old_servers(step: _Step) -> Found:
    for change in step.on_old_tables(*_LOST_TO_OLD_SERVERS):
        if change.kind is not Action.DROP_TABLE or change.table not in step.coming:
            done = _LOST_TO_OLD_SERVERS[change.kind]
            what = "a column of it" if "COLUMN" in change.kind.name else "it"
            yield (
                f"servers of the last release still use {change.table}, and {what} is {done}",
                "drop it one release after the last one that uses it, and say which that was",
            )


def _unknown_statement(step: _Step) -> Found:
    if any(change.kind is Action.UNKNOWN for change in step.changes):
        yield (
            "the locks of this statement are unknown",
            "simplify it, or add its kind to cardlink_sql/schema/migrator/kinds.py",
        )


_CHECKS: Final[dict[str, Callable[[_Step], Found]]] = {
    "index-concurrently": _index_concurrently,
    "concurrently-in-transaction": _concurrently_in_transaction,
    "required-column": _required_column,
    "type-change": _type_change,
    "rewrites-table": _rewrites_table,
    "every-row": _every_row,
    "copies-table": _copies_table,
    "breaks-old-servers": _breaks_old_servers,
    "unknown-statement": _unknown_statement,
}
# Nothing exempts from refused, missing-dialect and incomplete-rollback.
RULES: Final = (*_CHECKS, "missing-rollback")


def _in_some_dialects_only(
    found: dict[Dialect, list[SQLMigration]], folder: Traversable
) -> Iterator[Finding]:
    names = {dialect: {migration.id for migration in of} for dialect, of in found.items()}
    files = {
        dialect: {entry.name for entry in folder.joinpath(dialect).iterdir()}
        for dialect in Dialect
        if folder.joinpath(dialect).is_dir()
    }
    for name in sorted(set().union(*names.values())):
        for dialect, of in files.items():
            if f"{name}.sql" not in of:
                yield Finding(
                    "missing-dialect",
                    f"{folder.name}/{dialect}/{name}.sql:1:1",
                    None,
                    dialect,
                    f"other dialects have the migration {name}, and this one does not",
                    "write it; if there is nothing to do here, SELECT 1 and say why",
                )


def _check_rollbacks(migrations: list[SQLMigration], dialect: Dialect) -> Iterator[Finding]:
    """Yield the rollbacks that forget a table or an index, or make one that was not there.

    The statements are followed by name, without a database. Columns and types are compared by the
    tests, on each backend.
    """
    sent: list[str] = []
    before: dict[str, str] = {}
    for migration in migrations:
        sent += [statement.text for statement in migration.apply_statements]
        after = KnownSchema(dialect, sent).names
        if migration.rollback_statements is not None:
            undone = [statement.text for statement in migration.rollback_statements]
            left = KnownSchema(dialect, sent + undone).names
            for name in sorted(before.keys() ^ left.keys()):
                what = "an index" if (before | after | left)[name] else "a table"
                done = "leaves" if name in left else "does not bring back"
                yield Finding(
                    "incomplete-rollback",
                    f"{migration.where.removesuffix('.sql')}.rollback.sql:1:1",
                    None,
                    dialect,
                    f"it {done} {what}: {name}",
                    "undo each statement of the migration, the last one first",
                )
        before = after
