"""The APDUs of a session."""

from dataclasses import dataclass, field
from datetime import datetime

from cardlink_sql.model.choices import Direction
from cardlink_sql.model.json_value import Record
from cardlink_sql.model.times import utc_now


@dataclass(slots=True)
class CommLog(Record):
    """One APDU of a session. ``id`` is 0 until the database has numbered it."""

    session_id: str
    direction: Direction
    raw_data: str
    latency_ms: float | None = None
    decoded_data: str | None = None
    status_word: str | None = None
    status_message: str | None = None
    timestamp: datetime = field(default_factory=utc_now)
    id: int = 0
