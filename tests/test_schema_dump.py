"""The canonical DDL: what was committed is what the migrations make, and it leaves nothing out."""

import re
import subprocess
import sys
import uuid
from collections.abc import Callable

import pytest
from sqlalchemy import text

from cardlink_sql.cli import main
from cardlink_sql.config import DatabaseConfig
from cardlink_sql.database.engine import make_engine
from cardlink_sql.dialect import Dialect
from cardlink_sql.errors import DatabaseError
from cardlink_sql.manager import DatabaseManager
from cardlink_sql.review.databases.scratch import scratch_database
from cardlink_sql.review.migrations.schema_dump import committed_schema
from cardlink_sql.schema.ddl.reflect import _default
from cardlink_sql.schema.drift import differences
from tests.conftest import wait_until
from tests.roles import execute
from tests.test_review_check import databases

SQLITE, MYSQL, POSTGRESQL = Dialect.SQLITE, Dialect.MYSQL, Dialect.POSTGRESQL
MakeDatabase = Callable[[Dialect], str]


@pytest.fixture
def manager(owner: DatabaseManager) -> DatabaseManager:
    """A fresh schema is a scratch database, which the owner of the server's may make."""
    return owner


def body_of(dump: str) -> str:
    """The statements of a dump, without its header."""
    return dump[dump.index("CREATE TABLE") :]


def test_a_database_of_the_dump_is_that_of_the_migrations(dialect: Dialect, empty_url: str) -> None:
    engine = make_engine(DatabaseConfig(empty_url))
    try:
        with engine.begin() as connection:
            for statement in re.split(r"(?<=;)\n+", body_of(committed_schema(dialect)).strip()):
                connection.execute(text(statement))
        assert differences(engine) == []
    finally:
        engine.dispose()


@pytest.mark.parametrize(
    ("written", "kind", "form"),
    [
        ("'1'", "BOOLEAN", "TRUE"),  # MySQL 8
        ("0", "BOOLEAN", "FALSE"),  # MariaDB
        ("TRUE", "BOOLEAN", "TRUE"),
        ("'3'", "INTEGER", "3"),
        ("'1.50'", "NUMERIC(10, 2)", "1.50"),
        ("'3'", "VARCHAR(3)", "'3'"),
        ("NULL", "TEXT", None),
        ("'it''s'::character varying", "VARCHAR(8)", "'it''s'"),
        ("current_timestamp(6)", "DATETIME(6)", "CURRENT_TIMESTAMP(6)"),
    ],
)
def test_a_default_has_one_form(written: str, kind: str, form: str | None) -> None:
    assert _default(written, kind) == form


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(["schema", "dump", *arguments])
    return int(ended.value.code or 0)


def test_the_command_prints_what_was_committed(
    dialect: Dialect, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("--dialect", dialect) == 0
    assert capsys.readouterr().out == committed_schema(dialect), (
        f"write it: cardlink-db schema dump --dialect {dialect} > migrations/schema/{dialect}.sql"
    )


def test_a_scratch_database_is_dropped_even_after_an_error(manager: DatabaseManager) -> None:
    names = set[str]()
    with pytest.raises(RuntimeError), scratch_database(manager.config) as scratch:
        names = databases(manager.config) & {str(scratch.config.engine_url.database)}
        assert scratch.config.safe_url != manager.config.safe_url
        raise RuntimeError
    assert not names & databases(manager.config)
    assert len(names) == (manager.dialect is not SQLITE)


KILLED = """
import os, signal, sys
from cardlink_sql import DatabaseConfig
from cardlink_sql.review.databases.scratch import scratch_database

with scratch_database(DatabaseConfig(sys.argv[1])) as made:
    print(made.config.engine_url.database, made.create_tables(), flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize("dialect", [MYSQL, POSTGRESQL], ids=str, indirect=True)
def test_the_next_command_that_writes_drops_what_a_killed_one_left(
    manager: DatabaseManager,
) -> None:
    url, config = manager.config.url, manager.config
    with scratch_database(config) as living:
        killed = subprocess.run(
            [sys.executable, "-c", KILLED, url], capture_output=True, text=True, check=False
        )
        left, kept = killed.stdout.split()[0], living.config.engine_url.database
        assert left in databases(config)

        def is_dropped() -> bool:
            with pytest.raises(SystemExit):
                main(["migrate", "--url", url])
            return left not in databases(config)

        wait_until(is_dropped)
        assert kept in databases(config)


def test_a_user_who_may_make_no_database_is_told(manager: DatabaseManager) -> None:
    if manager.dialect is SQLITE:
        return
    name = f"cardlink_test_{uuid.uuid4().hex[:12]}"
    kind = "ROLE" if manager.dialect is POSTGRESQL else "USER"
    may_connect = {
        POSTGRESQL: [f"CREATE ROLE {name} LOGIN PASSWORD 'x'"],
        MYSQL: [f"CREATE USER {name} IDENTIFIED BY 'x'", f"GRANT SELECT ON *.* TO {name}"],
    }
    execute(manager, *may_connect[manager.dialect])
    url = manager.config.engine_url.set(username=name, password="x")
    config = DatabaseConfig(url.render_as_string(hide_password=False))
    try:
        with pytest.raises(DatabaseError, match="no scratch database"), scratch_database(config):
            pass
    finally:
        execute(manager, f"DROP {kind} {name}")
