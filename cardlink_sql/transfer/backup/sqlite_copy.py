"""A copy of an SQLite database while others write to it, and what is known of such a copy."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from cardlink_sql.database.backend import backend_of
from cardlink_sql.database.internal import InternalStatements
from cardlink_sql.dialect import Dialect
from cardlink_sql.errors import ValidationError
from cardlink_sql.formats.leftovers import temporary_folder
from cardlink_sql.manager import DatabaseManager
from cardlink_sql.transfer.backup.container import CHUNK, Payload
from cardlink_sql.transfer.backup.contents import read_contents, refuse_nothing
from cardlink_sql.transfer.backup.manifest import PAYLOAD_NAMES, Contents, Origin, PayloadKind

# 16 MB with the usual page of 4 KiB: Ctrl-C is heeded between two steps.
_PAGES: Final = 4096


def write_payload(manager: DatabaseManager, payload: Payload, folder: Path) -> Origin:
    """Write a copy of the database, once it is found whole; ``folder`` holds it meanwhile."""
    with temporary_folder(folder) as aside:
        copy = aside / PAYLOAD_NAMES[PayloadKind.SQLITE]
        copy_database(manager, copy)
        contents = examine(copy, manager.config.safe_url)
        refuse_nothing(contents, manager.config.safe_url)
        with copy.open("rb") as file:
            while chunk := file.read(CHUNK):
                payload.write(chunk)
    return Origin(product="SQLite", server_version=sqlite3.sqlite_version, contents=contents)


def copy_database(manager: DatabaseManager, target: Path) -> None:
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
            source.backup(copy, pages=_PAGES, progress=_heed_interrupts)
            InternalStatements(Dialect.SQLITE, copy).value("backup.use_one_file")
    except sqlite3.Error as error:
        raise backend_of(Dialect.SQLITE).translate(error, manager.config.safe_url) from error
    finally:
        if source.in_transaction:
            source.rollback()
        connection.close()


def _heed_interrupts(_status: int, _remaining: int, _total: int) -> None:
    # Python code between two steps is where Ctrl-C is noticed.
    pass


def examine(file: Path, where: str) -> Contents:
    """Check a database file from end to end and return its contents. Nobody else has it open."""
    try:
        with connected(file, "ro") as statements:
            found = statements.value("backup.check_integrity")
            if found != "ok":
                raise _damaged(found, where)
            orphans = sum(1 for _ in statements.execute("backup.orphans"))
            return replace(read_contents(statements), orphans=orphans)
    except sqlite3.Error as error:
        raise _damaged(str(error), where) from error


@contextmanager
def connected(file: Path, mode: str = "rw", timeout: float = 0) -> Iterator[InternalStatements]:
    """Open a database file that is there and close it after the block."""
    uri = f"{file.resolve().as_uri()}?mode={mode}"
    with closing(
        sqlite3.connect(uri, uri=True, isolation_level=None, timeout=timeout)
    ) as connection:
        yield InternalStatements(Dialect.SQLITE, connection)


def _damaged(what: str, where: str) -> ValidationError:
    return ValidationError(f"the SQLite database is damaged: {what}", where, "use an older backup")
