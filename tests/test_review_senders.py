"""Which methods of the gateways send a query."""

import inspect
import re
from pathlib import Path

import pytest

from cardlink_sql.dialect import Dialect
from cardlink_sql.queries import load_library
from cardlink_sql.review.expected import gateway_classes
from cardlink_sql.review.senders import senders


def named(title: str) -> list[str]:
    """The methods that name a query."""
    gateway, _, query = title.partition(".")
    return [one.method.partition(".")[2] for one in senders(gateway)[query].named]


def through(title: str) -> list[str]:
    """The methods that send a query because they call one of those."""
    gateway, _, query = title.partition(".")
    return [one.method.partition(".")[2] for one in senders(gateway)[query].through]


def test_every_query_has_a_sender() -> None:
    queries = {query.title for dialect in Dialect for query in load_library(dialect).all()}
    known = {f"{g}.{query}" for g in gateway_classes() for query in senders(g)}
    assert known == queries
    assert [title for title in queries if not named(title)] == []


@pytest.mark.parametrize(
    ("title", "methods"),
    [
        ("sessions.find_active", ["find_active"]),
        ("sessions.complete_session", ["complete_session"]),  # others are compared with its name
        ("devices.find_by", ["find_by", "find_one_by", "get_all", "paginate"]),  # by a helper
        ("devices.set_active", ["activate", "deactivate"]),
        ("cards.update", ["update"]),  # by super()
        ("logs.update", ["update"]),  # create notes an event of that name
        ("exchange.page_cards", ["page"]),  # from a table of the module
        ("outbox.take_numbers", ["add"]),
    ],
)
def test_a_sender_names_its_query(title: str, methods: list[str]) -> None:
    assert named(title) == methods


def test_who_calls_a_sender_is_told_apart() -> None:
    assert through("devices.find_by_type") == ["find_modems", "find_phones"]
    assert "start_session" in through("sessions.get_by_id")


def test_what_a_docstring_says_that_its_method_sends_is_sent() -> None:
    said = re.compile(r"[Tt]he quer(?:y|ies) (?:is|are)(?P<names>.*?)\.", re.DOTALL)
    for name, gateway in gateway_classes().items():
        for method, function in inspect.getmembers(gateway, inspect.isfunction):
            found = said.search(function.__doc__ or "")
            queries = re.findall(r"``(\w+)``", found["names"]) if found else []
            for query in queries:
                if query in senders(name) and not method.startswith("_"):
                    sent = [*named(f"{name}.{query}"), *through(f"{name}.{query}")]
                    assert method in sent, f"{name}.{method} says that it sends {query}"


def test_a_sender_is_where_it_says() -> None:
    (sender,) = senders("sessions")["find_active"].named
    file, _, line = sender.where.partition(":")
    assert sender.method == "SessionGateway.find_active"
    assert file == "cardlink_sql/gateways/sessions.py"
    source = Path(inspect.getfile(gateway_classes()["sessions"])).read_text("utf-8")
    assert "def find_active(" in source.splitlines()[int(line) - 1]
