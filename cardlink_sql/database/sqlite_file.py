"""The file of an SQLite database: its folder, and reading it without changing anything."""

import os
import sqlite3
from contextlib import suppress
from pathlib import Path

from sqlalchemy import Engine

from cardlink_sql.database.internal import InternalStatements
from cardlink_sql.dialect import Dialect
from cardlink_sql.errors import ConnectionError


def database_file(engine: Engine) -> Path | None:
    """Return the file of an SQLite database; None for one in memory and for the servers."""
    name = engine.url.database
    if engine.dialect.name != "sqlite" or not name or name == ":memory:":
        return None
    return Path(name)


def make_parent_folder(file: Path) -> None:
    """Make the folder of an SQLite file unless it exists."""
    folder = file.parent
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConnectionError(
            f"the folder of the database cannot be made: {error.strerror}",
            str(folder),
            "name another file in the URL, or make the folder",
        ) from error


def scratch_file(file: Path) -> Path:
    """Return the file next to a database where a restore puts the next one together."""
    return file.with_name(f"{file.name}.restore-scratch")


def make_file(file: Path) -> None:
    """Make an SQLite file and its folder unless they exist.

    Only its owner may read it, if the umask allows that: APDUs hold PINs. SQLite's log gets the
    same rights.
    """
    make_parent_folder(file)
    # SQLite says why a file cannot be made. One that exists must not be opened here: closing it
    # would end the locks that this process has on it.
    with suppress(OSError):
        os.close(os.open(file.resolve(), os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))


def identity(file: Path) -> tuple[int, int] | None:
    """Return what identifies a file whatever its name; ``None`` where there is none."""
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def open_read_only(file: Path) -> sqlite3.Connection:
    """Open a file for reading, also where its folder cannot be written.

    Without a log next to it nobody has the database open, and it is read as a file that does
    not change: the usual way would leave an empty log and its index there.
    """
    resolved = file.resolve()
    logs = (resolved.with_name(f"{resolved.name}{suffix}") for suffix in ("-wal", "-journal"))
    in_use = any(log.exists() for log in logs)
    modes = ("mode=ro", "immutable=1") if in_use else ("immutable=1",)
    failure: sqlite3.Error | None = None
    for mode in modes:
        try:
            return _open(f"{resolved.as_uri()}?{mode}")
        except sqlite3.Error as error:
            failure = error
    raise ConnectionError(
        f"the file cannot be read: {failure}",
        str(file),
        "check that it is an SQLite database, and the rights of the user",
    ) from failure


def _open(uri: str) -> sqlite3.Connection:
    connection = sqlite3.connect(uri, uri=True, isolation_level=None, check_same_thread=False)
    try:
        InternalStatements(Dialect.SQLITE, connection).value("connection.read_schema")
    except sqlite3.Error:
        connection.close()
        raise
    return connection
