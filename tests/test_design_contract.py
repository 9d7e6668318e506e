"""The calls of the design that CardLink's components were written against.

What differs is in the gateways' guide, under "Coming from the design".
"""

import ast
import inspect
import json
from collections.abc import Callable
from dataclasses import fields
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

import cardlink_sql
from cardlink_sql import (
    CardProfile,
    DatabaseConfig,
    DatabaseError,
    DatabaseEvent,
    DatabaseManager,
    EventBus,
    Page,
    RunComparison,
    SessionStatistics,
    TestRunSummary,
    UnitOfWork,
    ValidationError,
)
from cardlink_sql.gateways.cards import CardGateway
from cardlink_sql.gateways.devices import DeviceGateway
from cardlink_sql.gateways.logs import LogGateway
from cardlink_sql.gateways.sessions import SessionGateway
from cardlink_sql.gateways.settings import SettingGateway
from cardlink_sql.gateways.tests import TestGateway
from cardlink_sql.transfer.exchange import Conflict, import_file
from tests.conftest import card, device, dump, iccid, on_sqlite, session_id

GUIDE = Path(__file__).parents[1] / "cardlink_sql" / "guides" / "gateways.md"

EVERY_GATEWAY = """
get_by_id(key)
get_all(limit=None)
find_by(**filters)
find_one_by(**filters)
create(record)
create_all(records)
update(record)
delete(record)
delete_by_id(key)
exists(key)
count()
count_by(**filters)
paginate(page=1, per_page=20, order_by=None, descending=False)
"""
DESIGN: dict[type[Any], str] = {
    DatabaseConfig: "__init__(url, pool_size=5, max_overflow=10, pool_timeout=30, echo=False)",
    DatabaseManager: "initialize()\ncreate_tables()\ndrop_tables()\nclose()\nhealth_check()",
    UnitOfWork: "__init__(db_manager)\ncommit()\nrollback()\nclose()",
    DeviceGateway: """
find_by_type(device_type)
find_phones()
find_modems()
find_active()
find_recent(hours=24)
search(text)
update_last_seen(device_id)
find_by_iccid(iccid)
deactivate(device_id)
""",
    CardGateway: """
create_with_psk(profile, psk_key)
get_psk_key(iccid)
update_psk(iccid, psk_identity, psk_key)
find_by_type(card_type)
find_with_psk()
find_by_admin_url(admin_url)
export_profile(iccid)
""",
    SessionGateway: """
create_session(device_id=None, card_iccid=None, session_type=None)
start_session(session_id)
complete_session(session_id)
fail_session(session_id, error_code, error_message)
set_tls_info(session_id, cipher_suite, psk_identity)
find_by_device(device_id, limit=100)
find_by_card(iccid, limit=100)
find_by_status(status)
find_active()
find_by_date_range(start, end)
get_statistics(days=7)
""",
    LogGateway: """
add_log(session_id, direction, raw_data, decoded_data=None, status_word=None, \
status_message=None, latency_ms=None)
add_log_batch(session_id, direction, raw_data, **fields)
flush_batch()
find_by_session(session_id)
find_by_direction(session_id, direction)
find_commands(session_id)
find_responses(session_id)
find_by_status(session_id, status_word)
find_errors(session_id)
search_hex(pattern, session_id=None)
purge_old(days)
count_by_session(session_id)
export_session_logs(session_id)
""",
    TestGateway: """
create_result(run_id, suite_name, test_name, status, started_at, device_id=None, \
card_iccid=None, ended_at=None, duration_ms=None, error_message=None, assertions=None, \
metadata=None)
find_by_run(run_id)
find_by_suite(suite_name, limit=100)
find_by_status(status)
find_failures(run_id=None)
get_run_summary(run_id)
compare_runs(run_id1, run_id2)
export_junit_xml(run_id)
""",
    SettingGateway: """
get_value(key, default)
set_value(key, value, description=None, category)
get_by_category(category)
get_all_settings()
export_yaml()
import_yaml(text)
reset_to_defaults(category=None)
""",
}
GATEWAYS = [one for one in DESIGN if one.__name__.endswith("Gateway")]
MEMBERS = [
    (kind, line)
    for kind, text in DESIGN.items()
    for line in (text + (EVERY_GATEWAY if kind in GATEWAYS else "")).split("\n")
    if line
]
FIELDS: dict[type[Any], set[str]] = {
    Page: {"items", "total", "page", "per_page", "pages", "has_next", "has_prev"},
    SessionStatistics: {
        "total_sessions", "by_status", "avg_duration_ms", "success_rate", "period_days",
    },
    TestRunSummary: {"total", "passed", "failed", "pass_rate", "started_at", "ended_at"},
    RunComparison: {"regressions", "improvements", "new_tests", "removed_tests"},
}  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "line"), MEMBERS, ids=[f"{kind.__name__}.{line[:40]}" for kind, line in MEMBERS]
)
def test_a_call_of_the_design_is_taken(kind: type[Any], line: str) -> None:
    name, _, rest = line.partition("(")
    expected = [one.strip() for one in rest.removesuffix(")").split(",") if one.strip()]
    ours = list(inspect.signature(getattr(kind, name)).parameters.values())[1:]
    for one, wanted in zip(ours, expected, strict=False):
        parameter, has_default, default = wanted.partition("=")
        assert str(one).partition(":")[0] == parameter
        if has_default:
            assert one.default == ast.literal_eval(default), parameter
    assert len(ours) >= len(expected)
    needed = [one.name for one in ours[len(expected) :] if one.default is one.empty]
    assert [one for one in needed if not str(one).startswith("filters")] == []


@pytest.mark.parametrize(("record", "names"), FIELDS.items(), ids=[one.__name__ for one in FIELDS])
def test_figures_have_the_names_of_the_design(record: type[Any], names: set[str]) -> None:
    assert names <= {one.name for one in fields(record)} | set(dir(record))


def test_what_the_design_returns(uow: UnitOfWork) -> None:
    assert uow.devices.create_all([device(1)]) == [uow.devices.get_by_id("device-0001")]
    made = uow.cards.create_with_psk(CardProfile(iccid(1), psk_identity="card-1"), b"k" * 16)
    assert (made.psk_identity, made.has_psk) == ("card-1", True)
    session = uow.sessions.create_session("device-0001", iccid(1), "polled")
    uow.sessions.create_session()
    uow.sessions.start_session(session.id)
    assert [one.id for one in uow.sessions.find_active()] == [session.id]
    assert len(uow.sessions.find_open()) == 2
    figures = uow.sessions.get_statistics()
    assert (figures.total_sessions, figures.period_days) == (2, 7)
    assert figures.by_status["active"] == figures.by_status["pending"] == 1  # type: ignore[index]
    pages = [uow.sessions.paginate(page, 1) for page in (1, 2, 3)]
    assert [(page.has_next, page.has_prev) for page in pages] == [
        (True, False), (False, True), (False, True),
    ]  # fmt: skip


def test_figures_become_dictionaries(uow: UnitOfWork) -> None:
    stored = uow.devices.create(device(1))
    for run, status in (("run-1", "passed"), ("run-2", "failed")):
        uow.tests.create_result(run, "suite", "test", status)  # type: ignore[arg-type]
    summary, compared = uow.tests.get_run_summary("run-1"), uow.tests.compare_runs("run-1", "run-2")
    figures = (uow.devices.paginate(), uow.sessions.get_statistics(), summary, compared)
    page, statistics, run, changes = (json.loads(json.dumps(one.to_dict())) for one in figures)
    assert [FIELDS[type(one)] - one.to_dict().keys() for one in figures] == [set()] * 4
    assert (page["items"], page["has_next"]) == ([stored.to_dict()], False)
    assert statistics["by_status"]["pending"] == 0
    assert run["suites"][0]["started_at"] == summary.suites[0].started_at.isoformat()  # type: ignore[union-attr]
    assert [one["test_name"] for one in changes["regressions"]] == ["test"]


def test_a_log_is_written_as_the_design_writes_it(uow: UnitOfWork) -> None:
    key = uow.sessions.create_session().id
    uow.logs.add_log(key, "command", "00a4", "SELECT")
    added = uow.logs.add_log(key, "response", "6a82", None, None, None, 3.5)
    uow.logs.add_log_batch(key, "response", "9000", latency_ms=1.0)
    assert uow.logs.flush_batch() == 3
    stored = uow.logs.find_by_session(key)
    assert (added.raw_data, added.status_word, added.latency_ms) == ("6A82", "6A82", 3.5)
    added.id = stored[1].id
    assert stored[1] == added
    assert uow.logs.find_by_direction(key, "command") == stored[:1]
    assert uow.logs.find_by_status(key, "9000") == stored[2:]


# What differs fails, and does not do something else.
LOUD: dict[str, Callable[[UnitOfWork], Any]] = {
    "create_with_psk without an identity": lambda uow: uow.cards.create_with_psk(card(2), b"k"),
    "create_with_psk with the identity second": lambda uow: uow.cards.create_with_psk(
        card(2),
        "card-2",
        b"k",  # type: ignore[misc,arg-type]
    ),
    "get_psk_key of no card": lambda uow: uow.cards.get_psk_key(iccid(9)),
    "update_psk of no card": lambda uow: uow.cards.update_psk(iccid(9), "nobody", b"k" * 16),
    "export_profile with the key": lambda uow: uow.cards.export_profile(iccid(1), True),  # type: ignore[misc]
    "update_last_seen of no device": lambda uow: uow.devices.update_last_seen("nobody"),
    "deactivate no device": lambda uow: uow.devices.deactivate("nobody"),
    "start_session of no session": lambda uow: uow.sessions.start_session(session_id(9)),
    "find_by_direction the old way": lambda uow: uow.logs.find_by_direction("command"),  # type: ignore[call-arg]
    "get_value of no setting": lambda uow: uow.settings.get_value("nothing"),
    "get_run_summary of no run": lambda uow: uow.tests.get_run_summary("nothing"),
    "export_profile of no card": lambda uow: uow.cards.export_profile(iccid(9)),
    "export_junit_xml of no run": lambda uow: uow.tests.export_junit_xml("nothing"),
    "search_hex of half a byte": lambda uow: uow.logs.search_hex("0A4"),
    "a time without a zone": lambda uow: uow.sessions.find_by_date_range(
        datetime(2026, 1, 1),  # noqa: DTZ001
        datetime(2026, 1, 2),  # noqa: DTZ001
    ),
    "session of the unit of work": lambda uow: uow.session,  # type: ignore[attr-defined]
    "session_scope": lambda _uow: DatabaseManager.session_scope,  # type: ignore[attr-defined]
    "DatabaseConfig without a URL": lambda _uow: DatabaseConfig(None),  # type: ignore[arg-type]
    "off without a handler": lambda _uow: EventBus().off("*"),  # type: ignore[call-arg]
    "emit of four": lambda _uow: EventBus().emit("*", "device", "x", {}),  # type: ignore[call-arg,arg-type]
    "on of another type": lambda _uow: EventBus().on("session.created", print),
    "DatabaseEvent by position": lambda _uow: DatabaseEvent("*", "device", "x", "2026", {}),  # type: ignore[call-arg,arg-type]
    "DatabaseEventEmitter": lambda _uow: cardlink_sql.DatabaseEventEmitter,
    "DataExporter": lambda _uow: cardlink_sql.DataExporter,
    "DataImporter": lambda _uow: cardlink_sql.DataImporter,
    "figures as a dictionary": lambda uow: uow.sessions.get_statistics()["total_sessions"],  # type: ignore[index]
}


@on_sqlite
@pytest.mark.parametrize("call", LOUD.values(), ids=LOUD.keys())
def test_what_differs_from_the_design_fails(
    call: Callable[[UnitOfWork], Any], uow: UnitOfWork
) -> None:
    with pytest.raises((DatabaseError, TypeError, AttributeError)):
        call(uow)


def test_what_differs_is_in_the_guide() -> None:
    table = GUIDE.read_text("utf-8").partition("## Coming from the design")[2]
    first = {name.split()[0] for name in LOUD}
    methods = {name for name in first if "_" in name or name.startswith("Data")}
    assert [name for name in sorted(methods) if f"`{name}" not in table] == []


def design_export(**tables: Any) -> dict[str, Any]:
    """What the design's DataExporter returns, before it is text."""
    return {
        "exported_at": "2026-11-22T22:17:13.668544",
        "devices": [{"id": "R58M", "name": None, "device_type": "phone", "iccid": iccid(1),
                     "last_seen": "2025-06-01T09:59:00"}],
        "card_profiles": [{"iccid": iccid(1), "card_type": "USIM", "psk_identity": "card-1"}],
        "sessions": [
            {
                "id": session_id(1), "device_id": "R58M", "card_iccid": iccid(1),
                "session_type": "polled", "status": "completed", "duration_ms": 1500,
                "started_at": "2026-11-20T10:00:00", "ended_at": "2026-11-20T10:00:01.500000",
                "tls_cipher_suite": "PSK-AES128-CBC-SHA256",
            }
        ],
        "settings": {"server.port": 8444, "lab.note": "12:30"},
        **tables,
    }  # fmt: skip


@pytest.mark.parametrize("suffix", ["json", "yaml"])
def test_an_export_of_the_design_is_imported(
    manager: DatabaseManager, tmp_path: Path, suffix: str
) -> None:
    path = tmp_path / f"design.{suffix}"

    def take(document: dict[str, Any], conflict: Conflict = Conflict.SKIP) -> list[tuple[int, ...]]:
        write = json.dumps if suffix == "json" else yaml.dump
        path.write_text(write(document), "utf-8")
        tables = import_file(manager, path, conflict=conflict).tables.values()
        return [(one.created, one.updated, one.skipped, one.unchanged) for one in tables]

    new, same, none = (1, 0, 0, 0), (0, 0, 0, 1), (0, 0, 0, 0)
    assert take(design_export()) == [new, new, new, none, none, (2, 0, 0, 0)]
    assert take(design_export()) == [same, same, same, none, none, (0, 0, 0, 2)]
    with UnitOfWork(manager, read_only=True) as uow:
        ended = uow.sessions.get_by_id(session_id(1))
        assert ended is not None and ended.started_at is not None
        assert ended.created_at == ended.started_at
        assert ended.started_at.isoformat() == "2026-11-20T10:00:00+00:00"
        assert uow.settings.get_value("lab.note") == "12:30"
    named = [{"id": "R58M", "device_type": "phone", "name": "bench"}]
    rows = [{"key": "server.port", "value": 8445, "category": "server"}]
    assert take(design_export(devices=named, settings=rows))[0] == (0, 0, 1, 0)
    merged = take(design_export(devices=named, settings=rows), Conflict.MERGE)
    assert (merged[0], merged[5]) == ((0, 1, 0, 0), (0, 0, 1, 0))
    assert take(design_export(settings=rows), Conflict.OVERWRITE)[5] == (0, 1, 0, 0)


@on_sqlite
@pytest.mark.parametrize("suffix", ["json", "yaml"])
def test_an_export_of_the_design_is_imported_whole_or_not(
    manager: DatabaseManager, tmp_path: Path, suffix: str
) -> None:
    document = design_export(
        card_profiles=[{"iccid": iccid(1), "psk_key": "00" * 16}],
        sessions=[{"id": session_id(1), "status": "gone", "started_at": "soon"}],
        settings={"server.port": 70_000},
        scripts=[],
    )
    path = tmp_path / f"design.{suffix}"
    path.write_text((json.dumps if suffix == "json" else yaml.dump)(document), "utf-8")
    before = dump(manager)
    with pytest.raises(ValidationError) as refused:
        import_file(manager, path)
    assert {line.split(": ")[0].strip() for line in str(refused.value).splitlines()[1:]} == {
        "card_profiles[0].psk_key", "sessions[0].status", "sessions[0].started_at",
        "sessions[0].created_at", "settings.server.port.value", "scripts",
    }  # fmt: skip
    assert dump(manager) == before
