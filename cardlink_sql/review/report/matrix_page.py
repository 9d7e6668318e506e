"""The matrix of queries against tables."""

from collections.abc import Iterator
from xml.etree.ElementTree import Element

from cardlink_sql.model.tables import metadata
from cardlink_sql.review.report.elements import code, element, link, listed
from cardlink_sql.review.report.facts import Facts, GatewayFacts, QueryFacts
from cardlink_sql.review.report.letters import legend, letters
from cardlink_sql.review.report.page import page
from cardlink_sql.review.report.places import MATRIX, gateway_file, query_place, table_file

_TABLES = tuple(metadata.tables)


def render_matrix(facts: Facts) -> str:
    """The HTML of the page."""
    return page(facts, MATRIX, "Queries against tables", legend(), _matrix(facts))


def _matrix(facts: Facts) -> Element:
    return element(
        "table",
        element(
            "thead",
            element(
                "tr",
                element("th", "Query", scope="col", class_="corner"),
                (_table_head(name) for name in _TABLES),
                element("th", element("span", "beside them"), scope="col", class_="beside"),
            ),
        ),
        map(_of_gateway, facts.gateways),
        class_="matrix",
    )


def _table_head(name: str) -> Element:
    return element("th", link(table_file(name), name), scope="col", class_="turned")


def _of_gateway(gateway: GatewayFacts) -> Element:
    columns = len(_TABLES) + 2
    name = link(gateway_file(gateway.name), gateway.name)
    return element(
        "tbody",
        element("tr", element("th", name, scope="rowgroup", colspan=columns), class_="group"),
        (element("tr", _cells(query)) for query in gateway.queries),
    )


def _cells(query: QueryFacts) -> Iterator[Element]:
    name = link(query_place(query.gateway, query.name), code(query.name))
    yield element("th", name, scope="row")
    for one in _TABLES:
        yield element("td", letters(touch for touch in query.touches if touch.table == one))
    others = sorted({touch.table for touch in query.touches} - set(_TABLES))
    yield element("td", listed(map(code, others)), class_="beside")
