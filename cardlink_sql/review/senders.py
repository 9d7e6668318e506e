"""The gateway methods that send each query.

A method sends the query of its own name. One that sends another, or several, names them in its
docstring: "The query is ``set_active``", "The query is ``page_WORD``" for one of each table. It
also sends what the method of that name sends.
"""

import inspect
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from cardlink_sql.dialect import Dialect
from cardlink_sql.queries import load_internal, load_library
from cardlink_sql.review.statements.expected import gateway_classes
from cardlink_sql.review.statements.forms import forms_of


@dataclass(frozen=True, order=True)
class Sender:
    """A public method that sends a query, such as ``SessionGateway.find_open``, and its place."""

    method: str
    where: str


@cache
def senders(gateway: str) -> dict[str, tuple[Sender, ...]]:
    """Return the senders of each query of a gateway's SQL file, by the query's name."""
    made = gateway_classes()[gateway]
    methods = {
        name: method
        for name, method in inspect.getmembers(made, inspect.isfunction)
        if not name.startswith("_")
    }
    named = {name: {*_named(name, method.__doc__ or "")} for name, method in methods.items()}
    queries = {name for dialect in Dialect for name in load_library(dialect).gateway(gateway)}
    return {
        query: tuple(
            Sender(f"{made.__name__}.{method.__name__}", _where(method))
            for name, method in methods.items()
            # A namesake of a query brings all that it sends.
            for patterns in [named[name].union(*(named.get(one, ()) for one in named[name]))]
            if any(re.fullmatch(pattern, query) for pattern in patterns)
        )
        for query in sorted(queries)
    }


@cache
def internal_senders() -> dict[str, tuple[str, ...]]:
    """Return the modules that send each statement of ``sql/internal``, by its title."""
    package = Path(__file__).parent.parent
    files = sorted(package.rglob("*.py"))
    texts = {f"{file.relative_to(package.parent)}": file.read_text("utf-8") for file in files}
    found = {}
    for title in sorted(forms_of(map(load_internal, Dialect))):
        file, _, name = title.partition(".")
        # Some put the name in after the dot, and have it next to them.
        put_in = _containing(rf'f"{file}\.\{{', texts)
        rooms = {one.rpartition("/")[0] for one in put_in}
        near = {one: text for one, text in texts.items() if one.rpartition("/")[0] in rooms}
        whole = _containing(rf"[\"']{re.escape(title)}[\"']", texts)
        found[title] = tuple(sorted({*whole, *_containing(f'"{name}"', near)})) or put_in
    return found


def _containing(pattern: str, texts: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(name for name, text in texts.items() if re.search(pattern, text))


def _named(name: str, doc: str) -> Iterator[str]:
    """Yield the queries that a method sends, as patterns."""
    yield name
    for sentence in re.findall(r"[Tt]he quer(?:y|ies)\b(.*?)\.(?:\s|$)", doc, re.DOTALL):
        yield from (one.replace("WORD", r"\w+") for one in re.findall(r"``(\w+)``", sentence))


def _where(method: Any) -> str:
    return f"{method.__module__.replace('.', '/')}.py:{method.__code__.co_firstlineno}"
