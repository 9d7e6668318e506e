"""Events across a restore: no listener misses one silently."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from cardlink_sql import (
    DatabaseConfig,
    DatabaseManager,
    NotFoundError,
    StateError,
    UnitOfWork,
)
from cardlink_sql.dialect import Dialect
from cardlink_sql.transfer.backup import Method, create_backup, restore_backup
from tests.conftest import MakeDatabase, Restore, committed, delete_rows, device
from tests.test_backup import rewritten

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
    with other_process(manager) as other, committed(other) as uow:
        for number in range(first, last + 1):
            uow.devices.create(device(number))


def counter(manager: DatabaseManager) -> tuple[int, bool]:
    with UnitOfWork(manager, read_only=True) as uow:
        return uow.outbox.get_counter()


@pytest.mark.parametrize("method", [Method.NATIVE, Method.JSONL])
def test_a_listener_with_a_kept_position_is_told_that_events_are_gone(
    method: Method, manager: DatabaseManager, restored: Restore, tmp_path: Path
) -> None:
    manager.publish_events()
    publish(manager, 1, 10)
    made = create_backup(manager, tmp_path / "one.backup", method=method)
    new = restored(manager.dialect, made.file)
    last, publishes = counter(new)
    assert last > BEYOND
    assert publishes
    publish(new, 111, 125)
    # Whoever has read events after the backup, all up to it, or some of them.
    for position in (20, 10, 5):
        with new.listen(after=position) as listening:
            with pytest.raises(NotFoundError, match=f"to {last} are gone"):
                while event := listening.get(0):
                    assert event.position <= 10
            event = listening.get(0)
            assert (event.position, event.entity_id) == (last + 1, "device-0111")


def test_the_numbers_of_a_replaced_file_go_on(make_database: MakeDatabase, tmp_path: Path) -> None:
    with DatabaseManager(DatabaseConfig(make_database(Dialect.SQLITE))) as manager:
        manager.create_tables()
        made = create_backup(manager, tmp_path / "one.backup")
        manager.publish_events()
        publish(manager, 1, 3)
        last = 0
        for _ in range(2):
            restore_backup(manager, made.file)
            assert counter(manager)[0] > max(last, BEYOND)
            assert not counter(manager)[1]
            last = counter(manager)[0]
            manager.close()


def test_a_backup_of_before_publishing_does_not_begin_again(
    manager: DatabaseManager, restored: Restore, tmp_path: Path
) -> None:
    made = create_backup(manager, tmp_path / "one.backup", method=Method.NATIVE)
    new = restored(manager.dialect, made.file)
    last, publishes = counter(new)
    assert last > BEYOND
    assert not publishes
    with pytest.raises(StateError, match="turned off"):
        new.listen(after=5)
    new.publish_events()
    publish(new, 1, 1)
    assert counter(new) == (last + 1, True)


def test_json_lines_carry_the_counter_and_not_the_events(
    manager: DatabaseManager, restored: Restore, tmp_path: Path
) -> None:
    manager.publish_events()
    publish(manager, 1, 3)
    made = create_backup(manager, tmp_path / "one.backup", method=Method.JSONL)
    assert made.manifest.to_document()["event_counter"] == {"last_id": 3, "publishes": True}
    old = rewritten(made.file, tmp_path / "old.backup", lambda m: m.pop("event_counter"))
    new = restored(manager.dialect, made.file)
    assert counter(new)[1]
    with new.engine.connect() as connection:
        assert connection.exec_driver_sql("SELECT * FROM event_outbox").all() == []
    # A backup of an earlier release says nothing of it.
    last, publishes = counter(restored(Dialect.SQLITE, old))
    assert last > BEYOND
    assert not publishes
