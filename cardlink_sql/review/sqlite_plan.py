"""SQLite's EXPLAIN QUERY PLAN: what it scans and sorts.

SCAN reads a table or an index from one end to the other, SEARCH finds its way by a key. A scan that
a LIMIT ends looks the same, so the statement says which it is. SQLite tells no numbers of rows:
what it sorts in a temporary B-tree is the table where that was scanned, and a part of it where it
was searched.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Any, Final

from cardlink_sql.review.clauses import Clauses
from cardlink_sql.review.shapes import Shape
from cardlink_sql.review.variants import Variant
from cardlink_sql.tables import GROWING

Node = dict[str, Any]

# TABLE and AS: SQLite before 3.36.
_SCAN: Final = re.compile(r"SCAN (?:TABLE )?(?P<table>\w+)(?: AS (?P<alias>\w+))?")
_SORT: Final = "USE TEMP B-TREE"


def read_sqlite_plan(rows: Sequence[Node], variant: Variant) -> Shape:
    """The shape of a plan.

    Args:
        rows: of EXPLAIN QUERY PLAN: ``id``, ``parent`` and ``detail`` of each.
        variant: the statement.
    """
    clauses = Clauses(variant.tokens)
    scans: dict[str, str] = {}
    sorts: dict[str, str] = {}
    # What one SELECT reads and what it sorts have the same parent.
    sorting = {row["parent"]: row["detail"] for row in rows if row["detail"].startswith(_SORT)}
    for row in rows:
        match = _SCAN.match(row["detail"])
        name = (match["alias"] or match["table"]) if match else ""
        table = clauses.tables.get(name)
        if table not in GROWING:
            continue
        if row["parent"] in sorting:
            sorts.setdefault(table, sorting[row["parent"]])
        elif clauses.stops_at_limit(name):
            continue
        scans.setdefault(table, row["detail"])
    return Shape(tuple(_lines(rows)), scans, sorts)


def _lines(rows: Sequence[Node]) -> Iterator[str]:
    depth = {0: -1}
    for row in rows:
        depth[row["id"]] = depth.get(row["parent"], -1) + 1
        yield f"{'  ' * depth[row['id']]}{row['detail']}"
