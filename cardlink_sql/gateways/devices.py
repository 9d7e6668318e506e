"""Phones and modems: ``sql/*/devices.sql``."""

from datetime import datetime, timedelta
from typing import Unpack

from cardlink_sql.database.event_bus import EventType
from cardlink_sql.gateways.base import Gateway
from cardlink_sql.gateways.filters import DeviceFilter, DeviceOrder
from cardlink_sql.gateways.search import like_pattern
from cardlink_sql.model import validation
from cardlink_sql.model.choices import AnyDeviceType, DeviceType
from cardlink_sql.model.records.device import Device
from cardlink_sql.model.records.page import Page
from cardlink_sql.model.tables import devices
from cardlink_sql.model.times import utc_now


class DeviceGateway(Gateway[Device, str]):
    """The devices, ordered by id where nothing else is said."""

    __slots__ = ()
    name = "devices"
    table = devices
    record = Device
    event = EventType.DEVICE_CHANGED
    entity = "device"
    key = "id"
    default_order = "id"

    def find_by(self, **filters: Unpack[DeviceFilter]) -> list[Device]:
        """Return the devices whose columns equal the values given; ``None`` asks for NULL."""
        return self._find_by(filters)

    def find_one_by(self, **filters: Unpack[DeviceFilter]) -> Device | None:
        """Return the first device that :meth:`find_by` would return, or ``None``."""
        return self._find_one_by(filters)

    def count_by(self, **filters: Unpack[DeviceFilter]) -> int:
        """Count the devices that :meth:`find_by` would return, in the database."""
        return self._count_by(filters)

    def paginate(
        self,
        page: int = 1,
        per_page: int = 20,
        order_by: DeviceOrder | None = None,
        descending: bool = False,  # noqa: FBT001, FBT002
        **filters: Unpack[DeviceFilter],
    ) -> Page[Device]:
        """Return a page of the devices. The queries are ``find_by`` and ``count_by``."""
        return self._paginate(page, per_page, order_by, descending, filters)

    def find_by_type(self, device_type: AnyDeviceType) -> list[Device]:
        """Return the devices of one type."""
        return self._many("find_by_type", {"device_type": self._bind["device_type"](device_type)})

    def find_phones(self) -> list[Device]:
        """Return all phones. The query is ``find_by_type``."""
        return self.find_by_type(DeviceType.PHONE)

    def find_modems(self) -> list[Device]:
        """Return all modems. The query is ``find_by_type``."""
        return self.find_by_type(DeviceType.MODEM)

    def find_active(self) -> list[Device]:
        """Return the devices that are in use. The query is ``find_by``."""
        return self.find_by(is_active=True)

    def find_recent(self, hours: float = 24) -> list[Device]:
        """Return the devices seen within the last ``hours``, latest first."""
        since = utc_now() - timedelta(hours=validation.hours(hours))
        return self._many("find_recent", {"since": self._time(since)})

    def find_by_iccid(self, iccid: str) -> Device | None:
        """Return the device that holds the card now: the one seen last, if several report it."""
        return self._one("find_by_iccid", {"iccid": self._given("iccid", iccid)})

    def find_by_imei(self, imei: str) -> Device | None:
        """Return the device with this IMEI: the one seen last, if several claim it."""
        return self._one("find_by_imei", {"imei": self._given("imei", imei)})

    def find_by_card(self, iccid: str) -> list[Device]:
        """Return the devices that hold the card or have run a session with it."""
        return self._many("find_by_card", {"iccid": self._given("iccid", iccid)})

    def search(self, text: str) -> list[Device]:
        """Return the devices whose id, name or model contains ``text``, in any case.

        ``%`` and ``_`` have no special meaning.
        """
        parameters = {"pattern": like_pattern(text), "limit": validation.limit(None)}
        return self._many("search", parameters)

    def find_matching(
        self,
        *,
        text: str | None = None,
        device_type: AnyDeviceType | None = None,
        is_active: bool | None = None,
        limit: int | None = None,
    ) -> list[Device]:
        """Return the devices that match every filter, by id. The query is ``search``.

        ``text`` is as :meth:`search` takes it.
        """
        parameters = self._bound(device_type=device_type, is_active=is_active)
        if text is not None:
            parameters["pattern"] = like_pattern(text)
        parameters["limit"] = validation.limit(limit)
        return self._many("search", parameters)

    def update_last_seen(self, device_id: str, at: datetime | None = None) -> Device:
        """Note that the device was seen, now or ``at``, or raise ``NotFoundError``.

        It never moves the time back.
        """
        values = {**self._stamp(device_id), "last_seen": self._time(at)}
        return self._change("update_last_seen", device_id, values, "seen")

    def activate(self, device_id: str) -> Device:
        """Put the device in use, or raise ``NotFoundError``. The query is ``set_active``."""
        values = {**self._stamp(device_id), "is_active": True}
        return self._change("set_active", device_id, values, "activated")

    def deactivate(self, device_id: str) -> Device:
        """Take the device out of use, or raise ``NotFoundError``. The query is ``set_active``."""
        values = {**self._stamp(device_id), "is_active": False}
        return self._change("set_active", device_id, values, "deactivated")

    def delete_with_sessions(self, device_id: str) -> bool:
        """Delete a device, its sessions and their logs; whether it was there.

        The query before is ``delete_sessions``. ``delete`` and ``delete_by_id`` keep the sessions,
        without their device.
        """
        key = self._key(device_id)
        gone = self._execute("delete_sessions", {"device_id": key})
        if gone:
            scope = {"count": gone, "device_id": key}
            self._transaction.note(EventType.SESSION_CHANGED, "session", None, "deleted", **scope)
        return self.delete_by_id(key)
