"""The layer as CardLink's components use it, all at once, on each backend.

A server with a thread for each card: the handshake asks for the key, a session is opened, APDUs
are logged in batches, the session ends one way or another. A dashboard in another process
listens, a test runner stores results, a purge deletes what is old in the middle of it. In the
end everything must add up, to the last APDU.
"""

import json
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from cardlink_sql import (
    CardProfile,
    CommLog,
    DatabaseConfig,
    DatabaseManager,
    Direction,
    Keyring,
    SessionStatus,
    SessionType,
    UnitOfWork,
)
from cardlink_sql.model.times import utc_now
from cardlink_sql.operations import retention
from tests.conftest import committed, iccid

CARDS = 6
SESSIONS_OF_A_CARD = 5
BATCHES = 4
PAIRS_OF_A_BATCH = 12
OLD_SESSIONS = 40
OLD_PAIRS = 15
RESULTS = 60
ENDS = (SessionStatus.COMPLETED, SessionStatus.FAILED, SessionStatus.TIMEOUT)


def identity(number: int) -> str:
    return f"card_{number:04d}"


def key(number: int) -> bytes:
    return number.to_bytes(16, "big")


class Server:
    """The admin server: one thread a card."""

    def __init__(self, manager: DatabaseManager) -> None:
        self.manager = manager
        self.first_session_over = threading.Event()
        self.purge_has_begun = threading.Event()
        self.written: dict[str, int] = {}
        self.ends: dict[str, SessionStatus] = {}

    def psk_of(self, name: str | None) -> bytes:
        """The callback of the TLS handshake."""
        with UnitOfWork(self.manager, read_only=True) as uow:
            return uow.cards.get_psk_key_by_identity(name or "") or b""

    def serve(self, number: int) -> None:
        """All sessions of one card."""
        for turn in range(SESSIONS_OF_A_CARD):
            assert self.psk_of(identity(number)) == key(number)
            assert self.psk_of(f"{identity(number)}?") == b""
            end = ENDS[(number + turn) % len(ENDS)]
            self.run_session(number, end)
            self.first_session_over.set()
            if turn == SESSIONS_OF_A_CARD - 2:
                assert self.purge_has_begun.wait(60)

    def run_session(self, number: int, end: SessionStatus) -> None:
        """One session, from the handshake to its end."""
        session_id = self.manager.run(lambda uow: self.open_session(uow, number))
        for batch in range(BATCHES):
            by_one = batch % 2 == 0
            self.manager.run(partial(self.log, session_id=session_id, by_one=by_one))
        self.manager.run(lambda uow: self.end_session(uow, session_id, end))
        self.written[session_id] = BATCHES * PAIRS_OF_A_BATCH * 2
        self.ends[session_id] = end

    def open_session(self, uow: UnitOfWork, number: int) -> str:
        session = uow.sessions.create_session(
            card_iccid=iccid(number), session_type=SessionType.POLLED
        )
        uow.sessions.set_tls_info(session.id, "PSK-AES128-GCM-SHA256", identity(number))
        uow.sessions.start_session(session.id)
        return session.id

    def log(self, uow: UnitOfWork, session_id: str, *, by_one: bool) -> None:
        if by_one:
            for _ in range(PAIRS_OF_A_BATCH):
                uow.logs.add_log(session_id, Direction.COMMAND, "80F2400002")
                uow.logs.add_log(session_id, Direction.RESPONSE, "6A88", latency_ms=17.25)
            return
        pair = [
            CommLog(session_id, Direction.COMMAND, "00A40004023F00"),
            CommLog(session_id, Direction.RESPONSE, "6F009000", latency_ms=21.5),
        ]
        uow.logs.add_log_batch(pair * PAIRS_OF_A_BATCH)

    def end_session(self, uow: UnitOfWork, session_id: str, end: SessionStatus) -> None:
        """The last thing that the server learns of a session."""
        if end is SessionStatus.COMPLETED:
            uow.sessions.complete_session(session_id)
        elif end is SessionStatus.FAILED:
            uow.sessions.fail_session(session_id, "6A88", "referenced data not found")
        else:
            uow.sessions.timeout_session(session_id)


def store_results(manager: DatabaseManager) -> None:
    """The test runner: a run, one result at a time."""

    def store(uow: UnitOfWork, number: int) -> None:
        status = "failed" if number % 10 == 0 else "passed"
        uow.tests.create_result(
            "run-1",
            "scp81",
            f"test_{number:03d}",
            status,
            card_iccid=iccid(1 + number % CARDS),
            duration_ms=number,
        )

    for number in range(RESULTS):
        manager.run(partial(store, number=number))


def prepare(manager: DatabaseManager) -> None:
    """The cards, and sessions of long ago with their logs."""
    long_ago = utc_now() - timedelta(days=120)
    with committed(manager) as uow:
        for number in range(1, CARDS + 1):
            card = CardProfile(iccid=iccid(number))
            uow.cards.create_with_psk(card, key(number), psk_identity=identity(number))
        for number in range(OLD_SESSIONS):
            session = uow.sessions.create_session(at=long_ago + timedelta(minutes=number))
            uow.sessions.start_session(session.id, at=session.created_at)
            for _ in range(OLD_PAIRS):
                uow.logs.add_log(session.id, "command", "00B0000002", timestamp=long_ago)
                uow.logs.add_log(session.id, "response", "9000", timestamp=long_ago)
            uow.sessions.complete_session(session.id, at=session.created_at)
        # It never ended, so it stays, and so does what was logged of late.
        uow.sessions.create_session(session_id="0" * 32, at=long_ago)


@contextmanager
def dashboard(url: str) -> Iterator[Callable[[], dict[str, Any]]]:
    """A process that listens; returns a function that waits for its report."""
    command = [sys.executable, "-m", "tests.end_to_end_dashboard", url]
    root = Path(__file__).parent.parent
    process = subprocess.Popen(
        command, cwd=root, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        first = process.stdout.readline()
        assert first == "listening\n", process.communicate()[1]

        def report() -> dict[str, Any]:
            printed, complaints = process.communicate(timeout=90)
            assert process.returncode == 0, complaints
            heard: dict[str, Any] = json.loads(printed)
            return heard

        yield report
    finally:
        process.kill()
        process.communicate()


@pytest.fixture
def busy_manager(empty_url: str) -> Iterator[DatabaseManager]:
    """A database of the team's, whose writers publish their events."""
    keyring = Keyring([Keyring.generate()])
    with DatabaseManager(DatabaseConfig(empty_url), keyring=keyring) as manager:
        manager.create_tables()
        prepare(manager)
        manager.publish_events()
        yield manager


def test_everything_adds_up(busy_manager: DatabaseManager) -> None:
    manager, server = busy_manager, Server(busy_manager)
    purged: dict[str, int] = {}

    def purge() -> None:
        assert server.first_session_over.wait(60)
        server.purge_has_begun.set()
        purged.update(retention.purge(manager, {"sessions": 90, "logs": 30, "tests": 90}))

    with dashboard(manager.config.url) as report:
        with ThreadPoolExecutor(CARDS + 2) as pool:
            work = [pool.submit(server.serve, number) for number in range(1, CARDS + 1)]
            work += [pool.submit(store_results, manager), pool.submit(purge)]
            for task in work:
                task.result(timeout=120)
        manager.run(lambda uow: uow.settings.set_value("run.done", True))
        seen = report()

    assert purged == {"logs": OLD_SESSIONS * OLD_PAIRS * 2, "sessions": OLD_SESSIONS, "tests": 0}
    check_database(manager, server)
    check_dashboard(seen, server)


def check_database(manager: DatabaseManager, server: Server) -> None:
    """Every session has ended as it did, with every APDU."""
    with UnitOfWork(manager, read_only=True) as uow:
        stored = {session.id: session for session in uow.sessions.get_all()}
        (open_one,) = stored.keys() - server.ends.keys()
        assert stored[open_one].status is SessionStatus.PENDING
        for session_id, end in server.ends.items():
            assert stored[session_id].status is end
            summary = uow.logs.get_session_summary(session_id)
            assert summary.total == server.written[session_id]
            assert summary.commands == summary.responses == summary.total // 2
            assert summary.errors == summary.total // 4
        assert len(server.ends) == CARDS * SESSIONS_OF_A_CARD
        assert uow.logs.count() == sum(server.written.values())
        run = uow.tests.get_run_summary("run-1")
        assert (run.total, run.passed, run.failed) == (RESULTS, RESULTS * 9 // 10, RESULTS // 10)


def check_dashboard(seen: dict[str, Any], server: Server) -> None:
    """The other process has heard of everything, once, in order."""
    assert seen["logged"] == server.written
    heard, sessions = seen["heard"], CARDS * SESSIONS_OF_A_CARD
    assert heard["session_changed created"] == heard["session_changed started"] == sessions
    assert sum(heard[f"session_changed {end.value}"] for end in ENDS) == sessions
    assert heard["test_result_added created"] == RESULTS
    assert seen["positions"] == sorted(set(seen["positions"]))
