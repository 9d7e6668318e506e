"""Records added, changed and removed by hand, and APDUs found, with ``cardlink-db``."""

import io
import json
import logging
from datetime import timedelta
from pathlib import Path

import pytest

from cardlink_sql import DatabaseManager, OTASession, TestResult, TestStatus, UnitOfWork
from cardlink_sql.database.keyring import Keyring
from cardlink_sql.model.times import utc_now
from tests.conftest import MOMENT, Run, add, card, committed, entry, iccid, session_id, sqlite

PSK = "00112233445566778899AABBCCDDEEFF"

dialect = sqlite


def test_a_device_is_added_changed_and_removed(
    url: str, run: Run, manager: DatabaseManager
) -> None:
    words = "devices add R58 --type phone --name Pixel --imei 49015420323751"
    added = run(*words.split(), "--connection", '{"baud": 9600}', "-d", url)
    assert added.stdout == "Added R58\n", added.stderr
    changed = run("devices", "edit", "R58", "--name", "", "--inactive", "--json", "-d", url)
    record = json.loads(changed.stdout)
    assert (record["name"], record["is_active"]) == (None, False)
    assert (record["imei"], record["connection_settings"]) == ("49015420323751", {"baud": 9600})
    with committed(manager) as uow:
        for _ in range(2):
            uow.sessions.create_session("R58")
    refused = run("devices", "remove", "R58", "-d", url)
    assert (refused.returncode, "add --yes" in refused.stderr) == (1, True)
    removed = run("devices", "remove", "R58", "--yes", "-d", url)
    assert removed.stdout == "Removed R58; kept 2 sessions.\n"
    with UnitOfWork(manager) as uow:
        assert (uow.devices.count(), uow.sessions.count_by(device_id=None)) == (0, 2)


def test_a_device_is_removed_with_its_sessions(
    url: str, run: Run, manager: DatabaseManager
) -> None:
    run("devices", "add", "R58", "--type", "modem", "-d", url)
    with committed(manager) as uow:
        uow.logs.add_log(uow.sessions.create_session("R58").id, "command", "00A40004")
    removed = run("devices", "remove", "R58", "--with-sessions", "--yes", "-d", url)
    assert removed.stdout == "Removed R58; removed 1 session.\n"
    with UnitOfWork(manager) as uow:
        assert (uow.devices.count(), uow.sessions.count(), uow.logs.count()) == (0, 0, 0)


def test_a_card_gets_a_psk_that_is_shown_nowhere(
    url: str, run: Run, manager: DatabaseManager, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    added = run("cards", "add", iccid(1), "--type", "USIM", "--bip", "[1]", "-d", url)
    assert added.stdout == f"Added {iccid(1)}\n", added.stderr
    edited = run("cards", "edit", iccid(1), "--notes", "lab 2", "--json", "-d", url)
    assert json.loads(edited.stdout)["bip_config"] == [1]
    file = tmp_path / "psk.hex"
    file.write_text(f"{PSK}\n")
    keys = {"CARDLINK_ENCRYPTION_KEY": Keyring.generate()}
    done = run("cards", "set-psk", iccid(1), "card_1", "--key-file", str(file), "-d", url, **keys)
    assert done.stdout == f"Set the PSK of {iccid(1)}\n", done.stderr
    monkeypatch.setenv(*next(iter(keys.items())))
    with DatabaseManager(manager.config) as own, UnitOfWork(own, read_only=True) as uow:
        assert uow.cards.get_psk_key(iccid(1)) == bytes.fromhex(PSK)
    again = ("cards", "set-psk", iccid(1), "card_1", "--key-file", str(file), "-d", url)
    unasked = run(*again, **keys)
    assert (unasked.returncode, "confirmation needed" in unasked.stderr) == (1, True)
    assert run(*again, "--yes", **keys).returncode == 0
    file.write_text(PSK[:-1])
    short = ("cards", "set-psk", iccid(1), "c", "--key-file", str(file), "--yes", "-d", url)
    refused = run(*short, **keys)
    assert refused.returncode == 2
    assert PSK[:8] not in refused.stdout + refused.stderr + done.stdout
    assert run("cards", "clear-psk", iccid(1), "--yes", "-d", url).returncode == 0
    none_left = run("cards", "clear-psk", iccid(1), "--yes", "-d", url)
    assert none_left.stderr.startswith(f"error: the card {iccid(1)} has no PSK\nhint: run: ")
    removed = run("cards", "remove", iccid(1), "--yes", "-d", url)
    assert removed.stdout == f"Removed {iccid(1)}; kept 0 sessions.\n"
    assert manager.run(lambda uow: uow.cards.count()) == 0


def test_what_is_there_already_is_to_be_edited(url: str, run: Run) -> None:
    for command, key in ((("devices", "add", "R 58", "--type", "phone"), "'R 58'"),
                         (("cards", "add", iccid(1)), iccid(1))):  # fmt: skip
        assert run(*command, "-d", url).returncode == 0
        again = run(*command, "-d", url)
        assert again.stderr == (
            f"error: there is a {command[0][:-1]} {key} already\n"
            f"hint: run: cardlink-db {command[0]} edit {key}\n"
        )


def test_a_psk_identity_of_another_card_is_named_with_its_card(
    url: str, run: Run, manager: DatabaseManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    with committed(manager) as uow:
        uow.cards.create_with_psk(card(1), "00" * 16, psk_identity="one")
        uow.cards.create(card(2))
    set_psk = ("cards", "set-psk", iccid(2), "one", "-d", url)
    assert run(*set_psk).stderr == (
        f"error: the card {iccid(1)} holds the PSK identity 'one'\n"
        f"hint: choose another one, or run: cardlink-db cards clear-psk {iccid(1)}\n"
    )
    nothing = run("cards", "set-psk", iccid(2), "two", "-d", url)
    assert nothing.stderr.startswith("error: stdin: there is no PSK\nhint: write its hex there")
    monkeypatch.setattr("sys.stdin", io.StringIO("001\n"))
    odd = run("cards", "set-psk", iccid(2), "two", "-d", url)
    assert "the PSK has an odd number of hex digits" in odd.stderr


def test_the_warning_of_a_short_psk_begins_as_one(
    url: str, run: Run, manager: DatabaseManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(manager, card(1))
    monkeypatch.setattr("sys.stdin", io.StringIO("0011\n"))
    monkeypatch.setattr(logging.root, "handlers", [])
    key = Keyring.generate()
    done = run("cards", "set-psk", iccid(1), "one", "-d", url, CARDLINK_ENCRYPTION_KEY=key)
    assert done.returncode == 0
    assert done.stderr.startswith("warning: card_profiles.psk_key: the PSK has 2 octets"), done


@pytest.mark.parametrize(
    ("command", "content", "hint"),
    [
        ("replay report.xml", "<testsuite/>", "cardlink-db tests import report.xml --run NAME"),
        ("replay notes.txt", "hello", "a trace has a JSON object in each line"),
        ("settings import s.yaml", "a: [", "correct the line"),
        ("settings import s.yaml", "server.port: x", "run: cardlink-db settings list"),
        ("import-keys keys.yaml", "keys: {", "correct the line"),
        ("import-keys keys.yaml", "card_7: '0011'", "an entry is identity: hex"),
    ],
)
def test_a_file_that_cannot_be_read_has_a_remedy(
    url: str, run: Run, tmp_path: Path, command: str, content: str, hint: str
) -> None:
    (tmp_path / command.rsplit(maxsplit=1)[-1]).write_text(content, encoding="utf-8")
    refused = run(*command.split(), "-d", url)
    assert refused.returncode == 1
    assert f"hint: {hint}" in refused.stderr or hint in refused.stderr.partition("hint: ")[2]


def test_apdus_are_shown_filtered_and_found_by_their_bytes(
    url: str, run: Run, manager: DatabaseManager
) -> None:
    with committed(manager) as uow:
        for number in (1, 2):
            uow.sessions.create(OTASession(session_id(number)))
            uow.logs.add_log(session_id(number), "command", "00A4040007A0000000871002")
            uow.logs.add_log(session_id(number), "response", "6A82")

    def shown(*arguments: str) -> list[str]:
        printed = run("logs", *arguments, "--json", "-d", url).stdout
        return [one["raw_data"] for one in json.loads(printed)]

    select = "00A4040007A0000000871002"
    assert shown("show", "--errors") == shown("show", "--status", "6a82") == ["6A82", "6A82"]
    assert shown("show", "--session", session_id(2)) == [select, "6A82"]
    assert shown("show", "--direction", "command", "-n", "1") == [select]
    assert shown("show") == ["6A82", select] * 2
    assert shown("search", "a0000000871002", "--session", session_id(1)) == [select]
    assert shown("search", "00A0") == []
    assert shown("show", "--errors", "--status", "9000") == []
    responses = ("show", "--direction", "response", "--status", "6a82")
    assert shown(*responses, "--session", session_id(1)) == ["6A82"]
    assert "File or application not found" in run("logs", "show", "-d", url, COLUMNS="140").stdout
    counted = run("sessions", "show", session_id(1), "-d", url).stdout
    assert "1 command, 1 response, 1 error" in counted


def test_lists_of_what_has_a_time_take_since(url: str, run: Run, manager: DatabaseManager) -> None:
    key, day = session_id(1), timedelta(days=1)
    with committed(manager) as uow:
        uow.sessions.create(OTASession(key, created_at=MOMENT))
        for number in range(3):
            at = MOMENT + number * day
            uow.logs.add_log(key, "command", f"00A{number}", timestamp=at)
            uow.tests.create_result(f"run-{number}", "suite", "test", "passed", at, duration_ms=1)
        uow.tests.create_result("begun earlier", "suite", "other", "passed", MOMENT, duration_ms=1)
        uow.tests.create_result("begun earlier", "suite", "test", "passed", at, duration_ms=1)
        uow.tests.create(TestResult("x", "no start", "suite", "test", TestStatus.PASSED))
    since = ("--since", (MOMENT + day).isoformat(), "--json", "-d", url)
    for arguments, name, expected in (
        (("logs", "show"), "raw_data", ["00A2", "00A1"]),
        (("logs", "show", "--session", key), "raw_data", ["00A1", "00A2"]),
        (("logs", "search", "00"), "raw_data", ["00A1", "00A2"]),
        (("tests", "runs"), "run_id", ["run-2", "run-1"]),
        (("sessions", "list"), "id", []),
    ):
        found = json.loads(run(*arguments, *since).stdout)
        assert [one[name] for one in found] == expected, arguments
    found = json.loads(run("tests", "history", "suite", "test", *since).stdout)
    assert sorted(one["run_id"] for one in found) == ["begun earlier", "run-1", "run-2"]


def test_stale_sessions_are_closed(url: str, run: Run, manager: DatabaseManager) -> None:
    old = utc_now() - timedelta(hours=2)
    with committed(manager) as uow:
        uow.sessions.create(OTASession(session_id(1), created_at=old, updated_at=old))
        uow.sessions.create(OTASession(session_id(2)))
        uow.logs.add_log_batch([entry(session_id(1), timestamp=old)])
    done = run("sessions", "close-stale", "--yes", "--json", "-d", url)
    assert json.loads(done.stdout) == {"closed": 1}, done.stderr
    with UnitOfWork(manager) as uow:
        (closed,) = uow.sessions.find_by_status("timeout")
        assert closed.id == session_id(1)


def test_a_refused_field_of_a_card_names_its_option(
    run: Run, url: str, manager: DatabaseManager
) -> None:
    add(manager, card())
    refused = run("cards", "edit", iccid(), "--imsi", "x", "-d", url)
    assert (refused.returncode, "--imsi" in refused.stderr) == (2, True)
