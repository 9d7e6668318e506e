"""The database layer of CardLink: hand-written SQL, small gateways, dataclasses.

Start with :class:`DatabaseManager` and :class:`UnitOfWork`.
"""

from importlib import import_module

TYPE_CHECKING = False  # as typing has it, whose import takes longer than the rest of this module
if TYPE_CHECKING:
    from typing import Any

    # isort: off - an import as itself exports the name, for mypy and editors
    from cardlink_sql.config import DatabaseConfig as DatabaseConfig
    from cardlink_sql.database.event_bus import (
        DatabaseEvent as DatabaseEvent,
    )
    from cardlink_sql.database.event_bus import (
        EventBus as EventBus,
    )
    from cardlink_sql.database.event_bus import (
        EventType as EventType,
    )
    from cardlink_sql.database.keyring import Keyring as Keyring
    from cardlink_sql.database.observation import (
        ObservedStatement as ObservedStatement,
    )
    from cardlink_sql.database.observation import (
        StatementBus as StatementBus,
    )
    from cardlink_sql.dialect import Dialect as Dialect
    from cardlink_sql.errors import (
        CommitInDoubtError as CommitInDoubtError,
    )
    from cardlink_sql.errors import (
        ConflictError as ConflictError,
    )
    from cardlink_sql.errors import (
        ConnectionError as ConnectionError,
    )
    from cardlink_sql.errors import (
        DatabaseError as DatabaseError,
    )
    from cardlink_sql.errors import (
        DriftError as DriftError,
    )
    from cardlink_sql.errors import (
        EncryptionError as EncryptionError,
    )
    from cardlink_sql.errors import (
        IntegrityError as IntegrityError,
    )
    from cardlink_sql.errors import (
        MigrationError as MigrationError,
    )
    from cardlink_sql.errors import (
        NotFoundError as NotFoundError,
    )
    from cardlink_sql.errors import (
        QueryError as QueryError,
    )
    from cardlink_sql.errors import (
        RecorderFullError as RecorderFullError,
    )
    from cardlink_sql.errors import (
        StateError as StateError,
    )
    from cardlink_sql.errors import (
        ValidationError as ValidationError,
    )
    from cardlink_sql.live.batch import RefusedItem as RefusedItem
    from cardlink_sql.live.key_store import KeyStore as KeyStore
    from cardlink_sql.live.recorder import (
        Recorder as Recorder,
    )
    from cardlink_sql.live.recorder import (
        RecorderFigures as RecorderFigures,
    )
    from cardlink_sql.manager import (
        DatabaseManager as DatabaseManager,
    )
    from cardlink_sql.manager import (
        Health as Health,
    )
    from cardlink_sql.model.declared_settings import (
        DeclaredSetting as DeclaredSetting,
    )
    from cardlink_sql.model.declared_settings import (
        declare_setting as declare_setting,
    )
    from cardlink_sql.model.records import (
        CardProfile as CardProfile,
    )
    from cardlink_sql.model.records import (
        CardType as CardType,
    )
    from cardlink_sql.model.records import (
        ChangeKind as ChangeKind,
    )
    from cardlink_sql.model.records import (
        CommLog as CommLog,
    )
    from cardlink_sql.model.records import (
        Device as Device,
    )
    from cardlink_sql.model.records import (
        DeviceType as DeviceType,
    )
    from cardlink_sql.model.records import (
        Direction as Direction,
    )
    from cardlink_sql.model.records import (
        FlakyTest as FlakyTest,
    )
    from cardlink_sql.model.records import (
        JUnitImport as JUnitImport,
    )
    from cardlink_sql.model.records import (
        KeysetPage as KeysetPage,
    )
    from cardlink_sql.model.records import (
        OTASession as OTASession,
    )
    from cardlink_sql.model.records import (
        Page as Page,
    )
    from cardlink_sql.model.records import (
        Position as Position,
    )
    from cardlink_sql.model.records import (
        RunComparison as RunComparison,
    )
    from cardlink_sql.model.records import (
        SessionStatistics as SessionStatistics,
    )
    from cardlink_sql.model.records import (
        SessionStatus as SessionStatus,
    )
    from cardlink_sql.model.records import (
        SessionSummary as SessionSummary,
    )
    from cardlink_sql.model.records import (
        SessionType as SessionType,
    )
    from cardlink_sql.model.records import (
        Setting as Setting,
    )
    from cardlink_sql.model.records import (
        SettingInForce as SettingInForce,
    )
    from cardlink_sql.model.records import (
        SettingsImport as SettingsImport,
    )
    from cardlink_sql.model.records import (
        SuiteSummary as SuiteSummary,
    )
    from cardlink_sql.model.records import (
        TestChange as TestChange,
    )
    from cardlink_sql.model.records import (
        TestResult as TestResult,
    )
    from cardlink_sql.model.records import (
        TestRun as TestRun,
    )
    from cardlink_sql.model.records import (
        TestRunSummary as TestRunSummary,
    )
    from cardlink_sql.model.records import (
        TestStatus as TestStatus,
    )
    from cardlink_sql.outbox.listener import Listener as Listener
    from cardlink_sql.unit_of_work import UnitOfWork as UnitOfWork
    # isort: on

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
