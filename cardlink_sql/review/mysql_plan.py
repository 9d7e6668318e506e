"""The scans and sorts in the EXPLAIN of MySQL and MariaDB.

``type`` ALL reads a whole table, and ``index`` a whole index. If it reads in order, without a
condition, and the server expects few ``rows``, a LIMIT ends the scan. A sort (Using filesort) or
temporary table (Using temporary) is judged by the number of rows that the server expects.
"""

import re
from collections.abc import Sequence
from math import prod
from typing import Any, Final

from cardlink_sql.model.tables import GROWING
from cardlink_sql.review.shapes import PlanShape, is_small, largest
from cardlink_sql.review.statement import ParsedStatement
from cardlink_sql.review.variants import Variant

Row = dict[str, Any]

_WHOLE: Final = frozenset({"ALL", "index"})
_WRITES: Final = frozenset({"INSERT", "REPLACE"})
_SORTS: Final = ("Using filesort", "Using temporary")


def read_mysql_plan(rows: Sequence[Row], variant: Variant) -> PlanShape:
    """Return the shape of a plan.

    Args:
        rows: of EXPLAIN, by the names of its columns.
        variant: the statement.
    """
    known = ParsedStatement(variant).tables
    scans: dict[str, str] = {}
    sorts: dict[str, str] = {}
    for row in rows:
        table = known.get(str(row["table"]))
        if table in GROWING and _is_whole(row, table):
            scans.setdefault(table, _line(row))
        if any(word in _extra(row) for word in _SORTS):
            names, expected = _sorted(row, rows)
            table = largest({known[name] for name in names if known.get(name) in GROWING})
            if table is not None and not is_small(expected, table):
                sorts.setdefault(table, _line(row))
    return PlanShape(tuple(map(_line, rows)), scans, sorts)


def _is_whole(row: Row, table: str) -> bool:
    # The row of an INSERT is its target.
    if row["select_type"] in _WRITES or row["type"] not in _WHOLE:
        return False
    passes_over = "Using where" in _extra(row)
    return row["type"] == "ALL" or passes_over or not is_small(_expected(row), table)


def _sorted(row: Row, rows: Sequence[Row]) -> tuple[set[str], float]:
    """Return the tables whose rows a SELECT or UNION sorts, and the expected number of rows."""
    united = re.match(r"<union([\d,]+)>", str(row["table"]))
    ids = [int(part) for part in united[1].split(",")] if united else [row["id"]]
    parts = [[one for one in rows if one["id"] == number] for number in ids]
    names = set().union(*(_tables(part, rows) for part in parts))
    return names, sum(prod(map(_expected, part)) for part in parts)


def _tables(part: Sequence[Row], rows: Sequence[Row]) -> set[str]:
    """Return the tables of a SELECT, including those of its derived tables."""
    names = {str(row["table"]) for row in part}
    for name in tuple(names):
        if derived := re.match(r"<(?:derived|subquery)(\d+)>", name):
            names |= _tables([row for row in rows if row["id"] == int(derived[1])], rows)
    return names


def _expected(row: Row) -> float:
    """Return the number of rows expected from one table; MariaDB adds a filter's percentage."""
    match = re.match(r"\d+", str(row["rows"]))
    return float(match[0]) if match else 1


def _extra(row: Row) -> str:
    return row["Extra"] or ""


def _line(row: Row) -> str:
    kind = "" if row["select_type"] == "SIMPLE" else f"{row['id'] or ''} {row['select_type']} "
    how = " ".join(filter(None, (row["type"], row["key"])))
    read = f"{row['table']}: {how}" if row["table"] else ""
    return f"{kind}{'; '.join(filter(None, (read, _extra(row))))}".strip()
