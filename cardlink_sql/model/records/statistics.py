"""Figures over several tables."""

from dataclasses import dataclass
from datetime import date, datetime

from cardlink_sql.model.json_value import Record


@dataclass(frozen=True, slots=True)
class SessionDay(Record):
    """The sessions created on one day of UTC; ``total`` also counts those that have not ended."""

    day: date
    total: int
    completed: int
    failed: int
    timeout: int


@dataclass(frozen=True, slots=True)
class ExchangeCount(Record):
    """Responses with the same command header and status word.

    ``header`` is CLA, INS and P1 as hex, ``None`` if no command comes right before the
    response. ``latencies`` is the number of responses that have a latency.
    """

    header: str | None
    status_word: str | None
    responses: int
    latencies: int
    total_latency_ms: float
    maximum_latency_ms: float


@dataclass(frozen=True, slots=True)
class SlowExchange(Record):
    """A response and the command right before it, ``None`` if there is none."""

    session_id: str
    log_id: int
    timestamp: datetime
    latency_ms: float
    status_word: str | None
    command: str | None


@dataclass(frozen=True, slots=True)
class CardCount(Record):
    """The number of cards with and without a PSK."""

    total: int
    with_psk: int
    without_psk: int
