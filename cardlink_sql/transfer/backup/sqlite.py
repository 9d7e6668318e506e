"""An SQLite file: a copy of it while others write to it, and a file that takes its place.

At every moment the database's name leads to the old file or to the new one, both whole: the
old one gets a second name, and the new one is then renamed over the first.
"""

import os
import shlex
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain, count
from pathlib import Path
from typing import IO, Any, Final

from cardlink_sql.database.backend import LOCK_TIMEOUT_MS, backend_of
from cardlink_sql.database.internal import InternalStatements
from cardlink_sql.database.sqlite_file import database_file, make_parent_folder, scratch_file
from cardlink_sql.dialect import Dialect
from cardlink_sql.errors import ConflictError, DatabaseError, ValidationError
from cardlink_sql.formats.files import sync_folder
from cardlink_sql.formats.leftovers import temporary_folder
from cardlink_sql.manager import DatabaseManager
from cardlink_sql.model import times
from cardlink_sql.schema.migrator import mutex
from cardlink_sql.transfer.backup.container import CHUNK, Container
from cardlink_sql.transfer.backup.contents import advance_event_counter, read_contents
from cardlink_sql.transfer.backup.manifest import PAYLOAD_NAMES, Contents, Manifest, PayloadKind
from cardlink_sql.transfer.backup.payload import Payload
from cardlink_sql.transfer.backup.refusals import refuse_difference, refuse_empty

# 16 MB with the usual page of 4 KiB.
_PAGES: Final = 4096
_LOCK_TIMEOUT: Final = LOCK_TIMEOUT_MS / 1000
_REPLACED: Final = ".replaced-"
_LOGS: Final = ("-wal", "-journal")
# A file that SQLite cannot make sense of has no log to write back, and nobody works with it.
_DAMAGED: Final = ("SQLITE_NOTADB", "SQLITE_CORRUPT")


class SQLitePayload(Payload):
    """A copy of the file."""

    kind = PayloadKind.SQLITE

    def writer(self, manager: DatabaseManager, folder: Path) -> Callable[[IO[bytes]], Manifest]:
        return partial(_write, manager, folder)

    def make_file(self, backup: Container, target: Path) -> None:
        """Unpack the file."""
        backup.unpack(target)
        refuse_difference(_examine(target, backup.where), backup.manifest.contents, backup.where)


PAYLOAD: Final = SQLitePayload()


def _write(manager: DatabaseManager, folder: Path, payload: IO[bytes]) -> Manifest:
    """Write a copy of the database, once it is found whole."""
    with temporary_folder(folder) as aside:
        copy = aside / PAYLOAD_NAMES[PayloadKind.SQLITE]
        _copy_database(manager, copy)
        contents = _examine(copy, manager.config.safe_url)
        refuse_empty(contents, manager.config.safe_url)
        with copy.open("rb") as file:
            shutil.copyfileobj(file, payload, CHUNK)
    version = sqlite3.sqlite_version
    return Manifest(PayloadKind.SQLITE, Dialect.SQLITE, "SQLite", version, contents)


def _copy_database(manager: DatabaseManager, target: Path) -> None:
    """Copy the database into a new file, by SQLite's online backup.

    The copy is of one moment, and takes as long as the reading: SQLite begins again whenever
    another process has written, unless the source is inside a read transaction, as it is
    here. In WAL mode writers go on meanwhile; their log grows until the copy is done.
    """
    connection = manager.take_connection()
    source: Any = connection.driver_connection
    try:
        with closing(sqlite3.connect(target, isolation_level=None)) as copy:
            source.execute("BEGIN")
            InternalStatements(Dialect.SQLITE, source).value("backup.read_schema")
            # Python code between two steps is where Ctrl-C is noticed.
            source.backup(copy, pages=_PAGES, progress=lambda *_: None)
            InternalStatements(Dialect.SQLITE, copy).value("backup.use_one_file")
    except sqlite3.Error as error:
        raise backend_of(Dialect.SQLITE).translate(error, manager.config.safe_url) from error
    finally:
        if source.in_transaction:
            source.rollback()
        connection.close()


def _examine(file: Path, where: str) -> Contents:
    """Check a database file from end to end and return its contents. Nobody else has it open."""
    try:
        with _connected(file, "ro") as statements:
            found = statements.value("backup.check_integrity")
            if found != "ok":
                raise _damaged(found, where)
            orphans = sum(1 for _ in statements.execute("backup.orphans"))
            return replace(read_contents(statements), orphans=orphans)
    except sqlite3.Error as error:
        raise _damaged(str(error), where) from error


@contextmanager
def _connected(file: Path, mode: str = "rw", timeout: float = 0) -> Iterator[InternalStatements]:
    """Open a database file that is there and close it after the block."""
    uri = f"{file.resolve().as_uri()}?mode={mode}"
    with closing(
        sqlite3.connect(uri, uri=True, isolation_level=None, timeout=timeout)
    ) as connection:
        yield InternalStatements(Dialect.SQLITE, connection)


def _damaged(what: str, where: str) -> ValidationError:
    return ValidationError(f"the SQLite database is damaged: {what}", where, "use an older backup")


@dataclass(frozen=True)
class Replaced:
    """The SQLite database that was replaced: the file that keeps it, and what removes that."""

    name: str
    removal: str


def replace_database(manager: DatabaseManager, fill: Callable[[Path], None]) -> Replaced | None:
    """Let ``fill`` make a file, and put it in the place of the database, if there is one.

    Raises:
        ConflictError: a process has the database open.
    """
    target = database_file(manager.engine)
    if target is None:
        raise ValidationError(
            "a database in memory cannot be replaced", "config.url", "name a file in the URL"
        )
    manager.close()
    make_parent_folder(target)
    with mutex.held(mutex.FileLock(target), _LOCK_TIMEOUT), _written(target.parent):
        target = target.resolve()
        _clear(target)
        try:
            # One name, so that what a killed restore has left is used up by the next.
            fill(scratch_file(target))
            return _put_in_place(scratch_file(target), target)
        finally:
            _clear(target)


def clear_scratch(target: Path) -> None:
    """Remove what a killed restore left next to a database; a living one is left in peace."""
    with suppress(DatabaseError, OSError), mutex.held(mutex.FileLock(target), 0):
        _clear(target.resolve())


def _clear(target: Path) -> None:
    """Remove the file that was to take its place, and the second name of one that stayed."""
    for suffix in ("", "-shm", *_LOGS):
        _beside(scratch_file(target), suffix).unlink(missing_ok=True)
    for other in target.parent.iterdir():
        is_ours = other.name.startswith(f"{target.name}{_REPLACED}")
        if is_ours and target.exists() and other.samefile(target):
            other.unlink()


def _put_in_place(new: Path, target: Path) -> Replaced | None:
    with _alone(target):
        # The numbers of the events go on, and all of it is on the disk, in one file.
        with _translated(new), _connected(new, timeout=_LOCK_TIMEOUT) as statements:
            statements.value("backup.use_one_file")
            advance_event_counter(statements)
        _sync(new)
        kept = _free_name(target)
        is_there = target.exists()
        if is_there:
            _copy_rights(target, new)
            _link(target, kept)
        _move_logs(target, kept)
        new.replace(target)
        sync_folder(target.parent)
    return Replaced(str(kept), f"rm {shlex.quote(str(kept))}") if is_there else None


def _free_name(target: Path) -> Path:
    first = f"{target.name}{_REPLACED}{times.utc_now():%Y%m%dT%H%M%SZ}"
    endings = chain([""], (f"-{number}" for number in count(2)))
    names = (target.with_name(f"{first}{ending}") for ending in endings)
    return next(name for name in names if not name.exists())


def _copy_rights(source: Path, target: Path) -> None:
    """Let whoever could open the database open the one that takes its place."""
    shutil.copymode(source, target)
    before = source.stat()
    if hasattr(os, "chown"):
        with suppress(PermissionError):
            os.chown(target, before.st_uid, before.st_gid)


@contextmanager
def _alone(file: Path) -> Iterator[None]:
    """Hold a database that nobody else has open, its log written back, until the block's end.

    One that is missing or damaged is held by nobody.
    """
    with _translated(file):
        if not file.exists() or not _write_log_back(file):
            yield
            return
        # Not by the exclusive connection: that one leaves a journal, and deletes it by its name
        # when it is closed, by then the journal of whoever has opened the new file.
        with _connected(file, timeout=_LOCK_TIMEOUT) as statements:
            statements.execute("backup.lock")
            if statements.value("backup.journal_mode") == "wal":
                raise _in_use(file)  # opened since, by a component that has started
            yield


def _write_log_back(file: Path) -> bool:
    """Return whether it could be: SQLite cannot read a damaged file."""
    # Every connection in WAL mode holds a lock for as long as it is open, also when idle. To
    # be exclusive is to have the file to ourselves, not to be its only writer.
    try:
        with _connected(file, timeout=_LOCK_TIMEOUT) as statements:
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
        _sync(name)


def _sync(file: Path) -> None:
    with file.open("rb+") as opened:
        os.fsync(opened.fileno())


def _move_logs(database: Path, kept: Path) -> None:
    """Put away the logs of a damaged or a lost database: SQLite would take them for the new's."""
    for suffix in _LOGS:
        log = _beside(database, suffix)
        if log.exists():
            log.replace(_beside(kept, suffix))
    _beside(database, "-shm").unlink(missing_ok=True)


def _beside(file: Path, suffix: str) -> Path:
    return file.with_name(f"{file.name}{suffix}")
