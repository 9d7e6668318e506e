"""``cardlink-db sql``, as a DBA runs it."""

import json
import re
from itertools import islice
from pathlib import Path

import pytest

from cardlink_sql import DatabaseConfig, DatabaseManager
from cardlink_sql.cli.sql import checking
from cardlink_sql.dialect import Dialect
from cardlink_sql.queries import load_library
from cardlink_sql.queries.library import read_library
from cardlink_sql.review.databases import dataset, target
from tests.conftest import Run
from tests.mutations import Mutation, mutated
from tests.parsing import parse


def test_list_has_every_query_with_what_it_takes_and_touches(run: Run) -> None:
    listed = {one["name"]: one for one in json.loads(run("sql", "list", "--json").stdout)}
    assert listed.keys() == {q.title for d in Dialect for q in load_library(d).all()}
    stale = listed["sessions.close_stale"]
    assert stale["rows"] == "exec"
    assert stale["parameters"] == ["before", "ended_at"]
    assert stale["tables_read"] == ["comm_logs", "ota_sessions"]
    assert stale["tables_written"] == ["ota_sessions"]
    assert stale["differs"] == ["sqlite", "mysql", "postgresql"]
    assert "status" in listed["sessions.find_by"]["optional"]
    assert "created_at" in listed["sessions.find_by"]["orders"]

    shown = run("sql", "list", "--gateway", "logs").stdout
    assert "logs.copy_log_batch" in shown
    assert "sessions." not in shown


@pytest.mark.parametrize("dialect", Dialect)
def test_show_prints_every_query_so_that_it_reads_back_the_same(run: Run, dialect: Dialect) -> None:
    for query in load_library(dialect).all()[::7]:
        printed = run("sql", "show", query.title, "--dialect", dialect).stdout
        assert f"/* cardlink:{query.title} */" in printed
        assert query.source.doc.splitlines()[0] in printed
        body = "\n".join(s for s in printed.splitlines() if not s.startswith("-- "))
        text = f"-- name: {query.source.name} :{query.rows}\n-- As shown.\n{body}"
        (again,) = parse(text, query.source.file, dialect)
        label = f" /* cardlink:{query.title} */"
        assert again.as_written().sql.replace(label, "", 1) == query.as_written().sql
        assert again.conditions == query.conditions
        assert again.orders == query.orders


def test_show_gives_each_form_that_differs(run: Run) -> None:
    forms = json.loads(run("sql", "show", "sessions.find_open", "--json").stdout)
    assert [form["dialects"] for form in forms] == [["sqlite"], ["mysql", "postgresql"]]
    assert "INDEXED BY" in forms[0]["sql"]
    assert forms[0]["differs"]
    both = run("sql", "show", "sessions.find_open").stdout
    assert "-- for sqlite, from sql/sqlite/sessions.sql:" in both
    assert "-- for mysql, postgresql, from sql/common/sessions.sql:" in both


def test_impact_names_who_touches_a_column_and_how(run: Run) -> None:
    found = json.loads(run("sql", "impact", "card_profiles.psk_key_encrypted", "--json").stdout)
    does = {(one["query"], one["does"]) for one in found}
    assert ("cards.get_psk_key", "reads") in does
    assert ("cards.update_psk", "updates") in does
    assert ("cards.delete_by_id", "deletes") in does
    assert not [name for name, _ in does if name.startswith(("devices.", "logs.", "settings."))]
    assert ("cards.update", "updates") not in does

    taken_along = json.loads(run("sql", "impact", "comm_logs", "--json").stdout)
    assert ("sessions.delete_by_id", "foreign key") in {(o["query"], o["by"]) for o in taken_along}
    shown = run("sql", "impact", "comm_logs.status_word").stdout
    assert "logs.find_matching" in shown


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["impact", "comm_log"], "there is no table 'comm_log'; near: comm_logs"),
        (["impact", "comm_logs.staus_word"], "has no column 'staus_word'; near: status_word"),
        (["impact", "x"], "there are: "),
        (["show", "sessions.find_activ"], "there is no query 'sessions.find_activ'; near: sessio"),
        (["show", "logs.copy_log_batch", "--dialect", "mysql"], "is not a query of mysql"),
        (["list", "--gateway", "session"], "there is no gateway 'session': cards, "),
        (["show"], "NAME"),
    ],
)
def test_an_unknown_name_is_wrong_usage_with_the_nearest_ones(
    arguments: list[str], said: str, run: Run
) -> None:
    done = run("sql", *arguments)
    assert done.returncode == 2
    assert said in done.stderr
    assert len(done.stderr.splitlines()) <= 2


def test_check_on_a_scratch_database_judges_the_plans_on_a_data_set(
    empty_url: str, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A small part of it, to be quick: what it finds is no matter here.
    monkeypatch.setattr(target, "rows", lambda *table: islice(dataset.rows(*table), 400))
    dialect = DatabaseConfig(empty_url).dialect
    done = run("sql", "check", "--json", "--dialect", dialect, "-d", empty_url)
    report = json.loads(done.stdout)
    assert report["plans"] is True
    assert {fault["check"] for fault in report["faults"]} <= {"plan"}
    assert report["database"].startswith("a scratch database ")
    assert report["queries"] + len(report["not_checked"]) == len(load_library(dialect).all())
    assert all(title.startswith("server.read_") for title in report["not_checked"])
    assert report["variants"] > 2 * report["queries"]


def test_check_judges_no_plan_where_the_data_set_does_not_fit(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    folder, _ = mutated(
        tmp_path / "sql",
        Mutation("common/logs.sql", "add_log_batch", "  raw_data,\n", "  raw_date,\n", "", ""),
    )
    library = read_library(folder, Dialect.SQLITE)
    monkeypatch.setattr(checking, "load_library", lambda _dialect: library)
    done = run("sql", "check")
    assert done.returncode == 1
    assert "logs.add_log_batch (sqlite): table comm_logs has no column named" in done.stdout
    assert "the plans were not judged, for the data set needs logs.add_log_batch" in done.stderr
    lines = run("sql", "check", "--format", "github").stdout
    at = r"::error file=sql/common/logs\.sql,line=\d+,col=\d+"
    assert re.search(rf"^{at},title=prepare::logs\.add_log_batch \(sqlite\): table", lines, re.M)
    document = json.loads(run("sql", "check", "--format", "sarif").stdout)
    assert document["version"] == "2.1.0"
    (made,) = document["runs"]
    assert [rule["id"] for rule in made["tool"]["driver"]["rules"]] == ["pairs", "prepare"]
    result = made["results"][-1]
    assert (result["ruleId"], result["ruleIndex"], result["level"]) == ("prepare", 1, "error")
    assert result["message"]["text"].startswith("logs.add_log_batch (sqlite): ")
    place = result["locations"][0]["physicalLocation"]
    assert place["artifactLocation"]["uri"] == "sql/common/logs.sql"
    assert place["region"]["startLine"] > 1


def test_list_and_show_tell_why_a_query_may_scan(run: Run) -> None:
    reason = load_library(Dialect.SQLITE).query("logs", "find_matching").source.allow_scan
    listed = {one["name"]: one for one in json.loads(run("sql", "list", "--json").stdout)}
    assert listed["logs.find_matching"]["allow_scan"] == reason
    assert listed["logs.get_by_id"]["allow_scan"] is None
    (shown,) = json.loads(run("sql", "show", "logs.find_matching", "--json").stdout)
    assert shown["allow_scan"] == reason
    assert f"-- allow-scan: {reason}\n" in run("sql", "show", "logs.find_matching").stdout


def test_check_lists_every_fault_of_a_live_database_and_passes_a_mended_one(
    empty_url: str, run: Run
) -> None:
    run("migrate", "--revision", "0001", "-d", empty_url)
    rename = "ALTER TABLE settings RENAME COLUMN {} TO {}"
    manager = DatabaseManager(DatabaseConfig(empty_url))
    with manager, manager.engine.begin() as connection:
        connection.exec_driver_sql(rename.format("category", "kategory"))
    done = run("sql", "check", "-d", empty_url)
    assert done.returncode == 1
    assert "is not applied to" in done.stdout
    assert "the column category is missing" in done.stdout
    assert re.search(r"sql/common/settings\.sql:\d+:\d+: settings\.find_by \(\w+\): ", done.stdout)
    assert "near: category" in done.stdout

    with manager, manager.engine.begin() as connection:
        connection.exec_driver_sql(rename.format("kategory", "category"))
    assert run("migrate", "-d", empty_url).returncode == 0
    live = run("sql", "check", "-d", empty_url)
    assert live.returncode == 0, live.stdout
    assert ": no faults." in live.stdout
    assert "note: the plans were not judged on a live database" in live.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["check", "--dialect", "mysql"], 2, "a scratch database of mysql needs the --url"),
        (["check", "-d", "sqlite:///none.db"], 1, "the database file does not exist"),
    ],
)
def test_check_says_what_it_cannot_do(
    arguments: list[str], code: int, said: str, run: Run, tmp_path: Path
) -> None:
    done = run("sql", *arguments)
    assert done.returncode == code
    assert said in done.stderr
    assert list(tmp_path.iterdir()) == []
