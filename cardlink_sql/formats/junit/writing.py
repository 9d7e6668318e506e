"""Writes a run as JUnit XML, as Jenkins and Surefire understand it.

Neither has a place for the device and the card of a single test, or for its start. So what
differs in suite, device, card, host or properties is written in its own ``testsuite``; a test's
start is that of its suite and the time of the tests before it. Tries are written as Surefire has
them: ``flakyFailure`` in a test that passed at last, ``rerunFailure`` in one that failed.
"""

import json
from collections.abc import Iterable
from typing import Any, Final
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from cardlink_sql.formats.junit.markup import visible
from cardlink_sql.formats.junit.vocabulary import (
    DEVICE,
    FAILING,
    ICCID,
    OUTPUTS,
    UNKNOWN_HOST,
    VERDICTS,
    facts_of,
)
from cardlink_sql.model.choices import TestStatus
from cardlink_sql.model.records.test_result import TestResult

STILL_OPEN: Final = "still open"

_ELEMENTS: Final = {status: element for element, status in VERDICTS.items()}

# The name, the host and the properties of a ``testsuite``.
_Suite = tuple[str, str, tuple[tuple[str, str], ...]]


def report_of(run_id: str, results: Iterable[TestResult]) -> str:
    """Return the results of a run, in their order, as a JUnit report.

    An open result is written as skipped, with the message ``still open``, unless it is recorded as
    failed or error: that is never hidden. Characters that XML forbids are written visibly, such as
    ``\\x1b``.
    """
    every = list(results)
    suites: dict[_Suite, list[TestResult]] = {}
    for result in every:
        suites.setdefault(_suite_of(result), []).append(result)
    counts = _counts(every)
    del counts["skipped"]
    root = _element(None, "testsuites", name=run_id, **counts, time=_time(every))
    for suite, of_suite in suites.items():
        _add_suite(root, suite, of_suite)
    indent(root)
    body = tostring(root, encoding="unicode")
    # ElementTree leaves a carriage return in text bare, and a parser would make a line feed of it.
    body = body.replace("\r", "&#13;")
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{body}\n'


def _suite_of(result: TestResult) -> _Suite:
    facts = facts_of(result)
    own = facts.get("properties")
    properties = {
        DEVICE: result.device_id,
        ICCID: result.card_iccid,
        **(own if isinstance(own, dict) else {}),
    }
    return (
        result.suite_name,
        str(facts.get("hostname") or UNKNOWN_HOST),
        tuple(
            (name, _plain(value)) for name, value in sorted(properties.items()) if value is not None
        ),
    )


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _add_suite(root: Element, suite: _Suite, results: list[TestResult]) -> None:
    name, hostname, properties = suite
    element = _element(
        root,
        "testsuite",
        name=name,
        **_counts(results),
        time=_time(results),
        timestamp=next((one.started_at.isoformat() for one in results if one.started_at), None),
        hostname=hostname,
    )
    if properties:
        listed = _element(element, "properties")
        for key, value in properties:
            _element(listed, "property", name=key, value=value)
    for tries in _tests(results):
        # Surefire has the first try that failed outside of a rerun, and a last one that passed.
        shown = tries[0] if tries[-1].status in FAILING else tries[-1]
        case = _element(
            element,
            "testcase",
            name=shown.test_name,
            classname=shown.suite_name,
            time=_time_of(shown),
        )
        _add_outcome(case, shown)
        for other in tries:
            if other is not shown:
                _add_try(case, other, "rerun" if shown is tries[0] else "flaky")


def _tests(results: list[TestResult]) -> Iterable[list[TestResult]]:
    """Return the tries of each test; one without a last try, such as after a purge, is a test."""
    earlier: dict[str, list[TestResult]] = {}
    for result in results:
        tries = earlier.setdefault(result.test_name, [])
        tries.append(result)
        if result.tries:
            yield earlier.pop(result.test_name)
    for tries in earlier.values():
        yield from ([one] for one in tries)


def _add_try(case: Element, result: TestResult, prefix: str) -> None:
    kind = "Error" if result.status is TestStatus.ERROR else "Failure"
    start, message = result.started_at, result.error_message or ""
    element = _element(
        case,
        f"{prefix}{kind}",
        message=message.strip().partition("\n")[0],
        type=facts_of(result).get("type"),
        time=_time_of(result),
        timestamp=None if start is None else start.isoformat(),
    )
    _element(element, "stackTrace").text = visible(message)
    _add_outputs(element, result)


def _add_outcome(case: Element, result: TestResult) -> None:
    facts, message = facts_of(result), result.error_message
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
    _add_outputs(case, result)


def _add_outputs(element: Element, result: TestResult) -> None:
    for tag, name in OUTPUTS.items():
        output = facts_of(result).get(name)
        if isinstance(output, str):
            _element(element, tag).text = visible(output)


def _counts(results: list[TestResult]) -> dict[str, str]:
    tests = [result for result in results if result.tries]
    known = [result.status for result in tests if not _is_unknown(result)]
    unknown = len(tests) - len(known)
    return {
        "tests": str(len(tests)),
        "failures": str(known.count(TestStatus.FAILED)),
        "errors": str(known.count(TestStatus.ERROR)),
        "skipped": str(known.count(TestStatus.SKIPPED) + unknown),
    }


def _is_unknown(result: TestResult) -> bool:
    """Whether it is open and recorded as nothing that must be seen."""
    return result.ended_at is None and result.status not in FAILING


def _time(results: Iterable[TestResult]) -> str:
    """Seconds with three decimals."""
    total = sum(result.duration_ms or 0 for result in results)
    return f"{total // 1000}.{total % 1000:03d}"


def _time_of(result: TestResult) -> str | None:
    """Return its duration; ``None`` if it ended and the duration is not known."""
    is_known = result.ended_at is None or result.duration_ms is not None
    return _time([result]) if is_known else None


def _element(parent: Element | None, tag: str, **attributes: Any) -> Element:
    given = {name: visible(str(value)) for name, value in attributes.items() if value is not None}
    return Element(tag, given) if parent is None else SubElement(parent, tag, given)
