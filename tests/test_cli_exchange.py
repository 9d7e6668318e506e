"""``cardlink-db export`` and ``import`` as an operator runs them."""

import json
import sys
from pathlib import Path

import pytest

from cardlink_sql import DatabaseManager, UnitOfWork
from cardlink_sql.cli import main
from cardlink_sql.database.keyring import Keyring
from cardlink_sql.dialect import Dialect
from cardlink_sql.transfer import capture
from cardlink_sql.transfer.exchange import readers
from tests.conftest import (
    MakeDatabase,
    Run,
    card,
    committed,
    delete_rows,
    device,
    dump,
    iccid,
    session_id,
    sqlite,
)

PSK = b"\x01" * 16

dialect = sqlite


@pytest.fixture
def recorded(manager: DatabaseManager, run: Run, monkeypatch: pytest.MonkeyPatch) -> Run:
    """The runner, with a database of a device and a card that has a PSK."""
    key = Keyring.generate()
    monkeypatch.setenv("CARDLINK_ENCRYPTION_KEY", key)
    monkeypatch.setenv("DATABASE_URL", manager.config.url)
    with DatabaseManager(manager.config, keyring=Keyring([key])) as own, committed(own) as uow:
        uow.devices.create(device(1))
        uow.cards.create_with_psk(card(1), PSK, psk_identity="one")
    return run


@pytest.mark.parametrize("output", [(), ("-o", "-")])
def test_a_pipe_takes_the_rows_and_stderr_the_summary(
    recorded: Run, output: tuple[str, ...]
) -> None:
    out = recorded("export", *output, "--tables", "devices")
    assert (out.returncode, out.stderr) == (0, "Exported 1 device\n")
    lines = [json.loads(line) for line in out.stdout.splitlines()]
    assert [line.get("table") for line in lines] == [None, "devices", None]


@pytest.mark.parametrize("name", ["f.json", "f.yaml", "f.yml", "f.jsonl"])
def test_there_and_back(manager: DatabaseManager, recorded: Run, name: str) -> None:
    out = recorded("export", "--output", name)
    assert (out.returncode, out.stderr) == (0, "")
    assert out.stdout == "Exported 1 device, 1 card, 0 sessions, 0 logs, 0 tests, 0 settings\n"
    delete_rows(manager)
    tried = recorded("import", name, "--dry-run")
    assert "Nothing was changed" in tried.stdout
    assert not any(dump(manager).values())
    back = recorded("import", name)
    assert back.returncode == 0, back.stderr
    assert back.stdout.split()[:10] == [
        "Table", "created", "updated", "skipped", "unchanged", "─" * 50, "devices", "1", "0", "0",
    ]  # fmt: skip
    again = json.loads(recorded("import", name, "--conflict", "merge", "--json").stdout)
    assert again["dry_run"] is False
    assert again["tables"]["devices"] == {
        "created": 0, "updated": 0, "skipped": 0, "unchanged": 1,
    }  # fmt: skip


def test_csv(recorded: Run) -> None:
    assert recorded("export", "-o", "cards.csv", "--tables", "cards").returncode == 0
    assert f'"\'{iccid(1)}"' in Path("cards.csv").read_text("utf-8-sig")
    refused = recorded("import", "cards.csv")
    assert refused.returncode == 1
    assert refused.stderr.startswith("error: cards.csv: CSV is for spreadsheets")


def test_keys_go_out_when_asked_for_and_come_back_under_another_key(
    manager: DatabaseManager, recorded: Run
) -> None:
    command = ("export", "-o", "f.yaml", "--include-keys")
    unasked = recorded(*command)
    assert (unasked.returncode, unasked.stderr) == (
        1,
        "error: confirmation needed, but stdin is not a terminal\nhint: add --yes\n",
    )
    assert "--passphrase-file" in recorded(*command, "--yes").stderr
    short = recorded(*command, "--yes", CARDLINK_EXPORT_PASSPHRASE="short")
    assert short.stderr == "error: the passphrase has less than 8 characters\n"
    assert not Path("f.yaml").exists()

    Path("secret").write_text("correct horse\n")
    done = recorded(*command, "--yes", "--passphrase-file", "secret")
    assert done.returncode == 0, done.stderr
    assert PSK.hex() not in Path("f.yaml").read_text()

    delete_rows(manager)
    new = Keyring.generate()
    wrong = recorded("import", "f.yaml", CARDLINK_EXPORT_PASSPHRASE="wrong horse")
    assert wrong.returncode == 1
    assert "the passphrase does not open the keys" in wrong.stderr
    assert not any(dump(manager).values())
    back = recorded("import", "f.yaml", "--passphrase-file", "secret", CARDLINK_ENCRYPTION_KEY=new)
    assert back.returncode == 0, back.stderr
    with DatabaseManager(manager.config, keyring=Keyring([new])) as own, UnitOfWork(own) as uow:
        assert uow.cards.get_psk_key(iccid(1)) == PSK


def test_unencrypted_keys_are_asked_for_in_so_many_words(recorded: Run) -> None:
    done = recorded("export", "-o", "f.json", "--include-keys", "--unencrypted-keys", "--yes")
    assert done.returncode == 0, done.stderr
    assert PSK.hex() in Path("f.json").read_text()


@pytest.mark.parametrize("dialect", Dialect, ids=str)
def test_a_database_without_tables_says_so(
    make_database: MakeDatabase, dialect: Dialect, run: Run
) -> None:
    url = make_database(dialect)
    if dialect is Dialect.SQLITE:
        Path(url.removeprefix("sqlite:///")).touch()
    done = run("export", "-o", "f.json", "-d", url)
    assert done.returncode == 1
    assert "a table or column of the schema is missing" in done.stderr
    assert list(Path().glob("f*")) == []


def test_a_session_is_named_by_enough_of_its_beginning(
    manager: DatabaseManager, recorded: Run
) -> None:
    with committed(manager) as uow:
        session = uow.sessions.create_session()
        uow.sessions.create_session()
    done = recorded("export", "-o", "f.json", "--session", session.id[:8])
    assert done.returncode == 0, done.stderr
    assert [one["id"] for one in json.loads(Path("f.json").read_text())["ota_sessions"]] == [
        session.id
    ]


def test_a_passphrase_ends_with_its_line_alone(recorded: Run) -> None:
    command = ("export", "-o", "f.json", "--include-keys", "--yes", "--passphrase-file", "secret")
    Path("secret").write_bytes(b"abc\x0bdef\xe2\x80\xa8ghi\r\nmore")
    assert recorded(*command).returncode == 0
    Path("secret").write_bytes(b"abc\x0bdef\xe2\x80\xa8ghi")
    assert recorded("import", "f.json", "--passphrase-file", "secret").returncode == 0
    Path("secret").write_bytes(b"abc")
    Path("f.json").unlink()
    assert "less than 8 characters" in recorded(*command).stderr


@pytest.mark.parametrize(
    "command",
    ["export --tables cards", "sessions export {session}", "settings export", "tests junit r"],
)
def test_a_file_that_is_there_is_replaced_only_by_force(
    recorded: Run, manager: DatabaseManager, command: str
) -> None:
    with committed(manager) as uow:
        uow.tests.create_result("r", "suite", "test", "passed")
        session = uow.sessions.create_session(session_id=session_id()).id
    file = Path("there.json")
    file.write_text("mine")
    words = (*command.format(session=session).split(), "-o", "there.json")
    refused = recorded(*words)
    assert (refused.returncode, file.read_text()) == (1, "mine")
    assert "there already\nhint: name another, or replace it: --force" in refused.stderr
    assert recorded(*words, "--force").returncode == 0
    assert file.read_bytes() != b"mine"


def test_a_closed_stdout_is_an_error(recorded: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    with pytest.raises(SystemExit) as ended:
        main(["export", "-o", "-"])
    assert ended.value.code == 1


@pytest.mark.parametrize(
    "command", [("replay",), ("import", "--format", "json"), ("import", "--format", "yaml")]
)
def test_a_file_without_an_end_is_refused(
    run: Run, command: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(readers, "_MAX_DOCUMENT", 1000)
    monkeypatch.setattr(capture, "_MAX_BYTES", 1000)
    assert run("init", "-d", "sqlite:///a.db").returncode == 0
    refused = run(*command, "/dev/zero", "-d", "sqlite:///a.db")
    assert refused.returncode == 1
    assert refused.stderr.startswith("error: /dev/zero: the file is longer than 1,000 bytes\n")
