"""The form of what goes into the database. Each check takes a value and returns it,
normalised where there is one way to write it, or raises :class:`ValidationError`.

``where`` is the field path that the error names, such as ``devices.imei``.
"""

import json
import math
import re
from collections.abc import Callable
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final, TypeVar
from uuid import UUID

from cardlink_sql.errors import ValidationError, kind_of as _kind, shown_value as _shown

E = TypeVar("E", bound=StrEnum)
Check = Callable[[Any, str], Any]

MAX_TEXT: Final = 262_144
MAX_HEX: Final = 1_048_576
# SQLite's LIKE takes patterns of 50,000 bytes.
MAX_HEX_PATTERN: Final = 32_768
MAX_INTEGER: Final = 2**63 - 1
# MariaDB reads no more: objects and lists within each other.
MAX_JSON_DEPTH: Final = 31
# From here on PostgreSQL writes a float without its exponent, and it reads back as an integer.
_FIRST_INEXACT_FLOAT: Final = 1e16
_HEX_REMEDY: Final = "write whole bytes as hex digits"
_MAX_PSK_OCTETS: Final = 64
_MAX_IDENTITY_OCTETS: Final = 128
_YEAR_SECONDS: Final = 366 * 86_400

# Some operators print hex letters in the account number of an ICCID, never in its first digits.
_ICCID: Final = re.compile(r"[0-9]{6}[0-9A-F]{11,15}[0-9]", re.ASCII)
_ICCID_FILLED: Final = re.compile(r"[0-9A-Fa-f]{18,22}", re.ASCII)
_IMSI: Final = re.compile(r"[0-9]{6,15}", re.ASCII)
_IMEI: Final = re.compile(r"[0-9]{14,16}", re.ASCII)
_IMEI_GROUPS: Final = re.compile(r"[0-9]+(?:-[0-9]+){1,15}", re.ASCII)
_STATUS_WORD: Final = re.compile(r"[0-9A-F]{4}", re.ASCII)
_UUID: Final = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|[0-9a-f]{32}", re.ASCII)
_UUID_DIGITS: Final = re.compile(r"[0-9a-f]{1,32}", re.ASCII)
_HEX: Final = re.compile(r"(?:[0-9A-F]{2})+", re.ASCII)
_HEX_BETWEEN: Final = re.compile(r"[ \t\r\n:]+")
_ODD_HEX: Final = re.compile(r"\s*[0-9A-F](?:[\s:]*[0-9A-F][\s:]*[0-9A-F])*\s*", re.I | re.ASCII)
# A byte written as "0x9F:" has five characters.
_MAX_HEX_SPREAD: Final = 3


def text(value: Any, where: str, longest: int = MAX_TEXT) -> str:
    """Return text that all backends keep: valid Unicode, no NUL, ``longest`` characters or less."""
    if not isinstance(value, str):
        raise ValidationError(f"{_kind(value)} is not text", where)
    if "\0" in value:
        raise ValidationError("the text holds a NUL character", where, "take it out")
    if len(value) > longest:
        raise ValidationError(
            f"{len(value)} characters, at most {longest} fit", where, "shorten it"
        )
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            raise ValidationError("the text holds a lone surrogate", where) from None
    return str.__str__(value)


def identifier(value: Any, where: str, longest: int = 128) -> str:
    """Return text that names something: not empty, no blanks around it."""
    name = text(value, where, longest)
    if not name or name != name.strip():
        raise ValidationError(f"{name!r} is empty or has blanks around it", where)
    return name


def filled(value: Any, where: str, longest: int = MAX_TEXT) -> str:
    """Return text that is not empty; blanks around it belong to it."""
    content = text(value, where, longest)
    if not content:
        raise ValidationError("the text is empty", where)
    return content


def choice(kind: type[E]) -> Callable[[Any, str], E]:
    """Return a check for a member of an enumeration, given as the member or its value."""
    members: dict[Any, E] = {member.value: member for member in kind}

    def check(value: Any, where: str) -> E:
        member = members.get(value) if isinstance(value, str) else None
        if member is None:
            *others, last = members
            accepted = f"{', '.join(others)} or {last}" if others else last
            raise ValidationError(f"{_shown(value)} is not {accepted}", where)
        return member

    return check


def moment(value: Any, where: str) -> datetime:
    """Return an aware time in UTC; MySQL's DATETIME begins with the year 1000."""
    if not isinstance(value, datetime):
        raise ValidationError(f"{_kind(value)} is not a time", where)
    try:
        if value.tzinfo is None or value.utcoffset() is None:
            raise ValidationError("the time has no time zone", where, "add one, such as UTC")
        utc = value.astimezone(UTC)
    except OverflowError:
        raise ValidationError("the time is out of range in UTC", where) from None
    except (NotImplementedError, ValueError, TypeError) as error:
        if isinstance(error, ValidationError):
            raise
        raise ValidationError("the time zone has no UTC offset", where) from error
    if utc.year < 1000:
        raise ValidationError(f"the year {utc.year} is before 1000", where)
    return utc


def boolean(value: Any, where: str) -> bool:
    """Return True or False, nothing that merely resembles them."""
    if not isinstance(value, bool):
        raise ValidationError(f"{_shown(value)} is not True or False", where)
    return value


def whole(value: Any, where: str, least: int = -(2**63), most: int = MAX_INTEGER) -> int:
    """Return a whole number within bounds, 64 bits at the most."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValidationError(f"{_shown(value)} is not a whole number", where)
    if not least <= value <= most:
        raise ValidationError(f"must be between {least} and {most}, got {_shown(value)}", where)
    return value


def number(value: Any, where: str) -> float:
    """Return a number as a float."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValidationError(f"{_shown(value)} is not a number", where)
    return float(value)


def duration(value: Any, where: str) -> int:
    """Return whole milliseconds, 0 or more."""
    return whole(value, where, least=0)


def latency(value: Any, where: str) -> float:
    """Return a finite number of milliseconds, 0 or more."""
    return _measure(value, where, "milliseconds, 0 or more")


def seconds(value: Any, where: str) -> float:
    """Return a finite number of seconds above 0: a limit that work has to meet."""
    limit = waiting_time(value, where, "seconds above 0")
    if not limit:
        raise ValidationError(f"expected seconds above 0, got {_shown(value)}", where)
    return limit


def waiting_time(value: Any, where: str, wanted: str = "seconds, 0 or more") -> float:
    """Return a number of seconds, 0 or more, within a year; 0 does not wait."""
    limit = _measure(value, where, wanted)
    if limit > _YEAR_SECONDS:
        raise ValidationError(f"{_shown(value)} seconds are more than a year", where)
    return limit


def _measure(value: Any, where: str, wanted: str) -> float:
    """Return a finite number, 0 or more, as a float."""
    try:
        measured = number(value, where)
    except OverflowError:
        measured = math.inf
    if not math.isfinite(measured) or measured < 0:
        raise ValidationError(f"expected {wanted}, got {_shown(value)}", where)
    return measured


def factor(value: Any, where: str) -> float:
    """Return how many times as much: finite, 1 or more."""
    times = _measure(value, where, "a number, 1 or more")
    if times < 1:
        raise ValidationError(f"{times} is below 1", where, "2 is twice as much")
    return times


def document(value: Any, where: str) -> Any:
    """Return a JSON object or list that reads back equal on every backend."""
    if not isinstance(value, dict | list):
        raise ValidationError(f"{_kind(value)} is not a JSON object or list", where)
    return json_value(value, where)


def json_value(value: Any, where: str) -> Any:
    """Return any JSON value, ``None`` among them, that reads back equal on every backend."""
    _check_json(value, where, MAX_JSON_DEPTH)
    if len(json.dumps(value, ensure_ascii=False)) > MAX_TEXT:
        raise ValidationError(f"the JSON is longer than {MAX_TEXT} characters", where)
    return value


def _check_json(value: Any, where: str, levels: int) -> None:
    if value is None or isinstance(value, bool):
        return
    if isinstance(value, str):
        text(value, where)
    elif isinstance(value, int):
        whole(value, where)
    elif isinstance(value, float):
        _check_json_float(value, where)
    elif not isinstance(value, dict | list):
        raise ValidationError(f"{_kind(value)} is not a JSON value", where)
    elif not levels:
        raise ValidationError(
            f"the JSON is nested too deeply, at most {MAX_JSON_DEPTH} levels fit", where
        )
    elif isinstance(value, dict):
        for key, item in value.items():
            if not isinstance(key, str):
                raise ValidationError(f"the key {_shown(key)} is not text", where)
            text(key, where)
            _check_json(item, f"{where}.{key}", levels - 1)
    else:
        for index, item in enumerate(value):
            _check_json(item, f"{where}[{index}]", levels - 1)


def _check_json_float(value: float, where: str) -> None:
    if not math.isfinite(value):
        raise ValidationError(f"{value} is not a JSON number", where)
    if abs(value) >= _FIRST_INEXACT_FLOAT:
        raise ValidationError(f"{value} is too large for a float", where, "use a whole number")


def octets(value: Any, where: str) -> bytes:
    """Return bytes, from any kind of them."""
    if not isinstance(value, bytes | bytearray | memoryview):
        raise ValidationError(f"{_kind(value)} is not bytes", where)
    return bytes(value)


def iccid(value: Any, where: str = "iccid") -> str:
    """Return an ICCID of 18 to 22 digits, without the filler F of a card's EF_ICCID.

    ITU-T E.118 has 19 or 20 digits; test cards vary. Hex letters are returned in upper case.
    """
    if isinstance(value, str) and not value.isdecimal() and _ICCID_FILLED.fullmatch(value):
        value = value.upper().rstrip("F")
    rule = "an ICCID of 18 to 22 hex digits, the first 6 and the last decimal"
    return _digits(value, where, _ICCID, rule)


def imsi(value: Any, where: str = "imsi") -> str:
    """Return an IMSI, 6 to 15 digits (3GPP TS 23.003 §2.2)."""
    return _digits(value, where, _IMSI, "an IMSI of 6 to 15 digits")


def imei(value: Any, where: str = "imei") -> str:
    """Return an IMEI or IMEISV, 14 to 16 digits (3GPP TS 23.003 §6.2), without dashes."""
    if isinstance(value, str) and _IMEI_GROUPS.fullmatch(value):
        value = value.replace("-", "")
    return _digits(value, where, _IMEI, "an IMEI of 14 to 16 digits")


def _digits(value: Any, where: str, pattern: re.Pattern[str], wanted: str) -> str:
    if not isinstance(value, str) or not pattern.fullmatch(value):
        raise ValidationError(f"{_shown(text(value, where))} is not {wanted}", where)
    return str.__str__(value)


def hex_bytes(value: Any, where: str, longest: int = MAX_HEX) -> str:
    """Return whole bytes of hex in upper case, without blanks, colons and ``0x``."""
    written = text(value, where, _MAX_HEX_SPREAD * longest)
    digits = _bare_hex(written)
    if not digits:
        raise ValidationError(f"{_shown(value)} {_hex_fault(written)}", where, _HEX_REMEDY)
    return text(digits, where, longest)


def _bare_hex(written: str) -> str:
    """Return the digits in upper case; nothing where they are not whole bytes of hex."""
    # Some letters become hex digits in upper case, such as the ligature ff.
    digits = written.upper() if written.isascii() else ""
    if _HEX.fullmatch(digits):
        return digits
    groups = [group.removeprefix("0X") for group in _HEX_BETWEEN.split(digits.strip())]
    return "".join(groups) if all(map(_HEX.fullmatch, groups)) else ""


def _hex_fault(written: str) -> str:
    return "has an odd number of hex digits" if _ODD_HEX.fullmatch(written) else "is not hex"


def apdu(value: Any, where: str) -> str:
    """Return an APDU, given as bytes or hex, as upper-case hex; ``log_rows.py`` has a quick form.

    A mute card's response is empty; a command is not, see :func:`not_empty_command`.
    """
    if isinstance(value, bytes | bytearray | memoryview):
        value = bytes(value).hex()
    return "" if isinstance(value, str) and not value else hex_bytes(value, where)


def not_empty_command(direction: str, raw_data: str, where: str = "comm_logs.raw_data") -> None:
    """Refuse a command without bytes."""
    if not raw_data and direction == "command":
        raise ValidationError("a command must not be empty", where, _HEX_REMEDY)


def hex_pattern(value: Any, where: str) -> str:
    """Return hex to search for in upper case, without its blanks."""
    return hex_bytes("".join(text(value, where).split()), where, MAX_HEX_PATTERN)


def atr(value: Any, where: str = "atr") -> str:
    """Return an answer to reset as hex; ISO/IEC 7816-3 §8.2 starts it with 3B or 3F."""
    digits = hex_bytes(value, where, 128)
    if not digits.startswith(("3B", "3F")) or len(digits) < 4:
        raise ValidationError(f"{_shown(value)} is not an ATR", where, "it starts with 3B or 3F")
    return digits


def status_word(value: Any, where: str = "status_word") -> str:
    """Return SW1 SW2 as four hex digits in upper case (ISO/IEC 7816-4 §5.6)."""
    digits = text(value, where)
    digits = digits.upper() if digits.isascii() else ""
    if not _STATUS_WORD.fullmatch(digits):
        raise ValidationError(f"{_shown(value)} is not a status word of four hex digits", where)
    return digits


def session_id(value: Any, where: str = "session_id") -> str:
    """Return a UUID in lower case with hyphens (RFC 9562 §4)."""
    name = text(value, where, 36).lower()
    if not _UUID.fullmatch(name):
        raise ValidationError(f"{_shown(value)} is not a UUID", where)
    return name if "-" in name else str(UUID(name))


def uuid_prefix(value: Any, where: str = "session_id") -> str:
    """Return the first digits of a UUID in lower case, with the hyphens in their places."""
    digits = text(value, where, 36).lower().replace("-", "")
    if not _UUID_DIGITS.fullmatch(digits):
        raise ValidationError(f"{_shown(value)} is neither a UUID nor the beginning of one", where)
    groups = (digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:])
    return "-".join(filter(None, groups))


def psk_identity(value: Any, where: str = "psk_identity") -> str:
    """Return a PSK identity: UTF-8, 1 to 128 octets (RFC 4279 §5.1, §5.3)."""
    is_usual = isinstance(value, str) and value.isascii() and value.isprintable()
    if is_usual and 0 < len(value) <= _MAX_IDENTITY_OCTETS:  # one octet a character
        return str.__str__(value)
    name = text(value, where, _MAX_IDENTITY_OCTETS)
    if not 1 <= len(name.encode()) <= _MAX_IDENTITY_OCTETS:
        raise ValidationError("a PSK identity has 1 to 128 octets", where)
    return name


def psk_key(value: Any, where: str = "psk_key") -> bytes:
    """Return a PSK of 1 to 64 octets (RFC 4279 §5.3), given as bytes or hex; never shown."""
    if isinstance(value, str):
        digits = _bare_hex(value)
        if value and not digits:
            raise ValidationError(f"the PSK {_hex_fault(value)}", where, _HEX_REMEDY)
        value = bytes.fromhex(digits)
    if not isinstance(value, bytes | bytearray):
        raise ValidationError("the PSK is neither bytes nor hex text", where)
    if not 1 <= len(value) <= _MAX_PSK_OCTETS:
        raise ValidationError(f"the PSK has {len(value)} octets, not 1 to 64", where)
    return bytes(value)


def hours(value: Any, where: str = "hours", most: int = 24 * 365 * 1000) -> float:
    """Return a length of time back from now: finite, above 0, at most a thousand years."""
    length = _measure(value, where, "a length of time above 0")
    if not 0 < length <= most:
        raise ValidationError(
            f"must be above 0 and at most a thousand years, got {length:.15g}", where
        )
    return length


def days(value: Any, where: str = "days") -> float:
    """Return a length of time back from now in days: finite, above 0."""
    return hours(value, where, 365 * 1000)


def limit(value: int | None, where: str = "limit") -> int:
    """Return the maximum number of rows; ``None`` means all."""
    return MAX_INTEGER if value is None else whole(value, where, least=0)
