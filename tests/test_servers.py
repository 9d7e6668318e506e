"""The throwaway servers of scripts/_servers.py go away with the process that asked for them."""

import importlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
from sqlalchemy import Engine
from sqlalchemy.exc import OperationalError

from cardlink_sql.config import DatabaseConfig
from cardlink_sql.database.engine import make_engine
from cardlink_sql.dialect import Dialect

SCRIPT = Path(__file__).resolve().parent.parent / "scripts" / "_servers.py"

DATA_FOLDER = {
    Dialect.POSTGRESQL: "SHOW data_directory",
    Dialect.MYSQL: "SELECT @@datadir",
}

TELL_AND_WAIT = """
import json, os, sys
print(json.dumps(dict(os.environ)), flush=True)
sys.stdin.read()
"""


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """scripts/_servers.py, which is not a module of the package."""
    monkeypatch.syspath_prepend(SCRIPT.parent)
    return importlib.import_module("_servers")


@pytest.fixture
def variables(script: ModuleType) -> list[str]:
    """The variables of the servers that can be started here, with nothing to install."""
    startable = [
        backend.variable
        for backend in script.BACKENDS
        if backend.title != script.GALERA and backend.find()
    ]
    if not startable:
        pytest.skip("no PostgreSQL or MariaDB server program on this machine")
    return startable


def run_command(code: str, without: list[str]) -> subprocess.Popen[str]:
    """Have the script run Python code with servers around it."""
    return subprocess.Popen(
        [sys.executable, str(SCRIPT), "--", sys.executable, "-c", code],
        env={name: value for name, value in os.environ.items() if name not in without},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def data_folder(engine: Engine) -> Path:
    with engine.connect() as connection:
        query = DATA_FOLDER[Dialect(engine.dialect.name)]
        return Path(connection.exec_driver_sql(query).scalar_one())


@pytest.mark.parametrize("ending", [signal.SIGKILL, signal.SIGTERM], ids=lambda it: it.name)
def test_nothing_is_left_of_the_servers(variables: list[str], ending: signal.Signals) -> None:
    with run_command(TELL_AND_WAIT, without=variables) as supervisor:
        assert supervisor.stdout
        told = json.loads(supervisor.stdout.readline())
        engines = [make_engine(DatabaseConfig(told[variable])) for variable in variables]
        folders = [data_folder(engine) for engine in engines]
        assert all(folder.parent.exists() for folder in folders)
        for engine in engines:
            engine.dispose()

        supervisor.send_signal(ending)
        # The command and the keeper hold these pipes too: their end is the end of all three.
        supervisor.communicate(timeout=60)

    assert not any(folder.parent.parent.exists() for folder in folders)
    for engine in engines:
        with pytest.raises(OperationalError):
            engine.connect()


def test_the_exit_status_is_that_of_the_command(variables: list[str]) -> None:
    with run_command("raise SystemExit(7)", without=variables[:1]) as supervisor:
        supervisor.communicate(timeout=60)

    assert supervisor.returncode == 7


def test_the_matrix_keeps_one_row_for_each_version(
    script: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """It takes the place of the row of an older minor version; what follows the table stays."""
    assert script
    import _matrix as matrix  # scripts/ is on the path now

    monkeypatch.setattr(matrix, "TABLE", tmp_path / "versions.md")
    head, foot = "# Versions\n\n| Server |\n|---|\n", "\nIn the end.\n"
    matrix.TABLE.write_text(f"{head}| MySQL 9.7.4 | 1 |\n| MariaDB 11.8.9 | 2 |\n{foot}")
    matrix.keep("| MySQL 9.7.5 | 3 |")
    matrix.keep("| PostgreSQL 18.6 | 4 |")
    matrix.keep("| PostgreSQL 17.12 | 5 |")
    rows = "| MariaDB 11.8.9 | 2 |\n| MySQL 9.7.5 | 3 |\n| PostgreSQL 17.12 | 5 |\n"
    assert matrix.TABLE.read_text() == f"{head}{rows}| PostgreSQL 18.6 | 4 |\n{foot}"
