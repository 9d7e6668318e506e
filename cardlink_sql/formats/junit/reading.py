"""Reads the JUnit XML that pytest, Surefire, gtest, jest and others write.

No two of them write the same. The rules of this reader:

- A test's suite is its ``classname``. Where that says nothing, because it repeats the name
  (jest) or is ``test`` (node), it is the names of the suites around the test.
- An ``error`` or ``failure`` outside of a test, directly in a suite, is a separate result: a
  class that could not be set up.
- A test that was tried again is a result for each try, and counts by its last one. Surefire and
  nextest write ``rerunFailure``, ``flakyError`` and their like; pytest-rerunfailures writes each
  failed try as an empty test, and the number of tests without them. pytest writes a failure
  and the teardown that broke off after it as two tests; they become one result.
- A test starts when it says; else when its suite says, and after the tests before it. A time
  without a zone is UTC. A time that cannot be read counts as not written.
- ``system-out`` and ``system-err`` of a test or a try, the properties of its suites and its own,
  and the host are in the metadata. Surefire's dump of Java's system properties is not, nor is the
  output of a whole suite.

A document type is refused, and with it every entity but XML's own five: a report needs none.
"""

import hashlib
from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat

from cardlink_sql.errors import ValidationError
from cardlink_sql.formats.junit import values
from cardlink_sql.formats.junit.elements import (
    Clock,
    Suite,
    add_properties,
    count_of,
    cut,
    message_of,
    metadata_of,
    names_of,
    outputs_of,
    status_of,
)
from cardlink_sql.formats.junit.markup import text_of
from cardlink_sql.formats.junit.report import Case, Report
from cardlink_sql.formats.junit.tries import find_tries, number_tries
from cardlink_sql.formats.junit.vocabulary import EARLIER, FAILING, LATER, VERDICTS
from cardlink_sql.formats.text import read_bytes
from cardlink_sql.model import validation
from cardlink_sql.model.choices import TestStatus
from cardlink_sql.model.records.test_result import TestResult

MAX_BYTES: Final = 64 * 1024 * 1024
MAX_DEPTH: Final = 100
_LONGEST: Final = timedelta(days=100_000)

_NO_ELEMENTS: Final = expat.errors.codes[expat.errors.XML_ERROR_NO_ELEMENTS]
_UNFINISHED: Final = "the report is empty or cut off: run the tests again, to their end"

_SUITES: Final = ("testsuites", "testsuite")
# Elements in a suite that are read as a whole.
_WHOLE: Final = ("testcase", "error", "failure", "property")


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
    report = Report(hashlib.sha256(data).hexdigest())
    return _ReportReader(name, report).read(text_of(data, name, encoding))


def _data(source: str | bytes | Path) -> tuple[bytes, str, str | None]:
    if isinstance(source, bytes):
        return source, "report", None
    if isinstance(source, str) and source.lstrip("\ufeff \t\r\n").startswith("<"):
        return source.encode("utf-8", "backslashreplace"), "report", "utf-8"
    if not isinstance(source, str | Path):
        raise ValidationError(f"{type(source).__name__} is neither a file nor XML", "report")
    path = Path(source)
    return read_bytes(path, at_most=MAX_BYTES), str(path), None


class _ReportReader:
    """Takes the events of the parser."""

    def __init__(self, name: str, report: Report) -> None:
        self._name = name
        self._report = report
        self._parser = parser = expat.ParserCreate("utf-8")
        parser.buffer_text = True
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._characters
        parser.StartDoctypeDeclHandler = self._refuse_doctype
        self._depth = 0
        self._suites = [Suite((), Clock(None), None, {}, {})]
        # The element in a suite that is being read, and how deep it is.
        self._tree: TreeBuilder | None = None
        self._tree_depth = 0

    def read(self, text: str) -> Report:
        """Read all of it into the report, and return that."""
        try:
            self._parser.Parse(text, True)  # noqa: FBT003 - expat takes it so
        except expat.ExpatError as error:
            where = f"{self._name}:{error.lineno}:{error.offset + 1}"
            reason = expat.ErrorString(error.code)
            remedy = _UNFINISHED if error.code == _NO_ELEMENTS else None
            raise ValidationError(f"not XML: {reason}", where, remedy) from None
        self._report.cases = [case for case in self._report.cases if not case.is_joined]
        return self._report

    def _fault(self, what: str, remedy: str | None = None) -> ValidationError:
        line, column = self._parser.CurrentLineNumber, self._parser.CurrentColumnNumber + 1
        return ValidationError(what, f"{self._name}:{line}:{column}", remedy)

    def _refuse_doctype(self, *_: Any) -> None:
        raise self._fault("a document type is refused", "take the <!DOCTYPE> out")

    # Elements

    def _start(self, element: str, attributes: dict[str, str]) -> None:
        if not self._depth and element not in _SUITES:
            raise self._fault(
                f"expected testsuites or testsuite, got {element}: not JUnit",
                "have the tests write JUnit XML, such as pytest --junitxml=report.xml",
            )
        if self._depth == MAX_DEPTH:
            raise self._fault(f"elements are nested more than {MAX_DEPTH} deep")
        self._depth += 1
        if self._tree is not None and element == "testcase":
            raise self._fault("a testcase inside a testcase")
        if self._tree is None and element in _SUITES:
            self._suites.append(self._suite(element, attributes, self._suites[-1]))
        elif self._tree is None and element in _WHOLE:
            self._tree, self._tree_depth = TreeBuilder(), self._depth
        if self._tree is not None:
            self._tree.start(element, attributes)

    def _suite(self, element: str, attributes: dict[str, str], around: Suite) -> Suite:
        name = attributes.get("name", "") if element == "testsuite" else ""
        start = self._moment(attributes)
        return Suite(
            (*around.path, name) if name else around.path,
            around.clock if start is None else Clock(start),
            attributes.get("hostname") or around.hostname,
            dict(around.properties),
            attributes,
        )

    def _characters(self, text: str) -> None:
        if self._tree is not None:
            self._tree.data(text)

    def _end(self, element: str) -> None:
        if self._tree is not None:
            self._tree.end(element)
            if self._depth == self._tree_depth:
                whole, self._tree = self._tree.close(), None
                self._add(whole)
        elif element in _SUITES:
            self._end_suite(self._suites.pop())
        self._depth -= 1

    def _end_suite(self, suite: Suite) -> None:
        find_tries(suite, self._suites[-1])
        failed = suite.failed + sum(case.result.status in FAILING for case in suite.cases)
        said = count_of(suite.attributes, "failures") + count_of(suite.attributes, "errors")
        self._report.missing += max(said - failed, 0)
        self._suites[-1].failed += max(said, failed)

    def _add(self, element: Element) -> None:
        if element.tag == "property":
            add_properties(self._suites[-1].properties, element)
        elif element.tag == "testcase":
            self._add_test(element)
        else:
            test = Element("testcase", name="(suite)")
            test.append(element)
            self._add_test(test)

    # Values

    def _duration(self, element: Element) -> int | None:
        written = element.get("time")
        if written is None:
            return None
        duration = values.milliseconds(written)
        if duration is None:
            self._report.unread += 1
        return duration

    def _moment(self, attributes: dict[str, str]) -> datetime | None:
        written = attributes.get("timestamp", "").strip()
        # gtest writes 1970 for what was not run.
        if not written or attributes.get("status") == "notrun":
            return None
        found = values.moment(written)
        if found is None:
            self._report.unread += 1
        return found

    # Tests

    def _add_test(self, test: Element) -> None:
        suite = self._suites[-1]
        verdicts = [one for one in test.iter() if one.tag in VERDICTS]
        status = status_of(test, verdicts)
        if status is not TestStatus.SKIPPED:
            # Lists show how the message begins: with the failure.
            verdicts.sort(key=lambda verdict: verdict.tag == "skipped")
        tries = [
            *self._tries(test, suite, EARLIER),
            self._case(test, suite, status, test, verdicts),
            *self._tries(test, suite, LATER),
        ]
        number_tries(tries)
        self._report.cases += tries
        suite.cases.append(tries[-1])

    def _tries(self, test: Element, suite: Suite, statuses: Mapping[str, TestStatus]) -> list[Case]:
        return [
            self._case(test, suite, statuses[one.tag], one, [one])
            for one in test.iter()
            if one.tag in statuses
        ]

    def _case(
        self,
        test: Element,
        suite: Suite,
        status: TestStatus,
        source: Element,
        verdicts: list[Element],
    ) -> Case:
        """Return a try of a test; its time and outputs are those of the element ``source``."""
        clock, lasted = suite.clock, self._duration(source)
        messages = [message for verdict in verdicts if (message := message_of(verdict))]
        suite_name, test_name = names_of(test, suite.path)
        result = TestResult(
            id="",
            run_id="",
            suite_name=suite_name,
            test_name=test_name,
            status=status,
            started_at=self._moment(source.attrib) or _after(clock.start, clock.passed),
            duration_ms=lasted,
            error_message=cut("\n\n".join(messages), validation.MAX_TEXT) or None,
            metadata=metadata_of(test, suite, verdicts, outputs_of(source)),
        )
        case = Case(result, clock.passed, tuple(verdict.tag for verdict in verdicts))
        clock.passed = min(clock.passed + timedelta(milliseconds=lasted or 0), _LONGEST)
        return case


def _after(start: datetime | None, passed: timedelta) -> datetime | None:
    try:
        return start and start + passed
    except OverflowError:
        return None
