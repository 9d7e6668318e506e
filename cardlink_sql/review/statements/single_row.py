"""Decides from the unique keys whether a statement can return a second row, or rows in no order."""

from collections.abc import Collection, Iterator, Mapping, Sequence

from sqlglot import exp

from cardlink_sql.model.tables import metadata, unique_constraints

# The tables that an equality narrows, the column, and the expression that equals it.
_Equality = tuple[Collection[str], exp.Column, exp.Expr]


def is_single(node: exp.Expr) -> bool:
    """Return whether a statement returns at most one row: by a key, a LIMIT or an aggregate."""
    if isinstance(node, exp.Insert):
        return isinstance(node.expression, exp.Values) and len(node.expression.expressions) == 1
    if not isinstance(node, exp.Select | exp.Update | exp.Delete):
        return False
    if isinstance(node, exp.Select) and _is_aggregated(node):
        return True
    if group := node.args.get("group"):
        return all(_is_fixed(one, node) for one in group.expressions)
    limit = node.args.get("limit")
    if limit is not None and limit.expression.name == "1":
        return _is_total(node)
    return not _unpinned(node)


def has_ties(node: exp.Expr) -> bool:
    """Return whether ORDER BY leaves rows of one table in no order; other statements have none."""
    is_plain = isinstance(node, exp.Select) and isinstance(node.args["from_"].this, exp.Table)
    if not is_plain or not node.args.get("order"):
        return False
    is_known = node.args["from_"].this.name in metadata.tables
    is_grouped = any(node.args.get(part) for part in ("group", "distinct"))
    return is_known and not is_grouped and not _is_total(node)


def _is_aggregated(select: exp.Select) -> bool:
    return not select.args.get("group") and any(
        function.parent_select is select and not function.find_ancestor(exp.Window)
        for item in select.expressions
        for function in item.find_all(exp.AggFunc)
    )


def _is_fixed(column: exp.Expr, node: exp.Expr) -> bool:
    pairs = _equalities(node.args.get("where"))
    return any(one == column and value.find(exp.Column) is None for one, value in pairs)


def _unpinned(node: exp.Expr) -> dict[str, exp.Expr]:
    """Return the tables, by alias, of which one result may come from several rows."""
    from_ = node.args.get("from_")
    first = from_.this if from_ else node.this if not isinstance(node, exp.Select) else None
    joins = node.args.get("joins") or []
    sources = [first, *(join.this for join in joins)] if first is not None else []
    left = {source.alias_or_name: source for source in sources}
    names = tuple(left)
    equal: list[_Equality] = [(names, *pair) for pair in _equalities(node.args.get("where"))]
    for join in joins:
        # The ON of an outer join does not narrow the other tables.
        narrowed = (join.this.alias_or_name,) if join.side else names
        equal += [(narrowed, *pair) for pair in _equalities(join.args.get("on"))]
    while found := [name for name in left if _is_pinned(name, left, equal)]:
        for name in found:
            del left[name]
    return left


def _equalities(clause: exp.Expr | None) -> Iterator[tuple[exp.Column, exp.Expr]]:
    """Yield the columns that an equality restricts in every returned row."""
    for one in conditions_of(clause):
        if isinstance(one, exp.EQ):
            for column, value in ((one.this, one.expression), (one.expression, one.this)):
                if isinstance(column, exp.Column):
                    yield column, value


def conditions_of(clause: exp.Expr | None) -> Iterator[exp.Expr]:
    """Yield the conditions of a WHERE or an ON that each row meets."""
    condition = clause.this if isinstance(clause, exp.Where) else clause
    if isinstance(condition, exp.And):
        yield from condition.flatten()
    elif condition is not None:
        yield condition


def _is_pinned(name: str, left: Mapping[str, exp.Expr], equal: Sequence[_Equality]) -> bool:
    """Return whether each row of the pinned tables joins at most one row of a table."""
    source = left[name]
    if isinstance(source, exp.Subquery):
        return is_single(source.this)
    fixed = {
        column.name
        for narrowed, column, value in equal
        if name in narrowed and column.table in ("", name) and not _depends_on(value, left)
    }
    return any(key <= fixed for key in _keys(source.name))


def _depends_on(value: exp.Expr, left: Mapping[str, exp.Expr]) -> bool:
    return any(column.table in ("", *left) for column in value.find_all(exp.Column))


def _is_total(node: exp.Expr) -> bool:
    """Return whether ORDER BY orders every row uniquely."""
    order, left = node.args.get("order"), _unpinned(node)
    ordered = {
        (one.this.table, one.this.name)
        for one in (order.expressions if order else [])
        if isinstance(one.this, exp.Column)
    }
    return all(
        any(all(("", c) in ordered or (name, c) in ordered for c in key) for key in _keys(of.name))
        for name, of in left.items()
    )


def _keys(table: str) -> list[frozenset[str]]:
    """Return the unique keys of a table."""
    known = metadata.tables.get(table)
    if known is None:
        return []
    keys = [one.columns.keys() for one in (known.primary_key, *unique_constraints(known))]
    keys += [index.columns.keys() for index in known.indexes if index.unique]
    return [frozenset(key) for key in keys]
