"""``cardlink-db stats --queries``."""

from dataclasses import asdict
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Any, Final

from rich.text import Text

from cardlink_sql.cli.query_snapshot import Growth, Since, compare_and_keep, default_file
from cardlink_sql.cli.shared.json_output import print_json
from cardlink_sql.cli.shared.output import output, seconds, styled, tenths
from cardlink_sql.cli.shared.rows import Column, print_rows
from cardlink_sql.manager import DatabaseManager
from cardlink_sql.operations.query_statistics import (
    QueryFigures,
    QueryStatistics,
    take_query_statistics,
)

_SHOWN: Final = 20


def show_query_statistics(
    manager: DatabaseManager, limit: int | None, snapshot: Path | None, *, as_json: bool
) -> None:
    """Print what the server counted of each query, and what changed since the last time.

    Args:
        manager: the database.
        limit: queries at most; ``None`` for all of them in JSON, and for people 20.
        snapshot: the file of the counters of the last time, which is replaced; ``None`` for the
            database's in the user's state folder.
        as_json: print JSON.

    Raises:
        QueryError: the server counts none, or does not show them to this role.
        DatabaseError: the snapshot cannot be read or written.
    """
    figures = take_query_statistics(manager)
    file = snapshot or default_file(manager.config.safe_url)
    since = compare_and_keep(figures, file)
    if as_json:
        print_json(_document(figures, limit) | {"since": None if since is None else asdict(since)})
        return
    _print(figures, limit or _SHOWN)
    if since is None:
        output.print(f"Kept for the next time: {file}")
    else:
        _print_since(since)


def _document(figures: QueryStatistics, limit: int | None) -> dict[str, Any]:
    return {
        "is_approximate": figures.is_approximate,
        "queries": [
            {"query": name, **asdict(one)} for name, one in list(figures.queries.items())[:limit]
        ],
        "others": None if figures.others is None else asdict(figures.others),
        "lost": figures.lost,
    }


def _print(figures: QueryStatistics, limit: int) -> None:
    rows: list[tuple[str | Text, QueryFigures]] = [*islice(figures.queries.items(), limit)]
    if figures.others is not None:
        rows.append((styled("all others", "dim"), figures.others))
    if rows:
        print_rows(rows, _COLUMNS)
    else:
        output.print("Nothing has been counted yet.")
    if len(figures.queries) > limit:
        output.print(f"And {len(figures.queries) - limit:,} more; --limit shows them.")
    if figures.is_approximate:
        output.print(
            "MariaDB keeps no comments: a query was found by its words, and where two have the "
            "same words, both are named."
        )
    if figures.lost:
        output.print(
            f"{figures.lost:,} calls on this server are missing: it had no room to keep them "
            "apart (performance_schema_digests_size)."
        )


def _print_since(since: Since) -> None:
    moment = seconds(datetime.fromisoformat(since.taken_at))
    if not since.queries:
        output.print(f"Since {moment} nothing is new, slower or more frequent.")
        return
    output.print(styled(f"New, slower or more frequent since {moment}", "bold"))
    print_rows(since.queries, _GROWTH)


def _thousandths(value: float | None) -> str | None:
    return None if value is None else f"{value:,.3f}"


def _whole(value: float | None) -> str | None:
    return None if value is None else f"{value:,.0f}"


_COLUMNS: Final[tuple[Column[tuple[str | Text, QueryFigures]], ...]] = (
    Column("Query", lambda row: row[0]),
    Column("calls", lambda row: f"{row[1].calls:,}", right=True),
    Column("total ms", lambda row: tenths(row[1].total_ms), right=True),
    Column("mean ms", lambda row: _thousandths(row[1].mean_ms), right=True),
    Column("longest ms", lambda row: tenths(row[1].longest_ms), right=True),
    Column("rows", lambda row: f"{row[1].rows:,}", right=True),
)
_GROWTH: Final[tuple[Column[Growth], ...]] = (
    Column("Query", lambda one: one.query),
    Column("calls", lambda one: f"{one.calls:,}", right=True),
    Column("mean ms", lambda one: _thousandths(one.mean_ms), right=True),
    Column("before", lambda one: _thousandths(one.mean_ms_before), right=True),
    Column("calls/h", lambda one: _whole(one.calls_per_hour), right=True),
    Column("before/h", lambda one: _whole(one.calls_per_hour_before), right=True),
)
