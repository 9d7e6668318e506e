"""The first page: what there is, and the schema."""

import inspect
from collections.abc import Iterator
from typing import Final
from xml.etree.ElementTree import Element

from sqlalchemy import Table

from cardlink_sql.model.tables import GROWING, metadata
from cardlink_sql.review.report.diagram import diagram, sentence
from cardlink_sql.review.report.elements import Child, code, element, link
from cardlink_sql.review.report.facts import WRITES, Facts, GatewayFacts
from cardlink_sql.review.report.page import page, region, table
from cardlink_sql.review.report.places import INDEX, MATRIX, gateway_file, table_file
from cardlink_sql.review.report.schema import references

_TABLES = tuple(metadata.tables.values())


def render_index(facts: Facts) -> str:
    """The HTML of the page."""
    return page(
        facts,
        INDEX,
        "The SQL of CardLink",
        _lead(),
        _figures(facts),
        element("h2", "Gateways"),
        region("Gateways", _gateways(facts)),
        element("h2", "Schema"),
        _migrated(facts),
        element(
            "figure",
            region("Entity diagram", diagram(metadata)),
            element("figcaption", _CAPTION),
        ),
        element("h3", "Tables"),
        region("Tables", _tables(facts)),
        element("h3", "Foreign keys"),
        element("ul", (element("li", sentence(one)) for of in _TABLES for one in references(of))),
        element("h2", "Where the types and plans come from"),
        _locks(facts),
    )


def _lead() -> Element:
    return element(
        "p",
        "Every statement that can reach the server, by the gateway that sends it: what it takes, "
        "gives, reads and writes, and where the dialects differ. ",
        link(MATRIX, "The matrix"),
        " has all queries against all tables.",
        class_="doc",
    )


_CAPTION: Final = (
    "PK primary key, FK foreign key, UQ unique; bold is NOT NULL; types are PostgreSQL's. At a "
    "line's left end a bar and a ring say that a row at its right end refers to one row or none, "
    "two bars that it refers to exactly one. The crow's foot says that any number may refer to the "
    "same; the words beside it are what becomes of them ON DELETE."
)


def _figures(facts: Facts) -> Element:
    queries = facts.queries
    columns = sum(len(of.columns) for of in _TABLES)
    figures = {
        "queries": len(queries),
        "of them write": sum(query.writes for query in queries),
        "of them differ": sum(query.differs for query in queries),
        "gateways": len(facts.gateways),
        "tables": len(_TABLES),
        "columns": columns,
        "indexes": sum(len(of.indexes) for of in _TABLES),
        "foreign keys": sum(len(references(of)) for of in _TABLES),
        "migrations": len(facts.migrations),
    }
    return element(
        "dl",
        (
            element("div", element("dt", name), element("dd", str(count)))
            for name, count in figures.items()
        ),
        class_="figures",
    )


def _gateways(facts: Facts) -> Element:
    head = ("Gateway", "What it is", "Queries", "Write", "Differ", "Tables")
    return table(head, map(_gateway, facts.gateways))


def _gateway(gateway: GatewayFacts) -> Iterator[Child]:
    tables = sorted({name for q in gateway.queries for name in q.tables("reads", *WRITES)})
    yield link(gateway_file(gateway.name), code(gateway.name))
    yield _subject(gateway)
    yield str(len(gateway.queries))
    yield str(sum(query.writes for query in gateway.queries))
    yield str(sum(query.differs for query in gateway.queries))
    yield ", ".join(name for name in tables if name in metadata.tables)


def _subject(gateway: GatewayFacts) -> str:
    """What its module begins with: its subject, then its files."""
    documented = inspect.getdoc(inspect.getmodule(gateway.made)) or ""
    return documented.partition("\n")[0].partition(": ``")[0]


def _migrated(facts: Facts) -> Element | None:
    if not facts.migrations:
        return None
    return element("p", "As the migrations up to ", code(facts.migrations[-1]), " make it.")


def _tables(facts: Facts) -> Element:
    head = ("Table", "Columns", "Indexes", "Queries that read", "That write", "Growth")
    return table(head, (_table(facts, of) for of in _TABLES))


def _table(facts: Facts, of: Table) -> Iterator[Child]:
    yield link(table_file(of.name), code(of.name))
    yield str(len(of.columns))
    yield str(len(of.indexes))
    yield str(sum(of.name in query.tables("reads") for query in facts.queries))
    yield str(sum(of.name in query.tables(*WRITES) for query in facts.queries))
    yield "with the traffic" if of.name in GROWING else None


def _locks(facts: Facts) -> Element:
    rows = [
        [
            dialect.servers,
            server,
            str(sum(dialect in query.locked for query in facts.queries)),
            str(
                sum(not q.locked[dialect].is_current for q in facts.queries if dialect in q.locked)
            ),
        ]
        for dialect, server in facts.servers.items()
    ]
    return table(("Dialect", "Written on", "Queries", "Out of date"), rows)
