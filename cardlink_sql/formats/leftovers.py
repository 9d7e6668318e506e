"""Temporary files and folders that a killed process leaves, and what removes them.

Each is locked for as long as its process works on it, so that one without a lock is nobody's.
"""

import errno
import os
import secrets
import shutil
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import gettempdir
from typing import Final

from cardlink_sql.errors import DatabaseError

if sys.platform != "win32":
    import fcntl

PREFIX: Final = ".cardlink-"
_SUFFIX: Final = ".part"
MAKE_ROOM: Final = "make room there; TMPDIR names another folder for temporary files"


def temporary_name(folder: Path) -> Path:
    """Return the path of a new temporary file in a folder, which is cleared of dead ones first."""
    clear(folder)
    return folder / f"{PREFIX}{secrets.token_hex(8)}{_SUFFIX}"


def hold(path: Path) -> int | None:
    """Lock a temporary file or folder that was just made.

    Return a descriptor that keeps the lock until it is closed; ``None`` where another process took
    the file for a dead one's and removed it.
    """
    if sys.platform == "win32":
        return os.open(os.devnull, os.O_RDONLY)
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return None
    try:
        with suppress(OSError):  # not every file system has locks; there nothing is cleared either
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        if os.path.samestat(os.fstat(descriptor), path.stat()):
            return descriptor
    except FileNotFoundError:
        pass
    os.close(descriptor)
    return None


@contextmanager
def temporary_folder(parent: Path | None = None) -> Iterator[Path]:
    """Make a folder that only this user can read, removed at the end."""
    place = Path(gettempdir()) if parent is None else parent
    while True:
        folder = temporary_name(place)
        folder.mkdir(mode=0o700)
        if (lock := hold(folder)) is not None:
            break
    try:
        yield folder
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        raise DatabaseError("the disk is full", str(place), MAKE_ROOM) from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)


def clear(folder: Path | None = None) -> None:
    """Remove what dead processes of this user left in a folder, by default the system's."""
    if sys.platform == "win32":
        return
    with suppress(OSError):
        for path in (Path(gettempdir()) if folder is None else folder).glob(f"{PREFIX}*{_SUFFIX}"):
            with suppress(OSError):
                _remove_dead(path)


def _remove_dead(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        found = os.fstat(descriptor)
        if found.st_uid != os.geteuid():
            return
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if stat.S_ISDIR(found.st_mode):
            shutil.rmtree(path)
        elif stat.S_ISREG(found.st_mode):
            path.unlink()
    finally:
        os.close(descriptor)
