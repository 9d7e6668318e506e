"""OTA sessions and their statistics."""

from dataclasses import dataclass, field
from datetime import datetime

from cardlink_sql.model.choices import SessionStatus, SessionType
from cardlink_sql.model.json_value import JSONValue, Record
from cardlink_sql.model.times import utc_now


@dataclass(slots=True)
class OTASession(Record):
    """One OTA session of a card with the admin server."""

    id: str
    session_type: SessionType | None = None
    device_id: str | None = None
    card_iccid: str | None = None
    status: SessionStatus = SessionStatus.PENDING
    started_at: datetime | None = None
    ended_at: datetime | None = None
    duration_ms: int | None = None
    tls_cipher_suite: str | None = None
    tls_psk_identity: str | None = None
    error_code: str | None = None
    error_message: str | None = None
    metadata: JSONValue | None = None
    created_at: datetime = field(default_factory=utc_now)
    updated_at: datetime = field(default_factory=utc_now)


@dataclass(frozen=True, slots=True)
class SessionStatistics(Record):
    """Sessions created within a window of time.

    ``success_rate`` is the completed share (0 to 1) of all that ended, ``None`` if none did;
    ``avg_duration_ms`` is the average over those that started and ended.
    """

    total_sessions: int
    pending: int
    active: int
    completed: int
    failed: int
    timeout: int
    avg_duration_ms: float | None
    success_rate: float | None
    period_days: float

    @property
    def by_status(self) -> dict[SessionStatus, int]:
        """Return the number of sessions in each status, including 0."""
        return {status: getattr(self, status) for status in SessionStatus}


@dataclass(frozen=True, slots=True)
class SessionSummary(Record):
    """Statistics of one session's log.

    An error is a response whose status word says an error or a warning:
    :func:`~cardlink_sql.model.status_words.is_error`.
    """

    session_id: str
    total: int
    commands: int
    responses: int
    errors: int
    average_latency_ms: float | None
    maximum_latency_ms: float | None
    first_at: datetime | None
    last_at: datetime | None
