"""Names, status and metadata of a test, from the elements of a JUnit report."""

import hashlib
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final
from xml.etree.ElementTree import Element

from cardlink_sql.formats.junit.report import Case
from cardlink_sql.formats.junit.vocabulary import EARLIER, LATER, OUTPUTS, UNKNOWN_HOST, VERDICTS
from cardlink_sql.model.choices import TestStatus

# Of the output of a test, and of a property; the end matters most. Two outputs of only
# line breaks, each of which JSON writes as two characters, still fit into the metadata.
MAX_OUTPUT: Final = 32_768
MAX_PROPERTY: Final = 4_096
# The kinds of skipped that say that nobody expects the test to pass: node's and pytest's.
_EXPECTED: Final = ("todo", "pytest.xfail")
# The verdict in an attribute of a test, where no element has one.
_SAID: Final = {
    **dict.fromkeys(("notrun", "skipped", "suppressed", "disabled", "ignored"), TestStatus.SKIPPED),
    **dict.fromkeys(("failed", "fail", "failure"), TestStatus.FAILED),
    **dict.fromkeys(("error", "errored", "broken"), TestStatus.ERROR),
}
_JAVA: Final = "java.version"
_TRIES: Final = {*EARLIER, *LATER}
# Elements that are not part of the text around them.
_APART: Final = {*VERDICTS, *_TRIES, *OUTPUTS, "property"}


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


def count_of(attributes: dict[str, str], name: str) -> int:
    written = attributes.get(name, "")
    return int(written) if written.isascii() and written.isdecimal() and len(written) < 10 else 0


def add_properties(properties: dict[str, str], element: Element) -> None:
    """Add the properties in an element; the last of one name counts."""
    for one in element.iter("property"):
        if name := one.get("name"):
            properties.pop(name, None)
            # Some write the value as text.
            properties[name] = cut(one.get("value") or _text_of(one).strip(), MAX_PROPERTY)


def outputs_of(source: Element) -> dict[str, str]:
    """Return the outputs of a test or a try, without its tries', by their name in the metadata."""
    outputs: dict[str, str] = {}
    for one in source:
        name = OUTPUTS.get(one.tag)
        found = {name: _text_of(one)} if name else outputs_of(one)
        for key, text in found.items() if one.tag not in _TRIES else ():
            outputs[key] = outputs.get(key, "") + text
    return outputs


def message_of(verdict: Element) -> str | None:
    message, text = verdict.get("message", "").strip(), _text_of(verdict).strip()
    if message in text:
        return text or None
    return f"{message}\n\n{text}" if text else message


def status_of(test: Element, verdicts: list[Element]) -> TestStatus:
    found = {verdict.tag for verdict in verdicts}
    if any(one.get("type") in _EXPECTED for one in verdicts if one.tag == "skipped"):
        found.discard("failure")
    for element, status in VERDICTS.items():
        if element in found:
            return status
    if test.get("success", "").lower() == "false":
        return TestStatus.FAILED
    said = (test.get(name, "").lower() for name in ("status", "result"))
    return next((_SAID[word] for word in said if word in _SAID), TestStatus.PASSED)


def metadata_of(
    test: Element, suite: Suite, verdicts: list[Element], outputs: dict[str, str]
) -> dict[str, Any]:
    facts: dict[str, Any] = {}
    if suite.hostname and suite.hostname != UNKNOWN_HOST:
        facts["hostname"] = suite.hostname
    own: dict[str, str] = {}
    add_properties(own, test)
    around = {} if _JAVA in suite.properties else suite.properties
    if properties := {**around, **own}:
        facts["properties"] = properties
    facts |= {
        name: cut(output.strip(), MAX_OUTPUT) for name, output in outputs.items() if output.strip()
    }
    if verdicts and verdicts[0].tag != "skipped":
        # A test that was skipped before its teardown broke off has the kind of the error.
        verdicts = [one for one in verdicts if one.tag != "skipped"]
    kinds = (verdict.get("type") for verdict in verdicts)
    kind = next((kind for kind in kinds if kind), None)
    # The kind in our own reports where there is none.
    return facts if kind in (None, *TestStatus) else {**facts, "type": kind}


def names_of(test: Element, path: tuple[str, ...]) -> tuple[str, str]:
    name, suite = test.get("name") or "(no name)", test.get("classname", "")
    if not suite or ((suite == "test" or suite == test.get("name")) and path):
        suite = " > ".join(path) or "(no suite)"
    return _shortened(suite, 128), _shortened(name, 256)


def _shortened(name: str, longest: int) -> str:
    """A name that fits: cut, with a mark that differs from others that begin alike."""
    if len(name) <= longest:
        return name
    mark = hashlib.sha256(name.encode()).hexdigest()[:8]
    return f"{name[: longest - 9]}…{mark}"


def _text_of(element: Element) -> str:
    """Return the text of an element and of the markup in it."""
    parts = [element.text or ""]
    for child in element:
        if child.tag not in _APART:
            parts.append(_text_of(child))
        parts.append(child.tail or "")
    return "".join(parts)


def cut(text: str, longest: int) -> str:
    """Return the end of the text, where it is too long."""
    if len(text) <= longest:
        return text
    note = f"({len(text):,} characters, cut)\n"
    return note + text[len(note) - longest :]
