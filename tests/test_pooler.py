"""PgBouncer in transaction mode: what one client sets or prepares reaches no other."""

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest
from sqlalchemy.engine import make_url
from sqlalchemy.exc import InternalError

from cardlink_sql import DatabaseManager, Dialect, QueryError, UnitOfWork
from cardlink_sql.database.keyring import Keyring
from cardlink_sql.model import tables
from tests.conftest import Run, committed, delete_rows, device, wait_until
from tests.roles import ask

# PgBouncer keeps these for each of its clients.
KEPT_BY_THE_POOLER = {
    "application_name",
    "client_encoding",
    "DateStyle",
    "standard_conforming_strings",
    "TimeZone",
}
SETTINGS = """
[databases]
* = host={url.host} port={port} user={url.username}{password}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {listen}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = {connections}
server_reset_query =
"""

Pooled = Callable[[int], str]


@pytest.fixture
def pooled(owners: Callable[[Dialect], DatabaseManager]) -> Iterator[Pooled]:
    """Starts a pooler with so many connections to a migrated database; gives its URL."""
    program = shutil.which("pgbouncer", path=f"{os.environ['PATH']}:/usr/sbin")
    if program is None:
        pytest.skip("PgBouncer is not installed: sudo apt-get install pgbouncer")
    owner = owners(Dialect.POSTGRESQL)
    url = make_url(owner.config.url)
    quoted = str(url.password or "").replace("'", "''")
    password = f" password='{quoted}'" if quoted else ""
    # It refuses to run as root, and nobody cannot read what pytest makes for root.
    account = pwd.getpwnam("nobody").pw_uid if os.geteuid() == 0 else None

    def start(connections: int) -> str:
        with socket.create_server(("127.0.0.1", 0)) as probe:
            listen = probe.getsockname()[1]
        settings = folder / "pgbouncer.ini"
        settings.touch(mode=0o600)
        settings.write_text(
            SETTINGS.format(
                url=url,
                port=url.port or 5432,
                password=password,
                listen=listen,
                connections=connections,
            )
        )
        if account is not None:
            os.chown(folder, account, -1)
            os.chown(settings, account, -1)
        process = subprocess.Popen([program, "-q", settings], user=account, stdout=log, stderr=log)
        stack.callback(process.wait)
        stack.callback(process.kill)
        there = f"postgresql://ann@127.0.0.1:{listen}/{url.database}"
        wait_until(lambda: is_up(there))
        return there

    with ExitStack() as stack, tempfile.TemporaryFile() as log:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(dir="/tmp")))
        yield start
    delete_rows(owner)


def is_up(url: str) -> bool:
    with DatabaseManager(url) as manager:
        return manager.health_check()["status"] == "healthy"


def set_in_the_session(manager: DatabaseManager) -> set[str]:
    """The settings of the pooler's connection that differ from the server's for a session."""
    found = ask(manager, "SELECT name FROM pg_settings WHERE source = 'session'")
    return {name for (name,) in found} - KEPT_BY_THE_POOLER


@pytest.mark.parametrize(
    "command",
    ["status", "stats", "sql check", "sql explain devices.find_by", "devices list", "keys check"],
)
def test_a_command_that_reads_leaves_nothing_to_the_next_client(
    pooled: Pooled, run: Run, command: str
) -> None:
    url = pooled(1)
    done = run(*command.split(), "-d", url, CARDLINK_ENCRYPTION_KEY=Keyring.generate())
    assert done.returncode == 0, done.stderr
    with DatabaseManager(url) as next_one:
        assert set_in_the_session(next_one) == set()
        with UnitOfWork(next_one) as uow:
            assert uow.devices.create(device()).id == "device-0001"


def test_a_manager_that_reads_writes_nothing_through_a_pooler(pooled: Pooled) -> None:
    with DatabaseManager(pooled(2), read_only=True) as reader:
        with UnitOfWork(reader) as uow, pytest.raises(QueryError, match="read-only"):
            uow.devices.create(device())
        with pytest.raises(InternalError, match="read-only"), reader.engine.begin() as connection:
            connection.execute(tables.devices.delete())


def test_a_migration_through_a_pooler_is_refused_and_leaves_no_lock(
    pooled: Pooled, run: Run, owners: Callable[[Dialect], DatabaseManager]
) -> None:
    refused = run("migrate", "-d", pooled(2))
    assert (refused.returncode, "goes through a pooler" in refused.stderr) == (1, True)
    assert (
        ask(owners(Dialect.POSTGRESQL), "SELECT 1 FROM pg_locks WHERE locktype = 'advisory'") == []
    )


def test_clients_that_share_connections_prepare_nothing(pooled: Pooled) -> None:
    """PgBouncer before 1.21 gives the statement of one client to another."""
    url, entries = pooled(3), 12

    def work(client: int) -> None:
        with DatabaseManager(url) as manager:
            for number in range(15):
                with committed(manager) as uow:
                    key = f"{client:08d}-0000-0000-0000-{number:012d}"
                    created = uow.sessions.create_session(session_id=key)
                    uow.sessions.start_session(created.id)
                    for _ in range(entries):
                        uow.logs.add_log(created.id, "command", "00A40004023F00")
                    assert uow.sessions.get_by_id(created.id).id == created.id
                    assert len(uow.logs.find_by_session(created.id)) == entries

    with ThreadPoolExecutor(6) as clients:
        assert list(clients.map(work, range(6))) == [None] * 6


@pytest.mark.parametrize(
    ("threshold", "prepared"), [("", 0), ("none", 0), ("0", 1), ("2", 1), ("9", 0)]
)
def test_the_url_says_after_how_many_calls_a_statement_is_prepared(
    owners: Callable[[Dialect], DatabaseManager], threshold: str, prepared: int
) -> None:
    url = make_url(owners(Dialect.POSTGRESQL).config.url)
    if threshold:
        url = url.update_query_dict({"prepare_threshold": threshold})
    with DatabaseManager(url.render_as_string(hide_password=False)) as manager:
        for _ in range(4):
            assert ask(manager, "SELECT 4711")
        found = ask(
            manager, "SELECT name FROM pg_prepared_statements WHERE statement = 'SELECT 4711'"
        )
        assert len(found) == prepared
