"""``cardlink-db stats``."""

import math
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.text import Text

from cardlink_sql.cli.bars import bar, sparkline
from cardlink_sql.cli.query_statistics import show_query_statistics
from cardlink_sql.cli.shared.database import open_manager
from cardlink_sql.cli.shared.json_output import print_json
from cardlink_sql.cli.shared.options import AsJson, Exact, Url, argument, rows_text
from cardlink_sql.cli.shared.output import (
    milliseconds,
    output,
    percent,
    print_facts,
    seconds,
    styled,
    tenths,
)
from cardlink_sql.cli.shared.progress import progress
from cardlink_sql.cli.shared.rows import Column, naming_skipped, print_rows
from cardlink_sql.cli.shared.styles import SESSION_STYLES
from cardlink_sql.model import validation
from cardlink_sql.model.apdu_names import name_of
from cardlink_sql.model.records.server import TableSize
from cardlink_sql.model.records.statistics import SlowExchange
from cardlink_sql.operations.statistics import STEPS, Statistics, take_statistics

_DAYS: Final = 30
_BAR: Final = 20
_SPARKLINE: Final = 60
# The log statistics that are shown; --json has all.
_SHOWN: Final = 12

Days = Annotated[
    float | None,
    typer.Option(
        metavar="N",
        help="The window: sessions created within so many days; without it 30.",
    ),
]
Queries = Annotated[
    bool, typer.Option("--queries", help="Instead, what the server counted of each query.")
]
QueryLimit = Annotated[
    int | None,
    typer.Option(
        "--limit",
        "-n",
        min=1,
        metavar="N",
        help="With --queries, rows at most; without it 20, in JSON all.",
    ),
]
Snapshot = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="With --queries, the counters of the last time; without it in ~/.local/state.",
    ),
]


def stats(
    *,
    days: Days = None,
    queries: Queries = False,
    limit: QueryLimit = None,
    snapshot: Snapshot = None,
    exact: Exact = False,
    as_json: AsJson = False,
    url: Url = None,
) -> None:
    """Show row counts, sizes and statistics.

    Sessions, APDUs and test runs are those of the window; sizes and cards are of all times. The
    log is read through the sessions of the window, so that a short window is quick however
    large the log is.

    --queries shows calls, times and rows of each query, the one that took most in all first, as
    pg_stat_statements or performance_schema has them. It says what to do where they are off. It
    keeps the counters in a file, and shows what is new, slower or more frequent since then.

    Example: cardlink-db stats --days 7
    """
    for name, value in (("--limit", limit), ("--snapshot", snapshot)):
        if value is not None and not queries:
            raise typer.BadParameter("it needs --queries", param_hint=name)
    if queries and days is not None:
        raise typer.BadParameter("it excludes --days", param_hint="--queries")
    with argument("--days"):
        window = _DAYS if days is None else days
        validation.days(window)
    with open_manager(url, read_only=True) as manager:
        if queries:
            show_query_statistics(manager, limit, snapshot, as_json=as_json)
            return
        with naming_skipped(), progress("Reading the log", STEPS, unit="steps") as advance:
            figures = take_statistics(manager, window, advance, exact=exact)
        if as_json:
            print_json({"days": window, **figures.to_dict()})
            return
        _print(figures, manager.config.safe_url, window)


def _print(figures: Statistics, url: str, days: float) -> None:
    print_facts(("Database", url), ("Size", _size(figures.database_bytes)))
    _print_tables(figures)
    _print_cards(figures)
    if figures.sessions.total_sessions:
        output.print(styled(f"Sessions of {_span(days)}", "bold"))
        _print_sessions(figures)
    else:
        _print_no_sessions(figures, days)
    if figures.status_words:
        output.print(styled("APDUs of those sessions", "bold"))
        _print_status_words(figures)
        _print_commands(figures)
        _print_slowest(figures)
    if figures.test_runs:
        output.print(styled("Latest test runs", "bold"))
        _print_runs(figures)


def _print_tables(figures: Statistics) -> None:
    most = max((one.bytes or 0 for one in figures.tables), default=0)
    print_rows(
        figures.tables,
        (
            Column("Table", lambda one: one.name),
            Column("rows", _rows, right=True),
            Column("size", lambda one: _size(one.bytes), right=True),
            Column("", lambda one: _bar(one.bytes or 0 if one.rows else 0, most)),
        ),
    )


def _rows(table: TableSize) -> str | None:
    return rows_text(table.rows, table.is_estimate) if table.rows else None


def _print_cards(figures: Statistics) -> None:
    cards = figures.cards
    output.print(f"Cards: {cards.with_psk:,} with a PSK, {cards.without_psk:,} without.")
    output.print()


def _print_no_sessions(figures: Statistics, days: float) -> None:
    newest = figures.newest_session_at
    if newest is None:
        output.print("No sessions.")
        return
    age = math.ceil((figures.taken_at - newest).total_seconds() / 86400)
    output.print(
        f"No sessions in {_span(days)}; the newest is of {seconds(newest)} UTC. "
        f"Run: cardlink-db stats --days {age}"
    )


def _print_sessions(figures: Statistics) -> None:
    sessions = figures.sessions
    total, counts = sessions.total_sessions, sessions.by_status
    print_rows(
        [status for status in SESSION_STYLES if counts[status]],
        (
            Column("Status", lambda status: styled(status.value, SESSION_STYLES[status])),
            Column("sessions", lambda status: f"{counts[status]:,}", right=True),
            Column("share", lambda status: percent(counts[status] / total), right=True),
            Column("", lambda status: _bar(counts[status], total, SESSION_STYLES[status])),
        ),
    )
    print_facts(
        ("Sessions", f"{total:,}"),
        ("Success rate", percent(sessions.success_rate)),
        ("Average duration", milliseconds(sessions.avg_duration_ms)),
        ("95th percentile", milliseconds(figures.p95_duration_ms)),
    )
    _print_days(figures)
    output.print()


def _print_days(figures: Statistics) -> None:
    days = figures.session_days
    width = max(min(_SPARKLINE, output.width - 20), 10)
    rows = [("A day", [day.total for day in days]), ("Failed", [_failed(day) for day in days])]
    print_facts(
        *(
            (
                name,
                f"{sparkline(values, width, is_unicode=output.is_unicode)}  "
                f"at most {max(values):,}",
            )
            for name, values in rows
            if any(values)
        ),
        ("Days", f"{days[0].day} to {days[-1].day}, UTC"),
    )


def _span(days: float) -> str:
    return f"{days:.15g} day{'' if days == 1 else 's'}"


def _failed(day: Any) -> int:
    return int(day.failed + day.timeout)


def _print_status_words(figures: Statistics) -> None:
    total = sum(one.responses for one in figures.status_words)
    print_rows(
        figures.status_words[:_SHOWN],
        (
            Column("SW", lambda one: one.status_word or "none"),
            Column("meaning", lambda one: one.meaning, folds=True),
            Column("responses", lambda one: f"{one.responses:,}", right=True),
            Column("share", lambda one: percent(one.responses / total), right=True),
            Column("", lambda one: _bar(one.responses, total)),
        ),
    )
    _print_rest(len(figures.status_words))


def _print_commands(figures: Statistics) -> None:
    slowest = max((one.average_latency_ms or 0 for one in figures.commands), default=0)
    print_rows(
        figures.commands[:_SHOWN],
        (
            Column("Command", lambda one: one.command),
            Column("responses", lambda one: f"{one.responses:,}", right=True),
            Column("errors", lambda one: _count(one.errors), right=True),
            Column("average ms", lambda one: tenths(one.average_latency_ms), right=True),
            Column("most ms", lambda one: tenths(one.maximum_latency_ms), right=True),
            Column("", lambda one: _bar(one.average_latency_ms or 0, slowest)),
        ),
    )
    _print_rest(len(figures.commands))


def _print_slowest(figures: Statistics) -> None:
    print_rows(
        figures.slowest,
        (
            Column("Slowest", _command),
            Column("ms", lambda one: tenths(one.latency_ms), right=True),
            Column("SW", lambda one: one.status_word),
            Column("session", lambda one: one.session_id),
            Column("time (UTC)", lambda one: seconds(one.timestamp)),
        ),
    )


def _command(response: SlowExchange) -> str | None:
    return "(no command before)" if response.command is None else name_of(response.command)


def _print_runs(figures: Statistics) -> None:
    print_rows(
        figures.test_runs,
        (
            Column("Run", lambda run: run.run_id),
            Column("began (UTC)", lambda run: seconds(run.started_at)),
            Column("passed", lambda run: _count(run.passed), right=True),
            Column("failed", lambda run: _count(run.failed), right=True),
            Column("error", lambda run: _count(run.error), right=True),
            Column("skipped", lambda run: _count(run.skipped), right=True),
            Column("open", lambda run: _count(run.open), right=True),
            Column("pass rate", lambda run: percent(run.pass_rate), right=True),
            Column("", lambda run: _bar(run.pass_rate or 0, 1, "green")),
        ),
    )


def _print_rest(count: int) -> None:
    if count > _SHOWN:
        output.print(f"And {count - _SHOWN:,} more; --json has them.")


def _bar(value: float, most: float, style: str = "cyan") -> Text:
    share = value / most if most else 0
    return Text(bar(share, _BAR, is_unicode=output.is_unicode), style)


def _count(count: int) -> str | None:
    return f"{count:,}" if count else None


def _size(count: int | None) -> str | None:
    if count is None:
        return None
    size, units = float(count), ["bytes", "KiB", "MiB", "GiB", "TiB"]
    while size >= 1024 and len(units) > 1:
        size, units = size / 1024, units[1:]
    return f"{size:,.1f} {units[0]}" if units[0] != "bytes" else f"{count:,} bytes"
