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
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final
from xml.parsers import expat

from cardlink_sql.errors import ValidationError
from cardlink_sql.formats.junit import values
from cardlink_sql.formats.junit.elements import (
    MAX_PROPERTY,
    VERDICTS,
    Clock,
    ReadTest,
    Suite,
    Verdict,
    count_of,
    cut,
    metadata_of,
    names_of,
    number_tries,
    status_of,
)
from cardlink_sql.formats.junit.markup import text_of
from cardlink_sql.formats.junit.report import Case, Report
from cardlink_sql.formats.junit.tries import find_tries
from cardlink_sql.formats.text import read_bytes
from cardlink_sql.model import validation
from cardlink_sql.model.choices import TestStatus

MAX_BYTES: Final = 64 * 1024 * 1024
MAX_DEPTH: Final = 100
_LONGEST: Final = timedelta(days=100_000)

_NO_ELEMENTS: Final = expat.errors.codes[expat.errors.XML_ERROR_NO_ELEMENTS]
_UNFINISHED: Final = "the report is empty or cut off: run the tests again, to their end"

_SUITES: Final = ("testsuites", "testsuite")
_EARLIER: Final = {"flakyFailure": TestStatus.FAILED, "flakyError": TestStatus.ERROR}
_LATER: Final = {"rerunFailure": TestStatus.FAILED, "rerunError": TestStatus.ERROR}
_TRIES: Final = _EARLIER | _LATER
_OUTPUTS: Final = {"system-out": "system_out", "system-err": "system_err"}
_FAILING: Final = (TestStatus.FAILED, TestStatus.ERROR)


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
    return _ReportReader(name).read(text_of(data, name, encoding), report)


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

    def __init__(self, name: str) -> None:
        self._name = name
        self._parser = parser = expat.ParserCreate("utf-8")
        parser.buffer_text = True
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._characters
        parser.StartDoctypeDeclHandler = self._refuse_doctype
        self._path: list[str] = []
        self._suites = [Suite((), Clock(None), None, {}, {})]
        self._test: ReadTest | None = None
        # The text of each open element, without that of the elements in it.
        self._texts: list[list[str]] = []
        self._report = Report("")

    def read(self, text: str, report: Report) -> Report:
        """Read all of it into the report."""
        self._report = report
        try:
            self._parser.Parse(text, True)  # noqa: FBT003 - expat takes it so
        except expat.ExpatError as error:
            where = f"{self._name}:{error.lineno}:{error.offset + 1}"
            reason = expat.ErrorString(error.code)
            remedy = _UNFINISHED if error.code == _NO_ELEMENTS else None
            raise ValidationError(f"not XML: {reason}", where, remedy) from None
        report.cases = [case for case in report.cases if not case.is_joined]
        return report

    def _fault(self, what: str, remedy: str | None = None) -> ValidationError:
        line, column = self._parser.CurrentLineNumber, self._parser.CurrentColumnNumber + 1
        return ValidationError(what, f"{self._name}:{line}:{column}", remedy)

    def _refuse_doctype(self, *_: Any) -> None:
        raise self._fault("a document type is refused", "take the <!DOCTYPE> out")

    # Elements

    def _start(self, element: str, attributes: dict[str, str]) -> None:
        if not self._path and element not in _SUITES:
            raise self._fault(
                f"expected testsuites or testsuite, got {element}: not JUnit",
                "have the tests write JUnit XML, such as pytest --junitxml=report.xml",
            )
        if len(self._path) == MAX_DEPTH:
            raise self._fault(f"elements are nested more than {MAX_DEPTH} deep")
        self._path.append(element)
        self._texts.append([])
        if self._test is None:
            self._start_around(element, attributes)
        elif element in VERDICTS or element in _TRIES:
            self._test.verdicts.append(Verdict(element, attributes))
        elif element == "property":
            self._add_property(self._test.properties, attributes)
        elif element == "testcase":
            raise self._fault("a testcase inside a testcase")

    def _start_around(self, element: str, attributes: dict[str, str]) -> None:
        around = self._suites[-1]
        if element in _SUITES:
            self._suites.append(self._suite(element, attributes, around))
        elif element == "testcase":
            self._test = ReadTest(attributes)
        elif element in ("error", "failure"):
            verdict = Verdict(element, attributes)
            self._test = ReadTest({"name": "(suite)"}, element, verdicts=[verdict])
        elif element == "property":
            self._add_property(around.properties, attributes)

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

    def _end(self, element: str) -> None:
        self._path.pop()
        text = "".join(self._texts.pop())
        test = self._test
        if test is not None:
            self._end_inside(test, element, text)
        elif element in _SUITES:
            self._end_suite(self._suites.pop())
        elif element == "property":
            self._add_text(self._suites[-1].properties, text)

    def _end_inside(self, test: ReadTest, element: str, text: str) -> None:
        verdict = test.verdicts[-1] if test.verdicts else None
        if element == "property":
            self._add_text(test.properties, text)
        elif element in _OUTPUTS:
            is_of_try = verdict is not None and self._path[-1] == verdict.element
            outputs = verdict.outputs if verdict and is_of_try else test.outputs
            outputs[_OUTPUTS[element]] = outputs.get(_OUTPUTS[element], "") + text
        elif verdict and element in ("stackTrace", verdict.element):
            verdict.text += text
        elif element != test.element:
            self._texts[-1].append(text)  # markup in the text of the element around it
        if element == test.element and self._path[-1] in _SUITES:
            self._add(test)
            self._test = None

    def _end_suite(self, suite: Suite) -> None:
        find_tries(suite, self._suites[-1])
        failed = suite.failed + sum(case.status in _FAILING for case in suite.cases)
        said = count_of(suite.attributes, "failures") + count_of(suite.attributes, "errors")
        self._report.missing += max(said - failed, 0)
        self._suites[-1].failed += max(said, failed)

    def _characters(self, text: str) -> None:
        self._texts[-1].append(text)

    # Values

    def _add_property(self, properties: dict[str, str], attributes: dict[str, str]) -> None:
        name = attributes.get("name")
        if name:
            # The last of one name counts, and replaces text that would be added.
            properties.pop(name, None)
            properties[name] = cut(attributes.get("value", ""), MAX_PROPERTY)

    def _add_text(self, properties: dict[str, str], text: str) -> None:
        # Some write the value as text.
        last = next(reversed(properties), None)
        if last is not None and not properties[last]:
            properties[last] = cut(text.strip(), MAX_PROPERTY)

    def _duration(self, attributes: dict[str, str]) -> int | None:
        written = attributes.get("time")
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

    def _add(self, test: ReadTest) -> None:
        suite = self._suites[-1]
        counted = [verdict for verdict in test.verdicts if verdict.element in VERDICTS]
        tries = [
            self._case(test, suite, _EARLIER[one.element], [one], one.attributes, one.outputs)
            for one in test.verdicts
            if one.element in _EARLIER
        ]
        status = status_of(test, counted)
        if status is not TestStatus.SKIPPED:
            # Lists show how the message begins: with the failure.
            counted.sort(key=lambda verdict: verdict.element == "skipped")
        tries.append(self._case(test, suite, status, counted, test.attributes, test.outputs))
        tries += [
            self._case(test, suite, _LATER[one.element], [one], one.attributes, one.outputs)
            for one in test.verdicts
            if one.element in _LATER
        ]
        number_tries(tries)
        self._report.cases += tries
        suite.cases.append(tries[-1])

    def _case(
        self,
        test: ReadTest,
        suite: Suite,
        status: TestStatus,
        verdicts: list[Verdict],
        attributes: dict[str, str],
        outputs: dict[str, str],
    ) -> Case:
        clock, lasted = suite.clock, self._duration(attributes)
        messages = [message for verdict in verdicts if (message := verdict.full)]
        suite_name, test_name = names_of(test.attributes, suite.path)
        case = Case(
            suite_name,
            test_name,
            status,
            self._moment(attributes) or _after(clock.start, clock.passed),
            clock.passed,
            lasted,
            cut("\n\n".join(messages), validation.MAX_TEXT) or None,
            metadata_of(test, suite, verdicts, outputs),
            tuple(verdict.element for verdict in verdicts),
        )
        clock.passed = min(clock.passed + timedelta(milliseconds=lasted or 0), _LONGEST)
        return case


def _after(start: datetime | None, passed: timedelta) -> datetime | None:
    try:
        return start and start + passed
    except OverflowError:
        return None
