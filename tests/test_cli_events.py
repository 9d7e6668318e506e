"""``cardlink-db events`` as an operator uses it, on each backend."""

import json
import select
import signal
import subprocess
from collections.abc import Iterator

import pytest

from cardlink_sql import Dialect, UnitOfWork
from cardlink_sql.cli.following import _Follower
from cardlink_sql.manager import DatabaseManager
from tests.conftest import COMMAND, Run, add, committed, device, session_id


@pytest.fixture
def url(manager: DatabaseManager) -> Iterator[str]:
    """A database where nothing is published; nor is it afterwards."""
    yield manager.config.url
    manager.publish_events(on=False)


def add_device(manager: DatabaseManager, number: int) -> None:
    add(manager, device(number, name="bad \x1b[2J name"))


def test_listening_needs_somebody_who_publishes(run: Run, url: str) -> None:
    refused = run("events", "listen", "-d", url)
    assert refused.returncode == 1
    assert "publishing of events is turned off" in refused.stderr
    assert "cardlink-db events on" in refused.stderr


def test_what_was_committed_is_shown_by_its_number(
    run: Run, url: str, manager: DatabaseManager
) -> None:
    assert run("events", "on", "-d", url).returncode == 0
    manager.publish_events()  # what this process knows may be ten seconds old
    add_device(manager, 1)
    add_device(manager, 2)
    shown = run("events", "listen", "--after", "0", "--timeout", "0", "-d", url)
    assert shown.returncode == 0, shown.stderr
    first, second = shown.stdout.splitlines()
    assert "device_changed  device device-0001 created" in first
    position = int(second.split()[0])
    again = run("events", "listen", "--json", "--after", str(position - 1), "--timeout", "0",
                "-d", url)  # fmt: skip
    (event,) = map(json.loads, again.stdout.splitlines())
    assert (event["entity_id"], event["position"]) == ("device-0002", position)
    assert event["data"]["name"] == "bad \x1b[2J name"

    assert "publishes no events" in run("events", "off", "-d", url).stdout


def test_an_interrupt_ends_it_with_a_line(url: str, manager: DatabaseManager) -> None:
    manager.publish_events()
    process = subprocess.Popen(
        [COMMAND, "events", "listen", "-d", url],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    # It listens from some moment on, so devices are added until it has heard of one.
    for number in range(1, 300):
        add_device(manager, number)
        if select.select([process.stdout], [], [], 0.1)[0]:
            break
    assert "device_changed" in process.stdout.readline()
    process.send_signal(signal.SIGINT)
    _, complaint = process.communicate(timeout=30)
    assert process.returncode == 130, complaint
    assert complaint == "interrupted\n"


@pytest.mark.parametrize(
    ("dialect", "publishing"),
    [(Dialect.SQLITE, False), *((dialect, True) for dialect in Dialect)],
    indirect=["dialect"],
)
def test_a_session_is_followed_until_it_ends(
    url: str, manager: DatabaseManager, publishing: bool
) -> None:
    manager.publish_events(on=publishing)
    with committed(manager) as uow:
        uow.devices.create(device(1))
        session = uow.sessions.open_session("device-0001").id
    process = subprocess.Popen(
        [COMMAND, "sessions", "follow", session[:10], "-d", url],
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert f"{session[:8]} active device-0001" in process.stdout.readline()
    with committed(manager) as uow:
        uow.logs.add_log(session, "command", "00A40004023F00")
    assert "SELECT" in process.stdout.readline()
    with committed(manager) as uow:
        uow.logs.add_log(session, "response", "6A82")
        uow.sessions.complete_session(session)
    shown, _ = process.communicate(timeout=30)
    assert process.returncode == 0
    assert "File or application not found" in shown
    assert f"{session[:8]} completed after" in shown.splitlines()[-1]


def test_sessions_that_are_followed_are_told_apart(
    manager: DatabaseManager, capsys: pytest.CaptureFixture[str]
) -> None:
    follower = _Follower(None, as_json=False)
    for number in (0xA7, 0xA8):
        with committed(manager) as uow:
            key = uow.sessions.create_session(session_id=session_id(number)).id
            uow.logs.add_log(key, "command", "00A40004023F00")
        with UnitOfWork(manager, read_only=True) as uow:
            follower.show(uow)
    ids = [line.split()[0] for line in capsys.readouterr().out.splitlines()]
    assert ids == ["00000000", "00000000", "00000000..00a8", "00000000..00a8"]
