"""The canonical DDL: what was committed is what the migrations make, and it leaves nothing out."""

import re
import uuid
from collections.abc import Callable

import pytest
from sqlalchemy import text

from cardlink_sql.cli import main
from cardlink_sql.config import DatabaseConfig
from cardlink_sql.database.engine import make_engine
from cardlink_sql.dialect import Dialect
from cardlink_sql.errors import DatabaseError, MigrationError
from cardlink_sql.manager import DatabaseManager
from cardlink_sql.review.conditions import canonical, canonical_condition
from cardlink_sql.review.schema_dump import committed_schema, fresh_schema
from cardlink_sql.review.scratch import scratch_database
from cardlink_sql.schema.ddl.printer import ddl
from cardlink_sql.schema.ddl.reflect import _default, read_tables
from cardlink_sql.schema.drift import differences
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


def dump_of(url: str, *statements: str) -> str:
    """The canonical DDL of an empty database after these statements."""
    engine = make_engine(DatabaseConfig(url))
    try:
        with engine.begin() as connection:
            for statement in statements:
                connection.execute(text(statement))
        with engine.connect() as connection:
            dialect = DatabaseConfig(url).dialect
            return ddl([canonical(one, dialect) for one in read_tables(connection)], dialect)
    finally:
        engine.dispose()


def test_what_was_committed_is_what_the_migrations_make(manager: DatabaseManager) -> None:
    assert fresh_schema(manager) == committed_schema(manager.dialect), (
        "make it anew: cardlink-db schema dump --fresh --url … > "
        f"migrations/schema/{manager.dialect}.sql"
    )


def test_a_database_of_the_dump_is_that_of_the_migrations(dialect: Dialect, empty_url: str) -> None:
    committed = body_of(committed_schema(dialect))
    assert dump_of(empty_url, *re.split(r"(?<=;)\n+", committed.strip())) == committed
    with DatabaseManager(DatabaseConfig(empty_url)) as manager:
        assert differences(manager.engine) == []


def everything(time: str) -> list[str]:
    return [
        f"""CREATE TABLE things (
            a INTEGER NOT NULL DEFAULT 3, b NUMERIC(10, 2) DEFAULT 1.5, c TEXT DEFAULT 'it''s',
            d {time} DEFAULT CURRENT_TIMESTAMP, CONSTRAINT pk_things PRIMARY KEY (a, b),
            CONSTRAINT ck_things_a CHECK (((a > 0)) and (b < 3 or b IS NULL) and a != 7)
        )""",
        "CREATE UNIQUE INDEX ix_things_c ON things (a DESC, LOWER(c)) WHERE a > 5",
    ]


EVERYTHING = {
    SQLITE: everything("VARCHAR(32)"),
    POSTGRESQL: everything("TIMESTAMPTZ"),
    MYSQL: [
        """CREATE TABLE things (
            a INTEGER NOT NULL DEFAULT 3, b NUMERIC(10, 2) DEFAULT 1.5,
            c VARCHAR(20) DEFAULT 'it''s', d DATETIME(6) DEFAULT CURRENT_TIMESTAMP(6),
            PRIMARY KEY (a, b),
            CONSTRAINT ck_things_a CHECK (((a > 0)) and (b < 3 or b IS NULL) and a != 7)
        ) CHARSET = utf8mb4 COLLATE = utf8mb4_general_ci""",
        "CREATE INDEX ix_things_c ON things (a DESC, c)",
    ],
}


def test_defaults_conditions_and_directions_are_kept(
    dialect: Dialect, make_database: MakeDatabase
) -> None:
    dumped = dump_of(make_database(dialect), *EVERYTHING[dialect])
    for kept in ("DEFAULT 3", "DEFAULT 'it''s'", "DEFAULT CURRENT_TIMESTAMP", "a DESC,"):
        assert kept in dumped
    assert "CHECK (a > 0 AND (b < 3 OR b IS NULL) AND a <> 7)" in dumped
    if dialect is not MYSQL:
        assert "CREATE UNIQUE INDEX ix_things_c ON things (a DESC, LOWER(c)) WHERE a > 5;" in dumped
    again = dump_of(make_database(dialect), *re.split(r"(?<=;)\n+", dumped.strip()))
    assert again == dumped


# What the canonical DDL has no words for.
UNKNOWN = [
    (Dialect, "CREATE VIEW seen AS SELECT a FROM things"),
    (SQLITE, "CREATE TRIGGER seen AFTER INSERT ON things BEGIN SELECT 1; END"),
    (SQLITE, "CREATE TABLE seen (a TEXT COLLATE NOCASE)"),
    (SQLITE, "CREATE TABLE seen (a INTEGER PRIMARY KEY, b TEXT) WITHOUT ROWID"),
    (SQLITE, "CREATE TABLE seen (a INTEGER, b AS (a + 1))"),
    (POSTGRESQL, "CREATE INDEX seen ON things USING hash (a)"),
    (POSTGRESQL, "CREATE INDEX seen ON things (a) INCLUDE (b)"),
    (POSTGRESQL, "CREATE INDEX seen ON things (a NULLS FIRST)"),
    (POSTGRESQL, "CREATE TYPE seen AS ENUM ('a')"),
    (POSTGRESQL, "CREATE SEQUENCE seen"),
    (POSTGRESQL, "COMMENT ON COLUMN things.a IS 'seen'"),
    (POSTGRESQL, "CREATE TABLE seen (a INTEGER GENERATED ALWAYS AS IDENTITY (START 7))"),
    (MYSQL, "CREATE INDEX seen ON things (c(3))"),
    (MYSQL, "CREATE TABLE seen (a INTEGER, b INTEGER AS (a + 1))"),
]


@pytest.mark.parametrize(
    ("dialect", "statement"),
    [
        pytest.param(dialect, statement, id=f"{dialect}-{statement}")
        for dialects, statement in UNKNOWN
        for dialect in (Dialect if dialects is Dialect else (dialects,))
    ],
)
def test_what_the_dump_does_not_know_is_refused(
    dialect: Dialect, statement: str, make_database: MakeDatabase
) -> None:
    with pytest.raises(MigrationError, match=r"the schema dump (cannot|does not)"):
        dump_of(make_database(dialect), EVERYTHING[dialect][0], statement)


@pytest.mark.parametrize(
    ("written", "dialect", "form"),
    [
        # PostgreSQL 13 to 17, MariaDB 10.6 to 11, MySQL 8, SQLite.
        (
            "status::text = ANY (ARRAY['new'::character varying, 'old'::varchar]::text[])",
            POSTGRESQL,
            "status IN ('new', 'old')",
        ),
        (
            "(((status)::text = ANY ((ARRAY['new'::character varying])::text[])))",
            POSTGRESQL,
            "status IN ('new')",
        ),
        ("a <> ALL (ARRAY[1, 2])", POSTGRESQL, "NOT a IN (1, 2)"),
        ("`status` in ('new','old')", MYSQL, "status IN ('new', 'old')"),
        ("(`status` in (_utf8mb4\\'new\\',_utf8mb4\\'old\\'))", MYSQL, "status IN ('new', 'old')"),
        ("(`status` in (_utf8mb4'new',_utf8mb4'old'))", MYSQL, "status IN ('new', 'old')"),
        ("(duration_ms >= 0)", MYSQL, "duration_ms >= 0"),
        ("((a > 0) and ((b < 3) or (b is null)))", MYSQL, "a > 0 AND (b < 3 OR b IS NULL)"),
        ("a > 0 or (b < 3 and c)", SQLITE, "a > 0 OR b < 3 AND c"),
        ("not (a or b)", SQLITE, "NOT (a OR b)"),
        ("not a and b", SQLITE, "NOT a AND b"),
        (
            "(a between 1 and 5) AND c !~~ 'x%'::text",
            POSTGRESQL,
            "a BETWEEN 1 AND 5 AND c NOT LIKE 'x%'",
        ),
        ("a - (b - c) > (a - b) * 2", SQLITE, "a - (b - c) > (a - b) * 2"),
        ("(a - b) - (c * 2)", SQLITE, "a - b - c * 2"),
        ("lower((c)::text) = 'it''s'::text", POSTGRESQL, "LOWER(c) = 'it''s'"),
        ("`c` <> 'x\\'y'", MYSQL, "c <> 'x''y'"),
        ("c = 'a::text (b)'", POSTGRESQL, "c = 'a::text (b)'"),
    ],
)
def test_a_condition_has_one_form(written: str, dialect: Dialect, form: str) -> None:
    assert canonical_condition(written, dialect, "things.a") == form
    assert canonical_condition(form, dialect, "things.a") == form


@pytest.mark.parametrize("written", ["a >", "(a", "a b"])
def test_a_condition_that_is_not_understood_is_refused(written: str) -> None:
    with pytest.raises(MigrationError, match="does not understand") as caught:
        canonical_condition(written, SQLITE, "things.a")
    assert caught.value.where == "things.a"


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
    assert capsys.readouterr().out == committed_schema(dialect)


def test_the_command_makes_it_anew_and_leaves_nothing(
    manager: DatabaseManager, capsys: pytest.CaptureFixture[str]
) -> None:
    url = manager.config.url
    assert run("--fresh", "--url", url) == 0
    assert capsys.readouterr().out == committed_schema(manager.dialect)


def test_a_server_of_another_dialect_is_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--fresh", "--dialect", "mysql", "--url", "sqlite:///x.db") == 2
    assert "needs a server of mysql" in capsys.readouterr().err


def test_a_scratch_database_is_dropped_even_after_an_error(manager: DatabaseManager) -> None:
    names = set[str]()
    with pytest.raises(RuntimeError), scratch_database(manager.config) as scratch:
        names = databases(manager.config) & {str(scratch.config.engine_url.database)}
        assert scratch.config.safe_url != manager.config.safe_url
        raise RuntimeError
    assert not names & databases(manager.config)
    assert len(names) == (manager.dialect is not SQLITE)


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
