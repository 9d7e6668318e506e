"""A lock that allows one migrator at a time and is freed however its process ends."""

import errno
import os
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Final, Protocol

from cardlink_sql.errors import MigrationError
from cardlink_sql.model import times

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

_POLL: Final = 0.05
# After the text, because Windows does not let others read locked bytes.
_WINDOWS_LOCKED_BYTE: Final = 1 << 20


class MigrationLock(Protocol):
    """A lock that is polled, so that its holder can be named after a timeout."""

    def try_acquire(self) -> bool:
        """Take the lock if it is free."""

    def release(self) -> None:
        """Free the lock."""

    def holder(self) -> str:
        """Return a description of the holder, as far as it is known."""


@contextmanager
def held(lock: MigrationLock, timeout: float) -> Iterator[None]:
    """Hold a lock, after waiting for it for so many seconds at most."""
    deadline = time.monotonic() + timeout
    while not lock.try_acquire():
        if time.monotonic() >= deadline:
            raise MigrationError(
                f"another migrator has held the lock for more than {timeout:g} s: {lock.holder()}",
                remedy="wait for it to end, or end it; the lock is freed with its process",
            )
        time.sleep(_POLL)
    try:
        yield
    finally:
        lock.release()


class FileLock:
    """An operating system's lock on a file next to an SQLite database.

    Freeing the lock removes the file; a file that a killed process left is not locked.
    """

    def __init__(self, database: Path) -> None:
        resolved = database.resolve()
        self._path = resolved.with_name(f"{resolved.name}.migration-lock")
        self._file: IO[str] | None = None

    def try_acquire(self) -> bool:
        try:
            file = self._path.open("a+", encoding="utf-8")
            try:
                if _lock_file(file) and self._is_still_there(file):
                    self._sign(file)
                    self._file = file
            finally:
                if self._file is None:
                    file.close()
        except OSError as error:
            raise MigrationError(
                f"cannot create the lock file: {error.strerror}",
                str(self._path),
                "migrate as a user who can write to the database's folder, on a file system "
                "that supports locks",
            ) from error
        return self._file is not None

    def release(self) -> None:
        with suppress(OSError):  # Windows cannot remove an open file; it stays, unlocked
            self._path.unlink()
        if self._file is not None:
            self._file.close()
            self._file = None

    def holder(self) -> str:
        """Return process, host and time, as the holder wrote them."""
        with suppress(OSError):
            return self._path.read_text(encoding="utf-8") or "it has not identified itself"
        return "it has just ended"

    def _sign(self, file: IO[str]) -> None:
        now = times.to_text(times.utc_now())
        text = f"process {os.getpid()} on {socket.gethostname()}, since {now}"
        # On a full disk the lock holds, and the database says what is wrong.
        with suppress(OSError):
            file.truncate(0)
            os.write(file.fileno(), text.encode())

    def _is_still_there(self, file: IO[str]) -> bool:
        # The previous holder may have removed the file after we opened it and before we locked it.
        with suppress(FileNotFoundError):
            return os.path.samestat(self._path.stat(), os.fstat(file.fileno()))
        return False


def _lock_file(file: IO[str]) -> bool:
    try:
        if sys.platform == "win32":
            file.seek(_WINDOWS_LOCKED_BYTE)
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in (errno.EACCES, errno.EAGAIN):
            return False
        raise
    return True
