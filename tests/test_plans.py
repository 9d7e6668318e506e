"""Plans: shown on the live database, and held to what grows."""

import json
import re

import pytest

from cardlink_sql import DatabaseManager
from cardlink_sql.dialect import Dialect
from cardlink_sql.errors import ValidationError
from cardlink_sql.model import tables
from cardlink_sql.model.times import utc_now
from cardlink_sql.queries import Rows, load_library
from cardlink_sql.review.databases import dataset
from cardlink_sql.review.databases.backend import Sent, asking
from cardlink_sql.review.databases.samples import given, placeholders
from tests.conftest import Run, card, device, dump

SQLITE, MYSQL, POSTGRESQL = Dialect.SQLITE, Dialect.MYSQL, Dialect.POSTGRESQL


def test_explain_shows_the_plan_in_the_databases_own_words(
    manager: DatabaseManager, run: Run
) -> None:
    url = manager.config.url
    explain = ("sql", "explain", "sessions.find_by", "-d", url)
    shown = run(*explain, "-p", "status=failed", "--order", "created_at").stdout
    assert {SQLITE: "SEARCH", MYSQL: "select_type", POSTGRESQL: "cost="}[manager.dialect] in shown
    shown = run(*explain, "-p", "id=x").stdout
    assert {SQLITE: "(id=?)", MYSQL: "const", POSTGRESQL: "(id)::text = 'x'"}[
        manager.dialect
    ] in shown
    said = run(*explain).stderr
    assert "placeholder: limit = 100" in said
    document = json.loads(run(*explain, "-p", "limit=7", "--json").stdout)
    assert (document["query"], document["dialect"]) == ("sessions.find_by", manager.dialect)
    assert document["placeholders"] == {"offset": "0"}
    assert "ota_sessions" in json.dumps(document["plan"])


def test_explain_writes_nothing_and_runs_only_what_reads(
    manager: DatabaseManager, run: Run
) -> None:
    with manager.engine.begin() as connection:
        rows = [(tables.devices, device()), (tables.card_profiles, card())]
        for table, record in rows:
            values = {c.name: getattr(record, c.name, None) for c in table.columns}
            at = {"created_at": record.created_at, "updated_at": record.updated_at}
            connection.execute(table.insert(), values | at)
    before = dump(manager)
    url = manager.config.url
    for title in ("devices.delete_by_id", "cards.clear_psk", "tests.create_results"):
        assert run("sql", "explain", title, "-d", url).returncode == 0
        refused = run("sql", "explain", title, "-d", url, "--analyze")
        assert (refused.returncode, "writes" in refused.stderr) == (2, True)
    assert dump(manager) == before

    measured = run("sql", "explain", "devices.find_by", "--analyze", "-d", url).stdout
    words = {SQLITE: "1 rows in", MYSQL: "r_rows|actual time", POSTGRESQL: "actual time"}
    assert re.search(words[manager.dialect], measured)


def test_every_query_but_copy_has_a_plan(manager: DatabaseManager) -> None:
    with asking(manager) as asked:
        for query in load_library(manager.dialect).all():
            if query.rows is not Rows.COPY and not query.source.needs:
                every = placeholders(query, query.required | query.conditions, utc_now())
                asked.explain(Sent(query, every))


def test_values_are_read_as_the_driver_takes_them() -> None:
    query = load_library(POSTGRESQL).query("devices", "create")
    values = given(
        query,
        ["last_seen=2026-03-29T02:00:00+02:00", "is_active=False", 'connection_settings={"a":1}'],
    )
    assert values["last_seen"].isoformat() == "2026-03-29T00:00:00+00:00"
    assert values["is_active"] is False
    assert values["connection_settings"] == '{"a":1}'
    many = given(load_library(SQLITE).query("logs", "delete_many"), ["ids=1,2,3"])
    assert many == {"ids": [1, 2, 3]}
    with pytest.raises(ValidationError, match="is not a valid json"):
        given(query, ["connection_settings={"])


def test_a_column_that_the_data_set_lacks_is_planned_over(monkeypatch: pytest.MonkeyPatch) -> None:
    query = load_library(SQLITE).query("devices", "find_by")
    monkeypatch.setattr(dataset, "rows", lambda _table, _dialect: iter([{}]))
    assert placeholders(query, ["name"], utc_now()) == {"name": "name"}
