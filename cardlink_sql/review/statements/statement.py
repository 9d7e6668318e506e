"""A statement parsed by sqlglot."""

import re
from collections import defaultdict
from collections.abc import Iterator
from functools import cached_property, lru_cache
from typing import Any, Final, cast

import sqlglot
from sqlalchemy import Column
from sqlglot import exp
from sqlglot.errors import SqlglotError

from cardlink_sql.dialect import Dialect
from cardlink_sql.model.tables import metadata
from cardlink_sql.review.statements.access import Access, Columns
from cardlink_sql.review.statements.single_row import conditions_of
from cardlink_sql.review.statements.variants import Variant

SQLGLOT: Final = {Dialect.SQLITE: "sqlite", Dialect.MYSQL: "mysql", Dialect.POSTGRESQL: "postgres"}
_WRITES: Final = (exp.Insert, exp.Update, exp.Delete, exp.Copy)
_SCOPES: Final = (exp.Select, *_WRITES)
_OPERATORS: Final = {exp.LT: "<", exp.LTE: "<=", exp.GT: ">", exp.GTE: ">="}
_TURNED: Final = str.maketrans("<>", "><")
_COMPARISONS: Final = (exp.EQ, exp.LT, exp.LTE, exp.GT, exp.GTE, exp.In)
# A SELECT with one of these reads every row before it returns the first.
_NEEDS_ALL: Final = ("group", "having", "distinct")


class ParsedStatement:
    """The syntax tree of one statement, and what a review derives from it.

    Raises:
        QueryError: sqlglot cannot parse it.
    """

    def __init__(self, variant: Variant) -> None:
        self._parameters = variant.names
        self._dialect = variant.query.dialect
        try:
            # A parameter's name may be a keyword, which sqlglot does not accept after a colon.
            self.tree = _parse(variant.sql(":p{}".format), self._dialect)
        except SqlglotError as error:
            said = str(error).partition("\n")[0]
            raise variant.query.fault(f"sqlglot cannot parse it: {said}") from None

    @property
    def returns_rows(self) -> bool:
        """Return whether it is a SELECT."""
        return isinstance(self.tree, exp.Query)

    @property
    def has_outer_join(self) -> bool:
        """Return whether a joined row can be missing, with NULL in its columns."""
        return any(join.side for join in self.tree.find_all(exp.Join))

    @property
    def has_star(self) -> bool:
        """Return whether a SELECT lists ``*``."""
        return any(select.is_star for select in self.tree.find_all(exp.Select))

    @cached_property
    def tables(self) -> dict[str, str]:
        """Return the schema's tables by their names in the statement."""
        tables = [table for table in self.tree.find_all(exp.Table) if _is_known(table.name)]
        return {name: table.name for table in tables for name in (table.name, table.alias_or_name)}

    @property
    def target(self) -> str | None:
        """Return the table that the statement writes."""
        return _target(self.tree).name if isinstance(self.tree, _WRITES) else None

    @property
    def listed(self) -> tuple[str, ...]:
        """Return the columns that INSERT or COPY lists."""
        return tuple(column.name for column in _listed(self.tree))

    @property
    def bound(self) -> list[tuple[str, str]]:
        """Return the columns that are written from a bare parameter, each with that parameter."""
        rows = self.tree.args.get("expression")
        first = rows.expressions[0].expressions if isinstance(rows, exp.Values) else []
        inserted = zip(self.listed, first, strict=False)
        assigned = ((one.this.name, one.expression) for one in _assignments(self.tree))
        return [
            (column, self._name(value))
            for column, value in (*inserted, *assigned)
            if isinstance(value, exp.Placeholder)
        ]

    @property
    def selected(self) -> list[tuple[str | None, str] | None]:
        """Return the select list: (table or None, column) for a bare column, else None."""
        return [self._origin(item) for item in self._items]

    @property
    def returned(self) -> list[str]:
        """Return the names of the columns of RETURNING."""
        returning = self.tree.args.get("returning")
        return [one.alias_or_name for one in returning.expressions] if returning else []

    @property
    def cases(self) -> list[bool]:
        """Return for each item of the select list whether it is a CASE."""
        return [isinstance(item, exp.Case) for item in self._items]

    @property
    def wrapped(self) -> set[tuple[str, str]]:
        """Return the columns that a WHERE has only inside of functions, each with its table."""
        columns = [c for where in self.tree.find_all(exp.Where) for c in where.find_all(exp.Column)]
        bare = [column for column in columns if not isinstance(column.parent, exp.Func)]
        found, compared = (
            {(owner, column.name) for column in some for owner in self._owners(column)}
            for some in (columns, bare)
        )
        return found - compared

    def is_narrowed(self, column: str) -> bool:
        """Return whether WHERE keeps only rows in which the column is not NULL."""
        return any(
            isinstance(operand, exp.Column) and operand.name == column
            for condition in conditions_of(self.tree.args.get("where"))
            for operand in _not_null(condition)
        )

    def stops_at_limit(self, name: str) -> bool:
        """Return whether a SELECT returns a table's rows in order and stops at its LIMIT.

        Such a SELECT has no condition that skips rows, no other table, and nothing that needs all
        rows before the first. A table goes by its name or its alias.
        """
        found = [t for t in self.tree.find_all(exp.Table) if name in (t.name, t.alias_or_name)]
        return bool(found) and all(_is_read_to_limit(table) for table in found)

    @cached_property
    def access(self) -> Access:
        """Return the tables and columns that the statement reads and writes."""
        inserts, updates = defaultdict[str, set[str]](set), defaultdict[str, set[str]](set)
        deletes = set[str]()
        for node in self.tree.find_all(*_WRITES):
            target = _target(node).name
            if isinstance(node, exp.Insert | exp.Copy):
                inserts[target] |= {column.name for column in _listed(node)}
            for assignment in _assignments(node):
                updates[target].add(assignment.this.name)
            if isinstance(node, exp.Delete):
                deletes.add(target)
        for sequence in self._sequences():
            updates[sequence] |= set()
        reads = self._reads()
        if self._dialect is Dialect.POSTGRESQL and self.tree.find(exp.Lock):
            # FOR UPDATE requires the right to update a column.
            for table, columns in reads.items():
                updates[table] |= columns
        return Access(reads, _frozen(inserts), _frozen(updates), frozenset(deletes))

    @property
    def ordered(self) -> list[str]:
        """Return the columns of the ORDER BY of the whole statement; an expression is empty."""
        order = self.tree.args.get("order")
        return [one.this.name for one in order.expressions] if order else []

    @property
    def bounds(self) -> list[tuple[str, str]]:
        """Return each parameter that bounds a range, and the operator before it, such as ``<``."""
        found = []
        for node in self.tree.find_all(*_OPERATORS):
            operator = _OPERATORS[type(node)]
            if isinstance(node.expression, exp.Placeholder):
                found.append((self._name(node.expression), operator))
            elif isinstance(node.this, exp.Placeholder):
                found.append((self._name(node.this), operator.translate(_TURNED)))
        return found

    @property
    def listed_parameters(self) -> list[str]:
        """Return each parameter that is all that an IN lists."""
        found = [one.expressions for one in self.tree.find_all(exp.In)]
        single = [inside[0] for inside in found if len(inside) == 1]
        return [self._name(one) for one in single if isinstance(one, exp.Placeholder)]

    @property
    def has_plain_like(self) -> bool:
        """Return whether a LIKE has no ESCAPE, so that each dialect has its own."""
        return any(not isinstance(like.parent, exp.Escape) for like in self.tree.find_all(exp.Like))

    @property
    def misnamed(self) -> list[tuple[str, str]]:
        """Return the bare columns that are selected under another column's name, with that name.

        A key may have the name of the foreign key that refers to it.
        """
        aliases = (one for one in self.tree.find_all(exp.Alias) if isinstance(one.this, exp.Column))
        return [
            (alias.this.name, alias.alias)
            for alias in aliases
            for owner in self._owners(alias.this)
            for table in set(self.tables.values())
            if alias.alias != alias.this.name
            and _is_known(table, alias.alias)
            and not _refers(metadata.tables[table].columns[alias.alias], owner, alias.this.name)
        ]

    # Reading the tree

    def _name(self, value: exp.Expr) -> str:
        return self._parameters[int(value.name[1:]) - 1]

    @property
    def _items(self) -> list[exp.Expr]:
        """Return the select list without its aliases; empty if rows come from several SELECTs."""
        if not isinstance(self.tree, exp.Select):
            return []
        return [item.unalias() for item in self.tree.expressions]

    def _origin(self, item: exp.Expr) -> tuple[str | None, str] | None:
        if not isinstance(item, exp.Column):
            return None
        owners = self._owners(item)
        return (owners[0] if len(owners) == 1 else None, item.name)

    @property
    def conditions(self) -> set[str]:
        """Return the text of each condition that every row meets."""
        return {
            re.sub(r":p(\d+)", lambda found: f":{self._parameters[int(found[1]) - 1]}", one.sql())
            for one in conditions_of(self.tree.args.get("where"))
        }

    def _reads(self) -> Columns:
        reads = defaultdict[str, set[str]](set)
        written = set[int]()
        for node in self.tree.find_all(*_WRITES):
            written |= {id(_target(node)), *(id(one.this) for one in _assignments(node))}
            # A server reads the key to find the other row.
            for key in _conflict_keys(node):
                reads[_target(node).name].add(key)
        made = {cte.alias for cte in self.tree.find_all(exp.CTE)}
        for table in self.tree.find_all(exp.Table):
            # INDEXED BY names an index, and a function can take a table's place.
            is_named = isinstance(table.this, exp.Identifier) and table.arg_key != "indexed"
            if is_named and table.name not in made and id(table) not in written:
                reads[_full_name(table)] |= set()
        for column in self.tree.find_all(exp.Column):
            if id(column) not in written:
                for owner in self._owners(column):
                    reads[owner].add(column.name)
        return _frozen(reads)

    def _owners(self, column: exp.Column) -> list[str]:
        """Return the tables that may have a column: those of the innermost scope that has it."""
        scope = column.find_ancestor(*_SCOPES)
        if column.table.lower() == "excluded" and isinstance(scope, exp.Insert):
            return [_target(scope).name]
        while scope is not None:
            if owners := [
                table.name
                for table in self._tables_of[id(scope)]
                if column.table in ("", table.alias_or_name) and _is_known(table.name, column.name)
            ]:
                return list(dict.fromkeys(owners))
            scope = scope.find_ancestor(*_SCOPES)
        return []

    @cached_property
    def _tables_of(self) -> dict[int, list[exp.Table]]:
        """Return the tables of each scope, by its identity."""
        tables = defaultdict[int, list[exp.Table]](list)
        for table in self.tree.find_all(exp.Table):
            tables[id(table.find_ancestor(*_SCOPES))].append(table)
        return tables

    def _sequences(self) -> Iterator[str]:
        """Yield the sequences that SETVAL or NEXTVAL advances, by PostgreSQL's names."""
        functions = list(self.tree.find_all(exp.Anonymous))
        if {"SETVAL", "NEXTVAL"}.isdisjoint(function.name.upper() for function in functions):
            return
        for function in functions:
            if function.name.upper() == "PG_GET_SERIAL_SEQUENCE":
                table, column = (argument.name for argument in function.expressions)
                yield f"{table}_{column}_seq"


@lru_cache(maxsize=4096)
def _parse(text: str, dialect: Dialect) -> exp.Expr:
    return sqlglot.parse_one(text, dialect=SQLGLOT[dialect])


def _is_known(table: str, column: str | None = None) -> bool:
    known = metadata.tables.get(table)
    return known is not None and (column is None or column in known.columns)


def _target(node: exp.Expr) -> exp.Table:
    """Return the table that a statement writes."""
    this = node.this
    return cast("exp.Table", this.this if isinstance(this, exp.Schema) else this)


def _listed(node: exp.Expr) -> list[exp.Expr]:
    return node.this.expressions if isinstance(node.this, exp.Schema) else []


def _assignments(node: exp.Expr) -> list[exp.EQ]:
    """Return each ``column = value`` of SET, in an UPDATE or an upsert."""
    clause = node if isinstance(node, exp.Update) else node.args.get("conflict")
    return [one for one in clause.expressions if isinstance(one, exp.EQ)] if clause else []


def _conflict_keys(node: exp.Expr) -> list[str]:
    conflict = node.args.get("conflict")
    return [key.name for key in conflict.args.get("conflict_keys") or []] if conflict else []


def _full_name(table: exp.Table) -> str:
    return f"{table.db}.{table.name}" if table.db else table.name


def _frozen(columns: dict[str, set[str]]) -> Columns:
    return {table: frozenset(columns[table]) for table in sorted(columns)}


def _not_null(condition: exp.Expr) -> list[exp.Expr]:
    """Return the operands that are not NULL where a condition is true."""
    # IS NOT NULL is a negated IS in PostgreSQL's tree, and a NOT around it elsewhere.
    test = condition.this if isinstance(condition, exp.Not) else condition
    if isinstance(test, exp.Is):
        is_negated = test is not condition or test.args.get("negate")
        return [test.this] if is_negated and isinstance(test.expression, exp.Null) else []
    if isinstance(condition, _COMPARISONS):
        return [condition.this, *([condition.expression] if condition.expression else [])]
    return []


def _is_read_to_limit(table: exp.Table) -> bool:
    select = table.parent_select
    if not isinstance(select, exp.Select) or not select.args.get("limit"):
        return False
    where = select.args.get("where")
    skips_rows = where is not None and where.this.sql() != "1 = 1"
    collects = any(
        function.parent_select is select for function in select.find_all(exp.AggFunc, exp.Window)
    )
    needs_all = collects or any(select.args.get(clause) for clause in _NEEDS_ALL)
    return not (skips_rows or needs_all or select.args.get("joins"))


def _refers(column: Column[Any], table: str, name: str) -> bool:
    """Return whether a column is a foreign key to a column of a table."""
    targets = (key.column for key in column.foreign_keys)
    return any(target.table.name == table and target.name == name for target in targets)
