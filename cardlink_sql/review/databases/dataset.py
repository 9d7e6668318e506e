"""The data set for checking plans: always the same size and rows, and skewed like real traffic.

The times are spread over 90 days up to :data:`NOW`, the oldest row first. Most sessions completed
and few are open; a device has hundreds of sessions and a card some; a run has one test result in
two hundred.
"""

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from itertools import count, cycle
from random import Random
from typing import Any, Final
from uuid import NAMESPACE_OID, uuid5

from cardlink_sql.dialect import Dialect
from cardlink_sql.model.columns import driver_time

DEVICES: Final = 40
CARDS: Final = 400
SESSIONS: Final = 10_000
# Statuses of the latest sessions, which have not ended.
OPEN_SESSIONS: Final = 20
# The log entries of one session and the next, in turns.
ENTRIES: Final = (2, 4, 4, 8, 12)
RUNS: Final = 200
SUITES: Final = 5
TESTS_OF_A_SUITE: Final = 10
EVENTS: Final = 2_000
SETTINGS: Final = 40

# The number of rows of each table.
SIZES: Final = {
    "devices": DEVICES,
    "card_profiles": CARDS,
    "ota_sessions": SESSIONS,
    "comm_logs": SESSIONS * sum(ENTRIES) // len(ENTRIES),
    "test_results": RUNS * SUITES * TESTS_OF_A_SUITE,
    "settings": SETTINGS,
    "event_counter": 1,
    "event_outbox": EVENTS,
}

NOW: Final = datetime(2026, 1, 1, tzinfo=UTC)
SPAN: Final = timedelta(days=90)

Row = dict[str, Any]

_SEED: Final = 81
_ENDED: Final = {"completed": 88, "failed": 8, "timeout": 4}
_RESULTS: Final = {"passed": 90, "failed": 6, "skipped": 3, "error": 1}
_COMMANDS: Final = (
    "00A4040007A0000001510000", "80F28000024F00", "80E60200", "84D5010010", "00B2010424",
)  # fmt: skip
_ANSWERS: Final = {"9000": 94, "6A82": 3, "6985": 2, "6283": 1}


def _device_id(number: int) -> str:
    return f"device-{number:04d}"


def _iccid(number: int) -> str:
    return f"8949{number:015d}"


def _session_id(number: int) -> str:
    # Unordered, like random UUIDs.
    return str(uuid5(NAMESPACE_OID, f"session {number}"))


def rows(table: str, dialect: Dialect) -> Iterator[Row]:
    """Yield the rows of a table as the driver takes them, without columns that are NULL in all.

    Publishing fills ``event_counter``.
    """
    time = driver_time(dialect)
    for row in _ROWS[table](Random(_SEED)):  # noqa: S311 - the same each time
        yield {n: time(v) if isinstance(v, datetime) else v for n, v in row.items()}


def _devices(_random: Random) -> Iterator[Row]:
    for number in range(1, DEVICES + 1):
        is_phone = number % 4 != 0
        yield {
            "id": _device_id(number),
            "name": f"Device {number}",
            "device_type": "phone" if is_phone else "modem",
            "manufacturer": "Maker" if is_phone else "Modems",
            "model": f"M{number % 5}",
            "firmware_version": f"1.{number % 3}",
            "imei": f"49{number:013d}",
            "imsi": f"26201{number:010d}",
            "iccid": _iccid(number),
            "last_seen": NOW - timedelta(minutes=number),
            "is_active": number % 10 != 0,
            **_written(NOW - SPAN),
        }


def _cards(_random: Random) -> Iterator[Row]:
    for number in range(1, CARDS + 1):
        has_psk = number % 10 != 0
        yield {
            "iccid": _iccid(number),
            "imsi": f"26201{number:010d}",
            "card_type": ("UICC", "USIM", "USIM", "eUICC")[number % 4],
            "atr": f"3B9F96801FC78031E073FE2113{number % 7:02X}",
            "psk_identity": f"card_{number:04d}" if has_psk else None,
            # The length of a Fernet token of a 16-byte PSK, but not a real token.
            "psk_key_encrypted": b"g" * 120 if has_psk else None,
            "admin_url": f"https://admin{number % 3}.example.com:8443/ota",
            **_written(NOW - SPAN),
        }


def _sessions(random: Random) -> Iterator[Row]:
    statuses = _pick(random, _ENDED, SESSIONS)
    for number, (created, status) in enumerate(zip(_moments(SESSIONS), statuses, strict=True), 1):
        is_open = number > SESSIONS - OPEN_SESSIONS
        has_started = not is_open or number % 4 != 0
        duration = random.randrange(500, 20_000)
        ended = None if is_open else created + timedelta(milliseconds=duration)
        yield {
            "id": _session_id(number),
            # A few devices and cards have most of the sessions.
            "device_id": _device_id(1 + int(DEVICES * random.random() ** 1.5)),
            "card_iccid": _iccid(1 + int(CARDS * random.random() ** 2)) if number % 50 else None,
            "session_type": "polled" if number % 3 else "triggered",
            "status": ("active" if has_started else "pending") if is_open else status,
            "started_at": created if has_started else None,
            "ended_at": ended,
            "duration_ms": None if is_open else duration,
            "tls_cipher_suite": "PSK-AES128-GCM-SHA256" if has_started else None,
            "tls_psk_identity": f"card_{number % CARDS + 1:04d}" if has_started else None,
            "error_code": "TLS_ALERT" if status == "failed" and not is_open else None,
            "error_message": "the card closed the connection" if status == "failed" else None,
            "created_at": created,
            "updated_at": ended or created,
        }


def _logs(random: Random) -> Iterator[Row]:
    words = iter(_pick(random, _ANSWERS, SIZES["comm_logs"]))
    commands = cycle(_COMMANDS)
    sessions = zip(count(1), cycle(ENTRIES), _moments(SESSIONS))
    for number, entries, created in sessions:
        session = _session_id(number)
        for place in range(entries // 2):
            sent = created + timedelta(milliseconds=100 * place)
            latency = random.randrange(5_000, 80_000) / 1000
            yield _entry(session, sent, next(commands))
            word = next(words)
            answer = f"6F108408A000000151000000{word}" if place % 4 == 0 else word
            yield _entry(session, sent, answer, word, latency)


def _entry(
    session: str, at: datetime, raw: str, word: str | None = None, latency: float | None = None
) -> Row:
    return {
        "session_id": session,
        "timestamp": at,
        "latency_ms": latency,
        "direction": "command" if word is None else "response",
        "raw_data": raw,
        "status_word": word,
        "status_message": "Normal ending of the command" if word == "9000" else None,
    }


def _results(random: Random) -> Iterator[Row]:
    statuses = _pick(random, _RESULTS, SIZES["test_results"])
    per_run = SUITES * TESTS_OF_A_SUITE
    for number, status in enumerate(statuses):
        run, test = divmod(number, per_run)
        created = NOW - SPAN + SPAN / RUNS * run + timedelta(seconds=2 * test)
        duration = random.randrange(10, 1_900)
        # A skipped test has no start.
        started = None if status == "skipped" else created
        yield {
            "id": str(uuid5(NAMESPACE_OID, f"result {number + 1}")),
            "run_id": f"run-{run + 1:04d}",
            "suite_name": f"suite-{test // TESTS_OF_A_SUITE + 1:02d}",
            "test_name": f"test-{test % TESTS_OF_A_SUITE + 1:03d}",
            "device_id": _device_id(run % DEVICES + 1),
            "card_iccid": _iccid(run % CARDS + 1),
            "started_at": started,
            "ended_at": created + timedelta(milliseconds=duration),
            "duration_ms": None if started is None else duration,
            "status": status,
            "error_message": "SW=6A82, wanted 9000" if status in ("failed", "error") else None,
            "tries": 1,
            **_written(created),
        }


def _settings(_random: Random) -> Iterator[Row]:
    for number in range(1, SETTINGS + 1):
        yield {
            "key": f"group{number % 5}.setting{number:02d}",
            "value": str(number),
            "category": f"group{number % 5}",
            **_written(NOW - SPAN),
        }


def _events(_random: Random) -> Iterator[Row]:
    for number, moment in enumerate(_moments(EVENTS), 1):
        session = _session_id(SESSIONS - EVENTS + number)
        yield {
            "id": number,
            "origin": _session_id(number % 3 + 1),
            "event_type": "session_status_changed",
            "entity_type": "OTASession",
            "entity_id": session,
            "action": "updated",
            "occurred_at": moment,
            "data": f'{{"session_id": "{session}", "status": "completed"}}',
        }


_ROWS: Final[dict[str, Callable[[Random], Iterator[Row]]]] = {
    "devices": _devices,
    "card_profiles": _cards,
    "ota_sessions": _sessions,
    "comm_logs": _logs,
    "test_results": _results,
    "settings": _settings,
    "event_outbox": _events,
}


def _moments(number: int) -> Iterator[datetime]:
    """Yield times spread evenly over the span, the oldest first, the last just before now."""
    step = SPAN / number
    return (NOW - SPAN + step * place for place in range(number))


def _written(at: datetime) -> Row:
    return {"created_at": at, "updated_at": at}


def _pick(random: Random, weights: Mapping[str, int], number: int) -> list[str]:
    return random.choices([*weights], [*weights.values()], k=number)
