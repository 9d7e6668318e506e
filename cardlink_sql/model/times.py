"""Times are timezone-aware and UTC, with microseconds, everywhere in the layer."""

from datetime import UTC, datetime, timedelta

# A second, and its text: most times that are written in a row share theirs.
_second = (datetime(1, 1, 1, tzinfo=UTC), "0001-01-01 00:00:00")


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
    global _second  # noqa: PLW0603 - formatting a whole time takes twice as long
    start, text = _second
    since = moment - start
    if since.days or since.seconds:
        start = moment - timedelta(microseconds=moment.microsecond)
        text = start.isoformat(" ", "seconds")[:19]
        _second = start, text
    return "%s.%06d+00:00" % (text, moment.microsecond)  # noqa: UP031 - quicker than an f-string


def from_text(text: str) -> datetime:
    """Parse the text of :func:`to_text`."""
    return datetime.fromisoformat(text)
