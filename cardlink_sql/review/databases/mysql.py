"""MySQL and MariaDB: PREPARE, a derived table without rows for the columns, EXPLAIN's table.

``type`` ALL reads a whole table, and ``index`` a whole index. If it reads in order, without a
condition, and the server expects few ``rows``, a LIMIT ends the scan. A sort (Using filesort) or
temporary table (Using temporary) is judged by the number of rows that the server expects.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import pairwise
from math import prod
from typing import Any, Final

from cardlink_sql.dialect import Dialect
from cardlink_sql.model.tables import GROWING
from cardlink_sql.queries.lexer import BLANK, Kind, Token
from cardlink_sql.review.databases.backend import (
    Description,
    PlanShape,
    Refused,
    ReviewBackend,
    Sent,
    Typed,
    is_small,
    largest,
)
from cardlink_sql.review.statements.expected import ValueKind
from cardlink_sql.review.statements.statement import ParsedStatement
from cardlink_sql.review.statements.variants import Variant

Row = dict[str, Any]

_WHOLE: Final = frozenset({"ALL", "index"})
_WRITES: Final = frozenset({"INSERT", "REPLACE"})
_SORTS: Final = ("Using filesort", "Using temporary")
_WRITING_DENIED: Final = re.compile(
    r"(INSERT|UPDATE|DELETE|SELECT with locking clause)\b.* command denied to user "
)
# Type names of SQL where the protocol has others, and the kinds by the protocol's names.
_NAMES: Final = {
    "TINY": "TINYINT",
    "SHORT": "SMALLINT",
    "INT24": "MEDIUMINT",
    "LONG": "INT",
    "LONGLONG": "BIGINT",
    "NEWDECIMAL": "DECIMAL",
}
_KINDS: Final = {
    **dict.fromkeys(("VARCHAR", "VAR_STRING", "STRING", "BLOB", "TINY_BLOB"), ValueKind.TEXT),
    **dict.fromkeys(("MEDIUM_BLOB", "LONG_BLOB"), ValueKind.TEXT),
    **dict.fromkeys(("TINY", "CHAR", "SHORT", "INT24", "LONG", "LONGLONG"), ValueKind.INTEGER),
    **dict.fromkeys(("FLOAT", "DOUBLE"), ValueKind.FLOAT),
    **dict.fromkeys(("DATETIME", "TIMESTAMP"), ValueKind.TIME),
    "NEWDECIMAL": ValueKind.DECIMAL,
    "JSON": ValueKind.JSON,
}


class MySQL(ReviewBackend):
    """Asks MySQL or MariaDB about statements."""

    dialect = Dialect.MYSQL
    gathers = (
        ("freeze_statistics", True),
        ("gather", True),
    )

    def server(self) -> str:
        return "MariaDB" if "MariaDB" in self._connection.get_server_info() else "MySQL"

    def _prepare(self, sql: str, parameters: int = 0) -> None:
        try:
            self._statements.rows("review.prepare_query", statement=sql)
            self._statements.rows("review.forget_prepared")
        except self._connection.Error as error:
            raise _refused_by_mysql(error, sql) from error

    def is_denied(self, variant: Variant) -> bool:
        try:
            self.prepare(variant)
        except Refused as refused:
            # The same error is that of a table that is not there; one that it may read is.
            is_right = _WRITING_DENIED.match(refused.what)
            return bool(is_right and refused.word and self.has(refused.word))
        return False

    def describe(self, variant: Variant) -> Description:
        parameters = tuple(Typed(name) for name in variant.names)
        statement = ParsedStatement(variant)
        if not statement.returns_rows:
            return Description(parameters, ())
        sql = variant.sql(_stand_ins(variant.tokens))
        with self._connection.cursor() as cursor:
            try:
                # The text is the query's, with 1 for each parameter.
                cursor.execute(f"SELECT * FROM ({sql}) described LIMIT 0")  # noqa: S608
            except self._connection.Error as error:
                raise _refused_by_mysql(error, sql) from error
            described = list(zip(cursor.description, cursor._result.fields, strict=True))
        cases = statement.cases or [False] * len(described)
        columns = (
            # MariaDB reports every CASE as nullable, even if no branch can be NULL.
            _mysql_column(column[0], field, nullable=None if is_case and column[6] else column[6])
            for (column, field), is_case in zip(described, cases, strict=False)
        )
        return Description(parameters, tuple(columns))

    def shapes(
        self, variant: Variant, values: Mapping[str, Any]
    ) -> Iterator[tuple[str, PlanShape]]:
        plan = self.explain(Sent(variant.query, values, variant.order))
        rows = [dict(zip(plan.columns, row, strict=True)) for row in plan.rows]
        yield "", read_mysql_plan(rows, variant)

    def _verb(self, *, analyze: bool, as_json: bool) -> str:
        if analyze and self.server() == "MySQL":
            return "EXPLAIN ANALYZE"
        if analyze:
            return f"ANALYZE{' FORMAT=JSON' if as_json else ''}"
        # A table by name: from MySQL 9 on a tree is the default.
        return f"EXPLAIN FORMAT={'JSON' if as_json else 'TRADITIONAL'}"


BACKEND: Final = MySQL


def _stand_ins(tokens: Sequence[Token]) -> Callable[[int], str]:
    """Return a literal for each parameter: a number that LIMIT accepts and no key begins with.

    MySQL reads rows by their keys while it prepares: 1 would be equal to each key that begins so.
    """
    words = [token for token in tokens if token.kind not in BLANK]
    of_limit = [
        before.text.upper() in ("LIMIT", "OFFSET")
        for before, token in pairwise(words)
        if token.kind is Kind.PARAMETER
    ]
    return lambda number: "1" if of_limit[number - 1] else "-1"


def _mysql_column(name: str, field: Any, *, nullable: bool | None) -> Typed:
    from pymysql.constants import FIELD_TYPE

    names = {number: name for name, number in vars(FIELD_TYPE).items() if isinstance(number, int)}
    shown = names.get(field.type_code, str(field.type_code))
    kind, bytes_a_sign = _KINDS.get(shown), 4
    is_binary = field.charsetnr == 63
    shown = _NAMES.get(shown, shown)
    if kind is ValueKind.TEXT and is_binary:
        kind, bytes_a_sign = ValueKind.BYTES, 1
    if kind in (ValueKind.TEXT, ValueKind.BYTES) and shown in ("VAR_STRING", "VARCHAR", "STRING"):
        length = field.length // bytes_a_sign
        shown = f"VARCHAR({length})" if kind is ValueKind.TEXT else f"VARBINARY({length})"
    elif shown.endswith("BLOB"):
        shown = shown if is_binary else shown.replace("BLOB", "TEXT")
    return Typed(name, shown, kind, nullable)


def _refused_by_mysql(error: Exception, sql: str) -> Refused:
    message = str(error.args[1]) if len(error.args) > 1 else str(error)
    quoted = message.partition("'")[2].partition("'")[0]
    if error.args and error.args[0] in (1054, 1146, 1176):
        return Refused(message, word=quoted.rpartition(".")[2])
    if error.args and error.args[0] == 1142:
        # A role without rights gets the same error for a table that does not exist.
        return Refused(message, word=message.rpartition(" ")[2].rpartition(".")[2].strip("`'"))
    near = message.partition("near '")[2].rpartition("' at line")[0]
    offset = sql.find(near) if near else -1
    return Refused(message, offset if offset >= 0 else None)


def read_mysql_plan(rows: Sequence[Row], variant: Variant) -> PlanShape:
    """Return the shape of a plan from the rows of EXPLAIN, by the names of its columns."""
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
