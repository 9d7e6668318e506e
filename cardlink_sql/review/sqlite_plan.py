"""The scans and sorts in SQLite's EXPLAIN QUERY PLAN.

SCAN reads a whole table or index, SEARCH uses a key. A scan that a LIMIT ends looks the same, so
the statement decides. With foreign keys on, the plan includes their lookups.

The plan has no row counts. A sort in a temporary B-tree is judged by the average number of rows
per key that ANALYZE counted, which SQLite itself uses for planning. The width of a range is unknown
and assumed to be small.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import takewhile
from math import prod
from typing import Any, Final

from cardlink_sql.model.tables import GROWING
from cardlink_sql.review.dataset import SIZES
from cardlink_sql.review.shapes import PlanShape, index_heads, is_small, largest, sets_rows_apart
from cardlink_sql.review.statement import ParsedStatement
from cardlink_sql.review.variants import Variant

Node = dict[str, Any]
# For each index, the rows that share its first column, its first two, and so on.
Averages = Mapping[str, tuple[int, ...]]

# TABLE and AS: SQLite before 3.36.
_READ: Final = re.compile(
    r"(?P<how>SCAN|SEARCH) (?:TABLE )?(?P<table>\w+)(?: AS (?P<alias>\w+))?"
    r"(?:.* INDEX (?P<index>\w+)(?: \((?P<terms>.*)\))?)?"
)
_SORT: Final = "USE TEMP B-TREE"
# RIGHT PART: SQLite before 3.43.
_SORT_OF_A_PART: Final = re.compile(rf"{_SORT} FOR (LAST|RIGHT) ")


def read_sqlite_plan(rows: Sequence[Node], variant: Variant, averages: Averages) -> PlanShape:
    """Return the shape of a plan.

    Args:
        rows: of EXPLAIN QUERY PLAN: ``id``, ``parent`` and ``detail`` of each.
        variant: the statement.
        averages: of the database with the data set, even for a plan without statistics.
    """
    statement = ParsedStatement(variant)
    scans: dict[str, str] = {}
    sorts: dict[str, str] = {}
    # The reads and sorts of one SELECT have the same parent.
    for parent in dict.fromkeys(row["parent"] for row in rows):
        details = [row["detail"] for row in rows if row["parent"] == parent]
        sorting = next((detail for detail in details if detail.startswith(_SORT)), None)
        reads = [match for detail in details if (match := _READ.match(detail))]
        if sorting and _SORT_OF_A_PART.match(sorting) and any(map(_comes_apart, reads)):
            sorting = None
        # The statement does not name a table that only foreign keys reach.
        tables = [statement.tables.get(_name(read), _name(read)) for read in reads]
        for read, table in zip(reads, tables, strict=True):
            ends_early = sorting is None and statement.stops_at_limit(_name(read))
            if read["how"] == "SCAN" and table in GROWING and not ends_early:
                scans.setdefault(table, read.string)
        most = largest(GROWING.intersection(tables))
        if most is not None and sorting is not None:
            pairs = zip(reads, tables, strict=True)
            expected = prod(_expected(read, table, averages) for read, table in pairs)
            if not is_small(expected, most):
                sorts.setdefault(most, sorting)
    return PlanShape(tuple(_lines(rows)), scans, sorts)


def _comes_apart(read: re.Match[str]) -> bool:
    """Return whether the rows are nearly in order, so that a LIMIT still ends the scan."""
    head = index_heads().get(read["index"] or "")
    return read["how"] == "SCAN" and head is not None and sets_rows_apart(*head)


def _name(read: re.Match[str]) -> str:
    return read["alias"] or read["table"]


def _expected(read: re.Match[str], table: str, averages: Averages) -> float:
    """Return the number of rows that a loop yields each time; 1 if unknown."""
    if read["how"] == "SCAN":
        return SIZES.get(table, 1)
    terms = (read["terms"] or "").split(" AND ")
    equal = sum(1 for _ in takewhile(lambda term: term.endswith("=?"), terms))
    alike = averages.get(read["index"] or "", ())
    return alike[equal - 1] if 0 < equal <= len(alike) else 1


def _lines(rows: Sequence[Node]) -> Iterator[str]:
    depth = {0: -1}
    for row in rows:
        depth[row["id"]] = depth.get(row["parent"], -1) + 1
        yield f"{'  ' * depth[row['id']]}{row['detail']}"
