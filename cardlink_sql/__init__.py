"""The database layer of CardLink: hand-written SQL, small gateways, dataclasses.

Start with :class:`DatabaseManager` and :class:`UnitOfWork`.
"""

from cardlink_sql.config import DatabaseConfig
from cardlink_sql.dialect import Dialect
from cardlink_sql.errors import (
    ConflictError,
    ConnectionError,
    DatabaseError,
    DriftError,
    EncryptionError,
    IntegrityError,
    MigrationError,
    NotFoundError,
    QueryError,
    StateError,
    ValidationError,
)
from cardlink_sql.events import DatabaseEvent, EventBus, EventType
from cardlink_sql.keyring import Keyring
from cardlink_sql.manager import DatabaseManager, Health
from cardlink_sql.records import (
    CardProfile,
    CardType,
    CommLog,
    Device,
    DeviceType,
    Direction,
    KeysetPage,
    OTASession,
    Page,
    SessionStatistics,
    SessionStatus,
    SessionSummary,
    SessionType,
    Setting,
    SettingInForce,
    TestResult,
    TestStatus,
)
from cardlink_sql.unit_of_work import UnitOfWork

__all__ = [
    "CardProfile",
    "CardType",
    "CommLog",
    "ConflictError",
    "ConnectionError",
    "DatabaseConfig",
    "DatabaseError",
    "DatabaseEvent",
    "DatabaseManager",
    "Device",
    "DeviceType",
    "Dialect",
    "Direction",
    "DriftError",
    "EncryptionError",
    "EventBus",
    "EventType",
    "Health",
    "IntegrityError",
    "Keyring",
    "KeysetPage",
    "MigrationError",
    "NotFoundError",
    "OTASession",
    "Page",
    "QueryError",
    "SessionStatistics",
    "SessionStatus",
    "SessionSummary",
    "SessionType",
    "Setting",
    "SettingInForce",
    "StateError",
    "TestResult",
    "TestStatus",
    "UnitOfWork",
    "ValidationError",
]
