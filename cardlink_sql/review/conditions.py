"""Conditions in one form, whichever server printed them.

A server keeps a condition as a tree and prints it its own way: PostgreSQL adds casts and makes
``= ANY (ARRAY[…])`` of IN, MySQL adds character sets and brackets, SQLite returns what was written.
sqlglot parses it and prints it with as few brackets as it needs.
"""

import re
from dataclasses import replace
from typing import Final

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from cardlink_sql.dialect import Dialect
from cardlink_sql.errors import MigrationError
from cardlink_sql.review.statement import SQLGLOT
from cardlink_sql.schema.ddl.model import Check, Index, Table

# MySQL 8 escapes the quotes of a literal.
_ESCAPED: Final = re.compile(r"(_utf8mb4\s*)\\'((?:[^'\\]|\\\\.)*)\\'")
# The operators, from the one that binds loosest.
_LOOSENESS: Final[tuple[tuple[type[exp.Expr], ...], ...]] = (
    (exp.Or,),
    (exp.And,),
    (exp.Not,),
    (exp.Predicate,),
    (exp.Add, exp.Sub, exp.DPipe),
    (exp.Mul, exp.Div, exp.Mod),
)


def canonical(table: Table, dialect: Dialect) -> Table:
    """Return a table with its conditions and the expressions of its indexes in one form.

    Raises:
        MigrationError: sqlglot cannot parse one of them.
    """

    def form(sql: str, name: str) -> str:
        return canonical_condition(sql, dialect, f"{table.name}.{name}")

    def index_form(index: Index) -> Index:
        halves = (part.partition(" DESC") for part in index.parts)
        parts = (form(column, index.name) + direction for column, direction, _ in halves)
        where = None if index.where is None else form(index.where, index.name)
        return replace(index, parts=tuple(parts), where=where)

    checks = (Check(check.name, form(check.condition, check.name)) for check in table.checks)
    return replace(table, checks=tuple(checks), indexes=tuple(map(index_form, table.indexes)))


def canonical_condition(sql: str, dialect: Dialect, where: str) -> str:
    """Return one expression in the form that is the same for every server.

    Args:
        sql: the expression as a server prints it.
        dialect: the server's.
        where: the table or index of the expression, for the error.

    Raises:
        MigrationError: sqlglot cannot parse it.
    """
    try:
        text = _ESCAPED.sub(r"\1'\2'", sql)
        parsed = sqlglot.parse_one(f"WHERE {text}", into=exp.Where, dialect=SQLGLOT[dialect]).this
    except SqlglotError as error:
        raise MigrationError(
            f"the schema dump does not understand: {sql}", where, "simplify the expression"
        ) from error
    root = exp.Paren(this=parsed)
    for node in reversed(list(parsed.walk())):
        _simplify(node)
    return str(root.this)


def _simplify(node: exp.Expr) -> None:
    """Remove what a server adds to a node whose children are simplified already."""
    if isinstance(node, exp.Cast):
        node.replace(node.this)
    elif isinstance(node, exp.Introducer):
        node.replace(node.expression)
    elif isinstance(node, exp.Identifier):
        node.set("quoted", None)
    elif isinstance(node, exp.Paren) and _is_redundant(node):
        node.replace(node.this)
    elif isinstance(node, exp.EQ | exp.NEQ) and (values := node.expression.find(exp.Array)):
        found = exp.In(this=node.this, expressions=values.expressions)
        node.replace(found if isinstance(node, exp.EQ) else exp.Not(this=found))


def _is_redundant(brackets: exp.Paren) -> bool:
    inside, outside = _looseness(brackets.this), _looseness(brackets.parent)
    is_chain = isinstance(brackets.parent, exp.Connector) or brackets.arg_key == "this"
    return inside < outside or (inside == outside and is_chain)


def _looseness(node: exp.Expr | None) -> int:
    kinds = (level for level, kinds in enumerate(_LOOSENESS) if isinstance(node, kinds))
    return -next(kinds, len(_LOOSENESS) if not isinstance(node, exp.Paren) else -1)
