"""Phones and modems."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from cardlink_sql import Device, DeviceType, UnitOfWork, ValidationError
from tests.conftest import MOMENT, card, device, entry, iccid, session_id

IMEI = "490154203237518"


def ids(devices: list[Device]) -> list[int]:
    """The numbers that the devices were created with."""
    return [int(found.id[-4:]) for found in devices]


def test_a_device_keeps_all_its_fields(uow: UnitOfWork) -> None:
    by_path = "/dev/serial/by-path/pci-0000:00:14.0-usb-0:1.2.3.4:1.0-port0-" + "x" * 180
    full = Device(
        id=by_path,
        device_type=DeviceType.MODEM,
        name="Bench modem",
        manufacturer="Quectel",
        model="EC25",
        firmware_version="EC25EFAR06A01M4G",
        imei=IMEI,
        imsi="262011234567890",
        iccid=iccid(),
        connection_settings={"baud": 115200, "port": "/dev/ttyUSB0"},
        last_seen=MOMENT,
        is_active=False,
        notes="left shelf",
        created_at=MOMENT,
        updated_at=MOMENT,
    )

    assert uow.devices.create(full) == full
    assert uow.devices.get_by_id(by_path) == full
    assert uow.sessions.create_session(by_path).device_id == by_path


def test_devices_are_found_by_type(uow: UnitOfWork) -> None:
    uow.devices.create_all([device(1), device(2, device_type=DeviceType.MODEM), device(3)])

    assert ids(uow.devices.find_by_type("phone")) == [1, 3]
    assert ids(uow.devices.find_by_type(DeviceType.MODEM)) == [2]
    assert uow.devices.find_phones() == uow.devices.find_by_type("phone")
    assert uow.devices.find_modems() == uow.devices.find_by_type("modem")


def test_a_device_is_put_in_and_out_of_use(uow: UnitOfWork) -> None:
    uow.devices.create_all([device(1), device(2), device(3, created_at=MOMENT, updated_at=MOMENT)])

    assert uow.devices.deactivate("device-0003").is_active is False
    assert ids(uow.devices.find_active()) == [1, 2]
    changed = uow.devices.activate("device-0003")
    assert ids(uow.devices.find_active()) == [1, 2, 3]
    assert changed.is_active is True
    assert changed.created_at == MOMENT < changed.updated_at


def test_recent_devices_are_those_seen_within_hours_latest_first(uow: UnitOfWork) -> None:
    now = datetime.now(UTC)
    seen = {1: 30, 2: 1, 3: 5, 4: 100}
    uow.devices.create_all(
        [device(n, last_seen=now - timedelta(hours=hours)) for n, hours in seen.items()]
    )
    uow.devices.create(device(5, last_seen=None))

    assert ids(uow.devices.find_recent()) == [2, 3]
    assert ids(uow.devices.find_recent(hours=48)) == [2, 3, 1]
    assert ids(uow.devices.find_recent(hours=0.5)) == []


def test_a_device_is_found_by_its_card_or_imei_the_one_seen_last(uow: UnitOfWork) -> None:
    same: dict[str, Any] = {"iccid": iccid(), "imei": IMEI}
    later = MOMENT + timedelta(microseconds=1)
    uow.devices.create_all(
        [
            device(1, **same, last_seen=MOMENT),
            device(2, **same, last_seen=later),
            device(3, **same, last_seen=None),
            device(4, iccid=iccid(2), last_seen=MOMENT + timedelta(days=1)),
        ]
    )

    for found in (uow.devices.find_by_iccid(iccid()), uow.devices.find_by_imei(IMEI)):
        assert found is not None
        assert ids([found]) == [2]
    assert uow.devices.find_by_iccid(iccid(9)) is None
    assert uow.devices.find_by_imei("000000000000000") is None


def test_devices_of_a_card_hold_it_or_ran_a_session_with_it(uow: UnitOfWork) -> None:
    uow.cards.create(card())
    uow.devices.create_all([device(1, iccid=iccid()), device(2), device(3)])
    uow.sessions.create_session(device_id="device-0003", card_iccid=iccid())
    uow.sessions.create_session(device_id="device-0003", card_iccid=iccid())
    uow.sessions.create_session(device_id="device-0002")

    assert ids(uow.devices.find_by_card(iccid())) == [1, 3]


def test_last_seen_is_now_or_the_time_given_and_never_moves_back(uow: UnitOfWork) -> None:
    uow.devices.create(device())
    before = datetime.now(UTC)

    given = uow.devices.update_last_seen("device-0001", MOMENT)
    earlier = uow.devices.update_last_seen("device-0001", MOMENT - timedelta(microseconds=1))
    now = uow.devices.update_last_seen("device-0001")

    assert given.last_seen == earlier.last_seen == MOMENT
    assert before <= now.last_seen <= datetime.now(UTC)


def test_search_looks_into_id_name_and_model_in_any_case(uow: UnitOfWork) -> None:
    uow.devices.create_all(
        [
            device(1, id="PIXEL-0001"),
            device(2, name="my Pixel"),
            device(3, model="pixel 8"),
            device(4, notes="pixel", manufacturer="pixel"),
        ]
    )
    names = [("ÄÖÜ", "äöü"), ("straße", "STRAßE"), ("ДЕВАЙС", "девайс"), ("É", "é")]
    uow.devices.create_all(device(n, name=f"x {name} y") for n, (name, _) in enumerate(names, 5))

    assert ids(uow.devices.search("pIxEl")) == [1, 2, 3]
    assert [ids(uow.devices.search(sought)) for _, sought in names] == [[5], [6], [7], [8]]


def test_search_takes_every_sign_as_itself(uow: UnitOfWork) -> None:
    signs = ["%", "_", "!", "\\", "'", '"', "*", "?", "[a]", ":x", "%s", "^"]
    uow.devices.create_all(device(n, name=f"a{sign}b") for n, sign in enumerate(signs))
    uow.devices.create(device(99, name="axb"))

    for number, sign in enumerate(signs):
        assert number in ids(uow.devices.search(sign))
        assert ids(uow.devices.search(f"a{sign}b")) == [number]
    for refused in ("", "x" * 257):
        with pytest.raises(ValidationError):
            uow.devices.search(refused)


def test_a_device_may_go_with_its_sessions_and_their_logs(uow: UnitOfWork) -> None:
    uow.devices.create_all([device(1), device(2)])
    uow.sessions.create_session(session_id=session_id(1), device_id="device-0001")
    uow.sessions.create_session(session_id=session_id(2), device_id="device-0002")
    uow.logs.add_log_batch([entry(session_id(1)), entry(session_id(2))])

    assert uow.devices.delete_with_sessions("device-0001") is True
    assert uow.devices.delete_with_sessions("nobody") is False

    assert ids(uow.devices.get_all()) == [2]
    assert [s.id for s in uow.sessions.get_all()] == [session_id(2)]
    assert [log.session_id for log in uow.logs.get_all()] == [session_id(2)]
