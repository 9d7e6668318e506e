"""Devices: the phones and modems that carry the cards."""

from dataclasses import dataclass, field
from datetime import datetime

from cardlink_sql.model.choices import DeviceType
from cardlink_sql.model.json_value import JSONValue, Record
from cardlink_sql.model.times import utc_now


@dataclass(slots=True)
class Device(Record):
    """A phone or modem. ``id`` is its ADB serial or serial port."""

    id: str
    device_type: DeviceType
    name: str | None = None
    manufacturer: str | None = None
    model: str | None = None
    firmware_version: str | None = None
    imei: str | None = None
    imsi: str | None = None
    iccid: str | None = None
    connection_settings: JSONValue | None = None
    last_seen: datetime | None = None
    is_active: bool = True
    notes: str | None = None
    created_at: datetime = field(default_factory=utc_now)
    updated_at: datetime = field(default_factory=utc_now)
