"""``cardlink-db stats --queries``."""

from dataclasses import asdict
from typing import Any, Final

from cardlink_sql.cli.json_output import print_json
from cardlink_sql.cli.output import output, styled
from cardlink_sql.cli.rows import print_rows
from cardlink_sql.manager import DatabaseManager
from cardlink_sql.operations.query_statistics import (
    QueryFigures,
    QueryStatistics,
    take_query_statistics,
)

_SHOWN: Final = 20


def show_query_statistics(manager: DatabaseManager, limit: int | None, *, as_json: bool) -> None:
    """Print what the server counted of each query.

    Args:
        manager: the database.
        limit: queries at most; ``None`` for all of them in JSON, and for people 20.
        as_json: print JSON.

    Raises:
        QueryError: the server counts none, or does not show them to this role.
    """
    figures = take_query_statistics(manager)
    if as_json:
        print_json(_document(figures, limit))
    else:
        _print(figures, limit or _SHOWN)


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
    rows = [_row(name, one) for name, one in list(figures.queries.items())[:limit]]
    if figures.others is not None:
        rows.append(_row(styled("all others", "dim"), figures.others))
    columns = ("Query", "calls", "total ms", "mean ms", "longest ms", "rows")
    if rows:
        print_rows(columns, rows, right=columns[1:])
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


def _row(name: object, one: QueryFigures) -> tuple[Any, ...]:
    return (
        name,
        f"{one.calls:,}",
        f"{one.total_ms:,.1f}",
        f"{one.mean_ms:,.3f}",
        f"{one.longest_ms:,.1f}",
        f"{one.rows:,}",
    )
