"""Times in files: ISO 8601 in UTC with microseconds, ``2026-11-22T22:17:13.668544+00:00``."""

from datetime import datetime
from typing import Any

from cardlink_sql.errors import ValidationError, shown
from cardlink_sql.model import validation


def time_text(moment: datetime) -> str:
    """Return a time in UTC as a file has it."""
    return moment.isoformat(timespec="microseconds")


def parse_time(value: Any, where: str) -> datetime:
    """Parse a file's text to a time in UTC.

    Raises:
        ValidationError: it is not a time, or has no time zone.
    """
    text = validation.text(value, where, 64)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        what = f"{shown(text)} is not a time in ISO 8601"
        raise ValidationError(what, where, "write 2026-11-22T22:17:13.668544+00:00") from None
    if moment.tzinfo is None:
        raise ValidationError(f"{shown(text)} has no time zone", where, "add one, such as Z")
    return validation.moment(moment, where)
