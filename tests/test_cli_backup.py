"""``cardlink-db backup`` and ``restore`` as an operator runs them."""

import json
from pathlib import Path

import pytest

from tests.conftest import Run
from tests.test_cli import SAMPLE

URL = "sqlite:///cards.db"


@pytest.fixture
def recorded(run: Run, monkeypatch: pytest.MonkeyPatch) -> Run:
    """The runner, with a database of the sample trace."""
    run("init", "-d", URL)
    key = run("keys", "generate").stdout.strip()
    assert run("replay", str(SAMPLE), "-d", URL, CARDLINK_ENCRYPTION_KEY=key).returncode == 0
    monkeypatch.setenv("DATABASE_URL", URL)
    return run


def test_there_and_back(recorded: Run, tmp_path: Path) -> None:
    made = recorded("backup", "one.backup")
    assert made.returncode == 0, made.stderr
    assert made.stdout.startswith("Backed up 25 rows in 8 tables to one.backup (")
    assert recorded("restore", "one.backup").stderr.splitlines()[1] == "hint: add --yes"
    checked = recorded("restore", "--check", "one.backup", "-d", "postgresql://nowhere/none")
    assert checked.stdout.startswith("one.backup is whole: 25 rows in 8 tables, SQLite 3.")

    back = recorded("restore", "--yes", "one.backup")
    assert back.returncode == 0, back.stderr
    kept, removal = back.stdout.splitlines()[1:]
    name = kept.removeprefix("The replaced database is kept: ")
    assert Path(name).name.startswith("cards.db.replaced-2")
    assert removal == f"When it is not needed any more: rm {name}"
    assert recorded("status").returncode == 0


def test_as_json(recorded: Run) -> None:
    made = json.loads(recorded("backup", "one.backup", "--json").stdout)
    assert made["file"] == "one.backup"
    assert made["tables"]["comm_logs"] == 18
    assert made["bytes"] == Path("one.backup").stat().st_size
    checked = json.loads(recorded("restore", "one.backup", "--check", "--json").stdout)
    assert made.items() > checked.items()
    back = json.loads(recorded("restore", "one.backup", "--yes", "--json").stdout)
    assert back.items() > checked.items()
    assert back["pending"] == []
    assert back["replaced"]["removal"].startswith("rm ")
    anew = recorded("restore", "one.backup", "--yes", "--json", "-d", "sqlite:///new.db")
    assert json.loads(anew.stdout)["replaced"] is None


def test_what_cannot_be_done_is_one_line_and_changes_nothing(recorded: Run, tmp_path: Path) -> None:
    recorded("backup", "one.backup")
    whole = Path("one.backup").read_bytes()
    Path("cut.backup").write_bytes(whole[:-30])
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}

    there = recorded("backup", "one.backup")
    assert there.returncode == 1
    assert there.stderr == (
        "error: one.backup: the file is there already\nhint: name another, or replace it: --force\n"
    )
    cut = recorded("restore", "--yes", "cut.backup")
    assert cut.returncode == 1
    assert cut.stderr.startswith("error: cut.backup: not a whole backup: ")
    assert recorded("restore", "cut.backup").stderr == cut.stderr  # before it asks
    assert recorded("restore", "--yes", "none.backup").returncode == 2
    assert recorded("restore", "--yes", ".").returncode == 2
    assert recorded("backup").returncode == 2
    folder = recorded("backup", "no/folder/two.backup")
    assert folder.returncode == 1
    assert "cannot be written" in folder.stderr
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before
