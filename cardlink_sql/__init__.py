"""The database layer of CardLink: hand-written SQL, small gateways, dataclasses.

Start with :class:`DatabaseManager` and :class:`UnitOfWork`.
"""

from importlib import import_module

TYPE_CHECKING = False  # as typing has it, whose import takes longer than the rest of this module
if TYPE_CHECKING:
    from typing import Any, Final

    from cardlink_sql.config import DatabaseConfig
    from cardlink_sql.database.event_bus import DatabaseEvent, EventBus, EventType
    from cardlink_sql.database.keyring import Keyring
    from cardlink_sql.database.observation import ObservedStatement, StatementBus
    from cardlink_sql.dialect import Dialect
    from cardlink_sql.errors import (
        CommitInDoubtError,
        ConflictError,
        ConnectionError,
        DatabaseError,
        DriftError,
        EncryptionError,
        IntegrityError,
        MigrationError,
        NotFoundError,
        QueryError,
        RecorderFullError,
        StateError,
        ValidationError,
    )
    from cardlink_sql.live.batch import RefusedItem
    from cardlink_sql.live.key_store import KeyStore
    from cardlink_sql.live.recorder import Recorder, RecorderFigures
    from cardlink_sql.manager import DatabaseManager, Health
    from cardlink_sql.model.records import (
        CardProfile,
        CardType,
        ChangeKind,
        CommLog,
        Device,
        DeviceType,
        Direction,
        FlakyTest,
        JUnitImport,
        KeysetPage,
        OTASession,
        Page,
        Position,
        RunComparison,
        SessionStatistics,
        SessionStatus,
        SessionSummary,
        SessionType,
        Setting,
        SettingInForce,
        SettingsImport,
        SuiteSummary,
        TestChange,
        TestResult,
        TestRun,
        TestRunSummary,
        TestStatus,
    )
    from cardlink_sql.outbox.listener import Listener
    from cardlink_sql.unit_of_work import UnitOfWork

__all__ = [
    "CardProfile",
    "CardType",
    "ChangeKind",
    "CommLog",
    "CommitInDoubtError",
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
    "FlakyTest",
    "Health",
    "IntegrityError",
    "JUnitImport",
    "KeyStore",
    "Keyring",
    "KeysetPage",
    "Listener",
    "MigrationError",
    "NotFoundError",
    "OTASession",
    "ObservedStatement",
    "Page",
    "Position",
    "QueryError",
    "Recorder",
    "RecorderFigures",
    "RecorderFullError",
    "RefusedItem",
    "RunComparison",
    "SessionStatistics",
    "SessionStatus",
    "SessionSummary",
    "SessionType",
    "Setting",
    "SettingInForce",
    "SettingsImport",
    "StateError",
    "StatementBus",
    "SuiteSummary",
    "TestChange",
    "TestResult",
    "TestRun",
    "TestRunSummary",
    "TestStatus",
    "UnitOfWork",
    "ValidationError",
]

# Where each name is. A module is imported when a name of it is first asked for (PEP 562): all of
# them take half a second, and cardlink-db starts with this package.
_MODULES: "Final" = {
    "CardProfile": "model.records",
    "CardType": "model.records",
    "ChangeKind": "model.records",
    "CommLog": "model.records",
    "CommitInDoubtError": "errors",
    "ConflictError": "errors",
    "ConnectionError": "errors",
    "DatabaseConfig": "config",
    "DatabaseError": "errors",
    "DatabaseEvent": "database.event_bus",
    "DatabaseManager": "manager",
    "Device": "model.records",
    "DeviceType": "model.records",
    "Dialect": "dialect",
    "Direction": "model.records",
    "DriftError": "errors",
    "EncryptionError": "errors",
    "EventBus": "database.event_bus",
    "EventType": "database.event_bus",
    "FlakyTest": "model.records",
    "Health": "manager",
    "IntegrityError": "errors",
    "JUnitImport": "model.records",
    "KeyStore": "live.key_store",
    "Keyring": "database.keyring",
    "KeysetPage": "model.records",
    "Listener": "outbox.listener",
    "MigrationError": "errors",
    "NotFoundError": "errors",
    "OTASession": "model.records",
    "ObservedStatement": "database.observation",
    "Page": "model.records",
    "Position": "model.records",
    "QueryError": "errors",
    "Recorder": "live.recorder",
    "RecorderFigures": "live.recorder",
    "RecorderFullError": "errors",
    "RefusedItem": "live.batch",
    "RunComparison": "model.records",
    "SessionStatistics": "model.records",
    "SessionStatus": "model.records",
    "SessionSummary": "model.records",
    "SessionType": "model.records",
    "Setting": "model.records",
    "SettingInForce": "model.records",
    "SettingsImport": "model.records",
    "StateError": "errors",
    "StatementBus": "database.observation",
    "SuiteSummary": "model.records",
    "TestChange": "model.records",
    "TestResult": "model.records",
    "TestRun": "model.records",
    "TestRunSummary": "model.records",
    "TestStatus": "model.records",
    "UnitOfWork": "unit_of_work",
    "ValidationError": "errors",
}


def __getattr__(name: str) -> "Any":
    module = _MODULES.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{module}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
