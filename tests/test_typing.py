"""What a type checker says of calls, and that the types are those of the queries."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any, get_args, get_type_hints

import pytest

from cardlink_sql import Dialect
from cardlink_sql.gateways import filters
from cardlink_sql.gateways.base import Gateway
from cardlink_sql.gateways.cards import CardGateway
from cardlink_sql.gateways.devices import DeviceGateway
from cardlink_sql.gateways.logs import LogGateway
from cardlink_sql.gateways.sessions import SessionGateway
from cardlink_sql.gateways.settings import SettingGateway
from cardlink_sql.gateways.tests import TestGateway
from cardlink_sql.model.tables import GROWING
from cardlink_sql.queries.library import load_library

ROOT = Path(__file__).parents[1]
CALLS = ROOT / "tests" / "typed_calls.py"

TYPES: list[tuple[type[Gateway[Any, Any]], type[Any], Any]] = [
    (CardGateway, filters.CardFilter, filters.CardOrder),
    (DeviceGateway, filters.DeviceFilter, filters.DeviceOrder),
    (LogGateway, filters.LogFilter, filters.LogOrder),
    (SessionGateway, filters.SessionFilter, filters.SessionOrder),
    (SettingGateway, filters.SettingFilter, filters.SettingOrder),
    (TestGateway, filters.TestFilter, filters.TestOrder),
]
each_gateway = pytest.mark.parametrize(
    ("gateway", "filter_type", "order"), TYPES, ids=[gateway.name for gateway, *_ in TYPES]
)


def test_mypy_refuses_each_wrong_call_and_no_right_one() -> None:
    command = [sys.executable, "-m", "mypy", "--strict", "--no-error-summary", str(CALLS)]
    said = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert not said.stderr
    messages = re.findall(r"typed_calls\.py:(\d+): error: (.*)", said.stdout)
    expected = {
        number: line.partition("  # E: ")[2]
        for number, line in enumerate(CALLS.read_text().splitlines(), 1)
        if "  # E: " in line
    }
    assert {int(number) for number, _ in messages} == expected.keys(), said.stdout
    assert [text for number, text in messages if expected[int(number)] not in text] == []


@each_gateway
def test_a_filter_has_the_columns_of_its_query(
    gateway: type[Gateway[Any, Any]], filter_type: type[Any], order: Any
) -> None:
    library, hints = load_library(Dialect.SQLITE), get_type_hints(filter_type)
    nullable = {f"{name}_is_null" for name, hint in hints.items() if type(None) in get_args(hint)}
    for name in ("find_by", "count_by"):
        assert library.query(gateway.name, name).conditions == hints.keys() | nullable
    orders = {*library.query(gateway.name, "find_by").orders, gateway.default_order}
    assert {order.removesuffix(" desc") for order in orders} == set(get_args(order))


@each_gateway
def test_a_table_that_grows_is_filtered_and_ordered_by_what_an_index_serves(
    gateway: type[Gateway[Any, Any]], filter_type: type[Any], order: Any
) -> None:
    if gateway.table.name in GROWING:
        indexes = [
            list(gateway.table.primary_key),
            *map(list, (i.columns for i in gateway.table.indexes)),
        ]
        first = {columns[0].name for columns in indexes}
        assert {*get_type_hints(filter_type), *get_args(order)} <= first
