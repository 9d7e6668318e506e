"""``cardlink-db devices``, ``cards`` and ``sessions``, and what all commands share."""

import json
import os
import pty
import re
import shutil
import signal
import socket
import subprocess
import time
from datetime import timedelta
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from cardlink_sql import (
    DatabaseManager,
    Direction,
    OTASession,
    SessionStatus,
)
from cardlink_sql.cli.shared import completion
from cardlink_sql.cli.shared.output import visible
from cardlink_sql.database.keyring import Keyring
from cardlink_sql.model.apdu_names import command_name, name_of
from cardlink_sql.model.times import utc_now
from tests.conftest import (
    COMMAND,
    MOMENT,
    Run,
    card,
    committed,
    device,
    entry,
    iccid,
    session_id,
    sqlite,
)

CLEAR_SCREEN = "\x1b[2J\x9b1m\u202e"

dialect = sqlite


@pytest.fixture
def url(manager: DatabaseManager) -> str:
    """A database with devices, cards and sessions."""
    with committed(manager) as uow:
        uow.devices.create(device(1, name="Pixel 8", manufacturer="Google", last_seen=MOMENT))
        uow.devices.create(device(2, device_type="modem", is_active=False, name=CLEAR_SCREEN))
        uow.devices.create(device(3, name="pixel 7"))
        uow.cards.create_with_psk(
            card(1), "00112233445566778899AABBCCDDEEFF", psk_identity="card_1"
        )
        uow.cards.create(card(2, notes="spare"))
        for number, (status, age) in enumerate(
            [(SessionStatus.COMPLETED, 0), (SessionStatus.FAILED, 2), (SessionStatus.PENDING, 40)]
        ):
            at = utc_now() - timedelta(days=age, hours=1)
            uow.sessions.create(
                OTASession(
                    session_id(16 + number),
                    status=status,
                    device_id="device-0001" if number < 2 else None,
                    card_iccid=iccid(1 + number % 2),
                    started_at=at if status.is_end else None,
                    ended_at=at if status.is_end else None,
                    error_message="no answer" if status is SessionStatus.FAILED else None,
                    created_at=at,
                )
            )
    return manager.config.url


def listed(run: Run, *arguments: str) -> list[str]:
    """The keys of the records that a list prints as JSON."""
    done = run(*arguments, "--json")
    assert done.returncode == 0, done.stderr
    return [record.get("id") or record["iccid"] for record in json.loads(done.stdout)]


# Devices


def test_devices_are_listed_by_what_they_are(url: str, run: Run) -> None:
    for options, expected in [
        ([], [1, 2, 3]),
        (["--type", "modem"], [2]),
        (["--active"], [1, 3]),
        (["--inactive"], [2]),
        (["--search", "PIXEL"], [1, 3]),
        (["--search", "pixel", "--type", "modem"], []),
        (["--search", "%"], []),
        (["--limit", "2"], [1, 2]),
    ]:
        found = listed(run, "devices", "list", *options, "-d", url)
        assert found == [f"device-{number:04d}" for number in expected]


def test_a_list_says_where_it_was_cut(url: str, run: Run) -> None:
    cut = run("devices", "list", "--limit", "2", "-d", url).stdout
    assert "device-0002" in cut
    assert "device-0003" not in cut
    assert "The first 2; --limit shows more." in cut
    assert "--limit" not in run("devices", "list", "-d", url).stdout
    assert run("devices", "list", "--search", "nobody", "-d", url).stdout == "No devices.\n"


def test_a_device_is_shown_with_its_cards_and_sessions(url: str, run: Run) -> None:
    shown = run("devices", "show", "device-0001", "-d", url).stdout
    assert "Google" in shown
    assert f"{iccid(1)}, {iccid(2)}" in shown
    record = json.loads(run("devices", "show", "device-0001", "--json", "-d", url).stdout)
    assert record["last_seen"] == "2026-03-29T00:59:59.987654+00:00"
    assert (record["cards"], record["sessions"]) == ([iccid(1), iccid(2)], 2)


# Cards


def test_cards_are_listed_by_what_they_have(url: str, run: Run) -> None:
    for options, expected in [
        ([], [1, 2]),
        (["--with-psk"], [1]),
        (["--without-psk"], [2]),
        (["--search", "CARD_1"], [1]),
        (["--search", "spare", "--with-psk"], []),
        (["--limit", "1"], [1]),
    ]:
        found = listed(run, "cards", "list", *options, "-d", url)
        assert found == [iccid(number) for number in expected]


def test_a_psk_is_not_shown(manager: DatabaseManager, url: str, run: Run) -> None:
    with manager.engine.connect() as connection:
        token = connection.exec_driver_sql(
            "SELECT psk_key_encrypted FROM card_profiles WHERE psk_key_encrypted IS NOT NULL"
        ).scalar_one()
    for arguments in [["list"], ["show", iccid(1)]]:
        for form in ([], ["--json"]):
            shown = run("cards", *arguments, *form, "-d", url).stdout
            assert "card_1" in shown
            assert "8899AABB" not in shown.upper()
            assert bytes(token).decode()[:20] not in shown


def test_a_card_is_shown_with_its_devices_and_sessions(url: str, run: Run) -> None:
    record = json.loads(run("cards", "show", iccid(1), "--json", "-d", url).stdout)
    assert (record["has_psk"], record["psk_identity"]) == (True, "card_1")
    assert (record["devices"], record["sessions"]) == (["device-0001"], 2)
    assert "device-0001" in run("cards", "show", iccid(1), "-d", url).stdout


# Sessions


def test_sessions_are_listed_newest_first(url: str, run: Run) -> None:
    for options, expected in [
        ([], [16, 17, 18]),
        (["--status", "failed"], [17]),
        (["--device", "device-0001"], [16, 17]),
        (["--card", iccid(1)], [16, 18]),
        (["--days", "1"], [16]),
        (["--days", "2.5", "--status", "pending"], []),
        (["--since", f"{utc_now() - timedelta(days=1):%Y-%m-%d}"], [16]),
        (["--since", f"{utc_now() - timedelta(days=2, hours=2):%Y-%m-%dT%H:%M}Z"], [16, 17]),
        (["--limit", "2"], [16, 17]),
    ]:
        found = listed(run, "sessions", "list", *options, "-d", url)
        assert found == [session_id(number) for number in expected]


def test_the_list_of_sessions_has_what_a_live_server_noted(
    manager: DatabaseManager, run: Run
) -> None:
    noted = {"client": "10.0.0.1", "close": "alert"}
    with committed(manager) as uow:
        key = uow.sessions.create_session().id
        uow.sessions.set_tls_info(key, None, "nobody", metadata=noted)
    options = ("--columns", "session,metadata", "-d", manager.config.url)
    piped = run("sessions", "list", *options, COLUMNS="").stdout.splitlines()
    assert [json.loads(line.split("\t")[1]) for line in piped[1:]] == [noted]


@pytest.mark.parametrize(
    ("ids", "shown", "asked"),
    [
        (
            ["6f0c7a1e-0000-4000-8000-000000000000", "6f0c7a1e-1000-4000-8000-000000000000"],
            ["6f0c7a1e-0 ", "6f0c7a1e-1 "],
            "6F0C7A1E-1",
        ),
        # A long beginning in common.
        (
            [session_id(0xA7), session_id(0xA8)],
            ["00000000..00a7 ", "00000000..00a8 "],
            "00000000..A8",
        ),
    ],
)
def test_ids_of_sessions_are_cut_where_they_are_distinct(
    manager: DatabaseManager, run: Run, ids: list[str], shown: list[str], asked: str
) -> None:
    with committed(manager) as uow:
        for key in ids:
            uow.sessions.create_session(session_id=key)
    listed = run("sessions", "list", "-d", manager.config.url).stdout
    assert [cut for cut in shown if cut not in listed] == []
    found = run("sessions", "show", asked, "--json", "-d", manager.config.url)
    assert json.loads(found.stdout)["id"] == ids[1]
    both = run("sessions", "show", ids[0][:8], "-d", manager.config.url)
    assert both.returncode == 1
    assert both.stderr.startswith(f"error: '{ids[0][:8]}' means several sessions\n")
    assert all(key in both.stderr for key in ids)


def test_apdus_of_different_sessions_have_different_ids(manager: DatabaseManager, run: Run) -> None:
    with committed(manager) as uow:
        for number in (0xA7, 0xA8):
            key = uow.sessions.create_session(session_id=session_id(number)).id
            uow.logs.add_log(key, "command", "00A40004023F00")
            uow.logs.add_log(key, "response", "9000")
    for command in (["show"], ["search", "00"]):
        shown = run("logs", *command, "-d", manager.config.url).stdout
        assert (shown.count("00000000..00a7 "), shown.count("00000000..00a8 ")) == (2, 2)


def test_the_direction_of_an_apdu_is_a_column_with_a_name(
    manager: DatabaseManager, run: Run
) -> None:
    with committed(manager) as uow:
        key = uow.sessions.create_session().id
        uow.logs.add_log(key, "command", "00A40004023F00")
        uow.logs.add_log(key, "response", "6A82")
    chosen = ("--columns", "direction,apdu", "--sort", "-direction", "-d", manager.config.url)
    lines = "direction{0}APDU\nresponse{0}6A82\ncommand{0}00A40004023F00\n"
    assert run("logs", "show", *chosen, COLUMNS="").stdout == lines.format("\t")
    assert run("logs", "search", "00", "--csv", *chosen).stdout.startswith("direction,APDU\n")
    heading, *_ = run("logs", "show", "-d", manager.config.url).stdout.lstrip().splitlines()
    assert "direction" in heading


@pytest.fixture
def dialogue(manager: DatabaseManager) -> str:
    """The id of a session of a few APDUs."""
    data = "A0000001510000" * 20
    spoken = [
        (Direction.COMMAND, "00A4040007A0000001510000", None),
        (Direction.RESPONSE, "6F109000", 24.31),
        (Direction.COMMAND, f"80E288008C{data}", None),
        (Direction.RESPONSE, "6985", 17.5),
        (Direction.COMMAND, "805A0000", None),
        (Direction.RESPONSE, "9110", 8.0),
    ]
    with committed(manager) as uow:
        uow.sessions.create_session(session_id=session_id(), at=MOMENT)
        uow.sessions.start_session(session_id(), MOMENT)
        uow.logs.add_log_batch(
            entry(
                direction=direction,
                raw_data=raw,
                latency_ms=latency,
                timestamp=MOMENT + timedelta(milliseconds=250 * number),
            )
            for number, (direction, raw, latency) in enumerate(spoken)
        )
    return session_id()


def test_a_session_is_shown_as_a_dialogue(
    manager: DatabaseManager, dialogue: str, run: Run
) -> None:
    shown = run("sessions", "show", dialogue, "-d", manager.config.url, COLUMNS="80").stdout
    lines = [" ".join(line.split()) for line in shown.splitlines()]
    assert "+0.000 s → SELECT 00A40400 07 A0000001 510000" in lines
    assert "+0.250 s ← 9000 24.3 ms Normal ending of the command" in lines
    assert "6F10" in lines
    assert "+0.750 s ← 6985 17.5 ms Conditions of use not satisfied" in lines
    assert "+1.000 s → INS 5A 805A0000" in lines
    assert "+1.250 s ← 9110 8.0 ms Normal ending, proactive command of 16 bytes" in lines
    assert lines[-1] == "pending"
    store = next(at for at, line in enumerate(lines) if "STORE DATA" in line)
    folded = "".join(lines[store : store + 8]).replace(" ", "")
    assert f"8C{'A0000001510000' * 20}" in folded
    assert max(map(len, shown.splitlines())) <= 80


def test_a_dialogue_is_cut_by_a_limit(manager: DatabaseManager, dialogue: str, run: Run) -> None:
    shown = run("sessions", "show", dialogue, "-n", "2", "-d", manager.config.url).stdout
    assert "STORE DATA" not in shown
    assert "The first 2 of 6 APDUs" in shown


def test_a_dialogue_as_json_is_one_document(
    manager: DatabaseManager, dialogue: str, run: Run
) -> None:
    command = ("sessions", "show", dialogue, "--json", "-d", manager.config.url)
    apdus = json.loads(run(*command).stdout)["apdus"]
    assert [apdu["command"] for apdu in apdus[::2]] == ["SELECT", "STORE DATA", "INS 5A"]
    assert apdus[3]["offset_ms"] == 750.0
    assert apdus[3]["status_message"] == "Conditions of use not satisfied"
    assert json.loads(run(*command, "-n", "1").stdout)["apdus"] == apdus[:1]


def test_commands_have_the_names_of_their_specifications() -> None:
    for raw_data, name in [
        ("00A40004023F00", "SELECT"),
        ("01B0000000", "READ BINARY"),
        ("A0F2000016", "STATUS"),
        ("80F2000C00", "STATUS"),
        ("80F28002024F0000", "GET STATUS"),
        ("00E20000", "APPEND RECORD"),
        ("84E28000", "STORE DATA"),
        ("80E60C00", "INSTALL"),
        ("00E60000", "TERMINATE DF"),
        ("80CB008000", "RETRIEVE DATA"),
        ("80CB3FFF", "GET DATA"),
        ("805A0000", "INS 5A"),
        ("80", "80"),
    ]:
        assert name_of(raw_data) == name


def test_a_protocol_selection_is_not_a_command() -> None:
    assert command_name("FFA400") is None


# Every command


def test_control_characters_do_not_reach_the_terminal(url: str, run: Run) -> None:
    for form in ([], ["--json"]):
        shown = run("devices", "list", *form, "-d", url).stdout
        assert "Pixel 8" in shown
        assert not set(CLEAR_SCREEN[:1] + "\x9b\u202e") & set(shown)
    records = json.loads(run("devices", "list", "--json", "-d", url).stdout)
    assert records[1]["name"] == CLEAR_SCREEN
    missing = run("devices", "show", "\x1b[2Jnobody", "-d", url)
    assert "\x1b" not in missing.stderr


def test_control_characters_are_shown_as_escapes() -> None:
    assert visible("a\x1b[1mb\n\x7f\x9b\u202e\u2028 ü→") == (
        r"a\x1b[1mb\x0a\x7f\x9b\u202e\u2028 ü→"
    )


LISTS = [
    "devices list", "cards list", "sessions list", "settings list", "logs show",
    "logs search 00", "tests runs", "tests flaky", "tests history suite test", "migrate history",
]  # fmt: skip


def test_a_narrow_list_is_a_table_of_the_columns_that_fit(
    url: str, run: Run, manager: DatabaseManager
) -> None:
    with committed(manager) as uow:
        uow.logs.add_log(session_id(16), "command", "00A4" * 40)
        for number, status in enumerate(("failed", "error", "skipped", "passed")):
            name = f"build-of-the-main-branch-{number}"
            uow.tests.create_result(name, "suite", "test", status, error_message="x" * 99)
            uow.tests.create_result(name, "suite", "slow", "passed", duration_ms=9_999_999)
            uow.tests.create_result(name, "suite", "again", "passed", tries=3)
            uow.tests.create_result(name, "suite", "open", "passed", started_at=MOMENT)
    for words, columns in product(LISTS, (80, 120)):
        wide = run(*words.split(), "-d", url, COLUMNS="300").stdout
        done = run(*words.split(), "-d", url, COLUMNS=str(columns)).stdout
        assert "─" in done, words
        assert max(map(len, done.splitlines())) <= columns, words
        left_out = done.partition("Not shown: ")[2].partition(";")[0].split(", ")
        headings = re.split(r"\s{2,}", wide.splitlines()[1].strip())
        shown = done.partition("─")[0]
        assert all((name in left_out) is not (name in shown) for name in headings), words


def test_the_columns_of_a_list_are_chosen_and_sorted(url: str, run: Run) -> None:
    chosen = ("--columns", "name,device", "--sort", "-device", "--csv")
    lines = run("devices", "list", *chosen, "-d", url).stdout.splitlines()
    assert lines == [
        "name,Device", "pixel 7,device-0003", r"\x1b[2J\x9b1m\u202e,device-0002",
        "Pixel 8,device-0001",
    ]  # fmt: skip
    empty = run("sessions", "list", "--columns", "session,metadata,type", "-d", url, COLUMNS="60")
    assert empty.stdout.splitlines()[1].split() == ["Session", "metadata", "type"]


@pytest.mark.parametrize(
    "arguments",
    [
        "devices show device-0001", f"sessions show {session_id(16)}", "status --verbose",
        "purge --dry-run", "stats", "import all.jsonl --dry-run", "replay quickstart-trace.jsonl",
    ],
)  # fmt: skip
def test_a_pipe_gets_no_padding(url: str, run: Run, arguments: str, tmp_path: Path) -> None:
    run("export", "-o", str(tmp_path / "all.jsonl"), "-d", url)
    shutil.copy(Path(__file__).parent.parent / "scripts" / "quickstart-trace.jsonl", tmp_path)
    key = Keyring.generate()
    piped = run(*arguments.split(), "-d", url, COLUMNS="", CARDLINK_ENCRYPTION_KEY=key).stdout
    assert "\t" in piped
    assert "─" not in piped
    assert not re.search(r"  +$|^ |\w {3,}\w", piped, re.M)


def test_a_pipe_gets_whole_ids_between_tabs(url: str, run: Run) -> None:
    piped = run("sessions", "list", "-n", "3", "-d", url, COLUMNS="")
    lines = [line.split("\t") for line in piped.stdout.splitlines()]
    assert lines[0][:3] == ["Session", "created (UTC)", "status"]
    assert [line[0] for line in lines[1:]] == [session_id(16), session_id(17), session_id(18)]
    assert piped.stderr == "The newest 3; --limit shows more.\n"
    empty = run("devices", "list", "--search", "nobody", "--csv", "-d", url)
    assert empty.stdout.count("\n") == 1


def test_a_long_list_goes_through_the_pager(manager: DatabaseManager) -> None:
    with committed(manager) as uow:
        uow.devices.create_all(device(number) for number in range(50))
    command = ("devices", "list", "-d", manager.config.url)
    shown = {
        options: on_a_terminal(*command, *options, PAGER="sed s/^/paged:/").count("paged:")
        for options in ((), ("--no-pager",))
    }
    assert shown[()] > 20
    assert shown[("--no-pager",)] == 0


def in_process(*arguments: str, **options: Any) -> "subprocess.CompletedProcess[str]":
    """Run ``cardlink-db`` as a process of its own, without the terminal's settings."""
    unset = ("COLUMNS", "NO_COLOR", "FORCE_COLOR", "TERM", "DATABASE_URL")
    environment = {name: value for name, value in os.environ.items() if name not in unset}
    environment |= options.pop("env", {})
    return subprocess.run(
        [COMMAND, *arguments],
        env=environment,
        text=True,
        encoding="utf-8",
        check=False,
        **{"capture_output": True, **options},
    )


def on_a_terminal(*arguments: str, **environment: str) -> str:
    """What ``cardlink-db`` writes to a terminal."""
    reader, writer = pty.openpty()
    done = in_process(
        *arguments,
        env={"TERM": "xterm-256color", "COLUMNS": "120", **environment},
        capture_output=False, stdin=writer, stdout=writer, stderr=subprocess.PIPE,
    )  # fmt: skip
    os.close(writer)
    assert done.returncode == 0, done.stderr
    printed = b""
    with os.fdopen(reader, "rb", buffering=0) as terminal:
        while chunk := _read(terminal):
            printed += chunk
    return printed.decode()


def _read(terminal: Any) -> bytes:
    try:
        chunk: bytes = terminal.read(65536)
    except OSError:  # Linux ends a terminal without a writer so
        return b""
    return chunk


def test_colours_are_for_a_terminal_that_wants_them(manager: DatabaseManager, run: Run) -> None:
    with committed(manager) as uow:
        uow.sessions.create_session(session_id=session_id())
        uow.sessions.fail_session(session_id())
    command = ("sessions", "list", "-d", manager.config.url)
    assert "\x1b[31mfailed" in on_a_terminal(*command)
    assert "\x1b[31m" not in on_a_terminal(*command, NO_COLOR="1")
    assert "\x1b" not in run(*command).stdout


def test_a_pipe_folds_nothing_and_takes_any_encoding(url: str, run: Run) -> None:
    plain = run("cards", "list", "-d", url, COLUMNS="")
    assert any(iccid(1) in line and "card_1" in line for line in plain.stdout.splitlines())
    ascii_only = {"PYTHONIOENCODING": "ascii"}
    done = in_process("sessions", "show", session_id(16), "-d", url, env=ascii_only)
    assert (done.returncode, done.stdout.isascii()) == (0, True), done.stderr


def test_a_reader_that_goes_away_ends_it_quietly(manager: DatabaseManager) -> None:
    with committed(manager) as uow:
        uow.devices.create_all(device(number) for number in range(3000))
    command = f"{COMMAND} devices list -d {manager.config.url}"
    for rest, lines in (("-n 3000 | head -1", 1), ("-n 3000 --json | head -1", 1), ("| true", 0)):
        done = subprocess.run(
            ["bash", "-c", f"{command} {rest}"], capture_output=True, text=True, check=True
        )
        assert (done.stdout.count("\n"), done.stderr) == (lines, ""), rest


def completed(run: Run, *words: str, **environment: str) -> list[str]:
    """What bash is offered for the last of the words, which are those of a command."""
    asked = {
        "_CARDLINK_DB_COMPLETE": "complete_bash",
        "COMP_WORDS": " ".join(["cardlink-db", *words]),
        "COMP_CWORD": str(len(words)),
    }
    done = run(**asked, **environment)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.split()


def test_completion_gives_the_commands(run: Run) -> None:
    assert {"init", "replay", "sessions"} <= set(completed(run, ""))
    assert {"list", "show"} <= set(completed(run, "sessions", ""))


@pytest.fixture
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Completion that waits for a busy machine, too."""
    monkeypatch.setattr(completion, "_LONGEST_S", 30)


@pytest.mark.usefixtures("patience")
def test_completion_gives_the_values_of_the_database(
    manager: DatabaseManager, url: str, run: Run
) -> None:
    with committed(manager) as uow:
        uow.tests.create_result("nightly", "suite", "test", "passed")
        uow.settings.set_value("lab.name", "x", category="lab")
    newest = [session_id(number) for number in (16, 17, 18)]
    assert completed(run, "sessions", "show", "-d", url, "") == newest
    assert completed(run, "sessions", "show", newest[1][:-1], DATABASE_URL=url) == newest
    assert completed(run, "sessions", "show", newest[1], DATABASE_URL=url) == [newest[1]]
    assert completed(run, "--url", url, "tests", "show", "n") == ["nightly"]
    for words in (["devices", "show"], ["sessions", "list", "--device"]):
        found = completed(run, *words, "device-000", DATABASE_URL=url)
        assert found == ["device-0001", "device-0002", "device-0003"]
    for words in (["cards", "remove"], ["sessions", "list", "--card"]):
        assert completed(run, *words, iccid(1)[:-1], DATABASE_URL=url) == [iccid(1), iccid(2)]
    assert completed(run, "settings", "get", "lab", DATABASE_URL=url) == ["lab.name"]


@pytest.mark.usefixtures("patience")
def test_completion_needs_no_database(run: Run, tmp_path: Path) -> None:
    profiles = tmp_path / "cardlink-db.toml"
    profiles.write_text('[lab]\nurl = "sqlite:///a.db"\n[farm]\nurl = "sqlite:///b.db"\n', "utf-8")
    for words, expected in [
        (["sql", "show", "sessions.find_by_pre"], ["sessions.find_by_prefix"]),
        (["sql", "impact", "card_"], ["card_profiles"]),
        (["sql", "impact", "card_profiles.psk_i"], ["card_profiles.psk_identity"]),
        (["export", "--tables", "devices,c"], ["devices,cards"]),
        (["settings", "get", "server.p"], ["server.port"]),
        (["--profile", ""], ["farm", "lab"]),
        (["--profile", "nowhere", "sessions", "show", ""], []),
    ]:
        gone = {"XDG_CONFIG_HOME": str(tmp_path), "DATABASE_URL": "sqlite:////nowhere/a.db"}
        assert completed(run, *words, **gone) == expected, words


def test_completion_does_not_wait_for_a_database(run: Run) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"postgresql://x@127.0.0.1:{silent.getsockname()[1]}/x"
        started = time.monotonic()
        assert completed(run, "sessions", "show", "", DATABASE_URL=url) == []
        assert time.monotonic() - started < 5  # it waits for a second


def test_completion_works_in_bash() -> None:
    # The command sees by its parent which shell asks.
    asked = (
        'eval "$(cardlink-db --show-completion)"\n'
        "COMP_WORDS=(cardlink-db sess); COMP_CWORD=1\n"
        '_cardlink_db_completion cardlink-db sess cardlink-db; echo "${COMPREPLY[@]}"\n'
    )
    path = f"{COMMAND.parent}:{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "--norc", "-c", asked],
        env={**os.environ, "PATH": path}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.split() == ["sessions"]


def test_ctrl_c_is_one_line(manager: DatabaseManager) -> None:
    with committed(manager) as uow:
        uow.sessions.create_session(session_id=session_id())
        uow.logs.add_log_batch(entry() for _ in range(20_000))
    command = [COMMAND, "sessions", "show", session_id(), "-d", manager.config.url]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout.read(1)  # it has begun, and waits for its reader
        process.send_signal(signal.SIGINT)
        _, printed = process.communicate(timeout=30)
    assert process.returncode == 130
    assert printed == b"interrupted\n"
