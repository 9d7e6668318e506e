"""``cardlink-db sql indexes``: the queries that need each index, and its figures."""

import json
from typing import Any

import pytest
from sqlalchemy import Index

from cardlink_sql import Dialect
from cardlink_sql.manager import DatabaseManager
from cardlink_sql.model.tables import metadata
from cardlink_sql.review.indexes import check_indexes
from tests.conftest import Run, add, device
from tests.roles import execute


def shown(run: Run, *arguments: str) -> dict[str, dict[str, Any]]:
    done = run("sql", "indexes", "--json", *arguments)
    assert done.returncode == 0, done.stderr
    return {one["name"]: one for one in json.loads(done.stdout)}


def test_indexes_are_listed_with_the_queries_that_need_them(run: Run) -> None:
    listed = shown(run)
    own = listed["ix_ota_sessions_created_at_id_status_duration_ms"]
    assert own["columns"] == ["created_at", "id", "status", "duration_ms"]
    assert all("sessions.find_by_date_range" in own["queries"][dialect] for dialect in Dialect)
    unique = listed["uq_card_profiles_psk_identity"]
    assert "cards.get_psk_key_by_identity" in unique["queries"]["sqlite"]
    assert unique["reason"] == "it refuses equal values"
    key = listed["ix_test_results_device_id_started_at_created_at"]
    assert key["reason"] == "deletes of devices look up its foreign key"
    # A count of all rows walks the smallest index.
    assert "server.table_rows" not in str(listed)


def test_an_index_that_no_query_needs_is_a_fault_unless_a_key_does(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert check_indexes() == []
    devices = metadata.tables["devices"]
    monkeypatch.setattr(devices, "indexes", set(devices.indexes))
    Index("ix_unused", devices.c.model)
    Index("ix_one", devices.c.imei, unique=True)
    done = run("sql", "check", "--locked")
    assert done.returncode == 1
    assert "no query needs the index ix_unused of devices" in done.stdout
    assert "ix_one" not in done.stdout


def test_a_live_database_tells_uses_and_bytes(empty_url: str, run: Run) -> None:
    assert run("init", "-d", empty_url).returncode == 0
    with DatabaseManager(empty_url) as manager:
        execute(manager, "CREATE INDEX ix_of_someone ON devices (model)")
        add(manager, device(1))
        dialect = manager.dialect
        of = " ON devices" if dialect is Dialect.MYSQL else ""
        execute(manager, f"DROP INDEX ix_devices_last_seen{of}")
        if dialect is Dialect.POSTGRESQL:
            iccid = "CAST('ix_devices_iccid' AS REGCLASS)"
            execute(manager, f"UPDATE pg_index SET indisvalid = FALSE WHERE indexrelid = {iccid}")
    done = run("sql", "indexes", "-d", empty_url)
    listed = shown(run, "-d", empty_url)
    assert listed["ix_devices_iccid"]["bytes"] > 0
    assert [name for name, one in listed.items() if one["table"] is None] == ["ix_of_someone"]
    assert listed["ix_of_someone"]["state"] == "valid"
    missing = {name for name, one in listed.items() if one["state"] == "missing"}
    assert missing == {"ix_devices_last_seen"}
    assert all(list(one["queries"]) in ([], [dialect]) for one in listed.values())
    assert ("ix_comm_logs_timestamp" in listed) is (dialect is Dialect.POSTGRESQL)
    assert "ix_of_someone" in run("status", "-d", empty_url).stdout
    if dialect is Dialect.POSTGRESQL:
        assert listed["ix_devices_iccid"]["uses"] == 0
        assert listed["ix_devices_iccid"]["state"] == "invalid"
        assert not done.stderr
    if dialect is Dialect.SQLITE:
        assert listed["ix_devices_iccid"]["uses"] is None
        assert "note: SQLite does not count how often an index is used" in done.stderr
