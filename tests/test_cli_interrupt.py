"""Ctrl-C at any moment of ``cardlink-db``: one line, exit code 130 and no traceback."""

import subprocess
import sys
from pathlib import Path

import pytest

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


def printed_by(script: str, folder: Path) -> str:
    """What an interrupted process says on stderr."""
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 130, done.stderr
    return done.stderr


@pytest.mark.parametrize(
    "module",
    [
        "cardlink_sql.cli.commands",
        "typer",
        "rich.console",
        "sqlalchemy.engine",
        "cardlink_sql.cli.devices",
        "pydantic",
    ],
)
def test_while_modules_are_imported(module: str, run: Run, tmp_path: Path) -> None:
    run("init", "-d", "sqlite:///a.db")
    assert printed_by(AT_AN_IMPORT.format(module=module), tmp_path) == "interrupted\n"


def test_while_the_database_is_closed(run: Run, tmp_path: Path) -> None:
    run("init", "-d", "sqlite:///a.db")
    assert printed_by(AT_THE_CLOSE, tmp_path) == "interrupted\n"
