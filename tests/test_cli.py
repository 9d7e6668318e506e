"""``cardlink-db`` as an operator runs it: its output and its exit codes."""

import json
import os
import re
import shutil
import sqlite3
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet
from typer.core import TyperGroup
from typer.main import get_command

import cardlink_sql
from cardlink_sql import DatabaseConfig, DatabaseManager, Dialect, Keyring
from cardlink_sql.cli import commands
from cardlink_sql.schema.migrator.files import read_migrations
from tests.conftest import Run, add, device, iccid, on_sqlite

MIGRATIONS = Path(__file__).parent.parent / "migrations"
SAMPLE = Path(__file__).parent.parent / "scripts" / "quickstart-trace.jsonl"
REPORT = Path(__file__).parent / "junit_reports" / "node.xml"


def test_the_version_is_that_of_the_package(run: Run) -> None:
    assert run("--version").stdout == f"cardlink-db {cardlink_sql.__version__}\n"
    assert cardlink_sql.__version__ == version("cardlink-sql")


def test_a_database_from_nothing_to_a_trace_and_back(empty_url: str, run: Run) -> None:
    before = run("status", "-d", empty_url)
    assert before.returncode == 3
    assert "pending  0001_initial_schema" in before.stdout

    made = run("init", "-d", empty_url)
    assert made.returncode == 0, made.stderr
    assert "Applied 0001_initial_schema" in made.stdout

    after = run("status", "-d", empty_url)
    assert after.returncode == 0, after.stdout
    assert "applied  0001_initial_schema" in after.stdout

    key = {"CARDLINK_ENCRYPTION_KEY": Fernet.generate_key().decode()}
    replayed = run("replay", str(SAMPLE), "-d", empty_url, **key)
    assert replayed.returncode == 0, replayed.stderr
    assert "Recorded 3 cards, 4 sessions, 18 APDUs." in replayed.stdout
    assert "File or application not found" not in replayed.stdout
    assert "63C2" in replayed.stdout

    verbose = json.loads(run("status", "--verbose", "--json", "-d", empty_url).stdout)
    rows = {table["name"]: table["rows"] for table in verbose["tables"]}
    assert (rows["card_profiles"], rows["ota_sessions"], rows["comm_logs"]) == (3, 4, 18)
    assert all(table["bytes"] is None or table["bytes"] > 0 for table in verbose["tables"])

    refused = run("init", "--force", "-d", empty_url)
    assert refused.returncode == 1
    assert "add --yes" in refused.stderr
    assert run("init", "--force", "--yes", "-d", empty_url).returncode == 0
    emptied = json.loads(run("status", "-v", "--json", "-d", empty_url).stdout)
    assert {table["rows"] for table in emptied["tables"]} == {0}

    plan = run("migrate", "--dry-run", "--revision", "base", "-d", empty_url)
    assert "DROP TABLE" in plan.stdout
    assert run("status", "-d", empty_url).returncode == 0
    assert run("migrate", "--revision", "base", "-d", empty_url).returncode == 1
    back = run("migrate", "--revision", "base", "--yes", "-d", empty_url)
    assert back.returncode == 0, back.stderr
    again = run("migrate", "--revision", "base", "--yes", "-d", empty_url)
    assert (again.returncode, "Nothing to roll back" in again.stdout) == (0, True)
    assert run("status", "-d", empty_url).returncode == 3
    assert "CREATE TABLE devices" in run("migrate", "--dry-run", "-d", empty_url).stdout
    for said in ("Applied 0001_initial_schema", "Nothing to apply"):
        assert said in run("migrate", "--revision", "head", "-d", empty_url).stdout


def test_the_newest_migrations_are_listed_and_rolled_back(empty_url: str, run: Run) -> None:
    assert run("migrate", "-d", empty_url).returncode == 0
    before = json.loads(run("migrate", "history", "--json", "-d", empty_url).stdout)
    assert all(one["applied_at"] and one["applied_by"] for one in before)

    planned = run("migrate", "down", "--count", "2", "--dry-run", "-d", empty_url)
    done = run("migrate", "down", "--count", "2", "--yes", "-d", empty_url)

    newest = [one["id"] for one in before[:-3:-1]]
    assert re.findall("^-- rollback (.*)$", planned.stdout, re.MULTILINE) == newest
    assert done.stdout.splitlines() == [f"Rolled back {name}" for name in newest]
    shown = run("migrate", "history", "-d", empty_url).stdout
    assert re.findall("(\\w+) +pending", shown) == newest[::-1]


@pytest.mark.parametrize("start", ["base", "0002"])
def test_a_dry_run_from_a_migration_prints_what_is_applied_too(
    manager: DatabaseManager, start: str, run: Run
) -> None:
    done = run("migrate", "--dry-run", "--from", start, "-d", manager.config.url)
    applied = [one.id for one in manager.migrator.status().applied]
    expected = applied if start == "base" else applied[2:]
    assert re.findall("^-- apply (.*)$", done.stdout, re.MULTILINE) == expected
    assert run("migrate", "--from", start, "-d", manager.config.url).returncode == 2


def test_a_new_migration_has_files_to_fill_in(tmp_path: Path, run: Run) -> None:
    folder = shutil.copytree(MIGRATIONS, tmp_path / "migrations")
    newest = int(max(file.name for file in folder.glob("sqlite/*"))[:4])

    done = run("migrate", "new", "session_notes", "--output", str(folder))

    name = f"{newest + 1:04}_session_notes"
    written = sorted(folder.glob(f"*/{name}*"))
    assert len(written) == 6
    assert done.stdout.count("Wrote") == 6
    for file in written:
        file.write_text(f"{file.read_text('utf-8')}SELECT 1;\n", "utf-8")
    for dialect in Dialect:
        assert read_migrations(folder, dialect)[-1].id == name
    refused = run("migrate", "new", "Two words", "--output", str(folder))
    assert refused.returncode == 2
    assert "'Two words'" in refused.stderr


def test_the_url_comes_from_before_the_command_after_it_or_the_environment(
    run: Run, tmp_path: Path
) -> None:
    run("--url", "sqlite:///a.db", "init")
    run("init", "--url", "sqlite:///b.db")
    run("init", DATABASE_URL="sqlite:///c.db")
    run("init")
    made = {path.name for path in tmp_path.rglob("*.db")}
    assert made == {"a.db", "b.db", "c.db", "cardlink.db"}


@on_sqlite
def test_a_quiet_command_prints_only_errors(empty_url: str, run: Run) -> None:
    for words, code in [
        (["migrate"], 0), (["status", "--json"], 0), (["sessions", "list"], 0), (["export"], 0),
        (["migrate", "down", "--dry-run"], 0),
    ]:  # fmt: skip
        done = run(*words, "-q", "-d", empty_url)
        assert (done.returncode, done.stdout, done.stderr) == (code, "", "")
    failed = run("devices", "show", "x", "--quiet", "-d", empty_url)
    assert (failed.returncode, failed.stdout) == (1, "")
    assert failed.stderr.startswith("error: there is no device 'x'")
    assert "applied" in run("status", "-d", empty_url).stdout, "only that command is quiet"


MISSING = "sqlite:///deep/none.db"
# The arguments of the commands that need some.
ARGUMENTS = {
    "backup": "x.backup",
    "cards add": iccid(),
    "cards clear-psk": f"{iccid()} --yes",
    "cards edit": f"{iccid()} --notes x",
    "cards remove": f"{iccid()} --yes",
    "cards set-psk": f"{iccid()} identity --key-file given",
    "cards show": iccid(),
    "devices add": "x --type phone",
    "devices edit": "x --name x",
    "devices remove": "x --yes",
    "devices show": "x",
    "export": "-o x.json",
    "import": "given --format json",
    "import-keys": "given",
    "logs search": "9000",
    "purge": "--yes",
    "replay": str(SAMPLE),
    "sessions export": "00 -o x.pcapng",
    "sessions show": "00",
    "settings get": "x",
    "settings import": "given",
    "settings remove": "x --yes",
    "settings reset": "--yes",
    "settings set": "x 1",
    "sql explain": "devices.get_by_id",
    "tests compare": "a b",
    "tests history": "s t",
    "tests import": f"{REPORT} --run r",
    "tests junit": "r",
    "tests show": "r",
}
# Those that make a database, that need none, or that wait for one.
OTHERS = {
    "init", "migrate", "restore", "schema compatible", "schema dump", "sql grants", "sql lock",
    "status", "wait",
}  # fmt: skip


def each_command(group: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Every command of a group and of the groups in it, by its name."""
    for name, command in group.commands.items():
        if isinstance(command, TyperGroup):
            yield from each_command(command, f"{path}{name} ")
        else:
            yield f"{path}{name}", command


@pytest.fixture(scope="module")
def options() -> dict[str, set[str]]:
    """The options of every command."""
    found = each_command(get_command(commands.app))
    return {name: {word for one in c.params for word in one.opts} for name, c in found}


def test_no_command_makes_a_database(
    run: Run, tmp_path: Path, options: dict[str, set[str]]
) -> None:
    (tmp_path / "given").write_text("keys: {}", "utf-8")
    assert options.keys() > ARGUMENTS.keys()
    for name in [name for name, of in options.items() if "--url" in of and name not in OTHERS]:
        words = (*name.split(), *ARGUMENTS.get(name, "").split())
        done = run(*words, "-d", MISSING, CARDLINK_ENCRYPTION_KEY=Keyring.generate())
        assert (done.returncode, done.stdout) == (1, ""), name
        assert "the database file does not exist" in done.stderr, name
    assert run("status", "-d", MISSING).returncode == 3
    assert [path.name for path in tmp_path.iterdir()] == ["given"]


def test_status_of_a_file_that_is_not_a_database(run: Run, tmp_path: Path) -> None:
    (tmp_path / "noise.db").write_bytes(b"noise" * 1000)
    done = run("status", "--json", "-d", "sqlite:///noise.db")
    assert done.returncode == 1
    report = json.loads(done.stdout)
    assert report["status"] == "unhealthy"
    assert report["error"]
    assert report["hint"]


def test_status_finds_damage_on_request(run: Run, tmp_path: Path) -> None:
    with DatabaseManager(f"sqlite:///{tmp_path / 'a.db'}") as manager:
        manager.create_tables()
        add(manager, *(device(number, notes="x" * 2000) for number in range(20)))
    assert run("status", "--check", "-d", "sqlite:///a.db").returncode == 0
    with (tmp_path / "a.db").open("rb+") as file:
        file.seek(-4096 * 2, os.SEEK_END)
        file.write(os.urandom(4096 * 2))
    assert run("status", "-d", "sqlite:///a.db").returncode == 0
    done = run("status", "--check", "--json", "-d", "sqlite:///a.db")
    report = json.loads(done.stdout)
    assert (done.returncode, report["status"]) == (1, "unhealthy")
    assert report["error"].startswith("the file is damaged: ")
    assert "restore" in report["hint"]


def test_drift_has_an_exit_code_of_its_own(run: Run, tmp_path: Path) -> None:
    run("init", "-d", "sqlite:///a.db")
    with sqlite3.connect(tmp_path / "a.db") as connection:
        connection.execute("DROP INDEX ix_devices_iccid")
    connection.close()
    done = run("status", "-d", "sqlite:///a.db")
    assert done.returncode == 4
    assert "ix_devices_iccid" in done.stdout


def test_the_password_is_shown_nowhere(run: Run) -> None:
    url = "postgresql://cardlink:s3cret%40word@127.0.0.1:1/none"
    for arguments in (["status"], ["init"], ["migrate"], ["status", "--json"]):
        done = run(*arguments, "-d", url)
        assert done.returncode == 1
        assert "s3cret" not in done.stdout + done.stderr


def test_status_changes_no_byte_of_a_database(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "old.db"
    with sqlite3.connect(file) as connection:
        connection.execute("CREATE TABLE notes (text)")
    connection.close()
    before = file.read_bytes()
    assert run("status", "--verbose", "-d", "sqlite:///old.db").returncode == 3
    assert file.read_bytes() == before
    assert list(tmp_path.iterdir()) == [file]


def test_tables_made_by_other_means_are_not_taken_for_an_empty_database(
    empty_url: str, run: Run, tmp_path: Path
) -> None:
    run("init", "-d", empty_url)
    manager = DatabaseManager(DatabaseConfig(empty_url))
    with manager, manager.engine.begin() as connection:
        for name in ("_yoyo_migration", "_yoyo_log", "_yoyo_version", "cardlink_migration_journal"):
            connection.exec_driver_sql(f"DROP TABLE {name}")
    for command in (["status"], ["migrate"], ["init"]):
        done = run(*command, "-d", empty_url)
        assert done.returncode == 1
        assert "no record of migrations is visible" in done.stderr


# Their output is a file of another kind, or text to run.
WITHOUT_JSON = {
    "init", "migrate down", "export", "sessions export", "tests junit",
    "settings export", "schema dump", "sql lock", "sql report",
}  # fmt: skip


def test_no_summary_is_cut_and_data_is_json_where_it_is_asked_for(
    run: Run, options: dict[str, set[str]]
) -> None:
    shown = run("--help").stdout.partition("Commands:\n")[2].partition("\n\n")[0]
    summaries = dict(line.strip().split(maxsplit=1) for line in shown.splitlines())
    assert list(summaries) == list(commands._PLACES)
    found = each_command(get_command(commands.app))
    summaries |= {name: command.get_short_help_str(999) for name, command in found}
    assert not [name for name, text in summaries.items() if len(text) > 55 or text[-1] != "."]
    assert {name for name, of in options.items() if "--json" not in of} == WITHOUT_JSON
    assert not [n for n, of in options.items() if "--output" in of and "-o" not in of]
    # These replace their own: an older report, which they know, or nothing.
    folders = {"sql report", "migrate new"}
    writing = {name for name, of in options.items() if "-o" in of} - folders
    assert not {name for name in writing if "--force" not in options[name]}
