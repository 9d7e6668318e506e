"""Reads the JUnit XML that pytest, Surefire, gtest, jest and others write.

No two of them write the same. The rules of this reader:

- A test's suite is its ``classname``. Where that says nothing, because it repeats the name
  (jest) or is ``test`` (node), it is the names of the suites around the test.
- A test that was tried again (``rerunFailure``, ``flakyError`` and their like of Surefire) is a
  result for each try.
- A test starts when it says; else when its suite says, and after the tests before it. A time
  without a zone is UTC.
- ``system-out`` and ``system-err`` of a test, the properties of its suites and its own, and the
  host are in the metadata. Surefire's dump of Java's system properties is not, nor is the output
  of a whole suite.

A document type is refused, and with it every entity but XML's own five: a report needs none.
"""

import hashlib
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any, Final
from xml.parsers import expat

from cardlink_sql.errors import ValidationError
from cardlink_sql.formats.junit.report import Case, Report
from cardlink_sql.formats.junit.writing import UNKNOWN_HOST
from cardlink_sql.formats.text import read_bytes
from cardlink_sql.model import validation
from cardlink_sql.model.records import TestStatus

MAX_BYTES: Final = 64 * 1024 * 1024
# Of the output of a test, and of a property; the end matters most. Two outputs of line breaks
# alone, each of which JSON writes as two characters, still fit into the metadata.
MAX_OUTPUT: Final = 32_768
MAX_PROPERTY: Final = 4_096
MAX_DEPTH: Final = 100
MAX_SECONDS: Final = 10**10

# Surefire groups the digits by commas; Java may write an exponent.
_SECONDS: Final = re.compile(
    r"(?=[+-]?\.?\d)[+-]?(?:\d{1,3}(?:,\d{3})+|\d*)(?:\.\d*)?(?:[eE][+-]?\d{1,2})?", re.ASCII
)

_UTF16_MARKS: Final = (b"\xff\xfe", b"\xfe\xff")
# Some tools let them through, though XML forbids them.
_CONTROLS: Final = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f]")
_SUITES: Final = ("testsuites", "testsuite")
_VERDICTS: Final = {
    "skipped": TestStatus.SKIPPED,
    "error": TestStatus.ERROR,
    "failure": TestStatus.FAILED,
}
_EARLIER: Final = {"flakyFailure": TestStatus.FAILED, "flakyError": TestStatus.ERROR}
_LATER: Final = {"rerunFailure": TestStatus.FAILED, "rerunError": TestStatus.ERROR}
_OUTPUTS: Final = {"system-out": "system_out", "system-err": "system_err"}
_NOT_RUN: Final = frozenset({"notrun", "skipped", "suppressed", "disabled", "ignored"})
_JAVA: Final = "java.version"


def read_report(source: str | bytes | Path) -> Report:
    """Read and check a report.

    Args:
        source: a file, or the XML itself as text or bytes: text that begins with ``<`` is XML.

    Raises:
        ValidationError: the report cannot be read, is not JUnit XML, has a document type, or is
            larger than 64 MiB: ``file:line:column: what is wrong``.
    """
    data, name, encoding = _data(source)
    if len(data) > MAX_BYTES:
        raise ValidationError(
            f"the report is longer than {MAX_BYTES:,} bytes", name, "split the report"
        )
    digest = hashlib.sha256(data).hexdigest()
    if not data.startswith(_UTF16_MARKS):
        data = _CONTROLS.sub(lambda found: b"\\x%02x" % found[0][0], data)
    return _ReportReader(name, encoding).read(data, Report(digest))


def _data(source: str | bytes | Path) -> tuple[bytes, str, str | None]:
    if isinstance(source, bytes):
        return source, "report", None
    if isinstance(source, str) and source.lstrip("\ufeff \t\r\n").startswith("<"):
        return validation.text(source, "report", MAX_BYTES).encode(), "report", "utf-8"
    if not isinstance(source, str | Path):
        raise ValidationError(f"{type(source).__name__} is neither a file nor XML", "report")
    path = Path(source)
    return read_bytes(path, at_most=MAX_BYTES), str(path), None


@dataclass
class _Clock:
    """Where the tests of a suite have come to: a time, or so long after the report began."""

    start: datetime | None
    passed: timedelta = timedelta(0)


@dataclass
class _Suite:
    """A suite around the place that is being read."""

    path: tuple[str, ...]
    clock: _Clock
    hostname: str | None
    properties: dict[str, str]


@dataclass
class _Verdict:
    """The text of an element such as ``failure``."""

    element: str
    message: str
    kind: str
    text: str = ""

    @property
    def full(self) -> str | None:
        message, text = self.message.strip(), self.text.strip()
        if message in text:
            return text or None
        return f"{message}\n\n{text}" if text else message


@dataclass
class _Test:
    """The testcase that is being read."""

    attributes: dict[str, str]
    duration_ms: int
    started_at: datetime | None
    verdicts: list[_Verdict] = field(default_factory=list)
    outputs: dict[str, str] = field(default_factory=dict)
    properties: dict[str, str] = field(default_factory=dict)


class _ReportReader:
    """Takes the events of the parser."""

    def __init__(self, name: str, encoding: str | None) -> None:
        self._name = name
        self._parser = parser = expat.ParserCreate(encoding)
        parser.buffer_text = True
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._characters
        parser.StartDoctypeDeclHandler = self._refuse_doctype
        self._path: list[str] = []
        self._suites = [_Suite((), _Clock(None), None, {})]
        self._test: _Test | None = None
        self._text: list[str] = []
        self._report = Report("")

    def read(self, data: bytes, report: Report) -> Report:
        """Read all of it into the report."""
        self._report = report
        try:
            self._parser.Parse(data, True)  # noqa: FBT003 - expat takes it so
        except expat.ExpatError as error:
            where = f"{self._name}:{error.lineno}:{error.offset + 1}"
            reason = expat.ErrorString(error.code)
            raise ValidationError(f"no XML: {reason}", where) from None
        except (LookupError, ValueError) as error:
            if isinstance(error, ValidationError):
                raise
            raise ValidationError(f"no XML: {error}", self._name) from None
        return report

    def _fault(self, what: str, remedy: str | None = None) -> ValidationError:
        line, column = self._parser.CurrentLineNumber, self._parser.CurrentColumnNumber + 1
        return ValidationError(what, f"{self._name}:{line}:{column}", remedy)

    def _refuse_doctype(self, *_: Any) -> None:
        raise self._fault("a document type is refused", "take the <!DOCTYPE> out")

    # Elements

    def _start(self, element: str, attributes: dict[str, str]) -> None:
        if not self._path and element not in _SUITES:
            raise self._fault(f"expected testsuites or testsuite, got {element}: not JUnit")
        if len(self._path) == MAX_DEPTH:
            raise self._fault(f"elements are nested more than {MAX_DEPTH} deep")
        self._path.append(element)
        self._text = []
        if self._test is None:
            self._start_around(element, attributes)
        elif element in _VERDICTS or element in _EARLIER or element in _LATER:
            verdict = _Verdict(element, attributes.get("message", ""), attributes.get("type", ""))
            self._test.verdicts.append(verdict)
        elif element == "property":
            self._add_property(self._test.properties, attributes)
        elif element == "testcase":
            raise self._fault("a testcase inside a testcase")

    def _start_around(self, element: str, attributes: dict[str, str]) -> None:
        around = self._suites[-1]
        if element in _SUITES:
            self._suites.append(self._suite(element, attributes, around))
        elif element == "testcase":
            self._test = _Test(
                attributes,
                self._duration(attributes.get("time", "")),
                self._own_start(attributes),
            )
        elif element == "property":
            self._add_property(around.properties, attributes)

    def _suite(self, element: str, attributes: dict[str, str], around: _Suite) -> _Suite:
        name = attributes.get("name", "") if element == "testsuite" else ""
        start = self._moment(attributes)
        return _Suite(
            (*around.path, name) if name else around.path,
            around.clock if start is None else _Clock(start),
            attributes.get("hostname") or around.hostname,
            dict(around.properties),
        )

    def _end(self, element: str) -> None:
        self._path.pop()
        text, self._text = "".join(self._text), []
        test = self._test
        if test is None:
            if element in _SUITES:
                self._suites.pop()
            elif element == "property":
                self._add_text(self._suites[-1].properties, text)
        elif element == "property":
            self._add_text(test.properties, text)
        elif element == "testcase":
            self._add(test)
            self._test = None
        elif element in _OUTPUTS and self._path[-1] == "testcase":
            name = _OUTPUTS[element]
            test.outputs[name] = test.outputs.get(name, "") + text
        elif test.verdicts and element in ("stackTrace", test.verdicts[-1].element):
            test.verdicts[-1].text += text

    def _characters(self, text: str) -> None:
        self._text.append(text)

    # Values

    def _add_property(self, properties: dict[str, str], attributes: dict[str, str]) -> None:
        name = attributes.get("name")
        if name:
            # The last of one name counts, and replaces text that would be added.
            properties.pop(name, None)
            properties[name] = _cut(attributes.get("value", ""), MAX_PROPERTY)

    def _add_text(self, properties: dict[str, str], text: str) -> None:
        # Some write the value as text.
        last = next(reversed(properties), None)
        if last is not None and not properties[last]:
            properties[last] = _cut(text.strip(), MAX_PROPERTY)

    def _duration(self, written: str) -> int:
        """Whole milliseconds, cut; nothing written, and less than nothing, is none."""
        text = written.strip()
        if not text:
            return 0
        if _SECONDS.fullmatch(text):
            seconds = Decimal(text.replace(",", ""))
            if abs(seconds) < MAX_SECONDS:
                return max(int(seconds * 1000), 0)
        raise self._fault(f"time {written[:40]!r} is not a number of seconds")

    def _own_start(self, attributes: dict[str, str]) -> datetime | None:
        # gtest writes 1970 for what was not run.
        return None if attributes.get("status") == "notrun" else self._moment(attributes)

    def _moment(self, attributes: dict[str, str]) -> datetime | None:
        written = attributes.get("timestamp", "").strip()
        if not written:
            return None
        try:
            moment = _moment_of(written)
            return validation.moment(
                moment if moment.tzinfo else moment.replace(tzinfo=UTC), "timestamp"
            )
        except ValueError:
            raise self._fault(f"timestamp {written[:40]!r} is not a time in ISO 8601") from None

    # Tests

    def _add(self, test: _Test) -> None:
        suite = self._suites[-1]
        earlier = [verdict for verdict in test.verdicts if verdict.element in _EARLIER]
        later = [verdict for verdict in test.verdicts if verdict.element in _LATER]
        for verdict in earlier:
            self._add_try(test, suite, _EARLIER[verdict.element], [verdict])
        counted = [verdict for verdict in test.verdicts if verdict.element in _VERDICTS]
        self._add_try(test, suite, self._status(test, counted), counted, is_last=True)
        for verdict in later:
            self._add_try(test, suite, _LATER[verdict.element], [verdict])

    def _status(self, test: _Test, verdicts: list[_Verdict]) -> TestStatus:
        found = {verdict.element for verdict in verdicts}
        # A test that is skipped and failed is one that nobody expects to pass.
        for element, status in _VERDICTS.items():
            if element in found:
                return status
        said = {test.attributes.get("status"), test.attributes.get("result")}
        return TestStatus.SKIPPED if said & _NOT_RUN else TestStatus.PASSED

    def _add_try(
        self,
        test: _Test,
        suite: _Suite,
        status: TestStatus,
        verdicts: list[_Verdict],
        *,
        is_last: bool = False,
    ) -> None:
        clock, lasted = suite.clock, test.duration_ms if is_last else 0
        start = test.started_at
        if start is None and clock.start is not None:
            start = self._after(clock.start, clock.passed)
        messages = [message for verdict in verdicts if (message := verdict.full)]
        suite_name, test_name = _names(test.attributes, suite.path)
        self._report.cases.append(
            Case(
                suite_name,
                test_name,
                status,
                start,
                clock.passed,
                lasted,
                _cut("\n\n".join(messages), validation.MAX_TEXT) or None,
                self._metadata(test, suite, verdicts, is_last=is_last),
            )
        )
        try:
            clock.passed += timedelta(milliseconds=lasted)
        except OverflowError:
            raise self._fault("the tests of the suite lasted beyond time") from None

    def _after(self, start: datetime, passed: timedelta) -> datetime:
        try:
            return start + passed
        except OverflowError:
            raise self._fault("the test began beyond time") from None

    def _metadata(
        self, test: _Test, suite: _Suite, verdicts: list[_Verdict], *, is_last: bool
    ) -> dict[str, Any]:
        facts: dict[str, Any] = {}
        if suite.hostname and suite.hostname != UNKNOWN_HOST:
            facts["hostname"] = suite.hostname
        around = {} if _JAVA in suite.properties else suite.properties
        if properties := {**around, **test.properties}:
            facts["properties"] = properties
        if is_last:
            facts |= {
                name: _cut(output.strip(), MAX_OUTPUT)
                for name, output in test.outputs.items()
                if output.strip()
            }
        kind = next((verdict.kind for verdict in verdicts if verdict.kind), None)
        # What our own reports say where there is no kind.
        return facts if kind in (None, *TestStatus) else {**facts, "type": kind}


def _moment_of(written: str) -> datetime:
    """A time in ISO 8601, or as mail has it, which is what Mocha writes."""
    try:
        return datetime.fromisoformat(written)
    except ValueError:
        return parsedate_to_datetime(written)


def _names(attributes: dict[str, str], path: tuple[str, ...]) -> tuple[str, str]:
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


def _cut(text: str, longest: int) -> str:
    """The end of the text, where it is too long."""
    if len(text) <= longest:
        return text
    note = f"({len(text):,} characters, cut)\n"
    return note + text[len(note) - longest :]
