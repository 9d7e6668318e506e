"""Wrong usage of ``cardlink-db``: its exit code, a line that names the argument, and a hint."""

import re
import shlex
from pathlib import Path
from typing import Any

import pytest

from cardlink_sql import DatabaseManager
from tests.conftest import Run, add, dump, iccid, result, session_id, sqlite
from tests.test_cli import REPORT, SAMPLE

dialect = sqlite

# What is wrong by itself: code 2.
WRONG = [
    ("init --no-such-option", "No such option: --no-such-option"),
    ("no-such-command", "No such command"),
    ("init -d oracle://x/y", "--url"),
    ("init -d sqlite://data/x.db", "--url"),
    ("replay", "Missing argument"),
    ("replay none.jsonl", "path 'none.jsonl' does not exist"),
    ("devices add R58 --type phone --imei 12", "for --imei:"),
    ("devices add '' --type phone", "for ID:"),
    ("devices add x", "Missing option --type: one of phone, modem"),
    ("devices edit R58 --connection {", "for --connection: not JSON"),
    ("devices edit R58", "name a field to change"),
    ("devices list --type tablet", "'tablet' is not one of 'phone', 'modem'"),
    ("devices list --search ''", "--search"),
    ("devices list --limit 0", "for --limit: must be 1 or more, got 0"),
    ("devices list --limit 99999999999999999999", "for --limit: must be between 1 and 9223372036"),
    ("devices list --json --csv", "for --csv: it excludes --json"),
    ("devices list --json --columns device", "for --columns: it excludes --json"),
    ("sessions list --json --sort session", "for --sort: it excludes --json"),
    ("devices list --columns nmae", "no column 'nmae'; there are: device, type"),
    ("devices show", "ID"),
    ("devices show ' x'", "ID"),
    ("cards add 12", "for ICCID: '12' is not an ICCID of 18 to 22 hex digits"),
    ("cards add 8988A1A0ABCDEF000312", "the first 6 and the last decimal"),
    (f"cards edit {iccid()}", "name a field to change"),
    ("cards list --search ' '", "--search"),
    ("cards show 12", "ICCID"),
    ("sessions list --status done", "'done' is not one of 'pending', 'active'"),
    ("sessions list --device ''", "--device"),
    ("sessions list --card 12", "--card"),
    ("sessions list --limit many", "for --limit: 'many' is not a whole number"),
    ("sessions list --days 99999999", "at most a thousand years, got 99999999"),
    ("sessions list --days soon", "for --days: 'soon' is not a number"),
    ("sessions list --since soon", "for --since: 'soon' is not a time"),
    ("sessions list --since 2026-12-01T10:00", "'2026-12-01T10:00' has no time zone"),
    ("sessions list --since 2026-12-01 --days 1", "--since: it excludes"),
    ("sessions show xyz", "ID"),
    ("sessions show 00 --limit 99999999999999999999", "for --limit: must be between"),
    ("sessions close-stale --minutes -1", "for --minutes:"),
    ("logs search 0", "for HEX:"),
    ("logs show --status 90", "for --status:"),
    ("logs show --limit 99999999999999999999", "for --limit: must be between"),
    ("tests compare a a", "AFTER: 'a' is the earlier run"),
    ("tests compare a b --factor 0.5", "--factor: 0.5 is below 1"),
    (f"tests show {'x' * 256}", "RUN: 256 characters, at most 255 fit"),
    ("tests show ' a'", "RUN"),
    ("tests history '' t", "SUITE: the text is empty"),
    ("tests flaky --runs 0", "--runs"),
    ("tests runs --limit 0", "--limit"),
    ("tests import there", "--run"),
    ("tests import --run r", "FILE"),
    ("tests import there --run ''", "--run"),
    ("tests import there --run r --card 12", "--card"),
    ("tests import there --run r --device ''", "--device"),
    ("tests import none.xml --run r", "path 'none.xml' does not exist"),
    ("settings set server.port 70000", "VALUE: 70000 is not a whole number from 1 to 65535"),
    ("settings set lab.x 1e999", "VALUE: inf is not a JSON number"),
    (f"settings set lab.x {'9' * 5000}", "VALUE: a number has too many digits"),
    (f"settings set lab.x {'[' * 100_000}", "VALUE: the JSON is nested too deeply"),
    ("settings set ' x' 1", "KEY: ' x' is empty or has blanks around it"),
    ("settings set --categry 1", "there is no option --categry"),
    ("settings set lab.x 1 --category ''", "--category: '' is empty"),
    ("settings set server.port 1 --category x", "--category: the category of server.port"),
    (f"settings set lab.x 1 --description {'x' * 257}", "--description: 257 characters"),
    ("settings set lab.x", "Missing argument VALUE"),
    ("settings set server.prot 1", "'server.prot' is declared; there is server.port; add --new"),
    ("settings set sever.port 1", "there is server.port"),
    ("settings set server.colour 1", "there is server.cipher_suites, "),
    ("settings get ''", "KEY: '' is empty"),
    ("settings list --category ''", "--category: '' is empty"),
    ("settings reset --category lab", "--category: 'lab' is none of: dashboard, metrics"),
    ("settings import", "Missing argument FILE"),
    ("settings import none.yaml", "path 'none.yaml' does not exist"),
    ("export -o f.txt", "--format: the name 'f.txt' does not show"),
    ("export -o f.json --raw", "--raw: it is for csv only"),
    ("export -o f.json --tables card", "--tables: 'card' is none of"),
    ("export -o f.csv", "--tables: a CSV file holds one table"),
    ("export -o f.csv --tables cards --include-keys", "--include-keys: a CSV file holds no keys"),
    ("export -o f.json --unencrypted-keys", "needs --include-keys"),
    ("export -o f.json --session x", "--session: 'x' is neither a UUID"),
    (
        f"export -o f.json --session {session_id()} --since 2026-01-01",
        "--since: it excludes --session",
    ),
    ("import", "FILE"),
    ("import there", "--format: the name 'there' does not show"),
    ("import none.json", "path 'none.json' does not exist"),
    ("import there --conflict keep", "--conflict"),
    ("import there --format xml", "--format"),
    ("import-keys", "Missing argument FILE"),
    ("import-keys none.yaml", "path 'none.yaml' does not exist"),
    ("keys rotate --batch 0", "--batch"),
    ("purge --older-than 99999999999", "at most a thousand years, got 99999999999"),
    ("purge --tables cards", "'cards' is none of: logs, sessions, tests, events"),
    ("purge --tables logs,", "--tables"),
    ("stats --days=-1", "--days"),
    ("stats --queries --days 7", "--queries: it excludes --days"),
    ("stats --limit 7", "--limit: it needs --queries"),
    ("stats --queries --limit 0", "--limit"),
    ("sql explain sessions.find_b", "near: sessions.find_by"),
    ("sql explain sessions.find_by --order imei", "has no order 'imei'"),
    ("sql explain sessions.find_by -p imei=1", "has no parameter 'imei'"),
    ("sql explain sessions.find_by -p limit=many", "'many' is not a valid integer for limit"),
    ("sql explain sessions.find_by -p created_at=noon", "'noon' is not a valid time"),
    ("sql explain sessions.find_by -p device_id_is_null=1", "write device_id_is_null alone"),
    ("sql explain sessions.find_by -p limit", "write limit=value"),
    ("sql explain logs.copy_log_batch", "is not a query of sqlite"),
    ("events listen --after -1", "--after"),
    ("events listen --timeout -1", "--timeout"),
]


# What follows -q, or what a command lacks that has it: found before the command runs.
QUIET = [
    ("devices add -q", "Missing"),
    ("devices add x -q", "Missing option --type"),
    ("sessions list extra -q", "unexpected extra argument"),
    ("sessions list -q --limit abc", "--limit"),
    ("replay nofile -q", "path 'nofile' does not exist"),
    ("schema lint x -q", "No such option: -d"),
]


# What the database does not have, or a step that comes first: code 1.
REFUSED = [
    ("migrate --revision 9999", "9999"),
    (f"replay {SAMPLE}", "CARDLINK_ENCRYPTION_KEY"),
    ("stats --queries", "SQLite counts no statements\nhint: run the process with CARDLINK_SLOW"),
    ("keys check", "no encryption key is set"),
    ("keys rotate", "no encryption key is set"),
    ("devices show nobody", "nobody'\nhint: run: cardlink-db devices list"),
    ("devices edit R58 --inactive", "there is no device 'R58'"),
    ("devices remove R58 --yes", "there is no device 'R58'"),
    (f"cards show {iccid(9)}", f"{iccid(9)}\nhint: run: cardlink-db cards list"),
    (f"cards edit {iccid()} --imsi x", f"there is no card {iccid()}"),
    (f"cards remove {iccid()} --yes", f"there is no card {iccid()}"),
    (f"cards set-psk {iccid()} x", "hint: run: cardlink-db cards list"),
    (f"sessions show {session_id(99)}", "hint: run: cardlink-db sessions list"),
    ("logs show --session abc", "there is no session 'abc'"),
    ("tests show none", "there is no run 'none'\nhint: run: cardlink-db tests runs"),
    ("tests junit none", "there is no run 'none'"),
    ("tests compare run none", "there is no run 'none'"),
    ("tests show run --suite none", "the run has no suite 'none'"),
    ("tests junit run --output deep/none.xml", "the file cannot be written"),
    (f"tests import {REPORT} --run r --device nobody", "there is no device 'nobody'"),
    ("settings get lab.none", "no setting 'lab.none' is stored or declared\nhint: run: "),
    ("settings get server.prot", "is stored or declared; there is server.port"),
    ("export -o f.json --session ffffffff-ffff", "there is no session"),
]


def cases(table: list[tuple[str, str]], code: int) -> list[Any]:
    """The rows of a table, with the exit code that they share."""
    return [pytest.param(code, *row, id=row[0][:60]) for row in table]


@pytest.mark.parametrize(("code", "command", "said"), cases(WRONG + QUIET, 2) + cases(REFUSED, 1))
def test_a_refusal_is_a_line_and_a_hint_and_changes_nothing(
    run: Run, manager: DatabaseManager, tmp_path: Path, code: int, command: str, said: str
) -> None:
    (tmp_path / "there").touch()
    add(manager, result())
    before = dump(manager)
    words = shlex.split(command)
    done = run(*words, *([] if "-d" in words else ["-d", manager.config.url]))
    assert (done.returncode, done.stdout) == (code, "")
    error, *hint = done.stderr.splitlines()
    assert error.startswith("error: ")
    assert said in (error if code == 2 else done.stderr)
    if code == 2:
        assert re.fullmatch("hint: cardlink-db( [a-z-]+)* --help shows what it takes", *hint)
    assert len(hint) <= 1
    assert [path.name for path in tmp_path.iterdir()] == ["there"]
    assert dump(manager) == before


def test_an_error_does_not_control_the_terminal(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "keys\x1b[31m.yaml"
    file.write_text("keys: [", "utf-8")
    run("init", "-d", "sqlite:///x.db")

    done = run("import-keys", str(file), "-d", "sqlite:///x.db")

    assert r"keys\x1b[31m.yaml" in done.stderr
    assert "\x1b" not in done.stderr
