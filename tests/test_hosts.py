"""Several hosts in one URL, and reading from a replica."""

import re
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import event
from sqlalchemy.engine import make_url

from cardlink_sql import (
    ConnectionError,
    DatabaseConfig,
    DatabaseManager,
    Dialect,
    KeyStore,
    UnitOfWork,
    ValidationError,
)
from cardlink_sql.transfer.backup import Method, create_backup, restore_backup
from tests.conftest import MakeDatabase, Run, add, card, delete_rows, device, on_servers
from tests.cutting_proxy import DEFAULT_PORTS, CuttingProxy
from tests.roles import execute

KEY = "00112233445566778899AABBCCDDEEFF"


class DeadHost:
    """A port that ends each connection at once, or keeps it without an answer; it counts them."""

    def __init__(self) -> None:
        self._server = socket.create_server(("127.0.0.1", 0))
        self.host = f"127.0.0.1:{self._server.getsockname()[1]}"
        self.is_silent = False
        self.met = 0
        self._kept: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._server.accept()
                self.met += 1
                if self.is_silent:
                    self._kept.append(client)
                else:
                    client.close()

    def close(self) -> None:
        for one in (self._server, *self._kept):
            one.close()


@pytest.fixture
def dead() -> Iterator[DeadHost]:
    made = DeadHost()
    yield made
    made.close()


def at(url: str, *hosts: str) -> str:
    """The URL with these hosts, an empty one for the URL's own."""
    given = make_url(url)
    own = f"{given.host}:{given.port or DEFAULT_PORTS[DatabaseConfig(url).dialect]}"
    before, _, after = url.partition(f"{given.host}{f':{given.port}' if given.port else ''}/")
    return f"{before}{','.join(host or own for host in hosts)}/{after}"


@on_servers
def test_a_host_that_does_not_answer_is_passed_over_and_then_left_out(
    manager: DatabaseManager, dead: DeadHost, caplog: pytest.LogCaptureFixture
) -> None:
    with DatabaseManager(at(manager.config.url, dead.host, "")) as several:
        assert several.warm_up() == several.config.pool_size
        add(several, device(1))
    assert dead.met == 1
    assert f"{dead.host}: " in caplog.text


@on_servers
def test_a_silent_host_leaves_the_others_their_share_of_the_time(
    manager: DatabaseManager, dead: DeadHost
) -> None:
    dead.is_silent = True
    with DatabaseManager(at(manager.config.url, dead.host, "")) as several:
        started = time.monotonic()
        assert KeyStore(several, timeout=1.5).get_key("nobody") is None
        assert 0.7 < time.monotonic() - started < 1.5
    url = f"{at(manager.config.url, dead.host, dead.host, '')}?connect_timeout=0.3"
    with DatabaseManager(url) as several, UnitOfWork(several, read_only=True) as uow:
        assert uow.devices.count() == 0
    assert dead.met == 3


@on_servers
def test_a_server_that_is_gone_is_a_connection_error_each_time_until_it_is_back(
    manager: DatabaseManager, proxy: CuttingProxy
) -> None:
    hosts = at(proxy.url, "", "")
    for url in (proxy.url, hosts):
        with DatabaseManager(url) as remote:
            for limit in (None, 5):
                reader = UnitOfWork(remote, read_only=True, timeout=limit)
                with reader, UnitOfWork(remote, timeout=limit) as uow:
                    assert reader.devices.count() == 0
                    proxy.is_down = True
                    proxy.cut()
                    for _ in range(2):
                        with pytest.raises(ConnectionError):
                            reader.devices.count()
                        with pytest.raises(ConnectionError):
                            uow.devices.create(device(1))
                        uow.rollback()
                    with pytest.raises(ConnectionError) as caught:
                        remote.run(lambda uow: uow.devices.create(device(1)), attempts=2)
                    assert caught.value.__notes__ == ["given up after 2 attempts"]
                    proxy.is_down = False
                    assert uow.devices.create(device(1)).id
                    assert reader.devices.count() == 0
                    uow.rollback()


@on_servers
def test_an_error_names_each_host_and_its_reason_and_no_password(
    manager: DatabaseManager, dead: DeadHost
) -> None:
    given = make_url(manager.config.url).set(password="hunter2")
    url = given.render_as_string(hide_password=False)
    with socket.create_server(("127.0.0.1", 0)) as probe:
        closed = f"127.0.0.1:{probe.getsockname()[1]}"
    with DatabaseManager(at(url, dead.host, closed)) as several:
        health = several.health_check()
        with pytest.raises(ConnectionError) as refused, UnitOfWork(several):
            pass
    assert f"{dead.host}: " in refused.value.what
    assert f"{closed}: " in refused.value.what
    assert "refused" in refused.value.what
    assert f":***@{dead.host},{closed}/" in health["url"]
    assert "hunter2" not in f"{health} {refused.value} {several!r} {several.config!r}"


def test_a_host_that_only_reads_is_passed_over_unless_any_will_do(
    make_database: MakeDatabase,
) -> None:
    url = make_database(Dialect.POSTGRESQL)
    with DatabaseManager(url) as manager:
        name = manager.config.engine_url.database
        execute(manager, f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    with DatabaseManager(at(url, "", "")) as several:
        assert str(several.health_check()["error"]).count("read-only") == 2
    with DatabaseManager(f"{at(url, '', '')}?target_session_attrs=any") as several:
        assert several.health_check()["status"] == "healthy"


@on_servers
def test_a_server_that_became_read_only_is_left_and_the_work_may_run_again(
    manager: DatabaseManager,
) -> None:
    demote = {
        Dialect.POSTGRESQL: "SET default_transaction_read_only = on",
        Dialect.MYSQL: "SET SESSION TRANSACTION READ ONLY",
    }
    with DatabaseManager(at(manager.config.url, "", "")) as several:
        several.warm_up(2)
        closed: list[object] = []
        event.listen(several.engine, "close", lambda connection, _: closed.append(connection))
        execute(several, demote[several.dialect])
        with pytest.raises(ConnectionError, match="became read-only"), UnitOfWork(several) as uow:
            uow.devices.create(device(1))
        # The other idle one may lead there, too.
        assert len(closed) == 2
        execute(several, demote[several.dialect])
        several.run(lambda uow: uow.devices.create(device(1)))


@on_servers
def test_a_backup_and_a_restore_reach_the_host_that_answers(
    owner: DatabaseManager, dead: DeadHost, make_database: MakeDatabase, tmp_path: Path
) -> None:
    owner.run(lambda uow: uow.devices.create(device(1)))
    urls = [at(url, dead.host, "") for url in (owner.config.url, make_database(owner.dialect))]
    try:
        with DatabaseManager(urls[0]) as source, DatabaseManager(urls[1]) as target:
            made = create_backup(source, tmp_path / "hosts.backup", method=Method.NATIVE)
            restore_backup(target, made.file)
            assert target.run(lambda uow: uow.devices.count()) == 1
    finally:
        delete_rows(owner)


@on_servers
def test_the_status_names_the_host_in_use_of_several(
    manager: DatabaseManager, dead: DeadHost, run: Run
) -> None:
    with DatabaseManager(at(manager.config.url, dead.host, "")) as several:
        used = several.health_check()["host"]
    assert used is not None
    assert used in at(manager.config.url, "")
    shown = run("status", "-d", several.config.url).stdout
    assert re.search(rf"^\W*Host\W+{used}\s", shown, re.MULTILINE), shown
    assert manager.health_check()["host"] is None
    assert "Host" not in run("status", "-d", manager.config.url).stdout


def test_a_reader_that_prefers_the_replica_goes_there(
    manager: DatabaseManager, make_database: MakeDatabase
) -> None:
    url = make_database(manager.dialect)
    config = replace(manager.config, replica_url=url)
    with (
        DatabaseManager(url, keyring=manager.keyring) as replica,
        DatabaseManager(config, keyring=manager.keyring) as both,
    ):
        replica.create_tables()
        replica.run(lambda uow: uow.cards.create_with_psk(card(), psk_identity="x", psk_key=KEY))
        assert KeyStore(both).get_key("x") is None
        assert KeyStore(both, prefer_replica=True).get_key("x") == bytes.fromhex(KEY)
        for prefers in (False, True):
            found = both.run(lambda uow: uow.cards.count(), read_only=True, prefer_replica=prefers)
            assert found == prefers
    with pytest.raises(ValidationError, match="replica"):
        UnitOfWork(manager, prefer_replica=True)


@on_servers
def test_the_primary_serves_readers_while_no_replica_answers(
    manager: DatabaseManager, dead: DeadHost, caplog: pytest.LogCaptureFixture
) -> None:
    dead.is_silent = True
    url = at(manager.config.url, dead.host)
    with DatabaseManager(replace(manager.config, replica_url=url)) as both:
        started = time.monotonic()
        for _ in range(5):
            with UnitOfWork(both, read_only=True, prefer_replica=True, timeout=1) as uow:
                assert uow.devices.count() == 0
        assert 0.4 < time.monotonic() - started < 1
    assert dead.met == 1
    assert caplog.text.count("no replica answers") == 1


@on_servers
def test_a_reader_goes_on_at_the_primary_where_its_replica_dies(
    manager: DatabaseManager, proxy: CuttingProxy
) -> None:
    with (
        DatabaseManager(replace(manager.config, replica_url=proxy.url)) as both,
        UnitOfWork(both, read_only=True, prefer_replica=True) as uow,
    ):
        assert uow.devices.count() == 0
        proxy.is_down = True
        proxy.cut()
        assert uow.devices.count() == 0


@pytest.mark.parametrize("scheme", ["postgresql", "mysql"])
def test_an_error_shows_the_hosts_as_they_were_written(scheme: str) -> None:
    written = f"{scheme}://someone@127.0.0.1:1,127.0.0.1:2/name"
    with DatabaseManager(written) as several, pytest.raises(ConnectionError) as caught:
        several.take_connection()
    assert str(caught.value.where).endswith("://someone@127.0.0.1:1,127.0.0.1:2/name")
