"""Durations and times of JUnit reports, as their many writers write them."""

import re
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Final

from cardlink_sql.errors import ValidationError
from cardlink_sql.model import validation

_MAX_SECONDS: Final = 10**10

_NUMBER: Final = re.compile(r"([+-]?)(?=[.,]*\d)([\d.,]+)((?:[eE][+-]?\d{1,2})?)", re.ASCII)
# Surefire groups digits by commas; other locales write a decimal comma, and group by periods.
_COMMA_GROUPS: Final = re.compile(r"[1-9]\d{0,2}(?:,\d{3})+(?:\.\d*)?", re.ASCII)
_PERIOD_GROUPS: Final = re.compile(r"[1-9]\d{0,2}(?:\.\d{3})+,\d+", re.ASCII)
_DECIMAL_COMMA: Final = re.compile(r"\d+,\d+", re.ASCII)
_DECIMAL_POINT: Final = re.compile(r"\d*(?:\.\d*)?", re.ASCII)

_TIME: Final = r"(?P<time>\d{1,2}:\d\d:\d\d)"
_DAY: Final = r"(?P<month>[A-Z][a-z]{2}) (?P<day>\d{1,2})"
_FORMS: Final = (
    # The forms of toString of Java's and JavaScript's Date, and of the date of a mail.
    re.compile(rf"[A-Z][a-z]{{2}} {_DAY} {_TIME} (?P<zone>\S+) (?P<year>\d{{4}})"),
    re.compile(rf"[A-Z][a-z]{{2}} {_DAY} (?P<year>\d{{4}}) {_TIME} (?P<zone>\S+)(?: \(.*\))?"),
    re.compile(
        r"[A-Z][a-z]{2}, (?P<day>\d{1,2}) (?P<month>[A-Z][a-z]{2}) (?P<year>\d{4})"
        rf" {_TIME}(?: (?P<zone>\S+))?"
    ),
)
_MONTHS: Final = "JanFebMarAprMayJunJulAugSepOctNovDec"
# Java's ZonedDateTime writes the offset and then the zone's name.
_OFFSET_AND_NAME: Final = re.compile(r"(Z|[+-]\d\d(?::?\d\d){0,2})(?:\[[^\[\]]+\])+\Z")
_UTC_SUFFIX: Final = re.compile(r" ?(?:UTC|GMT|Z)\Z")
_ZONE: Final = re.compile(r"(?:UTC|GMT|UT|Z)?(?:(?P<sign>[+-])(?P<hours>\d\d):?(?P<minutes>\d\d))?")


def milliseconds(written: str) -> int | None:
    """Return a number of seconds as whole milliseconds, cut; less than nothing is 0.

    ``0,160`` has a decimal comma; ``1,234`` groups its digits. Returns ``None`` for what is not
    a number of seconds; nothing written is 0.
    """
    text = written.strip()
    if not text:
        return 0
    found = _NUMBER.fullmatch(text)
    digits = found and _plain(found[2])
    if not found or digits is None:
        return None
    seconds = Decimal(found[1] + digits + found[3])
    return max(int(seconds * 1000), 0) if abs(seconds) < _MAX_SECONDS else None


def _plain(digits: str) -> str | None:
    if _COMMA_GROUPS.fullmatch(digits):
        return digits.replace(",", "")
    if _PERIOD_GROUPS.fullmatch(digits):
        return digits.replace(".", "").replace(",", ".")
    if _DECIMAL_COMMA.fullmatch(digits):
        return digits.replace(",", ".")
    return digits if _DECIMAL_POINT.fullmatch(digits) else None


def moment(written: str) -> datetime | None:
    """Return a time in UTC; one without a zone is UTC.

    Returns ``None`` for what is not a time, or is in a zone that is only named: the offset of
    CET or EST depends on who writes it.
    """
    text = _OFFSET_AND_NAME.sub(r"\1", written.strip())
    found: datetime | None
    try:
        found = datetime.fromisoformat(_UTC_SUFFIX.sub("+00:00", text))
    except ValueError:
        found = _spelled(text)
    try:
        return found and validation.moment(
            found if found.tzinfo else found.replace(tzinfo=UTC), "timestamp"
        )
    except (ValidationError, OverflowError):
        return None


def _spelled(text: str) -> datetime | None:
    found = next((match for form in _FORMS if (match := form.fullmatch(text))), None)
    zone = found and _ZONE.fullmatch(found["zone"] or "UTC")
    if not found or not zone:
        return None
    offset = timedelta(hours=int(zone["hours"] or 0), minutes=int(zone["minutes"] or 0))
    try:
        month = _MONTHS.index(found["month"]) // 3 + 1
        text = f"{found['year']}-{month:02}-{found['day']:0>2}T{found['time']:0>8}"
        return datetime.fromisoformat(text).replace(
            tzinfo=timezone(-offset if zone["sign"] == "-" else offset)
        )
    except ValueError:
        return None
