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
    from cardlink_sql.model.declared_settings import (
        DeclaredSetting as DeclaredSetting,
        declare_setting as declare_setting,
    )
    from cardlink_sql.model.records import (
        CardProfile as CardProfile,
        CardType as CardType,
        ChangeKind as ChangeKind,
        CommLog as CommLog,
        Device as Device,
        DeviceType as DeviceType,
        Direction as Direction,
        FlakyTest as FlakyTest,
        JUnitImport as JUnitImport,
        KeysetPage as KeysetPage,
        OTASession as OTASession,
        Page as Page,
        Position as Position,
        RunComparison as RunComparison,
        SessionStatistics as SessionStatistics,
        SessionStatus as SessionStatus,
        SessionSummary as SessionSummary,
        SessionType as SessionType,
        Setting as Setting,
        SettingInForce as SettingInForce,
        SettingsImport as SettingsImport,
        SuiteSummary as SuiteSummary,
        TestChange as TestChange,
        TestResult as TestResult,
        TestRun as TestRun,
        TestRunSummary as TestRunSummary,
        TestStatus as TestStatus,
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
        "RecorderFullError StateError ValidationError"
    ),
    "live.batch": "RefusedItem",
    "live.key_store": "KeyStore",
    "live.recorder": "Recorder RecorderFigures",
    "manager": "DatabaseManager Health",
    "model.declared_settings": "DeclaredSetting declare_setting",
    "model.records": (
        "CardProfile CardType ChangeKind CommLog Device DeviceType Direction FlakyTest "
        "JUnitImport KeysetPage OTASession Page Position RunComparison SessionStatistics "
        "SessionStatus SessionSummary SessionType Setting SettingInForce SettingsImport "
        "SuiteSummary TestChange TestResult TestRun TestRunSummary TestStatus"
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
