"""Applying, rolling back, reporting; failures, kills, races, drift and faulty files."""

import getpass
import os
import shutil
import socket
import sqlite3
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, inspect, text
from sqlalchemy.engine import make_url

from cardlink_sql.config import DatabaseConfig
from cardlink_sql.database.engine import make_engine
from cardlink_sql.dialect import Dialect
from cardlink_sql.errors import ConnectionError, DriftError, MigrationError
from cardlink_sql.manager import DatabaseManager
from cardlink_sql.model.tables import metadata
from cardlink_sql.queries.resources import folder as resource_folder, warn_skipped
from cardlink_sql.schema.migrator import MigrationStatus, Migrator, PlannedMigration, mutex
from cardlink_sql.schema.migrator.backend import MigrationBackend, migration_backend
from cardlink_sql.schema.migrator.bookkeeping import JournalEntry, write_entry
from cardlink_sql.schema.migrator.files import read_migrations
from cardlink_sql.schema.migrator.sqltext import split
from tests.conftest import (
    MIGRATIONS,
    on,
    on_mysql,
    on_postgresql,
    on_servers,
    on_sqlite,
    wait_until,
)

SQLITE, MYSQL, POSTGRESQL = Dialect.SQLITE, Dialect.MYSQL, Dialect.POSTGRESQL
BOOKKEEPING = {"_yoyo_migration", "_yoyo_log", "_yoyo_version", "cardlink_migration_journal"}
Files = dict[str, str]

THREE: Files = {
    "0001_one.sql": "CREATE TABLE one (a INTEGER);\nCREATE TABLE uno (a INTEGER);\n",
    "0001_one.rollback.sql": "DROP TABLE uno;\nDROP TABLE one;\n",
    "0002_two.sql": "CREATE TABLE two (a INTEGER);\n",
    "0002_two.rollback.sql": "DROP TABLE two;\n",
    "0003_three.sql": "CREATE TABLE three (a INTEGER);\n",
    "0003_three.rollback.sql": "DROP TABLE three;\n",
}
FAILING = (
    "-- Two tables.\nCREATE TABLE one (a INTEGER);\n\nCREATE TABLE one (b INTEGER);\nSELECT 1;\n"
)
MENDED = FAILING.replace("one (b", "two (b")


class Site:
    """A database and the folder of migrations that belongs to it."""

    def __init__(self, url: str, folder: Path) -> None:
        self.url = url
        self.config = DatabaseConfig(url)
        self.dialect = self.config.dialect
        self.folder = folder
        self.engine = make_engine(self.config)

    def write(self, files: Files) -> None:
        place = self.folder / self.dialect.value
        place.mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            (place / name).write_bytes(content.encode())

    def remove(self, name: str) -> None:
        (self.folder / self.dialect.value / name).unlink()

    def migrator(self, lock_timeout: float = 10) -> Migrator:
        return Migrator(self.engine, self.dialect, folder=self.folder, lock_timeout=lock_timeout)

    def migrate(self, revision: str | None = None) -> list[str]:
        return self.migrator().migrate(revision)

    def status(self) -> MigrationStatus:
        return self.migrator().status()

    def tables(self) -> set[str]:
        with self.engine.connect() as connection:
            return set(inspect(connection).get_table_names()) - BOOKKEEPING

    def run(self, sql: str, **values: Any) -> list[Any]:
        with self.engine.begin() as connection:
            result = connection.execute(text(sql), values)
            return list(result) if result.returns_rows else []

    def start(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen([sys.executable, "-c", CHILD, self.url, str(self.folder)])


CHILD = """
import sys
from pathlib import Path
from cardlink_sql.config import DatabaseConfig
from cardlink_sql.database.engine import make_engine
from cardlink_sql.schema.migrator import Migrator

config = DatabaseConfig(sys.argv[1])
Migrator(make_engine(config), config.dialect, folder=Path(sys.argv[2])).migrate()
"""


@contextmanager
def opened(url: str, folder: Path) -> Iterator[Site]:
    site = Site(url, folder)
    try:
        yield site
    finally:
        site.engine.dispose()


@pytest.fixture
def site(empty_url: str, tmp_path: Path) -> Iterator[Site]:
    """An empty database on each backend in turn, and an empty folder of migrations."""
    with opened(empty_url, tmp_path / "migrations") as made:
        yield made


# --- applying and rolling back -----------------------------------------------------------


def test_the_packages_own_migrations(site: Site) -> None:
    before = datetime.now(UTC)
    manager = DatabaseManager(site.config)
    assert manager.create_tables() == MIGRATIONS
    assert manager.create_tables() == []
    status = manager.migrator.status()
    assert status.is_current
    assert status.current == MIGRATIONS[-1]
    applied = status.applied[-1]
    assert applied.applied_at - before < timedelta(minutes=1)
    assert applied.applied_at.utcoffset() == timedelta(0)
    assert applied.applied_by == f"{getpass.getuser()}@{socket.gethostname()}"
    site.run("CREATE TABLE somebody_elses (id INTEGER)")
    manager.drop_tables()
    manager.drop_tables()
    assert inspect(site.engine).get_table_names() == ["somebody_elses"]
    assert manager.migrator.status() == MigrationStatus(pending=MIGRATIONS)
    manager.close()


def test_up_to_a_revision_and_back(site: Site) -> None:
    site.write(THREE)
    assert site.migrate("0002") == ["0001_one", "0002_two"]
    assert site.tables() == {"one", "uno", "two"}
    assert site.migrate("0001") == []
    assert site.status().pending == ["0003_three"]
    assert site.migrate() == ["0003_three"]
    assert site.migrator().rollback("0001_one") == ["0003_three", "0002_two"]
    assert site.tables() == {"one", "uno"}
    assert site.migrator().rollback("base") == ["0001_one"]
    assert site.tables() == set()
    assert site.migrate() == ["0001_one", "0002_two", "0003_three"]


@on_sqlite
@pytest.mark.parametrize("revision", ["0004", "", "000", "two"])
def test_a_revision_that_names_none_or_several(revision: str, site: Site) -> None:
    site.write(THREE)
    for action in (site.migrator().migrate, site.migrator().rollback, site.migrator().plan):
        with pytest.raises(MigrationError, match=r"names (no|more than one) migration"):
            action(revision)
    assert site.tables() == set()


@on_sqlite
def test_rolling_back_to_what_is_not_applied_is_refused(site: Site) -> None:
    site.write(THREE)
    site.migrate("0001")
    with pytest.raises(MigrationError, match="0002_two is not applied"):
        site.migrator().rollback("0002")


@on_sqlite
def test_a_missing_rollback_file_is_refused_before_anything_changes(site: Site) -> None:
    site.write(THREE)
    site.remove("0001_one.rollback.sql")
    site.migrate()
    with pytest.raises(MigrationError, match="0001_one cannot be rolled back"):
        site.migrator().rollback("base")
    assert site.tables() == {"one", "uno", "two", "three"}
    assert site.status().is_current


@on_sqlite
def test_the_plan_is_what_would_be_sent(site: Site) -> None:
    site.write(THREE)
    apply_one = PlannedMigration(
        "0001_one",
        "apply",
        ["CREATE TABLE one (a INTEGER);", "CREATE TABLE uno (a INTEGER);"],
    )
    assert site.migrator().plan("0001") == [apply_one]
    ids = [planned.id for planned in site.migrator().plan()]
    assert ids == ["0001_one", "0002_two", "0003_three"]
    site.migrate()
    assert site.migrator().plan() == []
    assert site.migrator().plan("0002") == [
        PlannedMigration("0003_three", "rollback", ["DROP TABLE three;"])
    ]
    last = site.migrator().plan("base")[-1]
    assert last == PlannedMigration("0001_one", "rollback", ["DROP TABLE uno;", "DROP TABLE one;"])
    assert site.tables() == {"one", "uno", "two", "three"}


@on_sqlite
def test_depends_orders_migrations(site: Site) -> None:
    late = "-- depends: 0003_three\n" + THREE["0002_two.sql"]
    site.write({**THREE, "0002_two.sql": late})
    assert site.migrate() == ["0001_one", "0003_three", "0002_two"]
    assert site.status().is_current


@on(SQLITE, POSTGRESQL)
def test_drop_all_that_fails_drops_nothing(dialect: Dialect, site: Site) -> None:
    Migrator(site.engine, dialect).migrate()
    # The last table to be dropped is a view now, which DROP TABLE refuses.
    site.run("DROP TABLE _yoyo_version")
    site.run("CREATE VIEW _yoyo_version AS SELECT 2 AS version")
    with pytest.raises(MigrationError):
        Migrator(site.engine, dialect).drop_all()
    assert site.tables() == set(metadata.tables)


# --- failures ----------------------------------------------------------------------------


@on(SQLITE, POSTGRESQL)
def test_a_failed_migration_leaves_nothing(dialect: Dialect, site: Site) -> None:
    site.write({"0001_one.sql": FAILING})
    with pytest.raises(MigrationError) as caught:
        site.migrate()
    assert caught.value.where == f"migrations/{dialect}/0001_one.sql:4"
    assert "one" in caught.value.what
    assert "exists" in caught.value.what
    assert "nothing of this migration was kept" in str(caught.value.remedy)
    assert site.tables() == set()
    assert site.status() == MigrationStatus(pending=["0001_one"])
    site.write({"0001_one.sql": MENDED})
    assert site.migrate() == ["0001_one"]
    assert site.tables() == {"one", "two"}


def _without_transaction(dialect: Dialect, sql: str) -> str:
    return sql if dialect is MYSQL else f"-- transactional: false\n{sql}"


def test_a_failed_migration_without_transaction_is_resumed(site: Site) -> None:
    shift = 0 if site.dialect is MYSQL else 1
    site.write({"0001_one.sql": _without_transaction(site.dialect, FAILING)})
    with pytest.raises(MigrationError) as caught:
        site.migrate()
    error = caught.value
    assert error.where == f"migrations/{site.dialect}/0001_one.sql:{4 + shift}"
    assert "exists" in error.what
    assert "SAVEPOINT" not in str(error)
    assert f"the statements of lines {2 + shift} are committed" in str(error.remedy)

    status = site.status()
    assert status.pending == ["0001_one"]
    assert status.unfinished is not None
    assert "1 of 3 statements are committed; statement 2 failed" in status.unfinished
    assert not status.is_current
    site.write({"0001_one.sql": _without_transaction(site.dialect, MENDED)})
    assert site.migrator().plan()[0].statements[0] == "CREATE TABLE two (b INTEGER);"
    assert site.migrate() == ["0001_one"]
    assert site.tables() == {"one", "two"}
    assert site.status().is_current


@on(SQLITE, MYSQL)
def test_a_first_statement_that_fails_is_unfinished_too(site: Site) -> None:
    bad = _without_transaction(site.dialect, "DROP TABLE none;")
    site.write({"0001_one.sql": "CREATE TABLE one (a INTEGER);", "0002_two.sql": bad})
    with pytest.raises(MigrationError):
        site.migrate()
    half = "0002_two is half applied: 0 of 1 statements are committed; statement 1 failed"
    assert half in str(site.status().unfinished)
    for revision in ("base", "0001"):
        with pytest.raises(MigrationError, match=half):
            site.migrator().rollback(revision)
    assert site.tables() == {"one"}
    site.write({"0002_two.sql": "CREATE TABLE two (a INTEGER);"})
    assert site.migrate() == ["0002_two"]
    assert site.status().is_current


@on(SQLITE, MYSQL)
@pytest.mark.parametrize(("first", "done"), [("", 0), ("DROP TABLE uno;\n", 1)])
def test_a_failed_rollback_is_resumed_too(site: Site, first: str, done: int) -> None:
    made = _without_transaction(site.dialect, THREE["0001_one.sql"])
    site.write({"0001_one.sql": made, "0001_one.rollback.sql": f"{first}DROP TABLE none;\n"})
    site.migrate()
    with pytest.raises(MigrationError) as caught:
        site.migrator().rollback("base")
    assert "roll back again" in str(caught.value.remedy)
    half = f"0001_one is half rolled back: {done} of {done + 1} statements are committed"
    assert f"{half}; statement {done + 1} failed" in str(site.status().unfinished)
    for action in (site.migrate, lambda: site.migrator().rollback("0001")):
        with pytest.raises(MigrationError, match=half):
            action()
    site.write({"0001_one.rollback.sql": THREE["0001_one.rollback.sql"]})
    assert site.migrator().rollback("base") == ["0001_one"]
    assert site.status() == MigrationStatus(pending=["0001_one"])
    assert site.tables() == set()


@on_servers
def test_a_lost_connection_is_said_and_survived(dialect: Dialect, site: Site) -> None:
    cut = {
        MYSQL: "KILL CONNECTION_ID();",
        POSTGRESQL: "SELECT pg_terminate_backend(pg_backend_pid());",
    }
    site.write({"0001_one.sql": f"CREATE TABLE one (a INTEGER);\n{cut[dialect]}\n"})
    with pytest.raises(MigrationError) as caught:
        site.migrate()
    assert caught.value.where == f"migrations/{dialect}/0001_one.sql:2"
    if dialect is MYSQL:
        assert "the connection is lost" in str(caught.value.remedy)
        assert "statement 2 was under way" in str(site.status().unfinished)
    else:
        assert site.tables() == set()


@on_sqlite
def test_an_sqlite_migration_waits_for_a_writer(site: Site) -> None:
    one = "CREATE TABLE one (a INTEGER PRIMARY KEY, b INTEGER REFERENCES one (a));"
    site.write({**THREE, "0001_one.sql": one})
    site.migrate("0001")
    path = Path(str(site.config.engine_url.database))
    writer = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    writer.execute("BEGIN IMMEDIATE")
    writer.execute("INSERT INTO one VALUES (1, 1)")

    def commit_when_it_waits() -> None:
        wait_until(lambda: list(path.parent.glob("*-lock")))
        time.sleep(0.2)  # long enough to have read, had it begun with a read
        writer.execute("COMMIT")

    thread = threading.Thread(target=commit_when_it_waits)
    thread.start()
    assert site.migrate("0002") == ["0002_two"]
    thread.join()
    writer.close()


@on_sqlite
def test_editing_what_is_committed_is_refused(site: Site) -> None:
    site.write({"0001_one.sql": _without_transaction(site.dialect, FAILING)})
    with pytest.raises(MigrationError):
        site.migrate()
    edited = MENDED.replace("one (a INTEGER", "one (a BIGINT")
    site.write({"0001_one.sql": _without_transaction(site.dialect, edited)})
    with pytest.raises(DriftError, match="which are committed, one was edited"):
        site.migrate()
    assert site.tables() == {"one"}
    with pytest.raises(MigrationError, match="half applied"):
        site.migrator().rollback("base")


def test_rows_without_their_journal_are_not_kept(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    sql = "CREATE TABLE one (a INTEGER);\nINSERT INTO one VALUES (1);"
    site.write({"0001_one.sql": _without_transaction(site.dialect, sql)})

    def break_at_the_rows(backend: MigrationBackend, entry: JournalEntry) -> None:
        write_entry(backend, entry)
        if entry.statements_done == 2:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("cardlink_sql.schema.migrator.run.write_entry", break_at_the_rows)
        with pytest.raises(KeyboardInterrupt):
            site.migrate()
    assert site.run("SELECT a FROM one") == []
    site.migrate()
    assert site.run("SELECT a FROM one") == [(1,)]


def _cut_off(site: Site, name: str, statement: int) -> None:
    """The journal as a kill leaves it: a statement started, and nobody to say how it went."""
    (migration,) = (one for one in read_migrations(site.folder, MYSQL) if one.id == name)
    site.run(
        "UPDATE cardlink_migration_journal SET statement_started = :n, statements_done = :n - 1,"
        " started_checksum = :c, done_checksum = NULL, error = NULL WHERE migration_id = :name",
        n=statement,
        c=migration.apply_statements[statement - 1].checksum,
        name=name,
    )
    site.run("DELETE FROM _yoyo_migration WHERE migration_id = :name", name=name)


TAKEN_EFFECT = (
    "CREATE TABLE uno (a INTEGER)",
    "CREATE INDEX ix ON one (a)",
    "CREATE TRIGGER t BEFORE INSERT ON one FOR EACH ROW SET NEW.a = 1",
    "ALTER TABLE one ADD COLUMN b INTEGER",
    "ALTER TABLE one ADD CONSTRAINT ck CHECK (a > 0)",
    "ALTER TABLE one ADD CONSTRAINT fk FOREIGN KEY (a) REFERENCES other (a)",
    "ALTER TABLE one DROP COLUMN c",
    "DROP TABLE gone",
    "DROP INDEX ix_old ON one",
)


@on_mysql
def test_a_cut_off_statement_that_took_effect_counts_as_done(site: Site) -> None:
    site.run("CREATE TABLE one (a INTEGER, c INTEGER, KEY ix_old (c, a))")
    site.run("CREATE TABLE gone (a INTEGER)")
    site.run("CREATE TABLE other (a INTEGER PRIMARY KEY)")
    for number, statement in enumerate(TAKEN_EFFECT, start=1):
        name = f"{number:04}_one"
        site.write({f"{name}.sql": f"{statement};\nCREATE TABLE last{number} (a INTEGER);\n"})
        site.migrate()
        _cut_off(site, name, 1)
        site.run(f"DROP TABLE last{number}")
        assert "was under way" in str(site.status().unfinished), statement
        assert site.migrate() == [name], statement
        assert f"last{number}" in site.tables(), statement


@on_mysql
def test_a_cut_off_statement_that_cannot_be_repeated_asks_the_dba(site: Site) -> None:
    site.run("CREATE TABLE one (a INTEGER)")
    statements = ("DO 1", "ALTER TABLE one ADD INDEX (a)", "ALTER TABLE one ADD CHECK (a > 0)")
    for number, statement in enumerate(statements, start=1):
        name = f"{number:04}_one"
        site.write({f"{name}.sql": f"SET @x = 1;\n\n{statement};\n"})
        site.migrate()
        _cut_off(site, name, 2)
        with pytest.raises(MigrationError, match="whether it took effect is not known") as caught:
            site.migrate()
        assert caught.value.where == f"migrations/mysql/{name}.sql:3"
        remedy = str(caught.value.remedy)
        site.run(remedy[remedy.index("UPDATE") : remedy.index(". If not")])
        assert site.migrate() == [name], statement


@on_mysql
def test_a_cut_off_statement_that_was_edited_is_refused(site: Site) -> None:
    site.write({"0001_one.sql": "CREATE TABLE one (a INTEGER);"})
    site.migrate()
    _cut_off(site, "0001_one", 1)
    site.write({"0001_one.sql": "CREATE TABLE two (a INTEGER);"})
    with pytest.raises(DriftError, match="it was edited since"):
        site.migrate()


@on_mysql
def test_a_cut_off_statement_stays_so_when_its_repetition_fails(site: Site) -> None:
    site.run("CREATE TABLE one (a INTEGER)")
    statements = "SET @x = 1;\nALTER TABLE one ADD COLUMN b INTEGER;"
    site.write({"0001_one.sql": statements})
    site.migrate()
    _cut_off(site, "0001_one", 2)
    site.run("RENAME TABLE one TO away")
    with pytest.raises(MigrationError, match="doesn't exist"):
        site.migrate()
    assert "was under way" in str(site.status().unfinished)
    site.run("RENAME TABLE away TO one")
    assert site.migrate() == ["0001_one"]


@on_postgresql
def test_an_index_built_concurrently(site: Site) -> None:
    site.write({"0001_one.sql": "CREATE TABLE one (a INTEGER);\nINSERT INTO one VALUES (1), (1);"})
    index = "-- transactional: false\n\nCREATE UNIQUE INDEX CONCURRENTLY ix ON one (a);\n"
    site.write({"0002_two.sql": index})
    undo = r'its invalid index is left, .*: DROP INDEX CONCURRENTLY "public"."ix";'
    with pytest.raises(MigrationError, match=f"could not create unique index.*{undo}"):
        site.migrate()
    is_valid = "SELECT indisvalid FROM pg_index WHERE indexrelid = 'ix'::regclass"
    assert site.run(is_valid) == [(False,)]
    site.run("DELETE FROM one")
    assert site.migrate() == ["0002_two"]
    assert site.run(is_valid) == [(True,)]


@pytest.mark.parametrize(
    ("dialect", "statements"),
    [
        (POSTGRESQL, "SET LOCAL lock_timeout = 100;\nALTER TABLE one ADD COLUMN b INTEGER;"),
        (
            POSTGRESQL,
            "-- transactional: false\nSET lock_timeout = 100;\n"
            "CREATE INDEX CONCURRENTLY ix ON one (a);",
        ),
        (MYSQL, "SET lock_wait_timeout = 1;\nALTER TABLE one ADD COLUMN b INTEGER;"),
    ],
)
def test_a_lock_that_others_hold_is_named_with_its_holder(
    dialect: Dialect, statements: str, site: Site
) -> None:
    site.run("CREATE TABLE one (a INTEGER)")
    site.write({"0001_one.sql": statements})
    with site.engine.connect() as other:
        number = other.scalar(text(SESSION[dialect]))
        other.execute(text("INSERT INTO one VALUES (1)"))
        with pytest.raises(MigrationError, match="is not at fault") as refused:
            site.migrate()
    assert f"session {number} of " in str(refused.value)
    assert f"({ENDS[dialect].format(number)})" in str(refused.value)
    assert site.migrate() == ["0001_one"]


SESSION = {POSTGRESQL: "SELECT pg_backend_pid()", MYSQL: "SELECT CONNECTION_ID()"}
ENDS = {POSTGRESQL: "SELECT pg_terminate_backend({});", MYSQL: "KILL {};"}


# --- processes that race or are killed ---------------------------------------------------


def test_eight_processes_migrate_a_fresh_database(site: Site) -> None:
    site.write(THREE)
    start, go = os.pipe()
    children = [_forked(site, start, go) for _ in range(8)]
    os.close(go)
    os.close(start)
    codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
    assert sorted(codes) == [0] * 7 + [3]
    assert site.status().is_current


def _forked(site: Site, start: int, go: int) -> int:
    """A process that migrates once nobody has ``go`` open; its exit code is how many."""
    child = os.fork()
    if not child:
        code = 99
        try:
            os.close(go)
            with opened(site.url, site.folder) as own:
                migrator = own.migrator()
                os.read(start, 1)
                code = len(migrator.migrate())
        finally:
            os._exit(code)
    return child


ENDLESS = {
    SQLITE: (
        "INSERT INTO one WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c)"
        " SELECT n FROM c WHERE n < 0;"
    ),
    POSTGRESQL: "SELECT pg_sleep(60);",
}


def _is_writing(site: Site) -> bool:
    """Whether the migration's transaction is open and its endless statement runs."""
    if site.dialect is POSTGRESQL:
        return bool(
            site.run(
                "SELECT 1 FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep%'"
                " AND datname = current_database()"
            )
        )
    path = Path(str(site.config.engine_url.database))
    if not path.exists():
        return False
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        made = connection.execute("SELECT 1 FROM sqlite_master WHERE name = '_yoyo_version'")
        if not made.fetchone():
            return False
        connection.execute("PRAGMA busy_timeout = 0")
        try:
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("ROLLBACK")
        except sqlite3.OperationalError:
            return True
    return False


@on(SQLITE, POSTGRESQL)
def test_a_kill_in_the_transaction_leaves_nothing(dialect: Dialect, site: Site) -> None:
    if dialect is POSTGRESQL and int(site.run("SHOW server_version_num")[0][0]) < 140000:
        pytest.skip("PostgreSQL before 14 goes on until the statement ends")
    site.write({"0001_one.sql": f"CREATE TABLE one (a BIGINT);\n{ENDLESS[dialect]}\n"})
    process = site.start()
    wait_until(lambda: _is_writing(site))
    process.kill()
    process.wait(10)
    site.write({"0001_one.sql": "CREATE TABLE one (a BIGINT);"})
    assert site.migrate() == ["0001_one"]
    assert site.tables() == {"one"}
    if dialect is SQLITE:
        assert not list(Path(str(site.config.engine_url.database)).parent.glob("*lock*"))


@on_mysql
def test_a_kill_before_the_journal_says_done(site: Site) -> None:
    """The server finishes the ALTER after its client has died; the next run finds that out."""
    sql = "SELECT 1;\nALTER TABLE one ADD COLUMN b INTEGER;\nCREATE TABLE two (a INTEGER);\n"
    site.write({"0001_one.sql": sql})
    site.run("CREATE TABLE one (a INTEGER)")
    with site.engine.connect() as reader:
        reader.execute(text("SELECT * FROM one")).all()  # its metadata lock holds up the ALTER
        process = site.start()
        waiting = (
            "SELECT id FROM information_schema.processlist"
            " WHERE info LIKE 'ALTER TABLE one%' AND db = DATABASE()"
        )
        wait_until(lambda: site.run(waiting))
        process.kill()
        process.wait(10)
        assert "statement 2 was under way" in str(site.status().unfinished)
        with pytest.raises(MigrationError, match="another migrator has held the lock"):
            site.migrator(lock_timeout=0.1).migrate()
    assert site.migrate() == ["0001_one"]
    assert {column["name"] for column in inspect(site.engine).get_columns("one")} == {"a", "b"}
    assert site.status().is_current


def test_waiting_for_the_lock_names_its_holder(site: Site) -> None:
    site.write(THREE)
    pooled = site.engine.raw_connection()
    if site.dialect is SQLITE:
        file = Path(str(site.config.engine_url.database))
        lock: mutex.MigrationLock = mutex.FileLock(file)
        named = f"process {os.getpid()} on {socket.gethostname()}, since 20"
    else:
        lock = migration_backend(site.dialect, pooled.driver_connection)
        user = site.engine.url.username
        number = "CONNECTION_ID()" if site.dialect is MYSQL else "pg_backend_pid()"
        cursor = pooled.cursor()
        cursor.execute(f"SELECT {number}")
        (own,) = cursor.fetchone()
        named = (
            f"connection {own} of the server, user {user} from "
            if site.dialect is MYSQL
            else f"process {own} of the server, user {user}, application 'cardlink-sql'"
        )
    with mutex.held(lock, 1):
        started = time.monotonic()
        with pytest.raises(MigrationError) as caught:
            site.migrator(lock_timeout=0.2).migrate()
        assert 0.2 <= time.monotonic() - started < 3
        assert site.status().pending  # reading needs no lock
    assert named in str(caught.value)
    pooled.close()
    assert len(site.migrate()) == 3


def test_a_lock_on_a_file_that_was_removed_meanwhile_is_no_lock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock = mutex.FileLock(tmp_path / "x.db")
    take = mutex._lock_file

    def remove_and_take(file: Any) -> bool:
        Path(file.name).unlink()
        return take(file)

    with monkeypatch.context() as patch:
        patch.setattr(mutex, "_lock_file", remove_and_take)
        assert not lock.try_acquire()
    assert lock.try_acquire()
    assert not mutex.FileLock(tmp_path / "x.db").try_acquire()
    lock.release()
    assert list(tmp_path.iterdir()) == []


def test_a_lock_needs_no_room_on_the_disk_and_leaves_nothing(tmp_path: Path) -> None:
    resource = pytest.importorskip("resource")
    lock = mutex.FileLock(tmp_path / "x.db")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, limits[1]))
    try:
        assert lock.try_acquire()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert not mutex.FileLock(tmp_path / "x.db").try_acquire()
    assert lock.holder() == "it has not identified itself"
    lock.release()
    assert list(tmp_path.iterdir()) == []


# --- drift -------------------------------------------------------------------------------


@on_sqlite
@pytest.mark.parametrize(
    ("lost", "written", "sentence"),
    [
        (
            [],
            {"0001_one.sql": THREE["0001_one.sql"] + "-- a word more\n"},
            "0001_one was edited after it was applied",
        ),
        (
            ["0002_two.sql", "0002_two.rollback.sql"],
            {},
            "0002_two is applied, but its file is missing",
        ),
        (
            [],
            {"0000_zero.sql": "CREATE TABLE zero (a INTEGER);"},
            "0000_zero is not applied, but 0003_three, which comes after it, is",
        ),
    ],
    ids=["edited", "lost", "squeezed in"],
)
def test_drift_is_reported_and_refused(
    lost: list[str], written: Files, sentence: str, site: Site
) -> None:
    site.write(THREE)
    site.migrate()
    for name in lost:
        site.remove(name)
    site.write({**written, "0004_four.sql": "CREATE TABLE four (a INTEGER);"})
    assert site.status().drift == [sentence]
    assert not site.status().is_current
    migrator = site.migrator()
    for action in (
        migrator.migrate,
        migrator.plan,
        lambda: migrator.rollback("base"),
        lambda: migrator.rollback("0001"),
    ):
        with pytest.raises(DriftError, match=sentence):
            action()
    assert site.tables() == {"one", "uno", "two", "three"}


@on_mysql
def test_a_file_before_a_half_applied_one_is_drift(site: Site) -> None:
    site.write({"0002_two.sql": FAILING})
    with pytest.raises(MigrationError):
        site.migrate()
    site.write({"0001_one.sql": "CREATE TABLE early (a INTEGER);"})
    with pytest.raises(DriftError, match="0001_one is not applied, but 0002_two"):
        site.migrate()


@on_sqlite
def test_line_endings_are_no_drift(site: Site) -> None:
    site.write(THREE)
    site.migrate()
    site.write({name: content.replace("\n", "\r\n") for name, content in THREE.items()})
    assert site.status().is_current
    assert site.migrator().rollback("base") == ["0003_three", "0002_two", "0001_one"]
    assert len(site.migrate()) == 3


# --- faulty files ------------------------------------------------------------------------

FAULTS = [
    ("", r"one\.sql:1: the file holds no statement"),
    ("-- nothing here\n/* nor here */;\n", r"one\.sql:1: the file holds no statement"),
    ("\ufeffSELECT 1;", r"one\.sql:1: the file begins with a byte order mark"),
    ("-- why\n-- transactional: false\nSELECT 1;", r"one\.sql:2: a directive comes after"),
    ("SELECT 1;\n-- depends: 0000_zero\n", r"one\.sql:2: a directive comes after"),
    ("-- Transactional: false\nSELECT 1;", r"one\.sql:1: the directive is not understood"),
    ("-- transactional: no\nSELECT 1;", r"one\.sql:1: the directive is not understood"),
    ("-- depends: 0000_zero\nSELECT 1;", r"one\.sql:1: it depends on 0000_zero, which does not"),
    ("BEGIN;\nSELECT 1;\nCOMMIT;", r"one\.sql:1: BEGIN in a migration"),
    ("SELECT 1;\n-- so\n  commit;", r"one\.sql:3: COMMIT in a migration"),
    ("SELECT 1; /* x */ ROLLBACK;", r"one\.sql:1: ROLLBACK in a migration"),
    ("START TRANSACTION;\nSELECT 1;", r"one\.sql:1: START TRANSACTION in a migration"),
    ("SELECT 1;\nDELIMITER //\nSELECT 2//", r"one\.sql:2: DELIMITER is a command"),
    ("SELECT 1;\n-- \udce4\n", r"one\.sql:2: byte 0xe4 is not UTF-8"),
    ("SELECT 'never ends;\n", r"one\.sql:1: the string that starts with .* is not closed"),
]


@pytest.mark.parametrize(("content", "message"), FAULTS)
def test_a_faulty_file_is_refused(content: str, message: str, tmp_path: Path) -> None:
    for dialect in Dialect:
        place = tmp_path / "migrations" / dialect
        place.mkdir(parents=True)
        (place / "0001_one.sql").write_bytes(content.encode(errors="surrogateescape"))
        with pytest.raises(MigrationError, match=message) as caught:
            read_migrations(tmp_path / "migrations", dialect)
        assert str(caught.value).startswith(f"migrations/{dialect}/0001_one.sql:")


@on_sqlite
@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"0001_one.py": "import os"}, "not a valid name of a migration"),
        ({"one.sql": "SELECT 1;"}, "not a valid name of a migration"),
        ({"post-apply.sql": "SELECT 1;"}, "not a valid name of a migration"),
        ({"0001_a.sql": "SELECT 1;", "0001_b.sql": "SELECT 1;"}, "0001_a has the number 0001"),
        ({"0001_a.rollback.sql": "SELECT 1;"}, "rollback of a migration that does not exist"),
        (
            {
                "0001_a.sql": "-- depends: 0002_b\nSELECT 1;",
                "0002_b.sql": "-- depends: 0001_a\nSELECT 1;",
            },
            "depend on each other in a circle: 0001_a, 0002_b",
        ),
        (
            {
                "0001_a.sql": "SELECT 1;",
                "0001_a.rollback.sql": "-- transactional: false\nSELECT 1;",
            },
            "in a rollback file",
        ),
    ],
)
def test_a_faulty_folder_is_refused(files: Files, message: str, site: Site) -> None:
    site.write(files)
    for action in (site.migrate, site.status):
        with pytest.raises(MigrationError, match=message):
            action()
    assert not Path(str(site.config.engine_url.database)).exists()


@on_sqlite
def test_files_of_editors_are_skipped_with_one_warning_each(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    left = (".#0001_one.sql", "._0001_one.sql", "0001_one.sql~")
    site.write({"0001_one.sql": "SELECT 1;"} | dict.fromkeys(left, "junk"))
    warn_skipped.cache_clear()
    site.migrate()
    site.status()
    messages = [one.getMessage() for one in caplog.records if "skipped" in one.getMessage()]
    assert messages == [
        f"migrations/sqlite/{name} is not a migration file: skipped" for name in left
    ]


@on_sqlite
def test_what_is_let_pass(site: Site) -> None:
    """Words of transactions inside bodies, strings, comments and names are not refused."""
    body = (
        "CREATE TABLE one (a TEXT DEFAULT 'x; COMMIT; y', \"begin\" INTEGER);\n"
        "-- ; COMMIT; DELIMITER //\n"
        "CREATE TRIGGER t AFTER INSERT ON one BEGIN\n"
        "    UPDATE one SET a = 'ä';\n    DELETE FROM one WHERE a = ':x %s ?';\nEND;\n"
        'INSERT INTO one ("begin") VALUES (1); -- the end\n-- really\n'
    )
    site.write({"0001_one.sql": body})
    assert len(site.migrator().plan()[0].statements) == 3
    site.migrate()
    assert site.run("SELECT a FROM one") == [("ä",)]


LOOPS = """
CREATE PROCEDURE loops() BEGIN
    DECLARE n INTEGER DEFAULT 0;
    REPEAT SET n = n + 1; UNTIL n >= 3 END REPEAT;
    again: LOOP
        IF IF(n > 5, 1, 0) THEN LEAVE again; ELSEIF n < 0 THEN SET n = 0; END IF;
        SET n = n + 1;
    END LOOP again;
    CASE n WHEN 6 THEN SET n = 7; SET n = n + 1; ELSE BEGIN END; END CASE;
    WHILE n < 10 DO SET n = n + 1; END WHILE;
    DROP TABLE IF EXISTS none;
    INSERT INTO one VALUES (IF(n = 10, n, LENGTH(REPEAT('x', 3))));
END;
CREATE PROCEDURE IF NOT EXISTS bare(n INTEGER) REPEAT SET n = n + 1; UNTIL n > 3 END REPEAT;
CREATE TRIGGER t BEFORE INSERT ON one FOR EACH ROW
IF NEW.a = 10 THEN SET NEW.a = CASE WHEN NEW.a > 1 THEN 11 ELSE 0 END; SET @seen = 1; END IF;
CREATE FUNCTION plain(n INTEGER) RETURNS INTEGER DETERMINISTIC RETURN IF(n = 1, 2, 3);
"""


@pytest.mark.parametrize(
    ("dialect", "statements"),
    [
        (POSTGRESQL, ["SELECT 1 /* a /* b; */ it's; */;", "SELECT 'x; y';"]),
        (POSTGRESQL, ["CREATE RULE r AS ON INSERT TO a DO (SELECT 1; SELECT 2);", "SELECT 3"]),
        (POSTGRESQL, ["CREATE FUNCTION f() RETURNS INT BEGIN ATOMIC SELECT 1; END;", "SELECT 2;"]),
        (POSTGRESQL, ["SELECT 'C:\\';", "SELECT E'it\\'s;';"]),
        (SQLITE, ["SELECT 'C:\\'; -- so", "-- next\nSELECT 2;"]),
        (SQLITE, ["CREATE TABLE x (event TEXT, begin INT);", "SELECT 1;"]),
        (MYSQL, ["CREATE TABLE `event` (begin INT);", "SELECT 1;"]),
        (MYSQL, ["CREATE TABLE x (begin INT);", "CREATE EVENT e DO BEGIN SELECT 1; END;"]),
        (MYSQL, ["SELECT 1; # it's", "/*! CREATE TRIGGER t BEGIN SELECT 1; END */;", "SELECT 2;"]),
    ],
)
def test_a_file_is_cut_where_its_statements_end(dialect: Dialect, statements: list[str]) -> None:
    assert split("\n".join(statements), dialect) == statements


@on_postgresql
@pytest.mark.parametrize("directive", ["", "-- transactional: false\n"])
def test_a_search_path_is_the_migrations_own(directive: str, site: Site) -> None:
    there = (
        f"{directive}CREATE SCHEMA there;\nSET search_path TO there;\n"
        "CREATE TABLE one (a INTEGER);\nINSERT INTO one VALUES (1);\n"
    )
    back = "SET search_path = there;\nDROP TABLE one;\nDROP SCHEMA there;\n"
    here = f"{directive}CREATE TABLE two (a INTEGER);\n"
    site.write({"0001_one.sql": f"{there}SELECT wrong;\n", "0001_one.rollback.sql": back})
    with pytest.raises(MigrationError, match="wrong"):
        site.migrate()
    there += "INSERT INTO one VALUES (2);\n"
    site.write({"0001_one.sql": there, "0002_two.sql": here})
    site.write({"0002_two.rollback.sql": "DROP TABLE public.two;\n"})
    assert site.migrate() == ["0001_one", "0002_two"]
    assert site.status().is_current
    assert site.run("SELECT a FROM there.one") == [(1,), (2,)]
    assert site.tables() == {"two"}
    assert site.migrator().rollback("base") == ["0002_two", "0001_one"]


PROCEDURAL = {
    MYSQL: {
        "0001_one.sql": "CREATE TABLE one (a INTEGER);\n"
        "CREATE PROCEDURE p() BEGIN\n  START TRANSACTION;\n"
        "  INSERT INTO one VALUES (7 % 4);\n  COMMIT;\nEND;\nCALL p();\n",
        "0002_two.sql": LOOPS + "CALL loops();\nINSERT INTO one VALUES (9);\n",
    },
    POSTGRESQL: {
        "0001_one.sql": "CREATE TABLE one (a INTEGER);\n"
        "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $body$\nBEGIN\n"
        "  NEW.a := 7 % 4; RETURN NEW;\nEND;\n$body$;\n"
        "CREATE TRIGGER t BEFORE INSERT ON one FOR EACH ROW EXECUTE FUNCTION f();\n"
        "INSERT INTO one VALUES (1);\n"
    },
}


@on_servers
def test_procedural_code_reaches_the_servers_whole(site: Site) -> None:
    site.write(PROCEDURAL[site.dialect])
    counts = [len(step.statements) for step in site.migrator().plan()]
    assert counts == ([3, 6] if site.dialect is MYSQL else [4])
    site.migrate()
    expected = [(3,), (11,), (9,)] if site.dialect is MYSQL else [(3,)]
    assert site.run("SELECT a FROM one") == expected


def test_dialects_read_in_one_process_do_not_mix(tmp_path: Path) -> None:
    for dialect in Dialect:
        place = tmp_path / dialect
        place.mkdir()
        (place / "0001_one.sql").write_text(f"SELECT '{dialect}';")
        (place / "0002_two.sql").write_text("-- depends: 0001_one\nSELECT 2;")
    read = {dialect: read_migrations(tmp_path, dialect) for dialect in Dialect}
    for dialect, (one, two) in read.items():
        assert one.apply_statements[0].text == f"SELECT '{dialect}';"
        assert two.depends == {one}


@on_sqlite
def test_migrations_in_a_zip(site: Site, tmp_path: Path) -> None:
    source = Path(str(resource_folder("migrations")))
    archive = shutil.make_archive(str(tmp_path / "packed"), "zip", source.parent, "migrations")
    with zipfile.ZipFile(archive) as packed:
        folder = zipfile.Path(packed, "migrations/")
        assert Migrator(site.engine, SQLITE, folder=folder).migrate() == MIGRATIONS
    assert Migrator(site.engine, SQLITE).status().is_current


# --- reading only ------------------------------------------------------------------------


def test_status_makes_no_file_and_no_table(site: Site) -> None:
    site.write(THREE)
    path = Path(str(site.config.engine_url.database))
    assert site.status().pending == ["0001_one", "0002_two", "0003_three"]
    assert len(site.migrator().plan()) == 3
    if site.dialect is SQLITE:
        assert not path.exists()
    assert site.tables() == set()
    with site.engine.connect() as connection:
        assert not BOOKKEEPING & set(inspect(connection).get_table_names())


@on_sqlite
def test_status_leaves_an_sqlite_file_and_its_folder_as_they_are(site: Site) -> None:
    site.write(THREE)
    site.migrate()
    site.engine.dispose()
    path = Path(str(site.config.engine_url.database))
    before = (path.read_bytes(), path.stat().st_mtime_ns, sorted(path.parent.iterdir()))
    path.chmod(0o400)
    path.parent.chmod(0o500)
    try:
        assert site.status().is_current
    finally:
        path.parent.chmod(0o700)
    assert before == (path.read_bytes(), path.stat().st_mtime_ns, sorted(path.parent.iterdir()))


@on_sqlite
def test_status_sees_what_another_connection_has_in_its_log(site: Site) -> None:
    site.write(THREE)
    site.migrate("0001")
    with site.engine.connect() as reader:
        reader.execute(text("SELECT * FROM one")).all()  # keeps the log beside the file
        site.migrate()
        assert site.status().is_current


@on_servers
def test_status_needs_select_alone(dialect: Dialect, site: Site) -> None:
    site.write(THREE)
    reader = f"reader_{os.getpid()}"
    database = site.config.engine_url.database
    if dialect is MYSQL:
        site.run(f"CREATE USER {reader}@'%' IDENTIFIED BY 'word'")
        site.run(f"GRANT SELECT ON {database}.* TO {reader}@'%'")
        drop = [f"DROP USER {reader}@'%'"]
    else:
        site.run(f"CREATE ROLE {reader} LOGIN PASSWORD 'word'")
        drop = [f"DROP OWNED BY {reader}", f"DROP ROLE {reader}"]
    url = make_url(site.url).set(username=reader, password="word")
    try:
        with opened(url.render_as_string(hide_password=False), site.folder) as poor:
            assert len(poor.status().pending) == 3
            site.migrate()
            if dialect is POSTGRESQL:
                with pytest.raises(MigrationError, match="permission denied") as caught:
                    poor.status()
                assert "word" not in str(caught.value)
                site.run(f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {reader}")
            assert poor.status().is_current
            site.write({"0004_four.sql": "CREATE TABLE four (a INTEGER);"})
            with pytest.raises(MigrationError, match="denied"):
                poor.migrate()
    finally:
        for statement in drop:
            site.run(statement)


# --- what yoyo and its surroundings would do ---------------------------------------------


@on_sqlite
def test_a_user_without_a_name_and_a_host_without_dns(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse() -> str:
        raise KeyError("getpwuid(): uid not found: 12345")

    monkeypatch.setattr(getpass, "getuser", refuse)
    monkeypatch.setattr(socket, "getfqdn", refuse)
    site.write(THREE)
    assert len(site.migrate()) == 3
    who = site.status().applied[0].applied_by
    assert who == f"uid {os.getuid()}@{socket.gethostname()}"


REBUILD = """
CREATE TABLE new_parent (id INTEGER PRIMARY KEY, name TEXT);
INSERT INTO new_parent (id) SELECT id FROM parent{condition};
DROP TABLE parent;
ALTER TABLE new_parent RENAME TO parent;
"""


@pytest.fixture
def family(site: Site) -> Site:
    """A parent with a child that goes with it."""
    site.run("CREATE TABLE parent (id INTEGER PRIMARY KEY)")
    site.run("CREATE TABLE child (id INTEGER REFERENCES parent (id) ON DELETE CASCADE)")
    site.run("INSERT INTO parent VALUES (1), (2)")
    site.run("INSERT INTO child VALUES (1), (2)")
    return site


@on_sqlite
def test_rebuilding_a_table_keeps_the_rows_that_refer_to_it(family: Site) -> None:
    family.write({"0001_one.sql": REBUILD.format(condition="")})
    family.migrate()
    assert family.run("SELECT id FROM child ORDER BY id") == [(1,), (2,)]


@on_sqlite
def test_a_rebuild_that_orphans_rows_is_refused(family: Site) -> None:
    family.write({"0001_one.sql": REBUILD.format(condition=" WHERE id = 1")})
    with pytest.raises(MigrationError, match=r"1 row\(s\) of child would refer to rows of parent"):
        family.migrate()
    assert family.run("SELECT id FROM parent") == [(1,), (2,)]
    assert not family.status().applied


@on_sqlite
def test_a_foreign_key_to_no_key_is_refused(site: Site) -> None:
    site.write({"0001_one.sql": "CREATE TABLE one (a INTEGER REFERENCES one (a));"})
    with pytest.raises(MigrationError, match="foreign key mismatch") as caught:
        site.migrate()
    assert caught.value.where == "migrations/sqlite/0001_one.sql"
    assert site.tables() == set()


@on_sqlite
def test_orphans_of_old_do_not_hinder(family: Site) -> None:
    with sqlite3.connect(str(family.config.engine_url.database)) as connection:
        connection.execute("INSERT INTO child VALUES (99)")
    connection.close()
    family.write({"0001_one.sql": REBUILD.format(condition="")})
    assert family.migrate() == ["0001_one"]


def test_a_database_in_memory(tmp_path: Path) -> None:
    with opened("sqlite:///:memory:", tmp_path) as site:
        site.write({**THREE, "0002_two.sql": FAILING})
        with pytest.raises(MigrationError):
            site.migrate()
        site.write(THREE)
        assert site.status().pending == ["0002_two", "0003_three"]
        assert site.migrate() == ["0002_two", "0003_three"]
        assert site.tables() == {"one", "uno", "two", "three"}
        assert site.run("PRAGMA foreign_keys") == [(1,)]
        site.migrator().drop_all()
        assert site.engine.pool.checkedout() == 0  # type: ignore[attr-defined]
    assert [path.name for path in tmp_path.iterdir()] == ["sqlite"]


def test_the_pool_gets_no_connection_that_a_migration_has_changed(site: Site) -> None:
    change, read = {
        SQLITE: ("PRAGMA recursive_triggers = ON;", "PRAGMA recursive_triggers"),
        MYSQL: ("SET SESSION sql_mode = 'ANSI';", "SELECT @@sql_mode"),
        POSTGRESQL: (
            "SELECT set_config('statement_timeout', '12345', false);",
            "SHOW statement_timeout",
        ),
    }[site.dialect]
    before = site.run(read)
    site.write({"0001_one.sql": _without_transaction(site.dialect, change)})
    site.migrate()
    assert site.run(read) == before
    assert site.engine.pool.checkedout() == 0  # type: ignore[attr-defined]


def test_a_file_that_is_not_a_database(tmp_path: Path) -> None:
    (tmp_path / "x.db").write_text("no database, but long enough to be taken for one" * 40)
    engine: Engine = make_engine(DatabaseConfig(f"sqlite:///{tmp_path}/x.db"))
    with pytest.raises(ConnectionError, match="not a database"):
        Migrator(engine, SQLITE).status()
    with pytest.raises(ConnectionError, match="not a database"):
        Migrator(engine, SQLITE).migrate()
