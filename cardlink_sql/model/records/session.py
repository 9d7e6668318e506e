"""OTA sessions and the figures on them."""

from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum
from typing import Literal

from cardlink_sql.model.json_value import JSONValue
from cardlink_sql.model.times import utc_now


class SessionType(StrEnum):
    """The side that began the session: the server by a trigger, or the card by polling."""

    TRIGGERED = "triggered"
    POLLED = "polled"


# A member, or its word.
AnySessionType = SessionType | Literal["triggered", "polled"]


class SessionStatus(StrEnum):
    """The state of an OTA session; the last three are ends."""

    PENDING = "pending"
    ACTIVE = "active"
    COMPLETED = "completed"
    FAILED = "failed"
    TIMEOUT = "timeout"

    @property
    def is_end(self) -> bool:
        """Whether a session in this status has ended."""
        return self not in (SessionStatus.PENDING, SessionStatus.ACTIVE)


# A member, or its word.
AnySessionStatus = SessionStatus | Literal["pending", "active", "completed", "failed", "timeout"]


@dataclass(slots=True)
class OTASession:
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
class SessionStatistics:
    """Sessions created within a window of time.

    ``success_rate`` is the completed share (0 to 1) of all that ended, ``None`` where none
    did; ``avg_duration_ms`` is over those that ended and had started.
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
        """The number of sessions in each status, those without any included."""
        return {status: getattr(self, status) for status in SessionStatus}


@dataclass(frozen=True, slots=True)
class SessionDay:
    """The sessions created on one day of UTC; ``total`` counts those that have not ended, too."""

    day: date
    total: int
    completed: int
    failed: int
    timeout: int


@dataclass(frozen=True, slots=True)
class SessionSummary:
    """The log of one session in figures. An error is a response whose status word is not 9000."""

    session_id: str
    total: int
    commands: int
    responses: int
    errors: int
    average_latency_ms: float | None
    maximum_latency_ms: float | None
    first_at: datetime | None
    last_at: datetime | None


@dataclass(frozen=True, slots=True)
class ExchangeCount:
    """Responses that have the command's header and the status word in common.

    ``header`` is CLA, INS and P1 as hex, ``None`` where no command comes right before the
    response. ``latencies`` is how many of the responses have a latency.
    """

    header: str | None
    status_word: str | None
    responses: int
    latencies: int
    total_latency_ms: float
    maximum_latency_ms: float


@dataclass(frozen=True, slots=True)
class SlowExchange:
    """A response and the command right before it, ``None`` where there is none."""

    session_id: str
    log_id: int
    timestamp: datetime
    latency_ms: float
    status_word: str | None
    command: str | None


@dataclass(frozen=True, slots=True)
class CardCount:
    """The cards, with a PSK and without."""

    total: int
    with_psk: int
    without_psk: int
