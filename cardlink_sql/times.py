"""Times are timezone-aware and UTC, with microseconds, everywhere in the layer."""

from datetime import UTC, datetime


def utc_now() -> datetime:
    """The time now, aware, in UTC."""
    return datetime.now(UTC)


def to_text(moment: datetime) -> str:
    """An aware time as SQLite keeps it: ``2026-11-22 22:17:13.668544+00:00``.

    The width is fixed, so that text order is time order.
    """
    return moment.astimezone(UTC).isoformat(" ", "microseconds")


def from_text(text: str) -> datetime:
    """Read what :func:`to_text` wrote."""
    return datetime.fromisoformat(text)
