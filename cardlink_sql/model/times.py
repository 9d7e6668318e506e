"""Times are timezone-aware and UTC, with microseconds, everywhere in the layer."""

from datetime import UTC, datetime


def utc_now() -> datetime:
    """Return the current time, aware, in UTC."""
    return datetime.now(UTC)


def to_text(moment: datetime) -> str:
    """Return an aware time as SQLite stores it: ``2026-11-22 22:17:13.668544+00:00``.

    The fixed width makes text order equal time order.
    """
    return utc_to_text(moment.astimezone(UTC))


def utc_to_text(moment: datetime) -> str:
    """Return the same for a time that is in UTC already."""
    return f"{moment.date().isoformat()} {moment.time().isoformat('microseconds')}+00:00"


def from_text(text: str) -> datetime:
    """Parse the text of :func:`to_text`."""
    return datetime.fromisoformat(text)
