"""The report: what its pages say, and that they are valid HTML."""

import os
import re
import subprocess
import sys
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element

import pytest
from hypothesis import given, settings, strategies as st
from jinja2 import Template

from cardlink_sql.dialect import Dialect
from cardlink_sql.errors import DatabaseError
from cardlink_sql.model.tables import metadata
from cardlink_sql.queries import load_internal, load_library
from cardlink_sql.queries.resources import folder
from cardlink_sql.review.impact import impact
from cardlink_sql.review.lock import hash_of
from cardlink_sql.review.migrations.schema_dump import committed_schema
from cardlink_sql.review.report import INDEX, gather, render, write_folder
from cardlink_sql.review.report.facts import Facts, QueryFacts, query_facts
from cardlink_sql.review.report.folder import MANIFEST
from cardlink_sql.review.report.pages import make_environment
from cardlink_sql.review.statements.footprint import footprints
from cardlink_sql.review.statements.variants import query_text
from cardlink_sql.schema.migrator.files import read_migrations
from tests.conftest import Run
from tests.html_tree import of_class, parse_html, text_of
from tests.parsing import parse

MATRIX = "matrix.html"
LETTERS = {"reads": "r", "inserts": "i", "updates": "u", "deletes": "d"}


@pytest.fixture(scope="module")
def facts() -> Facts:
    """Return what the report says."""
    return gather()


@pytest.fixture(scope="module")
def files(facts: Facts) -> dict[str, str]:
    """The files of the report."""
    return render(facts)


@pytest.fixture(scope="module")
def pages(files: Mapping[str, str]) -> dict[str, Element]:
    """The trees of its pages."""
    return {name: parse_html(text) for name, text in files.items() if name.endswith(".html")}


def section_of(pages: Mapping[str, Element], title: str) -> Element:
    gateway, _, name = title.partition(".")
    section = pages[f"gateway-{gateway}.html"].find(f".//section[@id='{name}']")
    assert section is not None, f"{title} is not in the report"
    return section


def statements(section: Element) -> list[str]:
    """Return the statements that a page or section shows, without plans."""
    return [text_of(pre) for shown in of_class(section, "versions") for pre in shown.iter("pre")]


# What it holds


def test_every_query_of_every_dialect_is_there(pages: Mapping[str, Element]) -> None:
    for dialect in Dialect:
        for query in load_library(dialect).all():
            section = section_of(pages, query.title)
            assert query_text(query) in statements(section)
            said = text_of(section)
            assert query.where in said
            assert dialect.servers in said or "Every dialect" in said
            for reason in filter(None, (query.source.differs, query.source.only)):
                assert reason in said
            for line in query.source.doc.splitlines():
                assert line in said
            for name in query.required | query.conditions | set(query.orders):
                assert name in [code.text for code in section.iter("code")]


def test_a_query_shows_types_columns_and_its_sender(pages: Mapping[str, Element]) -> None:
    section = section_of(pages, "sessions.find_matching")
    assert ["since", "optional", "timestamptz"] in cells(section)
    assert ["limit", "always", "int8"] in cells(section)
    said = text_of(section)
    assert "Any number of rows, each as OTASession: these 15 columns." in said
    assert "SessionGateway.find_matching cardlink_sql/gateways/sessions.py:" in said
    (shared,) = [a for a in section.iter("a") if a.text == "these 15 columns"]
    shape = pages["gateway-sessions.html"].find(f".//*[@id='{shared.get('href', '')[1:]}']")
    assert shape is not None
    assert ["started_at", "VARCHAR(32)", "DATETIME", "timestamptz"] in cells(shape)
    touched = section_of(pages, "cards.delete_by_id")
    assert ["updates", "ota_sessions", "card_iccid (by foreign key)"] in cells(touched)


def cells(element: Element) -> list[list[str]]:
    return [[text_of(cell).strip() for cell in row] for row in element.iter("tr")]


def test_every_table_and_column_is_in_the_schema_and_the_diagram(
    pages: Mapping[str, Element],
) -> None:
    index = pages[INDEX]
    boxes = {
        box.get("aria-label", "").removeprefix("table "): [text.text for text in box.iter("text")]
        for box in index.iter("g")
        if box.get("role") == "group"
    }
    assert boxes.keys() == metadata.tables.keys()
    for name, table in metadata.tables.items():
        page = pages[f"table-{name}.html"]
        for column in table.columns:
            assert column.name in boxes[name]
            row = page.find(f".//tr[@id='column-{column.name}']")
            assert row is not None
            _, _, *types, _, _ = (text_of(cell) for cell in row)
            for text, kind in zip(statements(page), types, strict=True):
                declared = rf"^    [\"`]?{column.name}[\"`]? +{re.escape(kind)}( |,|$)"
                assert re.search(declared, text, re.MULTILINE)
        for thing in (*table.indexes, *table.constraints):
            assert str(thing.name) in text_of(page)
    drawn = [text_of(line) for line in of_class(index, "reference")]
    assert len(drawn) == sum(len(t.foreign_key_constraints) for t in metadata.tables.values())
    assert sum("comm_logs (session_id) refers to ota_sessions (id)" in line for line in drawn) == 1


def test_the_ddl_of_the_tables_is_all_that_is_committed(pages: Mapping[str, Element]) -> None:
    shown = [statements(pages[f"table-{name}.html"]) for name in metadata.tables]
    for dialect, parts in zip(Dialect, zip(*shown, strict=True), strict=True):
        committed = committed_schema(dialect)
        whole = committed[committed.index("CREATE TABLE") :]
        assert sorted("\n\n".join(parts).splitlines()) == sorted(whole.strip().splitlines())


def test_the_matrix_has_the_letters_of_the_footprints(pages: Mapping[str, Element]) -> None:
    (table,) = pages[MATRIX].iter("table")
    head = [text_of(cell) for cell in table.iter("th") if cell.get("scope") == "col"][1:-1]
    assert head == list(metadata.tables)
    seen = {}
    for row in table.iter("tr"):
        name, *cells = row
        if name.get("scope") == "row":
            title = title_of(name)
            seen.update({(title, t): text_of(c) for t, c in zip(head, cells, strict=False)})
    titles = {query.title for dialect in Dialect for query in load_library(dialect).all()}
    assert seen == {(title, table): letters(title, table) for title in titles for table in head}


def title_of(cell: Element) -> str:
    """The query to which a row's first cell leads."""
    file, _, name = cell[0].get("href", "").partition("#")
    return f"{file.removeprefix('gateway-').removesuffix('.html')}.{name}"


def letters(title: str, table: str) -> str:
    """The letters of a query on a table, by the footprints."""
    found = [footprints(dialect)[title] for dialect in Dialect if title in footprints(dialect)]
    own, beyond = (
        "".join(
            letter
            for does, letter in LETTERS.items()
            if any(table in getattr(access, does) for one in found for access in accesses(one))
        )
        for accesses in (lambda one: [one.own], lambda one: [one.by_foreign_key])
    )
    return own + (f"({beyond})" if beyond else "")


def test_a_column_has_the_queries_that_touch_it(pages: Mapping[str, Element]) -> None:
    (table,) = of_class(pages["table-card_profiles.html"], "matrix")
    head = [text_of(cell) for cell in table.iter("th") if cell.get("scope") == "col"]
    touched = {
        title_of(row[0]): (text_of(row[1]), text_of(row[head.index("psk_key_encrypted")]))
        for row in table.iter("tr")
        if row[0].get("scope") == "row"
    }
    every = {one.query: "" for one in impact("card_profiles")}
    assert touched.keys() == every.keys()
    for one in impact("card_profiles", "psk_key_encrypted"):
        rows, column = touched[one.query]
        assert LETTERS[one.does] in (column if "psk_key_encrypted" in one.columns else rows)
    assert touched["cards.update_psk"] == ("", "u")
    assert touched["cards.find_by_device"][1] == "r"  # has_psk looks at it
    assert touched["cards.exists"][1] == ""


# Where forms differ


def marked(section: Element) -> list[list[str]]:
    return [[text_of(mark) for mark in one.iter("mark")] for one in of_class(section, "version")]


def test_differences_are_marked_word_by_word(pages: Mapping[str, Element]) -> None:
    sqlite, others = marked(section_of(pages, "sessions.find_open"))
    assert sqlite == ["INDEXED BY ix_ota_sessions_status_created_at_id"]
    assert others == []
    assert marked(section_of(pages, "sessions.start_session")) == [[]]


def test_every_query_that_differs_has_its_forms_side_by_side(
    facts: Facts, pages: Mapping[str, Element]
) -> None:
    differing = [query for query in facts.queries if len(query.forms) > 1]
    assert len(differing) > 10
    for query in facts.queries:
        section = section_of(pages, query.first.title)
        assert len(of_class(section, "version")) == len(query.forms)
        assert any(marked(section)) == (query in differing)
    for query in differing:
        parts = [
            len(of_class(one, "part"))
            for one in of_class(section_of(pages, query.first.title), "version")
        ]
        assert len(set(parts)) == 1, "the rows of the forms are level"


# The lock


def made(statement: str, doc: str = "Q.", **entry: Any) -> QueryFacts:
    """The facts of a query that is in no file, with what its lock has of it."""
    text = f"-- name: q :many\n-- {doc}\n{statement};"
    (query,) = parse(text, "sql/common/things.sql", Dialect.SQLITE)
    locked = {Dialect.SQLITE: {"queries": {"things.q": {"hash": hash_of(query), **entry}}}}
    return query_facts([query], locked, ())


def section(query: QueryFacts) -> Element:
    """Return its section, rendered and parsed."""
    template = make_environment().get_template("query.html", globals={"ours": ["ota_sessions"]})
    return parse_html(getattr(template.module, "query_section")(query, {}))  # noqa: B009


def test_a_plan_that_the_lock_has_is_shown_once_for_the_variants_that_share_it() -> None:
    plan = {"bare": ["SCAN a"], "order: x": ["SCAN a"], "when: y": ["SEARCH a (x<?)", "  SORT"]}
    (shown,) = of_class(section(made("SELECT 1", plan=plan)), "plan")
    assert [text_of(p) for p in shown.iter("p")] == ["bare; order: x", "when: y"]
    assert [text_of(pre) for pre in shown.iter("pre")] == ["SCAN a\n", "SEARCH a (x<?)\n  SORT\n"]
    assert of_class(section(made("SELECT 1")), "plan") == []


def test_a_lock_of_another_text_is_told() -> None:
    assert of_class(section(made("SELECT 1")), "warning") == []
    (warning,) = of_class(section(made("SELECT 1", hash="0")), "warning")
    assert "The lock of SQLite was written for another text" in text_of(warning)


def test_a_page_has_plans_indexes_and_locks(pages: Mapping[str, Element]) -> None:
    text = text_of(pages["plans.html"])
    reason = load_library(Dialect.SQLITE).query("exchange", "find_first_log").source.allow_scan
    assert re.search(rf"exchange\.find_first_log\s*comm_logs\s*{re.escape(str(reason))}", text)
    assert "deletes of devices look up its foreign key" in text
    assert "-- locks: test_results ACCESS EXCLUSIVE (reads and writes wait)" in text


def test_everything_is_on_one_page_and_each_page_has_its_stamp(
    pages: Mapping[str, Element],
) -> None:
    text = text_of(pages["everything.html"])
    for dialect in Dialect:
        for query in (*load_library(dialect).all(), *load_internal(dialect).all()):
            assert query_text(query) in text, query.title
        assert committed_schema(dialect) in text
    newest = read_migrations(folder("migrations"), Dialect.SQLITE)[-1].id
    for page in pages.values():
        footer = page.find(".//footer")
        assert footer is not None
        assert re.search(rf"Release \d\S+, migrations up to {newest}\. ", text_of(footer))


# Sound HTML


def test_every_link_leads_somewhere_in_the_report(
    files: Mapping[str, str], pages: Mapping[str, Element]
) -> None:
    anchors = {
        name: [e.get("id") for e in page.iter() if e.get("id")] for name, page in pages.items()
    }
    for name, page in pages.items():
        assert len(anchors[name]) == len(set(anchors[name])), name
        for one in page.iter():
            for attribute in ("href", "src", "aria-labelledby"):
                target = one.get(attribute)
                if target is None:
                    continue
                file, _, anchor = target.partition("#") if attribute == "href" else ("", "", target)
                assert (file or name) in files, f"{name}: {target}"
                assert not anchor or anchor in anchors[file or name], f"{name}: {target}"


def test_nothing_runs_and_nothing_comes_from_elsewhere(
    files: Mapping[str, str], pages: Mapping[str, Element]
) -> None:
    for name, page in pages.items():
        assert files[name].startswith("<!DOCTYPE html>\n<html")
        tags = {one.tag for one in page.iter()}
        assert not tags & {"script", "iframe", "object", "embed", "form", "img", "base"}, name
        assert not [a for one in page.iter() for a in one.attrib if a.startswith("on")], name
        headings = [int(one.tag[1]) for one in page.iter() if re.fullmatch(r"h[1-6]", one.tag)]
        steps = pairwise(headings)
        assert headings.count(1) == 1
        assert all(below <= above + 1 for above, below in steps), name
    assert not re.search(r"@import|url\(|http", files["report.css"])


@pytest.fixture(scope="module")
def paragraph() -> Template:
    """A template with a text inside and in an attribute."""
    return make_environment().from_string('<p title="{{ text }}">{{ text }}</p>')


@settings(max_examples=50)
@given(text=st.text(max_size=40))
def test_whatever_text_goes_in_comes_out_as_text(paragraph: Template, text: str) -> None:
    root = parse_html(paragraph.render(text=text))
    assert root.find("*") is None
    assert root.get("title") == text_of(root)
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e]", text_of(root))
    if text.isprintable():
        assert text_of(root) == text


def test_the_text_of_a_query_is_no_html() -> None:
    evil = "</pre><script>alert('&amp;')</script>\u202e\x1b"
    query = made(
        f"SELECT '{evil.replace(chr(39), chr(39) * 2)}' WHERE 1 < 2 AND 'a' <> \"b\"", evil
    )
    shown = section(query)
    assert not list(shown.iter("script"))
    (statement,) = statements(shown)
    assert "1 < 2 AND 'a' <> \"b\"" in statement
    assert "</pre><script>alert(''&amp;'')</script>\\u202e\\x1b" in statement
    assert "</pre><script>alert('&amp;')</script>\\u202e\\x1b" in text_of(of_class(shown, "doc")[0])


# The folder


def test_a_report_has_the_same_bytes_again_and_replaces_an_older_one_and_nothing_else(
    tmp_path: Path, facts: Facts, files: Mapping[str, str]
) -> None:
    folder = tmp_path / "made" / "it"
    write_folder(folder, {**files, "gateway-gone.html": "old"})
    (folder / "notes.txt").write_text("mine")
    (folder / MATRIX).write_text("old")
    environment = {**os.environ, "PYTHONHASHSEED": "4711"}
    command = "from cardlink_sql.cli import main; main(['sql', 'report', '--output', 'made/it'])"
    done = subprocess.run(
        [sys.executable, "-c", command],
        cwd=tmp_path, env=environment, capture_output=True, text=True, check=True,
    )  # fmt: skip
    pages = sum(name.endswith(".html") for name in files)
    wrote = f"Wrote {len(facts.queries)} queries on {pages} pages: made/it/index.html"
    assert wrote in done.stdout
    found = {file.name: file.read_text("utf-8") for file in folder.iterdir()}
    assert found.pop("notes.txt") == "mine"
    assert found.pop(MANIFEST).splitlines() == sorted(files)
    assert found == files


def test_a_folder_with_something_else_is_refused(run: Run, tmp_path: Path) -> None:
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / "index.html").write_text("mine")
    for name, said in (("work", "holds files but no report"), ("work/index.html", "is a file")):
        done = run("sql", "report", "--output", name)
        assert done.returncode == 2
        assert said in done.stderr
        assert done.stderr.count("\n") == 2
    assert [one.name for one in tmp_path.rglob("*")] == ["work", "index.html"]
    assert (tmp_path / "work" / "index.html").read_text() == "mine"
    assert run("sql", "report").returncode == 2


def test_an_interrupted_report_has_no_first_page_and_is_made_whole_by_the_next(
    tmp_path: Path, files: Mapping[str, str]
) -> None:
    folder = tmp_path / "report"
    write_folder(folder, files)
    with pytest.raises(DatabaseError, match="cannot be written"):
        write_folder(folder, {**files, "no/folder.html": ""})
    assert not (folder / INDEX).exists()
    write_folder(folder, files)
    assert {one.name for one in folder.iterdir()} == {*files, MANIFEST}
