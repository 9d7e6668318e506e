"""``cardlink-db sql indexes``: what needs each index, and what it weighs."""

from dataclasses import asdict
from typing import Final

import typer

from cardlink_sql.cli.shared.database import open_manager
from cardlink_sql.cli.shared.json_output import print_json
from cardlink_sql.cli.shared.options import AsJson, Url
from cardlink_sql.cli.shared.rows import Column, listing, print_rows
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
        print_json([asdict(one) | (live.figures(one.name) if live else {}) for one in found])
        return
    print_rows(found, (*_COLUMNS, *(_columns(live) if live else ())))


def _columns(live: LiveIndexes) -> tuple[Column[IndexUse], ...]:
    return (
        Column("State", lambda one: live.figures(one.name)["state"]),
        Column("Uses", lambda one: live.figures(one.name)["uses"], right=True),
        Column("Bytes", lambda one: live.figures(one.name)["bytes"], right=True),
    )


def _needed_by(one: IndexUse) -> str | None:
    if one.table is None:
        return None
    return ", ".join(one.all_queries) or one.reason or "no query"


_COLUMNS: Final[tuple[Column[IndexUse], ...]] = (
    Column("Index", lambda one: one.name),
    Column("Table", lambda one: one.table or "not in the schema"),
    Column("Queries", lambda one: len(one.all_queries), right=True),
    Column("Needed by", _needed_by, folds=True),
)
