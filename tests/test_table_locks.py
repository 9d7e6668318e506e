"""What ``migrate --dry-run`` says of locks, held against what the servers do."""

import re
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, inspect, text
from sqlalchemy.exc import DBAPIError

from cardlink_sql.config import DatabaseConfig
from cardlink_sql.database.engine import make_engine
from cardlink_sql.dialect import Dialect
from cardlink_sql.manager import DatabaseManager
from cardlink_sql.schema.drift import differences
from cardlink_sql.schema.migrator import Migrator
from cardlink_sql.schema.migrator.actions import Action, TableLock, Work
from cardlink_sql.schema.migrator.kinds import Change, changes_of
from cardlink_sql.schema.migrator.table_locks import locks
from tests.conftest import MakeDatabase, Run, on_sqlite, wait_until

ALTER = "ALTER TABLE child"

# Each statement, and the kind that it is taken for. Those of PostgreSQL are run, too.
ON_POSTGRESQL = [
    ("CREATE TABLE x (a INTEGER, CONSTRAINT f FOREIGN KEY (a) REFERENCES parent)", "CREATE_TABLE"),
    ("DROP TABLE child", "DROP_TABLE"),
    ("DROP TABLE IF EXISTS child CASCADE", "DROP_TABLE"),
    ("TRUNCATE TABLE child", "TRUNCATE"),
    ("CREATE INDEX x ON child (b)", "CREATE_INDEX"),
    ("CREATE UNIQUE INDEX IF NOT EXISTS x ON child (lower(b)) WHERE a > 1", "CREATE_INDEX"),
    ("CREATE INDEX ON ONLY public.Child (b)", "CREATE_INDEX"),
    ('TRUNCATE ONLY "public"."child"', "TRUNCATE"),
    ("UPDATE ONLY child SET b = 'x'", "UPDATE"),
    ("COMMENT ON COLUMN public.child.a IS 'a'", "COMMENT"),
    (f"{ALTER} ADD CONSTRAINT x EXCLUDE (b WITH =)", "ADD_EXCLUSION"),
    (f"{ALTER} ADD EXCLUDE (b WITH =)", "ADD_EXCLUSION"),
    ("DROP INDEX public.ix_child_b", "DROP_INDEX"),
    ("DROP INDEX ix_child_b", "DROP_INDEX"),
    ("ALTER TABLE child RENAME TO kid", "RENAME_TABLE"),
    (f"{ALTER} ADD COLUMN x INTEGER", "ADD_COLUMN"),
    (f"{ALTER} ADD x TIMESTAMPTZ NOT NULL DEFAULT now()", "ADD_COLUMN"),
    (f"{ALTER} ADD COLUMN IF NOT EXISTS x TEXT COLLATE \"C\" DEFAULT 'NOT NULL'", "ADD_COLUMN"),
    (f"{ALTER} ADD COLUMN x INTEGER REFERENCES parent (id)", "ADD_COLUMN"),
    (f"{ALTER} ADD COLUMN x INTEGER UNIQUE", "ADD_CHECKED_COLUMN"),
    (f"{ALTER} ADD COLUMN unique_x INTEGER CHECK (unique_x > 0)", "ADD_CHECKED_COLUMN"),
    (f"{ALTER} ADD COLUMN unique_x INTEGER", "ADD_COLUMN"),
    (f"{ALTER} ADD COLUMN x UUID DEFAULT gen_random_uuid()", "ADD_COMPUTED_COLUMN"),
    (f"{ALTER} ADD COLUMN x BIGINT GENERATED ALWAYS AS IDENTITY", "ADD_COMPUTED_COLUMN"),
    (f"{ALTER} ADD COLUMN x INTEGER GENERATED ALWAYS AS (a + 1) STORED", "ADD_COMPUTED_COLUMN"),
    (f"{ALTER} DROP COLUMN b", "DROP_COLUMN"),
    (f"{ALTER} RENAME COLUMN b TO c", "RENAME_COLUMN"),
    (f"{ALTER} RENAME b TO c", "RENAME_COLUMN"),
    (f"{ALTER} ALTER COLUMN a TYPE BIGINT", "CHANGE_TYPE"),
    (f"{ALTER} ALTER a SET DATA TYPE BIGINT USING a + 1", "CHANGE_TYPE"),
    (f"{ALTER} ALTER COLUMN a SET DEFAULT 3", "CHANGE_DEFAULT"),
    (f"{ALTER} ALTER COLUMN a DROP DEFAULT", "CHANGE_DEFAULT"),
    (f"{ALTER} ALTER COLUMN b SET NOT NULL", "SET_NOT_NULL"),
    (f"{ALTER} ALTER COLUMN a DROP NOT NULL", "DROP_NOT_NULL"),
    (f"{ALTER} ADD CONSTRAINT x FOREIGN KEY (a) REFERENCES parent (id)", "ADD_FOREIGN_KEY"),
    (f"{ALTER} ADD FOREIGN KEY (a) REFERENCES parent NOT VALID", "ADD_FOREIGN_KEY_NOT_VALID"),
    (f"{ALTER} ADD CONSTRAINT x CHECK (a > 0)", "ADD_CHECK"),
    (f"{ALTER} ADD CONSTRAINT x CHECK (a > 0) NOT VALID", "ADD_CHECK_NOT_VALID"),
    (f"{ALTER} VALIDATE CONSTRAINT ck_child_late", "VALIDATE"),
    (f"{ALTER} ADD CONSTRAINT x UNIQUE (b)", "ADD_UNIQUE"),
    ("ALTER TABLE heap ADD CONSTRAINT x PRIMARY KEY (a)", "ADD_PRIMARY_KEY"),
    (f"{ALTER} DROP CONSTRAINT fk_child_parent_id", "DROP_FOREIGN_KEY"),
    (f"{ALTER} DROP CONSTRAINT ck_child_a", "DROP_CONSTRAINT"),
    (f"{ALTER} RENAME CONSTRAINT ck_child_a TO ck_a", "RENAME_CONSTRAINT"),
    ("INSERT INTO child SELECT id + 9, 1, a, b FROM child", "INSERT"),
    ("UPDATE child SET b = 'x'", "UPDATE"),
    ("DELETE FROM child", "DELETE"),
    ("SELECT 1 FROM child", "SELECT"),
    ("COMMENT ON TABLE child IS 'a'", "COMMENT"),
    ("COMMENT ON COLUMN child.a IS 'a'", "COMMENT"),
]
# These run outside of a transaction.
CONCURRENTLY = [
    ("CREATE INDEX CONCURRENTLY x ON child (b)", "CREATE_INDEX_CONCURRENTLY"),
    ("DROP INDEX CONCURRENTLY ix_child_b", "DROP_INDEX_CONCURRENTLY"),
]
ON_MYSQL = [
    (f"{ALTER} ADD COLUMN x INTEGER", "ADD_COLUMN"),
    (f"{ALTER} ADD COLUMN x INTEGER NOT NULL DEFAULT 3", "ADD_COLUMN"),
    (f"{ALTER} ADD x INTEGER NOT NULL", "ADD_REQUIRED_COLUMN"),
    (f"{ALTER} DROP COLUMN b", "DROP_COLUMN"),
    (f"{ALTER} RENAME COLUMN b TO c", "RENAME_COLUMN"),
    (f"{ALTER} MODIFY a BIGINT NOT NULL", "CHANGE_TYPE"),
    (f"{ALTER} CHANGE COLUMN a c BIGINT NOT NULL", "CHANGE_TYPE"),
    (f"{ALTER} ALTER COLUMN a SET DEFAULT 3", "CHANGE_DEFAULT"),
    (f"{ALTER} ADD INDEX x (a)", "CREATE_INDEX"),
    (f"{ALTER} ADD INDEX x (a), ALGORITHM=INPLACE, LOCK NONE", "CREATE_INDEX"),
    (f"{ALTER} ADD FULLTEXT INDEX x (b)", "CREATE_FULLTEXT_INDEX"),
    (f"{ALTER} ADD SPATIAL INDEX x (place)", "CREATE_SPATIAL_INDEX"),
    (f"{ALTER} ADD UNIQUE INDEX x (a)", "ADD_UNIQUE"),
    (f"{ALTER} ADD CONSTRAINT x UNIQUE (a)", "ADD_UNIQUE"),
    (f"{ALTER} DROP INDEX ix_child_b", "DROP_INDEX"),
    (f"{ALTER} RENAME INDEX ix_child_b TO ix", "RENAME_INDEX"),
    (f"{ALTER} ADD CONSTRAINT x FOREIGN KEY (a) REFERENCES parent (id)", "ADD_FOREIGN_KEY"),
    (f"{ALTER} DROP FOREIGN KEY fk_child_parent_id", "DROP_FOREIGN_KEY"),
    (f"{ALTER} ADD CONSTRAINT x CHECK (a > 0)", "ADD_CHECK"),
    (f"{ALTER} DROP CONSTRAINT ck_child_a", "DROP_CONSTRAINT"),
]
ELSEWHERE = [
    (Dialect.MYSQL, "CREATE INDEX x ON child (b)", "CREATE_INDEX"),
    (Dialect.MYSQL, "CREATE FULLTEXT INDEX x ON child (b)", "CREATE_FULLTEXT_INDEX"),
    (Dialect.MYSQL, "CREATE SPATIAL INDEX x ON child (b)", "CREATE_SPATIAL_INDEX"),
    (Dialect.MYSQL, "DROP INDEX x ON child", "DROP_INDEX"),
    (Dialect.MYSQL, "RENAME TABLE child TO kid, kid2 TO child", "UNKNOWN"),
    (Dialect.MYSQL, "ALTER TABLE test.child ADD COLUMN x INTEGER", "UNKNOWN"),
    (Dialect.MYSQL, "SET @@GLOBAL.read_only = 1", "UNKNOWN"),
    (Dialect.MYSQL, f"{ALTER} ADD (x INTEGER NOT NULL)", "UNKNOWN"),
    (Dialect.MYSQL, f"{ALTER} ADD PARTITION (PARTITION p VALUES LESS THAN (3))", "UNKNOWN"),
    (Dialect.MYSQL, f"{ALTER} DROP PARTITION p", "UNKNOWN"),
    (Dialect.POSTGRESQL, "DROP INDEX a, b", "UNKNOWN"),
    (Dialect.POSTGRESQL, "TRUNCATE archive.child", "UNKNOWN"),
    (Dialect.POSTGRESQL, f"{ALTER} ADD CONSTRAINT x NOT NULL a", "UNKNOWN"),
    (Dialect.POSTGRESQL, f"{ALTER} ADD x INTEGER REFERENCES archive.parent", "UNKNOWN"),
    (Dialect.POSTGRESQL, "CREATE TABLE x PARTITION OF child DEFAULT", "UNKNOWN"),
    (Dialect.SQLITE, "UPDATE OR IGNORE child SET a = 1", "UNKNOWN"),
    (Dialect.SQLITE, "ALTER TABLE main.child RENAME TO kid", "RENAME_TABLE"),
    (Dialect.MYSQL, "RENAME TABLE child TO kid", "RENAME_TABLE"),
    (Dialect.MYSQL, "SET SESSION lock_wait_timeout = 1", "SET"),
    (Dialect.MYSQL, "SET GLOBAL read_only = 1", "UNKNOWN"),
    (Dialect.MYSQL, f"{ALTER} DROP PRIMARY KEY", "UNKNOWN"),
    (Dialect.MYSQL, f"{ALTER} ENGINE = InnoDB", "UNKNOWN"),
    (Dialect.SQLITE, 'ALTER TABLE "child" RENAME TO [kid]', "RENAME_TABLE"),
    (Dialect.SQLITE, "PRAGMA user_version = 3", "SET"),
    (Dialect.SQLITE, "VACUUM", "UNKNOWN"),
    (Dialect.POSTGRESQL, "VACUUM child", "UNKNOWN"),
    (Dialect.POSTGRESQL, "DO $$ BEGIN DROP TABLE child; END $$", "UNKNOWN"),
    (Dialect.POSTGRESQL, f"{ALTER} SET (fillfactor = 70)", "UNKNOWN"),
    (Dialect.POSTGRESQL, "ALTER INDEX a RENAME TO b", "RENAME_INDEX"),
    (Dialect.POSTGRESQL, "-- CREATE TABLE\n/* DROP TABLE */ select 'DROP TABLE x'", "SELECT"),
    (Dialect.POSTGRESQL, f"{ALTER} ADD x INTEGER NOT NULL", "ADD_REQUIRED_COLUMN"),
    (Dialect.POSTGRESQL, f"{ALTER} ADD x DATE DEFAULT public.now()", "ADD_COMPUTED_COLUMN"),
    (Dialect.POSTGRESQL, f"{ALTER} ADD PRIMARY KEY USING INDEX x", "ADD_KEY_USING_INDEX"),
]
READ = [
    *((Dialect.POSTGRESQL, *case) for case in (*ON_POSTGRESQL, *CONCURRENTLY)),
    *((Dialect.MYSQL, *case) for case in ON_MYSQL),
    *ELSEWHERE,
]

SCHEMA = (
    "CREATE TABLE parent (id INTEGER PRIMARY KEY)",
    "CREATE TABLE child (id INTEGER PRIMARY KEY, parent_id INTEGER, a INTEGER NOT NULL,"
    " b VARCHAR(20), CONSTRAINT fk_child_parent_id FOREIGN KEY (parent_id) REFERENCES parent (id),"
    " CONSTRAINT ck_child_a CHECK (a > -5))",
    "CREATE INDEX ix_child_b ON child (b)",
    "CREATE TABLE heap (a INTEGER NOT NULL)",
    "INSERT INTO parent VALUES (1), (2)",
    "INSERT INTO child VALUES (1, 1, 1, 'a'), (2, 1, 2, 'b')",
    "INSERT INTO heap VALUES (1)",
)
# The same foreign key, written in other ways.
SCHEMA_ENDS = (
    SCHEMA[1],
    'CREATE TABLE child (id INTEGER, "parent_id" INTEGER NOT NULL REFERENCES public.parent)',
    f"{ALTER} ADD b INTEGER, ADD FOREIGN KEY (parent_id) REFERENCES parent (id)",
)
# What a spatial index needs, on MySQL and MariaDB.
PLACE = f"{ALTER} ADD COLUMN place POINT NOT NULL"
ROWS = SCHEMA[5].replace("')", "', POINT(0, 0))")


@pytest.mark.parametrize(("dialect", "statement", "kind"), READ)
def test_a_statement_is_taken_for_what_it_is(dialect: Dialect, statement: str, kind: str) -> None:
    assert [change.kind for change in changes_of(statement + ";", dialect)] == [Action[kind]]


def test_each_action_is_a_change() -> None:
    statement = "ALTER TABLE ONLY t ADD a NUMERIC(10, 2), DROP b, ADD FOREIGN KEY (a) REFERENCES u"
    assert changes_of(statement, Dialect.POSTGRESQL) == [
        Change(Action.ADD_COLUMN, "t"),
        Change(Action.DROP_COLUMN, "t", name="b"),
        Change(Action.ADD_FOREIGN_KEY, "t", "u"),
    ]
    assert [change.table for change in changes_of("DROP TABLE a, b CASCADE", Dialect.MYSQL)] == [
        "a",
        "b",
    ]


@pytest.fixture(scope="module")
def postgresql(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """A database with two tables, on PostgreSQL."""
    yield from prepared(Dialect.POSTGRESQL, tmp_path_factory.mktemp("locks"))


@pytest.fixture(scope="module")
def mysql(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """A database with two tables, on MariaDB or MySQL."""
    yield from prepared(Dialect.MYSQL, tmp_path_factory.mktemp("locks"))


def prepared(dialect: Dialect, folder: Path) -> Iterator[Engine]:
    from conftest import empty_database

    with empty_database(dialect, folder) as url:
        engine = make_engine(DatabaseConfig(url))
        with engine.begin() as connection:
            for statement in SCHEMA:
                connection.execute(text(statement))
            if dialect is Dialect.POSTGRESQL:
                late = "ALTER TABLE child ADD CONSTRAINT ck_child_late CHECK (a > -9) NOT VALID"
                connection.execute(text(late))
            else:
                make_child(connection)
        yield engine
        engine.dispose()


# From the weakest to the strongest.
MODES = (
    "AccessShareLock",
    "RowShareLock",
    "RowExclusiveLock",
    "ShareUpdateExclusiveLock",
    "ShareLock",
    "ShareRowExclusiveLock",
    "ExclusiveLock",
    "AccessExclusiveLock",
)
HELD = text("SELECT relation, mode FROM pg_locks WHERE pid = :pid AND granted")
TABLES = text(
    "SELECT oid, relname FROM pg_class WHERE relname IN ('parent', 'child', 'heap') ORDER BY 2"
)
SCANS = text("SELECT COALESCE(SUM(seq_scan), 0) FROM pg_stat_xact_user_tables WHERE relid = :oid")
FILE = text("SELECT relfilenode FROM pg_class WHERE oid = :oid")


def strongest(connection: Connection, pid: int, tables: dict[int, str]) -> dict[str, str]:
    """The strongest lock that a server process holds on each table, as SQL names it."""
    modes: dict[str, str] = {}
    for oid, mode in connection.execute(HELD, {"pid": pid}):
        if table := tables.get(oid):
            modes[table] = max(modes.get(table, mode), mode, key=MODES.index)
    return {
        table: " ".join(re.findall("[A-Z][a-z]+", mode.removesuffix("Lock"))).upper()
        for table, mode in modes.items()
    }


def of_kind(kind: str) -> TableLock:
    """PostgreSQL's lock of a kind of change."""
    lock = Action[kind].value.postgresql
    assert lock is not None
    return lock


def told(statement: str, dialect: Dialect) -> str:
    (sentence,) = locks([statement], dialect, [SCHEMA[2]])
    return sentence


@pytest.mark.parametrize(
    ("length", "word"), [(64, "reads no row"), (32, "rewrites every row")], ids=str
)
def test_postgresql_keeps_the_files_of_a_longer_varchar(
    length: int, word: str, postgresql: Engine
) -> None:
    made = 'CREATE TABLE words (w VARCHAR(48) COLLATE "C" PRIMARY KEY)'
    alter = f'ALTER TABLE words ALTER w TYPE VARCHAR({length}) COLLATE "C", ADD x VARCHAR(9)'
    assert word in locks([alter], Dialect.POSTGRESQL, [made])[0]
    assert "rewrites every row" in locks([alter], Dialect.POSTGRESQL)[0]
    files = text("SELECT relfilenode FROM pg_class WHERE relname IN ('words', 'words_pkey')")
    with postgresql.connect() as connection, connection.begin() as transaction:
        connection.execute(text(made))
        before = connection.execute(files).all()
        connection.execute(text(alter))
        assert (connection.execute(files).all() == before) is (length > 48)
        transaction.rollback()


@pytest.mark.parametrize(("statement", "kind"), ON_POSTGRESQL)
def test_postgresql_locks_what_is_told(statement: str, kind: str, postgresql: Engine) -> None:
    sentence = told(statement, Dialect.POSTGRESQL)
    table = "heap" if "heap" in statement else "child"
    with postgresql.connect() as connection, connection.begin() as transaction:
        tables = {row.oid: row.relname for row in connection.execute(TABLES)}
        oid = next(number for number, name in tables.items() if name == table)
        before, earlier = (connection.scalar(query, {"oid": oid}) for query in (FILE, SCANS))
        connection.execute(text(statement))
        pid = connection.scalar(text("SELECT pg_backend_pid()"))
        held = strongest(connection, pid, tables)
        after, later = (connection.scalar(query, {"oid": oid}) for query in (FILE, SCANS))
        transaction.rollback()
    assert kind in ("CREATE_TABLE", "SELECT") or f"{table} {held[table]}" in sentence
    for name, level in held.items():
        is_referred = name == "parent" and "each table that its foreign keys refer to" in sentence
        is_told = f"{name} {level}" in sentence or is_referred
        assert is_told or level in ("ACCESS SHARE", "ROW SHARE"), (sentence, held)
    if kind == "CREATE_TABLE":
        return
    work = of_kind(kind).work
    if work is Work.NONE and kind not in ("DROP_TABLE", "TRUNCATE"):
        assert (later, after) == (earlier, before)
    elif work is Work.SCAN:
        assert later > earlier
        assert after == before
    elif work is Work.REWRITE:
        assert after != before


@pytest.mark.parametrize(
    "statement",
    [
        f"{ALTER} ALTER COLUMN parent_id TYPE BIGINT",
        f"{ALTER} DROP COLUMN parent_id",
        "ALTER TABLE parent ALTER COLUMN id TYPE BIGINT",
    ],
)
@pytest.mark.parametrize("made", SCHEMA_ENDS)
def test_postgresql_locks_both_ends_of_a_foreign_key(
    statement: str, made: str, postgresql: Engine
) -> None:
    (sentence,) = locks([statement], Dialect.POSTGRESQL, [made])
    with postgresql.connect() as connection, connection.begin() as transaction:
        tables = {row.oid: row.relname for row in connection.execute(TABLES)}
        connection.execute(text(statement))
        pid = connection.scalar(text("SELECT pg_backend_pid()"))
        held = strongest(connection, pid, tables)
        transaction.rollback()
    assert set(held) == {"child", "parent"}
    assert all(f"{name} {level}" in sentence for name, level in held.items()), (sentence, held)


@pytest.mark.parametrize(("statement", "kind"), CONCURRENTLY)
def test_what_is_done_concurrently_lets_writers_through(
    statement: str, kind: str, make_database: MakeDatabase
) -> None:
    engine = make_engine(DatabaseConfig(make_database(Dialect.POSTGRESQL)))
    pids: list[int] = []

    def build() -> None:
        with engine.connect() as connection:
            pids.append(connection.scalar(text("SELECT pg_backend_pid()")))
            connection.rollback()
            connection.connection.driver_connection.execute(statement)  # type: ignore[union-attr]

    with engine.begin() as connection:
        for made in SCHEMA:
            connection.execute(text(made))
    builder = threading.Thread(target=build)
    with engine.connect() as writer, engine.connect() as watcher:
        tables = {row.oid: row.relname for row in watcher.execute(TABLES)}
        with writer.begin():
            # The statement waits for this transaction, and holds its lock meanwhile.
            writer.execute(text("UPDATE child SET b = 'x' WHERE id = 1"))
            builder.start()
            level = of_kind(kind).level
            wait_until(lambda: pids and strongest(watcher, pids[0], tables).get("child") == level)
            writer.execute(text("UPDATE child SET b = 'y' WHERE id = 2"))
            # It waits for each transaction that is older, too.
            watcher.rollback()
        builder.join(timeout=30)
        assert not builder.is_alive()
    engine.dispose()
    assert f"child {level}" in told(statement, Dialect.POSTGRESQL)


def make_child(connection: Connection) -> None:
    for made in ("DROP TABLE IF EXISTS child", SCHEMA[1], PLACE, SCHEMA[2], ROWS):
        connection.execute(text(made))


def accepts(engine: Engine, statement: str, how: str) -> bool:
    """Whether the server does it in this way: by an algorithm, a lock or both."""
    with engine.connect() as connection:
        try:
            connection.execute(text(f"{statement}, {how}"))
        except DBAPIError as error:
            number = error.orig.args[0] if error.orig else None
            assert number in (1221, 1845, 1846), error
            return False
        make_child(connection)
    return True


@pytest.mark.parametrize(("statement", "kind"), ON_MYSQL)
def test_mysql_does_it_in_the_way_that_is_told(statement: str, kind: str, mysql: Engine) -> None:
    is_mariadb = bool(getattr(mysql.dialect, "is_mariadb", False))
    locks_of_kind = Action[kind].value
    lock = locks_of_kind.mariadb if is_mariadb else locks_of_kind.on_mysql
    assert lock is not None
    if lock.level == "INSTANT":
        assert accepts(mysql, statement, "ALGORITHM = INSTANT")
    elif lock.level == "INPLACE":
        assert accepts(mysql, statement, "ALGORITHM = INPLACE, LOCK = NONE")
    elif lock.level != "COPY":
        assert accepts(mysql, statement, f"ALGORITHM = {lock.level}")
        assert not accepts(mysql, statement, "ALGORITHM = INPLACE, LOCK = NONE")
    # A newer server may do better than what holds for the oldest; MariaDB's figures are exact.
    if is_mariadb:
        if lock.level != "INSTANT":
            assert not accepts(mysql, statement, "ALGORITHM = INSTANT")
        if lock.level == "COPY":
            assert not accepts(mysql, statement, "ALGORITHM = INPLACE")
        assert accepts(mysql, statement, "ALGORITHM = NOCOPY") == (lock.work is not Work.REWRITE)


def test_on_sqlite_writers_wait_and_readers_go_on(tmp_path: Path) -> None:
    engine = make_engine(DatabaseConfig(f"sqlite:///{tmp_path}/locks.db"))
    with closing(engine.raw_connection()) as migrator, closing(engine.raw_connection()) as other:
        send(
            migrator, *SCHEMA, "BEGIN IMMEDIATE", f"{ALTER} ADD COLUMN x INTEGER", "DROP TABLE heap"
        )
        assert send(other, "SELECT COUNT(*) FROM heap") == [(1,)]
        send(other, "PRAGMA busy_timeout = 0")
        with pytest.raises(Exception, match="locked"):
            send(other, "UPDATE child SET b = 'x'")
        send(migrator, "COMMIT")
        send(other, "UPDATE child SET x = 1")
    engine.dispose()


def send(connection: Any, *statements: str) -> list[Any]:
    cursor = connection.cursor()
    for statement in statements:
        cursor.execute(statement)
    rows: list[Any] = cursor.fetchall() if cursor.description else []
    return rows


def test_a_table_that_is_new_is_no_lock_to_anybody(dialect: Dialect) -> None:
    made = ["CREATE TABLE x (a INTEGER)", "CREATE INDEX i ON x (a)", "CREATE INDEX j ON y (a)"]
    first, second, third = locks(made, dialect)
    assert first == second == "nothing that others use: x is new"
    assert third.endswith("reads every row")


def test_a_statement_of_an_unknown_kind_is_assumed_the_strongest(dialect: Dialect) -> None:
    (sentence,) = locks(["REINDEX DATABASE x"], dialect)
    assert sentence == "unknown: assume the strongest lock, on every table that it names"


def test_what_the_dry_run_prints_can_be_pasted_and_recorded(
    dialect: Dialect, empty_url: str, run: Run
) -> None:
    printed = run("migrate", "--dry-run", "-d", empty_url).stdout
    with DatabaseManager(DatabaseConfig(empty_url)) as manager:
        statements = [step.statements for step in manager.migrator.plan()]
        send(manager.engine.raw_connection(), *re.split(r"(?<=;)\n\n", printed.strip()))
        assert differences(manager.engine) == []
        assert run("migrate", "--stamp", "head", "-d", empty_url).returncode == 0
        assert manager.migrator.status().is_current
    printed += run("migrate", "--dry-run", "--revision", "base", "-d", empty_url).stdout
    assert "unknown" not in printed, "a migration of ours is of an unknown kind"
    assert printed.count("-- locks: ") > sum(map(len, statements))


@on_sqlite
def test_a_schema_made_by_hand_is_recorded_if_it_is_the_right_one(empty_url: str, run: Run) -> None:
    with DatabaseManager(DatabaseConfig(empty_url)) as manager:
        plan = manager.migrator.plan("0003")
        connection = manager.engine.raw_connection()
        send(connection, *(statement for step in plan for statement in step.statements))
        send(connection, "CREATE INDEX ix_by_hand ON devices (name)")
        connection.close()
        for wrong in ("0003", "0002"):
            done = run("migrate", "--stamp", wrong, "-d", empty_url)
            printed = done.stdout + done.stderr
            assert done.returncode == 4
            assert "the index ix_by_hand is not in the schema" in printed
        assert "test_" in printed  # a table or a column of a later migration
        assert "cardlink_migration_journal" not in inspect(manager.engine).get_table_names()
        send(manager.engine.raw_connection(), "DROP INDEX ix_by_hand")
        recorded = "".join(f"Recorded {step.id}\n" for step in plan)
        stamp = ("migrate", "--stamp", "0003", "-d", empty_url)
        done = run(*stamp)
        assert (done.returncode, done.stdout + done.stderr) == (0, recorded)
        status = manager.migrator.status()
        assert ([one.id for one in status.applied], status.drift) == ([s.id for s in plan], [])
        assert run(*stamp).stdout.startswith("Nothing to record")
        manager.migrator.migrate()
        assert differences(manager.engine) == []
    assert run(*stamp, "--dry-run").returncode == 2


def test_the_note_tells_a_migration_without_a_transaction(tmp_path: Path) -> None:
    (tmp_path / "postgresql").mkdir()
    for name, line in (("0001_a", ""), ("0002_b", "-- transactional: false\n")):
        file = tmp_path / "postgresql" / f"{name}.sql"
        file.write_text(f"{line}SELECT 1;\n", encoding="utf-8")
    engine = make_engine(DatabaseConfig("postgresql://nobody@127.0.0.1:1/none"))
    migrator = Migrator(engine, Dialect.POSTGRESQL, folder=tmp_path)
    notes = [step.note for step in migrator.plan(start="base")]
    assert [note.partition(":")[0] for note in notes] == ["one transaction", "no transaction"]
