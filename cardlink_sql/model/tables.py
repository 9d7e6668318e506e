"""The schema as SQLAlchemy Core tables.

The migrations create the schema; these tables describe it for the validation of rows and for
comparison (a test compares both on every backend).
Names of constraints and indexes follow one convention on all backends.
"""

import json
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    Double,
    ForeignKeyConstraint,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.engine import Dialect as SQLAlchemyDialect
from sqlalchemy.types import TypeDecorator, TypeEngine

from cardlink_sql.model import choices, times


class UTCDateTime(TypeDecorator[datetime]):
    """An aware UTC time with microseconds; SQLite stores it as text of fixed width."""

    impl = DateTime
    cache_ok = True

    def load_dialect_impl(self, dialect: SQLAlchemyDialect) -> TypeEngine[Any]:
        """Return the column type of each backend."""
        if dialect.name == "postgresql":
            return dialect.type_descriptor(DateTime(timezone=True))
        if dialect.name == "mysql":
            from sqlalchemy.dialects import mysql  # its import takes long

            return dialect.type_descriptor(mysql.DATETIME(fsp=6))
        return dialect.type_descriptor(String(32))

    def process_bind_param(self, value: datetime | None, dialect: SQLAlchemyDialect) -> Any:
        """Return an aware time as the driver takes it."""
        if value is None:
            return None
        if dialect.name == "sqlite":
            return times.to_text(value)
        moment = value.astimezone(UTC)
        return moment.replace(tzinfo=None) if dialect.name == "mysql" else moment

    def process_result_value(self, value: Any, dialect: SQLAlchemyDialect) -> datetime | None:
        """Return the driver's value as an aware time."""
        if isinstance(value, str):
            return times.from_text(value)
        if isinstance(value, datetime) and value.tzinfo is None:
            return value.replace(tzinfo=UTC)
        return value  # type: ignore[no-any-return]


class JSONDocument(TypeDecorator[Any]):
    """A JSON document; text on SQLite, whose JSON affinity would turn ``"1.0"`` into a number."""

    impl = JSON
    cache_ok = True

    def load_dialect_impl(self, dialect: SQLAlchemyDialect) -> TypeEngine[Any]:
        """Return the column type of each backend."""
        if dialect.name == "postgresql":
            from sqlalchemy.dialects import postgresql  # its import takes long

            return dialect.type_descriptor(postgresql.JSONB(none_as_null=True))
        if dialect.name == "sqlite":
            return dialect.type_descriptor(Text())
        return dialect.type_descriptor(JSON(none_as_null=True))

    def process_bind_param(self, value: Any, dialect: SQLAlchemyDialect) -> Any:
        """Return a document as the driver takes it."""
        if dialect.name == "sqlite" and value is not None:
            return json.dumps(value, ensure_ascii=False, allow_nan=False)
        return value

    def process_result_value(self, value: Any, dialect: SQLAlchemyDialect) -> Any:
        """Return the driver's value as a document."""
        return json.loads(value) if dialect.name == "sqlite" and value is not None else value


class MediumText(Text):
    """MySQL's MEDIUMTEXT, by the name that the dialect renders it by: its import takes long."""

    __visit_name__ = "MEDIUMTEXT"


# MySQL's TEXT ends at 65,535 bytes, less than one extended APDU (ISO 7816-4) in hex.
LongText: Final = Text().with_variant(MediumText(), "mysql")
# udev's by-path names of serial modems have 90 characters. SQLite checks no length, so its tables
# keep the first migration's: a change of it would rebuild them.
DeviceId: Final = String(255).with_variant(String(64), "sqlite")
EntityId: Final = String(255).with_variant(String(128), "sqlite")
RunId: Final = String(255).with_variant(String(36), "sqlite")
# SQLite numbers its rows itself only in a column of exactly this type.
RowNumber: Final = BigInteger().with_variant(Integer(), "sqlite")

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
    }
)


def _one_of(column: str, kind: type[StrEnum]) -> CheckConstraint:
    listed = ", ".join(f"'{choice}'" for choice in kind)
    return CheckConstraint(f"{column} IN ({listed})", name=column)


devices = Table(
    "devices",
    metadata,
    Column("id", DeviceId, nullable=False),
    Column("name", String(128)),
    Column("device_type", String(20), nullable=False),
    Column("manufacturer", String(64)),
    Column("model", String(64)),
    Column("firmware_version", String(64)),
    Column("imei", String(20)),
    Column("imsi", String(20)),
    Column("iccid", String(22)),
    Column("connection_settings", JSONDocument),
    Column("last_seen", UTCDateTime),
    Column("is_active", Boolean, nullable=False, server_default=text("TRUE")),
    Column("notes", LongText),
    Column("created_at", UTCDateTime, nullable=False),
    Column("updated_at", UTCDateTime, nullable=False),
    PrimaryKeyConstraint("id"),
    _one_of("device_type", choices.DeviceType),
    Index(None, "device_type"),
    Index(None, "iccid"),
    Index(None, "last_seen"),
)

card_profiles = Table(
    "card_profiles",
    metadata,
    Column("iccid", String(22), nullable=False),
    Column("imsi", String(20)),
    Column("card_type", String(20), nullable=False, server_default="UICC"),
    Column("atr", String(128)),
    Column("psk_identity", String(128)),
    Column("psk_key_encrypted", LargeBinary),
    Column("admin_url", String(255)),
    Column("trigger_config", JSONDocument),
    Column("bip_config", JSONDocument),
    Column("security_domains", JSONDocument),
    Column("notes", LongText),
    Column("created_at", UTCDateTime, nullable=False),
    Column("updated_at", UTCDateTime, nullable=False),
    PrimaryKeyConstraint("iccid"),
    _one_of("card_type", choices.CardType),
    UniqueConstraint("psk_identity"),
    Index(None, "card_type"),
)

ota_sessions = Table(
    "ota_sessions",
    metadata,
    Column("id", String(36), nullable=False),
    Column("device_id", DeviceId),
    Column("card_iccid", String(22)),
    Column("session_type", String(20)),
    Column("status", String(20), nullable=False, server_default="pending"),
    Column("started_at", UTCDateTime),
    Column("ended_at", UTCDateTime),
    Column("duration_ms", BigInteger),
    Column("tls_cipher_suite", String(64)),
    Column("tls_psk_identity", String(128)),
    Column("error_code", String(32)),
    Column("error_message", LongText),
    Column("created_at", UTCDateTime, nullable=False),
    Column("updated_at", UTCDateTime, nullable=False),
    Column("metadata", JSONDocument),
    PrimaryKeyConstraint("id"),
    ForeignKeyConstraint(["device_id"], ["devices.id"], ondelete="SET NULL"),
    ForeignKeyConstraint(["card_iccid"], ["card_profiles.iccid"], ondelete="SET NULL"),
    _one_of("session_type", choices.SessionType),
    _one_of("status", choices.SessionStatus),
    CheckConstraint("duration_ms >= 0", name="duration_ms"),
    # Newest first by device, card and status, without a sort.
    Index(None, "device_id", "created_at", "id"),
    Index(None, "card_iccid", "created_at", "id"),
    Index(None, "status", "created_at", "id"),
    # Keyset pages, and the statistics of a window of time, only from the index.
    Index(None, "created_at", "id", "status", "duration_ms"),
)

comm_logs = Table(
    "comm_logs",
    metadata,
    Column("id", RowNumber, Identity(), nullable=False),
    Column("session_id", String(36), nullable=False),
    Column("timestamp", UTCDateTime, nullable=False),
    Column("latency_ms", Double),
    Column("direction", String(20), nullable=False),
    Column("raw_data", LongText, nullable=False),
    Column("decoded_data", LongText),
    Column("status_word", String(4)),
    Column("status_message", String(128)),
    PrimaryKeyConstraint("id"),
    ForeignKeyConstraint(["session_id"], ["ota_sessions.id"], ondelete="CASCADE"),
    _one_of("direction", choices.Direction),
    # A session's log in the order of writing. Every further B-tree would slow the writing of APDUs
    # by a third or more; only PostgreSQL's BRIN, a range of times for each 128 pages, is nearly
    # free.
    Index(None, "session_id", "id"),
    Index(None, "timestamp", info={"method": "brin"}),  # postgresql_using= would load its dialect
    sqlite_autoincrement=True,
)

test_results = Table(
    "test_results",
    metadata,
    Column("id", String(36), nullable=False),
    Column("run_id", RunId, nullable=False),
    Column("suite_name", String(128), nullable=False),
    Column("test_name", String(256), nullable=False),
    Column("device_id", DeviceId),
    Column("card_iccid", String(22)),
    Column("started_at", UTCDateTime),
    Column("ended_at", UTCDateTime),
    Column("duration_ms", BigInteger),
    Column("status", String(20), nullable=False),
    Column("error_message", LongText),
    Column("assertions", JSONDocument),
    Column("metadata", JSONDocument),
    Column("created_at", UTCDateTime, nullable=False),
    Column("updated_at", UTCDateTime, nullable=False),
    Column("tries", Integer, nullable=False, server_default=text("1")),
    PrimaryKeyConstraint("id"),
    ForeignKeyConstraint(["device_id"], ["devices.id"], ondelete="SET NULL"),
    ForeignKeyConstraint(["card_iccid"], ["card_profiles.iccid"], ondelete="SET NULL"),
    _one_of("status", choices.TestStatus),
    CheckConstraint("duration_ms >= 0", name="duration_ms"),
    # The runs with their starts, only from the index.
    Index(None, "run_id", "started_at"),
    # The history of a test.
    Index(None, "suite_name", "test_name", "started_at"),
    # Newest first by suite, status, device, card and of all, without a sort.
    Index(None, "suite_name", "started_at", "created_at"),
    Index(None, "status", "started_at", "created_at"),
    Index(None, "device_id", "started_at", "created_at"),
    Index(None, "card_iccid", "started_at", "created_at"),
    Index(None, "started_at", "created_at", "id"),
    # Keyset pages since a time.
    Index(None, "created_at", "id"),
)

settings = Table(
    "settings",
    metadata,
    Column("key", String(128), nullable=False),
    Column("value", JSONDocument),
    Column("description", String(256)),
    Column("category", String(64), nullable=False, server_default="general"),
    Column("created_at", UTCDateTime, nullable=False),
    Column("updated_at", UTCDateTime, nullable=False),
    PrimaryKeyConstraint("key"),
    Index(None, "category"),
)

# The next two tables carry events between processes and hold no CardLink data.
event_counter = Table(
    "event_counter",
    metadata,
    Column("id", Integer, nullable=False, autoincrement=False),
    Column("last_id", BigInteger, nullable=False),
    Column("publishes", Boolean, nullable=False, server_default=text("FALSE")),
    PrimaryKeyConstraint("id"),
    CheckConstraint("id = 1", name="id"),
)

event_outbox = Table(
    "event_outbox",
    metadata,
    Column("id", RowNumber, nullable=False, autoincrement=False),
    Column("origin", String(36), nullable=False),
    Column("event_type", String(32), nullable=False),
    Column("entity_type", String(32), nullable=False),
    Column("entity_id", EntityId),
    Column("action", String(32), nullable=False),
    Column("occurred_at", UTCDateTime, nullable=False),
    Column("data", LongText, nullable=False),
    PrimaryKeyConstraint("id"),
)

# Tables that grow with the traffic. cardlink-db schema lint and cardlink-db sql check report
# statements that read or lock one of them as a whole.
GROWING: Final = frozenset({"ota_sessions", "comm_logs", "test_results", "event_outbox"})


def unique_constraints(table: Table) -> list[UniqueConstraint]:
    """Return the unique constraints of a table."""
    return [one for one in table.constraints if isinstance(one, UniqueConstraint)]
