"""The design that this layer replaces, for scripts/bench: an ORM, its usual idioms, no tricks.

A session per unit of work; on SQLite a new connection with its five pragmas each time
(NullPool); ``bulk_save_objects`` for logs; one COUNT for each figure of the statistics. It
works on the layer's own tables, so what it stores and reads can be held against the others'.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any, ClassVar

from sqlalchemy import URL, Engine, create_engine, event, func, select
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column
from sqlalchemy.pool import NullPool

from cardlink_sql.model.records.log import CommLog
from cardlink_sql.model.records.session import SessionStatistics
from cardlink_sql.model.tables import JSONDocument, UTCDateTime

PRAGMAS = (
    "PRAGMA journal_mode = WAL",
    "PRAGMA foreign_keys = ON",
    "PRAGMA synchronous = NORMAL",
    "PRAGMA cache_size = -65536",
    "PRAGMA busy_timeout = 10000",
)


class Base(DeclarativeBase):
    """The models."""

    type_annotation_map: ClassVar[dict[Any, Any]] = {
        datetime: UTCDateTime,
        dict[str, Any]: JSONDocument,
    }


class CardModel(Base):
    """A card."""

    __tablename__ = "card_profiles"

    iccid: Mapped[str] = mapped_column(primary_key=True)
    imsi: Mapped[str | None]
    card_type: Mapped[str]
    atr: Mapped[str | None]
    psk_identity: Mapped[str | None]
    psk_key_encrypted: Mapped[bytes | None]
    admin_url: Mapped[str | None]
    trigger_config: Mapped[dict[str, Any] | None]
    bip_config: Mapped[dict[str, Any] | None]
    security_domains: Mapped[dict[str, Any] | None]
    notes: Mapped[str | None]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]

    @property
    def has_psk(self) -> bool:
        """Whether the card has a PSK."""
        return self.psk_key_encrypted is not None


class SessionModel(Base):
    """An OTA session."""

    __tablename__ = "ota_sessions"

    id: Mapped[str] = mapped_column(primary_key=True)
    device_id: Mapped[str | None]
    card_iccid: Mapped[str | None]
    session_type: Mapped[str | None]
    status: Mapped[str]
    started_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]
    duration_ms: Mapped[int | None]
    tls_cipher_suite: Mapped[str | None]
    tls_psk_identity: Mapped[str | None]
    error_code: Mapped[str | None]
    error_message: Mapped[str | None]
    # Declarative keeps the tables in "metadata".
    facts: Mapped[Any | None] = mapped_column("metadata", JSONDocument)
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]


class LogModel(Base):
    """An APDU."""

    __tablename__ = "comm_logs"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    session_id: Mapped[str]
    timestamp: Mapped[datetime]
    latency_ms: Mapped[float | None]
    direction: Mapped[str]
    raw_data: Mapped[str]
    decoded_data: Mapped[str | None]
    status_word: Mapped[str | None]
    status_message: Mapped[str | None]


def make_engine(url: URL) -> Engine:
    """The engine as the design had it."""
    if not url.drivername.startswith("sqlite"):
        return create_engine(url)
    engine = create_engine(url, poolclass=NullPool)

    @event.listens_for(engine, "connect")
    def settle(connection: Any, _record: Any) -> None:
        cursor = connection.cursor()
        for pragma in PRAGMAS:
            cursor.execute(pragma)
        cursor.close()

    return engine


class Orm:
    """The operations of the bench by the ORM. It returns its models, as the design did."""

    def __init__(self, url: URL) -> None:
        self._engine = make_engine(url)
        self._open = Session(self._engine)

    def close(self) -> None:
        """Close the connections."""
        self._open.close()
        self._engine.dispose()

    def write(self, batch: Sequence[CommLog]) -> None:
        """One batch in a separate unit of work."""
        with Session(self._engine) as session:
            session.bulk_save_objects(
                [
                    LogModel(
                        session_id=entry.session_id,
                        timestamp=entry.timestamp,
                        latency_ms=entry.latency_ms,
                        direction=entry.direction.value,
                        raw_data=entry.raw_data,
                        decoded_data=entry.decoded_data,
                        status_word=entry.status_word,
                        status_message=entry.status_message,
                    )
                    for entry in batch
                ]
            )
            session.commit()

    def cards(self, iccids: Sequence[str]) -> list[Any]:
        """Cards by key, in an open session."""
        # A card is fetched again each time: the session holds weak references.
        return [self._open.get_one(CardModel, iccid) for iccid in iccids]

    def cards_in_transaction(self, iccids: Sequence[str]) -> list[Any]:
        """The same: a session of the ORM is a transaction."""
        return self.cards(iccids)

    def sessions(self, ids: Sequence[str]) -> list[Any]:
        """Sessions by key, in an open session."""
        return [self._open.get_one(SessionModel, key) for key in ids]

    def units(self, iccids: Sequence[str]) -> list[Any]:
        """Cards by key, each in a separate unit of work."""
        found = []
        for iccid in iccids:
            with Session(self._engine) as session:
                found.append(session.get_one(CardModel, iccid))
        return found

    def psks(self, identities: Sequence[str]) -> list[Any]:
        """Encrypted PSKs by identity, in an open session."""
        return [
            self._open.scalars(select(CardModel).where(CardModel.psk_identity == identity))
            .one()
            .psk_key_encrypted
            for identity in identities
        ]

    def log_of(self, session_id: str) -> list[Any]:
        """The log of a session."""
        logs = select(LogModel).where(LogModel.session_id == session_id).order_by(LogModel.id)
        with Session(self._engine) as session:
            return list(session.scalars(logs))

    def statistics(self, since: datetime) -> SessionStatistics:
        """Figures of the sessions: seven counts, an average and a rate from two more."""
        status = SessionModel.status
        with Session(self._engine) as session:
            within = session.query(SessionModel).filter(SessionModel.created_at >= since)
            counts = {
                name: within.filter(status == name).count()
                for name in ("pending", "active", "completed", "failed", "timeout")
            }
            average = session.scalar(
                select(func.avg(SessionModel.duration_ms)).where(SessionModel.created_at >= since)
            )
            ended = within.filter(status.in_(("completed", "failed", "timeout"))).count()
            return SessionStatistics(
                total_sessions=within.count(),
                **counts,
                avg_duration_ms=None if average is None else float(average),
                success_rate=counts["completed"] / ended if ended else None,
                period_days=1.0,
            )

    def page(self, number: int, size: int, after: int) -> list[Any]:
        """A page of the logs; the design knew OFFSET only."""
        del after
        logs = select(LogModel).order_by(LogModel.id).offset((number - 1) * size).limit(size)
        with Session(self._engine) as session:
            return list(session.scalars(logs))

    def stream(self) -> Iterator[Any]:
        """Every entry; the design read them all at once."""
        return iter(self._open.query(LogModel).order_by(LogModel.id).all())
