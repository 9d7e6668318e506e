"""The database layer of CardLink: hand-written SQL, small gateways, dataclasses.

Start with :class:`DatabaseManager` and :class:`UnitOfWork`.
"""

from importlib import import_module

TYPE_CHECKING = False  # as typing has it, whose import takes longer than the rest of this module
if TYPE_CHECKING:
    from typing import Any

    # An import as itself exports the name, for mypy and editors.
    from cardlink_sql.config import DatabaseConfig as DatabaseConfig
    from cardlink_sql.database.event_bus import (
        DatabaseEvent as DatabaseEvent,
        EventBus as EventBus,
        EventType as EventType,
    )
    from cardlink_sql.database.keyring import Keyring as Keyring
    from cardlink_sql.database.observation import (
        ObservedStatement as ObservedStatement,
        StatementBus as StatementBus,
    )
    from cardlink_sql.dialect import Dialect as Dialect
    from cardlink_sql.errors import (
        CommitInDoubtError as CommitInDoubtError,
        ConflictError as ConflictError,
        ConnectionError as ConnectionError,
        DatabaseError as DatabaseError,
        DriftError as DriftError,
        EncryptionError as EncryptionError,
        IntegrityError as IntegrityError,
        MigrationError as MigrationError,
        NotFoundError as NotFoundError,
        QueryError as QueryError,
        RecorderFullError as RecorderFullError,
        StateError as StateError,
        StorageFullError as StorageFullError,
        ValidationError as ValidationError,
    )
    from cardlink_sql.live.batch import RefusedItem as RefusedItem
    from cardlink_sql.live.key_store import KeyStore as KeyStore
    from cardlink_sql.live.recorder import (
        Recorder as Recorder,
        RecorderFigures as RecorderFigures,
    )
    from cardlink_sql.manager import (
        DatabaseManager as DatabaseManager,
        Health as Health,
    )
    from cardlink_sql.model.choices import (
        CardType as CardType,
        DeviceType as DeviceType,
        Direction as Direction,
        SessionStatus as SessionStatus,
        SessionType as SessionType,
        TestStatus as TestStatus,
    )
    from cardlink_sql.model.declared_settings import (
        DeclaredSetting as DeclaredSetting,
        declare_setting as declare_setting,
    )
    from cardlink_sql.model.records.card import CardProfile as CardProfile
    from cardlink_sql.model.records.device import Device as Device
    from cardlink_sql.model.records.log import CommLog as CommLog
    from cardlink_sql.model.records.page import (
        KeysetPage as KeysetPage,
        Page as Page,
        Position as Position,
    )
    from cardlink_sql.model.records.session import (
        OTASession as OTASession,
        SessionStatistics as SessionStatistics,
        SessionSummary as SessionSummary,
    )
    from cardlink_sql.model.records.setting import (
        Setting as Setting,
        SettingInForce as SettingInForce,
        SettingsImport as SettingsImport,
    )
    from cardlink_sql.model.records.test_result import (
        ChangeKind as ChangeKind,
        FlakyTest as FlakyTest,
        JUnitImport as JUnitImport,
        RunComparison as RunComparison,
        SuiteSummary as SuiteSummary,
        TestChange as TestChange,
        TestResult as TestResult,
        TestRun as TestRun,
        TestRunSummary as TestRunSummary,
    )
    from cardlink_sql.outbox.listener import Listener as Listener
    from cardlink_sql.unit_of_work import UnitOfWork as UnitOfWork

# The names by module. A module is imported when a name of it is first asked for (PEP 562): all of
# them take half a second, and cardlink-db starts with this package.
_MODULES = {
    "config": "DatabaseConfig",
    "database.event_bus": "DatabaseEvent EventBus EventType",
    "database.keyring": "Keyring",
    "database.observation": "ObservedStatement StatementBus",
    "dialect": "Dialect",
    "errors": (
        "CommitInDoubtError ConflictError ConnectionError DatabaseError DriftError "
        "EncryptionError IntegrityError MigrationError NotFoundError QueryError "
        "RecorderFullError StateError StorageFullError ValidationError"
    ),
    "live.batch": "RefusedItem",
    "live.key_store": "KeyStore",
    "live.recorder": "Recorder RecorderFigures",
    "manager": "DatabaseManager Health",
    "model.declared_settings": "DeclaredSetting declare_setting",
    "model.choices": "CardType DeviceType Direction SessionStatus SessionType TestStatus",
    "model.records.card": "CardProfile",
    "model.records.device": "Device",
    "model.records.log": "CommLog",
    "model.records.page": "KeysetPage Page Position",
    "model.records.session": "OTASession SessionStatistics SessionSummary",
    "model.records.setting": "Setting SettingInForce SettingsImport",
    "model.records.test_result": (
        "ChangeKind FlakyTest JUnitImport RunComparison SuiteSummary TestChange TestResult "
        "TestRun TestRunSummary"
    ),
    "outbox.listener": "Listener",
    "unit_of_work": "UnitOfWork",
}
_MODULE_OF = {name: module for module, names in _MODULES.items() for name in names.split()}
__all__ = sorted(_MODULE_OF)  # noqa: PLE0605 - the names for readers are imported above


def __getattr__(name: str) -> "Any":
    if name == "__version__":
        from importlib.metadata import version  # its import takes long, and few ask

        return version("cardlink-sql")
    module = _MODULE_OF.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{module}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
