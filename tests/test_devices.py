"""Phones and modems."""

from datetime import UTC, datetime, timedelta

import pytest

from cardlink_sql import Device, DeviceType, NotFoundError, UnitOfWork, ValidationError
from tests.conftest import MOMENT, card, device, entry, iccid, session_id

IMEI = "490154203237518"


def ids(devices: list[Device]) -> list[int]:
    """The numbers that the devices were created with."""
    return [int(found.id[-4:]) for found in devices]


def test_a_device_keeps_all_its_fields(uow: UnitOfWork) -> None:
    full = Device(
        id="/dev/ttyUSB0",
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
    assert uow.devices.get_by_id("/dev/ttyUSB0") == full


def test_a_device_may_name_a_card_that_has_no_profile_yet(uow: UnitOfWork) -> None:
    assert uow.devices.create(device(iccid=iccid(7))).iccid == iccid(7)


def test_devices_are_found_by_type(uow: UnitOfWork) -> None:
    uow.devices.create_all([device(1), device(2, device_type=DeviceType.MODEM), device(3)])

    assert ids(uow.devices.find_by_type("phone")) == [1, 3]
    assert ids(uow.devices.find_by_type(DeviceType.MODEM)) == [2]
    assert uow.devices.find_phones() == uow.devices.find_by_type("phone")
    assert uow.devices.find_modems() == uow.devices.find_by_type("modem")


def test_active_devices_are_those_in_use(uow: UnitOfWork) -> None:
    uow.devices.create_all([device(1), device(2, is_active=False), device(3)])

    assert ids(uow.devices.find_active()) == [1, 3]


def test_a_device_is_put_in_and_out_of_use(uow: UnitOfWork) -> None:
    uow.devices.create(device())

    assert uow.devices.deactivate("device-0001").is_active is False
    assert uow.devices.find_active() == []
    assert uow.devices.activate("device-0001").is_active is True
    assert ids(uow.devices.find_active()) == [1]


def test_to_put_a_device_in_use_is_an_update(uow: UnitOfWork) -> None:
    uow.devices.create(device(created_at=MOMENT, updated_at=MOMENT))

    changed = uow.devices.activate("device-0001")

    assert changed.created_at == MOMENT
    assert changed.updated_at > MOMENT


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


def test_a_device_is_found_by_its_card_the_one_seen_last(uow: UnitOfWork) -> None:
    uow.devices.create_all(
        [
            device(1, iccid=iccid(), last_seen=MOMENT),
            device(2, iccid=iccid(), last_seen=MOMENT + timedelta(microseconds=1)),
            device(3, iccid=iccid(), last_seen=None),
            device(4, iccid=iccid(2), last_seen=MOMENT + timedelta(days=1)),
        ]
    )

    found = uow.devices.find_by_iccid(iccid())

    assert found is not None
    assert ids([found]) == [2]
    assert uow.devices.find_by_iccid(iccid(9)) is None


def test_a_device_is_found_by_its_imei_the_one_seen_last(uow: UnitOfWork) -> None:
    uow.devices.create_all(
        [device(1, imei=IMEI), device(2, imei=IMEI, last_seen=MOMENT), device(3)]
    )

    found = uow.devices.find_by_imei(IMEI)

    assert found is not None
    assert ids([found]) == [2]
    assert uow.devices.find_by_imei("000000000000000") is None


def test_devices_of_a_card_hold_it_or_ran_a_session_with_it(uow: UnitOfWork) -> None:
    uow.cards.create(card())
    uow.devices.create_all([device(1, iccid=iccid()), device(2), device(3)])
    uow.sessions.create_session(device_id="device-0003", card_iccid=iccid())
    uow.sessions.create_session(device_id="device-0003", card_iccid=iccid())
    uow.sessions.create_session(device_id="device-0002")

    assert ids(uow.devices.find_by_card(iccid())) == [1, 3]


def test_last_seen_is_now_or_the_time_given(uow: UnitOfWork) -> None:
    uow.devices.create(device())
    before = datetime.now(UTC)

    given = uow.devices.update_last_seen("device-0001", MOMENT)
    now = uow.devices.update_last_seen("device-0001")

    assert given.last_seen == MOMENT
    assert now.last_seen is not None
    assert before <= now.last_seen <= datetime.now(UTC)


def test_last_seen_never_moves_back(uow: UnitOfWork) -> None:
    uow.devices.create(device(last_seen=MOMENT))

    late = uow.devices.update_last_seen("device-0001", MOMENT - timedelta(microseconds=1))

    assert late.last_seen == MOMENT


def test_a_device_that_is_not_there_is_an_error(uow: UnitOfWork) -> None:
    for method in ["update_last_seen", "activate", "deactivate"]:
        with pytest.raises(NotFoundError, match="nobody"):
            getattr(uow.devices, method)("nobody")


# Search


def test_search_looks_into_id_name_and_model_in_any_case(uow: UnitOfWork) -> None:
    uow.devices.create_all(
        [
            device(1, id="PIXEL-0001"),
            device(2, name="my Pixel"),
            device(3, model="pixel 8"),
            device(4, notes="pixel", manufacturer="pixel"),
        ]
    )

    assert ids(uow.devices.search("pIxEl")) == [1, 2, 3]


@pytest.mark.parametrize(
    ("stored", "sought"), [("ÄÖÜ", "äöü"), ("straße", "STRAßE"), ("ДЕВАЙС", "девайс"), ("É", "é")]
)
def test_search_knows_the_case_of_more_than_ascii(
    uow: UnitOfWork, stored: str, sought: str
) -> None:
    uow.devices.create(device(name=f"x {stored} y"))

    assert ids(uow.devices.search(sought)) == [1]


@pytest.mark.parametrize("sign", ["%", "_", "!", "\\", "'", '"', "*", "?", "[a]", ":x", "%s", "^"])
def test_search_takes_every_sign_as_itself(uow: UnitOfWork, sign: str) -> None:
    uow.devices.create_all([device(1, name=f"a{sign}b"), device(2, name="axb"), device(3)])

    assert ids(uow.devices.search(f"a{sign}b")) == [1]
    assert ids(uow.devices.search(sign)) == [1]


def test_a_search_for_nothing_is_refused(uow: UnitOfWork) -> None:
    for text in ["", "x" * 257, "a\0", None, 5]:
        with pytest.raises(ValidationError):
            uow.devices.search(text)


# Deleting


def test_a_device_leaves_its_sessions_without_it(uow: UnitOfWork) -> None:
    uow.devices.create(device())
    session = uow.sessions.create_session(device_id="device-0001")

    assert uow.devices.delete_by_id("device-0001") is True

    left = uow.sessions.get_by_id(session.id)
    assert left is not None
    assert left.device_id is None


def test_a_device_may_go_with_its_sessions_and_their_logs(uow: UnitOfWork) -> None:
    uow.devices.create_all([device(1), device(2)])
    uow.sessions.create_session(session_id=session_id(1), device_id="device-0001")
    uow.sessions.create_session(session_id=session_id(2), device_id="device-0002")
    uow.logs.add_log_batch([entry(session_id(1)), entry(session_id(2))])

    assert uow.devices.delete_with_sessions("device-0001") is True

    assert ids(uow.devices.get_all()) == [2]
    assert [s.id for s in uow.sessions.get_all()] == [session_id(2)]
    assert [log.session_id for log in uow.logs.get_all()] == [session_id(2)]


def test_deleting_what_is_not_there_tells_so(uow: UnitOfWork) -> None:
    assert uow.devices.delete_with_sessions("nobody") is False


def test_a_name_of_udev_is_kept_whole(uow: UnitOfWork) -> None:
    name = "/dev/serial/by-path/pci-0000:00:14.0-usb-0:1.2.3.4:1.0-port0-" + "x" * 180
    uow.devices.create(device(id=name))
    assert uow.devices.get_by_id(name)
    assert uow.sessions.create_session(name).device_id == name
