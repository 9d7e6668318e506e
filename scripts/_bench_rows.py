"""The rows that scripts/bench works on: cards, sessions and traffic as an admin server sees it."""

import random
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from cardlink_sql.dialect import Dialect
from cardlink_sql.model.choices import Direction, SessionStatus, SessionType
from cardlink_sql.model.records.card import CardProfile
from cardlink_sql.model.records.log import CommLog
from cardlink_sql.model.records.session import OTASession
from cardlink_sql.model.status_words import describe

PAGE: Final = 100
SESSIONS_AT_ONCE: Final = 10  # sessions whose APDUs come interleaved


@dataclass(frozen=True)
class Sizes:
    """How much of everything there is."""

    written: int = 20_000
    cards: int = 1_000
    reads: int = 1_000
    sessions: int = 500_000
    logs: int = 1_000_000
    one_log: int = 10_000

    @property
    def last_page(self) -> int:
        """A page next to the end of the logs: 9,999 of a million."""
        return self.logs // PAGE - 1


QUICK: Final = Sizes(
    written=4_000, cards=200, reads=200, sessions=20_000, logs=40_000, one_log=10_000
)


EXCHANGES: Final = (
    ("00A4040007A0000001510000", "6F108408A000000151000000A5049F6501FF9000"),
    ("80E60C0000", "6985"),
    ("80F28002024F0000", "E3254F08A0000001510000009F700101C5039EFE809000"),
    ("00C0000020", "62208202782183023F00A5038001718A01058B032F0602C60990014083010183010B9000"),
    ("00B2010424", "6A83"),
    ("80CA006600", "6604730206009000"),
    (f"80E800{'00'}F0{'C482034F' * 60}", "9000"),
)


class Rows:
    """The rows of one run; the same in each."""

    def __init__(self, sizes: Sizes) -> None:
        self._random = random.Random(20261122)
        self._start = datetime.now(UTC).replace(microsecond=123456) - timedelta(seconds=1)
        self.sizes = sizes
        self.cards = [self._card(number) for number in range(sizes.cards)]
        self.sessions = [self._session(number) for number in range(sizes.sessions)]

    def _card(self, number: int) -> CardProfile:
        return CardProfile(
            iccid=f"8949{number:015}",
            imsi=f"26201{number:010}",
            atr="3B9F96801FC78031A073BE21136743200718000001A5",
            psk_identity=f"card_{number:06}",
            has_psk=True,
            admin_url="https://admin.example/ota",
            created_at=self._start,
            updated_at=self._start,
        )

    def _session(self, number: int) -> OTASession:
        created = self._start - self._age(number)
        lasted = timedelta(milliseconds=self._random.randrange(50, 90_000))
        status = self._random.choices(list(SessionStatus), weights=(1, 1, 90, 5, 3))[0]
        card = self.cards[number % len(self.cards)]
        return OTASession(
            id=str(uuid.UUID(int=self._random.getrandbits(128), version=4)),
            session_type=SessionType.TRIGGERED,
            card_iccid=card.iccid,
            status=status,
            started_at=created,
            ended_at=created + lasted if status.is_end else None,
            duration_ms=lasted // timedelta(milliseconds=1) if status.is_end else None,
            tls_cipher_suite="PSK-AES128-GCM-SHA256",
            tls_psk_identity=card.psk_identity,
            created_at=created,
            updated_at=created + lasted,
        )

    def _age(self, number: int) -> timedelta:
        """The last 1 % of the sessions are of this day; nothing moves over its edge meanwhile."""
        share = 1 - (number + 1) / self.sizes.sessions
        if share < 0.01:
            return timedelta(hours=share * 100 * 20)
        return timedelta(days=1 + 100 * share)

    def traffic(self, count: int, first_session: int = 0) -> list[CommLog]:
        """Commands and responses of some sessions at once, without status words."""
        session_ids = [s.id for s in self.sessions[first_session:][:SESSIONS_AT_ONCE]]
        return [self._apdu(number, session_ids) for number in range(count)]

    def _apdu(self, number: int, session_ids: Sequence[str]) -> CommLog:
        exchange, is_response = divmod(number, 2)
        return CommLog(
            session_id=session_ids[exchange % len(session_ids)],
            direction=Direction.RESPONSE if is_response else Direction.COMMAND,
            raw_data=EXCHANGES[exchange % len(EXCHANGES)][is_response],
            latency_ms=self._random.uniform(15, 90) if is_response else None,
            timestamp=self._start + timedelta(microseconds=1203 * number),
        )

    def history(self) -> Iterator[CommLog]:
        """All logs: one session's, then many sessions of ten exchanges each."""
        session_ids = [session.id for session in self.sessions]
        yield from self.one_log()
        for number in range(self.sizes.logs - self.sizes.one_log):
            yield self._apdu(number, (session_ids[1 + number // 20 % (len(session_ids) - 1)],))

    def one_log(self) -> list[CommLog]:
        """The entries of the first session."""
        return [self._apdu(number, (self.sessions[0].id,)) for number in range(self.sizes.one_log)]


def completed(entry: CommLog) -> CommLog:
    """An entry with status word and message, as the layer fills them in."""
    if entry.direction is Direction.COMMAND:
        return entry
    word = entry.raw_data[-4:]
    return CommLog(
        entry.session_id, entry.direction, entry.raw_data, entry.latency_ms, None, word,
        describe(word), entry.timestamp,
    )  # fmt: skip


def plain(record: Any, dialect: Dialect, *left_out: str) -> tuple[Any, ...]:
    """A record as the driver takes it."""
    values = (getattr(record, spec.name) for spec in fields(record) if spec.name not in left_out)
    return tuple(plain_value(value, dialect) for value in values)


def plain_value(value: Any, dialect: Dialect) -> Any:
    """A value as the driver takes it; times as text, which each driver sends quickest."""
    if isinstance(value, datetime):
        text = value.isoformat(" ", "microseconds")
        return text.removesuffix("+00:00") if dialect is Dialect.MYSQL else text
    return value.value if isinstance(value, Direction | SessionStatus | SessionType) else value
