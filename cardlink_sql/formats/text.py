"""Opens input files, limits their size and decodes them; writes out odd characters."""

from pathlib import Path
from typing import IO, Final

from cardlink_sql.errors import ValidationError

# The longest text that a person writes.
MAX_TEXT_BYTES: Final = 1_048_576


def escaped(code: int) -> str:
    """Return a character as it is written out where it may not be itself, such as ``\\x1b``."""
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


def open_to_read(path: Path) -> IO[bytes]:
    """Open a file; one that cannot be read raises ``ValidationError``, here and below."""
    try:
        return path.open("rb")
    except (OSError, ValueError) as error:
        raise _unreadable(error, path) from error


def read_bytes(path: Path, *, at_most: int) -> bytes:
    """Read a file."""
    with open_to_read(path) as file:
        return read_rest(file, path, at_most=at_most)


def read_rest(file: IO[bytes], path: Path, *, at_most: int, remedy: str = "split it") -> bytes:
    """Read the rest of an open file."""
    try:
        data = file.read(at_most + 1)
    except (OSError, ValueError) as error:
        raise _unreadable(error, path) from error
    if len(data) > at_most:
        raise ValidationError(f"the file is longer than {at_most:,} bytes", str(path), remedy)
    return data


def read_text(path: Path) -> str:
    """Return the text of a file that a person writes, of at most a MiB."""
    return decode(read_bytes(path, at_most=MAX_TEXT_BYTES), str(path))


def decode(data: bytes, where: str, *, is_line: bool = False) -> str:
    """Decode UTF-8, with or without a byte order mark; ``where`` has the line of a line."""
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        place = where if is_line else f"{where}:{line}"
        raise ValidationError("not UTF-8", place, "save it as UTF-8") from None


def _unreadable(error: OSError | ValueError, path: Path) -> ValidationError:
    reason = getattr(error, "strerror", None) or str(error)
    return ValidationError(f"the file cannot be read: {reason}", str(path), "name another file")
