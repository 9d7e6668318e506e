"""The check of the queries: it passes what is there, and sees what is broken.

Each mutation is one edit of the SQL files or the migrations; the check that should see it does,
at the place of the edit.
"""

import re
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from cardlink_sql.config import DatabaseConfig
from cardlink_sql.dialect import Dialect
from cardlink_sql.manager import DatabaseManager
from cardlink_sql.queries import Library, load_library
from cardlink_sql.queries.library import read_library
from cardlink_sql.queries.resources import folder as resource_folder
from cardlink_sql.review.check import check_queries
from cardlink_sql.review.describe import Describer, describer
from cardlink_sql.review.findings import Finding
from cardlink_sql.review.grants import Role
from cardlink_sql.review.rules import check_files
from cardlink_sql.review.target import live, scratch
from cardlink_sql.schema.migrator import Migrator
from tests.conftest import server_url
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
def describing(manager: DatabaseManager) -> Iterator[Describer]:
    """The describer of a manager's database; on SQLite that of a scratch one."""
    if manager.dialect is SQLITE:
        with scratch(SQLITE) as target:
            yield target.asked
        return
    with closing(manager.take_connection()) as pooled:
        yield describer(manager.dialect, pooled.driver_connection)


@dataclass(frozen=True)
class Mutation:
    """An edit of one SQL file, and what sees it.

    ``old`` is replaced at its first place behind ``-- name: query``; the fault stands in the line
    of ``new`` (with ``at_header``, in that of the header).
    """

    file: str
    query: str
    old: str
    new: str
    check: str
    said: str
    only: tuple[Dialect, ...] = tuple(Dialect)
    at_header: bool = False
    also: tuple[str, ...] = ()


MUTATIONS = {
    "a column misspelled in one dialect": Mutation(
        "postgresql/sessions.sql", "complete_session", "- started_at)", "- startd_at)",
        "prepare", 'column "startd_at" does not exist', (POSTGRESQL,),
    ),
    "a column misspelled for all": Mutation(
        "common/devices.sql", "find_by_type", "device_type = :", "devicetype = :",
        "prepare", "devicetype",
    ),
    "an optional line misspelled": Mutation(
        "common/sessions.sql", "find_by", "AND device_id IS NULL", "AND devce_id IS NULL",
        "prepare", "devce_id",
    ),
    "an order misspelled": Mutation(
        "common/cards.sql", "find_by", "card_type DESC, iccid", "cardtype DESC, iccid",
        "prepare", "cardtype",
    ),
    "a table misspelled": Mutation(
        "common/logs.sql", "exists", "FROM comm_logs", "FROM comm_log", "prepare", "comm_log",
    ),
    "an index misspelled": Mutation(
        "sqlite/sessions.sql", "find_open", "INDEXED BY ix_ota_sessions_status_created_at_id",
        "INDEXED BY ix_ota_sessions_status", "prepare", "no such index", (SQLITE,),
    ),
    "a keyword misspelled": Mutation(
        "common/devices.sql", "exists", "WHERE id", "WERE id", "prepare", "",
    ),
    "two result columns swapped": Mutation(
        "common/cards.sql", "get_by_id", "  iccid,\n  imsi,", "  imsi,\n  iccid,",
        "columns", "column 1 is imsi, and the record has iccid",
    ),
    "a result column left out": Mutation(
        "common/cards.sql", "get_by_id", ",\n  updated_at\n", "\n",
        "columns", "the column updated_at of the record is missing", at_header=True,
    ),
    "a result column too many": Mutation(
        "common/cards.sql", "get_psk_key", "psk_key_encrypted\n", "psk_key_encrypted, notes\n",
        "columns", "the column notes is not a field of the record",
    ),
    "a value of another type": Mutation(
        "common/cards.sql", "get_by_id", "psk_key_encrypted IS NOT NULL AS has_psk",
        "psk_identity AS has_psk", "types", "the record's field takes bool", also=("nullability",),
    ),
    "a time as text": Mutation(
        "common/cards.sql", "get_by_id", "  created_at,\n", "  card_type AS created_at,\n",
        "types", "the record's field takes datetime", (MYSQL, POSTGRESQL), also=("alias",),
    ),
    "a parameter of another type": Mutation(
        "common/cards.sql", "find_by", "AND updated_at = :updated_at", "AND atr = :updated_at",
        "types", "and the gateway binds the time of card_profiles.updated_at", (POSTGRESQL,),
    ),
    "NULL where the record has none": Mutation(
        "common/cards.sql", "get_all_psk_identities",
        "SELECT psk_identity\nFROM card_profiles\nWHERE psk_identity IS NOT NULL",
        "SELECT psk_identity\nFROM card_profiles\nWHERE 1 = 1",
        "nullability", "the column psk_identity may be NULL",
    ),
    "an aggregate over nothing": Mutation(
        "common/sessions.sql", "get_statistics", "COUNT(*) AS total_sessions",
        "MAX(1) AS total_sessions", "nullability", "the column total_sessions may be NULL",
        (MYSQL,),
    ),
    "two columns of an INSERT swapped": Mutation(
        "common/cards.sql", "create", "  :iccid,\n  :imsi,", "  :imsi,\n  :iccid,",
        "pairs", "the parameter :imsi is written to the column iccid",
    ),
    "two columns of an UPDATE swapped": Mutation(
        "common/cards.sql", "update", "imsi = :imsi,\n  card_type = :card_type",
        "imsi = :card_type,\n  card_type = :imsi", "pairs",
        "the parameter :card_type is written to",
    ),
    "two columns of COPY swapped": Mutation(
        "postgresql/logs.sql", "copy_log_batch", "  session_id,\n  timestamp,",
        "  timestamp,\n  session_id,", "copy", "its columns are not the parameters of logs.add_lo",
        (POSTGRESQL,), at_header=True,
    ),
    "two columns under each other's name": Mutation(
        "common/devices.sql", "get_by_id", "  manufacturer,\n  model,",
        "  model AS manufacturer,\n  manufacturer AS model,",
        "alias", "the column model is selected as manufacturer, which is another column",
    ),
    "a :one with two rows": Mutation(
        "common/devices.sql", "get_by_id", "WHERE id = :id", "WHERE name = :id",
        "rows", "can return two rows, and :one is one row", at_header=True,
    ),
    "a reason that nothing needs": Mutation(
        "common/devices.sql", "get_by_id", "SELECT\n", "-- allow-rows: no\nSELECT\n",
        "allow-rows", "states a reason that nothing here needs", at_header=True,
    ),
    "a star": Mutation(
        "common/cards.sql", "get_psk_key", "SELECT psk_key_encrypted", "SELECT *",
        "star", "* returns other columns after each migration", also=("columns",),
    ),
    "a name that SQLite reads as a string": Mutation(
        "sqlite/sessions.sql", "find_open", "WHERE status IN", 'WHERE "staus" IN',
        "quotes", 'SQLite reads "staus" as a string', (SQLITE,),
    ),
    "a name that MySQL reads as a string": Mutation(
        "mysql/settings.sql", "create", "`key`", '"key"',
        "quotes", 'MySQL reads "key" as a string', (MYSQL,), also=("prepare",),
    ),
    "a query's name misspelled in one dialect": Mutation(
        "mysql/sessions.sql", "fail_session", "-- name: fail_session", "-- name: fail_sesion",
        "dialects", "there is no form of it for sqlite and postgresql", (MYSQL,), at_header=True,
    ),
    "a parameter renamed in one dialect": Mutation(
        "mysql/settings.sql", "set_value", "updated_at = :updated_at;", "updated_at = :at;",
        "dialects", "requires at, category", (MYSQL,), at_header=True,
    ),
    "a condition renamed in one dialect": Mutation(
        "postgresql/settings.sql", "set_value", "when: new_category", "when: other_category",
        "dialects", "may be given new_description, other_category", (POSTGRESQL,), at_header=True,
    ),
    "two values from a :scalar": Mutation(
        "common/cards.sql", "count_by", "SELECT COUNT(*)", "SELECT COUNT(*), MAX(iccid)",
        "columns", ":scalar is one value", at_header=True,
    ),
}  # fmt: skip
CASES = [
    pytest.param(mutation, dialect, id=f"{dialect}-{name}")
    for name, mutation in MUTATIONS.items()
    for dialect in mutation.only
]


def mutated(target: Path, mutation: Mutation) -> tuple[Path, int]:
    """A copy of the gateway's files with the edit; the line that holds it."""
    source = Path(str(resource_folder("sql")))
    for part in ("common", *Dialect):
        (target / part).mkdir(parents=True)
        for original in (source / part).glob(Path(mutation.file).name):
            shutil.copy(original, target / part)
    file = target / mutation.file
    text = file.read_text("utf-8")
    header = re.search(rf"^-- name: {mutation.query} ", text, re.MULTILINE)
    assert header is not None
    at = text.index(mutation.old, header.start())
    edited = text[:at] + mutation.new + text[at + len(mutation.old) :]
    file.write_text(edited, "utf-8")
    shown = header.start() if mutation.at_header else at + len(mutation.new.splitlines()[0])
    return target, edited.count("\n", 0, shown) + 1


@pytest.mark.parametrize(("mutation", "dialect"), CASES)
def test_a_broken_query_is_seen_by_the_check_that_should(
    mutation: Mutation,
    dialect: Dialect,
    tmp_path: Path,
    owners: Callable[[Dialect], DatabaseManager],
) -> None:
    folder, line = mutated(tmp_path / "sql", mutation)
    gateway = Path(mutation.file).stem
    faults = checked(owners(dialect), read_library(folder, dialect), gateway)
    assert faults
    assert {fault.check for fault in faults} == {mutation.check, *mutation.also}, faults
    fault = next((f for f in faults if mutation.said in f.what), None)
    assert fault is not None, faults
    assert fault.remedy
    if mutation.check != "dialects":
        assert f"sql/{mutation.file}:{line}" in fault.where, fault
        assert fault.query == f"{gateway}.{mutation.query}"


def test_a_misspelled_name_is_told_with_the_nearest(tmp_path: Path) -> None:
    folder, _ = mutated(tmp_path / "sql", MUTATIONS["a column misspelled for all"])
    with scratch(SQLITE) as target:
        (fault,) = check_queries(read_library(folder, SQLITE), target.asked).faults
    assert "device_type" in fault.remedy
    assert re.search(r"devices\.sql:\d+:7$", fault.where)
    assert str(fault).startswith(f"{fault.where}: devices.find_by_type (sqlite): no such column")


@pytest.mark.parametrize(
    ("old", "new", "said", "breaks"),
    [
        (r"(?m)^( +)imei( +VARCHAR)", r"\1imai\2", "the type of imei is missing", "imei"),
        (r'model( +)VARCHAR\(64\)( COLLATE "C")?', r"model\1INTEGER", "the type of model is", None),
        (r"(?m)^.*INDEX ix_devices_iccid.*\n", "", "ix_devices_iccid is missing", None),
        (r"(?m)^( +model .*\n)( +firmware_version .*\n)", r"\2\1", "order of columns", None),
    ],
)
def test_a_schema_that_drifts_is_seen_in_a_live_database(
    old: str, new: str, said: str, breaks: str | None, empty_url: str, tmp_path: Path
) -> None:
    config = DatabaseConfig(empty_url)
    edited = edited_migrations(tmp_path / "migrations", config.dialect, old, new)
    with DatabaseManager(config) as manager:
        Migrator(manager.engine, config.dialect, folder=edited).migrate()
    with live(config) as target:
        found = target.faults
        refused = check_queries(load_library(config.dialect), target.asked).faults
    assert any(said in fault.what for fault in found if fault.check == "schema"), found
    assert any(fault.check == "migrations" for fault in found), found
    if breaks is not None:
        assert refused
        assert all(breaks in fault.what for fault in refused)


def test_a_live_database_is_left_as_it_is(empty_url: str) -> None:
    config = DatabaseConfig(empty_url)
    with DatabaseManager(config) as manager:
        manager.create_tables()
        before = manager.table_sizes()
        with live(config) as target:
            assert target.faults == []
            assert check_queries(load_library(config.dialect), target.asked).faults == []
        assert manager.table_sizes() == before


@pytest.mark.parametrize("dialect", [POSTGRESQL, MYSQL])
def test_a_scratch_database_is_gone_afterwards(dialect: Dialect) -> None:
    config = DatabaseConfig(server_url(dialect))
    with scratch(dialect, config) as target:
        assert target.note is None
        assert target.faults == []
        assert check_queries(load_library(dialect), target.asked).faults == []
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
    assert "sessions.complete_session" in checked.notes[-1]
    assert checked.queries < len(load_library(dialect).all()) - 40
