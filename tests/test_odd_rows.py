"""A row with a time that Python cannot hold does not hide the others."""

from contextlib import closing
from pathlib import Path

import pytest

from cardlink_sql import DatabaseError, DatabaseManager, Dialect, UnitOfWork
from tests.conftest import Run, add, device

ODD = {
    Dialect.SQLITE: ("10000-01-01 00:00:00+00:00", "never"),
    Dialect.MYSQL: ("0000-00-00 00:00:00",),
    Dialect.POSTGRESQL: ("infinity", "-infinity", "10000-01-01 00:00:00+00", "0044-03-15 BC"),
}


def make_odd(manager: DatabaseManager, value: str) -> None:
    """Write a time into the second device, as another program may."""
    with closing(manager.engine.raw_connection()) as connection:
        cursor = connection.cursor()
        if manager.dialect is Dialect.MYSQL:
            cursor.execute("SET sql_mode = ''")
        cursor.execute(f"UPDATE devices SET created_at = '{value}' WHERE id = 'device-0002'")
        connection.commit()
        connection.invalidate()


def test_an_odd_row_is_named_and_the_others_are_shown(
    manager: DatabaseManager, run: Run, tmp_path: Path
) -> None:
    add(manager, device(1), device(2), device(3))
    file = tmp_path / "out" / "all.jsonl"
    file.parent.mkdir()
    for value in ODD[manager.dialect]:
        make_odd(manager, value)
        with UnitOfWork(manager) as uow:
            with pytest.raises(DatabaseError, match="the row with id device-0002") as caught:
                uow.devices.get_all()
            assert caught.value.remedy
        listed = run("devices", "list", "-d", manager.config.url)
        assert listed.returncode == 0
        assert "device-0001" in listed.stdout
        assert "device-0003" in listed.stdout
        assert "Not shown: the row with id device-0002" in listed.stdout + listed.stderr
        exported = run("export", "--output", str(file), "-d", manager.config.url)
        assert exported.returncode == 1
        assert "the row with id device-0002" in exported.stderr
        assert list(file.parent.iterdir()) == []


def test_an_odd_entry_does_not_end_a_session_in_a_traceback(
    manager: DatabaseManager, run: Run
) -> None:
    add(manager, device(1))
    with UnitOfWork(manager) as uow:
        session = uow.sessions.create_session("device-0001").id
        uow.logs.add_log(session, "command", "00A40000")
        uow.commit()
    with closing(manager.engine.raw_connection()) as connection:
        cursor = connection.cursor()
        if manager.dialect is Dialect.MYSQL:
            cursor.execute("SET sql_mode = ''")
        cursor.execute(f"UPDATE comm_logs SET timestamp = '{ODD[manager.dialect][0]}'")
        connection.commit()
        connection.invalidate()
    shown = run("sessions", "show", session, "-d", manager.config.url)
    assert shown.returncode == 1
    assert shown.stderr.startswith("error: ")
    assert "hint: " in shown.stderr
