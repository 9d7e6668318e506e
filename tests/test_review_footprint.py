"""What the queries read and write, by SQLite's own word and by the words of the statement."""

import sqlite3
from collections.abc import Iterator

import pytest

from cardlink_sql.dialect import Dialect
from cardlink_sql.model.tables import metadata
from cardlink_sql.queries import Query, load_library
from cardlink_sql.queries.parser import parse
from cardlink_sql.review.access import Access, Columns
from cardlink_sql.review.clauses import Clauses
from cardlink_sql.review.footprint import Footprint, footprint, footprints
from cardlink_sql.review.scratch import sqlite_in_memory
from cardlink_sql.review.variants import PLACEHOLDERS, as_written, bare, variants

SQLITE, MYSQL, POSTGRESQL = Dialect.SQLITE, Dialect.MYSQL, Dialect.POSTGRESQL
QUERIES = load_library(SQLITE).all()


@pytest.fixture(scope="module")
def scratch() -> Iterator[sqlite3.Connection]:
    """A migrated database in memory."""
    with sqlite_in_memory() as connection:
        yield connection


def query_of(statement: str, dialect: Dialect = SQLITE, rows: str = "many") -> Query:
    """A query around a statement."""
    (query,) = parse(f"-- name: q :{rows}\n-- Q.\n{statement};", "sql/common/things.sql", dialect)
    return query


def observed(scratch: sqlite3.Connection, statement: str) -> Footprint:
    """The footprint of a statement, by SQLite's word."""
    found = footprint(scratch, query_of(statement))
    assert found.is_exact
    return found


def read_off(statement: str, dialect: Dialect = POSTGRESQL) -> Access:
    """The access of a statement, by its words."""
    return Clauses(as_written(query_of(statement, dialect)).tokens).access()


def missed(found: Columns, wanted: Columns) -> dict[str, frozenset[str]]:
    """What ``wanted`` has and ``found`` has not; SQLite's own tables aside."""
    lacking = {table: names - found.get(table, frozenset()) for table, names in wanted.items()}
    return {t: n for t, n in lacking.items() if (n or t not in found) and t in metadata.tables}


@pytest.mark.parametrize("query", QUERIES, ids=lambda query: query.title)
def test_the_words_of_a_statement_miss_nothing_that_sqlite_sees(query: Query) -> None:
    exact = footprints(SQLITE)[query.title]
    assert exact.is_exact
    by_words = Clauses(as_written(query).tokens).access()
    assert missed(by_words.reads, exact.own.reads) == {}
    assert by_words.inserts == exact.own.inserts
    assert by_words.updates == exact.own.updates
    assert by_words.deletes == exact.own.deletes


def test_columns_are_told_apart_by_what_is_done_to_them(scratch: sqlite3.Connection) -> None:
    found = observed(scratch, "UPDATE devices SET name = :name, model = imei WHERE id = :id").own
    assert found.updates == {"devices": {"name", "model"}}
    assert found.reads == {"devices": {"imei", "id"}}
    assert not found.inserts
    assert not found.deletes


def test_rows_that_are_counted_are_read_without_columns(scratch: sqlite3.Connection) -> None:
    assert observed(scratch, "SELECT COUNT(*) FROM settings").own.reads == {"settings": set()}


def test_foreign_keys_are_noted_apart(scratch: sqlite3.Connection) -> None:
    session = observed(scratch, "DELETE FROM ota_sessions WHERE id = :id")
    assert session.own.deletes == {"ota_sessions"}
    assert session.by_foreign_key == Access(deletes=frozenset({"comm_logs"}))
    device = observed(scratch, "DELETE FROM devices WHERE id = :id")
    assert device.by_foreign_key.updates == {
        "ota_sessions": {"device_id"},
        "test_results": {"device_id"},
    }


def test_triggers_are_noted_apart() -> None:
    with sqlite_in_memory() as connection:
        connection.execute(
            "CREATE TRIGGER noted AFTER UPDATE ON devices BEGIN"
            " DELETE FROM settings WHERE settings.key = NEW.id; END"
        )
        found = observed(connection, "UPDATE devices SET name = :name")
    assert found.own == Access(updates={"devices": frozenset({"name"})})
    assert found.by_trigger.deletes == {"settings"}
    assert found.by_trigger.reads["settings"] == {"key"}


def test_an_upsert_reads_the_key_and_what_excluded_gives(
    scratch: sqlite3.Connection,
) -> None:
    statement = (
        "INSERT INTO settings (key, category) VALUES (:key, :category)"
        " ON CONFLICT (key) DO UPDATE SET category = EXCLUDED.category"
    )
    wanted = Access(
        {"settings": frozenset({"key", "category"})},
        {"settings": frozenset({"key", "category"})},
        {"settings": frozenset({"category"})},
    )
    assert read_off(statement) == wanted
    assert wanted.reads["settings"] <= observed(scratch, statement).own.reads["settings"]


@pytest.mark.parametrize(
    ("statement", "dialect", "reads"),
    [
        ("SELECT EXTRACT(EPOCH FROM started_at) FROM ota_sessions", POSTGRESQL,
         {"ota_sessions": {"started_at"}}),
        ("SELECT d.name AS model FROM devices AS d, settings s WHERE s.key = d.id", POSTGRESQL,
         {"devices": {"name", "id"}, "settings": {"key"}}),
        ("WITH old AS (SELECT id FROM comm_logs) SELECT o.id FROM old o", POSTGRESQL,
         {"comm_logs": {"id"}}),
        ("SELECT t.table_name FROM information_schema.tables t", MYSQL,
         {"information_schema.tables": set()}),
        ("SELECT CAST(name AS TIMESTAMP) FROM comm_logs, devices", POSTGRESQL,
         {"comm_logs": set(), "devices": {"name"}}),
        ("SELECT `key` FROM settings", MYSQL, {"settings": {"key"}}),
    ],
)  # fmt: skip
def test_the_words_that_only_servers_know(
    statement: str, dialect: Dialect, reads: dict[str, set[str]]
) -> None:
    assert read_off(statement, dialect) == Access({t: frozenset(c) for t, c in reads.items()})


def test_mysqls_upsert_and_copy_write_what_they_list() -> None:
    upsert = (
        "INSERT INTO settings (`key`, value) VALUES (:key, :value)"
        " ON DUPLICATE KEY UPDATE value = :value"
    )
    found = read_off(upsert, MYSQL)
    assert found.inserts == {"settings": {"key", "value"}}
    assert found.updates == {"settings": {"value"}}
    assert not found.reads
    copy = load_library(POSTGRESQL).query("logs", "copy_log_batch")
    access = Clauses(as_written(copy).tokens).access()
    assert access.inserts["comm_logs"] >= {"session_id", "raw_data"}
    assert not access.reads


@pytest.mark.parametrize("dialect", Dialect)
def test_a_variant_is_the_statement_that_the_driver_sends(dialect: Dialect) -> None:
    for query in load_library(dialect).all():
        sent = query.as_written().sql
        variant = as_written(query)
        if dialect is not SQLITE:
            for number in range(1, len(variant.names) + 1):
                sent = sent.replace("%s", PLACEHOLDERS[dialect](number), 1)
            sent = sent.replace("%%", "%")
        assert " ".join(variant.sql().split()) == " ".join(sent.split())
        required = dict.fromkeys(query.required, [1] if query.source.lists else 1)
        assert bare(query).names == query.statement(required).names


def test_variants_are_each_line_alone_and_each_order() -> None:
    labels = [variant.label for variant in variants(load_library(SQLITE).query("logs", "find_by"))]
    assert labels[:2] == ["with every line in", "without optional lines"]
    assert "when: latency_ms_is_null" in labels
    assert labels[-1] == "order: timestamp desc"


def test_a_place_is_that_of_the_file() -> None:
    query = query_of("SELECT id,\n  'a\nb' AS x,\n  :p AS q, nmae FROM devices", POSTGRESQL)
    variant = as_written(query)
    assert variant.place_of("nmae") == "sql/common/things.sql:6:12"
    assert variant.place_at(variant.sql().index("nmae")) == "sql/common/things.sql:6:12"
    assert variant.place_at(variant.sql().index("$1")) == "sql/common/things.sql:6:3"
    assert variant.place_at(0) == "sql/common/things.sql:3:1"
    assert variant.place_of("elsewhere") == "sql/common/things.sql:1"
