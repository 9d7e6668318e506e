"""A signal at any moment of ``cardlink-db``: one line, its exit code and no traceback."""

import subprocess
import sys
from pathlib import Path
from signal import SIGHUP, SIGINT, SIGTERM, Signals

import pytest

from cardlink_sql import DatabaseManager, Dialect
from tests.conftest import Run

# Ctrl-C where a module is about to be imported, which a clock would seldom meet.
AT_AN_IMPORT = """
import signal, sys

class Finder:
    @staticmethod
    def find_spec(name, path, target=None):
        if name == {module!r}:
            signal.raise_signal(signal.SIGINT)

sys.meta_path.insert(0, Finder)
from cardlink_sql.cli import main
main(["devices", "list", "-d", "sqlite:///a.db"])
"""

# Ctrl-C while SQLite closes the database, which takes long where much is to be checkpointed.
AT_THE_CLOSE = """
import signal
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite as Dialect

def close(self, connection, before=Dialect.do_close):
    before(self, connection)
    signal.raise_signal(signal.SIGINT)

Dialect.do_close = close
from cardlink_sql.cli import main
main(["purge", "--yes", "-d", "sqlite:///a.db"])
"""


def printed_by(script: str, folder: Path, code: int = 130) -> str:
    """What an interrupted process says on stderr."""
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == code, done.stderr
    return done.stderr


@pytest.mark.parametrize(
    "module",
    ["cardlink_sql.cli.commands", "typer", "cardlink_sql.cli.devices", "sqlalchemy.engine"],
)
def test_while_modules_are_imported(module: str, run: Run, tmp_path: Path) -> None:
    run("init", "-d", "sqlite:///a.db")
    assert printed_by(AT_AN_IMPORT.format(module=module), tmp_path) == "interrupted\n"


def test_while_the_database_is_closed(run: Run, tmp_path: Path) -> None:
    run("init", "-d", "sqlite:///a.db")
    assert printed_by(AT_THE_CLOSE, tmp_path) == "interrupted\n"


# A signal when all is written and no file has its name yet, or a tool is about to be started.
AT_THE_LAST_MOMENT = """
import signal, sys

def hook(event, arguments):
    is_tool = event == "subprocess.Popen" and "--version" not in arguments[1]
    if is_tool or (event == "os.rename" and ".part" in str(arguments[0])):
        assert not is_tool or {variable!r} not in arguments[3]
        signal.raise_signal({number})

from cardlink_sql.cli import main
sys.addaudithook(hook)
main({arguments!r})
"""


@pytest.mark.parametrize(
    ("dialect", "command", "ending"),
    [
        *((Dialect.SQLITE, "export --output", one) for one in (SIGINT, SIGTERM, SIGHUP)),
        *((dialect, "backup", SIGTERM) for dialect in Dialect),  # each by its own tool
    ],
    indirect=["dialect"],
)
def test_no_file_is_left(
    command: str,
    ending: Signals,
    manager: DatabaseManager,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    before = set(tmp_path.iterdir())
    arguments = [*command.split(), "made.jsonl", "-d", manager.config.url]
    script = AT_THE_LAST_MOMENT.format(
        number=int(ending), arguments=arguments, variable="CARDLINK_ENCRYPTION_KEY"
    )
    said = printed_by(script, tmp_path, 128 + ending)
    assert said.splitlines()[-1] == "interrupted"
    assert set(tmp_path.iterdir()) == before
