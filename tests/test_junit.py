"""JUnit XML: a run written as a report, and the reports of other tools recorded."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import perf_counter
from typing import Any
from xml.etree import ElementTree

import pytest
import xmlschema
from hypothesis import given, settings, strategies as st

from cardlink_sql import (
    DatabaseManager,
    IntegrityError,
    JUnitImport,
    TestResult,
    TestStatus,
    UnitOfWork,
    ValidationError,
)
from cardlink_sql.formats.junit import elements, read_report, reading, report_of
from tests.conftest import MOMENT, card, committed, device, dump, iccid, result

SECOND = timedelta(seconds=1)
REPORTS = {path.stem: path for path in (Path(__file__).parent / "junit_reports").glob("*.xml")}
SCHEMA = xmlschema.XMLSchema(Path(__file__).parent / "junit.xsd")
every_report = pytest.mark.parametrize("report", sorted(REPORTS.values()), ids=lambda p: p.stem)


def checked(xml: str) -> ElementTree.Element:
    """A report that the schema accepts."""
    SCHEMA.validate(xml)
    return ElementTree.fromstring(xml)


def plain(one: TestResult) -> TestResult:
    """A result without what differs from one import to the next."""
    return replace(one, id="", run_id="", created_at=MOMENT, updated_at=MOMENT)


def outcomes(results: list[TestResult]) -> list[tuple[str, str, str]]:
    return [(one.suite_name, one.test_name, one.status.value) for one in results]


def imported(xml: str) -> list[TestResult]:
    """The results of a report that begins at MOMENT."""
    return read_report(xml).results("run", started_at=MOMENT)


def case(inside: str = "", attributes: str = "") -> str:
    """A report with one testcase."""
    return (
        f'<testsuite name="s"><testcase name="t" classname="c" {attributes}>'
        f"{inside}</testcase></testsuite>"
    )


# Out


def test_a_run_is_a_report_that_the_schema_accepts(uow: UnitOfWork) -> None:
    uow.devices.create(device())
    uow.cards.create(card())
    uow.tests.create_results(
        [
            result(1, suite_name="b", duration_ms=1250, device_id="device-0001",
                   card_iccid=iccid()),
            result(2, suite_name="a", status=TestStatus.FAILED, started_at=MOMENT + SECOND,
                   error_message="expected <9000> & got 6A84\nline two", duration_ms=1),
            result(3, suite_name="a", status=TestStatus.ERROR, started_at=MOMENT + 2 * SECOND,
                   error_message="no reader", metadata={"hostname": "bench", "type": "OSError"}),
            result(4, suite_name="a", status=TestStatus.SKIPPED, started_at=MOMENT + 3 * SECOND,
                   error_message="needs a card", duration_ms=0),
            result(5, suite_name="a", started_at=MOMENT + 4 * SECOND, duration_ms=None),
        ]
    )  # fmt: skip

    root = checked(uow.tests.export_junit_xml("run"))

    assert root.attrib == {
        "name": "run", "tests": "5", "failures": "1", "errors": "1", "time": "2.251",
    }  # fmt: skip
    first, second, third = root
    assert first.attrib == {
        "name": "b", "tests": "1", "failures": "0", "errors": "0", "skipped": "0",
        "time": "1.250", "timestamp": "2026-03-29T00:59:59.987654+00:00", "hostname": "localhost",
    }  # fmt: skip
    assert {p.get("name"): p.get("value") for p in first.iter("property")} == {
        "device": "device-0001",
        "iccid": iccid(),
    }
    assert first.find("testcase").attrib == {  # type: ignore[union-attr]
        "name": "test_0001", "classname": "b", "time": "1.250",
    }  # fmt: skip
    assert (second.get("tests"), second.get("skipped"), second.get("failures")) == ("3", "2", "1")
    failure = second.find("testcase/failure")
    assert failure.text == "expected <9000> & got 6A84\nline two"
    assert failure.attrib == {"type": "failed", "message": "expected <9000> & got 6A84"}
    skipped = [found.get("message") for found in second.iter("skipped")]
    assert skipped == ["needs a card", "still open"]
    assert (third.get("hostname"), third.get("errors")) == ("bench", "1")
    error = third.find("testcase/error")
    assert error.attrib == {"type": "OSError", "message": "no reader"}


@pytest.mark.parametrize(("status", "element"), [("failed", "failure"), ("error", "error")])
def test_what_is_open_and_stands_as_failed_is_not_hidden(status: str, element: str) -> None:
    one = result(1, status=TestStatus(status), duration_ms=None)

    root = checked(report_of("run", [one]))

    assert (root.get("failures"), root.get("errors")).count("1") == 1
    found = root.find(f"testsuite/testcase/{element}")
    assert (found.get("message"), found.text) == ("still open", "still open")


def test_what_xml_forbids_is_written_visibly_wherever_it_stands() -> None:
    given = "a\x00\x1b[31m\x07\ufffe\uffff\x7f\x85\U0001f4f1 ]]> <&\"'>\t\r\nb"
    shown = "a\\x00\\x1b[31m\\x07\\ufffe\\uffff\x7f\x85\U0001f4f1 ]]> <&\"'>\t\r\nb"
    metadata = dict.fromkeys(("hostname", "type", "system_out", "system_err"), given)
    one = result(
        suite_name=given,
        test_name=given,
        status=TestStatus.FAILED,
        ended_at=MOMENT,
        error_message=given,
        metadata={**metadata, "properties": {given: given}},
    )

    root = checked(report_of(given, [one]))

    (suite,), (case,), (failure,), (pair,) = map(
        root.iter, ("testsuite", "testcase", "failure", "property")
    )
    assert {
        *(element.get("name") for element in (root, suite, case, pair)),
        *(suite.get("hostname"), case.get("classname"), failure.get("type"), pair.get("value")),
        *(failure.text, case.findtext("system-out"), case.findtext("system-err")),
    } == {shown}
    assert failure.get("message") == shown.partition("\n")[0]


# In: the reports of the tools themselves

EXPECTED = {
    "pytest": [
        ("test_card", "test_selects", "passed"),
        ("test_card", "test_sends[a b]", "passed"),
        ("test_card", "test_sends[\\xe9/\\xfc]", "passed"),
        ("test_card", "test_sends[line\\nbreak]", "passed"),
        ("test_card", "test_sends[\\x1b[31m]", "passed"),
        ("test_card", "test_sends[]]>]", "passed"),
        ("test_card", "test_sends[<&\"'>]", "passed"),
        ("test_card", "test_fails", "failed"),
        ("test_card", "test_errors", "error"),
        ("test_card", "test_fails_and_errors", "error"),
        ("test_card", "test_skips", "skipped"),
        ("test_card", "test_xfails", "skipped"),
        ("test_card.TestSession", "test_opens", "passed"),
    ],
    "gtest": [
        ("Card", "Selects", "passed"),
        ("Card", "FailsTwice", "failed"),
        ("Card", "Skips", "skipped"),
        ("Card", "DISABLED_Polls", "skipped"),
        ("Small/Sizes", "Sends/0", "passed"),
        ("Small/Sizes", "Sends/1", "passed"),
        ("Small/Sizes", "Sends/2", "failed"),
    ],
    "jest-junit": [
        ("OTA session", "OTA session opens", "passed"),
        ("OTA session", 'OTA session installs a "<CAP>" & starts it', "failed"),
        ("OTA session", "OTA session polls", "skipped"),
        ("OTA session", "OTA session resumes", "passed"),
        ("OTA session", "OTA session über TLS 1.3 nested ✓", "passed"),
        ("OTA session", "OTA session über TLS 1.3 throws", "failed"),
        ("OTA session", "OTA session sends 00A4 (4)", "passed"),
        ("OTA session", "OTA session sends 80E6 (6)", "passed"),
    ],
    "node": [
        ("test", "selects", "passed"),
        ("test", "fails", "failed"),
        ("test", "skips", "skipped"),
        ("test", "todo", "skipped"),
        ("session", "opens &quot;a&quot; & <b>", "passed"),
        ("session > über", "nested ✓", "failed"),
        ("parent", "child", "passed"),
    ],
    "surefire": [
        ("com.example.CardTest", "breaks", "error"),
        ("com.example.CardTest", "breaks", "error"),
        ("com.example.CardTest", "flaky", "failed"),
        ("com.example.CardTest", "flaky", "passed"),
        ("com.example.CardTest", "polls", "skipped"),
        ("com.example.CardTest", "sends(String)[1]", "passed"),
        ("com.example.CardTest", "sends(String)[2]", "passed"),
        ("com.example.CardTest", "installs", "failed"),
        ("com.example.CardTest", "installs", "failed"),
        ("com.example.CardTest", "selects", "passed"),
    ],
}


@every_report
def test_a_report_of_a_tool_is_read_in_the_order_of_its_tests(report: Path) -> None:
    results = read_report(report).results("run", started_at=MOMENT)

    assert outcomes(results) == EXPECTED[report.stem]
    assert [one.created_at for one in results] == sorted({one.created_at for one in results})
    for one in results:
        failing = one.status in (TestStatus.FAILED, TestStatus.ERROR)
        assert bool(one.error_message) or not failing


@every_report
def test_a_report_comes_back_equal_from_the_way_out(uow: UnitOfWork, report: Path) -> None:
    uow.cards.create(card())
    done = uow.tests.import_junit_xml(report, "first", started_at=MOMENT)
    assert done == JUnitImport(len(EXPECTED[report.stem]), 0)
    assert all(one.ended_at is not None for one in uow.tests.find_by_run("first"))

    xml = uow.tests.export_junit_xml("first")
    checked(xml)
    uow.tests.import_junit_xml(xml, "second")

    def content(run: str) -> list[Any]:
        # Two results that started together are told apart by nothing else.
        return sorted(map(str, map(plain, uow.tests.find_by_run(run))))

    assert content("second") == content("first")
    again = uow.tests.export_junit_xml("second")
    assert again == xml.replace('name="first"', 'name="second"', 1)


def found(report: str, test: str) -> TestResult:
    """The result of a test in the report of a tool."""
    results = read_report(REPORTS[report]).results("run", started_at=MOMENT)
    return next(one for one in results if one.test_name == test)


def test_what_pytest_printed_is_in_the_metadata() -> None:
    fails, xfails = found("pytest", "test_fails"), found("pytest", "test_xfails")

    assert "before <the> failure #x00#x1B[31m" in fails.metadata["system_out"]  # type: ignore[call-overload]
    assert fails.error_message is not None
    assert "E         {'sw': '6A84'} != {'sw': '9000'}" in fails.error_message
    assert (xfails.error_message, xfails.metadata["type"]) == ("known", "pytest.xfail")  # type: ignore[call-overload,index]


def test_all_failures_of_a_gtest_are_kept() -> None:
    message = found("gtest", "FailsTwice").error_message

    assert message.count("t.cc:3") == 2
    assert "status <word> & more" in message
    assert "Value of: false" in message


def test_what_surefire_tried_again_is_flaky(uow: UnitOfWork) -> None:
    uow.tests.import_junit_xml(REPORTS["surefire"], "run", started_at=MOMENT)

    (flaky,) = uow.tests.find_flaky()
    assert (flaky.test_name, flaky.passed, flaky.failed) == ("flaky", 1, 1)
    latest, earlier = uow.tests.history("com.example.CardTest", "flaky")
    assert (latest.status, earlier.status) == (TestStatus.PASSED, TestStatus.FAILED)
    assert earlier.error_message.startswith("org.opentest4j.AssertionFailedError: first try")
    # Of Java's system properties none is kept.
    assert (latest.metadata, latest.duration_ms) == (None, 0)


# In: what else there is


DURATIONS = {
    "1.234": 1234, "0": 0, "": 0, "1,234.5": 1_234_500, "1,234,567": 1_234_567_000, "0.0009": 0,
    ".5": 500, "1e-3": 1, "-0.001": 0, " 2.5 ": 2500, "0,160": 160, "1.200,058": 1_200_058,
    "1,234": 1_234_000, "12,5": 12_500,
}  # fmt: skip
NO_DURATIONS = [
    "soon", "NaN", "Infinity", "1e999999", "1e999999999", "0x10", "1.5s", "00:00:01.5", "1,23,456",
    "1_0", ".", "-", "\u0661",
]  # fmt: skip


@pytest.mark.parametrize("written", [*DURATIONS, *NO_DURATIONS])
def test_a_duration_is_seconds_with_points_and_commas_or_unknown(written: str) -> None:
    report = read_report(case(attributes=f'time="{written}"'))

    (one,) = report.cases
    assert one.result.duration_ms == DURATIONS.get(written)
    assert report.unread == (written in NO_DURATIONS)


@pytest.mark.parametrize("end", ["x", ",."])
def test_a_duration_of_many_digits_is_refused_at_once(end: str) -> None:
    began = perf_counter()
    report = read_report(case(attributes=f'time="{"1" * 20_000}{end}"'))

    assert report.unread == 1
    assert perf_counter() - began < 1


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("Wed, 25 Nov 2026 19:21:26 GMT", (2026, 11, 25, 19, 21, 26)),
        ("2021-03-07T10:36:56 UTC", (2021, 3, 7, 10, 36, 56)),
        ("2024-01-03 12:40:13", (2024, 1, 3, 12, 40, 13)),
        ("2024-01-03T12:40:13+0100", (2024, 1, 3, 11, 40, 13)),
        ("Sun Mar 07 10:36:56 UTC 2021", (2021, 3, 7, 10, 36, 56)),
        ("Sun Mar 07 2021 10:36:56 GMT-0230 (NST)", (2021, 3, 7, 13, 6, 56)),
        ("Sun Mar 07 10:36:56 CET 2021", None),
        ("Wed, 25 Nov 2026 19:21:26 EST", None),
        ("2021-03-07T10:36:56 Europe/Berlin", None),
        ("2021-03-07T10:36:56[Europe/Berlin]", None),
        ("2021-03-07T10:36:56+01:00[Europe/Berlin]", (2021, 3, 7, 9, 36, 56)),
        ("2021-03-07T10:36:56Z[Etc/UTC]", (2021, 3, 7, 10, 36, 56)),
        ("0001-01-01T00:00:00", None),
        ("9999-12-31T23:59:59-01:00", None),
        ("yesterday", None),
    ],
)
def test_a_start_is_read_or_unknown_and_never_an_hour_off(
    written: str, expected: tuple[int, int, int, int, int, int] | None
) -> None:
    report = read_report(
        f"<testsuite name='s' timestamp='{written}'><testcase name='a'/></testsuite>"
    )

    (one,) = report.cases
    assert one.result.started_at == (None if expected is None else datetime(*expected, tzinfo=UTC))
    assert report.unread == (expected is None)


def test_an_unknown_duration_is_no_duration_and_not_nothing(uow: UnitOfWork) -> None:
    xml = """<testsuite name="s" timestamp="2026-01-02T03:04:05"><testcase name="read" time="2"
      /><testcase name="odd" time="{}"/><testcase name="none"/></testsuite>"""
    start = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)

    done = uow.tests.import_junit_xml(xml.format("1.5s"), "run")
    uow.tests.import_junit_xml(xml.format("9"), "later")

    assert done == JUnitImport(3, 0, unread=1)
    read, odd, none = uow.tests.find_by_run("run")
    for one in (odd, none):
        end = start + 2 * SECOND
        assert (one.started_at, one.ended_at, one.duration_ms) == (end, end, None)
    assert uow.tests.update(replace(odd, error_message="kept")).duration_ms is None
    summary = uow.tests.get_run_summary("run")
    assert (summary.total, summary.open, summary.passed, summary.duration_ms) == (3, 0, 3, 2000)
    assert uow.tests.compare_runs("run", "later").changes == ()

    written = uow.tests.export_junit_xml("run")
    times = {one.get("name"): one.get("time") for one in checked(written).iter("testcase")}
    assert times == {"read": "2.000", "odd": None, "none": None}
    uow.tests.import_junit_xml(written, "again")
    again = {one.test_name: one.duration_ms for one in uow.tests.find_by_run("again")}
    assert again == {read.test_name: 2000, "odd": None, "none": None}


def test_tests_start_when_they_say_or_one_after_another() -> None:
    results = imported(
        """<testsuites>
          <testsuite name="a" timestamp="2026-01-02T03:04:05">
            <testcase name="one" time="1.5"/><testcase name="two" time="1"/>
            <testsuite name="b"><testcase name="three" time="2"/></testsuite>
            <testcase name="four" timestamp="2026-01-02T05:00:00.5+02:00"/>
            <testcase name="five"/>
          </testsuite>
          <testsuite name="c"><testcase name="six" time="3"/><testcase name="seven"/></testsuite>
        </testsuites>"""
    )

    start = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    assert {one.test_name: one.started_at for one in results} == {
        "one": start,
        "two": start + 1.5 * SECOND,
        "three": start + 2.5 * SECOND,
        "four": datetime(2026, 1, 2, 3, 0, 0, 500_000, tzinfo=UTC),
        "five": start + 4.5 * SECOND,
        "six": MOMENT,
        "seven": MOMENT + 3 * SECOND,
    }
    assert [one.suite_name for one in results] == ["a", "a", "a > b", "a", "a", "c", "c"]


@pytest.mark.parametrize(
    ("inside", "attributes", "status", "message"),
    [
        ("", "", "passed", None),
        ("<failure/>", "", "failed", None),
        ('<failure message="m"/>', "", "failed", "m"),
        ('<failure message="m">text</failure>', "", "failed", "m\n\ntext"),
        ('<failure message="m">E: m, at 1</failure>', "", "failed", "E: m, at 1"),
        ("<failure><![CDATA[<a> & ]]>]]&gt;</failure>", "", "failed", "<a> & ]]>"),
        ("<failure>a</failure><error>b</error>", "", "error", "a\n\nb"),
        (
            '<skipped type="todo" message="todo"/><failure>a</failure>',
            "",
            "skipped",
            "todo\n\na",
        ),
        ('<skipped message="slow"/><failure>a</failure>', "", "failed", "a\n\nslow"),
        ('<skipped type="todo"/><error>a</error>', "", "error", "a"),
        ("", 'status="notrun"', "skipped", None),
        ("", 'status="run" result="suppressed"', "skipped", None),
        ("", 'status="run" result="completed"', "passed", None),
        ("<something/>", "", "passed", None),
        ("", 'status="failed"', "failed", None),
        ("", 'result="Failed"', "failed", None),
        ("", 'success="false"', "failed", None),
        ("<failure>one <b>two</b> three</failure>", "", "failed", "one two three"),
        (
            '<failure message="m">a<b>b<i>c</i></b>d<system-out>x</system-out></failure>',
            "",
            "failed",
            "m\n\nabcd",
        ),
        (
            '<failure message="&#x1B;[31m&#0;">\x1b\ufffe</failure>',
            "",
            "failed",
            "\\x1b[31m\\x00\n\n\\x1b\\ufffe",
        ),
    ],
)
def test_a_verdict_is_read_with_its_message(
    inside: str, attributes: str, status: str, message: str | None
) -> None:
    (one,) = imported(case(inside, attributes))

    assert (one.status.value, one.error_message) == (status, message)


def test_a_device_and_a_card_that_there_are_become_those_of_the_result(uow: UnitOfWork) -> None:
    uow.devices.create(device())
    xml = """<testsuites><testsuite name="s">
      <properties><property name="device" value="device-0001"/>
      <property name="iccid" value="8949000000000000009"/><property name="rig" value="7"/>
      </properties><testcase name="t"/></testsuite></testsuites>"""

    uow.tests.import_junit_xml(xml, "run")

    (one,) = uow.tests.find_by_run("run")
    assert (one.device_id, one.card_iccid) == ("device-0001", None)
    assert one.metadata == {"properties": {"iccid": "8949000000000000009", "rig": "7"}}


def test_a_device_and_a_card_may_be_given_for_all(uow: UnitOfWork) -> None:
    uow.devices.create(device())
    uow.cards.create(card())

    uow.tests.import_junit_xml(case(), "run", device_id="device-0001", card_iccid=iccid())

    (one,) = uow.tests.find_by_run("run")
    assert (one.device_id, one.card_iccid) == ("device-0001", iccid())
    with pytest.raises(IntegrityError):
        uow.tests.import_junit_xml(case(), "other", device_id="nobody")


def test_names_that_are_too_long_are_cut_and_told_apart(uow: UnitOfWork) -> None:
    long = "é" * 300
    xml = "".join(f'<testcase classname="{long}{n}" name="{long}{n}"/>' for n in (1, 2))

    uow.tests.import_junit_xml(f"<testsuites>{xml}</testsuites>", "run")

    one, two = uow.tests.find_by_run("run")
    assert (len(one.suite_name), len(one.test_name)) == (128, 256)
    assert one.test_name.startswith("é" * 247 + "…")
    assert (one.suite_name, one.test_name) != (two.suite_name, two.test_name)
    assert one.suite_name != two.suite_name
    uow.tests.import_junit_xml(f"<testsuites>{xml}</testsuites>", "next")
    assert len(uow.tests.history(one.suite_name, one.test_name)) == 2


def test_output_in_an_unknown_element_is_that_of_the_test() -> None:
    (one,) = imported(case("<system-out>a</system-out><x><system-out>b</system-out></x>"))

    assert one.metadata == {"system_out": "ab"}


def test_of_much_output_the_end_is_kept() -> None:
    (one,) = imported(case(f"<system-out>begin {'x' * 200_000} end</system-out>"))

    output = one.metadata["system_out"]  # type: ignore[call-overload]
    assert output.startswith("(200,010 characters, cut)\n")
    assert output.endswith("x end")
    assert len(output) == elements.MAX_OUTPUT


def test_as_much_output_as_is_kept_fits(uow: UnitOfWork) -> None:
    lines = "x" + "\n" * 200_000 + "y"
    properties = "".join(f'<property name="{n}" value="{"é" * 9000}"/>' for n in range(20))
    outputs = f"<system-out>{lines}</system-out><system-err>{lines}</system-err>"

    uow.tests.import_junit_xml(
        case(f"<properties>{properties}</properties><failure>{lines * 2}</failure>{outputs}"), "run"
    )

    (one,) = uow.tests.find_by_run("run")
    assert sorted(one.metadata) == ["properties", "system_err", "system_out"]
    assert len(one.metadata["properties"]["19"]) == elements.MAX_PROPERTY  # type: ignore[call-overload]


def test_the_value_of_a_property_may_be_its_text() -> None:
    (one,) = imported(
        """<testsuite name="s"><properties><property name="rig">7</property></properties>
        <testcase name="t"><properties><property name="a" value="1"/><property name="b"> two
        </property><property name="c" value=""/></properties></testcase></testsuite>"""
    )

    assert one.metadata == {"properties": {"rig": "7", "a": "1", "b": "two", "c": ""}}


def test_the_same_report_twice_changes_nothing(manager: DatabaseManager) -> None:
    report = REPORTS["gtest"]
    with committed(manager) as uow:
        first = uow.tests.import_junit_xml(report, "run")
    before = dump(manager)

    with UnitOfWork(manager) as uow:
        again = uow.tests.import_junit_xml(report.read_bytes(), "run")
        other = uow.tests.import_junit_xml(report, "other run")
        uow.tests.delete_by_id(uow.tests.find_by_run("run")[3].id)
        mended = uow.tests.import_junit_xml(report, "run")

    assert (again, other) == (JUnitImport(0, first.created), first)
    assert mended == JUnitImport(1, first.created - 1)
    assert dump(manager) == before


@pytest.mark.parametrize(
    ("xml", "expected", "missing"),
    [
        (
            '<testsuite name="s" tests="1" errors="1"><error message="setup"/>'
            '<testcase name="a" classname="c"/></testsuite>',
            [("s", "(suite)", "error"), ("c", "a", "passed")],
            0,
        ),
        (
            '<testsuite name="s" failures="2" errors="1"><testcase name="a" classname="c">'
            "<failure/></testcase></testsuite>",
            [("c", "a", "failed")],
            2,
        ),
        (
            '<testsuites><testsuite name="o" failures="1"><testsuite name="i" failures="1">'
            '<testcase name="a" classname="c"/></testsuite></testsuite></testsuites>',
            [("c", "a", "passed")],
            1,
        ),
    ],
)
def test_what_a_suite_says_beside_its_tests_is_not_lost(
    xml: str, expected: list[tuple[str, str, str]], missing: int
) -> None:
    report = read_report(xml)

    assert outcomes(report.results("run")) == expected
    assert report.missing == missing


RERUN = """<testsuite name="pytest" failures="1" tests="{tests}" errors="0"
  ><testcase classname="rr" name="t" time="0.001"/><testcase classname="rr" name="t" time="0.009"
  /><testcase classname="rr" name="t" time="0"><failure message="no">no</failure></testcase
  ></testsuite>"""


@pytest.mark.parametrize(
    ("tests", "expected"),
    [
        (1, [("failed", 0), ("failed", 0), ("failed", 3)]),
        (3, [("passed", 1), ("passed", 1), ("failed", 1)]),
    ],
)
def test_tries_without_a_verdict_are_told_from_namesakes_by_the_number_of_tests(
    tests: int, expected: list[tuple[str, int]]
) -> None:
    results = imported(RERUN.format(tests=tests))

    assert [(one.status.value, one.tries) for one in results] == expected


RETRIED = """<testsuite name="s" tests="4" skipped="1" failures="1" errors="0">
  <testcase name="mended" classname="c" time="0.683"><flakyFailure message="no" type="E"
    time="0.2" timestamp="2026-03-01T10:00:00Z"><stackTrace>at A</stackTrace
    ><system-out>first</system-out></flakyFailure></testcase>
  <testcase name="broken" classname="c" time="0.1"><failure message="boom" type="E">one</failure
    ><rerunFailure message="again" type="E"><stackTrace>two</stackTrace></rerunFailure></testcase>
  <testcase name="skipped" classname="c" time="0"><skipped message="slow"/></testcase>
  <testcase name="late" classname="c" time="1"><flakyError message="time" type="T"/></testcase>
</testsuite>"""


def test_a_test_counts_by_its_last_try_and_keeps_each(uow: UnitOfWork) -> None:
    uow.tests.import_junit_xml(RETRIED, "run", started_at=MOMENT)

    summary = uow.tests.get_run_summary("run")
    assert (summary.total, summary.passed, summary.failed, summary.skipped) == (4, 2, 1, 1)
    assert (summary.tries, summary.flaky, summary.pass_rate) == (7, 2, pytest.approx(2 / 3))
    mended = next(one for one in uow.tests.history("c", "mended") if not one.tries)
    assert (mended.duration_ms, mended.metadata) == (200, {"system_out": "first", "type": "E"})
    assert mended.started_at == datetime(2026, 3, 1, 10, tzinfo=UTC)

    written = uow.tests.export_junit_xml("run")
    checked(written)
    uow.tests.import_junit_xml(written, "again", started_at=MOMENT)
    assert sorted(
        (one.test_name, one.status, one.tries, one.duration_ms)
        for one in uow.tests.find_by_run("again")
    ) == sorted(
        (one.test_name, one.status, one.tries, one.duration_ms)
        for one in uow.tests.find_by_run("run")
    )


def test_bytes_that_are_not_of_the_encoding_are_shown() -> None:
    for head in (b"", b"<?xml version='1.1' encoding='utf-8'?>"):
        (one,) = read_report(
            head + case("<failure>a</failure>").encode().replace(b"a<", b"\xe9<")
        ).cases
        assert one.result.error_message == r"\xe9"


# In: what is refused

LAUGHS = """<?xml version="1.0"?><!DOCTYPE lolz [<!ENTITY lol "lol">
<!ENTITY lol2 "&lol;&lol;&lol;&lol;&lol;&lol;&lol;&lol;&lol;&lol;">
<!ENTITY lol3 "&lol2;&lol2;&lol2;&lol2;&lol2;&lol2;&lol2;&lol2;&lol2;&lol2;">
]><testsuites><testsuite name="&lol3;"/></testsuites>"""
OUTSIDE = """<!DOCTYPE t [<!ENTITY x SYSTEM "file:///etc/hostname">]>
<testsuite name="s"><testcase name="t"><failure>&x;</failure></testcase></testsuite>"""


@pytest.mark.parametrize(
    ("xml", "where", "what"),
    [
        (LAUGHS, "1:37", "a document type is refused"),
        (OUTSIDE, "1:13", "a document type is refused"),
        ("<testsuites>\n <testsuite name='s'>\n</testsuites>", "3:3", "mismatched tag"),
        ("<testsuites>", "1:13", "no element found"),
        ("<testsuites/>more", "1:14", "junk after document element"),
        ("<testsuites>&nbsp;</testsuites>", "1:13", "undefined entity"),
        ("<html><body/></html>", "1:1", "expected testsuites or testsuite, got html"),
        ("<testsuite name='s'>\n<testcase name='t'><testcase name='u'/></testcase></testsuite>",
         "2:20", "a testcase inside a testcase"),
        ("<testsuite>" * 101 + "</testsuite>" * 101, "1:1101", "nested more than 100 deep"),
    ],
)  # fmt: skip
def test_a_bad_report_is_refused_with_its_place(xml: str, where: str, what: str) -> None:
    with pytest.raises(ValidationError, match=what) as caught:
        read_report(xml)

    assert caught.value.where == f"report:{where}"


def test_bytes_that_are_no_xml_are_refused() -> None:
    named = (f"encoding='{name}'" for name in ("none", "idna", "punycode", "undefined"))
    heads = [f"<?xml version='1.0' {encoding}?><testsuite/>".encode() for encoding in named]
    for data in (b"", b"\x00", b"\xff\xfe<", *heads):
        with pytest.raises(ValidationError, match="not XML"):
            read_report(data)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "iso-8859-1", "cp1252"])
def test_a_report_may_be_of_any_encoding_that_it_names(tmp_path: Path, encoding: str) -> None:
    file = tmp_path / "report.xml"
    head = f"<?xml version='1.0' encoding='{encoding.removesuffix('-sig')}'?>"
    file.write_bytes((head + case().replace('"t"', '"tést"')).encode(encoding))

    (one,) = read_report(file).results("run")

    assert one.test_name == "tést"


@pytest.mark.parametrize(
    ("declared", "encoding"),
    [("utf-16", "utf-8"), ("UTF-16LE", "utf-8"), ("utf-16", "utf-16-le"), ("utf-16", "utf-16-be"),
     ("UCS-2", "utf-8"), (None, "utf-16-be")],
)  # fmt: skip
def test_what_the_bytes_are_counts_more_than_what_they_declare(
    declared: str | None, encoding: str
) -> None:
    head = f"<?xml version='1.0' encoding='{declared}'?>" if declared else ""

    (one,) = read_report((head + case().replace('"t"', '"tést"')).encode(encoding)).cases

    assert one.result.test_name == "tést"


@pytest.mark.parametrize(
    ("xml", "remedy"),
    [(b"", "empty or cut off"), ("<testsuites>", "empty or cut off"), ("<html/>", "--junitxml=")],
)
def test_what_is_no_report_is_refused_with_a_remedy(xml: str | bytes, remedy: str) -> None:
    with pytest.raises(ValidationError) as caught:
        read_report(xml)

    assert remedy in (caught.value.remedy or "")


def test_a_file_is_named_in_the_error(tmp_path: Path) -> None:
    file = tmp_path / "bad.xml"
    file.write_text("<testsuites>\n<oops", encoding="utf-8")

    with pytest.raises(ValidationError) as caught:
        read_report(str(file))
    assert caught.value.where == f"{file}:2:1"
    with pytest.raises(ValidationError, match="cannot be read: No such file"):
        read_report(tmp_path / "none.xml")
    with pytest.raises(ValidationError, match="cannot be read: Is a directory"):
        read_report(tmp_path)


def test_a_report_that_is_too_large_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "MAX_BYTES", 100)
    file = tmp_path / "large.xml"
    file.write_bytes(b"<testsuites>" + b" " * 88 + b"</testsuites>")

    with pytest.raises(ValidationError, match="longer than 100 bytes"):
        read_report(file)
    with pytest.raises(ValidationError, match="longer than 100 bytes"):
        read_report(file.read_text())


BAD: list[tuple[Any, Any, dict[str, Any], str]] = [
    *((source, "run", {}, "neither a file nor XML") for source in (None, 5, ["<testsuite/>"])),
    *((case(), run, {}, "run_id") for run in ("", None)),
    (case(), "run", {"started_at": "now"}, "started_at"),
    (case(), "run", {"card_iccid": "1"}, "card_iccid"),
    (case(), "run", {"device_id": " "}, "device_id"),
]


def test_bad_arguments_are_refused(uow: UnitOfWork) -> None:
    for source, run, options, said in BAD:
        with pytest.raises(ValidationError, match=said):
            uow.tests.import_junit_xml(source, run, **options)
    assert uow.tests.count() == 0


@settings(max_examples=200)
@given(data=st.binary(max_size=200) | st.text(max_size=200).map(lambda text: f"<{text}"))
def test_noise_is_refused_and_nothing_else_happens(data: bytes | str) -> None:
    with pytest.raises(ValidationError):
        read_report(data)
