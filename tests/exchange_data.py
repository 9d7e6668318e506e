"""Awkward rows for the tests of export and import."""

from datetime import UTC, datetime, timedelta

from cardlink_sql import CardProfile, Device, DeviceType, OTASession, UnitOfWork
from cardlink_sql.manager import DatabaseManager
from cardlink_sql.model import validation
from cardlink_sql.model.choices import CardType, SessionStatus, SessionType, TestStatus
from cardlink_sql.model.records.setting import Setting
from cardlink_sql.model.records.test_result import TestResult
from tests.conftest import MOMENT, card, device, entry, iccid, session_id

AWKWARD = (
    "line\nbreak\r\n\ttab \u2028\x85\x7f 'single' \"double\" \\ {} [] : # ﷽ é e\u0301 \U0001f600"
)
KEY = bytes(range(16))
DOCUMENT = {
    "": "",
    "null": None,
    "float": 0.1,
    "small": 1e-07,
    "whole float": 1.0,
    "one": 1,
    "true": True,
    "9000": "9000",
    "big": 2**63 - 1,
    "least": -(2**63),
    "text": AWKWARD,
    "1.0": ["1.0", "~", "yes", "0x1F", "2026-11-22", "1e3", "6E00", "<<", "-", "=1+1", " "],
    "empty": [[], {}, [[]], {"": {}}],
}


def later(seconds: int) -> datetime:
    """A time after :data:`MOMENT`."""
    return MOMENT + timedelta(seconds=seconds)


def nested(levels: int) -> list[object]:
    """Lists within each other."""
    value: list[object] = []
    for _ in range(levels - 1):
        value = [value]
    return value


def fill(manager: DatabaseManager) -> None:
    """Write rows with everything that a backend may take for something else."""
    long_name, long_ago = "\U0001f600" * 128, datetime(1000, 1, 1, tzinfo=UTC)
    longest = "\U0001f600" * validation.MAX_TEXT
    with UnitOfWork(manager) as uow:
        uow.devices.create_all(
            [
                device(1, notes=AWKWARD, connection_settings=DOCUMENT, is_active=False),
                device(2, notes="", name=long_name, last_seen=long_ago),
                device(3, notes=longest, connection_settings=nested(validation.MAX_JSON_DEPTH)),
                Device("=cmd|' /C calc'!A0", DeviceType.MODEM, connection_settings=[], model="~"),
                Device("é\U0001f600", DeviceType.MODEM, connection_settings={}, model="null"),
                Device("0012", DeviceType.MODEM, name="2026-11-22", model="yes", imei="0" * 15),
            ]
        )
        uow.cards.create(card(1, card_type=CardType.EUICC, atr="3B9F", notes="- not a list"))
        uow.cards.create(card(2, psk_identity=" \u00e9 identity\n", trigger_config=DOCUMENT))
        uow.cards.create_with_psk(
            card(3, security_domains=[DOCUMENT, None]), KEY, psk_identity="card_3"
        )
        uow.cards.create_with_psk(
            CardProfile("0" * 18, bip_config={"a": 0.0}), b"\0" * 64, psk_identity="card_4"
        )
        for number, status in enumerate(SessionStatus, 1):
            uow.sessions.create(
                OTASession(
                    session_id(number),
                    SessionType.POLLED if number % 2 else SessionType.TRIGGERED,
                    device_id="device-0001" if number > 1 else None,
                    card_iccid=iccid(3) if number > 2 else None,
                    status=status,
                    started_at=MOMENT if number > 1 else None,
                    ended_at=MOMENT + timedelta(microseconds=number) if status.is_end else None,
                    duration_ms=2**63 - 1 if number == 3 else None,
                    error_code="" if number == 4 else None,
                    error_message=AWKWARD if number == 5 else None,
                    created_at=datetime(2026, 1, number, 0, 0, 0, 1, UTC),
                    updated_at=datetime(9999, 12, 31, 23, 59, 59, 999999, UTC),
                )
            )
        uow.logs.add_log_batch(
            [
                entry(session_id(1), "9000", direction="response", latency_ms=0.1),
                entry(session_id(1), "9000", direction="response", latency_ms=17),
                entry(session_id(2), "6E00", direction="response", decoded_data=AWKWARD),
                entry(session_id(1), "00", status_word="6A82", status_message=""),
                entry(session_id(3), "AB" * 300_000, decoded_data=""),
                *(
                    entry(session_id(4), f"{number:08X}", timestamp=later(number))
                    for number in range(700)
                ),
            ]
        )
        uow.tests.create_results(
            TestResult(
                f"result {number}",
                "run",
                AWKWARD[:40],
                "name" * 64,
                status,
                started_at=MOMENT,
                ended_at=MOMENT,
                duration_ms=number,
                device_id="0012",
                card_iccid="0" * 18,
                error_message="" if number % 2 else AWKWARD,
                assertions=[DOCUMENT, None, "x", 1.5],
                metadata=DOCUMENT,
            )
            for number, status in enumerate(TestStatus)
        )
        for number, value in enumerate(
            (None, False, 0, "", 0.0, [], {}, "null", "1.0", AWKWARD, DOCUMENT, 2**63 - 1, True, 1)
        ):
            uow.settings.create(Setting(f"kept.{number}", value, "", "any category"))
        uow.settings.set_value("server.port", 1)
        uow.commit()
