"""The gateway methods that send each query.

A method sends the query of its own name. One that sends another, or several, names them in its
docstring: "The query is ``set_active``", "The query is ``page_WORD``" for one of each table.
"""

import inspect
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

from cardlink_sql.dialect import Dialect
from cardlink_sql.queries import load_library
from cardlink_sql.review.expected import gateway_classes


@dataclass(frozen=True, order=True)
class Sender:
    """A public method that sends a query.

    Attributes:
        method: such as ``SessionGateway.find_open``.
        where: ``file:line`` of its definition.
    """

    method: str
    where: str


@cache
def senders(gateway: str) -> dict[str, tuple[Sender, ...]]:
    """Return the senders of each query of a gateway, by the query's name.

    Args:
        gateway: the name of its SQL file.
    """
    made = gateway_classes()[gateway]
    methods = [
        (method, set(_named(name, method.__doc__ or "")))
        for name, method in inspect.getmembers(made, inspect.isfunction)
        if not name.startswith("_")
    ]
    queries = {name for dialect in Dialect for name in load_library(dialect).gateway(gateway)}
    return {
        query: tuple(
            Sender(f"{made.__name__}.{method.__name__}", _where(method))
            for method, patterns in methods
            if any(re.fullmatch(pattern, query) for pattern in patterns)
        )
        for query in sorted(queries)
    }


def _named(name: str, doc: str) -> Iterator[str]:
    """Yield the queries that a method sends, as patterns."""
    yield name
    for sentence in re.findall(r"[Tt]he quer(?:y|ies)\b(.*?)\.(?:\s|$)", doc, re.DOTALL):
        yield from (one.replace("WORD", r"\w+") for one in re.findall(r"``(\w+)``", sentence))


def _where(method: Any) -> str:
    return f"{method.__module__.replace('.', '/')}.py:{method.__code__.co_firstlineno}"
