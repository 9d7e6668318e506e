"""Output files that are either complete or absent."""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from cardlink_sql.errors import DatabaseError
from cardlink_sql.formats.leftovers import PREFIX, hold, temporary_name


@contextmanager
def write_atomically(
    path: Path, *, binary: bool = False, private: bool = False
) -> Iterator[IO[Any]]:
    """Open a file to write in a ``with`` block, which moves into place at the end, synced to disk.

    Until then it is a temporary file in the same folder, and the file at ``path`` does not
    change. An error inside the block, including Ctrl-C, removes the temporary file; a kill leaves
    it, as ``.cardlink-….part``, until the next one is made in that folder. ``file.name`` is its
    temporary path, for writers by path such as SQLite's backup.

    A file that is not regular, such as ``/dev/stdout`` or a pipe, is written to directly. A
    symbolic link is kept: its target is replaced.

    Args:
        path: the file to create or replace; its folder must exist.
        binary: write bytes; by default UTF-8 text, with line ends unchanged.
        private: only its owner may read it (0600). By default a new file follows the umask, and
            a replacement keeps the rights of the old file.

    Raises:
        DatabaseError: the file cannot be written; the old file is unchanged.
    """
    try:
        before = path.stat() if path.exists() else None
        if before is not None and not stat.S_ISREG(before.st_mode):
            with _opened(path, "w", binary=binary) as file:
                yield file
        else:
            rights = None if before is None else stat.S_IMODE(before.st_mode)
            with _part(path.resolve(), 0o600 if private else rights, binary=binary) as file:
                yield file
    except BrokenPipeError:
        raise  # the reader of the pipe has closed it
    except OSError as error:
        if not _is_about(error, path):
            raise
        raise _unwritable(error, path) from error


def refuse_existing(path: Path | None, *, force: bool) -> None:
    """Raise ``DatabaseError`` if a file is there, unless forced; a pipe is never refused."""
    if path is not None and path.is_file() and not force:
        raise DatabaseError(
            "the file is there already", str(path), "name another, or replace it: --force"
        )


@contextmanager
def _part(target: Path, rights: int | None, *, binary: bool) -> Iterator[IO[Any]]:
    while True:
        part = temporary_name(target.parent)
        file = _opened(part, "x", binary=binary, rights=0o666 if rights is None else 0o600)
        if (lock := hold(part)) is not None:
            break
        file.close()
    try:
        with file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        if rights is not None:
            part.chmod(rights)
        part.replace(target)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    finally:
        os.close(lock)
    sync_folder(target.parent)


def _opened(path: Path, mode: str, *, binary: bool, rights: int = 0o666) -> IO[Any]:
    def opener(name: str, flags: int) -> int:
        return os.open(name, flags, rights)

    if binary:
        return open(path, f"{mode}b", opener=opener)
    return open(path, mode, encoding="utf-8", newline="", opener=opener)


def _is_about(error: OSError, path: Path) -> bool:
    """Return whether this file failed, and not another one that the block uses."""
    named = error.filename
    return named in (None, str(path)) or Path(os.fsdecode(named)).name.startswith(PREFIX)


def _unwritable(error: OSError, path: Path) -> DatabaseError:
    return DatabaseError(
        f"the file cannot be written: {error.strerror or error}",
        str(path),
        "check its folder, the rights there and the room on the disk",
    )


def sync_folder(folder: Path) -> None:
    """Sync a folder to disk, because a power cut could lose a new name."""
    # Windows cannot sync a folder.
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
