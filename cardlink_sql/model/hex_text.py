"""Bytes as people write them in hex."""

import re
from typing import Final

_HEX: Final = re.compile(r"(?:[0-9A-F]{2})+", re.ASCII)
_DIGITS: Final = re.compile(r"[0-9A-F]+", re.ASCII)
_BETWEEN: Final = re.compile(r"[ \t\r\n:]+")


def bare_hex(written: str) -> str:
    """Return the digits in upper case; nothing where they are not whole bytes of hex."""
    # Some letters become hex digits in upper case, such as the ligature ff.
    digits = written.upper() if written.isascii() else ""
    if _HEX.fullmatch(digits):
        return digits
    groups = _groups(digits)
    return "".join(groups) if all(map(_HEX.fullmatch, groups)) else ""


def hex_fault(written: str) -> str:
    """Return why :func:`bare_hex` finds no bytes in a text."""
    digits = "".join(_groups(written.upper())) if written.isascii() else ""
    is_odd = len(digits) % 2 and _DIGITS.fullmatch(digits)
    return "has an odd number of hex digits" if is_odd else "is not hex"


def _groups(digits: str) -> list[str]:
    return [group.removeprefix("0X") for group in _BETWEEN.split(digits.strip())]
