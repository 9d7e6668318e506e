"""Two servers of a kind: the one in use is killed under load, and nothing is lost or doubled."""

import os
import shutil
import signal
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from sqlalchemy.engine import URL, make_url

from cardlink_sql import CommitInDoubtError, DatabaseManager, Dialect, Direction, UnitOfWork
from tests.conftest import wait_until
from tests.roles import ask, execute
from tests.test_servers import script

servers = script

WRITERS = 6
APDUS = 4
# Units of work of each writer before, between and after what happens to the servers.
UNITS = 10
# Kept in the second server before the first one answers a commit.
SYNCHRONOUS = {
    "first": "-c wal_level=replica -c max_wal_senders=5 -c synchronous_commit=on"
    " -c synchronous_standby_names=*",
    "second": "-c wal_level=replica -c max_wal_senders=5 -c synchronous_commit=on",
}
REPLICATING = {
    "first": "--server-id=1 --log-bin=bin",
    "second": "--server-id=2 --log-bin=bin --log-slave-updates --read-only=1"
    " --rpl-semi-sync-slave-enabled=1",
}


@dataclass(frozen=True)
class Pair:
    """Two servers, of which the second follows the first.

    Attributes:
        url: names both.
        second: the second for its administrator.
        kill: kills the first.
        promote: makes the second writable.
    """

    url: str
    first: DatabaseManager
    second: DatabaseManager
    kill: Callable[[], None]
    promote: Callable[[], None]


@pytest.fixture(params=["postgresql", "mysql"])
def pair(
    servers: ModuleType, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Pair]:
    """Two servers that are gone after the test."""
    backend = next(one for one in servers.BACKENDS if one.name == request.param)
    program = backend.find()
    on_mysql = request.param == "mysql"
    if program is None or (on_mysql and not servers.is_mariadb(program)):
        pytest.skip(f"no server program of {backend.title} on this machine")
    with ExitStack() as stack:
        folder = Path(tempfile.mkdtemp(prefix="cardlink-", dir="/tmp"))
        stack.callback(shutil.rmtree, folder)
        folder.chmod(0o711)
        homes = []
        for name, given in (REPLICATING if on_mysql else SYNCHRONOUS).items():
            monkeypatch.setenv(f"CARDLINK_TEST_{name.upper()}_OPTIONS", given)
            homes.append(servers.make_home(backend, folder / name, stack, counting=False))
        yield stack.enter_context((mariadb if on_mysql else postgresql)(servers, *homes))


def both(first: URL, second: URL) -> str:
    hosts = ",".join(f"{url.host}:{url.port}" for url in (first, second))
    return first.render_as_string(hide_password=False).replace(f"{first.host}:{first.port}", hosts)


def killer(file: Path) -> Callable[[], None]:
    """Kills the server that wrote its number into a file."""
    pid = int(file.read_text().split()[0])
    return lambda: os.kill(pid, signal.SIGKILL)


@contextmanager
def postgresql(servers: ModuleType, first: Any, second: Any) -> Iterator[Pair]:
    """A primary and its synchronous standby."""
    url = servers.start_postgresql(first)
    clone, data = first.program.tool("pg_basebackup"), second.folder / "data"
    if clone is None:
        pytest.skip("there is no pg_basebackup on this machine")
    options = ["--checkpoint=fast", "--write-recovery-conf", f"--pgdata={data}", f"--dbname={url}"]
    assert second.prepare([str(clone), *options]), second.log.read_text()
    settings = [word for one in servers.POSTGRESQL_SETTINGS for word in ("-c", one)]
    start = [str(first.program.path), "-D", str(data), *settings, *second.options]
    port = servers.start_server(
        second,
        lambda port: [*start, "-p", str(port), "-c", "synchronous_standby_names="],
        lambda: b"ready to accept read" in second.log.read_bytes(),
        signal.SIGQUIT,
    )
    standby = make_url(url).set(port=port)
    with (
        DatabaseManager(url) as one,
        DatabaseManager(standby.render_as_string(hide_password=False)) as other,
    ):
        wait_until(lambda: ask(one, "SELECT 1 FROM pg_stat_replication WHERE sync_state = 'sync'"))
        kill = killer(first.folder / "data" / "postmaster.pid")
        hosts = both(make_url(url), standby)
        yield Pair(hosts, one, other, kill, lambda: execute(other, "SELECT pg_promote()"))


@contextmanager
def mariadb(servers: ModuleType, *homes: Any) -> Iterator[Pair]:
    """A primary that waits for its replica to have each commit, and that replica."""
    urls = [make_url(servers.start_mysql(home)) for home in homes]
    texts = [url.render_as_string(hide_password=False) for url in urls]
    password = uuid.uuid4().hex
    with DatabaseManager(texts[0]) as first, DatabaseManager(texts[1]) as second:
        follow = f"MASTER_HOST='127.0.0.1', MASTER_PORT={urls[0].port}, "
        execute(
            first,
            f"CREATE USER app@'%' IDENTIFIED BY '{password}'",
            "GRANT ALL ON cardlink.* TO app@'%'",
            "GRANT REPLICATION SLAVE ON *.* TO app@'%'",
        )
        execute(
            second,
            f"CHANGE MASTER TO {follow} MASTER_USER='app', MASTER_PASSWORD='{password}',"
            " MASTER_CONNECT_RETRY=1, MASTER_USE_GTID=slave_pos, MASTER_SSL=0",
            "START SLAVE",
        )
        wait_until(lambda: ask(second, "SELECT 1 FROM mysql.user WHERE user = 'app'"))
        execute(
            first,
            "SET GLOBAL rpl_semi_sync_master_timeout = 60000",
            "SET GLOBAL rpl_semi_sync_master_wait_point = AFTER_SYNC",
            "SET GLOBAL rpl_semi_sync_master_enabled = 1",
        )

        def promote() -> None:
            execute(second, "STOP SLAVE IO_THREAD")
            wait_until(lambda: has_applied_all(second))
            execute(second, "STOP SLAVE", "RESET SLAVE ALL", "SET GLOBAL read_only = 0")

        (pid,) = (homes[0].folder / "data").glob("*.pid")
        hosts = both(urls[0].set(username="app", password=password), urls[1])
        yield Pair(hosts, first, second, killer(pid), promote)


def has_applied_all(replica: DatabaseManager) -> bool:
    """Whether a replica has applied all that it has received."""
    ((status),) = ask(replica, "SHOW SLAVE STATUS")
    return "has read all relay log" in str(status)


class Load:
    """Threads that write sessions with their APDUs through one manager, as advised."""

    def __init__(self, manager: DatabaseManager) -> None:
        self.kept: list[tuple[float, str]] = []
        self.in_doubt = 0
        self.failures: list[BaseException] = []
        self._units = [0] * WRITERS
        self._manager = manager
        self._is_over = threading.Event()
        self._threads = [threading.Thread(target=self._write, args=(n,)) for n in range(WRITERS)]

    def __enter__(self) -> "Load":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        for thread in self._threads:
            thread.join()

    def go_on(self) -> None:
        """Wait until each writer has made some more units of work."""
        least = [units + UNITS for units in self._units]
        wait_until(lambda: self.failures or all(map(int.__ge__, self._units, least)), seconds=60)

    @property
    def longest_gap(self) -> float:
        """The seconds without any commit."""
        times = sorted(moment for moment, _ in self.kept)
        return max(after - before for before, after in pairwise(times))

    def _write(self, number: int) -> None:
        try:
            while not self._is_over.is_set():
                session = str(uuid.uuid4())
                self._keep(session)
                self.kept.append((time.monotonic(), session))
                self._units[number] += 1
        except BaseException as error:
            self.failures.append(error)

    def _keep(self, session: str) -> None:
        def work(uow: UnitOfWork) -> None:
            if uow.sessions.exists(session):
                return
            uow.sessions.create_session(session_id=session)
            uow.sessions.start_session(session)
            for _ in range(APDUS):
                uow.logs.add_log(session, Direction.COMMAND, "00A40004023F00")
            uow.sessions.complete_session(session)

        while True:
            try:
                return self._manager.run(work, attempts=1000, within=60)
            except CommitInDoubtError:
                self.in_doubt += 1


def test_no_commit_is_lost_or_doubled_where_the_server_in_use_is_killed(pair: Pair) -> None:
    with DatabaseManager(pair.url) as manager:
        manager.create_tables()
        with Load(manager) as load:
            load.go_on()
            if manager.dialect is Dialect.MYSQL:
                execute(pair.first, "SET GLOBAL read_only = 1")
                wait_until(lambda: "read-only" in str(manager.health_check()["error"]))
                execute(pair.first, "SET GLOBAL read_only = 0")
                load.go_on()
            pair.kill()
            pair.promote()
            load.go_on()
    assert load.failures == []
    found = ask(
        pair.second,
        "SELECT s.id, COUNT(l.id) FROM ota_sessions s"
        " LEFT JOIN comm_logs l ON l.session_id = s.id GROUP BY s.id",
    )
    kept = [session for _, session in load.kept]
    print(f"{len(kept)} kept, {load.in_doubt} in doubt, {load.longest_gap:.1f} s without a commit")
    assert {str(session): apdus for session, apdus in found} == dict.fromkeys(kept, APDUS)
    assert load.longest_gap < 20
