"""SQLite: EXPLAIN prepares, the declared tables have the types, EXPLAIN QUERY PLAN the plan.

SCAN reads a whole table or index, SEARCH uses a key. A scan that a LIMIT ends looks the same, so
the statement decides. With foreign keys on, the plan includes their lookups.

The plan has no row counts. A sort in a temporary B-tree is judged by the average number of rows
per key that ANALYZE counted, which SQLite itself uses for planning. The width of a range is unknown
and assumed to be small.
"""

import re
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import takewhile
from math import prod
from time import perf_counter
from typing import Any, Final

from sqlalchemy.pool import PoolProxiedConnection

from cardlink_sql.dialect import Dialect
from cardlink_sql.model.tables import GROWING, metadata
from cardlink_sql.review.databases.backend import (
    Description,
    Plan,
    PlanShape,
    Refused,
    ReviewBackend,
    Sent,
    Typed,
    asking,
    index_heads,
    is_small,
    largest,
    sets_rows_apart,
)
from cardlink_sql.review.databases.dataset import SIZES
from cardlink_sql.review.databases.scratch import scratch_database
from cardlink_sql.review.statements.expected import kind_of
from cardlink_sql.review.statements.statement import ParsedStatement
from cardlink_sql.review.statements.variants import Variant
from cardlink_sql.schema.ddl.forms import FORMS, type_name

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


class SQLite(ReviewBackend):
    """Asks SQLite about statements."""

    dialect = Dialect.SQLITE
    gathers = (("gather", False),)

    def __init__(self, connection: Any) -> None:
        super().__init__(connection)
        self._averages: Averages = {}
        self._without_statistics: ReviewBackend | None = None

    def _prepare(self, sql: str, parameters: int = 0) -> None:
        try:
            self._connection.execute(f"EXPLAIN {sql}", [None] * parameters).fetchall()
        except sqlite3.Error as error:
            raise _refused_by_sqlite(error, sql) from error

    def describe(self, variant: Variant) -> Description:
        parameters = tuple(Typed(name) for name in variant.names)
        statement = ParsedStatement(variant)
        if not statement.returns_rows:
            return Description(parameters, tuple(map(Typed, statement.returned)))
        sql = variant.sql(lambda _number: "1")
        try:
            # The text is the query's, with 1 for each parameter.
            asked = self._connection.execute(f"SELECT * FROM ({sql}) LIMIT 0")  # noqa: S608
        except sqlite3.Error as error:
            raise _refused_by_sqlite(error, variant.sql()) from error
        names = [column[0] for column in asked.description]
        origins = statement.selected or [None] * len(names)
        return Description(parameters, tuple(map(_sqlite_column, names, origins)))

    def explain(self, sent: Sent, *, analyze: bool = False) -> Plan:
        lines = [*_lines(self._plan(sent)), *([self._measured(sent)] if analyze else [])]
        return Plan(("QUERY PLAN",), [(line,) for line in lines])

    def document(self, sent: Sent, *, analyze: bool = False) -> Any:
        plan = self._plan(sent)
        return {"plan": plan, "measured": self._measured(sent)} if analyze else plan

    @contextmanager
    def planning(self, pooled: PoolProxiedConnection) -> Iterator[None]:
        del pooled
        # The counts of ANALYZE: the rows of a table, then the average rows per key.
        self._averages = {
            index: tuple(int(word) for word in stat.split()[1:] if word.isdigit())
            for index, stat in self._statements.rows("review.averages")
        }
        # No component gathers statistics, so most files have none. Plans are then the same
        # whatever the rows are.
        with scratch_database() as empty:
            empty.create_tables()
            with asking(empty) as self._without_statistics:
                yield

    def shapes(
        self, variant: Variant, values: Mapping[str, Any]
    ) -> Iterator[tuple[str, PlanShape]]:
        shape = self._shape(self, variant, values)
        yield "", shape
        if self._without_statistics is not None:
            bare = self._shape(self._without_statistics, variant, values)
            if bare.lines != shape.lines:
                yield ", without statistics", bare

    def _shape(
        self, asked: ReviewBackend, variant: Variant, values: Mapping[str, Any]
    ) -> PlanShape:
        rows = asked.document(Sent(variant.query, values, variant.order))
        return read_sqlite_plan(rows, variant, self._averages)

    def _verb(self, *, analyze: bool, as_json: bool) -> str:
        del analyze, as_json
        return "EXPLAIN QUERY PLAN"

    def _plan(self, sent: Sent) -> list[Node]:
        _, rows = self._ask(sent, self._verb(analyze=False, as_json=False))
        return [{"id": row[0], "parent": row[1], "detail": row[3]} for row in rows]

    def _measured(self, sent: Sent) -> str:
        begun = perf_counter()
        _, rows = self._ask(sent, "")
        return f"{len(rows)} rows in {(perf_counter() - begun) * 1000:.3f} ms"


BACKEND: Final = SQLite


def _sqlite_column(name: str, origin: tuple[str | None, str] | None) -> Typed:
    """Return a column with the declared type of the table's column that it is."""
    if origin is None or origin[0] is None:
        return Typed(name)
    column = metadata.tables[origin[0]].columns[origin[1]]
    kind = type_name(column.type, FORMS[Dialect.SQLITE].sqlalchemy)
    return Typed(name, kind, kind_of(column), bool(column.nullable))


def _refused_by_sqlite(error: sqlite3.Error, sql: str) -> Refused:
    message = str(error)
    for beginning in ("no such column: ", "no such table: ", "no such index: "):
        if message.startswith(beginning):
            return Refused(message, word=message.removeprefix(beginning))
    if " has no column named " in message:
        return Refused(message, word=message.rpartition(" ")[2])
    near = message.removeprefix('near "').partition('"')[0] if message.startswith("near") else ""
    offset = sql.find(near) if near else -1
    return Refused(message, offset if offset >= 0 else None)


def read_sqlite_plan(rows: Sequence[Node], variant: Variant, averages: Averages) -> PlanShape:
    """Return the shape of a plan from its rows: ``id``, ``parent`` and ``detail`` of each.

    The averages are those of the database with the data set, even without statistics.
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
