"""The errors of the layer: one small tree under :class:`DatabaseError`.

Each says what happened, where (``file:line`` for SQL, a field path for data)
and what to do about it. None carries a key, a PSK or a password.
"""

import re
from typing import Final

# So many hex digits could be a key; digits of one ICCID, IMEI or time could not.
_MAY_BE_A_KEY: Final = re.compile(r"(?:(?:0x)?[0-9A-F]{2}[\s:._-]*){8,}", re.IGNORECASE)
_SEPARATORS: Final = re.compile(r"0x|[\s:._-]", re.IGNORECASE)
_MOST_DIGITS: Final = 22
_UUID: Final = re.compile(r"[0-9A-F]{8}(?:-[0-9A-F]{4}){3}-[0-9A-F]{12}", re.IGNORECASE)
_MAY_BE_BASE64: Final = re.compile(r"(?<![A-Za-z0-9+/_-])[A-Za-z0-9+/_-]{22,}=")
_SHORTEST_KEY: Final = 14


class DatabaseError(Exception):
    """Base of every error that the layer raises.

    Args:
        what: what happened, one sentence.
        where: the place, such as ``sql/common/devices.sql:12:3`` or ``devices.imei``.
        remedy: what the reader can do, one sentence.
    """

    def __init__(self, what: str, where: str | None = None, remedy: str | None = None) -> None:
        super().__init__(what, where, remedy)
        self.what = what
        self.where = where
        self.remedy = remedy

    @property
    def headline(self) -> str:
        """Return where and what, without the remedy."""
        return f"{self.where}: {self.what}" if self.where else self.what

    def __str__(self) -> str:
        return f"{self.headline} ({self.remedy})" if self.remedy else self.headline


class ConnectionError(DatabaseError):
    """The database cannot be reached: server, network, credentials, driver or exhausted pool."""


class CommitInDoubtError(ConnectionError):
    """The connection broke during COMMIT: the work was committed as a whole, or not at all."""


class MigrationError(DatabaseError):
    """A migration failed, or the database and the migration files do not agree."""


class DriftError(MigrationError):
    """Applied migrations and files differ: one was edited, went missing or came out of order."""


class IntegrityError(DatabaseError):
    """A key, a foreign key, a NOT NULL or a CHECK refused the row."""


class RecorderFullError(DatabaseError):
    """The recorder is full, so the item was not accepted."""


class StorageFullError(DatabaseError):
    """The disk or the tablespace of the database is full; what was written is not kept."""


class NotFoundError(DatabaseError):
    """The row that was named does not exist."""


class StateError(DatabaseError):
    """The row does not allow the change, such as ending a session that has ended."""


class ValidationError(DatabaseError, ValueError):
    """A value was refused before it reached the database."""


class EncryptionError(DatabaseError):
    """A PSK could not be encrypted or decrypted."""


class QueryError(DatabaseError):
    """An SQL file, a query's parameters or its result are not as declared.

    Args:
        detail: what happened, without the query's title or the layer's words around the server's;
            ``what`` where it has neither.
    """

    def __init__(
        self,
        what: str,
        where: str | None = None,
        remedy: str | None = None,
        *,
        detail: str | None = None,
    ) -> None:
        super().__init__(what, where, remedy)
        self.detail = what if detail is None else detail


class ConflictError(DatabaseError):
    """A conflicting transaction forced a rollback, or kept a lock too long. Run the work again."""


def shown(value: object, longest: int = 200) -> str:
    """Return a value's repr, cut to a length, or why it is not shown."""
    text = repr(value)
    is_hex = any(_may_be_a_key(found[0]) for found in _MAY_BE_A_KEY.finditer(text))
    if is_hex or _may_be_raw(value) or _MAY_BE_BASE64.search(text):
        return "(not shown, since it may be a key)"
    return text if len(text) <= longest else f"{text[: longest - 3]}…"


def shown_value(value: object) -> str:
    """Return a value of a field for an error, short."""
    if isinstance(value, int) and value.bit_length() > 128:
        return "a number of so many digits"
    return shown(value, 60) if isinstance(value, str | int | float) else kind_of(value)


def kind_of(value: object) -> str:
    """Return the name of a value's type."""
    return "None" if value is None else type(value).__name__


def _may_be_a_key(digits: str) -> bool:
    plain = _SEPARATORS.sub("", digits)
    is_long = not plain.isdecimal() or len(plain) > _MOST_DIGITS
    return is_long and not _UUID.fullmatch(digits)


def _may_be_raw(value: object) -> bool:
    """Whether it could be the octets of a key as they are."""
    if isinstance(value, bytes | bytearray):
        return len(value) >= _SHORTEST_KEY
    if not isinstance(value, str) or len(value.encode("utf-8", "replace")) < _SHORTEST_KEY:
        return False
    return not all(char.isprintable() or char.isspace() for char in value)
