"""The XML of a report as text that a parser takes, with what XML forbids written visibly."""

import re
from typing import Final

from cardlink_sql.errors import ValidationError
from cardlink_sql.formats.text import escaped

_MARKS: Final = {
    b"\xff\xfe": "utf-16",
    b"\xfe\xff": "utf-16",
    b"\xef\xbb\xbf": "utf-8-sig",
    # UTF-16 without a mark: what begins with "<" can be nothing else.
    b"<\x00": "utf-16-le",
    b"\x00<": "utf-16-be",
}
_DECLARED: Final = re.compile(rb"\s*<\?xml[^>]*?encoding\s*=\s*[\"']([\w.:-]+)[\"']")
# A declaration that reads as ASCII is not in these. .NET's StringWriter says so all the same.
_WIDE: Final = re.compile(r"(?:utf[-_]?(?:16|32)|(?:iso-10646-)?ucs-?[24])(?:[-_]?[bl]e)?|unicode")
_VERSION: Final = re.compile(r"\A(\s*<\?xml\s+version\s*=\s*[\"'])1\.\d+")
# XML 1.0 §2.2 has no form for these, not even an escaped one, yet some tools write both.
_FORBIDDEN: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
_REFERENCE: Final = re.compile(r"&#(?:x0*([0-9a-fA-F]{1,6})|0*(\d{1,7}));")


def text_of(data: bytes, name: str, encoding: str | None = None) -> str:
    """Decode a report by its mark or declaration, and write visibly what XML cannot hold.

    Bytes that are not of the encoding become ``\\xff``, forbidden characters and references to
    them ``\\x1b``. XML 1.1 is read as 1.0.

    Raises:
        ValidationError: the encoding is unknown.
    """
    encoding = encoding or _MARKS.get(data[:2]) or _MARKS.get(data[:3]) or _declared(data)
    try:
        text = data.decode(encoding, "backslashreplace")
    except (LookupError, UnicodeError):  # idna and its kind refuse backslashreplace
        raise ValidationError(f"not XML: unknown encoding {encoding!r}", name) from None
    text = _VERSION.sub(r"\g<1>1.0", text, count=1)
    return _REFERENCE.sub(_referred, visible(text))


def _declared(data: bytes) -> str:
    found = _DECLARED.match(data)
    encoding = found[1].decode().lower() if found else "utf-8"
    return "utf-8" if _WIDE.fullmatch(encoding) else encoding


def visible(text: str) -> str:
    """Return text in which what XML forbids is written out, such as ``\\x1b``."""
    return _FORBIDDEN.sub(lambda found: escaped(ord(found[0])), text)


def _referred(found: re.Match[str]) -> str:
    code = int(found[1], 16) if found[1] else int(found[2])
    is_allowed = code <= 0x10FFFF and not _FORBIDDEN.fullmatch(chr(code))
    return found[0] if is_allowed else escaped(code)
