"""A query, as the page of its gateway tells it."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Final, TypeAlias
from xml.etree.ElementTree import Element

from cardlink_sql.dialect import Dialect
from cardlink_sql.model.tables import metadata
from cardlink_sql.queries import Query, Rows
from cardlink_sql.review.lock import REMEDY
from cardlink_sql.review.report.elements import Child, code, element, link, listed
from cardlink_sql.review.report.facts import STATEMENT, Form, QueryFacts, Touch
from cardlink_sql.review.report.page import table
from cardlink_sql.review.report.places import column_place, table_file
from cardlink_sql.review.report.sql_text import Version, side_by_side, statement
from cardlink_sql.review.senders import Sender

# What a query gives: its columns with their types, in each dialect that tells.
Shape: TypeAlias = tuple[tuple[Dialect, tuple[tuple[str, str], ...]], ...]

GIVES: Final = {
    Rows.ONE: "one row or none",
    Rows.MANY: "any number of rows",
    Rows.SCALAR: "exactly one value",
    Rows.EXEC: "the number of rows changed",
    Rows.INSERT: "the key that the database gave the new row",
    Rows.BATCH: "the number of rows, many in one INSERT",
    Rows.COPY: "the number of rows, by PostgreSQL's COPY",
}


def query_section(query: QueryFacts, shared: Mapping[Shape, str]) -> Element:
    """A query: its documentation, its forms, what it takes, gives, reads and writes, its plan.

    Args:
        query: the query.
        shared: the anchors of the shapes that the page tells once.
    """
    is_told_by_form = len({form.query.source.doc for form in query.forms}) > 1
    return element(
        "section",
        element(
            "h2",
            link(f"#{query.name}", query.title),
            " ",
            element("span", f":{query.first.rows}", class_="rows"),
        ),
        None if is_told_by_form else _documentation(query.first),
        _out_of_date(query),
        element(
            "div",
            _statement(query.forms[0])
            if len(query.forms) == 1
            else _statements(query, with_documentation=is_told_by_form),
            element(
                "div",
                _parameters(query),
                _given(query, shared),
                _touched(query),
                _sent(query),
                class_="facts",
            ),
            class_="body",
        ),
        _plans(query),
        id=query.name,
        class_="query" if len(query.forms) == 1 else "query differing",
    )


def shape(query: QueryFacts) -> Shape:
    """The columns that a query gives, in each dialect that tells."""
    return tuple(
        (dialect, tuple(locked.columns.items()))
        for dialect, locked in query.locked.items()
        if locked.columns
    )


def shape_table(of: Shape) -> Element:
    """Columns with their types in each dialect."""
    types = {dialect: dict(columns) for dialect, columns in of}
    names = dict.fromkeys(name for _, columns in of for name, _ in columns)
    rows = ([code(name), *(_type(types[d].get(name)) for d in types)] for name in names)
    return table(["Column", *(dialect.servers for dialect in types)], rows)


def _value_table(of: Shape) -> Element:
    """The type of the only value, which each dialect names as it likes."""
    types = [columns[0][1] for _, columns in of]
    return table([dialect.servers for dialect, _ in of], [map(_type, types)])


def _documentation(query: Query) -> Element:
    return element("p", " ".join(query.source.doc.split()), class_="doc")


def _out_of_date(query: QueryFacts) -> Element | None:
    """A word of warning where a lock is of another text than the one that is shown."""
    old = [dialect for dialect, locked in query.locked.items() if not locked.is_current]
    if not old:
        return None
    what = f"The lock of {_servers(old)} is of another text than this one; {REMEDY}."
    return element("p", what, class_="warning")


# Its statement


def _statement(form: Form) -> Element:
    is_common = len(form.dialects) == len(Dialect)
    where = "for every dialect" if is_common else f"for {_servers(form.dialects)} alone"
    return element(
        "div",
        element("h3", "Statement"),
        element("p", code(form.query.where), f", {where}", class_="place"),
        _reasons(form.query),
        statement(form.tokens),
        class_="statement",
    )


def _statements(query: QueryFacts, *, with_documentation: bool) -> Element:
    legend = (element("mark", "Marked"), ": not in every form at this place.")
    versions = [
        Version(
            _servers(form.dialects),
            (
                element("p", code(form.query.where), class_="place"),
                _documentation(form.query) if with_documentation else None,
                *_reasons(form.query),
            ),
            form.tokens,
        )
        for form in query.forms
    ]
    return element(
        "div",
        element("h3", "Statements"),
        element("p", legend, class_="legend"),
        side_by_side(versions, "h4"),
        class_="statement",
    )


def _reasons(query: Query) -> list[Child]:
    """Why a form is as it is, in the words of its file."""
    source = query.source
    words = {"differs": source.differs, "only": source.only, "allow-scan": source.allow_scan}
    return [
        element("p", element("b", f"{word}:"), f" {reason}", class_="reason")
        for word, reason in words.items()
        if reason is not None
    ]


# What it takes and gives


def _fact(heading: str, *told: Child) -> Element:
    return element("section", element("h3", heading), *told, class_="fact")


def _parameters(query: QueryFacts) -> Element:
    first = query.first
    names = [*sorted(first.required), *sorted(first.conditions)]
    if not names:
        return _fact("Parameters", element("p", "None."))
    types = {
        dialect: locked.parameters
        for dialect, locked in query.locked.items()
        if any(locked.parameters.values())
    }
    rows = (
        [code(name), _when(first, name), *(_type(of.get(name)) for of in types.values())]
        for name in names
    )
    head = ["Name", "Given", *(f"Type on {dialect.servers}" for dialect in types)]
    return _fact("Parameters", table(head, rows), _orders(first))


def _when(query: Query, name: str) -> str:
    """Whether a parameter must be given, and with which others it brings lines in."""
    sort = ", a list" if name in query.source.lists else ""
    if name in query.required:
        return f"always{sort}"
    together = {other for line in query.source.lines if name in line.when for other in line.when}
    beside = " and ".join(sorted(together - {name}))
    return f"optional, with {beside}{sort}" if beside else f"optional{sort}"


def _orders(query: Query) -> Element | None:
    if not query.orders:
        return None
    orders = listed(map(code, query.orders))
    return element("p", "Orders to ask for: ", orders, ". Else the last one holds.")


def _given(query: QueryFacts, shared: Mapping[Shape, str]) -> Element:
    rows, found = query.first.rows, shape(query)
    told: list[Child] = [GIVES[rows][0].upper(), GIVES[rows][1:]]
    if query.record is not None:
        told += [", each as " if rows is Rows.MANY else ", as ", code(query.record)]
    if found in shared:
        columns = f"these {len(found[0][1])} columns"
        told += [": ", link(f"#{shared[found]}", columns)]
    below: Child = None
    if found and found not in shared:
        below = _value_table(found) if rows is Rows.SCALAR else shape_table(found)
    return _fact("Gives", element("p", told, "."), below)


# What it reads and writes, and who sends it


def _touched(query: QueryFacts) -> Element:
    heading = "Reads and writes"
    if not query.touches:
        return _fact(heading, element("p", "No table."))
    return _fact(
        heading,
        table(["Does", "Table", "Columns"], (_touch(one, query) for one in query.touches)),
    )


def _touch(one: Touch, query: QueryFacts) -> Iterator[Child]:
    yield element("span", one.does, class_=f"does {one.does}")
    yield _table(one)
    yield [*_columns(one), _limits(one, query)]


def _table(one: Touch) -> Element:
    return link(table_file(one.table), code(one.table)) if _is_ours(one) else code(one.table)


def _columns(one: Touch) -> list[Child]:
    if not one.columns:
        return ["whole rows"]
    if not _is_ours(one):
        return listed(map(code, one.columns))
    return listed(link(column_place(one.table, name), code(name)) for name in one.columns)


def _limits(one: Touch, query: QueryFacts) -> Element | None:
    """By what it is done, where not by the statement, and by which forms, where not by all."""
    by = "" if one.by == STATEMENT else f"by {one.by}"
    dialects = () if one.dialects == query.dialects else one.dialects
    words = ", ".join(filter(None, [by, _servers(dialects)]))
    return element("span", f" ({words})", class_="limits") if words else None


def _is_ours(one: Touch) -> bool:
    return one.table in metadata.tables


def _sent(query: QueryFacts) -> Element:
    named, through = query.senders.named, query.senders.through
    others = listed(code(one.method.rpartition(".")[2]) for one in through)
    return _fact(
        "Sent by",
        element("ul", map(_sender, named)),
        element("p", "By way of that: ", others, ".") if through else None,
    )


def _sender(sender: Sender) -> Element:
    return element("li", code(sender.method), " ", element("span", sender.where, class_="where"))


# How it is answered


def _plans(query: QueryFacts) -> Element | None:
    plans = {dialect: locked.plan for dialect, locked in query.locked.items() if locked.plan}
    if not plans:
        return None
    return element(
        "div",
        element("h3", "Plan"),
        element("div", (_plan(dialect, plan) for dialect, plan in plans.items()), class_="plans"),
    )


def _plan(dialect: Dialect, plan: Mapping[str, tuple[str, ...]]) -> Element:
    """The plans of a query in one dialect; variants that have the same one stand together."""
    labels: dict[tuple[str, ...], list[str]] = {}
    for label, lines in plan.items():
        labels.setdefault(lines, []).append(label)
    return element(
        "section",
        element("h4", dialect.servers),
        (
            [
                element("p", "; ".join(same), class_="variants") if len(plan) > 1 else None,
                element("pre", element("code", map(_plan_line, lines))),
            ]
            for lines, same in labels.items()
        ),
        class_="plan",
    )


def _plan_line(line: str) -> Element:
    return element("span", f"{line}\n", class_="line")


def _type(typed: str | None) -> Child:
    return code(typed) if typed else "—"


def _servers(dialects: Iterable[Dialect]) -> str:
    return ", ".join(dialect.servers for dialect in dialects)
