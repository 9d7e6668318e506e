"""The database as a whole: connecting, its health, its pool, its schema."""

import json
import logging
import re
import sys
import time
import traceback
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from threading import Barrier
from typing import Any
from urllib.parse import quote

import pytest
from sqlalchemy import Engine
from sqlalchemy.engine import make_url

from cardlink_sql import (
    ConnectionError,
    DatabaseConfig,
    DatabaseError,
    DatabaseManager,
    Dialect,
    Health,
    QueryError,
    UnitOfWork,
)
from cardlink_sql.database.backend import backend_of
from cardlink_sql.database.connection_errors import connection_error
from cardlink_sql.gateways import server
from cardlink_sql.model import tables
from cardlink_sql.model.records.session import OTASession
from tests.conftest import (
    add,
    committed,
    device,
    device_ids,
    dump,
    empty_database,
    entry,
    on_mysql,
    on_postgresql,
    on_servers,
    on_sqlite,
    server_url,
    session_id,
)

ODD_PASSWORD = "p@ss:w/rd#%?é"
FORMS_OF_PASSWORD = (ODD_PASSWORD, quote(ODD_PASSWORD, safe=""), quote(ODD_PASSWORD), "ss:w/rd")
# A port where nothing listens.
NOBODY = 1


def value(manager: DatabaseManager, sql: str) -> Any:
    with manager.engine.connect() as connection:
        return connection.exec_driver_sql(sql).scalar()


def unreachable(dialect: Dialect, password: str = "secret") -> str:
    return f"{dialect}://ann:{quote(password, safe='')}@127.0.0.1:{NOBODY}/cards"


def shown(error: BaseException) -> str:
    """All that a log would show of an error, its causes included."""
    return "".join(traceback.format_exception(error))


@pytest.fixture
def small(manager: DatabaseManager) -> Iterator[DatabaseManager]:
    """A manager of its own for the database, whose pool holds two connections at most."""
    config = DatabaseConfig(manager.config.url, pool_size=1, max_overflow=1, pool_timeout=0.1)
    with DatabaseManager(config) as one:
        yield one


def test_a_manager_connects_to_nothing_before_its_first_use() -> None:
    manager = DatabaseManager(DatabaseConfig(unreachable(Dialect.POSTGRESQL)))

    manager.initialize()
    engine = manager.engine
    manager.initialize()

    assert manager.engine is engine
    assert manager.dialect is Dialect.POSTGRESQL
    with pytest.raises(ConnectionError), UnitOfWork(manager):
        pass


@pytest.fixture
def eager_threads() -> Iterator[None]:
    """Threads that take turns as often as they can."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(interval)


@pytest.mark.usefixtures("eager_threads")
def test_threads_that_come_first_together_share_one_engine() -> None:
    manager = DatabaseManager(DatabaseConfig("sqlite://"))
    together = Barrier(8, timeout=10)

    def first(_number: int) -> Engine:
        together.wait()
        return manager.engine

    with ThreadPoolExecutor(8) as threads:
        engines = set(threads.map(first, range(8)))

    assert len(engines) == 1


def test_a_manager_that_was_closed_can_be_used_again(manager: DatabaseManager) -> None:
    with DatabaseManager(manager.config) as again:
        add(again, device())
        again.close()
        again.close()

        assert again.run(lambda uow: uow.devices.count()) == 1


def test_close_ends_every_connection(manager: DatabaseManager) -> None:
    one = DatabaseManager(manager.config)
    with UnitOfWork(one) as uow:
        connection = uow._transaction._connection
        driver_connection: Any = connection.pooled.driver_connection

    one.close()

    with pytest.raises(one.driver_errors):
        driver_connection.cursor().execute("SELECT 1")


def test_an_empty_database_is_healthy_and_its_queries_name_the_command(empty_url: str) -> None:
    with DatabaseManager(empty_url) as manager:
        assert manager.config == DatabaseConfig(empty_url)
        if manager.config.is_sqlite:
            manager.engine.connect().close()

        assert manager.health_check()["status"] == "healthy"
        with UnitOfWork(manager) as uow, pytest.raises(QueryError, match="cardlink-db migrate"):
            uow.devices.count()


def test_a_healthy_database_says_what_it_is(manager: DatabaseManager) -> None:
    health = manager.health_check()

    assert json.loads(json.dumps(health)) == health
    assert set(health) == set(Health.__annotations__)
    assert health["status"] == "healthy"
    assert health["backend"] == manager.dialect
    assert health["url"] == manager.config.safe_url
    assert re.match(r"\d+\.\d+", health["server_version"] or "")
    assert 0 < health["latency_ms"] < 10_000
    assert (health["error"], health["hint"]) == (None, None)


@on_servers
def test_a_server_that_is_not_there_is_an_answer_with_a_hint(dialect: Dialect) -> None:
    health = DatabaseManager(DatabaseConfig(unreachable(dialect))).health_check()

    assert health["status"] == "unhealthy"
    assert health["error"] is not None
    assert "cannot connect" in health["error"]
    assert health["hint"] is not None
    assert "check host, port" in health["hint"]
    assert (health["server_version"], health["latency_ms"]) == (None, None)
    assert health["url"] == f"{dialect}://ann:***@127.0.0.1:{NOBODY}/cards"

    url = make_url(server_url(dialect)).set(database="cardlink_no_such_database")
    missing = DatabaseManager(url.render_as_string(hide_password=False)).health_check()
    assert missing["status"] == "unhealthy"
    assert "cardlink_no_such_database" in str(missing["error"])


def test_a_file_that_is_not_there_is_an_answer_and_is_not_made(tmp_path: Path) -> None:
    file = tmp_path / "folder" / "x.db"

    health = DatabaseManager(DatabaseConfig(f"sqlite:///{file}")).health_check()

    assert health["status"] == "unhealthy"
    assert health["hint"] == "run: cardlink-db init"
    assert not file.parent.exists()


def test_a_folder_that_cannot_be_made_is_a_connection_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    manager = DatabaseManager(DatabaseConfig(f"sqlite:///{tmp_path}/file/x.db"))

    with pytest.raises(ConnectionError, match="folder"):
        manager.create_tables()


def test_a_pool_that_is_used_up_waits_and_then_says_so(small: DatabaseManager) -> None:
    with UnitOfWork(small), UnitOfWork(small, read_only=True):
        started = time.monotonic()
        with pytest.raises(ConnectionError, match="every connection of the pool is in use") as used:
            UnitOfWork(small).__enter__()
        assert time.monotonic() - started >= 0.1
        assert "pool_size" in str(used.value)
        health = small.health_check()
        assert health["status"] == "unhealthy"
        assert "pool" in str(health["error"])

    assert small.run(lambda uow: uow.devices.count()) == 0


def test_who_waits_gets_the_connection_that_comes_free(manager: DatabaseManager) -> None:
    config = DatabaseConfig(manager.config.url, pool_size=1, max_overflow=0, pool_timeout=10)

    def count() -> int:
        with UnitOfWork(one, read_only=True) as uow:
            return uow.devices.count()

    with DatabaseManager(config) as one, ThreadPoolExecutor(4) as threads:
        with UnitOfWork(one):
            waiting = [threads.submit(count) for _ in range(4)]
        assert [future.result(10) for future in waiting] == [0] * 4


def other_connections(manager: DatabaseManager) -> set[int]:
    """The server's numbers of the connections to the database but the one that asks."""
    sql = {
        Dialect.POSTGRESQL: "SELECT pid FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        " AND usename = CURRENT_USER",
        Dialect.MYSQL: "SELECT id FROM information_schema.processlist"
        " WHERE db = DATABASE() AND id <> CONNECTION_ID()",
    }[manager.dialect]
    with manager.engine.connect() as connection:
        return {row[0] for row in connection.exec_driver_sql(sql)}


def kill_connections(manager: DatabaseManager) -> int:
    """Kill every connection to the database; their number."""
    how = "SELECT pg_terminate_backend({})" if manager.config.is_postgresql else "KILL {}"
    with DatabaseManager(DatabaseConfig(manager.config.url, pool_size=1)) as killer:
        victims = other_connections(killer)
        with killer.engine.connect() as connection:
            for victim in victims:
                connection.exec_driver_sql(how.format(victim))
        end = time.monotonic() + 10
        while other_connections(killer) & victims:
            assert time.monotonic() < end, "the server keeps the connections"
        return len(victims)


@contextmanager
def pooled(manager: DatabaseManager, count: int) -> Iterator[DatabaseManager]:
    """A manager of its own, with idle connections in its pool."""
    with DatabaseManager(manager.config) as one:
        manager.engine.dispose()
        units = [UnitOfWork(one) for _ in range(count)]
        for unit in units:
            unit.__enter__()
        for unit in units:
            unit.__exit__(None, None, None)
        yield one


@on_servers
@pytest.mark.parametrize("read_only", [False, True])
def test_stale_connections_are_replaced(manager: DatabaseManager, read_only: bool) -> None:
    with pooled(manager, 3) as one:
        assert kill_connections(one) >= 3  # a test before may have left some that still close

        for _ in range(4):
            with UnitOfWork(one, read_only=read_only) as uow:
                assert uow.devices.count() == 0
                if read_only:
                    kill_connections(one)
                    assert uow.devices.count() == 0


@on_servers
def test_a_writer_meets_a_stale_connection_and_writes_each_row_once(
    manager: DatabaseManager,
) -> None:
    with pooled(manager, 2) as one:
        kill_connections(one)
        with committed(one) as uow:
            uow.sessions.create_session(session_id=session_id())

        kill_connections(one)
        with committed(one) as uow:
            assert uow.logs.add_log_batch([entry()] * 100) == 100

    rows = dump(manager)
    assert (len(rows["ota_sessions"]), len(rows["comm_logs"])) == (1, 100)


@on_servers
def test_a_transaction_that_lost_its_connection_is_an_error_and_keeps_nothing(
    manager: DatabaseManager,
) -> None:
    with pooled(manager, 1) as one:
        with UnitOfWork(one) as uow:
            uow.devices.create(device(1))
            kill_connections(one)
            with pytest.raises(ConnectionError, match="connection to the database broke"):
                uow.devices.create(device(2))
            with pytest.raises(DatabaseError):
                uow.commit()
        with UnitOfWork(one) as uow:
            uow.devices.create(device(3))
            kill_connections(one)
            with pytest.raises(ConnectionError):
                uow.commit()
        with UnitOfWork(one) as uow:
            uow.devices.create(device(4))
            kill_connections(one)
        add(one, device(5))

    assert [row[0] for row in dump(manager)["devices"]] == ["device-0005"]


@on_sqlite
def test_every_connection_to_sqlite_is_set_as_promised(manager: DatabaseManager) -> None:
    promised = {
        "journal_mode": "wal",
        "foreign_keys": 1,
        "synchronous": 1,
        "cache_size": -65536,
        "busy_timeout": 10_000,
    }
    with manager.engine.connect() as one, manager.engine.connect() as other:
        for connection in (one, other):
            found = {
                name: connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in promised
            }
            assert found == promised


@pytest.fixture
def in_memory() -> Iterator[DatabaseManager]:
    """A migrated database in memory."""
    with DatabaseManager(DatabaseConfig("sqlite:///:memory:", pool_timeout=10)) as manager:
        manager.create_tables()
        yield manager


def test_a_database_in_memory_lasts_across_units_of_work(in_memory: DatabaseManager) -> None:
    add(in_memory, device())
    with UnitOfWork(in_memory) as uow:
        uow.devices.create(device(2))

    assert device_ids(in_memory) == ["device-0001"]
    assert in_memory.health_check()["status"] == "healthy"
    with (
        DatabaseManager("sqlite://") as another,
        UnitOfWork(another) as uow,
        pytest.raises(QueryError, match="cardlink-db migrate"),
    ):
        uow.devices.count()


def test_a_database_in_memory_is_shared_by_threads(in_memory: DatabaseManager) -> None:
    def work(number: int) -> None:
        add(in_memory, device(number))

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(work, range(40)))

    assert in_memory.run(lambda uow: uow.devices.count()) == 40


@on_mysql
def test_mysql_is_set_as_promised(manager: DatabaseManager) -> None:
    assert value(manager, "SELECT @@session.time_zone") == "+00:00"
    assert value(manager, "SELECT TIMESTAMPDIFF(SECOND, UTC_TIMESTAMP(), NOW())") == 0
    assert "STRICT_ALL_TABLES" in value(manager, "SELECT @@session.sql_mode")
    for name in ("client", "connection", "results"):
        assert value(manager, f"SELECT @@character_set_{name}") == "utf8mb4"


@on_postgresql
def test_postgresql_is_set_as_promised_whatever_the_role_prefers(manager: DatabaseManager) -> None:
    url = make_url(manager.config.url)
    options = url.update_query_dict({"options": "-c TimeZone=Asia/Kathmandu"})

    with DatabaseManager(options.render_as_string(hide_password=False)) as one:
        assert value(one, "SHOW TIME ZONE") == "UTC"
        assert value(one, "SHOW client_encoding") == "UTF8"


def test_the_engine_begins_commits_and_rolls_back(manager: DatabaseManager) -> None:
    insert = tables.settings.insert()
    with pytest.raises(ZeroDivisionError), manager.engine.begin() as connection:
        connection.execute(insert, ROW)
        raise ZeroDivisionError
    with manager.engine.connect() as connection:
        connection.execute(insert, ROW)
    add(manager, device())

    rows = dump(manager)
    assert (rows["settings"], len(rows["devices"])) == ([], 1)

    with manager.engine.begin() as connection:
        connection.execute(insert, ROW)
    assert len(dump(manager)["settings"]) == 1


ROW = {
    "key": "k",
    "value": {"a": [1, "é"]},
    "category": "general",
    "created_at": device().created_at,
    "updated_at": device().updated_at,
}


def test_the_tables_read_what_the_gateways_write(manager: DatabaseManager) -> None:
    settings = {"baud": 115200}
    with committed(manager) as uow:
        written = uow.devices.create(device(connection_settings=settings))

    with manager.engine.connect() as connection:
        row = connection.execute(tables.devices.select()).one()

    assert row.connection_settings == settings
    assert row.created_at == written.created_at
    assert row.is_active is True


def test_the_sizes_of_the_tables_are_reported(manager: DatabaseManager) -> None:
    add(manager, device(1), device(2))

    sizes = {size.name: size for size in manager.table_sizes()}

    assert set(sizes) == set(tables.metadata.tables)
    assert (sizes["devices"].rows, sizes["card_profiles"].rows) == (2, 0)
    assert all(size.bytes is None or size.bytes >= 0 for size in sizes.values())
    assert manager.table_sizes(exact=False) == manager.table_sizes()


def test_the_rows_of_a_large_table_are_estimated(
    manager: DatabaseManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "_FEW", 3)
    add(manager, OTASession(session_id()), *[entry() for _ in range(40)])
    if manager.dialect is Dialect.MYSQL:
        with closing(manager.take_connection()) as pooled:
            pooled.cursor().execute("ANALYZE TABLE comm_logs")
    sizes = {size.name: size for size in manager.table_sizes(exact=False)}
    assert sizes["comm_logs"].rows == pytest.approx(40, rel=0.5)
    # PostgreSQL has no estimate before VACUUM or ANALYZE, so it counts.
    assert sizes["comm_logs"].is_estimate is (manager.dialect is not Dialect.POSTGRESQL)
    assert (sizes["ota_sessions"].rows, sizes["ota_sessions"].is_estimate) == (1, False)


@pytest.fixture
def account(dialect: Dialect) -> Iterator[str]:
    """The URL of an account whose password has odd characters, in an empty database."""
    name = "cardlink_odd_password"
    config = DatabaseConfig(server_url(dialect))
    password = ODD_PASSWORD.replace("%", "%%")
    statements = {
        Dialect.POSTGRESQL: (
            f"DROP ROLE IF EXISTS {name}",
            f"CREATE ROLE {name} LOGIN PASSWORD '{password}'",
        ),
        Dialect.MYSQL: (
            f"DROP USER IF EXISTS {name}@'%%'",
            f"CREATE USER {name}@'%%' IDENTIFIED BY '{password}'",
            f"GRANT SELECT ON *.* TO {name}@'%%'",
        ),
    }[dialect]
    with DatabaseManager(config) as admin, empty_database(dialect, Path()) as url:
        with admin.engine.begin() as connection:
            for statement in statements:
                connection.exec_driver_sql(statement)
        odd = make_url(url).set(username=name, password=ODD_PASSWORD)
        yield odd.render_as_string(hide_password=False)
        with admin.engine.begin() as connection:
            connection.exec_driver_sql(statements[0])


@on_servers
def test_an_odd_password_opens_its_account_and_is_not_shown(
    account: str, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    with (
        caplog.at_level(logging.DEBUG),
        DatabaseManager(DatabaseConfig(account, echo=True)) as manager,
    ):
        health = manager.health_check()
        assert health["status"] == "healthy", health["error"]
        value(manager, "SELECT 1")
        texts = [repr(manager), repr(manager.config), repr(manager.engine), manager.config.safe_url]
        texts += [repr(manager.engine.pool), repr(manager.migrator), repr(UnitOfWork(manager))]
        texts += [caplog.text, *capfd.readouterr()]
    assert "SELECT 1" in caplog.text
    wrong = make_url(account).set(username="cardlink_nobody").render_as_string(hide_password=False)
    refused = DatabaseManager(wrong).health_check()
    assert refused["status"] == "unhealthy"
    for text in [*texts, repr(refused)]:
        assert all(form not in text for form in FORMS_OF_PASSWORD)


@on_servers
def test_no_error_shows_the_password(dialect: Dialect) -> None:
    manager = DatabaseManager(DatabaseConfig(unreachable(dialect, ODD_PASSWORD)))

    for call in [
        UnitOfWork(manager).__enter__,
        UnitOfWork(manager, read_only=True).__enter__,
        manager.create_tables,
        manager.drop_tables,
        manager.table_sizes,
    ]:
        with pytest.raises(ConnectionError) as refused:
            call()
        assert all(form not in shown(refused.value) for form in FORMS_OF_PASSWORD)
    assert all(form not in repr(manager.health_check()) for form in FORMS_OF_PASSWORD)


@on_servers
def test_a_password_is_any_text(dialect: Dialect) -> None:
    for password in ("€", "пароль", "日本", "a\tb", "😀", " "):
        manager = DatabaseManager(unreachable(dialect, password))
        assert "cannot connect" in str(manager.health_check()["error"])


def test_echo_logs_each_statement_and_never_its_values(
    manager: DatabaseManager, caplog: pytest.LogCaptureFixture
) -> None:
    with (
        caplog.at_level(logging.INFO, "sqlalchemy.engine"),
        DatabaseManager(DatabaseConfig(manager.config.url, echo=True)) as loud,
        UnitOfWork(loud) as uow,
        loud.engine.connect() as connection,
    ):
        connection.execute(tables.devices.select().where(tables.devices.c.name == "SECRET"))
        connection.close()
        uow.devices.create(device(name="SECRET"))
        uow.devices.find_by(name="SECRET")
        uow.sessions.create_session(session_id=session_id())
        uow.logs.add_log_batch([entry(decoded_data="SECRET")] * 20)
        uow.commit()

    for statement in ("devices.create", "devices.find_by", "comm_logs", "COMMIT"):
        assert statement in caplog.text
    assert "SECRET" not in caplog.text


@on_servers
def test_a_password_that_the_driver_quotes_is_hidden(dialect: Dialect) -> None:
    backend = backend_of(dialect)
    url = DatabaseConfig(f"{dialect}://app:s3cret@localhost/cardlink").engine_url

    refused = connection_error(backend, backend.driver_error("'s3cret' was refused"), url)

    assert "'***' was refused" in str(refused)
    assert "s3cret" not in str(refused)
