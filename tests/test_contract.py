"""The contract between the SQL files, the gateways, the migrated schema and the records.

What a query gives is declared in its gateway: the gateway's ``record``, or an entry of its
``gives``. ``cardlink-db sql check`` prepares every query of every dialect in each of its variants;
its tests run it on each database.
"""

import inspect

import pytest

from cardlink_sql.dialect import Dialect
from cardlink_sql.model import tables
from cardlink_sql.queries import load_library
from cardlink_sql.review.statements.expected import gateway_classes
from cardlink_sql.review.statements.statement import ParsedStatement
from cardlink_sql.review.statements.variants import as_written
from tests.conftest import ALL_DIALECTS


def test_every_query_is_sent_by_its_gateway_and_every_name_exists() -> None:
    for library in map(load_library, ALL_DIALECTS):
        assert {query.source.gateway for query in library.all()} == gateway_classes().keys()
        for name, gateway in gateway_classes().items():
            ours = [one for one in gateway.__mro__ if one.__module__.startswith("cardlink_sql.")]
            modules = {inspect.getmodule(one) for one in ours}
            source = "".join(inspect.getsource(module) for module in modules if module)
            for query in library.gateway(name):
                # Or the exchange's one method for all tables: f"page_{word}", f"page_{word}_since".
                shared = f'f"{query.split("_")[0]}_{{word}}{"_since" * query.endswith("_since")}"'
                assert f'"{query}"' in source or shared in source, f"nothing sends {name}.{query}"


def test_what_a_gateway_says_of_a_query_is_of_a_query_that_is_there() -> None:
    for name, gateway in gateway_classes().items():
        known = {query for dialect in ALL_DIALECTS for query in load_library(dialect).gateway(name)}
        assert gateway.gives.keys() <= known, name


@pytest.mark.parametrize(
    ("gateway", "copy", "batch"),
    [
        ("logs", "copy_log_batch", "add_log_batch"),
        ("exchange", "copy_logs", "insert_logs"),
        ("exchange", "copy_new_logs", "append_logs"),
    ],
)
def test_a_copy_takes_what_the_batch_takes(gateway: str, copy: str, batch: str) -> None:
    library = load_library(Dialect.POSTGRESQL)
    listed = ParsedStatement(as_written(library.query(gateway, copy))).listed
    assert listed == library.query(gateway, batch).as_written().names


def test_an_import_writes_every_column() -> None:
    library = load_library(Dialect.SQLITE)
    for word, table in EXCHANGED.items():
        insert = library.query("exchange", f"insert_{word}").as_written()
        assert insert.names == tuple(table.columns.keys())
        if word != "logs":
            assert library.query("exchange", f"update_{word}").required == set(insert.names)


EXCHANGED = {
    "devices": tables.devices,
    "cards": tables.card_profiles,
    "sessions": tables.ota_sessions,
    "logs": tables.comm_logs,
    "tests": tables.test_results,
    "settings": tables.settings,
}
