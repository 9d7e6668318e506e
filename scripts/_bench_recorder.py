"""Puts sessions into a recorder at a steady rate, from several threads, and counts what is lost.

    scripts/_servers.py -- .venv/bin/python scripts/_bench_recorder.py [--kill]

On SQLite and on the servers that CARDLINK_TEST_POSTGRESQL_URL and CARDLINK_TEST_MYSQL_URL name.
With --kill a second process records, and kill -9 ends it.
"""

import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from sqlalchemy import create_engine
from sqlalchemy.engine import make_url

from cardlink_sql import DatabaseConfig, DatabaseManager, Recorder
from cardlink_sql.model.tables import comm_logs, ota_sessions

THREADS = 8
SESSIONS_A_SECOND = 130
SECONDS = 10
EXCHANGES = 5
INTERVAL = 0.05
VARIABLES = ("CARDLINK_TEST_POSTGRESQL_URL", "CARDLINK_TEST_MYSQL_URL")


def record_session(recorder: Recorder) -> str:
    """One session as a server sees it: its begin, its APDUs, its end."""
    session = recorder.open_session(
        session_type="polled", cipher_suite="PSK-AES128-GCM-SHA256", psk_identity="card_0100"
    )
    for number in range(EXCHANGES):
        recorder.add_log(session, "command", f"00A40004023F{number:02X}")
        recorder.add_log(session, "response", "9000", latency_ms=17.4)
    recorder.complete_session(session)
    return session


def record(recorder: Recorder, number: int, put_in: list[tuple[str, float]]) -> None:
    """Run one thread: a session whenever its turn has come."""
    start = time.monotonic()
    pause = THREADS / SESSIONS_A_SECOND
    for turn in range(SECONDS * SESSIONS_A_SECOND // THREADS):
        rest = start + (turn + number / THREADS) * pause - time.monotonic()
        if rest > 0:
            time.sleep(rest)
        began = time.perf_counter()
        session = record_session(recorder)
        put_in.append((session, time.perf_counter() - began))


@contextmanager
def databases() -> Iterator[list[str]]:
    """A new database on each backend; their URLs."""
    with tempfile.TemporaryDirectory() as folder:
        urls = [f"sqlite:///{folder}/load.db"]
        for variable in filter(os.environ.get, VARIABLES):
            server = DatabaseConfig(os.environ[variable]).engine_url
            engine = create_engine(server, isolation_level="AUTOCOMMIT")
            with engine.connect() as connection:
                connection.exec_driver_sql("CREATE DATABASE cardlink_load")
            engine.dispose()
            url = make_url(os.environ[variable]).set(database="cardlink_load")
            urls.append(url.render_as_string(hide_password=False))
        yield urls


def whole(manager: DatabaseManager) -> dict[str, bool]:
    """Whether each session in the database has ended and has all its APDUs."""
    statement = (
        "SELECT s.id, s.status, COUNT(l.id) FROM ota_sessions s"
        " LEFT JOIN comm_logs l ON l.session_id = s.id GROUP BY s.id, s.status"
    )
    with manager.engine.connect() as connection:
        rows = connection.exec_driver_sql(statement).fetchall()
    return {str(key): (status, n) == ("completed", 2 * EXCHANGES) for key, status, n in rows}


def steady(url: str) -> None:
    """Record at the rate, and print what came of it."""
    with DatabaseManager(DatabaseConfig(url)) as manager:
        manager.create_tables()
        put_in: list[tuple[str, float]] = []
        refused: list[object] = []
        with Recorder(manager, interval=INTERVAL, on_refused=refused.append) as recorder:
            behind: list[float] = []
            done = threading.Event()

            def watch() -> None:
                while not done.wait(0.05):
                    behind.append(recorder.figures().behind_ms)

            watching = threading.Thread(target=watch)
            watching.start()
            with ThreadPoolExecutor(THREADS) as threads:
                for number in range(THREADS):
                    threads.submit(record, recorder, number, put_in)
            began = time.perf_counter()
            recorder.flush()
            flushed = time.perf_counter() - began
            done.set()
            watching.join()
            figures = recorder.figures()
        there = whole(manager)
        events = len(put_in) * (2 + 2 * EXCHANGES)
        puts = sorted(seconds / (2 + 2 * EXCHANGES) for _, seconds in put_in)
        print(
            f"{manager.dialect}: {len(put_in)} sessions put in, {len(there)} there,"
            f" {sum(there.values())} whole; {events} events, {events - figures.written} lost,"
            f" {figures.refused} refused; a put {puts[len(puts) // 2] * 1e6:.0f} µs,"
            f" 99 % {puts[len(puts) * 99 // 100] * 1e6:.0f} µs; late by {max(behind):.0f} ms"
            f" at most, flush {flushed * 1000:.0f} ms"
        )


def child(url: str) -> None:
    """Record and print each session with its time, until killed."""
    with DatabaseManager(DatabaseConfig(url)) as manager:
        recorder = Recorder(manager, interval=INTERVAL)
        lock = threading.Lock()

        def work() -> None:
            while True:
                session = record_session(recorder)
                with lock:
                    print(time.time(), session, flush=True)
                time.sleep(THREADS / SESSIONS_A_SECOND)

        for _ in range(THREADS):
            threading.Thread(target=work).start()


def killed(url: str) -> None:
    """Kill a process that records after two seconds, and print how old the oldest loss was."""
    with DatabaseManager(DatabaseConfig(url)) as manager:
        manager.create_tables()
        command = [sys.executable, "-W", "ignore", __file__, "--child", url]
        oldest, lost, total, torn = 0.0, 0, 0, 0
        for _ in range(10):
            with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
                assert process.stdout is not None
                lines = [process.stdout.readline() for _ in range(260)]
                process.kill()
                at = time.time()
                lines += process.stdout.readlines()
            there = whole(manager)
            put_in = [line.split() for line in lines if line.count("-") == 4]
            gone = [float(moment) for moment, session in put_in if not there.get(session)]
            lost, total = lost + len(gone), total + len(put_in)
            oldest = max([oldest, *(at - moment for moment in gone)])
            torn += sum(not is_whole for is_whole in there.values())
            with manager.engine.begin() as connection:
                connection.execute(comm_logs.delete())
                connection.execute(ota_sessions.delete())
        print(
            f"{manager.dialect}: 10 kills, {total} sessions put in, {lost} lost or torn,"
            f" {torn} of them torn; the oldest was put in {oldest * 1000:.0f} ms before the kill"
        )


def main() -> None:
    if sys.argv[1:2] == ["--child"]:
        child(sys.argv[2])
        return
    with databases() as urls:
        for url in urls:
            (killed if sys.argv[1:] == ["--kill"] else steady)(url)


if __name__ == "__main__":
    main()
