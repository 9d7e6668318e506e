"""``cardlink-db sql indexes``: what needs each index, and what it weighs."""

from dataclasses import asdict
from typing import Any

import typer

from cardlink_sql.cli.database import open_manager
from cardlink_sql.cli.json_output import print_json
from cardlink_sql.cli.options import AsJson, Url
from cardlink_sql.cli.rows import listing, print_rows
from cardlink_sql.review.indexes import IndexUse, LiveIndexes, index_uses, live_indexes


@listing
def indexes(*, as_json: AsJson = False, url: Url = None) -> None:
    """List the indexes with the queries that need them.

    The plans in sql/lock/ say which do.

    With --url, also how often each was used on that database, and its bytes: scans on
    PostgreSQL, rows read on MySQL and MariaDB. What a database does not keep is noted. Primary
    keys are left out.

    Example: cardlink-db sql indexes -d postgresql://me@localhost/cardlink
    """
    found = index_uses()
    live = None
    if url is not None:
        with open_manager(url, read_only=True) as manager:
            live = live_indexes(manager)
        known = {one.name for one in found}
        extra = sorted((live.bytes.keys() | live.uses.keys()) - known)
        found += [IndexUse(name, None) for name in extra if not _is_primary(name)]
        for note in live.notes:
            typer.echo(f"note: {note}", err=True)
    if as_json:
        print_json([asdict(one) | _figures(one, live) for one in found])
        return
    columns = ("Index", "Table", "Queries", "Needed by")
    more = ("Uses", "Bytes") if live else ()
    print_rows(
        (*columns, *more),
        ((*_row(one), *_figures(one, live).values()) for one in found),
        folding=("Needed by",),
        right=("Queries", *more),
    )


def _figures(one: IndexUse, live: LiveIndexes | None) -> dict[str, int | None]:
    if live is None:
        return {}
    return {"uses": live.uses.get(one.name), "bytes": live.bytes.get(one.name)}


def _row(one: IndexUse) -> tuple[Any, ...]:
    titles = one.all_queries
    if one.table is None:
        return one.name, "not in the schema", 0, None
    return one.name, one.table, len(titles), ", ".join(titles) or one.reason or "no query"


def _is_primary(name: str) -> bool:
    return name == "PRIMARY" or name.startswith(("pk_", "sqlite_autoindex_"))
