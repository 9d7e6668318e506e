"""Queries as they run: rows as declared, values bound, lists of any size, on each backend."""

import gc
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType

import pytest

from cardlink_sql import (
    ConnectionError,
    DatabaseManager,
    Device,
    DeviceType,
    Dialect,
    Direction,
    IntegrityError,
    QueryError,
    UnitOfWork,
    ValidationError,
)
from cardlink_sql.database.connection import Connection
from cardlink_sql.database.transaction import Transaction
from cardlink_sql.queries import Query
from tests.conftest import add, device, on_servers
from tests.parsing import parse

IDS = [f"device-{number}" for number in range(5)]


@pytest.fixture
def transaction(manager: DatabaseManager) -> Iterator[Transaction]:
    """An open transaction on a database with five phones."""
    add(manager, *(Device(name, DeviceType.PHONE, name=f"50% of {name}") for name in IDS))
    with manager.transaction(read_only=False) as opened:
        yield opened


def query(manager: DatabaseManager, rows: str, statement: str) -> Query:
    """A query that no file holds."""
    text = f"-- name: trial :{rows}\n-- A trial.\n{statement}\n"
    (made,) = parse(text, "sql/common/trials.sql", manager.dialect)
    return made


def test_one_gives_a_row_or_none(manager: DatabaseManager, transaction: Transaction) -> None:
    by_id = query(manager, "one", "SELECT id FROM devices WHERE id = :id;")
    assert transaction.one(by_id, {"id": IDS[0]}) == (IDS[0],)
    assert transaction.one(by_id, {"id": "none"}) is None


def test_one_that_gives_two_is_an_error(manager: DatabaseManager, transaction: Transaction) -> None:
    with pytest.raises(QueryError, match="to return one row, got more") as caught:
        transaction.one(query(manager, "one", "SELECT id FROM devices;"), {})
    assert caught.value.where == "sql/common/trials.sql:1"


def test_an_error_leaves_no_cursor_open(manager: DatabaseManager) -> None:
    def fail(kind: type[Exception], work: Callable[[UnitOfWork], object]) -> None:
        with pytest.raises(kind), UnitOfWork(manager) as uow:
            work(uow)

    def connections() -> int:
        return sum(type(one) is Connection for one in gc.get_objects())

    gc.collect()
    gc.disable()  # on SQLite an open cursor keeps its locks until it is collected
    before = connections()
    try:
        fail(IntegrityError, lambda uow: uow.sessions.create_session(device_id="nobody"))
        fail(QueryError, lambda uow: uow._transaction.savepoint("SELEKT", "a"))
        assert connections() == before
    finally:
        gc.enable()


@pytest.mark.parametrize(
    "statement", ["SELECT id FROM devices;", "SELECT id, name FROM devices WHERE id = 'x';"]
)
def test_scalar_gives_exactly_one_value(
    statement: str, manager: DatabaseManager, transaction: Transaction
) -> None:
    with pytest.raises(QueryError, match="declared to return one value"):
        transaction.scalar(query(manager, "scalar", statement), {})


def test_exec_gives_the_rows_found(manager: DatabaseManager, transaction: Transaction) -> None:
    update = query(manager, "exec", "UPDATE devices SET name = name WHERE id <> :id;")
    assert transaction.execute(update, {"id": IDS[0]}) == 4


def test_wrong_parameters_are_an_error(manager: DatabaseManager, transaction: Transaction) -> None:
    by_id = query(manager, "one", "SELECT id FROM devices WHERE id = :id;")
    for wrong in ({}, {"id": "a", "x": 1}, {"ID": "a"}):
        with pytest.raises(QueryError, match="it takes: id"):
            transaction.one(by_id, wrong)


def test_a_percent_sign_reaches_the_server_once(
    manager: DatabaseManager, transaction: Transaction
) -> None:
    like = query(
        manager, "scalar", "SELECT COUNT(*) FROM devices WHERE name LIKE '50!% of%' ESCAPE '!';"
    )
    assert transaction.scalar(like, {}) == 5


def test_a_comment_with_an_apostrophe_hides_no_parameter(
    manager: DatabaseManager, transaction: Transaction
) -> None:
    text = "SELECT id -- don't lose it\nFROM devices WHERE id = :id; -- it's fine"
    assert transaction.one(query(manager, "one", text), {"id": IDS[1]}) == (IDS[1],)


@pytest.mark.parametrize("size", [0, 1, 2, 3, 1000, 10_000])
def test_lists_of_any_size(size: int, manager: DatabaseManager, transaction: Transaction) -> None:
    text = "-- list: ids\nSELECT id FROM devices WHERE id IN (:ids) ORDER BY id;"
    wanted = (IDS + [f"other-{number}" for number in range(size)])[:size]
    rows = transaction.many(query(manager, "many", text), {"ids": wanted})
    assert [row[0] for row in rows] == [name for name in IDS if name in wanted]


def test_a_value_that_no_database_keeps_is_not_a_traceback_of_a_driver(
    manager: DatabaseManager, transaction: Transaction
) -> None:
    by_id = query(manager, "one", "SELECT id FROM devices WHERE id = :id;")
    with pytest.raises(ValidationError):
        transaction.one(by_id, {"id": "\ud800"})


def test_a_statement_carries_the_name_of_its_query(manager: DatabaseManager) -> None:
    sent = manager.library.query("sessions", "find_open").statement({}).sql
    assert sent.startswith("SELECT /* cardlink:sessions.find_open */")


class Interrupt(Exception):  # noqa: N818
    """What a signal raises in the middle of a statement."""


@pytest.mark.parametrize("read_only", [True, False])
@on_servers
def test_an_answer_that_an_interrupt_left_unread_is_nobodys(
    manager: DatabaseManager, *, read_only: bool
) -> None:
    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise Interrupt

    wait = "SLEEP(30)" if manager.dialect is Dialect.MYSQL else "CAST(PG_SLEEP(30) AS TEXT)"
    sleep = query(manager, "scalar", f"SELECT {wait};")
    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        with pytest.raises(Interrupt), manager.transaction(read_only=read_only) as transaction:
            transaction.scalar(sleep, {})
    finally:
        signal.signal(signal.SIGALRM, before)
    with manager.transaction(read_only=True) as transaction:
        assert transaction.scalar(query(manager, "scalar", "SELECT 'mine';"), {}) == "mine"


@pytest.mark.parametrize("place", ["file", "memory"])
def test_a_limit_ends_a_long_statement_of_sqlite(tmp_path: Path, place: str) -> None:
    url = "sqlite://" if place == "memory" else f"sqlite:///{tmp_path / 'cards.db'}"
    with DatabaseManager(url) as manager:
        manager.create_tables()
        count = (
            "WITH RECURSIVE n AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM n LIMIT :rows)"
            " SELECT COUNT(*) FROM n;"
        )
        counting = query(manager, "scalar", count)
        for read_only in (True, False):
            began = time.monotonic()
            with (
                manager.transaction(read_only=read_only, timeout=0.3) as transaction,
                pytest.raises(ConnectionError, match="did not answer in time"),
            ):
                transaction.scalar(counting, {"rows": 50_000_000})
            assert time.monotonic() - began < 1.5
        # A database in memory lasts, and the limit is gone.
        with manager.transaction(read_only=True) as transaction:
            assert transaction.scalar(counting, {"rows": 50_000}) == 50_000
        assert manager.run(lambda uow: uow.devices.count()) == 0


def test_a_missing_column_hints_at_the_migrations(manager: DatabaseManager) -> None:
    insert = query(manager, "exec", "INSERT INTO devices (nope) VALUES (1);")
    with (
        manager.transaction(read_only=False) as transaction,
        pytest.raises(QueryError, match=r"run: cardlink-db migrate; .*cardlink-db status names"),
    ):
        transaction.execute(insert, {})


@pytest.mark.parametrize("replaced", [False, True], ids=["deleted", "replaced"])
def test_a_file_that_is_gone_takes_no_writes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, replaced: bool
) -> None:
    monkeypatch.setattr("cardlink_sql.database.pool._LOOK_EVERY_S", 0.0)
    file = tmp_path / "one.db"
    with DatabaseManager(f"sqlite:///{file}") as manager:
        manager.create_tables()
        manager.run(lambda uow: uow.devices.create(device(1)))
        file.rename(tmp_path / "away.db")
        if replaced:
            file.touch()
        with (
            pytest.raises(ConnectionError, match="deleted or replaced"),
            UnitOfWork(manager) as uow,
        ):
            uow.devices.create(device(2))
        (tmp_path / "away.db").replace(file)
        manager.run(lambda uow: uow.devices.create(device(2)))


@pytest.mark.skipif(os.name != "posix", reason="there is no umask here")
def test_a_new_file_is_its_owners(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        with DatabaseManager(f"sqlite:///{tmp_path}/one.db") as manager:
            manager.create_tables()
            manager.run(lambda uow: uow.devices.create(device(1)))
            rights = {file.name: file.stat().st_mode & 0o777 for file in tmp_path.iterdir()}
    finally:
        os.umask(before)
    assert set(rights.values()) == {0o600}
    assert {"one.db", "one.db-wal"} <= rights.keys()


def test_a_forked_child_opens_connections_of_its_own(manager: DatabaseManager) -> None:
    whose = query(manager, "scalar", "SELECT :name;")

    def ask(name: str) -> bool:
        with manager.transaction(read_only=True) as transaction:
            return all(transaction.scalar(whose, {"name": name}) == name for _ in range(50))

    assert ask("before")
    child = os.fork()
    if not child:
        os._exit(0 if ask("child") else 1)
    assert ask("parent")
    assert os.waitpid(child, 0)[1] == 0


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_unit_of_work_belongs_to_the_process_that_opened_it(manager: DatabaseManager) -> None:
    def is_refused(use: Callable[[], object]) -> bool:
        with pytest.raises(QueryError, match="opened before the process was forked"):
            use()
        return True

    with UnitOfWork(manager) as uow:
        uow.devices.create(device(1))
        child = os.fork()
        if not child:
            uses = (uow.devices.count, uow.commit, uow.rollback, uow.close)
            os._exit(0 if all(map(is_refused, uses)) else 1)
        assert os.waitpid(child, 0)[1] == 0
        uow.commit()
    assert manager.run(lambda uow: uow.devices.count()) == 1


def test_a_snapshot_is_one_state_that_writes_nothing_and_stops_no_writer(
    manager: DatabaseManager,
) -> None:
    count = manager.library.query("devices", "count_by")
    delete = manager.library.query("devices", "delete_by_id")
    with manager.transaction(read_only=True, snapshot=True) as transaction:
        assert transaction.scalar(count, {}) == 0
        add(manager, Device("a", DeviceType.PHONE))
        assert transaction.scalar(count, {}) == 0
        with pytest.raises(QueryError, match="read-only"):
            transaction.execute(delete, {"id": "a"})
        transaction.commit()
        assert transaction.scalar(count, {}) == 1
    add(manager, Device("b", DeviceType.PHONE))


def test_a_commit_that_could_not_begin_does_not_succeed_the_second_time(
    manager: DatabaseManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    with UnitOfWork(manager) as uow:
        session_id = uow.sessions.create_session().id
        uow.commit()
    with UnitOfWork(manager) as uow:
        uow.logs.add_log(session_id, Direction.COMMAND, "00A40400")
        with monkeypatch.context() as patch:
            patch.setattr(manager.pool.backend, "begin", "BEGIN NONSENSE")
            with pytest.raises(QueryError, match="BEGIN"):
                uow.commit()
        with pytest.raises(QueryError, match="failed earlier in this unit of work"):
            uow.commit()


def test_commit_and_rollback_wait_for_the_end_of_a_savepoint(manager: DatabaseManager) -> None:
    with UnitOfWork(manager) as uow:
        with uow.savepoint():
            uow.devices.create(Device("a", DeviceType.PHONE))
            for end in (uow.commit, uow.rollback):
                with pytest.raises(QueryError, match="a savepoint is open"):
                    end()
        uow.commit()
    with UnitOfWork(manager, read_only=True) as uow:
        assert uow.devices.exists("a")


def test_a_read_only_manager_writes_nothing(manager: DatabaseManager) -> None:
    with DatabaseManager(manager.config, read_only=True) as reader:
        with UnitOfWork(reader) as uow, pytest.raises(QueryError):
            uow.devices.create(Device("a", DeviceType.PHONE))
        with UnitOfWork(reader, read_only=True) as uow:
            assert uow.devices.count() == 0
