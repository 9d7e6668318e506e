"""What the queries read and write, with SQLite's authorizer as the witness."""

import sqlite3
from collections import defaultdict
from collections.abc import Iterator
from contextlib import closing

import pytest

from cardlink_sql.config import DatabaseConfig
from cardlink_sql.dialect import Dialect
from cardlink_sql.errors import QueryError
from cardlink_sql.model.tables import metadata
from cardlink_sql.queries import Query, load_library
from cardlink_sql.review.databases.scratch import scratch_database
from cardlink_sql.review.statements.access import Access
from cardlink_sql.review.statements.footprint import footprint, footprints
from cardlink_sql.review.statements.single_row import is_single
from cardlink_sql.review.statements.statement import ParsedStatement
from cardlink_sql.review.statements.variants import PLACEHOLDERS, as_written, bare, variants
from tests.parsing import parse

SQLITE, MYSQL, POSTGRESQL = Dialect.SQLITE, Dialect.MYSQL, Dialect.POSTGRESQL
QUERIES = load_library(SQLITE).all()


@pytest.fixture(scope="module")
def scratch() -> Iterator[sqlite3.Connection]:
    """A migrated database in memory."""
    with scratch_database(DatabaseConfig("sqlite:///:memory:")) as manager:
        manager.create_tables()
        with closing(manager.take_connection()) as pooled:
            yield pooled.driver_connection


def query_of(statement: str, dialect: Dialect = POSTGRESQL) -> Query:
    """A query around a statement."""
    (query,) = parse(f"-- name: q :many\n-- Q.\n{statement};", "sql/common/things.sql", dialect)
    return query


def access_of(statement: str, dialect: Dialect = POSTGRESQL) -> Access:
    """What a statement reads and writes by itself."""
    return footprint(query_of(statement, dialect)).own


def authorized(connection: sqlite3.Connection, query: Query) -> Access:
    """What SQLite's authorizer is asked while the query is prepared, on tables of the schema."""
    calls: list[tuple[int, str | None, str | None]] = []

    def note(action: int, table: str | None, column: str | None, *_: str | None) -> int:
        calls.append((action, table, column))
        return sqlite3.SQLITE_OK

    variant = as_written(query)
    connection.set_authorizer(note)
    try:
        connection.execute(f"EXPLAIN {variant.sql()}", [None] * len(variant.names)).fetchall()
    finally:
        connection.set_authorizer(None)
    columns: dict[int, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for action, table, column in calls:
        if table in metadata.tables:
            columns[action][table] |= {column} - {None, "", "ROWID"}  # type: ignore[arg-type]

    def of(action: int) -> dict[str, frozenset[str]]:
        return {table: frozenset(names) for table, names in columns[action].items()}

    return Access(
        of(sqlite3.SQLITE_READ),
        of(sqlite3.SQLITE_INSERT),
        of(sqlite3.SQLITE_UPDATE),
        frozenset(columns[sqlite3.SQLITE_DELETE]),
    )


def test_sqlites_authorizer_sees_the_same(scratch: sqlite3.Connection) -> None:
    scratch.execute("PRAGMA foreign_keys = OFF")
    for query in QUERIES:
        own, seen = footprints(SQLITE)[query.title].own, authorized(scratch, query)
        reads = {table: names for table, names in own.reads.items() if table in metadata.tables}
        for table, names in seen.reads.items():
            assert names <= reads[table], query.title
        # The authorizer is not asked about an upsert's key and what EXCLUDED gives.
        if not own.inserts.keys() & own.updates.keys():
            assert reads == seen.reads, query.title
        assert own.inserts.keys() == seen.inserts.keys(), query.title
        assert (own.updates, own.deletes) == (seen.updates, seen.deletes), query.title


def test_foreign_keys_do_what_sqlite_does(scratch: sqlite3.Connection) -> None:
    scratch.execute("PRAGMA foreign_keys = ON")
    for query in QUERIES:
        found, seen = footprints(SQLITE)[query.title], authorized(scratch, query)
        every = found.own | found.by_foreign_key
        assert (every.updates, every.deletes) == (seen.updates, seen.deletes), query.title


def test_what_foreign_keys_write_is_separate() -> None:
    session = footprint(query_of("DELETE FROM ota_sessions WHERE id = :id"))
    assert session.own.deletes == {"ota_sessions"}
    assert session.by_foreign_key == Access(deletes=frozenset({"comm_logs"}))
    device = footprint(query_of("DELETE FROM devices WHERE id = :id"))
    assert device.by_foreign_key.updates == {
        "ota_sessions": {"device_id"},
        "test_results": {"device_id"},
    }


@pytest.mark.parametrize(
    ("statement", "dialect", "reads"),
    [
        ("SELECT COUNT(*) FROM settings", SQLITE, {"settings": set()}),
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
        ("SELECT id FROM devices WHERE EXISTS (SELECT 1 FROM settings WHERE key = imei)", SQLITE,
         {"devices": {"id", "imei"}, "settings": {"key"}}),
        ("SELECT id FROM ota_sessions INDEXED BY ix WHERE status = :status", SQLITE,
         {"ota_sessions": {"id", "status"}}),
    ],
)  # fmt: skip
def test_what_is_read(statement: str, dialect: Dialect, reads: dict[str, set[str]]) -> None:
    found = access_of(statement, dialect)
    assert found == Access({table: frozenset(names) for table, names in reads.items()})


def test_an_upsert_reads_the_key_and_what_excluded_gives() -> None:
    found = access_of(
        "INSERT INTO settings (key, category) VALUES (:key, :category)"
        " ON CONFLICT (key) DO UPDATE SET category = EXCLUDED.category"
    )
    assert found == Access(
        {"settings": frozenset({"key", "category"})},
        {"settings": frozenset({"key", "category"})},
        {"settings": frozenset({"category"})},
    )


def test_mysqls_upsert_and_copy_write_what_they_list() -> None:
    upsert = (
        "INSERT INTO settings (`key`, value) VALUES (:key, :value)"
        " ON DUPLICATE KEY UPDATE value = :value"
    )
    found = access_of(upsert, MYSQL)
    assert found.inserts == {"settings": {"key", "value"}}
    assert found.updates == {"settings": {"value"}}
    assert not found.reads
    copy = footprints(POSTGRESQL)["logs.copy_log_batch"].own
    assert copy.inserts["comm_logs"] >= {"session_id", "raw_data"}
    assert not copy.reads


@pytest.mark.parametrize(
    ("sql", "name", "stops"),
    [
        ("SELECT a FROM devices ORDER BY id LIMIT 9", "devices", True),
        ("SELECT a FROM devices d WHERE 1 = 1 ORDER BY id LIMIT 9 OFFSET 2", "d", True),
        ("SELECT a FROM (SELECT id FROM devices LIMIT 9) x GROUP BY a", "devices", True),
        ("SELECT a FROM devices ORDER BY id", "devices", False),
        ("SELECT a FROM devices WHERE b = 1 LIMIT 9", "devices", False),
        ("SELECT a FROM devices WHERE 1 = 1 AND b = 1 LIMIT 9", "devices", False),
        ("SELECT COUNT(*) FROM devices LIMIT 9", "devices", False),
        ("SELECT SUM(id) OVER () FROM devices LIMIT 9", "devices", False),
        ("SELECT (SELECT MAX(id) FROM devices) FROM settings LIMIT 9", "settings", True),
        ("SELECT DISTINCT a FROM devices LIMIT 9", "devices", False),
        ("SELECT a FROM devices GROUP BY a LIMIT 9", "devices", False),
        ("SELECT a FROM devices JOIN settings ON b LIMIT 9", "devices", False),
        ("SELECT a FROM devices, settings LIMIT 9", "devices", False),
        ("SELECT a FROM devices UNION SELECT a FROM settings LIMIT 9", "devices", False),
        ("SELECT a FROM (SELECT id FROM devices) x LIMIT 9", "devices", False),
        ("UPDATE devices SET a = 1", "devices", False),
        ("SELECT a FROM devices LIMIT 9", "settings", False),
    ],
)
def test_a_limit_ends_what_returns_its_rows_in_order(sql: str, name: str, stops: bool) -> None:
    assert ParsedStatement(as_written(query_of(sql, SQLITE))).stops_at_limit(name) is stops


@pytest.mark.parametrize(
    ("sql", "single"),
    [
        ("SELECT name FROM devices WHERE id = :id", True),
        ("SELECT name FROM devices WHERE :id = id AND name = :name", True),
        ("SELECT iccid FROM card_profiles WHERE psk_identity = :identity", True),
        ("SELECT name FROM devices WHERE id = :id OR name = :name", False),
        ("SELECT name FROM devices WHERE id > :id", False),
        ("SELECT name FROM devices WHERE id = name", False),
        ("SELECT name FROM devices", False),
        ("SELECT COUNT(*) FROM devices", True),
        ("SELECT COUNT(*) FROM devices GROUP BY model", False),
        ("SELECT model, COUNT(*) FROM devices WHERE model = :model GROUP BY model", True),
        ("SELECT COUNT(*) OVER () FROM devices", False),
        ("SELECT name FROM devices ORDER BY name, id LIMIT 1", True),
        ("SELECT name FROM devices ORDER BY name LIMIT 1", False),
        ("SELECT name FROM devices ORDER BY id LIMIT 2", False),
        ("SELECT EXISTS (SELECT 1 FROM devices)", True),
        ("SELECT id FROM devices WHERE id = :a UNION ALL SELECT id FROM devices", False),
        ("SELECT l.id FROM comm_logs l JOIN ota_sessions s ON s.id = l.session_id"
         " WHERE l.id = :id", True),
        ("SELECT l.id FROM comm_logs l JOIN ota_sessions s ON s.id = l.session_id"
         " WHERE s.id = :id", False),
        ("SELECT s.id FROM ota_sessions s LEFT JOIN devices d ON d.id = s.device_id"
         " AND s.id = :id", False),
        ("SELECT x.n FROM (SELECT COUNT(*) AS n FROM devices) x", True),
        ("UPDATE devices SET name = :n WHERE id = :id RETURNING id", True),
        ("DELETE FROM devices WHERE name = :n RETURNING id", False),
        ("INSERT INTO settings (key) VALUES (:key) RETURNING key", True),
    ],
)  # fmt: skip
def test_a_statement_that_returns_one_row_at_most_is_known(sql: str, single: bool) -> None:
    assert is_single(ParsedStatement(as_written(query_of(sql))).tree) is single


@pytest.mark.parametrize(
    ("sql", "misnamed"),
    [
        ("SELECT imei AS imsi, imsi AS imei FROM devices", [("imei", "imsi"), ("imsi", "imei")]),
        ("SELECT imei AS imei, imsi AS number, LOWER(name) AS model FROM devices", []),
        ("SELECT s.id AS session_id FROM ota_sessions s JOIN comm_logs l ON l.session_id = s.id",
         []),
        ("SELECT s.device_id AS session_id FROM ota_sessions s JOIN comm_logs l ON 1 = 1",
         [("device_id", "session_id")]),
    ],
)  # fmt: skip
def test_a_column_under_another_columns_name_is_found(
    sql: str, misnamed: list[tuple[str, str]]
) -> None:
    assert ParsedStatement(as_written(query_of(sql))).misnamed == misnamed


def test_a_statement_that_cannot_be_parsed_is_an_error() -> None:
    with pytest.raises(QueryError, match=r"things.q: sqlglot cannot parse it"):
        ParsedStatement(as_written(query_of("SELECT id FROM (devices")))


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
    labels = [variant.label for variant in variants(load_library(SQLITE).query("cards", "find_by"))]
    assert labels[:2] == ["with every line in", "without optional lines"]
    assert "when: imsi_is_null" in labels
    assert labels[-1] == "order: updated_at desc"


def test_a_place_is_that_of_the_file() -> None:
    query = query_of("SELECT id,\n  'a\nb' AS x,\n  :p AS q, nmae FROM devices")
    variant = as_written(query)
    assert variant.place_of("nmae") == "sql/common/things.sql:6:12"
    assert variant.place_at(variant.sql().index("nmae")) == "sql/common/things.sql:6:12"
    assert variant.place_at(variant.sql().index("$1")) == "sql/common/things.sql:6:3"
    assert variant.place_at(0) == "sql/common/things.sql:3:1"
    assert variant.place_of("elsewhere") == "sql/common/things.sql:1"
