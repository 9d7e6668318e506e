"""Settings as YAML: what is written reads back equal, and whatever is wrong is named."""

from typing import Any

import pytest
import yaml
from hypothesis import given, settings as example_settings, strategies as st
from ruamel.yaml import YAML

from cardlink_sql import UnitOfWork
from cardlink_sql.database.event_bus import DatabaseEvent
from cardlink_sql.dialect import Dialect
from cardlink_sql.errors import ValidationError
from cardlink_sql.formats.problems import Problems
from cardlink_sql.formats.settings_yaml import read_settings, write_settings
from cardlink_sql.formats.strict_yaml import Author, read_yaml, write_yaml
from cardlink_sql.manager import DatabaseManager
from cardlink_sql.model.records.setting import SettingInForce
from tests.conftest import Migrated, committed, on_sqlite
from tests.test_settings import DEFAULTS, json_text, json_values, same

NASTY = [
    "yes", "NO", "on", "null", "~", "", " ", "=", "<<", "1", "1e5", "-1E-5", "0x1F", "0123",
    "12:30", "1_000", ".inf", ".nan", "2026-11-23", "2026-11-23 10:00:00", "*a", "&a", "!!str x",
    "# no",
    "a: b", "- a", "[a]", "{a}", "@a", "`a", "%a", "|", ">", "a\nb", "a\r\nb\n", "\ta", "'", '"',
    "\x01\x7f\x85\xa0\u2028\ufeff\U0001f4f1", "x" * 300, "a " * 100,
    "6E00", "80E60200", "001019000000008", "0o17", "08:30", "08", "y", "N",
]  # fmt: skip
number_like = st.from_regex(r"[-+.0-9eExXoObB:_ ~]{1,12}", fullmatch=True)

# Hypothesis draws words of the source, too: a declared key does not take any value.
keys = json_text.map(str.strip).filter(lambda key: key and key not in DEFAULTS) | st.sampled_from(
    [key for key in NASTY if key == key.strip() and 0 < len(key) <= 128]
)


def read(text: str) -> dict[str, Any]:
    """The values of a YAML text that has no fault."""
    problems = Problems("lab.yaml")
    entries = read_settings(text, problems)
    problems.refuse()
    return {entry.key: entry.value for entry in entries}


def read_export(text: str) -> Any:
    """The value of a YAML text that a program wrote."""
    problems = Problems("export.yaml")
    value = read_yaml(f"{text}...\n", problems, Author.PROGRAM)
    problems.refuse()
    return value


def refusal(uow: UnitOfWork, text: str) -> ValidationError:
    """The error of an import; nothing is stored then."""
    with pytest.raises(ValidationError) as refused:
        uow.settings.import_yaml(text, "lab.yaml")
    assert uow.settings.count() == 0
    return refused.value


def in_force(key: str, value: Any) -> SettingInForce:
    return SettingInForce(
        key, value, "lab", None,
        is_stored=True, is_declared=False, default=None, form=None, updated_at=None,
    )  # fmt: skip


@example_settings(max_examples=300)
@given(key=keys, value=json_values | st.sampled_from(NASTY) | st.floats(-1e15, 1e15))
def test_any_value_under_any_key_reads_back(key: str, value: Any) -> None:
    read_back = read(write_settings([in_force(key, value)]))
    assert list(read_back) == [key]
    assert same(read_back[key], value) or read_back[key] == value
    assert repr(read_export(write_yaml({key: value}))) == repr({key: value})


@example_settings(max_examples=300)
@given(text=st.sampled_from(NASTY) | json_text | number_like)
def test_text_that_some_reader_takes_for_something_else_reads_back_as_text(text: str) -> None:
    nested = {text: [text, {text: text}]}
    written = write_yaml(nested)
    assert read(write_settings([in_force("lab.a", nested)])) == {"lab.a": nested}
    assert read_export(written) == nested
    assert yaml.safe_load(written) == nested, "YAML 1.1"
    assert YAML(typ="safe", pure=True).load(written) == nested, "YAML 1.2"


def test_a_plain_word_that_yaml_versions_read_differently_is_text_in_an_export() -> None:
    words = "6E00, yes, 2026-11-22, 0123, 12:30, 1_0, .inf, =, 1.5, -3, ~, true"
    assert read_export(f"[{words}]\n") == [*words.split(", ")[:8], 1.5, -3, None, True]


@example_settings(max_examples=25)
@given(
    stored=st.dictionaries(
        keys,
        st.tuples(json_values, st.none() | json_text, keys.filter(lambda key: len(key) <= 64)),
        max_size=4,
    )
)
def test_an_export_makes_the_same_settings_elsewhere(
    manager: DatabaseManager, stored: dict[str, tuple[Any, str | None, str]]
) -> None:
    def seen(uow: UnitOfWork) -> list[tuple[Any, ...]]:
        return [(s.key, s.value, s.description, s.category) for s in uow.settings.get_all()]

    with UnitOfWork(manager) as uow:
        for key, (value, description, category) in stored.items():
            uow.settings.set_value(key, value, description, category)
        before, text = seen(uow), uow.settings.export_yaml()
        unchanged = uow.settings.import_yaml(text)
        assert (unchanged.created, unchanged.updated) == ([], [])
        uow.rollback()
        assert uow.settings.count() == 0
        assert sorted(uow.settings.import_yaml(text).created) == sorted(stored)
        assert seen(uow) == before
        assert uow.settings.export_yaml() == text


def test_the_export_of_a_new_database_shows_the_defaults_and_imports_nothing(
    uow: UnitOfWork,
) -> None:
    text = uow.settings.export_yaml()
    assert "# TCP port of the admin server: a whole number from 1 to 65535" in text
    assert "# server.port: 8443" in text
    done = uow.settings.import_yaml(text)
    assert (done.created, done.updated, done.unchanged) == ([], [], [])
    uncommented = "\n".join(
        line.removeprefix("# ")
        for line in text.splitlines()
        if line.count(":") and "." in line[:15]
    )
    assert read(uncommented) == DEFAULTS


def test_the_export_is_what_a_person_would_write(uow: UnitOfWork) -> None:
    uow.settings.set_value("server.port", 9443)
    uow.settings.set_value("metrics.enabled", False, "not in the lab")
    uow.settings.set_value("lab.operator", "Ada", "who to call", "people")
    uow.settings.set_value("lab.limits", {"b": 1, "a": [True, None]})
    uow.settings.set_value("lab.odd", {"value": 1})
    text = uow.settings.export_yaml()
    assert yaml.safe_load(text) == {
        "server.port": 9443,
        "metrics.enabled": {"value": False, "description": "not in the lab"},
        "lab.operator": {"value": "Ada", "description": "who to call", "category": "people"},
        "lab.limits": {"a": [True, None], "b": 1},
        "lab.odd": {"value": {"value": 1}},
    }
    assert "\nserver.port: 9443\n" in text
    assert "\n# server.timeout: 60\n" in text


def test_an_import_merges_and_says_what_it_did(uow: UnitOfWork) -> None:
    uow.settings.set_value("lab.kept", 1)
    uow.settings.set_value("lab.same", 1.0, "a share")
    uow.settings.set_value("lab.type", 1)
    uow.settings.set_value("server.port", 8443)
    before = uow.settings.get_by_id("lab.same")
    done = uow.settings.import_yaml(
        "lab.same: 1.0\nlab.type: 1.0\nserver.port: 9443\nlab.new: {value: x, category: people}\n"
    )
    assert done.created == ["lab.new"]
    assert done.updated == ["lab.type", "server.port"]
    assert done.unchanged == ["lab.same"]
    assert uow.settings.get_by_id("lab.same") == before
    assert uow.settings.get_value("lab.kept") == 1
    assert uow.settings.get_by_id("lab.new").category == "people"  # type: ignore[union-attr]


def test_a_description_that_the_file_does_not_give_stays(uow: UnitOfWork) -> None:
    uow.settings.set_value("lab.a", 1, "a note", "people")
    uow.settings.import_yaml("lab.a: 2")
    kept = uow.settings.get_by_id("lab.a")
    assert (kept.value, kept.description, kept.category) == (2, "a note", "people")
    assert uow.settings.import_yaml("lab.a: {value: 2, description: other}").updated == ["lab.a"]


def test_an_import_tells_what_it_changed(manager: DatabaseManager) -> None:
    with committed(manager) as uow:
        uow.settings.set_value("lab.same", 1)
    told: list[DatabaseEvent] = []
    manager.events.on("settings_changed", told.append)
    with committed(manager) as uow:
        uow.settings.import_yaml("lab.same: 1\nserver.port: 1")
    assert [(event.entity_id, event.action) for event in told] == [("server.port", "set")]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("yes", True), ("Off", False), ("~", None), ("", None), ("1e5", 100000.0), ("+7", 7),
        (".5", 0.5), ("1.", 1.0), ("!!str 12", "12"), ("!!float 1", 1.0), ("!!int '5'", 5),
        ("=", "="), ("'2026-11-23'", "2026-11-23"), ("{a: [1, {}]}", {"a": [1, {}]}),
        ("|\n  two\n  lines", "two\nlines"), ('"\\u00e9\\U0001F4F1"', "é📱"), ("0", 0),
    ],
)  # fmt: skip
def test_what_a_person_may_write(text: str, value: Any) -> None:
    assert same(read(f"lab.a: {text}")["lab.a"], value)


@on_sqlite
@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("server.port: 70000", 1, "server.port: 70000 is not a whole number from 1 to 65535"),
        ("\nmetrics.enabled: 'yes'", 2, "metrics.enabled: 'yes' is not true or false"),
        ("retention.logs_days: -1", 1, "retention.logs_days: -1 is not a whole number from 1"),
        ("lab.a:\n  - 1\n  - when: 2026-11-23", 3, "lab.a[1].when: a date is not a JSON value"),
        ("lab.a: 0123", 1, "lab.a: write the number in decimal digits"),
        ("lab.a: 12:30", 1, "lab.a: write the number in decimal digits"),
        ("lab.a: 1_000", 1, "lab.a: write the number in decimal digits"),
        ("lab.a: .inf", 1, "lab.a: write the number in decimal digits"),
        ("lab.a: 1e999", 1, "lab.a: inf is not a JSON number"),
        (f"lab.a: {'9' * 5000}", 1, "lab.a: write the number in decimal digits"),
        (f"lab.a: {'9' * 20}", 1, "must be between"),
        ("lab.a: !!bool maybe", 1, "lab.a: a tag that JSON has no type for"),
        ("lab.a: !!binary eA==", 1, "lab.a: a tag that JSON has no type for"),
        ("lab.a: !!python/object/apply:os.system ['true']", 1, "a tag that JSON has no type for"),
        ("lab.a: {1: x}", 1, "lab.a: a key is not text: write it in quotes"),
        ("yes: 1", 1, "a key is not text: write it in quotes"),
        ("? [a]\n: 1", 1, "a key is not text: write it in quotes"),
        ("lab.a: 1\nlab.b: 2\nlab.a: 3", 3, "a key appears twice, first in line 1"),
        ("lab.a:\n  x: 1\n  x: 2", 3, "lab.a: a key appears twice, first in line 2"),
        ("lab.a: &a 1\nlab.b: *a", 2, "aliases are not supported"),
        ("lab.a: {<<: {x: 1}}", 1, "lab.a: a key is not text"),
        ("lab.a: {value: 1, unit: s}", 1, "lab.a: 'unit' is none of value, description, category"),
        ("lab.a: {value: 1, description: 2}", 1, "lab.a.description: int is not text"),
        ("lab.a: {value: 1, category: ''}", 1, "lab.a.category: '' is empty"),
        ("server.port: {value: 1, category: x}", 1, "the category of server.port is server"),
        (f"{'k' * 129}: 1", 1, "129 characters, at most 128 fit"),
        ("- 1", 1, "not a mapping"),
        ("text", 1, "not a mapping"),
        ("lab.a: 1\n---\nlab.b: 1", 2, "a second document begins"),
        ("lab.a: [1", 1, "not valid YAML: "),
        ("lab.a: 1\n\tlab.b: 2", 2, "not valid YAML: "),
        ("lab.a: 1\nlab.b: \x01", 2, "not valid YAML: a control character"),
    ],
)
def test_a_fault_is_named_with_its_line_and_path(
    uow: UnitOfWork, text: str, line: int, said: str
) -> None:
    error = refusal(uow, text)
    assert said in error.what
    assert error.where in (f"lab.yaml:{line}", "lab.yaml")


def test_one_fault_keeps_the_rest_from_being_stored_and_all_are_named(uow: UnitOfWork) -> None:
    error = refusal(
        uow,
        "lab.good: 1\nserver.port: 70000\nlab.when: 2026-11-23\nlab.good: 2\n"
        "metrics.enabled: 'no'\n'': 1\n",
    )
    assert error.where == "lab.yaml"
    assert error.what.splitlines() == [
        "5 problems",
        "  line 2: server.port: 70000 is not a whole number from 1 to 65535",
        "  line 3: lab.when: a date is not a JSON value: write it in quotes",
        "  line 4: a key appears twice, first in line 1",
        "  line 5: metrics.enabled: 'no' is not true or false",
        "  line 6: settings.key: '' is empty or has blanks around it",
    ]


def test_a_text_has_a_greatest_depth_and_length(uow: UnitOfWork) -> None:
    assert "nest" in refusal(uow, "lab.a: " + "[" * 5000).what
    assert "nest" in refusal(uow, "lab.a: " + "{a: " * 5000).what
    assert "longer than" in refusal(uow, "#" * 1_048_577).what


@example_settings(max_examples=60)
@given(text=st.text(max_size=60) | st.text("a.:-[]{}&*!'\"\n #|>%@?,<~0e", max_size=40))
def test_any_text_is_imported_or_refused_in_one_line(migrated: Migrated, text: str) -> None:
    with UnitOfWork(migrated(Dialect.SQLITE)) as uow:
        try:
            done = uow.settings.import_yaml(text)
        except ValidationError as error:
            assert error.where
            assert uow.settings.count() == 0
        else:
            assert uow.settings.count() == len(done.created)
