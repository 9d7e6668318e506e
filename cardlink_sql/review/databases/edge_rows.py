"""A few rows of each table at the edges of meaning, on which the dialects must agree.

NULL and ties in every order, upper and lower case, ``%``, ``_``, ``!`` and letters beyond ASCII,
times a microsecond apart and on both sides of midnight, the smallest numbers of each range.
"""

from datetime import UTC, datetime, timedelta
from typing import Any, Final

from sqlalchemy import Engine

from cardlink_sql.model.tables import metadata

Row = dict[str, Any]

_EVENING: Final = datetime(2026, 3, 28, 23, 59, 59, 999_999, UTC)
_TICK: Final = timedelta(microseconds=1)
MOMENTS: Final = (
    _EVENING - timedelta(days=1),
    _EVENING,
    _EVENING + _TICK,
    _EVENING + 2 * _TICK,
    datetime(2026, 3, 29, 1, 0, 0, 123_000, UTC),
    datetime(2026, 3, 29, 1, 0, 0, 123_456, UTC),
)
TEXTS: Final = ("Probe", "probe", "100%", "a_b", "É!", "é!", None)
_ICCIDS: Final = tuple(f"8949000000000000{number:03d}" for number in range(6))
_DEVICES: Final = ("A-1", "a-1", "b%", "b_", "modem/É", "modem/é")
_STATUSES: Final = ("pending", "active", "completed", "failed", "timeout")
_RESULTS: Final = ("passed", "failed", "error", "skipped")
_WORDS: Final = ("9000", "6A82", "6110", "9240", "9210", "9F20", None)
_DOCUMENTS: Final[tuple[Any, ...]] = ({"b": [1, None], "a": "É"}, None, [], "1.0", True)


def _written(number: int) -> Row:
    return {"created_at": _at(number // 2), "updated_at": _at(number // 2 + number % 2)}


def _at(number: int) -> datetime:
    return MOMENTS[number % len(MOMENTS)]


def _pick(values: tuple[Any, ...], number: int) -> Any:
    return values[number % len(values)]


def _session_id(number: int) -> str:
    # In another order than the times, with prefixes of one letter that differ in case.
    return f"{'aAbB0'[number % 5]}{number * 7 % 16:x}5d{number:032d}"


EDGE_ROWS: Final[dict[str, list[Row]]] = {
    "devices": [
        {
            "id": key,
            "name": _pick(TEXTS, number + 1),
            "device_type": _pick(("phone", "modem"), number),
            "manufacturer": _pick(("Maker", None, "maker"), number),
            "model": _pick(TEXTS, number + 3),
            "firmware_version": _pick((None, "1", "1"), number),
            "imei": _pick(("490154203237518", "490154203237518", None), number),
            "imsi": _pick((None, "262010000000001"), number),
            "iccid": _pick((_ICCIDS[0], _ICCIDS[0], _ICCIDS[1], None), number),
            "connection_settings": _pick(_DOCUMENTS, number),
            "last_seen": None if number % 3 == 2 else _at(number // 2),
            "is_active": number % 3 != 0,
            "notes": _pick(TEXTS, number + 1),
            **_written(number),
        }
        for number, key in enumerate(_DEVICES)
    ],
    "card_profiles": [
        {
            "iccid": key,
            "imsi": _pick((None, "262010000000001", "262010000000001"), number),
            "card_type": _pick(("UICC", "USIM", "UICC"), number),
            "atr": _pick(("3B00", None), number),
            "psk_identity": _pick(TEXTS, number + 1),
            "psk_key_encrypted": None if number % 3 == 1 else bytes([number]),
            "admin_url": _pick(("https://a", "https://A", None), number),
            "trigger_config": _pick(_DOCUMENTS, number),
            "notes": _pick(TEXTS, number + 2),
            **_written(number),
        }
        for number, key in enumerate(_ICCIDS)
    ],
    "ota_sessions": [
        {
            "id": _session_id(number),
            "device_id": _pick((*_DEVICES[:2], None), number),
            "card_iccid": _pick((*_ICCIDS[:3], None), number),
            "session_type": _pick(("triggered", "polled", None), number),
            "status": _pick(_STATUSES, number),
            "started_at": None if number % 5 == 0 else _at(number // 2),
            "ended_at": None if number % 5 < 2 or number == 17 else _at(number // 2 + 1),
            "duration_ms": _pick((None, None, 0, 7, 7, 12, 8), number),
            "tls_psk_identity": _pick(TEXTS, number),
            "error_message": _pick(TEXTS, number),
            "metadata": _pick(_DOCUMENTS, number),
            **_written(number),
        }
        for number in range(20)
    ],
    "comm_logs": [
        {
            "id": number,
            "session_id": _session_id(_pick((0, 1, 1, 2, 3, 7, 7, 7, 12), number - 1)),
            "timestamp": _at(number * 5),
            "latency_ms": _pick((None, 0.0, 2.5, 2.5, 0.1, 7.25), number),
            "direction": "command" if number % 3 == 1 else "response",
            "raw_data": _pick(("00A40004026F07", "9000", "6A82", "80F28000024F00"), number),
            "decoded_data": _pick(TEXTS, number),
            # Each answer has the next word, and every third entry is a command.
            "status_word": None
            if number % 3 == 1
            else _pick(_WORDS, number - 1 - (number + 1) // 3),
            "status_message": _pick(TEXTS, number),
        }
        for number in range(1, 61)
    ],
    "test_results": [
        {
            "id": f"{'bBaA'[number % 4]}{number:035d}",
            "run_id": _pick(("r1", "r2", "R1"), number),
            "suite_name": _pick(("s", "S", "s", "ß"), number // 3),
            "test_name": _pick(("t", "T"), number // 6),
            "device_id": _pick((None, *_DEVICES[:2]), number),
            "card_iccid": _pick((*_ICCIDS[:2], None), number // 2),
            "started_at": None if number % 4 == 3 else _at(number // 4),
            "ended_at": None if number % 7 == 6 else _at(number // 4 + 1),
            "duration_ms": _pick((0, 1, 3, None, 2), number),
            "status": _pick(_RESULTS, number // 2),
            "error_message": _pick(TEXTS, number),
            "assertions": _pick(_DOCUMENTS, number),
            "tries": _pick((1, 1, 0, 2, 1), number),
            **_written(number),
        }
        for number in range(48)
    ],
    "settings": [
        {
            "key": key,
            "value": _pick(_DOCUMENTS, number),
            "description": _pick(TEXTS, number),
            "category": _pick(("a", "A", "a"), number),
            **_written(number),
        }
        for number, key in enumerate(("a.b", "A.b", "a.c", "z", "É"))
    ],
    "event_counter": [{"id": 1, "last_id": 5, "publishes": True}],
    "event_outbox": [
        {
            "id": number,
            "origin": _session_id(number % 2),
            "event_type": "session_status_changed",
            "entity_type": "OTASession",
            "entity_id": _pick((None, *_DEVICES), number),
            "action": "updated",
            "occurred_at": _at(number),
            "data": "{}",
        }
        for number in range(1, 6)
    ],
}


def insert_edge_rows(engine: Engine) -> None:
    """Fill an empty, migrated database."""
    with engine.begin() as connection:
        for table in metadata.sorted_tables:
            connection.execute(table.insert(), EDGE_ROWS[table.name])
