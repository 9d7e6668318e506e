"""The elements of a JUnit report while it is read: suites, tests and their verdicts."""

import hashlib
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from cardlink_sql.formats.junit.report import Case
from cardlink_sql.formats.junit.writing import UNKNOWN_HOST
from cardlink_sql.model.choices import TestStatus

# Of the output of a test, and of a property; the end matters most. Two outputs of only
# line breaks, each of which JSON writes as two characters, still fit into the metadata.
MAX_OUTPUT: Final = 32_768
MAX_PROPERTY: Final = 4_096
# The first of those that a test has is its status.
VERDICTS: Final = {
    "error": TestStatus.ERROR,
    "failure": TestStatus.FAILED,
    "skipped": TestStatus.SKIPPED,
}
# The kinds of skipped that say that nobody expects the test to pass: node's and pytest's.
_EXPECTED: Final = ("todo", "pytest.xfail")
# The verdict in an attribute of a test, where no element has one.
_SAID: Final = {
    **dict.fromkeys(("notrun", "skipped", "suppressed", "disabled", "ignored"), TestStatus.SKIPPED),
    **dict.fromkeys(("failed", "fail", "failure"), TestStatus.FAILED),
    **dict.fromkeys(("error", "errored", "broken"), TestStatus.ERROR),
}
_JAVA: Final = "java.version"


@dataclass
class Clock:
    """Where the tests of a suite have come to: a time, or so long after the report began."""

    start: datetime | None
    passed: timedelta = timedelta(0)


@dataclass
class Suite:
    """A suite around the place that is being read."""

    path: tuple[str, ...]
    clock: Clock
    hostname: str | None
    properties: dict[str, str]
    attributes: dict[str, str]
    # The last try of each test, and how many tests failed, those of suites inside included.
    cases: list[Case] = field(default_factory=list)
    failed: int = 0


@dataclass
class Verdict:
    """The text of an element such as ``failure``."""

    element: str
    attributes: dict[str, str]
    text: str = ""
    outputs: dict[str, str] = field(default_factory=dict)

    @property
    def full(self) -> str | None:
        message, text = self.attributes.get("message", "").strip(), self.text.strip()
        if message in text:
            return text or None
        return f"{message}\n\n{text}" if text else message


@dataclass
class ReadTest:
    """The testcase that is being read, or a verdict directly in a suite."""

    attributes: dict[str, str]
    element: str = "testcase"
    verdicts: list[Verdict] = field(default_factory=list)
    outputs: dict[str, str] = field(default_factory=dict)
    properties: dict[str, str] = field(default_factory=dict)


def number_tries(tries: list[Case]) -> None:
    """Let the last try count, and say how many there were."""
    total = sum(case.tries for case in tries)
    for case in tries:
        case.tries = 0
    tries[-1].tries = total


def count_of(attributes: dict[str, str], name: str) -> int:
    written = attributes.get(name, "")
    return int(written) if written.isascii() and written.isdecimal() and len(written) < 10 else 0


def status_of(test: ReadTest, verdicts: list[Verdict]) -> TestStatus:
    found = {verdict.element for verdict in verdicts}
    if any(one.attributes.get("type") in _EXPECTED for one in verdicts if one.element == "skipped"):
        found.discard("failure")
    for element, status in VERDICTS.items():
        if element in found:
            return status
    if test.attributes.get("success", "").lower() == "false":
        return TestStatus.FAILED
    said = (test.attributes.get(name, "").lower() for name in ("status", "result"))
    return next((_SAID[word] for word in said if word in _SAID), TestStatus.PASSED)


def metadata_of(
    test: ReadTest, suite: Suite, verdicts: list[Verdict], outputs: dict[str, str]
) -> dict[str, Any]:
    facts: dict[str, Any] = {}
    if suite.hostname and suite.hostname != UNKNOWN_HOST:
        facts["hostname"] = suite.hostname
    around = {} if _JAVA in suite.properties else suite.properties
    if properties := {**around, **test.properties}:
        facts["properties"] = properties
    facts |= {
        name: cut(output.strip(), MAX_OUTPUT) for name, output in outputs.items() if output.strip()
    }
    if verdicts and verdicts[0].element != "skipped":
        # A test that was skipped before its teardown broke off has the kind of the error.
        verdicts = [one for one in verdicts if one.element != "skipped"]
    kinds = (verdict.attributes.get("type") for verdict in verdicts)
    kind = next((kind for kind in kinds if kind), None)
    # The kind in our own reports where there is none.
    return facts if kind in (None, *TestStatus) else {**facts, "type": kind}


def names_of(attributes: dict[str, str], path: tuple[str, ...]) -> tuple[str, str]:
    test, suite = attributes.get("name") or "(no name)", attributes.get("classname", "")
    if not suite or ((suite == "test" or suite == attributes.get("name")) and path):
        suite = " > ".join(path) or "(no suite)"
    return _shortened(suite, 128), _shortened(test, 256)


def _shortened(name: str, longest: int) -> str:
    """A name that fits: cut, with a mark that differs from others that begin alike."""
    if len(name) <= longest:
        return name
    mark = hashlib.sha256(name.encode()).hexdigest()[:8]
    return f"{name[: longest - 9]}…{mark}"


def cut(text: str, longest: int) -> str:
    """Return the end of the text, where it is too long."""
    if len(text) <= longest:
        return text
    note = f"({len(text):,} characters, cut)\n"
    return note + text[len(note) - longest :]
