"""The words of JUnit XML, and of the metadata that keeps what a result has no column for."""

from collections.abc import Mapping
from typing import Any, Final

from cardlink_sql.model.choices import TestStatus
from cardlink_sql.model.records.test_result import TestResult

# The first of those that a test has is its status.
VERDICTS: Final = {
    "error": TestStatus.ERROR,
    "failure": TestStatus.FAILED,
    "skipped": TestStatus.SKIPPED,
}
FAILING: Final = (TestStatus.FAILED, TestStatus.ERROR)
# Tries before the last one, of a test that passed, and after the first one, of a test that failed.
EARLIER: Final = {"flakyFailure": TestStatus.FAILED, "flakyError": TestStatus.ERROR}
LATER: Final = {"rerunFailure": TestStatus.FAILED, "rerunError": TestStatus.ERROR}
# Names in the metadata, by element.
OUTPUTS: Final = {"system-out": "system_out", "system-err": "system_err"}
# Properties of a suite.
DEVICE: Final = "device"
ICCID: Final = "iccid"
# How the schema of JUnit's Ant task says that the host is not known.
UNKNOWN_HOST: Final = "localhost"


def facts_of(result: TestResult) -> Mapping[str, Any]:
    """Return a result's metadata; empty if it has none, or a list."""
    return result.metadata if isinstance(result.metadata, dict) else {}
