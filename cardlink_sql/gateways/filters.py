"""Filters of ``find_by``, ``count_by`` and ``paginate`` of each gateway.

A filter's columns are those with a ``-- when:`` line in the query ``find_by``, and ``None`` asks
for NULL. An order is a column with an ``-- order:`` line. Tables that grow with the traffic are
filtered and ordered only by what an index serves. A test holds these types to the SQL files.
"""

from datetime import datetime
from typing import Literal, TypedDict

from cardlink_sql.model.choices import AnyCardType, AnyDeviceType, AnySessionStatus


class DeviceFilter(TypedDict, total=False):
    """The columns that devices are filtered by."""

    id: str
    device_type: AnyDeviceType
    name: str | None
    manufacturer: str | None
    model: str | None
    firmware_version: str | None
    imei: str | None
    imsi: str | None
    iccid: str | None
    last_seen: datetime | None
    is_active: bool
    created_at: datetime
    updated_at: datetime


DeviceOrder = Literal[
    "id", "device_type", "name", "manufacturer", "model", "firmware_version", "imei", "imsi",
    "iccid", "last_seen", "is_active", "created_at", "updated_at",
]  # fmt: skip


class CardFilter(TypedDict, total=False):
    """The columns that cards are filtered by."""

    iccid: str
    imsi: str | None
    card_type: AnyCardType
    atr: str | None
    psk_identity: str | None
    admin_url: str | None
    created_at: datetime
    updated_at: datetime


CardOrder = Literal[
    "iccid", "imsi", "card_type", "atr", "psk_identity", "admin_url", "created_at", "updated_at"
]


class SessionFilter(TypedDict, total=False):
    """The columns that sessions are filtered by, each with an index."""

    id: str
    device_id: str | None
    card_iccid: str | None
    status: AnySessionStatus
    created_at: datetime


SessionOrder = Literal["created_at"]


class LogFilter(TypedDict, total=False):
    """The columns that log entries are filtered by, each with an index."""

    id: int
    session_id: str


class LogFields(TypedDict, total=False):
    """Optional fields of an entry, next to its session, direction and APDU."""

    decoded_data: str | None
    status_word: str | None
    status_message: str | None
    latency_ms: float | None
    timestamp: datetime | None


LogOrder = Literal["id"]


class TestFilter(TypedDict, total=False):
    """The columns that test results are filtered by; ``find_by_filters`` serves the others."""

    id: str
    run_id: str
    started_at: datetime | None
    created_at: datetime


TestOrder = Literal["created_at"]


class SettingFilter(TypedDict, total=False):
    """The columns that settings are filtered by."""

    key: str
    description: str | None
    category: str
    created_at: datetime
    updated_at: datetime


SettingOrder = Literal["key", "description", "category", "created_at", "updated_at"]
