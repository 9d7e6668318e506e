"""A live server shows the name of the query: where a DBA looks, the label is read."""

import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy.engine import make_url

from cardlink_sql import DatabaseConfig, DatabaseManager, Dialect, UnitOfWork
from tests.conftest import cannot_run, session_id, wait_until
from tests.roles import ask, execute

MYSQL, POSTGRESQL = Dialect.MYSQL, Dialect.POSTGRESQL
Owners = Callable[[Dialect], DatabaseManager]

ACTIVITY = """
SELECT query FROM pg_stat_activity
WHERE datname = CURRENT_DATABASE() AND wait_event_type = 'Lock'"""
PROCESSES = "SELECT info FROM information_schema.processlist WHERE db = DATABASE()"
SLOW_LOG = "SELECT sql_text FROM mysql.slow_log WHERE db = DATABASE()"

# The throwaway server has no collector, and its settings say where its log is nevertheless.
LOG = """COALESCE(
  PG_CURRENT_LOGFILE(), CURRENT_SETTING('log_directory') || '/' || CURRENT_SETTING('log_filename')
)"""


def with_option(manager: DatabaseManager, name: str, value: str) -> DatabaseManager:
    """A manager of the same database whose connections have an option of the driver."""
    url = make_url(manager.config.url).update_query_dict({name: value})
    return DatabaseManager(DatabaseConfig(url.render_as_string(hide_password=False)))


@contextmanager
def waiting(manager: DatabaseManager) -> Iterator[None]:
    """While the block runs, a statement waits for a row that another transaction has locked."""

    def wait() -> None:
        with UnitOfWork(manager) as second:
            second.sessions.set_tls_info(session_id(), "PSK-AES128-GCM-SHA256", "card")

    with UnitOfWork(manager) as uow:
        uow.sessions.create_session(session_id=session_id())
        uow.commit()
        uow.sessions.start_session(session_id())
        waiter = threading.Thread(target=wait)
        waiter.start()
        try:
            yield
        finally:
            uow.rollback()
            waiter.join()


@pytest.mark.parametrize("dialect", [MYSQL, POSTGRESQL], ids=str, indirect=True)
def test_a_statement_that_waits_for_a_lock_is_seen_by_its_name(
    manager: DatabaseManager, owner: DatabaseManager
) -> None:
    def seen() -> list[str]:
        rows = ask(owner, PROCESSES if manager.dialect is MYSQL else ACTIVITY)
        return [sql for (sql,) in rows if sql and "/* cardlink:sessions.set_tls_info */" in sql]

    with waiting(manager):
        (sql,) = wait_until(seen)
        assert sql.startswith("UPDATE /* cardlink:sessions.set_tls_info */ ota_sessions")
        if manager.dialect is MYSQL:
            shown = [str(row) for row in ask(owner, "SHOW FULL PROCESSLIST")]
            assert any("UPDATE /* cardlink:sessions.set_tls_info */" in row for row in shown)


def test_the_slow_log_of_mysql_has_the_name(owners: Owners) -> None:
    owner = owners(MYSQL)
    try:
        ((is_on, output),) = ask(owner, "SELECT @@GLOBAL.slow_query_log, @@GLOBAL.log_output")
        execute(owner, "SET GLOBAL log_output = 'TABLE'", "SET GLOBAL slow_query_log = ON")
    except owner.driver_errors as error:
        cannot_run(f"the slow log of the MySQL server cannot be turned on: {error}")
    try:
        # Only these connections log: the threshold is theirs, and the server's stays.
        with with_option(owner, "init_command", "SET long_query_time = 0") as slow:

            def logged() -> list[str]:
                # Another run of the tests may turn the log off meanwhile: turn it on again.
                execute(owner, "SET GLOBAL log_output = 'TABLE'", "SET GLOBAL slow_query_log = ON")
                with UnitOfWork(slow, read_only=True) as uow:
                    uow.sessions.find_open()
                texts = (
                    sql.decode() if isinstance(sql, bytes) else sql
                    for (sql,) in ask(owner, SLOW_LOG)
                )
                return [sql for sql in texts if "cardlink:sessions.find_open" in sql]

            (sql, *_) = wait_until(logged)
        assert sql.startswith("SELECT /* cardlink:sessions.find_open */")
    finally:
        execute(
            owner,
            f"SET GLOBAL slow_query_log = {is_on}",
            f"SET GLOBAL log_output = '{output}'",
        )


def test_the_log_of_postgresql_has_the_name(owners: Owners) -> None:
    owner = owners(POSTGRESQL)
    try:
        ((begin,),) = ask(owner, f"SELECT (PG_STAT_FILE({LOG}, TRUE)).size")
    except owner.driver_errors as error:
        cannot_run(f"the log of the PostgreSQL server cannot be read: {error}")
    if begin is None:
        cannot_run("the PostgreSQL server keeps no log that SQL can read: logging_collector is off")

    with (
        with_option(owner, "options", "-c log_min_duration_statement=0") as slow,
        UnitOfWork(slow, read_only=True) as uow,
    ):
        uow.sessions.find_open()

    def logged() -> re.Match[str] | None:
        ((text,),) = ask(owner, f"SELECT PG_READ_FILE({LOG}, {begin}, 10000000)")
        return re.search(r"duration: .* SELECT /\* cardlink:sessions.find_open \*/", text)

    assert wait_until(logged)
