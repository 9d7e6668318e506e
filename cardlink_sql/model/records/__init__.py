"""Parameters and results of the gateways: plain dataclasses and the enumerations that they use.

A record does not depend on the database. Times are aware and UTC; durations and latencies are
milliseconds; binary data of the card (ATR, APDU) is upper-case hex text.
"""

from cardlink_sql.model.json_value import JSONValue
from cardlink_sql.model.records.card import AnyCardType, CardProfile, CardType, PskToken
from cardlink_sql.model.records.device import AnyDeviceType, Device, DeviceType
from cardlink_sql.model.records.log import AnyDirection, CommLog, Direction
from cardlink_sql.model.records.page import KeysetPage, Page, Position
from cardlink_sql.model.records.server import CountedStatement, TableSize
from cardlink_sql.model.records.session import (
    AnySessionStatus,
    AnySessionType,
    CardCount,
    ExchangeCount,
    OTASession,
    SessionDay,
    SessionStatistics,
    SessionStatus,
    SessionSummary,
    SessionType,
    SlowExchange,
)
from cardlink_sql.model.records.setting import Setting, SettingInForce, SettingsImport
from cardlink_sql.model.records.test_result import (
    AnyTestStatus,
    ChangeKind,
    FlakyTest,
    JUnitImport,
    RunComparison,
    SuiteSummary,
    TestChange,
    TestResult,
    TestRun,
    TestRunSummary,
    TestStatus,
)

__all__ = [
    "AnyCardType",
    "AnyDeviceType",
    "AnyDirection",
    "AnySessionStatus",
    "AnySessionType",
    "AnyTestStatus",
    "CardCount",
    "CardProfile",
    "CardType",
    "ChangeKind",
    "CommLog",
    "CountedStatement",
    "Device",
    "DeviceType",
    "Direction",
    "ExchangeCount",
    "FlakyTest",
    "JSONValue",
    "JUnitImport",
    "KeysetPage",
    "OTASession",
    "Page",
    "Position",
    "PskToken",
    "RunComparison",
    "SessionDay",
    "SessionStatistics",
    "SessionStatus",
    "SessionSummary",
    "SessionType",
    "Setting",
    "SettingInForce",
    "SettingsImport",
    "SlowExchange",
    "SuiteSummary",
    "TableSize",
    "TestChange",
    "TestResult",
    "TestRun",
    "TestRunSummary",
    "TestStatus",
]
