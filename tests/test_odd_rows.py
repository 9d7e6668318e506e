"""A row with a time that Python cannot hold does not hide the others."""

import json
from contextlib import closing
from pathlib import Path

import pytest

from cardlink_sql import DatabaseError, DatabaseManager, Dialect, QueryError, UnitOfWork
from cardlink_sql.database.unreadable_rows import read_rows, skipped
from cardlink_sql.gateways import logs
from cardlink_sql.transfer.exchange import export
from tests.conftest import Run, add, committed, device

ODD = {
    Dialect.SQLITE: ("10000-01-01 00:00:00+00:00", "never"),
    Dialect.MYSQL: ("0000-00-00 00:00:00",),
    Dialect.POSTGRESQL: ("infinity", "-infinity", "10000-01-01 00:00:00+00", "0044-03-15 BC"),
}


def make_odd(manager: DatabaseManager, *statements: str) -> None:
    """Write into the database as another program may."""
    with closing(manager.engine.raw_connection()) as connection:
        cursor = connection.cursor()
        if manager.dialect is Dialect.MYSQL:
            cursor.execute("SET sql_mode = ''")
        for statement in statements:
            cursor.execute(statement)
        connection.commit()
        connection.invalidate()


def test_an_odd_row_is_named_and_the_others_are_shown(
    manager: DatabaseManager, run: Run, tmp_path: Path
) -> None:
    add(manager, device(1), device(2), device(3))
    file = tmp_path / "all.jsonl"
    for value in ODD[manager.dialect]:
        make_odd(manager, f"UPDATE devices SET created_at = '{value}' WHERE id = 'device-0002'")
        with UnitOfWork(manager) as uow:
            with pytest.raises(DatabaseError, match="the row with id device-0002") as caught:
                uow.devices.get_all()
            assert caught.value.remedy
        listed = run("devices", "list", "-d", manager.config.url)
        assert listed.returncode == 0
        assert "device-0001" in listed.stdout
        assert "device-0003" in listed.stdout
        assert "Not shown: the row with id device-0002" in listed.stderr
        shown = run("devices", "show", "device-0002", "-d", manager.config.url)
        assert (shown.returncode, "the row with id device-0002" in shown.stderr) == (1, True)
        exported = run("export", "-o", str(file), "--force", "-d", manager.config.url)
        assert exported.returncode == 1
        assert "Left out: the row with id device-0002" in exported.stderr
        written = [json.loads(line) for line in file.read_text("utf-8").splitlines()]
        assert [row["id"] for row in written[1:-1]] == ["device-0001", "device-0003"]


def test_odd_apdus_are_named_and_the_dialogue_goes_on(
    manager: DatabaseManager, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logs, "_PAGE", 2)
    monkeypatch.setitem(export.__globals__, "PAGE", 2)
    with UnitOfWork(manager) as uow:
        session = uow.sessions.open_session().id
        for header in ("00A40000", "00B00000", "00C00000", "00D00000", "00E40000"):
            uow.logs.add_log(session, "command", header)
        uow.sessions.complete_session(session)
        uow.commit()
        keys = [entry.id for entry in uow.logs.find_by_session(session)]
    odd = ODD[manager.dialect][0]
    make_odd(
        manager,
        f"UPDATE comm_logs SET timestamp = '{odd}' WHERE id IN ({keys[0]}, {keys[1]}, {keys[3]})",
        f"UPDATE comm_logs SET raw_data = '00C00000ZZ1' WHERE id = {keys[2]}",
    )
    named = [f"Not shown: the row with id {key}" for key in (keys[0], keys[1], keys[3])]

    for command in (["show"], ["show", "--json"], ["follow"]):
        done = run("sessions", *command, session, "-d", manager.config.url)
        assert (done.returncode, done.stderr.count("Not shown")) == (0, 3)
        assert [name in done.stderr for name in named] == [True] * 3
        assert "ZZ1" in done.stdout
        assert "00E40000" in done.stdout
    assert [
        entry["id"]
        for entry in json.loads(
            run("sessions", "show", session, "--json", "-d", manager.config.url).stdout
        )["apdus"]
    ] == [keys[2], keys[4]]

    capture = ("sessions", "export", session, "-o", str(tmp_path / "one.pcapng"))
    done = run(*capture, "-d", manager.config.url)
    assert f"Not shown: the row with id {keys[2]}: raw_data is not hex" in done.stderr
    assert "Exported 1 packet " in done.stdout
    whole = ("export", "--tables", "logs", "-o", str(tmp_path / "logs.csv"))
    assert "Exported 2 logs" in run(*whole, "-d", manager.config.url).stdout


ODD_SESSIONS = {
    Dialect.SQLITE: ("created_at = 'x'", "duration_ms = 'x'", "created_at = '9999-12-31 00:00'"),
    Dialect.MYSQL: ("created_at = '9999-12-31 00:00'",),
    Dialect.POSTGRESQL: ("created_at = '20000-01-01 00:00:00+00'", "created_at = 'infinity'"),
}


def test_an_odd_row_leaves_the_other_statistics(manager: DatabaseManager, run: Run) -> None:
    with committed(manager) as uow:
        session, odd = uow.sessions.open_session().id, uow.sessions.open_session().id
        uow.logs.add_log(session, "command", "00A40000")
        uow.logs.add_log(session, "response", "6A82")
        for key in (session, odd):
            uow.sessions.complete_session(key)
    for values in ODD_SESSIONS[manager.dialect]:
        make_odd(
            manager,
            f"UPDATE ota_sessions SET {values} WHERE id = '{odd}'",
        )
        done = run("stats", "-d", manager.config.url)
        assert done.returncode == 0, done.stderr
        assert "Not shown: the row with " in done.stderr, values
        assert "File or application not found" in done.stdout, values
        figures = json.loads(run("stats", "--json", "-d", manager.config.url).stdout)
        assert len(figures["session_days"]) < 400
        assert figures["session_days"][-1]["completed"] in (1, 2)
        assert figures["newest_session_at"] is not None


def test_rows_of_another_query_are_not_left_out() -> None:
    rows = read_rows(
        [("a",)], lambda row: row[1], ("id", "name"), "", lambda _: QueryError("short")
    )
    with skipped() as left_out, pytest.raises(QueryError, match="short"):
        list(rows)
    assert left_out == []
