"""The page of a table: its columns, keys and indexes, and the queries that touch it."""

from collections.abc import Iterator
from xml.etree.ElementTree import Element

from sqlalchemy import CheckConstraint, Column, DefaultClause, Table, UniqueConstraint

from cardlink_sql.dialect import Dialect
from cardlink_sql.model.tables import GROWING, metadata
from cardlink_sql.queries.lexer import tokenize
from cardlink_sql.review.report.diagram import sentence
from cardlink_sql.review.report.elements import Child, code, element, link, listed
from cardlink_sql.review.report.facts import Facts, QueryFacts
from cardlink_sql.review.report.letters import legend, on_column, on_row
from cardlink_sql.review.report.page import page, region
from cardlink_sql.review.report.places import column_anchor, query_place, table_file
from cardlink_sql.review.report.schema import Reference, column_type, key_words, references
from cardlink_sql.review.report.sql_text import Version, side_by_side
from cardlink_sql.review.schema_dump import committed_schema


def render_table(facts: Facts, of: Table) -> str:
    """The HTML of the page."""
    growth = "It grows with the traffic." if of.name in GROWING else None
    return page(
        facts,
        table_file(of.name),
        of.name,
        element("p", growth, class_="doc") if growth else None,
        element("h2", "Columns"),
        region("Columns", _columns(of)),
        element("h2", "Keys and checks"),
        _constraints(of),
        *_children(of),
        element("h2", "Indexes"),
        _indexes(of),
        element("h2", "Queries that read or write it"),
        legend(),
        region("Queries against columns", _queries(facts, of)),
        element("h2", "DDL"),
        _ddl(of),
        kind="Table",
    )


def _columns(of: Table) -> Element:
    types = [f"Type on {dialect.servers}" for dialect in Dialect]
    head = ("Column", "Keys", *types, "NULL", "Default")
    return element(
        "table",
        element("thead", element("tr", (element("th", name, scope="col") for name in head))),
        element("tbody", map(_column, of.columns)),
    )


def _column(column: Column[object]) -> Element:
    return element(
        "tr",
        element("th", code(column.name), scope="row"),
        element("td", _keys(column)),
        (element("td", code(column_type(column, dialect))) for dialect in Dialect),
        element("td", "may be" if column.nullable else "never"),
        element("td", _default(column)),
        id=column_anchor(column.name),
    )


def _default(column: Column[object]) -> Child:
    if column.identity is not None:
        return "a number of the database"
    default = column.server_default
    if not isinstance(default, DefaultClause):
        return None
    return code(f"'{default.arg}'" if isinstance(default.arg, str) else str(default.arg))


def _keys(column: Column[object]) -> Child:
    words: list[Child] = [*key_words(column)]
    targets = [key.column for key in column.foreign_keys]
    if targets:
        to = targets[0].table.name
        words[words.index("FK")] = link(table_file(to), f"FK to {to}")
    return listed(words)


def _constraints(of: Table) -> Element:
    primary = ", ".join(of.primary_key.columns.keys())
    unique = [key for key in of.constraints if isinstance(key, UniqueConstraint)]
    checks = [key for key in of.constraints if isinstance(key, CheckConstraint)]
    return element(
        "ul",
        element("li", code(str(of.primary_key.name)), f": primary key ({primary})"),
        (
            element("li", code(str(key.name)), f": unique ({', '.join(key.columns.keys())})")
            for key in sorted(unique, key=lambda key: str(key.name))
        ),
        (element("li", _reference(one, one.parent)) for one in references(of)),
        (
            element("li", code(str(key.name)), ": check ", code(str(key.sqltext)))
            for key in sorted(checks, key=lambda key: str(key.name))
        ),
    )


def _children(of: Table) -> Iterator[Element]:
    """The foreign keys that lead here."""
    every = [one for other in metadata.tables.values() for one in references(other)]
    leading = [one for one in every if one.parent == of.name]
    if leading:
        yield element("h2", "Referred to by")
        yield element("ul", (element("li", _reference(one, one.child)) for one in leading))


def _reference(one: Reference, other: str) -> Iterator[Child]:
    yield code(one.name)
    before, _, behind = sentence(one).partition(other)
    yield [": ", before, link(table_file(other), other), behind]


def _indexes(of: Table) -> Element:
    if not of.indexes:
        return element("p", "None beside the primary key.")
    return element(
        "ul",
        (
            element(
                "li",
                code(str(index.name)),
                f": {'unique ' if index.unique else ''}({', '.join(index.columns.keys())})",
            )
            for index in sorted(of.indexes, key=lambda index: str(index.name))
        ),
    )


def _queries(facts: Facts, of: Table) -> Element:
    """Who touches which column."""
    touching = [query for query in facts.queries if any(t.table == of.name for t in query.touches)]
    names = of.columns.keys()
    return element(
        "table",
        element(
            "thead",
            element(
                "tr",
                element("th", "Query", scope="col", class_="corner"),
                element("th", element("i", "whole rows"), scope="col", class_="turned"),
                (
                    element(
                        "th", link(f"#{column_anchor(name)}", name), scope="col", class_="turned"
                    )
                    for name in names
                ),
            ),
        ),
        element("tbody", (element("tr", _touches(query, of.name, names)) for query in touching)),
        class_="matrix columns",
    )


def _touches(query: QueryFacts, name: str, columns: list[str]) -> Iterator[Element]:
    touches = [touch for touch in query.touches if touch.table == name]
    place = link(query_place(query.gateway, query.name), code(query.title))
    yield element("th", place, scope="row")
    yield element("td", on_row(touches))
    for column in columns:
        yield element("td", on_column(touches, column))


def _ddl(of: Table) -> Element:
    """The canonical DDL of each dialect, held against the others."""
    versions = [
        Version(dialect.servers, (), tokenize(table_ddl(of.name, dialect), dialect))
        for dialect in Dialect
    ]
    return side_by_side(versions, "h3")


def table_ddl(name: str, dialect: Dialect) -> str:
    """The statements of the canonical DDL that make a table and its indexes."""
    _, opening, rest = committed_schema(dialect).partition(f"CREATE TABLE {name} (")
    return f"{opening}{rest.partition('CREATE TABLE ')[0]}".strip()
