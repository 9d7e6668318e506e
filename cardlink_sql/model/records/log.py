"""The APDUs of a session."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Literal

from cardlink_sql.model.json_value import Record
from cardlink_sql.model.times import utc_now


class Direction(StrEnum):
    """The direction of an APDU: to the card or from it."""

    COMMAND = "command"
    RESPONSE = "response"


# A member, or its value.
AnyDirection = Direction | Literal["command", "response"]


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
