"""Events across a restore: no listener misses one without being told."""

import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from cardlink_sql import (
    DatabaseConfig,
    DatabaseManager,
    NotFoundError,
    StateError,
    UnitOfWork,
)
from cardlink_sql.dialect import Dialect
from cardlink_sql.transfer.backup import Method, create_backup, mysql_scratch, restore_backup
from tests.conftest import Restore, delete_rows, device
from tests.test_backup import rewritten

METHODS = [Method.NATIVE, Method.JSONL]
# More than all the numbers of these tests: milliseconds since 1970.
BEYOND = 1_700_000_000_000


@pytest.fixture
def manager(owner: DatabaseManager) -> Iterator[DatabaseManager]:
    """A migrated database without rows on each backend in turn, as its owner."""
    yield owner
    owner.publisher.know(is_on=False)
    delete_rows(owner)


def other_process(manager: DatabaseManager) -> DatabaseManager:
    """A manager of the same database, as another process has."""
    url = manager.config.engine_url.render_as_string(hide_password=False)
    return DatabaseManager(DatabaseConfig(url))


def publish(manager: DatabaseManager, first: int, last: int) -> None:
    """An event for each of these devices, from another process."""
    with other_process(manager) as other, UnitOfWork(other) as uow:
        for number in range(first, last + 1):
            uow.devices.create(device(number))
        uow.commit()


def counter(manager: DatabaseManager) -> tuple[int, bool]:
    """The number of the last event, and whether events are published."""
    with UnitOfWork(manager, read_only=True) as uow:
        return uow.outbox.get_counter()


@pytest.mark.parametrize("method", METHODS)
def test_numbers_go_on_behind_those_that_were_told(
    method: Method, manager: DatabaseManager, restore: Restore, tmp_path: Path
) -> None:
    manager.publish_events()
    publish(manager, 1, 10)
    made = create_backup(manager, tmp_path / "one.backup", method=method)
    publish(manager, 11, 20)
    restore(manager, made.file)
    assert counter(manager) == (21, True)
    publish(manager, 111, 125)
    # Whoever was told all of them, some of them, or none that is behind the backup.
    for position, lost in ((20, "21 to 21"), (15, "16 to 21"), (10, "11 to 21")):
        with manager.listen(after=position) as listening:
            with pytest.raises(NotFoundError, match=f"the events {lost} are gone"):
                listening.get(0)
            event = listening.get(0)
            assert event is not None
            assert (event.position, event.entity_id) == (22, "device-0111")
    restore(manager, made.file)
    assert counter(manager) == (37, True)


@pytest.mark.parametrize("method", METHODS)
def test_a_listener_that_runs_meanwhile_is_told(
    method: Method, manager: DatabaseManager, restore: Restore, tmp_path: Path
) -> None:
    if manager.config.is_sqlite:
        return  # a file is not replaced while anybody has it open
    manager.publish_events()
    publish(manager, 1, 2)
    made = create_backup(manager, tmp_path / "one.backup", method=method)
    with other_process(manager) as dashboard, dashboard.listen() as listening:
        restore(manager, made.file)
        with pytest.raises(NotFoundError, match="the events 3 to 3 are gone"):
            listening.get(0)
        publish(manager, 3, 3)
        event = listening.get(10)
        assert event is not None
        assert event.position == 4


@pytest.mark.parametrize("method", METHODS)
def test_a_backup_of_before_publishing_does_not_begin_anew(
    method: Method, manager: DatabaseManager, restore: Restore, tmp_path: Path
) -> None:
    made = create_backup(manager, tmp_path / "one.backup", method=method)
    manager.publish_events()
    publish(manager, 1, 5)
    restore(manager, made.file)
    assert counter(manager) == (6, False)
    with pytest.raises(StateError, match="nobody publishes"):
        manager.listen(after=5)
    restore(manager, made.file)
    assert counter(manager) == (7, False)


@pytest.mark.parametrize("method", METHODS)
def test_where_nothing_was_counted_there_is_nothing_to_go_on_behind(
    method: Method, manager: DatabaseManager, restore: Restore, tmp_path: Path
) -> None:
    made = create_backup(manager, tmp_path / "one.backup", method=method)
    restore(manager, made.file)
    assert counter(manager) == (0, False)
    with manager.engine.connect() as connection:
        assert connection.exec_driver_sql("SELECT * FROM event_counter").all() == []


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("is_made", [False, True])
def test_a_database_that_cannot_say_how_far_it_was_is_passed_by_far(
    is_made: bool,
    method: Method,
    manager: DatabaseManager,
    make_database: Callable[[Dialect], str],
    tmp_path: Path,
) -> None:
    manager.publish_events()
    publish(manager, 1, 3)
    made = create_backup(manager, tmp_path / "one.backup", method=method)
    with DatabaseManager(DatabaseConfig(make_database(manager.dialect))) as new:
        if is_made:
            new.create_tables()
        done = restore_backup(new, made.file)
        last, publishes = counter(new)
        assert last > BEYOND
        assert publishes
        if done.replaced and new.config.is_mysql:
            with new.engine.begin() as connection:
                connection.exec_driver_sql(done.replaced.removal)
        if not is_made:
            # From now on it can.
            again = restore_backup(new, made.file).replaced
            assert counter(new) == (last + 1, True)
            if again and new.config.is_mysql:
                with new.engine.begin() as connection:
                    connection.exec_driver_sql(again.removal)


def test_a_damaged_file_is_passed_by_far(
    make_database: Callable[[Dialect], str], tmp_path: Path
) -> None:
    with DatabaseManager(DatabaseConfig(make_database(Dialect.SQLITE))) as manager:
        manager.create_tables()
        manager.publish_events()
        publish(manager, 1, 3)
        made = create_backup(manager, tmp_path / "one.backup")
        publish(manager, 4, 9)
        manager.close()
        file = Path(manager.config.engine_url.database or "")
        with sqlite3.connect(file) as reader:
            found = "SELECT rootpage FROM sqlite_master WHERE name = 'event_counter'"
            (page,) = reader.execute(found).fetchone()
            (size,) = reader.execute("PRAGMA page_size").fetchone()
        reader.close()
        for where, length in (((page - 1) * size, size), (0, file.stat().st_size)):
            whole = file.read_bytes()
            file.write_bytes(whole[:where] + b"\xa5" * length + whole[where + length :])
            restore_backup(manager, made.file)
            assert counter(manager)[0] > BEYOND
            manager.close()


def test_an_older_schema_without_a_counter_is_restored_as_it_is(
    make_database: Callable[[Dialect], str], dialect: Dialect, restore: Restore, tmp_path: Path
) -> None:
    with DatabaseManager(DatabaseConfig(make_database(dialect))) as manager:
        manager.migrator.migrate("0001")
        made = create_backup(manager, tmp_path / "old.backup")
        manager.create_tables()
        manager.publish_events()
        publish(manager, 1, 3)
        restore(manager, made.file)
        restore(manager, made.file)  # neither has one now


def test_what_is_published_while_mysql_waits_is_passed_too(
    make_database: Callable[[Dialect], str],
    restore: Restore,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    with DatabaseManager(DatabaseConfig(make_database(Dialect.MYSQL))) as manager:
        manager.create_tables()
        manager.publish_events()
        publish(manager, 1, 10)
        made = create_backup(manager, tmp_path / "one.backup")
        real = mysql_scratch.rows

        def rows(connection: Any, statement: str, *values: Any) -> list[Any]:
            if statement.startswith("RENAME TABLE"):
                publish(manager, 11, 20)
            return real(connection, statement, *values)

        monkeypatch.setattr(mysql_scratch, "rows", rows)
        restore(manager, made.file)
        assert counter(manager) == (21, True)


def test_json_lines_carry_the_counter_and_not_the_events(
    manager: DatabaseManager, restore: Restore, tmp_path: Path
) -> None:
    manager.publish_events()
    publish(manager, 1, 3)
    made = create_backup(manager, tmp_path / "one.backup", method=Method.JSONL)
    assert made.manifest.to_document()["event_counter"] == {"last_id": 3, "publishes": True}
    old = rewritten(made.file, tmp_path / "old.backup", lambda m: m.pop("event_counter"))
    delete_rows(manager)
    restore(manager, made.file)
    assert counter(manager)[1]
    with manager.engine.connect() as connection:
        assert connection.exec_driver_sql("SELECT * FROM event_outbox").all() == []
    # A backup of an earlier release says nothing of it.
    delete_rows(manager)
    restore(manager, old)
    assert counter(manager) == (0, False)
