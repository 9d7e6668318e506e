"""The check of the queries on a live database, and the places that it names."""

import re
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from cardlink_sql.config import DatabaseConfig
from cardlink_sql.dialect import Dialect
from cardlink_sql.manager import DatabaseManager
from cardlink_sql.queries import Library, load_library
from cardlink_sql.queries.library import read_library
from cardlink_sql.review.check import check_queries
from cardlink_sql.review.databases.backend import ReviewBackend, review_backend
from cardlink_sql.review.databases.target import live, scratch
from cardlink_sql.review.findings import Finding
from cardlink_sql.review.grants import Role
from cardlink_sql.review.rules import check_files
from cardlink_sql.schema.migrator import Migrator
from tests.conftest import server_url
from tests.mutations import STATIC, mutated
from tests.roles import manager_as
from tests.test_schema import edited_migrations

SQLITE, MYSQL, POSTGRESQL = Dialect.SQLITE, Dialect.MYSQL, Dialect.POSTGRESQL


def checked(manager: DatabaseManager, library: Library, gateway: str) -> list[Finding]:
    """The faults of a gateway's queries on a manager's database, and of its files."""
    others = {d: Library(d, {gateway: load_library(d).gateway(gateway)}) for d in Dialect}
    files = check_files([*(others | {library.dialect: library}).values()])
    with describing(manager) as asked:
        return files + check_queries(library, asked).faults


@contextmanager
def describing(manager: DatabaseManager) -> Iterator[ReviewBackend]:
    """The review_backend of a manager's database; on SQLite that of a scratch one."""
    if manager.dialect is SQLITE:
        with scratch(SQLITE) as target:
            yield target.asked
        return
    with closing(manager.take_connection()) as pooled:
        yield review_backend(manager.dialect, pooled.driver_connection)


def test_a_misspelled_name_is_told_with_the_nearest(tmp_path: Path) -> None:
    folder, _ = mutated(tmp_path / "sql", STATIC["a column misspelled for all"])
    with scratch(SQLITE) as target:
        (fault,) = check_queries(read_library(folder, SQLITE), target.asked).faults
    assert "device_type" in fault.remedy
    assert re.search(r"devices\.sql:\d+:7$", fault.where)
    assert str(fault).startswith(f"{fault.where}: devices.find_by_type (sqlite): no such column")


# An edit of the migrations, and what is said of it.
DRIFT = [
    (r"(?m)^( +)imei( +VARCHAR)", r"\1imai\2", "the column imei is missing"),
    (r'model( +)VARCHAR\(64\)( COLLATE "C")?', r"model\1INTEGER", "the type of model is"),
    (r"(?m)^.*INDEX ix_devices_iccid.*\n", "", "ix_devices_iccid is missing"),
    (r"(?m)^( +model .*\n)( +firmware_version .*\n)", r"\2\1", "order of columns"),
]


def test_a_schema_that_drifts_is_seen_in_a_live_database_and_left_as_it_is(
    empty_url: str, tmp_path: Path
) -> None:
    config = DatabaseConfig(empty_url)
    edited = tmp_path / "migrations"
    for old, new, _ in DRIFT:
        edited_migrations(edited, config.dialect, old, new)
    with DatabaseManager(config) as manager:
        Migrator(manager.engine, config.dialect, folder=edited).migrate()
        before = manager.table_sizes()
        with live(config) as target:
            drift = [fault.what for fault in target.faults if fault.check == "schema"]
            assert any(fault.check == "migrations" for fault in target.faults)
            refused = check_queries(load_library(config.dialect), target.asked).faults
        assert manager.table_sizes() == before
    for _, _, said in DRIFT:
        assert any(said in what for what in drift), drift
    assert refused
    assert all("imei" in fault.what for fault in refused)


@pytest.mark.parametrize("dialect", [POSTGRESQL, MYSQL])
def test_a_scratch_database_is_gone_afterwards(dialect: Dialect) -> None:
    config = DatabaseConfig(server_url(dialect))
    with scratch(dialect, config) as target:
        assert target.note is None
        assert target.faults == []
        (name,) = databases(config)
    assert name not in databases(config)


def databases(config: DatabaseConfig) -> set[str]:
    """The scratch databases on a server that are this process's or another's."""
    listed = {
        SQLITE: "SELECT 1 WHERE 1 = 0",
        POSTGRESQL: "SELECT datname FROM pg_database WHERE datname LIKE 'cardlink_scratch%%'",
        MYSQL: "SHOW DATABASES LIKE 'cardlink_scratch%%'",
    }[config.dialect]
    with DatabaseManager(config) as manager, manager.engine.connect() as connection:
        return set(connection.exec_driver_sql(listed).scalars())


def test_an_sqlite_file_is_read_and_not_opened_for_writing(tmp_path: Path) -> None:
    config = DatabaseConfig(f"sqlite:///{tmp_path}/a.db")
    with DatabaseManager(config) as manager:
        manager.create_tables()
    with sqlite3.connect(tmp_path / "a.db") as connection:
        connection.execute("ALTER TABLE devices RENAME COLUMN imei TO imai")
    connection.close()
    before = (tmp_path / "a.db").read_bytes()
    with live(config) as target:
        refused = check_queries(load_library(SQLITE), target.asked).faults
    assert {fault.check for fault in refused} == {"prepare"}
    assert all("imei" in fault.what for fault in refused)
    assert (tmp_path / "a.db").read_bytes() == before


def test_a_database_says_whether_it_has_what_a_query_needs(manager: DatabaseManager) -> None:
    schema = {
        SQLITE: "main",
        MYSQL: manager.config.engine_url.database,
        POSTGRESQL: "public",
    }[manager.dialect]
    found = [f"{schema}.devices.id", f"{schema}.devices", "devices"]
    missing = [f"{schema}.devices.colour", f"{schema}.phones", "nowhere.devices", "phones"]
    with describing(manager) as asked:
        assert [name for name in found + missing if asked.has(name)] == found


@pytest.mark.parametrize("dialect", [MYSQL], ids=str, indirect=True)
def test_queries_that_a_role_may_not_run_are_noted_and_no_fault(
    dialect: Dialect, owners: Callable[[Dialect], DatabaseManager]
) -> None:
    with manager_as(owners(dialect), Role.READER) as reader, describing(reader) as asked:
        checked = check_queries(load_library(dialect), asked)
    assert checked.faults == []
    assert "for this role may not run them: cards." in checked.notes[-1]
    assert "sessions.end_session" in checked.notes[-1]
    assert checked.queries < len(load_library(dialect).all()) - 40
