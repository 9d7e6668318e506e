"""Measures how reads, a purge and an export grow with the log: scripts/bench --scale.

For each size a database of so many log entries is made once and kept: an SQLite file in a folder,
or a database of its name on a server that the environment names. Whatever the size, the sessions
follow each other at the same pace, so a window of time holds the same rows in each.
"""

import argparse
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import islice
from pathlib import Path
from threading import Event
from typing import Any, Final
from uuid import UUID, uuid5

from _bench_contenders import Bare
from _bench_rows import EXCHANGES, plain_value
from sqlalchemy import create_engine
from sqlalchemy.engine import make_url

from cardlink_sql import DatabaseConfig, DatabaseManager, Keyring
from cardlink_sql.dialect import Dialect
from cardlink_sql.model.status_words import describe
from cardlink_sql.operations.retention import count_old, purge
from cardlink_sql.queries import Query, Rows
from cardlink_sql.review.databases.samples import kinds_of
from cardlink_sql.review.statements.expected import ValueKind
from cardlink_sql.review.statements.variants import Variant, sent_variants
from cardlink_sql.transfer.exchange import Selection, export
from cardlink_sql.unit_of_work import UnitOfWork

SIZES: Final = (1_000_000, 5_000_000)
ENTRIES: Final = 50  # of a session
AT_ONCE: Final = 10  # sessions whose entries come in turns
PACE: Final = timedelta(minutes=1)  # from one session to the next
RESULTS: Final = 4  # test results of a session's minute
RUN: Final = 100  # results of a run
LATE: Final = 997  # one entry in so many is older than its neighbours
LATE_BY: Final = timedelta(days=1)
WINDOW: Final = timedelta(hours=6)
PURGED: Final = 5  # one entry in so many is purged
WRITERS: Final = 8
CARDS: Final = 1_000
DEVICES: Final = 40
CHUNK: Final = 20_000
_NAMES: Final = UUID(int=20261128)


@dataclass(frozen=True)
class Traffic:
    """The rows of a database with so many log entries, the last of them at a time."""

    entries: int
    end: datetime

    @property
    def sessions(self) -> int:
        """How many sessions there are."""
        return self.entries // ENTRIES

    @property
    def results(self) -> int:
        """How many test results there are."""
        return self.sessions * RESULTS

    def began(self, session: int) -> datetime:
        """When a session was created."""
        return self.end - (self.sessions - session) * PACE

    def session(self, number: int) -> tuple[Any, ...]:
        """The row of a session; the last ones are open."""
        began, is_open = self.began(number), number >= self.sessions - AT_ONCE
        status = "active" if is_open else ("failed" if number % 20 == 7 else "completed")
        ended = None if is_open else began + timedelta(seconds=90)
        return (
            session_key(number), device_key(number % DEVICES), card_key(number % CARDS), "polled",
            status, began, ended, None if is_open else 1_000 + number % 89_000,
            "PSK-AES128-GCM-SHA256", f"card_{number % CARDS:06}", began, ended or began,
        )  # fmt: skip

    def log(self, dialect: Dialect) -> Iterator[tuple[Any, ...]]:
        """The rows of the log in the driver's form, text for times."""
        for block in range(self.entries // len(TEMPLATE)):
            keys = [session_key(block * AT_ONCE + turn) for turn in range(AT_ONCE)]
            began = self.began(block * AT_ONCE + AT_ONCE - 1)
            minute, earlier = (f"{at:%Y-%m-%d %H:%M:}" for at in (began, began - LATE_BY))
            zone = "" if dialect is Dialect.MYSQL else "+00:00"
            number = block * len(TEMPLATE)
            for turn, second, latency, *rest in TEMPLATE:
                number += 1
                at = earlier if number % LATE == 0 else minute
                yield (number, keys[turn], at + second + zone, latency, *rest)

    def result(self, number: int) -> tuple[Any, ...]:
        """The row of a test result; one in a hundred has no start."""
        at = self.end - (self.results - number) * PACE / RESULTS
        return (
            str(uuid5(_NAMES, f"result {number}")), run_key(number // RUN),
            f"suite {number % 20}", f"test {number % 200}", device_key(number % DEVICES),
            card_key(number % CARDS), None if number % 100 == 50 else at, at, 1_000,
            "failed" if number % 20 == 3 else "passed", at, at, 1,
        )  # fmt: skip


def session_key(number: int) -> str:
    """The UUID of a session: as random as a real one, and the same in each run."""
    mixed = number * 0x9E3779B97F4A7C15 & (1 << 64) - 1
    text = f"{mixed:016x}{number:016x}"
    return f"{text[:8]}-{text[8:12]}-4{text[13:16]}-8{text[17:20]}-{text[20:]}"


def device_key(number: int) -> str:
    """The key of a device."""
    return f"device-{number:04}"


def card_key(number: int) -> str:
    """The ICCID of a card."""
    return f"8949{number:015}"


def run_key(number: int) -> str:
    """The name of a run."""
    return f"run {number}"


def template() -> Iterator[tuple[Any, ...]]:
    """The entries of some sessions at once, in turns, each at its tenth of a second."""
    for place in range(ENTRIES * AT_ONCE):
        exchange, is_response = divmod(place, 2)
        raw = EXCHANGES[exchange % len(EXCHANGES)][is_response]
        word = raw[-4:] if is_response else None
        yield (
            exchange % AT_ONCE, f"{place // 10:02}.{place % 10}00000",
            15 + place % 79 if is_response else None, "response" if is_response else "command",
            raw, word, word and describe(word),
        )  # fmt: skip


TEMPLATE: Final = tuple(template())


# --- The databases -------------------------------------------------------------------------

COLUMNS: Final = {
    "ota_sessions": "id, device_id, card_iccid, session_type, status, started_at, ended_at,"
    " duration_ms, tls_cipher_suite, tls_psk_identity, created_at, updated_at",
    "comm_logs": "id, session_id, timestamp, latency_ms, direction, raw_data, status_word,"
    " status_message",
    "test_results": "id, run_id, suite_name, test_name, device_id, card_iccid, started_at,"
    " ended_at, duration_ms, status, created_at, updated_at, tries",
}


def database(dialect: Dialect, server: str | None, entries: int, folder: Path) -> str:
    """The URL of the database of a size, which is made if there is none."""
    name = f"scale_{entries}"
    if server is None:
        folder.mkdir(parents=True, exist_ok=True)
        return f"sqlite:///{folder}/{name}.db"
    engine = create_engine(DatabaseConfig(server).engine_url, isolation_level="AUTOCOMMIT")
    with closing(engine.raw_connection()) as admin:
        cursor = admin.cursor()
        kept = "pg_database WHERE datname" if dialect is Dialect.POSTGRESQL else (
            "information_schema.schemata WHERE schema_name"
        )  # fmt: skip
        cursor.execute(f"SELECT 1 FROM {kept} = '{name}'")
        if cursor.fetchone() is None:
            cursor.execute(f"CREATE DATABASE {name}")
    return make_url(server).set(database=name).render_as_string(hide_password=False)


def fill(manager: DatabaseManager, entries: int) -> Traffic:
    """Write the rows that are missing; return what the database then holds."""
    with closing(Bare(manager)) as bare:
        newest = bare.run("SELECT MAX(created_at) FROM ota_sessions")[0][0]
        if newest is None:
            end = datetime.now(UTC).replace(second=0, microsecond=0)
            first = "1970-01-01 00:00:00.000000"
            devices = [(device_key(n), "phone", first, first) for n in range(DEVICES)]
            bare.load("devices", "id, device_type, created_at, updated_at", devices)
            cards = [(card_key(n), f"card_{n:06}", first, first) for n in range(CARDS)]
            bare.load("card_profiles", "iccid, psk_identity, created_at, updated_at", cards)
        else:
            read = datetime.fromisoformat(newest) if isinstance(newest, str) else newest
            end = read.replace(tzinfo=UTC) + PACE
        traffic = Traffic(entries, end)
        plainly = partial(plain_rows, bare.dialect)
        rows = {
            "ota_sessions": (traffic.sessions, plainly(traffic.session, range(traffic.sessions))),
            "comm_logs": (traffic.entries, traffic.log(bare.dialect)),
            "test_results": (traffic.results, plainly(traffic.result, range(traffic.results))),
        }
        for table, (total, all_rows) in rows.items():
            if bare.run(f"SELECT COUNT(*) FROM {table}")[0][0] != total:
                load(bare, table, missing(bare, table, all_rows))
        if bare.dialect is Dialect.POSTGRESQL:
            numbers = "PG_GET_SERIAL_SEQUENCE('comm_logs', 'id')"
            bare.run(f"SELECT SETVAL({numbers}, MAX(id)) FROM comm_logs")
            bare.run("VACUUM ANALYZE")
        elif bare.dialect is Dialect.MYSQL:
            bare.run("ANALYZE TABLE devices, card_profiles, ota_sessions, comm_logs, test_results")
    return traffic


def plain_rows(
    dialect: Dialect, row: Callable[[int], tuple[Any, ...]], numbers: Iterable[int]
) -> Iterator[tuple[Any, ...]]:
    """The rows of these numbers in the driver's form."""
    return (tuple(plain_value(value, dialect) for value in row(number)) for number in numbers)


def missing(bare: Bare, table: str, rows: Iterator[tuple[Any, ...]]) -> Iterator[tuple[Any, ...]]:
    """The rows whose keys are not there: all at first, the oldest after a purge."""
    there = {key for (key,) in bare.run(f"SELECT id FROM {table}")}
    return (row for row in rows if row[0] not in there)


def load(bare: Bare, table: str, rows: Iterator[tuple[Any, ...]]) -> None:
    """Write many rows."""
    while chunk := list(islice(rows, CHUNK)):
        bare.load(table, COLUMNS[table], chunk)


# --- Measuring -----------------------------------------------------------------------------


class Samples:
    """A value for each parameter of a query: the newest rows, and windows up to the last."""

    def __init__(self, traffic: Traffic, dialect: Dialect) -> None:
        session = traffic.sessions - AT_ONCE - 1
        newest = traffic.results - 1
        self._at = partial(plain_value, dialect=dialect)
        self._end = traffic.end
        self._values: dict[str, Any] = {
            "session_id": session_key(session), "id": session_key(session),
            "prefix": session_key(session)[:8], "end": session_key(session)[:8] + "g",
            "device_id": device_key(1), "card_iccid": card_key(1), "iccid": card_key(1),
            "run_id": run_key(newest // RUN), "suite_name": "suite 3", "test_name": "test 3",
            "status": "failed", "status_word": "6985", "direction": "response",
            "device_type": "phone", "card_type": "UICC", "psk_identity": "card_000001",
            "session_type": "polled", "pattern": "%6F10%", "keys": [session_key(session)],
            "ids": [traffic.entries], "session_ids": [session_key(session)],
            "numbers": [traffic.entries], "identities": ["card_000001"], "limit": 1_000,
            "offset": 0, "percent": 95, "runs": 10, "slower_factor": 2, "after": "",
            "key": "server.port", "origin": "", "category": "general",
        }  # fmt: skip
        middle = traffic.entries // 2
        latest = [run_key(newest // RUN - run) for run in range(20)]
        self._of = {
            "logs": {"id": middle, "after": middle, "keys": [middle]},
            "outbox": {"after": 0, "id": 0},
            "sessions": {"session_ids": [session_key(number) for number in range(1_000)]},
            "server.few_rows": {"limit": 10_000},
            "logs.count_old": {"after": middle, "limit": 50_000},
            "exchange.page_logs": {"after": traffic.entries - CHUNK},
            "exchange.find_earlier_sessions": {"after": traffic.entries - CHUNK},
            "statistics.find_slowest": {"limit": 10},
            "tests.find_latest_runs": {"limit": 20},
            "tests.find_flaky": {"keys": latest},
            "tests.get_runs": {"keys": latest},
            "tests.compare_runs": {"before": run_key(newest // RUN - 1),
                                   "after": run_key(newest // RUN)},
        }  # fmt: skip
        # Times before the last row; what is to go is as old as a purge would have it.
        self._ages = {
            "before": PACE * traffic.sessions * (PURGED - 1) / PURGED,
            "until": timedelta(), "end": timedelta(),
        }  # fmt: skip

    def of(self, query: Query, names: Iterable[str]) -> dict[str, Any]:
        """The parameters of these names."""
        kinds = kinds_of(query)
        return {name: self._value(query, name, kinds.get(name)) for name in names}

    def _value(self, query: Query, name: str, kind: ValueKind | None) -> Any:
        for title in (query.title, query.source.gateway):
            if name in self._of.get(title, {}):
                return self._of[title][name]
        if kind is ValueKind.TIME:
            return self._at(self._end - self._ages.get(name, WINDOW))
        if kind in (None, ValueKind.BOOLEAN):
            return True
        return self._values.get(name, name if kind is ValueKind.TEXT else 1)


@dataclass
class Cell:
    """Milliseconds of a piece of work, and the rows that came of it."""

    milliseconds: float
    rows: int


def reads(
    manager: DatabaseManager, traffic: Traffic, words: Sequence[str]
) -> Iterator[tuple[str, Cell]]:
    """Each read of the layer in each form that is sent, or those with such a word in their name."""
    samples = Samples(traffic, manager.dialect)
    for query in manager.library.all():
        is_read = query.rows in (Rows.ONE, Rows.MANY, Rows.SCALAR)
        is_asked = not words or any(word in query.title for word in words)
        if is_read and is_asked and not query.source.needs and query.source.name not in UNTIMED:
            for variant in sent_variants(query):
                label = "" if variant.label == "with every line in" else f", {variant.label}"
                yield f"`{query.title}`{label}", timed(manager, variant, samples)


# They lock, write, or ask about the server.
UNTIMED: Final = {"hold", "reserve_numbers", "may_reserve_numbers"}


def timed(manager: DatabaseManager, variant: Variant, samples: Samples) -> Cell:
    """The least processor time of up to ten runs, none of them begun after three seconds."""
    query = variant.query
    values = samples.of(query, query.required | variant.given)
    seconds, rows, began = list[float](), 0, time.perf_counter()
    while len(seconds) < 10 and time.perf_counter() - began < 3:
        with manager.transaction(read_only=True) as transaction:
            transaction.begin()
            spent = processor_clock(manager.dialect, transaction._check_open().pooled)
            started = spent()
            rows = len(transaction.many(query, values, variant.order))
            seconds.append(spent() - started)
    return Cell(min(seconds) * 1e3, rows)


# The system's name of the process or thread that serves a connection.
SERVED_BY: Final = {
    Dialect.POSTGRESQL: "SELECT PG_BACKEND_PID()",
    Dialect.MYSQL: "SELECT tid FROM information_schema.processlist WHERE id = CONNECTION_ID()",
}


def processor_clock(dialect: Dialect, connection: Any) -> Callable[[], float]:
    """A clock of the seconds that this process and the server worked for a connection.

    Unlike the time that passes it holds on a busy machine. Reading from disk is not in it, nor
    what PostgreSQL does in parallel. It takes Linux, and PostgreSQL or MariaDB on this machine.
    """
    if dialect not in SERVED_BY:
        return time.process_time
    with closing(connection.cursor()) as cursor:
        cursor.execute(SERVED_BY[dialect])
        task = cursor.fetchone()[0]
    (file,) = Path("/proc").glob(f"[0-9]*/task/{task}/schedstat")
    return lambda: time.process_time() + int(file.read_text().split()[0]) / 1e9


def work(manager: DatabaseManager, traffic: Traffic, folder: Path) -> Iterator[tuple[str, Cell]]:
    """An export since a time and a purge next to writers; the purged rows are written again."""
    since = traffic.end - WINDOW
    target = folder / "export.jsonl"
    tables = ("sessions", "logs", "tests")
    exported, seconds = clocked(
        lambda: export(manager, target, selection=Selection(tables, since=since))
    )
    target.unlink()
    yield "export since a time", Cell(seconds * 1e3, sum(exported.values()))
    age = datetime.now(UTC) - traffic.end + PACE * traffic.sessions * (PURGED - 1) / PURGED
    days = {"logs": age / timedelta(days=1), "sessions": age / timedelta(days=1)}
    counted, seconds = clocked(lambda: count_old(manager, days))
    yield "purge, dry run", Cell(seconds * 1e3, sum(counted.values()))
    with writers(manager) as waits:
        purged, seconds = clocked(lambda: purge(manager, days))
    yield "purge next to eight writers", Cell(seconds * 1e3, sum(purged.values()))
    yield "longest wait of a writer", Cell(max(waits) * 1e3, len(waits))
    fill(manager, traffic.entries)


def clocked(job: Callable[[], Any]) -> tuple[Any, float]:
    """The result, and the seconds it took."""
    started = time.perf_counter()
    return job(), time.perf_counter() - started


@contextmanager
def writers(manager: DatabaseManager) -> Iterator[list[float]]:
    """Threads that each log an exchange in a transaction, again and again; their seconds."""
    waits: list[float] = []
    done = Event()

    def write(uow: UnitOfWork, session: str) -> None:
        uow.logs.add_log(session, "command", "00B2010424")
        uow.logs.add_log(session, "response", "6A83", latency_ms=16.9)

    def record(session: str) -> None:
        while not done.is_set():
            waits.append(clocked(lambda: manager.run(partial(write, session=session)))[1])

    with UnitOfWork(manager) as uow:
        keys = [uow.sessions.create_session().id for _ in range(WRITERS)]
        uow.commit()
    with ThreadPoolExecutor(WRITERS) as threads:
        futures = [threads.submit(record, key) for key in keys]
        try:
            yield waits
        finally:
            done.set()
    for future in futures:
        future.result()
    with UnitOfWork(manager) as uow:
        for key in keys:
            uow.sessions.delete_by_id(key)
        uow.commit()


def bytes_an_entry(manager: DatabaseManager, entries: int) -> tuple[str, Cell]:
    """Bytes of an entry in the table and its indexes."""
    sizes = {one.name: one.bytes for one in manager.table_sizes()}
    return "bytes of an APDU, indexes included", Cell((sizes["comm_logs"] or 0) / entries, 1)


# --- The report ----------------------------------------------------------------------------


def measure_growth(
    dialect: Dialect, server: str | None, chosen: argparse.Namespace, title: str
) -> None:
    """Measure one backend at each size and print its table."""
    columns: dict[int, dict[str, Cell]] = {}
    folder = Path(chosen.folder)
    for entries in sorted(set(chosen.entries or SIZES)):
        url = database(dialect, server, entries, folder)
        config = DatabaseConfig(url, pool_size=WRITERS + 2)
        with DatabaseManager(config, keyring=Keyring([Keyring.generate()])) as manager:
            manager.create_tables()
            traffic = fill(manager, entries)
            cells = columns.setdefault(entries, {})
            cells.update(reads(manager, traffic, chosen.query or ()))
            if not chosen.query or "purge" in chosen.query:
                label, cell = bytes_an_entry(manager, entries)
                cells[label] = cell
                cells.update(work(manager, traffic, folder))
    print(f"\n### {title}\n\n{growth_table(columns)}", flush=True)


def growth_table(columns: dict[int, dict[str, Cell]]) -> str:
    """The figures of each size next to each other, and the last over the first, in Markdown."""
    sizes = list(columns)
    head = ["read, in ms", "rows", *(f"{size // 1000:,} k" for size in sizes), "growth"]
    lines = [f"| {' | '.join(head)} |", "|---|" + "---:|" * (len(head) - 1)]
    for label in columns[sizes[-1]]:
        cells = [columns[size][label] for size in sizes]
        growth = cells[-1].milliseconds / (cells[0].milliseconds or 1)
        shown = [f"{cells[-1].rows:,}", *(f"{one.milliseconds:,.1f}" for one in cells)]
        lines.append(f"| {label} | {' | '.join(shown)} | {growth:.1f} |")
    return "\n".join(lines)
