"""The page of a gateway: its queries one after the other."""

import inspect
from collections import Counter
from collections.abc import Iterator, Mapping
from xml.etree.ElementTree import Element

from cardlink_sql.review.report.elements import Child, code, element, link, listed, prose
from cardlink_sql.review.report.facts import WRITES, Facts, GatewayFacts, QueryFacts
from cardlink_sql.review.report.page import page, region, table
from cardlink_sql.review.report.places import gateway_file
from cardlink_sql.review.report.query_section import (
    GIVES,
    Shape,
    query_section,
    shape,
    shape_table,
)

_QUERIES = "page-queries"
# A shape of fewer columns is told with each of its queries.
_WIDE = 4


def render_gateway(facts: Facts, gateway: GatewayFacts) -> str:
    """The HTML of the page."""
    shared = _shared(gateway)
    return page(
        facts,
        gateway_file(gateway.name),
        gateway.name,
        *_about(gateway),
        element("h2", "Queries", id=_QUERIES),
        _contents(gateway),
        (query_section(query, shared) for query in gateway.queries),
        *_shapes(gateway, shared),
        kind="Gateway",
    )


def _about(gateway: GatewayFacts) -> Iterator[Element]:
    """The gateway in the words of its module and its class."""
    module = inspect.getmodule(gateway.made)
    for documented in (module, gateway.made):
        for paragraph in (inspect.getdoc(documented) or "").split("\n\n"):
            yield element("p", prose(" ".join(paragraph.split())), class_="doc")
    files = sorted({form.query.source.file for query in gateway.queries for form in query.forms})
    yield element(
        "p",
        code(gateway.made.__name__),
        f" in {gateway.made.__module__.replace('.', '/')}.py sends the statements of ",
        listed(code(file) for file in files),
        ".",
        class_="place",
    )


def _contents(gateway: GatewayFacts) -> Element:
    head = ("Query", "Does", "Gives", "Reads", "Writes", "Forms")
    return region("Queries", table(head, map(_entry, gateway.queries)))


def _entry(query: QueryFacts) -> Iterator[Child]:
    yield link(f"#{query.name}", code(query.name))
    yield first_sentence(query.first.source.doc)
    yield element("span", f":{query.first.rows}", title=GIVES[query.first.rows], class_="rows")
    yield listed(map(code, query.tables("reads")))
    yield listed(map(code, query.tables(*WRITES)))
    yield str(len(query.forms)) if query.differs else None


def first_sentence(text: str) -> str:
    """The first sentence of a documentation."""
    return " ".join(text.split()).partition(". ")[0].rstrip(".") + "."


def _shared(gateway: GatewayFacts) -> dict[Shape, str]:
    """The anchors of the shapes that several queries give."""
    counts = Counter(map(shape, gateway.queries))
    shapes = [one for one, n in counts.items() if n > 1 and one and len(one[0][1]) >= _WIDE]
    return {one: f"page-columns-{number}" for number, one in enumerate(shapes, 1)}


def _shapes(gateway: GatewayFacts, shared: Mapping[Shape, str]) -> Iterator[Element]:
    for of, anchor in shared.items():
        giving = [query for query in gateway.queries if shape(query) == of]
        record = next((query.record for query in giving if query.record), None)
        yield element(
            "section",
            element("h2", f"Columns of {record}" if record else "Columns"),
            element(
                "p",
                "Given by ",
                listed(link(f"#{query.name}", code(query.name)) for query in giving),
                ".",
            ),
            region("Columns", shape_table(of)),
            id=anchor,
        )
