"""No wait without an end: a host that stops answering, on connections old and new."""

import asyncio
import gc
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from enum import IntEnum
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import event

from cardlink_sql import (
    CommitInDoubtError,
    ConflictError,
    ConnectionError,
    DatabaseConfig,
    DatabaseError,
    DatabaseManager,
    Dialect,
    IntegrityError,
    KeyStore,
    StorageFullError,
    UnitOfWork,
    ValidationError,
)
from cardlink_sql.database.backend import backend_of
from cardlink_sql.database.sqlite import SQLite
from tests.conftest import add, device, device_ids, on_mysql, on_servers, on_sqlite, wait_until
from tests.cutting_proxy import CuttingProxy


def seconds_of(work: Callable[[], object], kind: type[DatabaseError] = ConnectionError) -> float:
    """How long ``work`` takes to fail for want of an answer."""
    started = time.monotonic()
    with pytest.raises(kind):
        work()
    return time.monotonic() - started


def first(uow: UnitOfWork) -> object:
    return uow.devices.find_one_by()


def test_the_limit_of_an_abandoned_unit_of_work_ends_with_it(manager: DatabaseManager) -> None:
    config = replace(manager.config, pool_size=1, max_overflow=0)
    with DatabaseManager(config) as small:
        end = time.monotonic() + 1
        abandoned = UnitOfWork(small, timeout=1).__enter__()
        first(abandoned)
        del abandoned
        gc.collect()
        with UnitOfWork(small) as uow:
            while time.monotonic() < end:
                first(uow)
            assert first(uow) is None


@on_servers
@pytest.mark.parametrize("trickles", [False, True], ids=["silent", "trickles"])
def test_a_look_up_has_its_own_limit_on_connections_old_and_new(
    manager: DatabaseManager, proxy: CuttingProxy, trickles: bool
) -> None:
    proxy.trickles = trickles
    with DatabaseManager(DatabaseConfig(proxy.url), keyring=manager.keyring) as remote:
        keys = KeyStore(remote, timeout=1)
        assert keys.get_key("nobody") is None
        proxy.flows.clear()
        assert 0.9 < seconds_of(lambda: keys.get_key("nobody")) < 1.5
        # It was sent once: a read that timed out is not tried again.
        assert trickles or proxy.sent == 1
        assert 0.9 < seconds_of(lambda: keys.get_key("nobody")) < 1.5
        assert seconds_of(lambda: remote.run(first, attempts=1, timeout=0.5)) < 1.4
        proxy.flows.set()
        assert keys.get_key("nobody") is None


@on_servers
def test_a_unit_of_work_that_writes_may_have_a_limit(
    manager: DatabaseManager, proxy: CuttingProxy
) -> None:
    with DatabaseManager(DatabaseConfig(proxy.url)) as remote:
        with UnitOfWork(remote, timeout=0.5) as uow:
            uow.devices.create(device(1))
            proxy.flows.clear()
            assert seconds_of(uow.commit) < 1.5
        proxy.flows.set()
        with UnitOfWork(remote) as uow:
            assert uow.devices.count() in (0, 1)


@on_servers
def test_an_answer_that_takes_too_long_names_the_query(manager: DatabaseManager) -> None:
    with DatabaseManager(manager.config) as other, UnitOfWork(other) as holder:
        holder.settings.set_value("lab.port", 1)
        with UnitOfWork(manager, timeout=0.3) as uow:
            with pytest.raises(ConnectionError) as caught:
                uow.settings.set_value("lab.port", 2)
            uow.rollback()  # the connection is gone, and with it the transaction
    assert "did not answer in time" in caught.value.what
    assert "settings." in str(caught.value.where)


def test_an_error_means_the_same_while_the_caller_handles_a_time_out(
    manager: DatabaseManager,
) -> None:
    try:
        asyncio.run(asyncio.wait_for(asyncio.Event().wait(), 0))
    except TimeoutError:
        with UnitOfWork(manager) as uow:
            uow.devices.create(device(1))
            with pytest.raises(IntegrityError):
                uow.devices.create(device(1))


def test_nothing_is_sent_after_the_limit(manager: DatabaseManager) -> None:
    reader = UnitOfWork(manager, read_only=True, timeout=0.5)
    with UnitOfWork(manager, timeout=0.5) as uow, reader:
        uow.devices.create(device(1))
        over = time.monotonic() + 0.5
        wait_until(lambda: time.monotonic() > over)
        for late in (uow.commit, reader.devices.count):
            with pytest.raises(ConnectionError, match="longer than its timeout") as raised:
                late()
            assert not isinstance(raised.value, CommitInDoubtError)
    assert device_ids(manager) == []


@on_sqlite
def test_a_limit_bounds_the_wait_for_a_lock_of_sqlite(manager: DatabaseManager) -> None:
    other = sqlite3.connect(manager.config.engine_url.database or "", isolation_level=None)
    with closing(other), DatabaseManager(manager.config) as cold:

        def write() -> None:
            with UnitOfWork(manager, timeout=0.3) as uow:
                uow.devices.create(device(1))

        def connect() -> None:
            with UnitOfWork(cold, read_only=True, timeout=0.3) as uow:
                uow.devices.count()

        other.execute("BEGIN IMMEDIATE")
        assert 0.2 < seconds_of(write, ConflictError) < 1
        other.execute("ROLLBACK")
        manager.pool.discard()
        other.execute("PRAGMA locking_mode = EXCLUSIVE")
        other.execute("BEGIN EXCLUSIVE")
        assert 0.2 < seconds_of(connect, DatabaseError) < 1
    add(manager, device(1))


@on_servers
def test_connecting_has_a_limit(manager: DatabaseManager, proxy: CuttingProxy) -> None:
    proxy.flows.clear()
    config = DatabaseConfig(proxy.url, connect_timeout=1)
    with DatabaseManager(config) as remote:
        assert seconds_of(remote.take_connection) < 1.5


@on_servers
def test_a_long_statement_is_not_cut_short(manager: DatabaseManager) -> None:
    config = replace(manager.config, network_timeout=0.5)
    wait = "SELECT SLEEP(1.5)" if config.is_mysql else "SELECT PG_SLEEP(1.5)"
    with DatabaseManager(config) as impatient, impatient.engine.connect() as connection:
        assert connection.exec_driver_sql(wait).all()


def test_the_longest_limits_and_any_whole_number_are_taken(manager: DatabaseManager) -> None:
    year = 365 * 24 * 3600
    config = replace(manager.config, network_timeout=year, connect_timeout=year, pool_timeout=year)
    three = IntEnum("Number", {"THREE": 3}).THREE  # type: ignore[attr-defined]
    with DatabaseManager(config) as patient, UnitOfWork(patient, timeout=366 * 86_400) as uow:
        for number in range(7):
            uow.devices.create(device(number))
        found = uow.devices.get_all(limit=three)
        assert len(found) == 3


@on_servers
def test_a_limit_ends_with_its_unit_of_work(manager: DatabaseManager) -> None:
    wait = "SELECT SLEEP(1)" if manager.config.is_mysql else "SELECT PG_SLEEP(1)"
    config = replace(manager.config, pool_size=1, max_overflow=0)
    with DatabaseManager(config) as one:
        with UnitOfWork(one, read_only=True, timeout=0.3) as uow:
            assert uow.devices.count() == 0
        connection = one.take_connection()
        with connection.cursor() as cursor:  # type: ignore[attr-defined]
            cursor.execute(wait)
        connection.close()


def test_warm_up_opens_what_the_pool_keeps(manager: DatabaseManager) -> None:
    with DatabaseManager(replace(manager.config, pool_size=3)) as cold:
        assert cold.warm_up(2) == 2
        assert cold.engine.pool.checkedin() == 2  # type: ignore[attr-defined]
        assert cold.warm_up() == 3
        assert cold.warm_up(50) == 3
        assert cold.engine.pool.checkedin() == 3  # type: ignore[attr-defined]


@pytest.mark.parametrize("end", ["discard", "close"])
def test_no_connection_outlasts_the_end_of_its_pool(manager: DatabaseManager, end: str) -> None:
    config = replace(manager.config, pool_size=1, max_overflow=1, pool_timeout=0.1)
    with DatabaseManager(config) as one:
        closed: list[object] = []
        event.listen(one.engine, "close", lambda connection, _: closed.append(connection))
        before = [one.take_connection(), one.take_connection()]
        drivers = [pooled.driver_connection for pooled in before]
        getattr(one.pool, end)()
        if end == "discard":
            with pytest.raises(ConnectionError, match="in use"):
                one.take_connection()
        for pooled in before:
            pooled.close()
        assert closed == drivers
        assert one.run(lambda uow: uow.devices.count(), read_only=True) == 0


def test_limits_come_from_the_url_or_the_arguments() -> None:
    url = "postgresql://user:secret@host/database?connect_timeout=3&network_timeout=15.5"
    config = DatabaseConfig(f"{url}&sslmode=require")
    assert (config.connect_timeout, config.network_timeout) == (3, 15.5)
    assert dict(config.engine_url.query) == {"sslmode": "require"}
    config = DatabaseConfig("mysql://host/database", connect_timeout=5)
    assert (config.connect_timeout, config.network_timeout) == (5, 30)
    for wrong in ("0", "-1", "nan", "soon"):
        with pytest.raises(ValidationError, match="connect_timeout"):
            DatabaseConfig(f"mysql://host/database?connect_timeout={wrong}")
    with pytest.raises(ValidationError, match="timeout"):
        UnitOfWork(DatabaseManager(DatabaseConfig("sqlite://")), timeout=0)


@on_mysql
def test_a_statement_larger_than_a_packet_says_what_to_raise(manager: DatabaseManager) -> None:
    with closing(manager.engine.raw_connection()) as connection:
        cursor = connection.cursor()
        cursor.execute("SELECT @@max_allowed_packet")
        largest = int(cursor.fetchall()[0][0])
        fits = largest - 2 - len("SELECT LENGTH('')")
        with pytest.raises(Exception, match="max_allowed_packet") as caught:
            cursor.execute(f"SELECT LENGTH('{'x' * (fits + 1)}')")
        # The connection is as it was.
        cursor.execute(f"SELECT LENGTH('{'x' * fits}')")
        assert cursor.fetchall() == ((fits,),)
    error = backend_of(Dialect.MYSQL).translate(caught.value, "logs.create")
    assert isinstance(error, ValidationError)
    assert f"{largest - 1:,} bytes, and max_allowed_packet is {largest:,}" in error.what
    assert "raise max_allowed_packet on the server" in str(error.remedy)


def test_a_file_that_another_program_reads_in_another_mode_can_be_read(tmp_path: Path) -> None:
    file = tmp_path / "old.db"
    config = DatabaseConfig(f"sqlite:///{file}", connect_timeout=1)
    with DatabaseManager(config) as manager:
        manager.create_tables()
    with closing(sqlite3.connect(file, isolation_level=None)) as other:
        assert other.execute("PRAGMA journal_mode = DELETE").fetchall() == [("delete",)]
        other.execute("BEGIN")
        other.execute("SELECT COUNT(*) FROM devices").fetchall()
        began = time.monotonic()
        with DatabaseManager(config) as manager, UnitOfWork(manager) as uow:
            assert uow.devices.count() == 0
        assert time.monotonic() - began < 1
        other.execute("COMMIT")
        other.execute("BEGIN EXCLUSIVE")
        with DatabaseManager(config) as manager:
            with pytest.raises(DatabaseError) as caught, UnitOfWork(manager) as uow:
                uow.devices.count()
            assert "wait until it is done, or end it" in str(caught.value.remedy)
        other.execute("ROLLBACK")
        with DatabaseManager(config) as manager, UnitOfWork(manager) as uow:
            assert uow.devices.count() == 0
    with closing(sqlite3.connect(file)) as other:
        assert other.execute("PRAGMA journal_mode").fetchall() == [("wal",)]


def test_a_full_disk_says_so_and_keeps_nothing_of_the_unit(tmp_path: Path) -> None:
    with DatabaseManager(f"sqlite:///{tmp_path / 'a.db'}") as manager:
        manager.create_tables()
        with closing(manager.take_connection()) as pooled:
            pooled.driver_connection.execute("PRAGMA max_page_count = 1")  # no page more
        with pytest.raises(StorageFullError, match=r"disk of the database is full.*make room"):
            add(manager, *(device(number, notes="x" * 1000) for number in range(100)))
        assert device_ids(manager) == []


@pytest.mark.parametrize("name", ["SQLITE_FULL", "SQLITE_IOERR_SHMSIZE"])
def test_a_full_disk_met_while_connecting_says_so_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    def refuse(*_: object) -> None:
        error = sqlite3.OperationalError("disk I/O error")
        error.sqlite_errorname = name
        raise error

    monkeypatch.setattr(SQLite, "_use_wal", refuse)
    with DatabaseManager(f"sqlite:///{tmp_path / 'a.db'}") as manager:
        work = partial(manager.run, lambda uow: uow.devices.count())
        assert seconds_of(work, StorageFullError) < 1
