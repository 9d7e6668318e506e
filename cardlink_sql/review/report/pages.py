"""Renders the templates of the report."""

import re
from collections.abc import Iterable, Mapping
from importlib import metadata
from importlib.resources import files
from operator import contains
from typing import Any, Final

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from cardlink_sql.dialect import Dialect
from cardlink_sql.formats.text import escaped
from cardlink_sql.model.tables import GROWING
from cardlink_sql.queries import Rows
from cardlink_sql.review.indexes import index_uses
from cardlink_sql.review.lock import REMEDY
from cardlink_sql.review.migrations.schema_dump import committed_schema
from cardlink_sql.review.report import layout
from cardlink_sql.review.report.facts import (
    Facts,
    compared_ddl,
    declared_forms,
    internal_statements,
    key_words,
    migration_locks,
    references,
)
from cardlink_sql.review.report.folder import INDEX
from cardlink_sql.review.statements.variants import query_text

_RETURNS: Final = {
    Rows.ONE: "one row or none",
    Rows.MANY: "any number of rows",
    Rows.SCALAR: "exactly one value",
    Rows.EXEC: "the number of rows changed",
    Rows.INSERT: "the key that the database assigned to the new row",
    Rows.BATCH: "the number of rows, many in one INSERT",
    Rows.COPY: "the number of rows, by PostgreSQL's COPY",
}

# Characters that HTML cannot hold, and those that reverse the direction of text (Unicode's
# bidirectional controls): a reviewer must see that they are there.
_CONTROLS: Final = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069"
    "\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]"
)
_CODE: Final = re.compile(r"``([^`]+)``|:\w+:`[.~]*([^`]+)`")


def render(facts: Facts) -> dict[str, str]:
    """Return the files of the report; the same facts make the same text."""
    gateways = {f"gateway-{one.name}.html": one for one in facts.gateways}
    tables = {f"table-{one.name}.html": one for one in facts.tables}
    pages: dict[str, tuple[str, Mapping[str, Any]]] = {
        INDEX: ("index", {"title": "The SQL of CardLink", "drawing": layout.lay_out(facts.tables)}),
        "matrix.html": ("matrix", {"title": "Queries against tables"}),
        "plans.html": (
            "scans_and_locks",
            {"title": "Plans and locks", "indexes": index_uses(), "locks": migration_locks()},
        ),
        "everything.html": (
            "everything",
            {"title": "Everything on one page", "internal": internal_statements()},
        ),
    }
    for file, gateway in gateways.items():
        pages[file] = "gateway", {"title": gateway.name, "kind": "Gateway", "gateway": gateway}
    for file, table in tables.items():
        forms = declared_forms(table.name)
        values = {"table": table, "forms": forms, "ddl": compared_ddl(forms)}
        pages[file] = "table", {"title": table.name, "kind": "Table", **values}
    environment = make_environment()
    environment.globals.update(
        facts=facts,
        release=metadata.version("cardlink-sql"),
        ours=[table.name for table in facts.tables],
        references=references(facts.tables),
        growing=GROWING,
        gateways=[(one.name, file) for file, one in gateways.items()],
        tables=sorted((one.name, file) for file, one in tables.items()),
    )
    made = {
        file: environment.get_template(f"{template}.html").render(here=file, **values)
        for file, (template, values) in pages.items()
    }
    style = files(__package__).joinpath("templates/report.css").read_text("utf-8")
    return {**made, "report.css": style}


def make_environment() -> Environment:
    """Return the templates with the words and functions that they use."""
    environment = Environment(
        loader=PackageLoader(__package__),
        autoescape=True,
        finalize=_visible,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"one_line": _one_line, "prose": _prose, "servers": _servers}
    environment.tests["containing"] = contains
    environment.globals.update(
        dialects=tuple(Dialect),
        key_words=key_words,
        returns=_RETURNS,
        remedy=REMEDY,
        layout=layout,
        query_text=query_text,
        committed_schema=committed_schema,
    )
    return environment


def _visible(value: Any) -> Any:
    """Return a value as it is printed: numbers short, invisible characters as escapes."""
    if isinstance(value, float):
        return f"{value:.1f}".removesuffix(".0")
    if isinstance(value, str) and not hasattr(value, "__html__"):
        return _CONTROLS.sub(lambda found: escaped(ord(found[0])), value)
    return value


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _prose(text: str) -> Markup:
    """Return a docstring's text; what it marks up as code becomes code."""
    return Markup(_CODE.sub(r"<code>\1\2</code>", str(escape(_visible(_one_line(text))))))  # noqa: S704


def _servers(dialects: Iterable[Dialect]) -> str:
    names = [dialect.servers for dialect in dialects]
    return "Every dialect" if len(names) == len(Dialect) else ", ".join(names)
