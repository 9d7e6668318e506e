"""Reading the migration files: yoyo orders them and reads their directives, checked here.

A migration is ``NNNN_name.sql`` with an optional ``NNNN_name.rollback.sql`` next to it, in one
folder per dialect. All are read and checked before any of them runs.
"""

import re
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import sha256
from importlib.resources.abc import Traversable
from typing import Final, Literal

from yoyo.migrations import (
    Migration,
    MigrationList,
    parse_metadata_from_sql_comments,
    topological_sort,
)
from yoyo.topologicalsort import CycleError

from cardlink_sql.database.faults import driver_message
from cardlink_sql.dialect import Dialect
from cardlink_sql.errors import MigrationError
from cardlink_sql.queries.resources import warn_skipped
from cardlink_sql.schema.migrator import sqltext

Direction = Literal["apply", "rollback"]

_ROLLBACK: Final = ".rollback.sql"
_ID: Final = re.compile(r"(\d{4})_[a-z0-9_]+")
_DIRECTIVE: Final = re.compile(r"\s*--\s*(depends|transactional)\s*:\s*(.*)", re.IGNORECASE)
_WRITTEN_RIGHT: Final = re.compile(r"\s*--\s*(depends:.*|transactional:\s*(true|false)\s*)")


class StatementFailed(Exception):  # noqa: N818 - a signal inside the package, callers never see it
    """Raised when the driver or the server refuses a statement with an error, the cause."""

    def __init__(self, statement: "MigrationStatement", cause: Exception) -> None:
        super().__init__(statement.where)
        self.statement = statement
        self.cause = cause
        self.what = driver_message(cause)


@dataclass(frozen=True)
class MigrationStatement:
    """One statement of a migration: its text, its number from 1, ``file:line`` and the column.

    ``code`` is the text with strings, comments and quoted names blanked out.
    """

    number: int
    text: str
    code: str = field(repr=False)
    where: str
    column: int = 1

    @property
    def line(self) -> str:
        """Return the line in its file."""
        return self.where.rpartition(":")[2]

    @property
    def checksum(self) -> str:
        """Return the checksum of the text."""
        return _checksum(self.text)


class SQLMigration(Migration):  # type: ignore[misc]
    """A yoyo migration, read and checked at once.

    yoyo reads late, in the locale's encoding, and resolves ``depends`` in a registry of the
    whole process, where the files of two dialects would collide.
    """

    def __init__(self, file: "_File", rollback: "_File | None") -> None:
        super().__init__(file.id, file.where, source_dir=str(file.folder))
        directives, self.apply_statements = file.read()
        self.where = file.where
        self.dialect = file.dialect
        self.text = file.text
        self.checksum = _checksum(file.text)
        self.rollback_statements = rollback.read()[1] if rollback else None
        self.use_transactions = directives.get("transactional", "true").strip() == "true"
        self.depends_on = tuple(directives.get("depends", "").split())

    def load(self) -> None:
        """Do nothing: the file is already loaded."""

    def resolve(self, by_id: "dict[str, SQLMigration]") -> None:
        """Find the migrations that this one depends on."""
        if unknown := [name for name in self.depends_on if name not in by_id]:
            raise MigrationError(
                f"it depends on {unknown[0]}, which does not exist",
                f"{self.where}:1",
                "write the full name of a migration in this folder, without .sql",
            )
        self._depends = {by_id[name] for name in self.depends_on}

    def statements(self, direction: Direction) -> list[MigrationStatement]:
        """Return the statements of one direction, in the order in which they run."""
        if direction == "apply":
            return self.apply_statements
        if self.rollback_statements is None:
            raise MigrationError(
                f"{self.id} cannot be rolled back: it has no rollback file",
                self.where,
                f"write {self.id}{_ROLLBACK}, or restore a backup",
            )
        return self.rollback_statements


def read_migrations(folder: Traversable, dialect: Dialect) -> list[SQLMigration]:
    """Return the migrations of a dialect, in the order in which they run.

    Args:
        folder: the folder ``migrations``, with one folder per dialect in it.
        dialect: the dialect whose migrations are read.

    Raises:
        MigrationError: a file breaks a rule; the message names file and line.
    """
    migrations, errors = read_each(folder, dialect)
    if errors:
        raise errors[0]
    return migrations


def read_each(
    folder: Traversable, dialect: Dialect
) -> tuple[list[SQLMigration], list[MigrationError]]:
    """Return the migrations that can be read, and the errors of the others."""
    migrations: list[SQLMigration] = []
    errors: list[MigrationError] = []
    try:
        files = _list_files(folder, dialect)
        rollbacks = {file.id: file for file in files if file.is_rollback}
        forward = [file for file in files if not file.is_rollback]
        _check_names(forward, rollbacks)
        for file in forward:
            try:
                migrations.append(SQLMigration(file, rollbacks.get(file.id)))
            except MigrationError as error:
                errors.append(error)
        if not errors:
            migrations = _ordered(migrations, f"{folder.name}/{dialect}")
    except MigrationError as error:
        errors.append(error)
    return migrations, errors


def _ordered(migrations: list[SQLMigration], where: str) -> list[SQLMigration]:
    for migration in migrations:
        migration.resolve({one.id: one for one in migrations})
    try:
        return list(topological_sort(MigrationList(migrations)))
    except CycleError as error:
        names = ", ".join(migration.id for migration in error.args[1])
        raise MigrationError(
            f"these migrations depend on each other in a circle: {names}",
            where,
            "remove one of their -- depends:",
        ) from None


def statements_checksum(statements: list[MigrationStatement]) -> str:
    """Return one checksum over several statements."""
    return _checksum("".join(statement.checksum for statement in statements))


def _checksum(text: str) -> str:
    return sha256(text.encode()).hexdigest()


@dataclass(frozen=True)
class _File:
    entry: Traversable
    folder: Traversable
    dialect: Dialect

    @property
    def is_rollback(self) -> bool:
        return self.entry.name.endswith(_ROLLBACK)

    @property
    def id(self) -> str:
        return self.entry.name.removesuffix(_ROLLBACK).removesuffix(".sql")

    @property
    def where(self) -> str:
        return f"{self.folder.name}/{self.dialect}/{self.entry.name}"

    @cached_property
    def text(self) -> str:
        """Return the text with a line feed at the end of each line."""
        data = self.entry.read_bytes()
        if data.startswith(b"\xef\xbb\xbf"):
            raise MigrationError(
                "the file begins with a byte order mark",
                f"{self.where}:1",
                "save it as UTF-8 without BOM",
            )
        try:
            text = data.decode()
        except UnicodeDecodeError as error:
            line = data.count(b"\n", 0, error.start) + 1
            what = f"byte {data[error.start]:#04x} is not UTF-8"
            raise MigrationError(what, f"{self.where}:{line}", "save it as UTF-8") from None
        return text.replace("\r\n", "\n").replace("\r", "\n")

    def read(self) -> tuple[dict[str, str], list[MigrationStatement]]:
        """Return the directives, as yoyo reads them, and the statements with their lines."""
        self._check_directives()
        sqltext.check(self.text, self.dialect, self.where)
        first, *others = sqltext.split(self.text, self.dialect) or [""]
        directives, _comment, first = parse_metadata_from_sql_comments(first)
        statements: list[MigrationStatement] = []
        position = 0
        for text in (first, *others):
            start = max(self.text.find(text, position), position)
            position = start + len(text)
            code = sqltext.code(text, self.dialect)
            visible = re.search(r"[^\s;]", code)
            if visible is None:  # only comments
                continue
            place = start + visible.start()
            where = f"{self.where}:{self.text.count(chr(10), 0, place) + 1}"
            column = place - self.text.rfind("\n", 0, place)
            sqltext.check_statement(code, where)
            statements.append(MigrationStatement(len(statements) + 1, text, code, where, column))
        if not statements:
            raise MigrationError(
                "the file holds no statement",
                f"{self.where}:1",
                "write the SQL, or delete the file; SELECT 1 changes nothing",
            )
        return directives, statements

    def _check_directives(self) -> None:
        at_the_top = not self.is_rollback
        for number, line in enumerate(self.text.split("\n"), start=1):
            where = f"{self.where}:{number}"
            if not _DIRECTIVE.fullmatch(line):
                at_the_top = at_the_top and not line.strip()
            elif not at_the_top:
                raise MigrationError(
                    "a directive comes after other text, or in a rollback file",
                    where,
                    "move -- depends: and -- transactional: to the first lines of the migration",
                )
            elif not _WRITTEN_RIGHT.fullmatch(line):
                raise MigrationError(
                    "the directive is not understood",
                    where,
                    "write -- transactional: false, or -- depends: 0001_initial_schema",
                )


def _list_files(folder: Traversable, dialect: Dialect) -> list[_File]:
    place = folder.joinpath(dialect.value)
    if not place.is_dir():
        raise MigrationError(
            f"the folder {folder.name}/{dialect} does not exist",
            remedy="name the folder that holds a folder of migrations per dialect",
        )
    files = []
    for entry in sorted(place.iterdir(), key=lambda entry: entry.name):
        file = _File(entry, folder, dialect)
        if entry.is_file() and re.fullmatch(r"[^.].*\.(sql|py)", entry.name):
            files.append(file)
        else:
            warn_skipped(file.where, "migration")
    return files


def _check_names(forward: list[_File], rollbacks: dict[str, _File]) -> None:
    numbers: dict[str, str] = {}
    for file in forward:
        match = _ID.fullmatch(file.id)
        if match is None or file.entry.name.endswith(".py"):
            raise MigrationError(
                "this is not a valid name of a migration",
                file.where,
                "name it NNNN_name.sql, of small letters, digits and underscores",
            )
        if match[1] in numbers:
            raise MigrationError(
                f"{numbers[match[1]]} has the number {match[1]} too",
                file.where,
                "rename the newer of the two to the next free number",
            )
        numbers[match[1]] = file.id
    for lonely in rollbacks.keys() - {file.id for file in forward}:
        raise MigrationError(
            "it is the rollback of a migration that does not exist", rollbacks[lonely].where
        )
