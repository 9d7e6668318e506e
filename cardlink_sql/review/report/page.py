"""What every page of the report has around its content."""

from collections.abc import Iterable
from xml.etree.ElementTree import Element

from cardlink_sql.model.tables import metadata
from cardlink_sql.review.report.elements import Child, element, link, written
from cardlink_sql.review.report.facts import Facts
from cardlink_sql.review.report.places import INDEX, MATRIX, STYLE, gateway_file, table_file

_CONTENT = "page-content"


def page(facts: Facts, here: str, title: str, *content: Child, kind: str | None = None) -> str:
    """The HTML of a page.

    Args:
        facts: for the navigation.
        here: the page's own file.
        title: its heading.
        content: what stands below the heading.
        kind: what the heading names, such as ``Gateway``.
    """
    above = element("span", f"{kind} ", class_="kind") if kind else None
    return written(
        element(
            "html",
            element(
                "head",
                element("meta", charset="utf-8"),
                element("meta", name="viewport", content="width=device-width, initial-scale=1"),
                element("meta", name="color-scheme", content="light dark"),
                element("title", " · ".join(filter(None, (title, kind, "SQL of CardLink")))),
                element("link", rel="stylesheet", href=STYLE),
            ),
            element(
                "body",
                link(f"#{_CONTENT}", "To the content", class_="skip"),
                element("header", _navigation(facts, here), class_="top"),
                element("main", element("h1", above, title), *content, id=_CONTENT),
                element("footer", element("p", _ORIGIN)),
            ),
            lang="en",
        )
    )


_ORIGIN = (
    "Written by cardlink-db sql report from sql/, migrations/ and sql/lock/: the same files give "
    "the same report."
)


def table(head: Iterable[Child], rows: Iterable[Iterable[Child]]) -> Element:
    """A plain table."""
    return element(
        "table",
        element("thead", element("tr", (element("th", name, scope="col") for name in head))),
        element("tbody", (element("tr", (element("td", cell) for cell in row)) for row in rows)),
    )


def region(label: str, content: Element) -> Element:
    """What is wider than a narrow screen: it scrolls sideways, by the keyboard, too."""
    return element("div", content, class_="scroll", role="region", aria_label=label, tabindex=0)


def _navigation(facts: Facts, here: str) -> Element:
    groups = {
        "Report": {"Overview": INDEX, "Matrix": MATRIX},
        "Gateways": {gateway.name: gateway_file(gateway.name) for gateway in facts.gateways},
        "Tables": {name: table_file(name) for name in sorted(metadata.tables)},
    }
    return element(
        "nav",
        (
            element(
                "div",
                element("span", group),
                element(
                    "ul", (element("li", _entry(name, file, here)) for name, file in of.items())
                ),
            )
            for group, of in groups.items()
        ),
        aria_label="Pages",
    )


def _entry(name: str, file: str, here: str) -> Element:
    return link(file, name, aria_current="page" if file == here else None)
