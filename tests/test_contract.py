"""The contract between the SQL files, the migrated schema and the records.

Every query of every dialect is prepared on the real database, in each of its variants, and
not executed.
"""

import inspect
import re
from collections.abc import Iterator
from dataclasses import fields
from typing import Any

import pytest

from cardlink_sql import gateways, tables
from cardlink_sql.dialect import Dialect
from cardlink_sql.gateways import base
from cardlink_sql.manager import DatabaseManager
from cardlink_sql.records import (
    CardProfile,
    CommLog,
    Device,
    FlakyTest,
    OTASession,
    SessionStatistics,
    SessionSummary,
    Setting,
    SuiteSummary,
    TestChange,
    TestResult,
    TestRun,
)
from cardlink_sql.sqlfiles import Query, Rows, load_library
from cardlink_sql.sqlfiles.lexer import Kind
from tests.conftest import ALL_DIALECTS

RECORDS = {
    "devices": Device,
    "cards": CardProfile,
    "sessions": OTASession,
    "logs": CommLog,
    "tests": TestResult,
    "settings": Setting,
}
OWN_RECORDS = {
    "sessions.get_statistics": SessionStatistics,
    "logs.get_session_summary": SessionSummary,
    "tests.get_run_summary": SuiteSummary,
    "tests.get_runs": TestRun,
    "tests.compare_runs": TestChange,
    "tests.find_flaky": FlakyTest,
}
OWN_COLUMNS = {
    "cards.get_psk_key": ["psk_key_encrypted"],
    "cards.get_psk_key_by_identity": ["psk_key_encrypted", "iccid"],
    "cards.psk_identity_exists": ["claimed"],
    "cards.page_psk_tokens": ["iccid", "psk_key_encrypted"],
    "cards.get_all_psk_identities": ["psk_identity"],
    "tests.find_known": ["id"],
    "tests.find_known_devices": ["id"],
    "tests.find_known_cards": ["iccid"],
    "logs.find_old": ["id"],
    "logs.find_of_sessions": ["id"],
    "sessions.find_old": ["id"],
    "tests.get_run_ids": ["run_id"],
    "tests.get_suite_names": ["suite_name"],
    "settings.get_categories": ["category"],
    "outbox.get_counter": ["last_id", "publishes"],
    "outbox.read_after": [
        "event_type",
        "entity_type",
        "entity_id",
        "action",
        "occurred_at",
        "data",
        "id",
    ],
    "server.table_rows": ["name", "row_count"],
    "server.table_sizes": ["name", "bytes"],
}
# The queries of the exchange give every column of a table, in the table's order.
EXCHANGED = {
    "devices": tables.devices,
    "cards": tables.card_profiles,
    "sessions": tables.ota_sessions,
    "logs": tables.comm_logs,
    "tests": tables.test_results,
    "settings": tables.settings,
}
OWN_COLUMNS |= {
    f"exchange.{verb}_{word}": table.columns.keys()
    for word, table in EXCHANGED.items()
    for verb in ("page", "find")
}
OWN_COLUMNS |= {
    "exchange.find_psk_identities": ["psk_identity", "iccid"],
    "exchange.find_taken_numbers": ["id"],
}
QUERIES = [
    pytest.param(dialect, query, id=f"{dialect}-{query.title}")
    for dialect in ALL_DIALECTS
    for query in load_library(dialect).all()
]


def expected_columns(query: Query) -> list[str]:
    """The columns that the query must give, in order."""
    if query.title in OWN_COLUMNS:
        return OWN_COLUMNS[query.title]
    record = OWN_RECORDS.get(query.title) or RECORDS[query.source.gateway]
    return [spec.name for spec in fields(record)]


def variants(query: Query) -> Iterator[str]:
    """The query as a DBA pastes it, bare, with each condition alone and in each order."""
    yield query.as_written().sql
    required = {name: [1] if name in query.source.lists else 1 for name in query.required}
    yield query.statement(required).sql
    for condition in query.conditions:
        yield query.statement({**required, condition: 1}).sql
    for order in query.orders:
        yield query.statement(required, order).sql


def numbered(sql: str) -> str:
    """psycopg's placeholders as the server knows them."""
    numbers = iter(range(1, 1000))
    return re.sub(r"%([%s])", lambda m: "%" if m[1] == "%" else f"${next(numbers)}", sql)


def prepare_sqlite(connection: Any, sql: str) -> list[str] | None:
    names = [None] * sql.count("?")
    connection.execute(f"EXPLAIN {sql}", names)
    if not sql.startswith("SELECT"):
        return None
    cursor = connection.execute(f"SELECT * FROM ({sql}) LIMIT 0", names)
    return [column[0] for column in cursor.description]


def prepare_mysql(connection: Any, sql: str) -> list[str] | None:
    cursor = connection.cursor()
    text = re.sub(r"%([%s])", lambda m: "%" if m[1] == "%" else "?", sql)
    cursor.execute("PREPARE contract FROM %s", (text,))
    cursor.execute("DEALLOCATE PREPARE contract")
    if not sql.startswith("SELECT"):
        return None
    # The columns of a prepared statement do not reach the client; those of a derived table do.
    count = len(re.findall(r"%s", sql.replace("%%", "")))
    cursor.execute(f"SELECT * FROM ({sql}) q LIMIT 0", (1,) * count)
    return [column[0] for column in cursor.description]


def prepare_postgresql(connection: Any, sql: str) -> list[str] | None:
    prepared = connection.pgconn.prepare(b"", numbered(sql).encode())
    assert not prepared.error_message, prepared.error_message.decode()
    described = connection.pgconn.describe_prepared(b"")
    columns = [described.fname(i) for i in range(described.nfields)]
    return [name.decode() for name in columns] or None


PREPARE = {
    Dialect.SQLITE: prepare_sqlite,
    Dialect.MYSQL: prepare_mysql,
    Dialect.POSTGRESQL: prepare_postgresql,
}


def test_every_query_fits_the_schema_and_its_record(manager: DatabaseManager) -> None:
    faults = []
    with manager.engine.connect() as connection:
        driver = connection.connection.driver_connection
        for query in manager.library.all():
            if query.rows is Rows.COPY:
                continue
            for sql in variants(query):
                columns = PREPARE[manager.dialect](driver, sql)
                if query.rows in (Rows.ONE, Rows.MANY) and columns != expected_columns(query):
                    faults.append(f"{query.where} {query.title}: gives {columns}")
                if query.rows is Rows.SCALAR and (columns is None or len(columns) != 1):
                    faults.append(f"{query.where} {query.title}: gives {columns}, not one value")
    assert faults == []


# COPY and the setting of a sequence are PostgreSQL's own; their gateway methods do without.
ONLY_POSTGRESQL = {
    "logs.copy_log_batch",
    "exchange.copy_logs",
    "exchange.copy_new_logs",
    "exchange.may_reserve_numbers",
    "exchange.reserve_numbers",
}


@pytest.mark.parametrize(
    ("gateway", "copy", "batch"),
    [
        ("logs", "copy_log_batch", "add_log_batch"),
        ("exchange", "copy_logs", "insert_logs"),
        ("exchange", "copy_new_logs", "append_logs"),
    ],
)
def test_a_copy_takes_what_the_batch_takes(gateway: str, copy: str, batch: str) -> None:
    library = load_library(Dialect.POSTGRESQL)
    sql = library.query(gateway, copy).as_written().sql
    listed = re.search(r"\(([^)]*)\)", sql.partition("comm_logs")[2])
    assert listed is not None
    columns = tuple(name.strip() for name in listed[1].split(","))
    assert columns == library.query(gateway, batch).as_written().names


def test_an_import_writes_every_column() -> None:
    library = load_library(Dialect.SQLITE)
    for word, table in EXCHANGED.items():
        insert = library.query("exchange", f"insert_{word}").as_written()
        assert insert.names == tuple(table.columns.keys())
        if word != "logs":
            assert library.query("exchange", f"update_{word}").required == set(insert.names)


def test_the_dialects_have_the_same_queries() -> None:
    names = {
        dialect: {query.title for query in load_library(dialect).all()} for dialect in ALL_DIALECTS
    }
    assert names[Dialect.POSTGRESQL] > ONLY_POSTGRESQL
    names[Dialect.POSTGRESQL] -= ONLY_POSTGRESQL
    assert names[Dialect.SQLITE] == names[Dialect.MYSQL] == names[Dialect.POSTGRESQL]


def test_the_dialects_agree_on_each_query() -> None:
    for title in {query.title for query in load_library(Dialect.SQLITE).all()}:
        gateway, _, name = title.partition(".")
        forms = [load_library(dialect).query(gateway, name) for dialect in ALL_DIALECTS]
        for form in forms[1:]:
            assert form.rows == forms[0].rows, title
            assert form.required == forms[0].required, title
            assert form.conditions == forms[0].conditions, title
            assert form.orders == forms[0].orders, title


def test_every_query_is_sent_by_its_gateway_and_every_name_exists() -> None:
    for name in (*RECORDS, "exchange", "outbox", "server"):
        module = inspect.getmodule(getattr(gateways, CLASSES[name]))
        assert module is not None
        source = inspect.getsource(module) + inspect.getsource(base)
        for query in load_library(Dialect.POSTGRESQL).gateway(name):
            assert f'"{query}"' in source, f"nothing sends {name}.{query}"


CLASSES = {
    "devices": "DeviceGateway",
    "cards": "CardGateway",
    "sessions": "SessionGateway",
    "logs": "LogGateway",
    "tests": "TestGateway",
    "settings": "SettingGateway",
    "exchange": "ExchangeGateway",
    "outbox": "OutboxGateway",
    "server": "ServerGateway",
}


@pytest.mark.parametrize(("dialect", "query"), QUERIES)
def test_no_query_selects_a_star_or_quotes_with_double_quotes(
    dialect: Dialect, query: Query
) -> None:
    tokens = [token for line in query.source.lines for token in line.tokens]
    assert not re.search(r"SELECT\s+\*", "".join(token.text for token in tokens))
    # SQLite takes "typo" for a string where no column is called so.
    quoted = [t.text for t in tokens if t.kind is Kind.IDENTIFIER and t.text[0] == '"']
    assert dialect is not Dialect.SQLITE or quoted in ([], ['"default"'])
