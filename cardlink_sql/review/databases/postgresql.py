"""PostgreSQL: its description of a prepared statement, and EXPLAIN's document.

``enable_seqscan`` is off, so that even a small table is read whole only if no index serves.
Reading an index without a condition on its first column is a scan too, unless it costs less than
reading each entry: PostgreSQL 18 skips from one value of the first column to the next. A Limit
right above a scan ends it, unless the scan filters. A sort is judged by the number of rows that the
planner expects.
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from typing import Any, Final

from sqlalchemy.pool import PoolProxiedConnection

from cardlink_sql.dialect import Dialect
from cardlink_sql.model.tables import GROWING
from cardlink_sql.review.databases.backend import (
    Description,
    PlanShape,
    Refused,
    ReviewBackend,
    Sent,
    Typed,
    index_heads,
    is_small,
    largest,
    sets_rows_apart,
)
from cardlink_sql.review.databases.dataset import SIZES
from cardlink_sql.review.statements.expected import POSTGRESQL_KINDS, ValueKind
from cardlink_sql.review.statements.variants import Variant

Node = dict[str, Any]

_INDEX_SCANS: Final = frozenset({"Index Scan", "Index Only Scan", "Bitmap Index Scan"})
_WHOLE_SCANS: Final = frozenset({"Seq Scan", "Sample Scan"})
_SORTS: Final = frozenset({"Sort", "Incremental Sort"})
# Nodes that request no more rows from below than are requested from them.
_PASSES_ON: Final = frozenset({"Result", "Subquery Scan", "LockRows"})
_ASIDE: Final = frozenset({"InitPlan", "SubPlan"})
_AGGREGATES: Final = {"Sorted": "GroupAggregate", "Hashed": "HashAggregate"}
_CONDITIONS: Final = ("Index Cond", "Hash Cond", "Merge Cond", "One-Time Filter")
_KEYS: Final = ("Sort Key", "Presorted Key", "Group Key")
# cpu_index_tuple_cost, as review.plan_by_indexes sets it.
_COST_OF_ENTRY: Final = 0.005

_VALUE: Final = re.compile(r"'(?:[^']|'')*'|(?<![\w$.])\d+(?:\.\d+)?")
_CAST: Final = re.compile(
    r"::(?:timestamp with time zone|character varying|double precision|\w+)(?:\(\d+\))?(?:\[\])?"
)
_BRACKETED_NAME: Final = re.compile(r"(?<!\w)\((\w+(?:\.\w+)?)\)")


class PostgreSQL(ReviewBackend):
    """Asks PostgreSQL about statements."""

    dialect = Dialect.POSTGRESQL
    version_parts = 1
    gathers = (
        ("wait_for_disk", False),
        ("freeze_statistics", True),
        ("read_every_row", False),
        ("gather", True),
        ("sample_again", False),
        ("commit_as_before", False),
    )

    def describe(self, variant: Variant) -> Description:
        self._prepare(variant.sql())
        found = self._connection.pgconn.describe_prepared(b"")
        parameters = tuple(
            self._typed(name, found.param_type(i)) for i, name in enumerate(variant.names)
        )
        columns = tuple(
            self._typed(
                found.fname(i).decode(),
                found.ftype(i),
                found.fmod(i),
                nullable=self._nullable.get((found.ftable(i), found.ftablecol(i))),
            )
            for i in range(found.nfields)
        )
        return Description(parameters, columns)

    def kinds(self, variant: Variant) -> Mapping[str, ValueKind]:
        parameters = self.describe(variant).parameters
        return {one.name: one.kind for one in parameters if one.kind is not None}

    @contextmanager
    def planning(self, pooled: PoolProxiedConnection) -> Iterator[None]:
        self._statements.rows("review.plan_by_indexes")
        try:
            yield
        finally:
            pooled.invalidate()  # and with it the settings

    def shapes(
        self, variant: Variant, values: Mapping[str, Any]
    ) -> Iterator[tuple[str, PlanShape]]:
        (document,) = self.document(Sent(variant.query, values, variant.order))
        yield "", read_postgresql_plan(document["Plan"])

    def _verb(self, *, analyze: bool, as_json: bool) -> str:
        options = [*(["ANALYZE", "BUFFERS"] if analyze else []), *(["FORMAT JSON"] * as_json)]
        return f"EXPLAIN ({', '.join(options)})" if options else "EXPLAIN"

    def _prepare(self, sql: str, parameters: int = 0) -> None:
        from psycopg.pq import DiagnosticField

        done = self._connection.pgconn.prepare(b"", sql.encode())
        what = done.error_field(DiagnosticField.MESSAGE_PRIMARY)
        if what is not None:
            place = done.error_field(DiagnosticField.STATEMENT_POSITION)
            hint = done.error_field(DiagnosticField.MESSAGE_HINT)
            said = what.decode() + (f" ({hint.decode()})" if hint else "")
            raise Refused(said, int(place) - 1 if place else None)

    def _typed(
        self, name: str, oid: int, modifier: int = -1, *, nullable: bool | None = None
    ) -> Typed:
        found = self._connection.adapters.types.get(oid)
        type_name = str(oid) if found is None else found.name
        if type_name == "varchar" and modifier >= 4:
            type_name = f"varchar({modifier - 4})"
        return Typed(name, type_name, POSTGRESQL_KINDS.get(type_name.partition("(")[0]), nullable)

    @cached_property
    def _nullable(self) -> dict[tuple[int, int], bool]:
        rows = self._statements.rows("review.nullable_columns")
        return {(relation, number): nullable for relation, number, nullable in rows}


BACKEND: Final = PostgreSQL


def read_postgresql_plan(plan: Node) -> PlanShape:
    """Return the shape of a plan from the outermost node of EXPLAIN (FORMAT JSON)."""
    lines, scans, sorts = [], dict[str, str](), dict[str, str]()
    for node, depth, ends_early in _walk(plan):
        line, aside = _line(node), node.get("Parent Relationship")
        prefix = f"{aside}: " if aside in _ASIDE else ""
        lines.append(f"{'  ' * depth}{prefix}{line}")
        if table := _scanned(node, ends_early=ends_early):
            scans.setdefault(table, line)
        if table := _sorted(node):
            sorts.setdefault(table, line)
    return PlanShape(tuple(lines), scans, sorts)


def _walk(
    node: Node, depth: int = 0, *, ends_early: bool = False
) -> Iterator[tuple[Node, int, bool]]:
    """Yield each node, its depth, and whether a Limit above may end it early."""
    yield node, depth, ends_early
    passes_on = node["Node Type"] in _PASSES_ON and "Filter" not in node
    passes_on = passes_on or _sorts_few_at_a_time(node)
    is_ended = node["Node Type"] == "Limit" or (ends_early and passes_on)
    for child in node.get("Plans", []):
        yield from _walk(child, depth + 1, ends_early=is_ended and child in _feeding(node))


def _scanned(node: Node, *, ends_early: bool) -> str | None:
    """Return the growing table that a node reads whole, if any."""
    if node["Node Type"] in _WHOLE_SCANS:
        table = node["Relation Name"]
    elif node["Node Type"] in _INDEX_SCANS:
        table, column = index_heads().get(node["Index Name"], ("", ""))
        condition = _plain(node.get("Index Cond", ""))
        # Names of other tables are qualified.
        is_narrowed = re.search(rf"(?<![.\w]){column}\b", condition)
        if is_narrowed or (ends_early and not condition and "Filter" not in node):
            return None
        if node["Total Cost"] < _COST_OF_ENTRY * SIZES.get(table, 0):
            return None
    else:
        return None
    return table if table in GROWING else None


def _sorted(node: Node) -> str | None:
    """Return the growing table of which a node sorts more than a small part, if any."""
    if node["Node Type"] not in _SORTS or _sorts_few_at_a_time(node):
        return None
    (below,) = _feeding(node)
    table = largest(set(_tables(below)) & GROWING)
    return table if table is not None and not is_small(below["Plan Rows"], table) else None


def _sorts_few_at_a_time(node: Node) -> bool:
    """Return whether the rows are nearly in order, so that a LIMIT above ends the scan below."""
    column = node.get("Presorted Key", [""])[0].rpartition(".")[2]
    return any(sets_rows_apart(table, column) for table in _tables(node))


def _tables(node: Node) -> Iterator[str]:
    if "Relation Name" in node:
        yield node["Relation Name"]
    for child in _feeding(node):
        yield from _tables(child)


def _feeding(node: Node) -> list[Node]:
    """Return the nodes below that pass their rows to a node."""
    below: list[Node] = node.get("Plans", [])
    return [child for child in below if child.get("Parent Relationship") not in _ASIDE]


def _line(node: Node) -> str:
    details = [_plain(node[name]) for name in _CONDITIONS if name in node]
    for name in _KEYS:
        if name in node:
            what = "presorted " if name == "Presorted Key" else ""
            details.append(what + ", ".join(map(_plain, node[name])))
    return f"{_name(node)}: {'; '.join(details)}" if details else _name(node)


def _name(node: Node) -> str:
    """Return the node's name in EXPLAIN's text format."""
    kind = node["Node Type"]
    if kind == "ModifyTable":
        kind = node["Operation"]
    elif kind == "Aggregate":
        kind = _AGGREGATES.get(node["Strategy"], kind)
    elif node.get("Join Type", "Inner") != "Inner":
        kind = f"{kind} ({node['Join Type']})"
    kind += " Backward" if node.get("Scan Direction") == "Backward" else ""
    relation, alias, index = (node.get(n) for n in ("Relation Name", "Alias", "Index Name"))
    if index is not None and relation is not None:
        kind += f" using {index}"
    on = relation or (index if index is not None else alias)
    if on is None:
        return str(kind)
    return f"{kind} on {on}" + (f" {alias}" if alias not in (None, on) else "")


def _plain(condition: str) -> str:
    """Return a condition without its values, casts and their brackets."""
    text = _CAST.sub("", _VALUE.sub("?", condition)).replace(' COLLATE "C"', "")
    text = _BRACKETED_NAME.sub(r"\1", text)
    while text.startswith("(") and _closing(text) == len(text) - 1:
        text = text[1:-1]
    return text


def _closing(text: str) -> int:
    """Return the position of the bracket that closes the first one."""
    depth = 0
    for place, sign in enumerate(text):
        depth += (sign == "(") - (sign == ")")
        if depth == 0:
            return place
    return -1
