"""``cardlink-db sql indexes``: what needs each index, and what it weighs."""

from dataclasses import asdict
from typing import Any

import typer

from cardlink_sql.cli.shared.database import open_manager
from cardlink_sql.cli.shared.json_output import print_json
from cardlink_sql.cli.shared.options import AsJson, Url
from cardlink_sql.cli.shared.rows import listing, print_rows
from cardlink_sql.review.indexes import IndexUse, LiveIndexes, index_uses, live_indexes


@listing
def indexes(*, as_json: AsJson = False, url: Url = None) -> None:
    """List the indexes with the queries that need them.

    The plans in sql/lock/ say which do.

    With --url, only those of its dialect: whether the database has each, how often each was used
    (scans on PostgreSQL, rows read on MySQL and MariaDB), and its bytes. Figures that a
    database does not keep are noted. Primary keys are left out.

    Example: cardlink-db sql indexes -d postgresql://me@localhost/cardlink
    """
    live = None
    if url is None:
        found = index_uses()
    else:
        with open_manager(url, read_only=True) as manager:
            live = live_indexes(manager)
            found = index_uses(manager.dialect)
        extra = sorted(live.valid.keys() - {one.name for one in found})
        found += [IndexUse(name, None) for name in extra]
        for note in live.notes:
            typer.echo(f"note: {note}", err=True)
    if as_json:
        print_json([asdict(one) | _figures(one, live) for one in found])
        return
    columns = ("Index", "Table", "Queries", "Needed by")
    more = ("State", "Uses", "Bytes") if live else ()
    print_rows(
        (*columns, *more),
        ((*_row(one), *_figures(one, live).values()) for one in found),
        folding=("Needed by",),
        right=("Queries", *more[1:]),
    )


def _figures(one: IndexUse, live: LiveIndexes | None) -> dict[str, str | int | None]:
    if live is None:
        return {}
    return {
        "state": live.state(one.name),
        "uses": live.uses.get(one.name),
        "bytes": live.bytes.get(one.name),
    }


def _row(one: IndexUse) -> tuple[Any, ...]:
    titles = one.all_queries
    if one.table is None:
        return one.name, "not in the schema", 0, None
    return one.name, one.table, len(titles), ", ".join(titles) or one.reason or "no query"
