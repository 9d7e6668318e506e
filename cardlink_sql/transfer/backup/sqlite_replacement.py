"""A file next to an SQLite database that takes its place.

At every moment the database's name leads to the old file or to the new one, both whole: the
old one gets a second name, and the new one is then renamed over the first.
"""

import os
import shlex
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from itertools import chain, count
from pathlib import Path
from typing import Final

from cardlink_sql.config import DatabaseConfig
from cardlink_sql.database.backend import LOCK_TIMEOUT_MS, backend_of
from cardlink_sql.database.sqlite_file import database_file, make_parent_folder, scratch_file
from cardlink_sql.dialect import Dialect
from cardlink_sql.errors import ConflictError, DatabaseError, ValidationError
from cardlink_sql.formats.files import sync_folder
from cardlink_sql.manager import DatabaseManager
from cardlink_sql.model import times
from cardlink_sql.schema.migrator import locks
from cardlink_sql.transfer.backup.connections import go_on
from cardlink_sql.transfer.backup.sqlite_copy import connected

_LOCK_TIMEOUT: Final = LOCK_TIMEOUT_MS / 1000
_REPLACED: Final = ".replaced-"
_LOGS: Final = ("-wal", "-journal")
# A file that SQLite cannot make sense of has no log to write back, and nobody works with it.
_DAMAGED: Final = ("SQLITE_NOTADB", "SQLITE_CORRUPT")


@dataclass(frozen=True)
class Replaced:
    """The SQLite database that was replaced.

    Args:
        name: the file that keeps it.
        removal: the command that removes it.
    """

    name: str
    removal: str


class Replacement:
    """The file next to the database, which need not be there."""

    def __init__(self, target: Path) -> None:
        self._target = target
        # One name, so that what a killed restore has left is used up by the next.
        self.file: Final = scratch_file(target)

    @cached_property
    def manager(self) -> DatabaseManager:
        """Return the manager of the file."""
        return DatabaseManager(DatabaseConfig(f"sqlite:///{self.file}"))

    def clear(self) -> None:
        """Remove the file, and what a killed restore has left."""
        self.manager.close()
        for suffix in ("", "-shm", *_LOGS):
            _beside(self.file, suffix).unlink(missing_ok=True)
        for other in self._target.parent.iterdir():
            is_ours = other.name.startswith(f"{self._target.name}{_REPLACED}")
            if is_ours and self._target.exists() and other.samefile(self._target):
                other.unlink()

    def replace(self) -> Replaced | None:
        """Put the file in the place of the database; return where that is kept, if there was one.

        Raises:
            ConflictError: a process has the database open.
        """
        self.manager.close()
        with _alone(self._target):
            self._finish()
            kept = self._free_name()
            is_there = self._target.exists()
            if is_there:
                self._take_rights()
                _link(self._target, kept)
            _move_logs(self._target, kept)
            self.file.replace(self._target)
            sync_folder(self._target.parent)
        return Replaced(str(kept), f"rm {shlex.quote(str(kept))}") if is_there else None

    def _finish(self) -> None:
        """Let the numbers of the events go on, and have all of it on the disk, in one file."""
        with _translated(self.file), connected(self.file, timeout=_LOCK_TIMEOUT) as statements:
            statements.value("backup.use_one_file")
            go_on(statements)
        with self.file.open("rb+") as file:
            os.fsync(file.fileno())

    def _free_name(self) -> Path:
        stamp = f"{times.utc_now():%Y%m%dT%H%M%SZ}"
        endings = chain([stamp], (f"{stamp}-{number}" for number in count(2)))
        names = (
            self._target.with_name(f"{self._target.name}{_REPLACED}{ending}") for ending in endings
        )
        return next(name for name in names if not name.exists())

    def _take_rights(self) -> None:
        """Let whoever could open the database open the one that takes its place."""
        shutil.copymode(self._target, self.file)
        before = self._target.stat()
        if hasattr(os, "chown"):
            with suppress(PermissionError):
                os.chown(self.file, before.st_uid, before.st_gid)


@contextmanager
def replacement_for(manager: DatabaseManager) -> Iterator[Replacement]:
    """Make a file next to the database of a manager, whose connections are closed first."""
    target = database_file(manager.engine)
    if target is None:
        raise ValidationError(
            "a database in memory cannot be replaced", "config.url", "name a file in the URL"
        )
    manager.close()
    make_parent_folder(target)
    new = Replacement(target.resolve())
    with locks.held(locks.FileLock(target), _LOCK_TIMEOUT), _written(target.parent):
        new.clear()
        try:
            yield new
        finally:
            new.clear()


def clear_scratch(target: Path) -> None:
    """Remove what a killed restore left next to a database; a living one is left in peace."""
    with suppress(DatabaseError, OSError), locks.held(locks.FileLock(target), 0):
        Replacement(target.resolve()).clear()


@contextmanager
def _alone(file: Path) -> Iterator[None]:
    """Hold a database that nobody else has open, its log written back, until the block's end.

    One that is missing or damaged is held by nobody.
    """
    with _translated(file):
        if not file.exists() or not _write_log_back(file):
            yield
            return
        with connected(file, timeout=_LOCK_TIMEOUT) as statements:
            statements.execute("backup.lock")
            if statements.value("backup.journal_mode") == "wal":
                raise _in_use(file)  # opened since, by a component that has started
            yield


def _write_log_back(file: Path) -> bool:
    """Return whether it could be: SQLite cannot read a damaged file."""
    # Every connection in WAL mode holds a lock for as long as it is open, also when idle. To
    # be exclusive is to have the file to ourselves, not to be its only writer.
    try:
        with connected(file, timeout=_LOCK_TIMEOUT) as statements:
            statements.value("backup.exclude_others")
            statements.value("backup.read_schema")
            statements.value("backup.use_one_file")
    except sqlite3.DatabaseError as error:
        if (error.sqlite_errorname or "").startswith(_DAMAGED):
            return False
        raise
    return True


@contextmanager
def _translated(file: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        if (error.sqlite_errorname or "").startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
            raise _in_use(file) from error
        raise backend_of(Dialect.SQLITE).translate(error, str(file)) from error


def _in_use(file: Path) -> ConflictError:
    return ConflictError(
        "another process has the database open",
        str(file),
        "stop the components that use it, and restore again; nothing was changed",
    )


@contextmanager
def _written(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise DatabaseError(
            f"a file cannot be written: {error.strerror or error}",
            error.filename or str(folder),
            "check the rights in that folder and the room on its disk; nothing was changed",
        ) from error


def _link(file: Path, name: Path) -> None:
    try:
        name.hardlink_to(file)
    except OSError:  # not every file system has a second name for a file
        shutil.copy2(file, name)
        with name.open("rb+") as copy:
            os.fsync(copy.fileno())


def _move_logs(database: Path, kept: Path) -> None:
    """Put away the logs of a damaged or a lost database: SQLite would take them for the new's."""
    for suffix in _LOGS:
        log = _beside(database, suffix)
        if log.exists():
            log.replace(_beside(kept, suffix))
    _beside(database, "-shm").unlink(missing_ok=True)


def _beside(file: Path, suffix: str) -> Path:
    return file.with_name(f"{file.name}{suffix}")
