"""Bad input: one error class for each, the same on every backend, and the database unchanged."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from operator import attrgetter
from typing import Any

import pytest
from sqlalchemy import Column, String, Table

from cardlink_sql import (
    DatabaseError,
    DatabaseManager,
    IntegrityError,
    NotFoundError,
    OTASession,
    QueryError,
    StateError,
    UnitOfWork,
    ValidationError,
)
from cardlink_sql.errors import shown
from cardlink_sql.model import tables
from cardlink_sql.model.validation import MAX_TEXT
from tests.conftest import MOMENT, card, committed, device, dump, entry, iccid, result, session_id
from tests.exchange_data import nested

Call = Callable[[UnitOfWork, Any], object]
NAIVE = datetime(2026, 1, 1)  # noqa: DTZ001
NO_TEXT: list[Any] = [None, 5, 1.5, True, b"text", ["text"], {}, object()]
NO_APDU = [value for value in NO_TEXT if not isinstance(value, bytes)]
NO_NUMBER: list[Any] = [None, "5", True, b"5", [5], 1j]
NO_TIME: list[Any] = [NAIVE, "2026-01-01", 5, True, datetime(999, 12, 31, tzinfo=UTC)]
BROKEN_TEXT = ["a\0b", "\0", "\ud800", "a\udc80b"]
BROKEN_IDS = ["", "x", session_id()[:-1], f"{session_id()}0", "\0" * 36, *NO_TEXT]


@pytest.fixture
def filled(manager: DatabaseManager) -> DatabaseManager:
    """A database with two of everything."""
    with committed(manager) as uow:
        uow.devices.create_all([device(1, iccid=iccid(1)), device(2)])
        uow.cards.create_with_psk(card(1), b"key", psk_identity="card-1")
        uow.cards.create(card(2))
        uow.sessions.create_session(session_id=session_id(1), device_id="device-0001")
        uow.sessions.create_session(session_id=session_id(2), card_iccid=iccid(2))
        uow.sessions.start_session(session_id(2), MOMENT)
        uow.sessions.complete_session(session_id(2), MOMENT)
        uow.logs.add_log_batch([entry(session_id(1)), entry(session_id(1), "9000")])
    return manager


@dataclass(frozen=True)
class Bad:
    """Calls that one class of error answers, each with each of the values."""

    name: str
    error: type[DatabaseError]
    call: Call
    values: list[Any]


MAKERS: dict[str, Callable[..., Any]] = {
    "devices": device,
    "card_profiles": card,
    "ota_sessions": lambda **given: OTASession(**{"id": session_id(9), **given}),
    "comm_logs": entry,
    "test_results": result,
}
GATEWAYS = {
    "devices": "devices",
    "card_profiles": "cards",
    "ota_sessions": "sessions",
    "comm_logs": "logs",
    "test_results": "tests",
}


def texts(table: Table, column: Column[Any]) -> Bad:
    """A record whose text in one column is too long, broken or no text."""

    def create(uow: UnitOfWork, value: Any) -> object:
        named = "session" if column.name == "session_id" else column.name
        return getattr(uow, GATEWAYS[table.name]).create(MAKERS[table.name](**{named: value}))

    longest = column.type.length if isinstance(column.type, String) else None
    given = NO_APDU if column.name == "raw_data" else NO_TEXT
    no_text = [value for value in given if value is not None or not column.nullable]
    too_long = "1" * ((longest or MAX_TEXT) + 1)
    name = f"{table.name}.{column.name}"
    return Bad(name, ValidationError, create, [too_long, *BROKEN_TEXT, *no_text])


def each(values: list[Any], *calls: str) -> list[Bad]:
    """Calls that refuse each of the values as their only argument."""

    def of(name: str) -> Call:
        return lambda uow, value: attrgetter(name)(uow)(value)

    return [Bad(name, ValidationError, of(name), values) for name in calls]


TABLE = [
    *(
        texts(tables.metadata.tables[name], column)
        for name in GATEWAYS
        for column in tables.metadata.tables[name].columns
        if isinstance(column.type, String)
    ),
    # Keys and parents
    Bad("key taken", IntegrityError, lambda uow, v: uow.devices.create(v), [device(1)]),
    Bad("card taken", IntegrityError, lambda uow, v: uow.cards.create(v), [card(1)]),
    Bad("cards taken", IntegrityError, lambda uow, v: uow.cards.create_all(v),
        [[card(8), card(9), card(8)]]),
    Bad("identity taken", IntegrityError, lambda uow, v: uow.cards.update_psk(iccid(2), v, b"k"),
        ["card-1"]),
    Bad("identity taken by a profile", IntegrityError, lambda uow, v: uow.cards.create(v),
        [card(9, psk_identity="card-1")]),
    Bad("session taken", IntegrityError,
        lambda uow, v: uow.sessions.create_session(session_id=v),
        [session_id(1), session_id(1).upper()]),
    Bad("no device", IntegrityError, lambda uow, v: uow.sessions.create_session(device_id=v),
        ["nobody", "DEVICE-0001", "%s"]),
    Bad("no card", IntegrityError, lambda uow, v: uow.sessions.create_session(card_iccid=v),
        [iccid(9)]),
    Bad("no card for an update", IntegrityError, lambda uow, v: uow.sessions.update(v),
        [OTASession(session_id(1), card_iccid=iccid(9))]),
    Bad("no session", IntegrityError, lambda uow, v: uow.logs.create(v), [entry(session_id(9))]),
    Bad("no session in a batch", IntegrityError, lambda uow, v: uow.logs.add_log_batch(v),
        [[entry(session_id(9))], [entry()] * 20 + [entry(session_id(9))]]),
    Bad("no card in a batch", IntegrityError, lambda uow, v: uow.tests.create_results(v),
        [[result(1), result(2, card_iccid=iccid(9))]]),
    Bad("nothing there", NotFoundError, lambda uow, v: v(uow), [
        lambda uow: uow.devices.update(device(9)),
        lambda uow: uow.devices.activate("nobody"),
        lambda uow: uow.devices.deactivate("nobody"),
        lambda uow: uow.devices.update_last_seen("nobody"),
        lambda uow: uow.cards.update(card(9)),
        lambda uow: uow.cards.clear_psk(iccid(9)),
        lambda uow: uow.cards.get_psk_key(iccid(9)),
        lambda uow: uow.cards.update_psk(iccid(9), "card-9", b"key"),
        lambda uow: uow.cards.export_profile(iccid(9)),
        lambda uow: uow.sessions.start_session(session_id(9)),
        lambda uow: uow.sessions.update(OTASession(session_id(9))),
        lambda uow: uow.logs.update(entry(id=999_999)),
        lambda uow: uow.logs.get_session_summary(session_id(9)),
    ]),
    Bad("ended", StateError, lambda uow, v: v(uow), [
        lambda uow: uow.sessions.start_session(session_id(2)),
        lambda uow: uow.sessions.fail_session(session_id(2)),
        lambda uow: uow.sessions.set_tls_info(session_id(2), "a", "b"),
    ]),
    # Enumerations
    Bad("device type", ValidationError, lambda uow, v: uow.devices.create(device(9, device_type=v)),
        ["tablet", "Phone", "", "phone ", *NO_TEXT]),
    Bad("card type", ValidationError, lambda uow, v: uow.cards.create(card(9, card_type=v)),
        ["SIM", "uicc", "euicc", *NO_TEXT]),
    Bad("session type", ValidationError,
        lambda uow, v: uow.sessions.create_session(session_type=v), ["pushed", *NO_TEXT[1:]]),
    Bad("status", ValidationError,
        lambda uow, v: uow.sessions.create(OTASession(session_id(9), status=v)),
        ["done", "Pending", *NO_TEXT]),
    Bad("direction", ValidationError, lambda uow, v: uow.logs.add_log(session_id(), v, "00"),
        ["up", "Command", *NO_TEXT]),
    # Numbers of cards and devices
    Bad("iccid", ValidationError, lambda uow, v: uow.cards.create(card(iccid=v)),
        ["8" * 17, "8" * 23, "89A" + "8" * 16, "", *NO_TEXT]),
    Bad("imsi", ValidationError, lambda uow, v: uow.devices.create(device(9, imsi=v)),
        ["1" * 16, "12345", "", 262011234567890, True]),
    Bad("imei", ValidationError, lambda uow, v: uow.devices.create(device(9, imei=v)),
        ["1" * 13, "1" * 17, "49015420323751X"]),
    Bad("atr", ValidationError, lambda uow, v: uow.cards.create(card(9, atr=v)),
        ["3", "3B", "0000", "3B0G", "3B" * 65, b"\x3b\x00"]),
    # Times
    *(
        Bad(name, ValidationError, call, [*NO_TIME, *nothing])
        for name, nothing, call in [
            ("last_seen", [], lambda uow, v: uow.devices.create(device(9, last_seen=v))),
            ("created_at", [None], lambda uow, v: uow.devices.create(device(9, created_at=v))),
            ("updated_at", [None], lambda uow, v: uow.cards.create(card(9, updated_at=v))),
            ("seen at", [], lambda uow, v: uow.devices.update_last_seen("device-0001", v)),
            ("created at", [], lambda uow, v: uow.sessions.create_session(at=v)),
            ("started at", [], lambda uow, v: uow.sessions.start_session(session_id(), v)),
            ("failed at", [], lambda uow, v: uow.sessions.fail_session(session_id(), at=v)),
            ("timed out at", [], lambda uow, v: uow.sessions.timeout_session(session_id(), v)),
            ("closed at", [], lambda uow, v: uow.sessions.close_stale(at=v)),
            ("logged at", [], lambda uow, v: uow.logs.add_log(session_id(), "command", "00",
                                                              timestamp=v)),
            ("range start", [None], lambda uow, v: uow.sessions.find_by_date_range(v, MOMENT)),
            ("range end", [None], lambda uow, v: uow.sessions.find_by_date_range(MOMENT, v)),
            ("filter", [], lambda uow, v: uow.devices.find_by(last_seen=v)),
        ]
    ),
    Bad("time beyond the end", ValidationError,
        lambda uow, v: uow.devices.create(device(9, last_seen=v)),
        [datetime(9999, 12, 31, 23, 59, tzinfo=timezone(timedelta(hours=-1)))]),
    # Numbers
    *(
        Bad(name, ValidationError, call,
            [math.nan, math.inf, -math.inf, -0.1, -1, 10**400, "1", True, b"1", [1]])
        for name, call in [
            ("latency", lambda uow, v: uow.logs.add_log(session_id(), "command", "00",
                                                        latency_ms=v)),
            ("latency of a batch", lambda uow, v: uow.logs.add_log_batch(
                [entry()] * 9 + [entry(latency_ms=v)])),
            ("latency of one", lambda uow, v: uow.logs.create(entry(latency_ms=v))),
        ]
    ),
    Bad("duration", ValidationError,
        lambda uow, v: uow.sessions.create(OTASession(session_id(9), duration_ms=v)),
        [-1, 2**63, 1.0, math.nan, "1", True]),
    Bad("active", ValidationError, lambda uow, v: uow.devices.create(device(9, is_active=v)),
        [1, 0, None, "true", 1.0]),
    Bad("log number", ValidationError, lambda uow, v: uow.logs.get_by_id(v),
        [2**63, -(2**63) - 1, 1.0, *NO_NUMBER]),
    # Hex
    *(
        Bad(name, ValidationError, call,
            ["", "0", "000", "0G", "0x", "00 0", "00x00", "\uff10\uff10", *NO_APDU])
        for name, call in [
            ("hex", lambda uow, v: uow.logs.add_log(session_id(), "command", v)),
            ("hex of a batch", lambda uow, v: uow.logs.add_log_batch(
                [entry()] * 9 + [entry(raw_data=v)])),
            ("hex of one", lambda uow, v: uow.logs.create(entry(raw_data=v))),
        ]
    ),
    Bad("status word", ValidationError,
        lambda uow, v: uow.logs.add_log(session_id(), "response", "9000", status_word=v),
        ["", "900", "90000", "9G00", "90 00", 9000, b"9000"]),
    Bad("status word to find", ValidationError, lambda uow, v: uow.logs.find_by_status(None, v),
        ["", "900", "%", *NO_TEXT]),
    Bad("pattern", ValidationError, lambda uow, v: uow.logs.search_hex(v),
        ["", " ", "A", "%", "0G", *BROKEN_TEXT, *NO_TEXT]),
    # Sessions' ids
    *each(
        BROKEN_IDS,
        "sessions.get_by_id", "sessions.start_session", "sessions.complete_session",
        "sessions.fail_session", "sessions.delete_by_id", "logs.find_by_session",
        "logs.stream_session", "logs.count_by_session", "logs.get_session_summary",
        "logs.export_session_logs",
    ),
    Bad("session of an entry", ValidationError, lambda uow, v: uow.logs.add_log(v, "command", "00"),
        BROKEN_IDS),
    Bad("session of a batch", ValidationError, lambda uow, v: uow.logs.add_log_batch([entry(v)]),
        BROKEN_IDS),
    # Values that are looked for
    *each(
        [*NO_TEXT, *BROKEN_TEXT],
        "devices.get_by_id", "devices.delete_by_id", "devices.delete_with_sessions",
        "devices.update_last_seen", "devices.find_by_type", "devices.find_by_iccid",
        "devices.find_by_imei", "devices.find_by_card", "devices.search",
        "cards.get_by_id", "cards.get_psk_key", "cards.export_profile", "cards.find_by_type",
        "cards.find_by_admin_url", "cards.find_by_imsi", "cards.find_by_device", "cards.search",
        "sessions.find_by_device", "sessions.find_by_card", "sessions.find_by_status",
        "tests.find_by_run",
    ),
    Bad("entries by direction", ValidationError, lambda uow, v: uow.logs.find_by_direction(None, v),
        [*NO_TEXT, *BROKEN_TEXT]),
    Bad("suite", ValidationError, lambda uow, v: uow.sessions.set_tls_info(session_id(), v, "x"),
        ["x" * 65, 5, b"x", *BROKEN_TEXT]),
    Bad("identity", ValidationError, lambda uow, v: uow.sessions.set_tls_info(session_id(), "x", v),
        ["x" * 129, 5, b"x", *BROKEN_TEXT]),
    Bad("error code", ValidationError, lambda uow, v: uow.sessions.fail_session(session_id(), v),
        ["x" * 33, 5, b"x", *BROKEN_TEXT]),
    Bad("error message", ValidationError,
        lambda uow, v: uow.sessions.fail_session(session_id(), "x", v), [5, b"x", *BROKEN_TEXT]),
    Bad("identity that is no text", ValidationError,
        lambda uow, v: uow.cards.get_psk_key_by_identity(v), NO_TEXT),
    Bad("identity to store", ValidationError,
        lambda uow, v: uow.cards.update_psk(iccid(2), v, b"key"),
        ["", "x" * 129, "\u00e9" * 65, *BROKEN_TEXT, *NO_TEXT]),
    Bad("key to store", ValidationError, lambda uow, v: uow.cards.update_psk(iccid(2), "x", v),
        [b"", bytes(65), "", "0", "0G", None, 5, ["00"], True]),
    # Documents
    *(
        Bad(name, ValidationError, call,
            ["{}", 5, True, (1,), b"{}", {1: 2}, {None: 1}, {"a\0": 1}, {"\ud800": 1}, ["\0"],
             [math.nan], {"a": math.inf}, [2**63], [1e16], [{1, 2}], [b"a"], [MOMENT], [object()],
             nested(32), ["x" * MAX_TEXT]])
        for name, call in [
            ("settings", lambda uow, v: uow.devices.create(device(9, connection_settings=v))),
            ("trigger", lambda uow, v: uow.cards.create(card(9, trigger_config=v))),
            ("bip", lambda uow, v: uow.cards.update(card(2, bip_config=v))),
            ("domains", lambda uow, v: uow.cards.create_with_psk(
                card(9, security_domains=v), b"k", psk_identity="x")),
        ]
    ),
    # How many, how long
    *(
        Bad(name, ValidationError, call, [-1, 1.0, "1", True, 2**63, b"1"])
        for name, call in [
            ("limit", lambda uow, v: uow.devices.get_all(v)),
            ("limit by device", lambda uow, v: uow.sessions.find_by_device("device-0001", v)),
            ("limit by card", lambda uow, v: uow.sessions.find_by_card(iccid(), v)),
            ("limit by status", lambda uow, v: uow.sessions.find_by_status("pending", v)),
            ("limit by range", lambda uow, v: uow.sessions.find_by_date_range(MOMENT, MOMENT, v)),
            ("limit of a log", lambda uow, v: uow.logs.find_by_session(session_id(), v)),
            ("offset", lambda uow, v: uow.logs.find_by_session(session_id(), offset=v)),
            ("limit of errors", lambda uow, v: uow.logs.find_errors(limit=v)),
            ("limit of commands", lambda uow, v: uow.logs.find_commands(limit=v)),
            ("limit of a search", lambda uow, v: uow.logs.search_hex("00", limit=v)),
            ("page", lambda uow, v: uow.logs.paginate(v)),
            ("per page", lambda uow, v: uow.logs.paginate(1, v)),
            ("limit by key", lambda uow, v: uow.logs.page_after(limit=v)),
        ]
    ),
    *each(
        [0, -1, -0.5, math.nan, math.inf, 1e300, 10**400, 10**9, *NO_NUMBER],
        "devices.find_recent", "sessions.get_statistics", "logs.purge_old", "tests.purge_old",
        "tests.count_old", "sessions.find_stale", "sessions.close_stale",
    ),
    Bad("window", ValidationError, lambda uow, v: v(uow.statistics), [
        lambda statistics: statistics.get_duration_percentile(0),
        lambda statistics: statistics.get_duration_percentile(30, 0),
        lambda statistics: statistics.get_duration_percentile(30, 101),
        lambda statistics: statistics.get_session_days(-1),
        lambda statistics: statistics.count_exchanges(NAIVE, MOMENT),
        lambda statistics: statistics.find_slowest(MOMENT, MOMENT, 0),
    ]),
    *each([0, -1, 1.5, None, True], "tests.find_flaky"),
    Bad("page", ValidationError, lambda uow, v: uow.devices.paginate(**v),
        [{"page": 0}, {"per_page": 0}, {"per_page": 10_001}, {"descending": True},
         {"descending": 1, "order_by": "id"}, {"descending": None}]),
    Bad("page by key", ValidationError, lambda uow, v: uow.devices.page_after(limit=v),
        [0, 10_001]),
    # Settings
    Bad("setting", ValidationError, lambda uow, v: uow.settings.set_value(v, 1),
        ["", " ", " lab", "lab ", "x" * 129, "a\0b", 1, None]),
    Bad("setting's description or category", ValidationError,
        lambda uow, v: uow.settings.set_value("lab.a", 1, *v),
        [("x" * 257, None), (1, None), (None, ""), (None, "x" * 65)]),
    # Columns and orderings
    Bad("column", QueryError, lambda uow, v: uow.devices.find_by(**{v: 1}),
        ["x", "notes", "id; --", "limit", "", "name_is_null", "connection_settings"]),
    Bad("ordering", QueryError, lambda uow, v: uow.devices.paginate(order_by=v),
        ["x", "", "notes", "id; --", 5, ["id"], b"id"]),
    Bad("null", QueryError, lambda uow, v: uow.devices.find_by(**{v: None}),
        ["id", "device_type", "is_active", "created_at"]),
    Bad("value of a filter", ValidationError, lambda uow, v: uow.devices.find_by(**v),
        [{"name": 5}, {"name": "\0"}, {"name": "x" * 129}, {"is_active": 1}, {"imei": "x"},
         {"device_type": "x"}, {"last_seen": NAIVE}]),
    # Records
    Bad("record", ValidationError, lambda uow, v: uow.devices.create(v),
        [None, "x", 5, {}, card(9), device]),
    Bad("records", ValidationError, lambda uow, v: uow.logs.add_log_batch(v),
        [None, 5, "x", [None], [device()], [entry(), {}], {"a": 1}]),
]  # fmt: skip


def test_bad_input_has_its_error_and_changes_nothing(filled: DatabaseManager) -> None:
    before = dump(filled)

    for bad in TABLE:
        for value in bad.values:
            said = f"{bad.name}: {value!r:.60}"
            with UnitOfWork(filled) as uow:
                with pytest.raises(DatabaseError) as refused:
                    bad.call(uow, value)
                if not isinstance(refused.value, IntegrityError):
                    uow.commit()
            assert type(refused.value) is bad.error, f"{said}: {refused.value!r}"
            assert len(str(refused.value)) < 2_000, said
        assert dump(filled) == before, bad.name


# Name of a call in TABLE, and what its last error says on every backend.
SAID = {
    "key taken": "a row with this key exists already: devices.id 'device-0001'",
    "identity taken": "a row with this key exists already: card_profiles.psk_identity 'card-1'",
    "session taken": f"a row with this key exists already: ota_sessions.id '{session_id(1)}'",
    "no device": "there is no device '%s' (ota_sessions.device_id)",
    "no card": f"there is no card '{iccid(9)}' (ota_sessions.card_iccid)",
    "no card for an update": f"there is no card '{iccid(9)}' (ota_sessions.card_iccid)",
    "no session": f"there is no session '{session_id(9)}' (comm_logs.session_id)",
    "no session in a batch": "a row refers to a session that does not exist (comm_logs.session_id)",
    "no card in a batch": f"there is no card '{iccid(9)}' (test_results.card_iccid)",
}


def test_a_refused_row_is_named_by_column_and_value(filled: DatabaseManager) -> None:
    said = {}
    for bad in (bad for bad in TABLE if bad.name in SAID):
        with UnitOfWork(filled) as uow, pytest.raises(IntegrityError) as refused:
            bad.call(uow, bad.values[-1])
        said[bad.name] = refused.value.what
        for parent in ("device", "card"):
            is_missing = refused.value.what.startswith(f"there is no {parent} ")
            assert (refused.value.remedy == f"run: cardlink-db {parent}s list") is is_missing
    assert said == SAID

    key = bytes(range(16))
    with UnitOfWork(filled) as uow, pytest.raises(IntegrityError, match="not shown") as refused:
        for number in (8, 9):
            uow.cards.create_with_psk(card(number), key, psk_identity=key.hex())
    assert key.hex() not in str(refused.value)


@pytest.mark.parametrize("char", "zA1 -")
def test_a_value_of_any_length_is_shown_at_once(char: str) -> None:
    # A peer may send it as its PSK identity: a search that is quadratic in it would take minutes.
    assert len(shown(char * 1_000_000)) <= 200
