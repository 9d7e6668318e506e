"""Every statement that reaches a server is in sql/, in migrations/, or in the guide's table."""

import re
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet

from cardlink_sql import DatabaseConfig, DatabaseManager, Dialect, UnitOfWork
from cardlink_sql.database.backend import LOCK_TIMEOUT_MS
from cardlink_sql.database.internal import internal_query
from cardlink_sql.queries import load_internal, load_library
from cardlink_sql.queries.resources import folder
from cardlink_sql.schema.migrator.files import read_migrations
from tests.conftest import Run, cannot_run, device, server_url
from tests.roles import ask, execute
from tests.test_cli import SAMPLE

LABEL = re.compile(r"\w+ /\* cardlink:(\w+\.\w+) \*/")
# The table of the DBA's guide, in its order; each matches a whole statement.
ELSEWHERE = [
    r"BEGIN( IMMEDIATE| DEFERRED|( ISOLATION LEVEL REPEATABLE READ)? READ ONLY)?",
    # PostgreSQL from 17 on has $1 for the name.
    r"COMMIT", r"ROLLBACK( TO SAVEPOINT (cardlink_\d+|\$1))?",
    r"(RELEASE )?SAVEPOINT (cardlink_\d+|\$1)",
    r"SET TRANSACTION ISOLATION LEVEL REPEATABLE READ",
    r"START TRANSACTION( WITH CONSISTENT SNAPSHOT,)?( READ ONLY)?",
    r"SET NAMES utf8mb4", r"SET AUTOCOMMIT ?= ?[01]", r"SELECT @@\w+",
    r"SELECT (VERSION|DATABASE|pg_catalog\.version|current_schema)\(\)",
    r"SHOW (standard_conforming_strings|transaction isolation level)",
    r"PRAGMA read_uncommitted",
    r"SELECT typname AS name, oid, .* FROM pg_type t .*",
    # psycopg, with the libpq of PostgreSQL 17.
    r"DEALLOCATE ALL",
    # SQLAlchemy's inspector.
    r"SHOW (CREATE TABLE|FULL TABLES FROM) `\w+`",
    r"SELECT (attr|pg_catalog\.pg_(am|attribute|class|constraint|index|opclass|type))\."
    r".* pg_catalog\..*",
    r"SELECT name FROM sqlite_master WHERE type='table' .*",
    r"SELECT sql FROM \(SELECT \* FROM sqlite_master UNION ALL .* WHERE name = '\w+' .*",
    r'PRAGMA (main|temp)\.(foreign_key_list|index_info|index_list|table_x?info)\("\w+"\)',
    # The fixture that makes the database.
    r"REVOKE CREATE ON SCHEMA public FROM PUBLIC",
]  # fmt: skip


@contextmanager
def recording_sqlite(_url: str) -> Iterator[list[str]]:
    """SQLite tells each connection's statements; what a trigger does is a comment there."""
    sent: list[str] = []
    real = sqlite3.connect

    def connect(*arguments: Any, **options: Any) -> sqlite3.Connection:
        connection = real(*arguments, **options)
        connection.set_trace_callback(
            lambda statement: None if statement.startswith("--") else sent.append(statement)
        )
        return connection

    with pytest.MonkeyPatch.context() as patch:
        for module in (sqlite3, sqlite3.dbapi2):
            patch.setattr(module, "connect", connect)
        yield sent


@contextmanager
def recording_postgresql(url: str) -> Iterator[list[str]]:
    """pg_stat_statements has the text of each statement, by database."""
    name = DatabaseConfig(url).engine_url.database
    sent: list[str] = []
    yield sent
    texts = (
        "SELECT query FROM pg_stat_statements s JOIN pg_database d ON d.oid = s.dbid"
        " WHERE datname = %s"
    )
    with DatabaseManager(DatabaseConfig(server_url(Dialect.POSTGRESQL))) as server:
        try:
            execute(server, "CREATE EXTENSION IF NOT EXISTS pg_stat_statements")
            sent += [text for (text,) in ask(server, texts, name)]
        except server.driver_errors as error:
            cannot_run(f"the PostgreSQL server counts no statements: {error}")


@contextmanager
def recording_mysql(url: str) -> Iterator[list[str]]:
    """The general log has the text of each statement, by connection."""
    name = DatabaseConfig(url).engine_url.database
    sent: list[str] = []
    texts = """
SELECT argument FROM mysql.general_log
WHERE command_type IN ('Query', 'Execute', 'Prepare') AND thread_id IN (
  SELECT thread_id FROM mysql.general_log
  WHERE command_type = 'Connect' AND argument LIKE CONCAT('%%', %s, '%%'))"""
    with DatabaseManager(DatabaseConfig(server_url(Dialect.MYSQL))) as server:
        ((is_on, output),) = ask(server, "SELECT @@GLOBAL.general_log, @@GLOBAL.log_output")
        try:
            execute(server, "SET GLOBAL log_output = 'TABLE'", "SET GLOBAL general_log = ON")
        except server.driver_errors as error:
            cannot_run(f"the general log of the MySQL server cannot be turned on: {error}")
        try:
            yield sent
            found = ask(server, texts, name)
            sent += [text.decode() if isinstance(text, bytes) else text for (text,) in found]
        finally:
            execute(
                server,
                f"SET GLOBAL general_log = {is_on}",
                f"SET GLOBAL log_output = '{output}'",
            )


RECORDING = {
    Dialect.SQLITE: recording_sqlite,
    Dialect.POSTGRESQL: recording_postgresql,
    Dialect.MYSQL: recording_mysql,
}


def work(run: Run, url: str, other_url: str) -> None:
    """Do a bit of everything that the layer and its commands do."""
    key = {"CARDLINK_ENCRYPTION_KEY": Fernet.generate_key().decode(), "DATABASE_URL": url}
    commands = """
        init
        migrate --dry-run
        status
        devices list
        sessions list
        stats
        settings list
        events on
        purge --yes
        keys check
        export -o all.jsonl
        import all.jsonl --conflict skip
        backup one.backup --method jsonl
        """
    for command in (*commands.strip().splitlines(), f"replay {SAMPLE}"):
        done = run(*command.split(), **key)
        assert done.returncode == 0, (command, done.stderr)
    done = run("restore", "--yes", "one.backup", "-d", other_url, **key)
    assert done.returncode == 0, done.stderr
    with DatabaseManager(DatabaseConfig(url)) as manager:
        with manager.listen() as listening, UnitOfWork(manager) as uow:
            uow.devices.create(device(1))
            with uow.savepoint():
                uow.devices.update(device(1, name="renamed"))
            uow.commit()
            listening.get(0)
        assert manager.health_check()["server_version"]
        manager.migrator.drop_all()


def squeezed(text: str) -> str:
    """Words alone: a server may keep comments and line ends, or not."""
    text = re.sub(r"/\*.*?\*/|--[^\n]*", " ", text, flags=re.DOTALL)
    return " ".join(text.split()).rstrip("; ")


@pytest.mark.parametrize("dialect", list(Dialect), ids=str)
def test_every_statement_that_is_sent_is_written_down(
    dialect: Dialect,
    make_database: Callable[[Dialect], str],
    run: Run,
) -> None:
    url, other_url = make_database(dialect), make_database(dialect)
    with RECORDING[dialect](url) as sent:
        work(run, url, other_url)
    known = {query.title for query in (*load_library(dialect).all(), *load_internal(dialect).all())}
    migrations = {
        squeezed(statement.text)
        for migration in read_migrations(folder("migrations"), dialect)
        for direction in ("apply", "rollback")
        for statement in migration.statements(direction)
    }
    elsewhere = re.compile("|".join(ELSEWHERE), re.IGNORECASE)
    titles = set()
    strays = []
    for statement in sent:
        if label := LABEL.match(statement.strip()):
            titles.add(label[1])
        elif squeezed(statement) not in migrations and not elsewhere.fullmatch(squeezed(statement)):
            strays.append(statement)
    assert not strays
    assert titles <= known
    assert {"devices.create", "connection.read_only", "migrations.mark_applied"} & known <= titles
    assert len(titles) > 30


def test_a_lock_is_waited_for_as_long_on_every_backend() -> None:
    expected = {
        Dialect.POSTGRESQL: f"'lock_timeout', '{LOCK_TIMEOUT_MS}'",
        Dialect.MYSQL: f"\nlock_wait_timeout = {LOCK_TIMEOUT_MS // 1000}",
    }
    for dialect, setting in expected.items():
        query = internal_query(dialect, "connection.settings")
        assert setting in query.statement(dict.fromkeys(query.required, 0)).sql


def test_no_module_has_sql_of_its_own() -> None:
    """SELECT and the like in a string is in the queries' folder, or a word that is compared."""
    statement = re.compile(
        r'"\s*(SELECT \S|INSERT INTO|UPDATE \w+ SET|DELETE FROM|CREATE TABLE|GRANT \w+ ON|REVOKE|'
        r"RENAME TABLE|DO \$|LISTEN |PRAGMA |SET \w+ ?=|SHOW )"
    )
    package = Path(__file__).parent.parent / "cardlink_sql"
    found = {
        path.relative_to(package).as_posix()
        for path in package.rglob("*.py")
        if statement.search(path.read_text("utf-8"))
    }
    # Words to compare with: of a migration, of a dump, of a plan. Advice to a person, the printer
    # of the schema, the grants that are printed, and a query under review inside of another.
    assert found <= {
        "schema/migrator/backend.py",
        "schema/migrator/kinds.py",
        "schema/migrator/postgresql.py",
        "schema/migrator/rights.py",
        "transfer/backup/mysql.py",
        "review/plans.py",
        "schema/migrator/run.py",
        "schema/ddl/printer.py",
        "review/grants.py",
        "review/databases/backend.py",
        "review/databases/mysql.py",
        "review/databases/sqlite.py",
    }
