"""Times are timezone-aware and UTC, with microseconds, everywhere in the layer."""

from datetime import UTC, datetime


def utc_now() -> datetime:
    """The time now, aware, in UTC."""
    return datetime.now(UTC)


def to_text(moment: datetime) -> str:
    """An aware time as SQLite keeps it: ``2026-11-22 22:17:13.668544+00:00``.

    The width is fixed, so that text order is time order.
    """
    return utc_to_text(moment.astimezone(UTC))


def utc_to_text(moment: datetime) -> str:
    """The same for a time that is in UTC already."""
    return f"{moment.date().isoformat()} {moment.time().isoformat('microseconds')}+00:00"


def from_text(text: str) -> datetime:
    """Read what :func:`to_text` wrote."""
    return datetime.fromisoformat(text)
