"""Test results: ``sql/*/tests.sql``."""

from cardlink_sql.gateways.base import Gateway
from cardlink_sql.records import TestResult
from cardlink_sql.tables import test_results


class TestGateway(Gateway[TestResult]):
    """The test results, in the order of their start where nothing else is said."""

    __test__ = False  # pytest would collect it by its name

    __slots__ = ()
    name = "tests"
    table = test_results
    record = TestResult
    key = "id"
    default_order = "started_at"
