"""Writes a run as JUnit XML, as Jenkins and Surefire understand it.

Neither has a place for the device and the card of a single test, or for its start. So what
differs in suite, device, card, host or properties is written in its own ``testsuite``; a test's
start is that of its suite and the time of the tests before it.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from cardlink_sql.formats.junit.markup import visible
from cardlink_sql.model.records import TestResult, TestStatus

# How the schema of JUnit's Ant task says that the host is not known.
UNKNOWN_HOST: Final = "localhost"
STILL_OPEN: Final = "still open"
DEVICE: Final = "device"
ICCID: Final = "iccid"

_ELEMENTS: Final = {
    TestStatus.FAILED: "failure",
    TestStatus.ERROR: "error",
    TestStatus.SKIPPED: "skipped",
}
_OUTPUTS: Final = {"system_out": "system-out", "system_err": "system-err"}


def report_of(run_id: str, results: Iterable[TestResult]) -> str:
    """The results of a run, in their order, as a JUnit report.

    An open result is written as skipped, with the message ``still open``, unless it is recorded as
    failed or error: that is never hidden. Characters that XML forbids are written visibly, such as
    ``\\x1b``.
    """
    suites: dict[tuple[Any, ...], _Suite] = {}
    for result in results:
        suite = _suite_of(result)
        suites.setdefault(suite.key, suite).results.append(result)
    every = [result for suite in suites.values() for result in suite.results]
    counts = _counts(every)
    del counts["skipped"]
    root = _element(None, "testsuites", name=run_id, **counts, time=_time(every))
    for suite in suites.values():
        _add_suite(root, suite)
    indent(root)
    body = tostring(root, encoding="unicode")
    # ElementTree leaves a carriage return in text bare, and a parser would make a line feed of it.
    body = body.replace("\r", "&#13;")
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{body}\n'


@dataclass
class _Suite:
    """The results of one ``testsuite``."""

    name: str
    hostname: str
    properties: dict[str, str]
    results: list[TestResult] = field(default_factory=list)

    @property
    def key(self) -> tuple[Any, ...]:
        return self.name, self.hostname, *self.properties.items()

    @property
    def start(self) -> datetime | None:
        return next((one.started_at for one in self.results if one.started_at), None)


def _suite_of(result: TestResult) -> _Suite:
    facts = _facts(result)
    own = facts.get("properties")
    properties = {
        DEVICE: result.device_id,
        ICCID: result.card_iccid,
        **(own if isinstance(own, dict) else {}),
    }
    return _Suite(
        result.suite_name,
        str(facts.get("hostname") or UNKNOWN_HOST),
        {name: _plain(value) for name, value in sorted(properties.items()) if value is not None},
    )


def _facts(result: TestResult) -> Mapping[str, Any]:
    return result.metadata if isinstance(result.metadata, dict) else {}


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _add_suite(root: Element, suite: _Suite) -> None:
    start = suite.start
    element = _element(
        root,
        "testsuite",
        name=suite.name,
        **_counts(suite.results),
        time=_time(suite.results),
        timestamp=None if start is None else start.isoformat(),
        hostname=suite.hostname,
    )
    if suite.properties:
        properties = _element(element, "properties")
        for name, value in suite.properties.items():
            _element(properties, "property", name=name, value=value)
    for result in suite.results:
        case = _element(
            element,
            "testcase",
            name=result.test_name,
            classname=result.suite_name,
            time=_time([result]),
        )
        _add_outcome(case, result)


def _add_outcome(case: Element, result: TestResult) -> None:
    facts, message = _facts(result), result.error_message
    kind = facts.get("type")
    if _is_unknown(result):
        _element(case, "skipped", message=STILL_OPEN)
    elif result.status is TestStatus.SKIPPED:
        _element(case, "skipped", type=kind, message=message)
    elif result.status is not TestStatus.PASSED:
        text = message or (STILL_OPEN if result.ended_at is None else "")
        headline = text.strip().partition("\n")[0]
        outcome = _element(
            case,
            _ELEMENTS[result.status],
            type=kind or result.status.value,
            message=headline,
        )
        outcome.text = visible(text)
    for name, tag in _OUTPUTS.items():
        output = facts.get(name)
        if isinstance(output, str):
            _element(case, tag).text = visible(output)


def _counts(results: list[TestResult]) -> dict[str, str]:
    known = [result.status for result in results if not _is_unknown(result)]
    unknown = len(results) - len(known)
    return {
        "tests": str(len(results)),
        "failures": str(known.count(TestStatus.FAILED)),
        "errors": str(known.count(TestStatus.ERROR)),
        "skipped": str(known.count(TestStatus.SKIPPED) + unknown),
    }


def _is_unknown(result: TestResult) -> bool:
    """Whether it is open and recorded as nothing that must be seen."""
    failed = (TestStatus.FAILED, TestStatus.ERROR)
    return result.ended_at is None and result.status not in failed


def _time(results: Iterable[TestResult]) -> str:
    """Seconds with three decimals."""
    total = sum(result.duration_ms or 0 for result in results)
    return f"{total // 1000}.{total % 1000:03d}"


def _element(parent: Element | None, tag: str, **attributes: Any) -> Element:
    given = {name: visible(str(value)) for name, value in attributes.items() if value is not None}
    return Element(tag, given) if parent is None else SubElement(parent, tag, given)
