"""Three nodes of a Galera cluster, each written through: ``scripts/test --galera`` starts them."""

import os
import threading
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from cardlink_sql import DatabaseManager, Keyring, MigrationError, UnitOfWork
from cardlink_sql.operations.key_rotation import rotate_keys
from cardlink_sql.operations.retention import purge
from cardlink_sql.schema.migrator import Migrator
from cardlink_sql.schema.migrator.backend import migration_backend
from cardlink_sql.schema.migrator.mysql import ClusterLock
from cardlink_sql.transfer.exchange import Conflict, Selection, export, import_file
from tests.conftest import add, card, committed, device, wait_until

URLS = os.environ.get("CARDLINK_TEST_GALERA_URLS", "").split()
pytestmark = pytest.mark.skipif(not URLS, reason="no Galera cluster; run scripts/test --galera")
OLD, NEW = Keyring.generate(), Keyring.generate()
HOT = device(1).id


@pytest.fixture
def nodes() -> Iterator[list[DatabaseManager]]:
    """A database of the cluster, through each node."""
    name = f"cardlink_galera_{uuid.uuid4().hex[:12]}"
    with DatabaseManager(URLS[0]) as server, server.engine.begin() as connection:
        connection.exec_driver_sql(f"CREATE DATABASE {name}")
    urls = [url.rpartition("/")[0] + f"/{name}" for url in URLS]
    managers = [DatabaseManager(url, keyring=Keyring([OLD])) for url in urls]
    for manager in managers:
        wait_until(partial(is_healthy, manager))
    yield managers
    for manager in managers:
        manager.close()
    with DatabaseManager(URLS[0]) as server, server.engine.begin() as connection:
        connection.exec_driver_sql(f"DROP DATABASE {name}")


def test_three_nodes_migrate_once(nodes: list[DatabaseManager]) -> None:
    with ThreadPoolExecutor(3) as threads:
        applied = list(threads.map(DatabaseManager.create_tables, nodes))
    assert sorted(map(bool, applied)) == [False, False, True]
    for node in nodes:
        assert node.migrator.status().pending == []


def test_a_lock_of_another_node_is_named_and_ends_with_its_connection(
    nodes: list[DatabaseManager],
) -> None:
    connections = [nodes[0].engine.raw_connection() for _ in range(2)]
    dialect = nodes[0].dialect
    lock = ClusterLock(*(migration_backend(dialect, one.driver_connection) for one in connections))
    assert lock.try_acquire()
    with pytest.raises(MigrationError, match="another node of the cluster"):
        Migrator(nodes[1].engine, dialect, lock_timeout=0.1).migrate()
    with ThreadPoolExecutor(1) as threads:
        waiting = threads.submit(nodes[2].create_tables)
        driver: Any = connections[1].driver_connection
        driver._force_close()  # as a kill ends it
        assert waiting.result(60)


def test_long_work_ends_well_next_to_writers_on_other_nodes(
    nodes: list[DatabaseManager], tmp_path: Path
) -> None:
    nodes[0].create_tables()
    nodes[0].publish_events()  # so that each commit changes one row that all have in common
    add(nodes[0], device(1))
    with committed(nodes[0]) as uow:
        for number in range(60):
            uow.cards.create_with_psk(card(number), psk_identity=f"c{number}", psk_key=b"k" * 16)
        long_ago = datetime.now(UTC) - timedelta(days=60)
        for _ in range(1200):
            old = uow.sessions.open_session(at=long_ago)
            uow.sessions.complete_session(old.id, at=long_ago)
    export(nodes[0], tmp_path / "e.jsonl", selection=Selection(tables=("devices",)))
    end, written = threading.Event(), []

    def write(node: DatabaseManager) -> None:
        while not end.is_set():
            session = str(uuid.uuid4())
            node.run(partial(record, session=session), attempts=1000, within=120)
            written.append(session)

    with ThreadPoolExecutor(4) as threads:
        writers = [threads.submit(write, node) for node in (nodes[0], nodes[1], nodes[2])]
        try:
            wait_until(lambda: len(written) > 10)
            assert purge(nodes[0], {"sessions": 30})["sessions"] == 1200
            path = tmp_path / "e.jsonl"
            import_file(nodes[1], path, conflict=Conflict.OVERWRITE)
            with DatabaseManager(nodes[2].config, keyring=Keyring([NEW, OLD])) as other:
                assert rotate_keys(other, batch=10).rotated == 60
        finally:
            end.set()
        for writer in writers:
            writer.result(120)

    with UnitOfWork(nodes[0], read_only=True) as uow:
        kept = uow.sessions.get_many(written)
        assert len(kept) == len(written) == uow.sessions.count() == uow.logs.count()


def is_healthy(manager: DatabaseManager) -> bool:
    return manager.health_check()["status"] == "healthy"


def record(uow: UnitOfWork, session: str) -> None:
    """Write a session and what all writers have in common."""
    uow.sessions.create_session(device_id=HOT, session_id=session)
    uow.devices.update_last_seen(HOT)
    uow.logs.add_log(session, "command", "00A40004")
