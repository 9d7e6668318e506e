"""Which methods of the gateways send a query: the rule, held against the source."""

import inspect
import json
from pathlib import Path

import pytest

from cardlink_sql.dialect import Dialect
from cardlink_sql.queries import load_internal, load_library
from cardlink_sql.review.senders import senders
from cardlink_sql.review.statements.expected import gateway_classes
from tests.conftest import Run


def methods(title: str) -> list[str]:
    """The methods that send a query."""
    gateway, _, query = title.partition(".")
    return [one.method.partition(".")[2] for one in senders(gateway)[query]]


@pytest.mark.parametrize(
    ("title", "sent_by"),
    [
        ("sessions.find_open", ["find_open"]),
        ("devices.set_active", ["activate", "deactivate"]),
        ("exchange.page_cards", ["page"]),
        ("outbox.take_numbers", ["add"]),
        (
            "tests.find_without_start",
            [
                *("find_by_card", "find_by_date_range", "find_by_device", "find_by_filters"),
                *("find_by_status", "find_by_suite", "find_failures", "history"),
            ],
        ),
    ],
)
def test_a_method_sends_its_namesake_and_what_its_docstring_names(
    title: str, sent_by: list[str]
) -> None:
    assert methods(title) == sent_by


def test_a_sender_is_where_it_says() -> None:
    (sender,) = senders("sessions")["find_open"]
    file, _, line = sender.where.partition(":")
    assert sender.method == "SessionGateway.find_open"
    assert file == "cardlink_sql/gateways/sessions.py"
    source = Path(inspect.getfile(gateway_classes()["sessions"])).read_text("utf-8")
    assert "def find_open(" in source.splitlines()[int(line) - 1]


def test_every_statement_is_listed_with_what_sends_it(run: Run) -> None:
    listed = {one["name"]: one for one in json.loads(run("sql", "list", "--all", "--json").stdout)}
    for dialect in Dialect:
        for query in (*load_library(dialect).all(), *load_internal(dialect).all()):
            assert listed[query.title]["sent_by"] or "Never sent" in query.source.doc, query.title
    assert listed["sessions.find_open"]["sent_by"] == ["SessionGateway.find_open"]
    assert listed["review.index_uses"]["sent_by"] == ["cardlink_sql/review/indexes.py"]
    assert listed["connection.read_only"]["sent_by"]
    assert "SessionGateway.find_open" in run("sql", "list", "--all").stdout
