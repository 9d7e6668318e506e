"""Measures the layer against the bare driver and an ORM design: scripts/bench.

The contenders do the same work on the same rows of one database, one after the other in each
round, and their results are compared. A time is the median of the rounds, a ratio the median
of the rounds' ratios: on a busy machine the times move, and the ratios hold.
"""

import argparse
import gc
import json
import math
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, nullcontext
from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta
from functools import partial
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any, Final

from _bench_contenders import (
    LOG_COLUMNS,
    SESSION_COLUMNS,
    WRITTEN_COLUMNS,
    Bare,
    Contender,
    Ours,
    Undeciphered,
)
from _bench_rows import PAGE, QUICK, Rows, Sizes, completed, plain, plain_value
from _bench_scale import measure_growth
from _servers import BACKENDS, ServerError, catch_signals, exit_by_signal, throwaway_servers
from sqlalchemy import create_engine
from sqlalchemy.engine import make_url

from cardlink_sql import DatabaseConfig, DatabaseManager, Keyring
from cardlink_sql.dialect import Dialect
from cardlink_sql.model.records.card import CardProfile
from cardlink_sql.model.records.log import CommLog
from cardlink_sql.model.records.session import SessionStatistics

TITLES: Final = {
    Dialect.SQLITE: "SQLite",
    Dialect.POSTGRESQL: "PostgreSQL",
    Dialect.MYSQL: "MariaDB / MySQL",
}
DRIVERS: Final = {
    Dialect.SQLITE: "sqlite3 of the standard library",
    Dialect.POSTGRESQL: f"psycopg {version('psycopg')}",
    Dialect.MYSQL: f"PyMySQL {version('pymysql')}",
}
PAGES: Final = 10
TIMES: Final = "\N{MULTIPLICATION SIGN}"


# --- The databases -------------------------------------------------------------------------


@contextmanager
def fresh_database(dialect: Dialect, server: str | None) -> Iterator[str]:
    """The URL of a new database, which goes away afterwards."""
    name = f"cardlink_bench_{uuid.uuid4().hex[:12]}"
    if server is None:
        with tempfile.TemporaryDirectory(prefix="cardlink-bench-") as folder:
            yield f"sqlite:///{folder}/{name}.db"
        return
    force = " WITH (FORCE)" if dialect is Dialect.POSTGRESQL else ""
    engine = create_engine(DatabaseConfig(server).engine_url, isolation_level="AUTOCOMMIT")
    with closing(engine.raw_connection()) as admin:
        admin.cursor().execute(f"CREATE DATABASE {name}")
        try:
            yield make_url(server).set(database=name).render_as_string(hide_password=False)
        finally:
            admin.cursor().execute(f"DROP DATABASE {name}{force}")


def fill(bare: Bare, rows: Rows, keyring: Keyring) -> None:
    """Cards and sessions."""
    token = keyring.encrypt(bytes(range(32)))
    dialect = bare.dialect
    columns = [spec.name for spec in fields(CardProfile)]
    columns[columns.index("has_psk")] = "psk_key_encrypted"
    cards = [plain(card, dialect) for card in rows.cards]
    at = columns.index("psk_key_encrypted")
    bare.load("card_profiles", ", ".join(columns), [(*c[:at], token, *c[at + 1 :]) for c in cards])
    for start in range(0, len(rows.sessions), 10_000):
        chunk = rows.sessions[start : start + 10_000]
        bare.load("ota_sessions", SESSION_COLUMNS, [plain(s, dialect) for s in chunk])


def fill_logs(bare: Bare, rows: Rows) -> None:
    """The logs of all sessions, in the place of what the writing left."""
    empty_logs(bare)
    chunk: list[tuple[Any, ...]] = []
    for number, entry in enumerate(rows.history(), 1):
        chunk.append((*plain(completed(entry), bare.dialect, "id"), number))
        if len(chunk) == 10_000:
            bare.load("comm_logs", LOG_COLUMNS, chunk)
            chunk = []
    if chunk:
        bare.load("comm_logs", LOG_COLUMNS, chunk)


def empty_logs(bare: Bare) -> None:
    """No logs."""
    bare.run("DELETE FROM comm_logs" if bare.dialect is Dialect.SQLITE else "TRUNCATE comm_logs")


def settle(bare: Bare) -> None:
    """What the servers do by themselves sooner or later. SQLite does nothing of the kind."""
    if bare.dialect is Dialect.POSTGRESQL:
        bare.run("VACUUM ANALYZE")
    elif bare.dialect is Dialect.MYSQL:
        bare.run("ANALYZE TABLE card_profiles, ota_sessions, comm_logs")


# --- Measuring -----------------------------------------------------------------------------


Work = Callable[[], Any]


@dataclass(frozen=True)
class Line:
    """A line of the table: seconds or rows a second of each contender, and the ratios."""

    operation: str
    ratio: str
    orm_ratio: str
    driver: str
    ours: str
    orm: str


class DifferenceError(Exception):
    """The contenders did not do the same."""


def rounds_of(
    contenders: Mapping[str, Work], rounds: int, clean: Callable[[], None] | None = None
) -> dict[str, list[float]]:
    """Seconds of each contender in each round. They take turns."""
    gc.collect()
    gc.freeze()  # what was prepared costs none of them a collection
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(rounds):
        for name, work in contenders.items():
            if clean:
                clean()
            gc.collect()
            started = time.perf_counter()
            work()
            seconds[name].append(time.perf_counter() - started)
    gc.unfreeze()
    return seconds


def ratio(numerators: Sequence[float], denominators: Sequence[float]) -> float:
    """The median of the rounds' ratios."""
    return median(n / d for n, d in zip(numerators, denominators, strict=True))


def line_of_rates(
    operation: str, seconds: Mapping[str, list[float]], rows: int, driver: str = "driver"
) -> Line:
    """Rows a second: a ratio above 1 is quicker than the driver."""
    base, ours, orm = seconds[driver], seconds["ours"], seconds["orm"]
    shown = (f"{rows / median(values):,.0f} rows/s" for values in (base, ours, orm))
    return Line(operation, f"{ratio(base, ours):.2f}", f"{ratio(base, orm):.2f}", *shown)


def line_of_times(operation: str, seconds: Mapping[str, list[float]], repeats: int = 1) -> Line:
    """Time for one: a ratio below 1 is quicker than the driver."""
    base, ours, orm = seconds["driver"], seconds["ours"], seconds["orm"]
    shown = (time_text(median(values) / repeats) for values in (base, ours, orm))
    return Line(
        operation, f"{ratio(ours, base):.2f} {TIMES}", f"{ratio(orm, base):.2f} {TIMES}", *shown
    )


def time_text(seconds: float) -> str:
    """Seconds as µs, ms or s."""
    if seconds < 1e-3:
        return f"{seconds * 1e6:.1f} µs"
    return f"{seconds * 1e3:.2f} ms" if seconds < 1 else f"{seconds:.1f} s"


def check_equal(what: str, results: Mapping[str, Any]) -> None:
    """Raise if a contender gave something else than the driver."""
    expected = listed(results["driver"])
    for name, result in results.items():
        given = listed(result)
        if len(given) != len(expected) or not all(map(is_same, given, expected)):
            raise DifferenceError(f"{what}: {name} and the driver differ")


def listed(result: Any) -> list[Any]:
    """A result as a list."""
    return result if isinstance(result, list) else [result]


def is_same(item: Any, expected: Any) -> bool:
    """Whether a record, or a model of the ORM, has the fields of the one expected."""
    if isinstance(expected, bytes | tuple):
        return bool(item == expected)
    # A model of the ORM has something else in "metadata", and no session here has any.
    names = [spec.name for spec in fields(expected) if spec.name != "metadata"]
    pairs = [(getattr(item, name), getattr(expected, name)) for name in names]
    if isinstance(expected, SessionStatistics):
        # A server's DECIMAL has four or five decimal places.
        return all(math.isclose(one, other, rel_tol=1e-4) for one, other in pairs)
    return all(one == other for one, other in pairs)


class Bench:
    """The measurements on one backend."""

    def __init__(self, url: str, sizes: Sizes, rounds: int) -> None:
        self.sizes, self.rounds, self.url = sizes, rounds, url
        keys = [Keyring.generate()]
        self.keyring = Keyring(keys)
        self.manager = DatabaseManager(DatabaseConfig(url), keyring=Undeciphered(keys))
        self.manager.create_tables()
        self.admin = Bare(self.manager)
        self.bare = Bare(self.manager)
        self.ours = Ours(self.manager)
        self.orm = make_orm(self.manager)
        self.rows = Rows(sizes)
        self.lines: list[Line] = []
        self.notes: list[str] = []

    def close(self) -> None:
        """Let go of the database."""
        self.orm.close()
        self.ours.close()
        self.bare.close()
        self.admin.close()
        self.manager.close()

    def run(self) -> None:
        """Everything."""
        say("  cards and sessions")
        fill(self.admin, self.rows, self.keyring)
        settle(self.admin)
        self.writing("100", 100, self.rows.traffic(self.sizes.written))
        self.writing("1,000", 1_000, self.rows.traffic(self.sizes.written))
        responses = [e for e in self.rows.traffic(self.sizes.written * 2) if e.latency_ms]
        self.writing("1,000, responses only †", 1_000, responses)
        say("  logs")
        fill_logs(self.admin, self.rows)
        settle(self.admin)
        self.reading()
        self.statistics()
        self.paging()
        self.decryption()
        self.streaming()

    def writing(self, title: str, size: int, entries: Sequence[CommLog]) -> None:
        """Batches with a commit each, into a table that is empty at first."""
        say(f"  writing by {title}")
        dialect = self.bare.dialect
        full = batches([completed(entry) for entry in entries], size)
        ready = batches([plain(completed(entry), dialect, "id") for entry in entries], size)
        works: dict[str, Work] = {"driver": partial(each, self.bare.write, ready)}
        if dialect is Dialect.POSTGRESQL:
            works["copy"] = partial(each, self.bare.copy, ready)
        works["ours"] = partial(each, self.ours.write, batches(entries, size))
        works["orm"] = partial(each, self.orm.write, full)
        clean = partial(empty_logs, self.admin)
        self._check_written(works)
        seconds = rounds_of(works, self.rounds, clean)
        operation = f"log writing, batches of {title}"
        self.lines.append(line_of_rates(operation, seconds, len(entries)))
        if "copy" in works and entries[0].latency_ms is None:
            line = line_of_rates(f"{operation}, against a bare COPY", seconds, len(entries), "copy")
            self.lines.append(line)

    def _check_written(self, works: Mapping[str, Work]) -> None:
        results = {}
        for name, work in works.items():
            empty_logs(self.admin)
            work()
            results[name] = self.admin.run(f"SELECT {WRITTEN_COLUMNS} FROM comm_logs ORDER BY id")
        check_equal("writing", results)

    def compare(self, operation: str, work: Callable[[Contender], Any], repeats: int = 1) -> None:
        """Hold the contenders' results against each other, then measure them."""
        say(f"  {operation}")
        contenders: dict[str, Contender]
        contenders = {"driver": self.bare, "ours": self.ours, "orm": self.orm}
        check_equal(operation, {name: work(one) for name, one in contenders.items()})
        works = {name: partial(work, one) for name, one in contenders.items()}
        self.lines.append(line_of_times(operation, rounds_of(works, self.rounds), repeats))

    def reading(self) -> None:
        """By key, by identity, and a session's log."""
        cards, sessions = self.rows.cards, self.rows.sessions
        reads = min(self.sizes.reads, len(cards))
        iccids = [card.iccid for card in cards[:reads]]
        names = [card.psk_identity or "" for card in cards[:reads]]
        ids = [session.id for session in sessions[:: len(sessions) // reads]][:reads]
        self.compare("card by key", lambda one: one.cards(iccids), reads)
        self.compare(
            "card by key, in a transaction", lambda one: one.cards_in_transaction(iccids), reads
        )
        self.compare("session by key", lambda one: one.sessions(ids), reads)
        self.compare("unit of work around one read", lambda one: one.units(iccids), reads)
        self.compare("PSK by identity, still encrypted", lambda one: one.psks(names), reads)
        title = f"{self.sizes.one_log:,} entries of a session"
        self.compare(title, lambda one: one.log_of(sessions[0].id))

    def statistics(self) -> None:
        """The last 1 % of the sessions."""
        since = datetime.now(UTC) - timedelta(days=1)
        title = f"statistics of the last 1 % of {self.sizes.sessions:,} sessions"
        self.compare(title, lambda one: one.statistics(since))
        self.notes.append(statistics_plan(self.manager, since))

    def paging(self) -> None:
        """The first page and one next to the end; the ORM pages by OFFSET."""
        for number in (1, self.sizes.last_page):
            title = f"page {number:,} of {self.sizes.logs:,} logs ‡"
            self.compare(title, partial(pages, number=number), PAGES)

        offset = rounds_of({"driver": partial(self.bare.offset, number, PAGE)}, self.rounds)
        took = time_text(median(offset["driver"]))
        self.notes.append(f"Page {number:,} by OFFSET takes the driver {took}.")

    def decryption(self) -> None:
        """The time that decrypting adds to the look-up of a PSK."""
        token = self.keyring.encrypt(bytes(range(32)))
        work = partial(each, lambda _: self.keyring.decrypt(token, ""), range(self.sizes.reads))
        seconds = rounds_of({"ours": work}, self.rounds)["ours"]
        self.notes.append(
            f"Decrypting a PSK takes {time_text(median(seconds) / self.sizes.reads)} more."
        )

    def streaming(self) -> None:
        """Every log entry, in a process of its own for each contender, for its memory's sake."""
        results = {}
        for name in ("driver", "ours", "orm"):
            say(f"  streaming: {name}")
            results[name] = streamed(self.url, name)
        if len({(r["count"], r["sum"]) for r in results.values()}) != 1:
            raise DifferenceError("streaming: the contenders differ")
        driver, ours, orm = (results[name] for name in ("driver", "ours", "orm"))
        shown = (f"{r['seconds']:.1f} s, {r['megabytes']:,.0f} MB" for r in (driver, ours, orm))
        self.lines.append(
            Line(
                f"{self.sizes.logs:,} rows streamed out, peak memory",
                f"{ours['seconds'] / driver['seconds']:.2f} {TIMES}",
                f"{orm['seconds'] / driver['seconds']:.2f} {TIMES}",
                *shown,
            )
        )


def pages(contender: Contender, number: int) -> list[Any]:
    """The same page several times, for one is over too soon."""
    after = (number - 1) * PAGE
    return [entry for _ in range(PAGES) for entry in contender.page(number, PAGE, after)]


def make_orm(manager: DatabaseManager) -> Contender:
    """The ORM design, imported only here: the memory of the others is measured without it."""
    from _bench_orm import Orm

    return Orm(manager.config.engine_url)


def batches(rows: Sequence[Any], size: int) -> list[Sequence[Any]]:
    """The rows, so many at a time."""
    return [rows[start : start + size] for start in range(0, len(rows), size)]


def each(work: Callable[[Any], Any], items: Sequence[Any]) -> None:
    """Do the work for each item."""
    for item in items:
        work(item)


def statistics_plan(manager: DatabaseManager, since: datetime) -> str:
    """Whether the database answers the statistics from an index only."""
    query = manager.library.query("sessions", "get_statistics")
    assert query.plain is not None
    explain = "EXPLAIN QUERY PLAN " if manager.dialect is Dialect.SQLITE else "EXPLAIN "
    with closing(Bare(manager)) as bare:
        rows = bare.run(explain + query.plain.sql, (plain_value(since, manager.dialect),))
    plan = " ".join(str(value) for row in rows for value in row)
    marks = ("COVERING INDEX", "Index Only Scan", "Using index")
    found = next((mark for mark in marks if mark in plan), None)
    told = f"`{found}`" if found else f"**no**, {plan}"
    return f"The statistics read only the index (EXPLAIN): {told}."


# --- Streaming, in a separate process ----------------------------------------------------


def streamed(url: str, name: str) -> dict[str, float]:
    """Count, sum of ids, seconds and memory of a child that streams the logs."""
    child = subprocess.run(
        [sys.executable, __file__, "--stream", name],
        input=url, stdout=subprocess.PIPE, text=True, check=True,
    )  # fmt: skip
    result: dict[str, float] = json.loads(child.stdout)
    return result


def stream(url: str, name: str) -> None:
    """Run as the child."""
    with DatabaseManager(DatabaseConfig(url)) as manager:
        contender: Contender
        if name == "orm":
            contender = make_orm(manager)
        else:
            contender = Bare(manager) if name == "driver" else Ours(manager)
        started = time.perf_counter()
        count = total = 0
        for entry in contender.stream():
            count += 1
            total += entry.id
        seconds = time.perf_counter() - started
        contender.close()
    figures = {"count": count, "sum": total, "seconds": seconds, "megabytes": peak_megabytes()}
    print(json.dumps(figures))


def peak_megabytes() -> float:
    """The most memory that this process held."""
    status = Path("/proc/self/status")
    if status.exists():  # Linux counts what the parent held into ru_maxrss
        found = next(s for s in status.read_text().splitlines() if s.startswith("VmHWM"))
        return int(found.split()[1]) / 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1024 / 1024 if sys.platform == "darwin" else peak / 1024


# --- The report ----------------------------------------------------------------------------


def say(text: str) -> None:
    """A line for the person who waits."""
    print(text, file=sys.stderr, flush=True)


def processor() -> str:
    """The CPU's name."""
    info = Path("/proc/cpuinfo")
    names = info.read_text().splitlines() if info.exists() else []
    model = (line.partition(":")[2].strip() for line in names if line.startswith("model name"))
    return next(model, "") or platform.processor() or platform.machine()


def header(sizes: Sizes, rounds: int) -> str:
    """The machine and the versions."""
    return (
        f"{processor()}, {os.cpu_count()} cores, {platform.system()}; "
        f"Python {platform.python_version()}, SQLAlchemy {version('sqlalchemy')}; "
        f"medians of {rounds} alternating rounds, {sizes.written:,} rows or {sizes.reads:,} reads "
        "in each.\n\n"
        "rows/s: more is better, and a ratio is one of rows/s. Times: less is better, and a "
        f"ratio ({TIMES}) is one of times."
    )


def table(bench: Bench) -> str:
    """One backend's lines in Markdown."""
    health = bench.manager.health_check()
    dialect = bench.bare.dialect
    head = ("operation", "ours ÷ driver", "ORM ÷ driver", "driver", "ours", "ORM")
    lines = [
        f"### {TITLES[dialect]} {health['server_version']}, {DRIVERS[dialect]}",
        "",
        f"| {' | '.join(head)} |",
        "|---|" + "---:|" * 5,
        *(
            f"| {' | '.join(getattr(line, spec.name) for spec in fields(Line))} |"
            for line in bench.lines
        ),
        "",
        " ".join(bench.notes),
    ]
    return "\n".join(lines)


FOOTNOTES: Final = (
    "† Without NULLs between, which split the ORM's batches.\n\n‡ By key; the ORM's by OFFSET."
)


def options(arguments: Sequence[str]) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="scripts/bench", description=__doc__)
    names = [dialect.value for dialect in Dialect]
    parser.add_argument("--backend", action="append", choices=names, help="only this one")
    parser.add_argument("--quick", action="store_true", help="small sizes, to try it")
    parser.add_argument("--rounds", type=int, default=7, help="alternating rounds (7)")
    parser.add_argument("--scale", action="store_true", help="instead, how reads grow with the log")
    parser.add_argument(
        "--entries", type=int, action="append", help="with --scale, a size of the log"
    )
    parser.add_argument("--query", action="append", help="with --scale, only such reads, or purge")
    parser.add_argument("--folder", default="build/scale", help="with --scale, of the SQLite files")
    parser.add_argument("--stream", help=argparse.SUPPRESS)
    chosen = parser.parse_args(arguments)
    if chosen.rounds < 1:
        parser.error("--rounds begins with 1")
    return chosen


def main(arguments: Sequence[str]) -> int:
    """Measure the backends that were asked for."""
    chosen = options(arguments)
    if chosen.stream:
        stream(sys.stdin.read(), chosen.stream)
        return 0
    dialects = [Dialect(name) for name in dict.fromkeys(chosen.backend or TITLES)]
    sizes = QUICK if chosen.quick else Sizes()
    catch_signals(exit_by_signal)
    needs_server = any(dialect is not Dialect.SQLITE for dialect in dialects)
    if not chosen.scale:
        print(header(sizes, chosen.rounds), flush=True)
    with throwaway_servers(counting=False) if needs_server else nullcontext() as servers:
        urls = servers.urls if servers else {}
        variables = {backend.name: backend.variable for backend in BACKENDS}
        for dialect in dialects:
            server = urls.get(variables.get(dialect.value, ""))
            if chosen.scale and (dialect is Dialect.SQLITE or server):
                measure_growth(dialect, server, chosen, TITLES[dialect])
            elif dialect is Dialect.SQLITE or server:
                measure(dialect, server, sizes, chosen.rounds)
    if not chosen.scale:
        print(f"\n{FOOTNOTES}")
    return 0


def measure(dialect: Dialect, server: str | None, sizes: Sizes, rounds: int) -> None:
    """Measure one backend and print its table."""
    say(TITLES[dialect])
    with fresh_database(dialect, server) as url, closing(Bench(url, sizes, rounds)) as bench:
        bench.run()
        print(f"\n{table(bench)}", flush=True)


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except (ServerError, DifferenceError) as error:
        say(str(error))
        sys.exit(1)
