"""The figures of ``cardlink-db stats``: the state of a database and the traffic of some days."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import groupby
from typing import Final

from cardlink_sql.database.unreadable_rows import skip
from cardlink_sql.manager import DatabaseManager
from cardlink_sql.model import validation
from cardlink_sql.model.apdu_names import command_name
from cardlink_sql.model.json_value import Record
from cardlink_sql.model.progress import OnProgress, no_progress
from cardlink_sql.model.records.server import TableSize
from cardlink_sql.model.records.session import SessionStatistics
from cardlink_sql.model.records.statistics import CardCount, ExchangeCount, SessionDay, SlowExchange
from cardlink_sql.model.records.test_result import TestRun
from cardlink_sql.model.status_words import describe, is_error
from cardlink_sql.model.times import utc_now
from cardlink_sql.unit_of_work import UnitOfWork

_LISTED: Final = 10
# The log is counted in so many slices of the window; progress is shown between them.
_SLICES: Final = 6
# A session that is created meanwhile, or by a clock that runs ahead, is in the window.
_AHEAD: Final = timedelta(days=365)
# So many of the newest sessions may be unreadable.
_ODD: Final = 1_000
STEPS: Final = _SLICES + 2


@dataclass(frozen=True, slots=True)
class StatusWordCount(Record):
    """The responses with one status word, and what it says."""

    status_word: str | None
    meaning: str | None
    responses: int


@dataclass(frozen=True, slots=True)
class CommandFigures(Record):
    """The responses to the commands of one name; latencies in ms."""

    command: str
    responses: int
    errors: int
    average_latency_ms: float | None
    maximum_latency_ms: float | None


@dataclass(frozen=True, slots=True)
class Statistics(Record):
    """The figures of a database.

    Attributes:
        taken_at: when they were taken.
        since: the sessions created since then are in the window.
        database_bytes: what the whole database takes.
        tables: rows and bytes of each table, of all times.
        cards: those with a PSK and those without, of all times.
        sessions: counts and success rate of the window.
        newest_session_at: when the newest session of all times was created, ``None`` without any.
        p95_duration_ms: what 95 percent of the sessions of the window do not exceed.
        session_days: each day of the window, in UTC, also those without a session; none that is
            more than a year ahead.
        status_words: the responses of the window's sessions, the most frequent word first.
        commands: the same by command, the slowest on average first.
        slowest: the ten responses of them that took longest.
        test_runs: the latest runs that began in the window, at most ten.
    """

    taken_at: datetime
    since: datetime
    database_bytes: int
    tables: list[TableSize]
    cards: CardCount
    sessions: SessionStatistics
    newest_session_at: datetime | None
    p95_duration_ms: int | None
    session_days: list[SessionDay]
    status_words: list[StatusWordCount]
    commands: list[CommandFigures]
    slowest: list[SlowExchange]
    test_runs: list[TestRun]


def take_statistics(
    manager: DatabaseManager,
    days: float = 30,
    on_step: OnProgress = no_progress,
    *,
    exact: bool = True,
) -> Statistics:
    """Return a database's figures. Others may write between two of them.

    Args:
        manager: the database.
        days: the window: sessions created within so many days, and their APDUs.
        on_step: called with 1 after each of :data:`STEPS` steps.
        exact: count the rows of all tables; otherwise those of large ones are estimates.

    Raises:
        ValidationError: ``days`` is not above 0.
    """
    until = utc_now()
    since = until - timedelta(days=validation.days(days))
    tables = manager.table_sizes(exact=exact)
    with UnitOfWork(manager, read_only=True) as uow:
        known = {day.day: day for day in uow.statistics.get_session_days(days)}
        on_step(1)
        exchanges: list[ExchangeCount] = []
        for first, last in _slices(since, until):
            exchanges += uow.statistics.count_exchanges(first, last)
            on_step(1)
        slowest = uow.statistics.find_slowest(since, until + _AHEAD, _LISTED)
        on_step(1)
        return Statistics(
            taken_at=until,
            since=since,
            database_bytes=uow.statistics.get_database_bytes(),
            tables=tables,
            cards=uow.statistics.count_cards(),
            sessions=uow.sessions.get_statistics(days),
            newest_session_at=_newest(uow),
            p95_duration_ms=uow.statistics.get_duration_percentile(days),
            session_days=list(_every_day(known.values(), since, until)),
            status_words=_by_status_word(exchanges),
            commands=_by_command(exchanges),
            slowest=slowest,
            test_runs=uow.tests.get_runs(_LISTED, since),
        )


def _newest(uow: UnitOfWork) -> datetime | None:
    # A row that cannot be read may come first: within skipped() it is left out.
    found = uow.sessions.find_matching(limit=1) or uow.sessions.find_matching(limit=_ODD)
    return found[0].created_at if found else None


def _slices(since: datetime, until: datetime) -> Iterator[tuple[datetime, datetime]]:
    width = (until - since) / _SLICES
    edges = [since + width * step for step in range(_SLICES)]
    yield from zip(edges, [*edges[1:], until + _AHEAD], strict=True)


def _every_day(
    known: Iterable[SessionDay], since: datetime, until: datetime
) -> Iterator[SessionDay]:
    latest = (until + _AHEAD).date()
    by_day: dict[date, SessionDay] = {}
    for one in known:
        if one.day <= latest:
            by_day[one.day] = one
        else:
            skip((one.day,), ("day",), "its sessions are more than a year ahead")
    last = max([until.date(), *by_day])
    day = since.date()
    while day <= last:
        yield by_day.get(day) or SessionDay(day, 0, 0, 0, 0)
        day += timedelta(days=1)


def _by_status_word(exchanges: list[ExchangeCount]) -> list[StatusWordCount]:
    counts = Counter[str | None]()
    for one in exchanges:
        counts[one.status_word] += one.responses
    listed = [
        StatusWordCount(word, None if word is None else describe(word), count)
        for word, count in counts.items()
    ]
    return sorted(listed, key=lambda one: (-one.responses, one.status_word or ""))


def _by_command(exchanges: list[ExchangeCount]) -> list[CommandFigures]:
    named = groupby(sorted(exchanges, key=_name), key=_name)
    figures = [_command_figures(name, list(group)) for name, group in named]
    return sorted(figures, key=lambda one: (-(one.average_latency_ms or 0), one.command))


def _name(exchange: ExchangeCount) -> str:
    if exchange.header is None:
        return "(no command before)"
    return command_name(exchange.header) or f"INS {exchange.header[2:4]}"


def _command_figures(name: str, exchanges: list[ExchangeCount]) -> CommandFigures:
    latencies = sum(one.latencies for one in exchanges)
    total = sum(one.total_latency_ms for one in exchanges)
    return CommandFigures(
        command=name,
        responses=sum(one.responses for one in exchanges),
        errors=sum(one.responses for one in exchanges if is_error(one.status_word)),
        average_latency_ms=total / latencies if latencies else None,
        maximum_latency_ms=max(one.maximum_latency_ms for one in exchanges) if latencies else None,
    )
