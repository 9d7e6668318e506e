"""Backup and restore as a library: what goes in comes out, or nothing is changed."""

import json
import os
import random
import shutil
import signal
import sqlite3
import stat
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from cardlink_sql import (
    ConflictError,
    DatabaseConfig,
    DatabaseError,
    DatabaseManager,
    DeviceType,
    MigrationError,
    SessionType,
    ValidationError,
)
from cardlink_sql.database.keyring import Keyring
from cardlink_sql.model import tables
from cardlink_sql.transfer.backup import (
    check_backup,
    create_backup,
    restore_backup,
    sqlite,
    tools,
)
from cardlink_sql.transfer.backup.container import Container
from cardlink_sql.transfer.backup.manifest import Manifest
from tests.conftest import MOMENT, add, card, committed, device, dump, entry, iccid, session_id

LOGS = 40
STRANGE = "'; DROP TABLE x; -- \\ \\. \\N \n\t\"` ŝĉ 💳"


def fill(manager: DatabaseManager) -> None:
    """Rows in every table, with signs that dump tools must quote."""
    with committed(manager) as uow:
        uow.devices.create(device(1, name=STRANGE, connection_settings={"a": [1, None, STRANGE]}))
        uow.devices.create(device(2, device_type=DeviceType.MODEM, is_active=False))
        uow.cards.create_with_psk(card(1, notes=STRANGE), "00" * 16, psk_identity=STRANGE[:40])
        uow.cards.create(card(2))
        for number in (1, 2):
            uow.sessions.create_session(
                session_id=session_id(number),
                device_id="device-0001",
                card_iccid=iccid(1),
                session_type=SessionType.POLLED,
            )
            uow.logs.add_log_batch(
                entry(
                    session_id(number),
                    latency_ms=0.1 + line,
                    decoded_data=STRANGE if line == 7 else None,
                )
                for line in range(LOGS)
            )
    with manager.engine.begin() as connection:
        connection.execute(
            tables.settings.insert(),
            [
                {"key": f"key.{number}", "value": value, "category": "general",
                 "created_at": MOMENT, "updated_at": MOMENT}
                for number, value in enumerate((None, False, 0, "", STRANGE, {"a": [1.5]}))
            ],
        )  # fmt: skip
        connection.execute(
            tables.test_results.insert(),
            {"id": session_id(9), "run_id": "run", "suite_name": STRANGE, "test_name": "t",
             "status": "failed", "device_id": "device-0001", "error_message": STRANGE,
             "assertions": [{"ok": False}], "created_at": MOMENT, "updated_at": MOMENT},
        )  # fmt: skip


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated SQLite file with rows, which the tests copy."""
    file = tmp_path_factory.mktemp("original") / "cards.db"
    keyring = Keyring([Keyring.generate()])
    with DatabaseManager(DatabaseConfig(f"sqlite:///{file}"), keyring=keyring) as manager:
        manager.create_tables()
        fill(manager)
    return file


@pytest.fixture
def sqlite_manager(original: Path, tmp_path: Path) -> Iterator[DatabaseManager]:
    """A migrated SQLite file of this test's own, with rows."""
    file = shutil.copy(original, tmp_path / original.name)
    with DatabaseManager(DatabaseConfig(f"sqlite:///{file}")) as manager:
        yield manager


def file_of(manager: DatabaseManager) -> Path:
    return Path(manager.config.engine_url.database or "")


def change(manager: DatabaseManager) -> None:
    """Make the database another than the one that was backed up."""
    with committed(manager) as uow:
        uow.devices.create(device(77))
        uow.sessions.delete_by_id(session_id(1))


def content(manager: DatabaseManager) -> dict[str, list[tuple[Any, ...]]]:
    """All rows but the event counter, which a restore advances."""
    found = dump(manager)
    del found["event_counter"]
    return found


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_a_restored_file_is_the_database_of_the_backup(
    sqlite_manager: DatabaseManager, tmp_path: Path
) -> None:
    before = content(sqlite_manager)
    made = create_backup(sqlite_manager, tmp_path / "one.backup")
    assert made.manifest.contents.tables["comm_logs"] == 2 * LOGS
    assert stat.S_IMODE(made.file.stat().st_mode) == 0o600
    assert check_backup(made.file) == made.manifest

    change(sqlite_manager)
    changed = content(sqlite_manager)
    done = restore_backup(sqlite_manager, made.file)
    assert done.pending == []
    assert content(sqlite_manager) == before
    with DatabaseManager(DatabaseConfig(f"sqlite:///{done.replaced.name}")) as replaced:
        assert content(replaced) == changed
    subprocess.run(done.replaced.removal, shell=True, check=True)
    sqlite_manager.close()
    file = file_of(sqlite_manager).name
    assert names(tmp_path) == {"one.backup", file}


def test_a_missing_database_is_made_with_its_folder(
    sqlite_manager: DatabaseManager, tmp_path: Path
) -> None:
    made = create_backup(sqlite_manager, tmp_path / "one.backup")
    with DatabaseManager(DatabaseConfig(f"sqlite:///{tmp_path}/new/b.db")) as other:
        assert restore_backup(other, made.file).replaced is None
        assert content(other) == content(sqlite_manager)
        other.close()
        assert names(tmp_path / "new") == {"b.db"}


def test_a_database_in_memory_is_backed_up_and_not_restored(tmp_path: Path) -> None:
    with DatabaseManager(DatabaseConfig("sqlite:///:memory:")) as manager:
        with pytest.raises(MigrationError, match="nothing to back up"):
            create_backup(manager, tmp_path / "one.backup")
        manager.create_tables()
        add(manager, device())
        made = create_backup(manager, tmp_path / "one.backup")
        assert made.manifest.contents.tables["devices"] == 1
        with pytest.raises(ValidationError, match="memory"):
            restore_backup(manager, made.file)
        assert len(content(manager)["devices"]) == 1
    assert names(tmp_path) == {"one.backup"}


def test_a_file_that_is_there_is_replaced_only_by_force(
    sqlite_manager: DatabaseManager, tmp_path: Path
) -> None:
    file = tmp_path / "one.backup"
    file.write_text("precious")
    with pytest.raises(DatabaseError, match="there already"):
        create_backup(sqlite_manager, file)
    with pytest.raises(DatabaseError, match="not a file"):
        create_backup(sqlite_manager, tmp_path, force=True)
    assert file.read_text() == "precious"
    create_backup(sqlite_manager, file, force=True)
    check_backup(file)


# While others work

WRITER = """
import sys, uuid
from cardlink_sql import *
from cardlink_sql.model.records.log import CommLog
with DatabaseManager(DatabaseConfig(sys.argv[1])) as manager:
    while True:
        with UnitOfWork(manager) as uow:
            session = uow.sessions.create_session()
            for number in range(50):
                uow.logs.add_log(session.id, Direction.COMMAND, "00A4040000" * 20)
            uow.commit()
        print(".", flush=True)
"""


@contextmanager
def writers(url: str, number: int = 2) -> Iterator[None]:
    """Processes that write sessions of 50 APDUs, as fast as they can."""
    running = [
        subprocess.Popen([sys.executable, "-c", WRITER, url], stdout=subprocess.PIPE)
        for _ in range(number)
    ]
    try:
        for process in running:
            assert process.stdout is not None
            for _ in range(5):
                process.stdout.readline()
        yield
        assert [process.poll() for process in running] == [None] * number
    finally:
        for process in running:
            process.kill()
            process.communicate()


def test_a_backup_ends_while_two_processes_write_and_is_of_one_moment(
    sqlite_manager: DatabaseManager, tmp_path: Path
) -> None:
    with writers(sqlite_manager.config.url):
        made = [create_backup(sqlite_manager, tmp_path / f"{n}.backup") for n in range(2)]
    with DatabaseManager(DatabaseConfig(f"sqlite:///{tmp_path}/b.db")) as other:
        restore_backup(other, made[-1].file)
        with other.engine.connect() as connection:
            logs = connection.exec_driver_sql(
                "SELECT COUNT(*) FROM comm_logs GROUP BY session_id"
            ).scalars()
            counts = set(logs.all())
    assert counts == {50, LOGS}
    sizes = [backup.manifest.contents.tables["comm_logs"] for backup in made]
    assert sizes == sorted(set(sizes))


@pytest.mark.parametrize(
    "statement", ["SELECT 1", "BEGIN; SELECT * FROM devices", "BEGIN IMMEDIATE"]
)
def test_a_database_that_another_process_has_open_is_not_replaced(
    statement: str, sqlite_manager: DatabaseManager, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = create_backup(sqlite_manager, tmp_path / "one.backup")
    change(sqlite_manager)
    before = content(sqlite_manager)
    monkeypatch.setattr(sqlite, "_LOCK_TIMEOUT", 0.05)
    file = file_of(sqlite_manager)
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(file), statement],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as holder:
        holder.stdout.readline()
        with pytest.raises(ConflictError, match="another process has the database open"):
            restore_backup(sqlite_manager, made.file)
        holder.communicate(b"")
    assert content(sqlite_manager) == before
    sqlite_manager.close()
    assert names(tmp_path) == {"one.backup", file.name}


HOLDER = """
import sys, sqlite3
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("SELECT * FROM devices").fetchall()
for statement in sys.argv[2].split(";"):
    connection.execute(statement).fetchone()
print("ready", flush=True)
sys.stdin.read()
"""


def test_who_has_opened_the_old_file_without_a_lock_can_write_nothing_to_it(
    sqlite_manager: DatabaseManager, tmp_path: Path
) -> None:
    made = create_backup(sqlite_manager, tmp_path / "one.backup")
    late = sqlite3.connect(file_of(sqlite_manager), isolation_level=None)
    restore_backup(sqlite_manager, made.file)
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        late.execute("DELETE FROM comm_logs")
    late.close()


def test_a_replacement_leaves_alone_the_journal_of_who_opens_the_new_file(
    sqlite_manager: DatabaseManager, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = file_of(sqlite_manager)
    journal = file.with_name(f"{file.name}-journal")

    def opened_by_another(_folder: Path) -> None:
        journal.write_bytes(b"hot")

    def fill(new: Path) -> None:
        shutil.copy(file, new)

    monkeypatch.setattr(sqlite, "sync_folder", opened_by_another)
    done = sqlite.replace_database(sqlite_manager, fill)

    assert journal.read_bytes() == b"hot"
    assert names(tmp_path) == {file.name, journal.name, Path(done.name).name}


# Damage


def test_a_damaged_database_is_replaced_and_kept(
    sqlite_manager: DatabaseManager, tmp_path: Path
) -> None:
    made = create_backup(sqlite_manager, tmp_path / "one.backup")
    before = content(sqlite_manager)
    sqlite_manager.close()
    file = file_of(sqlite_manager)
    file.write_bytes(b"no database at all" * 100)
    done = restore_backup(sqlite_manager, made.file)
    assert content(sqlite_manager) == before
    assert Path(done.replaced.name).read_bytes().startswith(b"no database")


def test_the_log_of_a_lost_database_does_not_reach_the_restored_one(
    sqlite_manager: DatabaseManager, tmp_path: Path
) -> None:
    made = create_backup(sqlite_manager, tmp_path / "one.backup")
    before = content(sqlite_manager)
    change(sqlite_manager)
    file = file_of(sqlite_manager)
    log = file.with_name(f"{file.name}-wal").read_bytes()
    assert log
    sqlite_manager.close()
    file.unlink()
    file.with_name(f"{file.name}-wal").write_bytes(log)
    assert restore_backup(sqlite_manager, made.file).replaced is None
    assert content(sqlite_manager) == before
    (kept,) = tmp_path.glob(f"{file.name}.replaced-*-wal")
    assert kept.read_bytes() == log


def test_a_damaged_database_is_not_backed_up(
    sqlite_manager: DatabaseManager, tmp_path: Path
) -> None:
    sqlite_manager.close()
    with file_of(sqlite_manager).open("rb+") as file:
        file.seek(4096 * 20)
        file.write(os.urandom(4096 * 8))
    with pytest.raises(DatabaseError, match="damaged"):
        create_backup(sqlite_manager, tmp_path / "one.backup")
    sqlite_manager.close()
    assert names(tmp_path) == {file_of(sqlite_manager).name}


def test_rows_without_their_parent_are_backed_up_as_they_are(
    sqlite_manager: DatabaseManager, tmp_path: Path
) -> None:
    with sqlite3.connect(file_of(sqlite_manager)) as other_program:
        other_program.execute("DELETE FROM ota_sessions WHERE id = ?", (session_id(1),))
    other_program.close()
    made = create_backup(sqlite_manager, tmp_path / "one.backup")
    assert made.manifest.contents.orphans == LOGS
    restore_backup(sqlite_manager, made.file)


@pytest.fixture(scope="module")
def small_backup(original: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A backup of a small database."""
    file = tmp_path_factory.mktemp("small") / "small.backup"
    with DatabaseManager(DatabaseConfig(f"sqlite:///{original}")) as manager:
        return create_backup(manager, file).file


def test_a_backup_that_is_cut_off_is_refused(small_backup: Path, tmp_path: Path) -> None:
    whole = small_backup.read_bytes()
    cut = tmp_path / "cut.backup"
    for length in {0, 1, 10, 100, *range(0, len(whole), len(whole) // 50), len(whole) - 1}:
        cut.write_bytes(whole[:length])
        with pytest.raises(ValidationError, match=r"not a whole backup|damaged"):
            check_backup(cut)


def read(file: Path) -> tuple[Manifest, bytes]:
    """All that a backup says and holds."""
    with Container(file) as backup:
        return backup.manifest, b"".join(backup.chunks())


def test_no_damage_changes_what_comes_out(small_backup: Path, tmp_path: Path) -> None:
    # A zip has some bytes that say nothing; whatever is hit, it is refused or all is there.
    whole, content = small_backup.read_bytes(), read(small_backup)
    harmed = tmp_path / "harmed.backup"
    chance = random.Random(20261123)
    ends = [*range(60), *range(len(whole) - 600, len(whole), 2)]
    refused = 0
    for turn in range(600):
        data = bytearray(whole)
        place = ends[turn] if turn < len(ends) else chance.randrange(len(whole))
        if turn % 7 == 0:
            length = chance.randrange(1, 40)
            data[place : place + length] = chance.randbytes(chance.randrange(40))
        else:
            data[place] ^= 1 << chance.randrange(8)
        harmed.write_bytes(data)
        try:
            assert read(harmed) == content
        except ValidationError:
            refused += 1
    assert refused > 400


def rewritten(
    source: Path, target: Path, edit: Callable[[dict[str, Any]], None], payload: bytes | None = None
) -> Path:
    """A backup whose manifest, or payload, somebody has edited; as a zip it is whole."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        for info in old.infolist():
            data = old.read(info)
            if info.filename == "manifest.json":
                document = json.loads(data)
                edit(document)
                data = json.dumps(document).encode()
            elif payload is not None:
                data = payload
            new.writestr(info.filename, data)
    return target


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (lambda m: m["tables"].update(comm_logs=3), "rows of comm_logs: 80"),
        (lambda m: m["tables"].pop("devices"), "rows of devices: 2"),
        (lambda m: m["tables"].update(more=1), "rows of more: None"),
        (lambda m: m.update(orphans=3), "refer to none"),
        (lambda m: m.update(migrations=[]), "migrations"),
        (lambda m: m["migrations"].append("0999_future"), "does not know: 0999_future"),
        (lambda m: m["payload"].update(sha256="0" * 64), "not the one that the manifest"),
        (lambda m: m["payload"].update(size=5), "does not hold"),
        (lambda m: m["payload"].update(name="../../x"), "manifest is damaged"),
        (lambda m: m.update(format_version=2), "format version 2"),
        (lambda m: m.update(format="else"), "not a backup of cardlink-db"),
        (lambda m: m.update(kind="tar"), "manifest is damaged"),
        (lambda m: m.update(kind="pg_dump"), "manifest is damaged"),
        (lambda m: m.update(created_at="2026-01-01"), "manifest is damaged"),
        (lambda m: m.update(tables={"a b": 1}), "manifest is damaged"),
        (lambda m: m.update(tables={"a": True}), "manifest is damaged"),
        (lambda m: m.update(event_counter=5), "manifest is damaged"),
        (lambda m: m.update(event_counter={"last_id": 5, "publishes": 1}), "manifest is damaged"),
        (lambda m: m.update(event_counter={"last_id": 2**62 + 1, "publishes": True}), "is damaged"),
        (lambda m: m.clear(), "not a backup of cardlink-db"),
    ],
)
def test_a_manifest_that_lies_is_refused_and_nothing_changes(
    edit: Callable[[dict[str, Any]], None],
    said: str,
    small_backup: Path,
    sqlite_manager: DatabaseManager,
    tmp_path: Path,
) -> None:
    forged = rewritten(small_backup, tmp_path / "forged.backup", edit)
    change(sqlite_manager)
    before = content(sqlite_manager)
    with pytest.raises(DatabaseError, match=said):
        check_backup(forged)
    with pytest.raises(DatabaseError, match=said):
        restore_backup(sqlite_manager, forged)
    assert content(sqlite_manager) == before
    sqlite_manager.close()
    assert names(tmp_path) == {"forged.backup", file_of(sqlite_manager).name}


def test_a_small_file_that_unpacks_to_one_endless_line_is_given_up(
    small_backup: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tools, "_LONGEST_LINE", 2**22)
    bomb, size, read = tmp_path / "bomb.backup", 2**24, list[int]()
    with zipfile.ZipFile(small_backup) as old:
        document = json.loads(old.read("manifest.json"))
    payload = {"name": "cardlink.sql", "size": size, "sha256": "0" * 64}
    document |= {"kind": "mysqldump", "dialect": "mysql", "payload": payload, "migrations": []}
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as new:
        new.writestr("cardlink.sql", bytes(size))
        new.writestr("manifest.json", json.dumps(document))
    with pytest.raises(ValidationError, match="longer than 4,194,304 bytes"):
        check_backup(bomb, on_progress=read.append)
    assert sum(read) <= 2**22 + 2**20


@pytest.mark.parametrize("content", [b"", b"PK", b"no zip" * 50, b"\0" * 9999])
def test_what_is_no_backup_is_refused(content: bytes, tmp_path: Path) -> None:
    file = tmp_path / "any.file"
    file.write_bytes(content)
    with pytest.raises(ValidationError, match="not a whole backup"):
        check_backup(file)
    with zipfile.ZipFile(file, "w") as other:
        other.writestr("readme.txt", "hello")
    with pytest.raises(ValidationError, match="a part of it is missing"):
        check_backup(file)


# A kill


STEPS = ("open", "os.rename", "os.remove", "os.link", "os.chmod", "sqlite3.connect")


def restore_and_die(manager: DatabaseManager, backup: Path, step: int) -> bool:
    """Restore in a child that is killed at its so many-th touch of the folder; whether it was."""
    child = os.fork()
    if child == 0:
        seen = 0

        def kill(event: str, arguments: Any) -> None:
            nonlocal seen
            if event in STEPS and str(backup.parent) in str(arguments[0]):
                seen += 1
                if seen == step:
                    os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(kill)
        restore_backup(manager, backup)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    return os.WIFSIGNALED(status)


def test_a_kill_at_any_step_leaves_the_old_or_the_new_database(
    sqlite_manager: DatabaseManager, tmp_path: Path
) -> None:
    made = create_backup(sqlite_manager, tmp_path / "one.backup")
    new = content(sqlite_manager)
    change(sqlite_manager)
    old = content(sqlite_manager)
    found = []
    for step in range(1, 200):
        sqlite_manager.close()
        was_killed = restore_and_die(sqlite_manager, made.file, step)
        found.append(content(sqlite_manager))
        assert found[-1] in (old, new), step
        if found[-1] == new:
            change(sqlite_manager)
            assert content(sqlite_manager).keys() == old.keys()
            old = content(sqlite_manager)
        if not was_killed:
            break
    assert len(found) > 10
    restore_backup(sqlite_manager, made.file)
    sqlite_manager.close()
    file = file_of(sqlite_manager).name
    left = {name for name in names(tmp_path) if not name.startswith(f"{file}.replaced-")}
    assert left == {"one.backup", file}
    assert not any(
        path.samefile(file_of(sqlite_manager)) for path in tmp_path.iterdir() if path.name != file
    )
