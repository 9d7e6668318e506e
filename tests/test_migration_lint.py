"""The migrations under review: our rules for all dialects, and squawk for PostgreSQL."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from cardlink_sql.dialect import Dialect
from cardlink_sql.queries.resources import folder
from cardlink_sql.review.migrations.lint import RULES, lint
from cardlink_sql.schema.migrator.files import read_migrations
from tests.conftest import Run

ROOT = Path(__file__).parent.parent
SQUAWK = Path(sys.executable).parent / "squawk"
MYSQL, POSTGRESQL = Dialect.MYSQL, Dialect.POSTGRESQL

ON_LOGS = "ALTER TABLE comm_logs"
ON_CARDS = "ALTER TABLE card_profiles"


def linted(
    place: Path, text: str | bytes, dialect: Dialect = POSTGRESQL, *, rollback: bool = True
) -> list[str]:
    """The faults of a migration, each as ``rule:line:column``; the other dialects have its like."""
    for each in Dialect:
        files = place / "migrations" / each
        files.mkdir(parents=True, exist_ok=True)
        content = text if each is dialect else "SELECT 1;\n"
        data = content.encode() if isinstance(content, str) else content
        (files / "0001_one.sql").write_bytes(data)
        if rollback or each is not dialect:
            (files / "0001_one.rollback.sql").write_text("SELECT 1;\n", encoding="utf-8")
    faults = [one for one in lint(place / "migrations") if one.check != "incomplete-rollback"]
    for fault in faults:
        assert fault.dialect is dialect
        assert fault.remedy
        assert fault.where.startswith(f"migrations/{dialect}/0001_one.sql:")
    return [f"{fault.check}:{fault.where.partition('.sql:')[2]}" for fault in faults]


INDEX_OF_CARDS = "CREATE INDEX i ON card_profiles (imsi);"
NEW_DEFAULT = f"{ON_CARDS} ALTER COLUMN imsi SET DEFAULT '';"
CONCURRENTLY = "CREATE INDEX CONCURRENTLY i ON comm_logs (direction);"
NEW_TABLE = "CREATE TABLE x (a INTEGER);"
# By rule and dialects: what breaks it, and what does the same and does not.
RULES_BROKEN: dict[tuple[str, *tuple[Dialect, ...]], list[tuple[str, str]]] = {
    ("index-concurrently", POSTGRESQL): [
        *(
            (bad, INDEX_OF_CARDS)
            for bad in (
                "CREATE INDEX i ON comm_logs (direction);",
                "CREATE INDEX i ON public.comm_logs (direction);",
                'CREATE INDEX i ON "public"."comm_logs" (direction);',
                "CREATE INDEX i ON ONLY Comm_Logs (direction);",
                "CREATE INDEX ON comm_logs (direction);",
                "ALTER TABLE ONLY public.comm_logs ADD EXCLUDE (id WITH =);",
                "ALTER TABLE comm_logs ADD CONSTRAINT u UNIQUE (id);",
            )
        ),
        (
            "CREATE UNIQUE INDEX i ON test_results (id);",
            "CREATE TABLE test_results (id INTEGER);\nCREATE UNIQUE INDEX i ON test_results (id);",
        ),
    ],
    ("concurrently-in-transaction", POSTGRESQL): [
        (CONCURRENTLY, f"-- transactional: false\n{CONCURRENTLY}")
    ],
    ("required-column", *Dialect): [
        (f"{ON_CARDS} ADD x INT NOT NULL;", f"{ON_CARDS} ADD COLUMN x INT NOT NULL DEFAULT 0;"),
        (f"{ON_CARDS} ADD COLUMN x INT NOT NULL;", f"{ON_CARDS} ADD x INT NOT NULL DEFAULT 0;"),
    ],
    ("type-change", POSTGRESQL): [(f"{ON_CARDS} ALTER COLUMN imsi TYPE TEXT;", NEW_DEFAULT)],
    ("type-change", MYSQL): [(f"{ON_CARDS} MODIFY imsi TEXT;", NEW_DEFAULT)],
    ("rewrites-table", POSTGRESQL): [
        (f"{ON_LOGS} ADD COLUMN x {computed};", f"{ON_LOGS} ADD COLUMN x {constant};")
        for computed, constant in (
            ("INT NOT NULL DEFAULT random()", "INT NOT NULL DEFAULT 0"),
            ("UUID DEFAULT public.new_id()", "TIMESTAMPTZ DEFAULT now()"),
            ("INT GENERATED ALWAYS AS (id) STORED", "INT"),
        )
    ],
    ("rewrites-table", MYSQL): [
        (f"{ON_LOGS} ADD COLUMN x TEXT DEFAULT (UUID());", f"{ON_LOGS} ADD COLUMN x TEXT;")
    ],
    ("every-row", *Dialect): [
        (
            "UPDATE comm_logs SET direction = direction;",
            "UPDATE comm_logs SET id = 1 WHERE id = 2;",
        ),
        (
            "UPDATE comm_logs SET id = (SELECT 1 FROM devices WHERE id = 2);",
            "UPDATE devices SET name = id;",
        ),
        ("DELETE FROM comm_logs;", "DELETE FROM comm_logs WHERE id < 9;"),
    ],
    ("copies-table", MYSQL): [
        (
            f"{ON_LOGS} ADD FOREIGN KEY (session_id) REFERENCES ota_sessions (id);",
            f"{ON_LOGS} ADD INDEX i (session_id);",
        ),
        *(
            (f"{ON_LOGS} ADD {added};", f"{ON_CARDS} ADD {added};")
            for added in ("CHECK (a > 0)", "FULLTEXT INDEX i (a)", "SPATIAL INDEX i (a)")
        ),
    ],
    ("breaks-old-servers", *Dialect): [
        (f"{ON_CARDS} DROP COLUMN imsi;", f"{ON_CARDS} ADD COLUMN imsi2 TEXT;"),
        (f"{ON_CARDS} RENAME COLUMN imsi TO other;", f"{ON_CARDS} ADD COLUMN other TEXT;"),
        (
            "DROP TABLE settings;",
            f"{NEW_TABLE}\nDROP TABLE settings;\nALTER TABLE x RENAME TO settings;",
        ),
        (
            "ALTER TABLE settings RENAME TO options;",
            f"{NEW_TABLE}\nALTER TABLE x RENAME TO options;",
        ),
    ],
    ("unknown-statement", POSTGRESQL): [
        ("CLUSTER comm_logs;", "SELECT 1;"),
        ("DROP TABLE archive.settings;", "SELECT 1;"),
    ],
    ("unknown-statement", MYSQL): [("SET GLOBAL read_only = 1;", "SET lock_wait_timeout = 1;")],
}
CASES = [
    pytest.param(rule, dialect, bad, good, id=f"{dialect}-{rule}-{bad}")
    for (rule, *dialects), pairs in RULES_BROKEN.items()
    for bad, good in pairs
    for dialect in dialects
]


@pytest.mark.parametrize(("rule", "dialect", "bad", "good"), CASES)
def test_a_rule_is_broken_and_kept(
    rule: str, dialect: Dialect, bad: str, good: str, tmp_path: Path
) -> None:
    assert linted(tmp_path / "bad", f"-- Why.\nSELECT 1;\n  {bad}", dialect) == [f"{rule}:3:3"]
    assert linted(tmp_path / "good", good, dialect) == []


def test_every_rule_has_an_example() -> None:
    assert {rule for rule, *_ in RULES_BROKEN} == set(RULES) - {"missing-rollback"}


@pytest.mark.parametrize(("rule", "dialect", "bad", "good"), CASES[::3])
def test_a_rule_is_let_off_with_a_reason(
    rule: str, dialect: Dialect, bad: str, good: str, tmp_path: Path
) -> None:
    allow = f"-- allow-lint: {rule}: nobody uses it yet"
    above = f"SELECT 1;\n\n-- What for.\n{allow}\n{bad}\n"
    assert linted(tmp_path / "above", above, dialect) == []
    top = f"-- What for.\n{allow}\n\nSELECT 1;\n{bad}\n"
    assert linted(tmp_path / "top", top, dialect) == []
    elsewhere = f"SELECT 1;\n{bad}\n{allow}\nSELECT 1;\n"
    faults = linted(tmp_path / "elsewhere", elsewhere, dialect)
    assert faults == [f"{rule}:2:1", "allow-lint:3:1"]


@pytest.mark.parametrize(
    "allow",
    [
        "-- allow-lint",
        "-- allow-lint: required-column",
        "-- allow-lint: required-column:  ",
        "-- allow-lint required-column, for a reason",
        "-- allow-lint: no-such-rule: for a reason",
        "-- allow-lint: required-column: nothing breaks it here",
    ],
)
def test_a_faulty_allowance_is_a_fault(allow: str, tmp_path: Path) -> None:
    assert linted(tmp_path, f"{allow}\nSELECT 1;\n") == ["allow-lint:1:1"]


def test_a_migration_without_a_rollback_says_why(tmp_path: Path) -> None:
    assert linted(tmp_path / "a", "SELECT 1;", rollback=False) == ["missing-rollback:1:1"]
    allow = "-- allow-lint: missing-rollback: the rows are gone\nSELECT 1;"
    assert linted(tmp_path / "b", allow, rollback=False) == []


@pytest.mark.parametrize(
    ("text", "place"),
    [
        (b"\xef\xbb\xbfSELECT 1;", "refused:1:1"),
        ("SELECT 1;\nCOMMIT;", "refused:2:1"),
    ],
)
def test_what_the_migrator_refuses_is_a_fault(
    text: str | bytes, place: str, dialect: Dialect, tmp_path: Path
) -> None:
    assert linted(tmp_path, text, dialect) == [place]


def test_all_that_is_wrong_is_told(tmp_path: Path) -> None:
    text = f"{ON_CARDS} ADD x INTEGER NOT NULL, DROP COLUMN imsi;\nDROP TABLE settings;\n"
    assert linted(tmp_path, text) == [
        "required-column:1:1",
        "breaks-old-servers:1:1",
        "breaks-old-servers:2:1",
    ]


def test_a_migration_that_one_dialect_lacks_is_a_fault(tmp_path: Path) -> None:
    linted(tmp_path, "SELECT 1;")
    for name in ("0001_one.sql", "0001_one.rollback.sql"):
        (tmp_path / "migrations" / "mysql" / name).unlink()
    (fault,) = lint(tmp_path / "migrations")
    assert (fault.check, fault.where) == ("missing-dialect", "migrations/mysql/0001_one.sql:1:1")


def test_the_packages_own_migrations_keep_the_rules() -> None:
    assert lint(folder("migrations")) == []


def test_the_command_tells_what_is_wrong(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run: Run
) -> None:
    lint = ("schema", "lint")
    for options, printed in (((), "Nothing is wrong.\n"), (("--json",), "[]\n")):
        done = run(*lint, *options)
        assert (done.returncode, done.stdout) == (0, printed)
    linted(tmp_path, "DROP TABLE settings;\n")
    monkeypatch.setattr("cardlink_sql.cli.schema.folder", lambda name: tmp_path / name)
    done = run(*lint)
    assert done.returncode == 1
    assert done.stdout.startswith("migrations/postgresql/0001_one.sql:1:1: (postgresql): ")
    assert "\n  breaks-old-servers: " in done.stdout
    at = "::error file=migrations/postgresql/0001_one.sql,line=1,col=1,title=breaks-old-servers::"
    assert run(*lint, "--format", "github").stdout.startswith(at)
    done = run(*lint, "--json")
    assert (done.returncode, json.loads(done.stdout)[0]["check"]) == (1, "breaks-old-servers")


# --- squawk ------------------------------------------------------------------------------


def squawk(*files: Path, in_transaction: bool) -> list[str]:
    """What squawk says of files, under the configuration of the repository."""
    within = ["--assume-in-transaction"] if in_transaction else []
    command = [SQUAWK, "--config", ROOT / ".squawk.toml", "--reporter", "json", *within, *files]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode in (0, 1), done.stderr
    return [
        f"{Path(found['file']).name}:{found['line'] + 1}: {found['rule_name']}: {found['message']}"
        for found in json.loads(done.stdout)
    ]


@pytest.mark.parametrize("in_transaction", [True, False])
def test_squawk_finds_nothing_in_our_migrations(in_transaction: bool) -> None:
    ours = read_migrations(folder("migrations"), POSTGRESQL)
    files = [ROOT / one.where for one in ours if one.use_transactions is in_transaction]
    assert not files or squawk(*files, in_transaction=in_transaction) == []


def test_squawk_sees_what_our_rules_leave_to_it(tmp_path: Path) -> None:
    statements = {
        f"{ON_LOGS} ADD CONSTRAINT c CHECK (latency_ms > 0);": "constraint-missing-not-valid",
        f"{ON_LOGS} ADD FOREIGN KEY (a) REFERENCES devices (id);": "adding-foreign-key-constraint",
        f"{ON_LOGS} ADD CONSTRAINT c UNIQUE (session_id);": "disallowed-unique-constraint",
        f"{ON_LOGS} ALTER COLUMN decoded_data SET NOT NULL;": "adding-not-nullable-field",
        "CREATE TABLE x (id SERIAL PRIMARY KEY);": "prefer-bigint-over-int",
        "CREATE TABLE x (at TIMESTAMP);": "prefer-timestamp-tz",
    }
    file = tmp_path / "0009_x.sql"
    file.write_text("".join(f"{statement}\n" for statement in statements), encoding="utf-8")
    found = squawk(file, in_transaction=True)
    file.write_text(f"-- Why.\n{ON_LOGS} ADD COLUM x INTEGER ,;\n", encoding="utf-8")
    faulty = squawk(file, in_transaction=True)
    assert faulty
    assert all("0009_x.sql:2: syntax-error: " in fault for fault in faulty)
    for line, rule in enumerate(statements.values(), 1):
        assert any(f"0009_x.sql:{line}: {rule}: " in fault for fault in found), found


@pytest.mark.parametrize(
    ("dialect", "apply", "said"),
    [
        (MYSQL, "CREATE TABLE t (a INT,\n  INDEX i (a)\n);", "leaves a table: t"),
        (MYSQL, "ALTER TABLE t ADD INDEX i (a);", "leaves an index: i"),
        (POSTGRESQL, "DROP INDEX i;", "does not bring back an index: i"),
        (POSTGRESQL, "ALTER TABLE t RENAME TO u;", "does not bring back a table: t"),
    ],
)
def test_a_rollback_that_forgets_a_table_or_an_index_is_seen(
    dialect: Dialect, apply: str, said: str, tmp_path: Path
) -> None:
    linted(tmp_path, "SELECT 1;", dialect)
    folder = tmp_path / "migrations" / dialect
    if "not bring" in said:
        (folder / "0001_one.sql").write_text("CREATE TABLE t (a INT);\nCREATE INDEX i ON t (a);")
        (folder / "0001_one.rollback.sql").write_text("DROP TABLE t;")
    (folder / "0002_two.sql").write_text(apply)
    (folder / "0002_two.rollback.sql").write_text("SELECT 1;")
    found = [one for one in lint(tmp_path / "migrations") if one.check == "incomplete-rollback"]
    assert [one for one in found if said in one.what], found
    assert {one.where for one in found} == {f"migrations/{dialect}/0002_two.rollback.sql:1:1"}


@pytest.mark.parametrize("dialect", Dialect)
@pytest.mark.parametrize("kind", ["VARCHAR(64)", "DECIMAL(10, 2)", "ENUM('a', 'b')"])
def test_a_column_named_key_is_no_index(dialect: Dialect, kind: str, tmp_path: Path) -> None:
    linted(tmp_path, "SELECT 1;")
    key = "`key`" if dialect is MYSQL else "key"
    folder = tmp_path / "migrations" / dialect
    for name, table in (("0001_one", "t"), ("0002_two", "u")):
        (folder / f"{name}.sql").write_text(f"CREATE TABLE {table} (a INT, {key} {kind});")
        (folder / f"{name}.rollback.sql").write_text(f"DROP TABLE {table};")
    found = lint(tmp_path / "migrations")
    assert not [one for one in found if one.check == "incomplete-rollback"], found
