"""Test results: ``sql/*/tests.sql``.

A run is what its results name as ``run_id``: any identifier of up to 255 characters. A result
without an end is open. A test is known by its suite and its name together.
"""

import uuid
from collections import Counter
from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, ClassVar, Unpack

from cardlink_sql.database.event_bus import EventType
from cardlink_sql.database.rows import Gives, columns_of
from cardlink_sql.errors import ValidationError
from cardlink_sql.formats.junit import read_report, report_of
from cardlink_sql.gateways.durations import completed
from cardlink_sql.gateways.filters import TestFilter, TestOrder
from cardlink_sql.gateways.run_figures import RunFigures, newest_first
from cardlink_sql.model import validation
from cardlink_sql.model.choices import AnyTestStatus, TestStatus
from cardlink_sql.model.json_value import JSONValue
from cardlink_sql.model.records.page import Page
from cardlink_sql.model.records.test_result import (
    FlakyTest,
    JUnitImport,
    SuiteSummary,
    TestChange,
    TestResult,
    TestRun,
)
from cardlink_sql.model.tables import test_results
from cardlink_sql.model.times import utc_now
from cardlink_sql.queries.query import MAX_LIST


class TestGateway(RunFigures):
    """The test results, in the order of their start where nothing else is said.

    Whatever writes a result derives a missing start, end or duration from the other two, and
    refuses an end before the start. From a start and an end that are one moment no duration is
    derived: it is not known. Where all three are given they are kept: the duration is the runner's
    stopwatch, the times are the wall clock, which may be set meanwhile. Figures and comparisons
    take the duration.
    """

    __test__ = False  # pytest would collect it by its name

    __slots__ = ()
    name = "tests"
    table = test_results
    record = TestResult
    event = EventType.TEST_RESULT_ADDED
    entity = "test_result"
    key = "id"
    default_order = "created_at"
    gives: ClassVar[Gives] = {
        # Servers add up whole numbers as decimals.
        "get_run_summary": columns_of(SuiteSummary, duration_ms=int | Decimal),
        "get_runs": columns_of(TestRun, duration_ms=int | Decimal),
        "compare_runs": TestChange,
        "find_flaky": FlakyTest,
        "find_known": {"id": str},
        "find_known_devices": {"id": str},
        "find_known_cards": {"iccid": str},
        "get_run_ids": {"run_id": str},
        "find_latest_runs": {"run_id": str},
        "find_runs_of_suite": {"run_id": str, "id": str},
        "get_suite_names": {"suite_name": str},
    }

    # Writing

    def create_result(
        self,
        run_id: str,
        suite_name: str,
        test_name: str,
        status: AnyTestStatus,
        started_at: datetime | None = None,
        device_id: str | None = None,
        card_iccid: str | None = None,
        ended_at: datetime | None = None,
        duration_ms: int | None = None,
        error_message: str | None = None,
        assertions: JSONValue | None = None,
        metadata: JSONValue | None = None,
        *,
        result_id: str | None = None,
        tries: int = 1,
    ) -> TestResult:
        """Record how a test ended, or that it began. The query is ``create``.

        Args:
            run_id: the run, up to 255 characters.
            suite_name: the suite, up to 128 characters.
            test_name: the test, up to 256 characters.
            status: passed, failed, skipped or error; of an open result, its state so far.
            started_at: when it began. Only a start leaves the result open: :meth:`update` ends it.
            device_id: the device, if one took part.
            card_iccid: the card, if one took part.
            ended_at: when it ended; now, with only a duration. Without any of the three it began
                and ended now.
            duration_ms: whole milliseconds.
            error_message: why it failed.
            assertions: what was checked, a JSON object or list.
            metadata: anything else, a JSON object or list.
            result_id: the key, up to 36 characters; without one a UUID is made.
            tries: how many tries the test took; 0 for a try that another one followed.

        Raises:
            ValidationError: a value is refused, or the end is before the start.
            IntegrityError: the key is taken, or there is no such device or card.
        """
        moment = utc_now()
        if started_at is None and ended_at is None:
            ended_at = moment
            duration_ms = 0 if duration_ms is None else duration_ms
        return self.create(
            TestResult(
                id=str(uuid.uuid4()) if result_id is None else result_id,
                run_id=run_id,
                suite_name=suite_name,
                test_name=test_name,
                status=TestStatus(self._given("status", status)),
                device_id=device_id,
                card_iccid=card_iccid,
                started_at=started_at,
                ended_at=ended_at,
                duration_ms=duration_ms,
                error_message=error_message,
                assertions=assertions,
                metadata=metadata,
                tries=tries,
                created_at=moment,
                updated_at=moment,
            )
        )

    def create_results(self, results: Iterable[TestResult]) -> int:
        """Insert many results, all checked before the first is written; return their number.

        Raises:
            ValidationError: a value is refused, or an end is before its start.
            IntegrityError: a key is taken, or there is no such device or card.
        """
        query = self._query("create_results")
        columns = query.statement(dict.fromkeys(query.required)).names
        rows = []
        runs: Counter[str] = Counter()
        for result in self._each(results):
            values = self._values(result, leave=frozenset())
            rows.append(tuple(values[column] for column in columns))
            runs[values["run_id"]] += 1
        if not rows:
            return 0
        self._transaction.batch(query, rows)
        for run_id, count in runs.items():
            self._note_many("created", count, run_id=run_id)
        self._note_batch("create_results", len(rows))
        return len(rows)

    def create_all(self, records: Iterable[TestResult]) -> list[TestResult]:
        """Insert results as :meth:`create_results` does; return them as stored."""
        listed = list(self._each(records))
        self.create_results(listed)
        return [self._as_written(self._values(record, frozenset())) for record in listed]

    def purge_old(self, days: float, limit: int = 10_000) -> int:
        """Delete results recorded more than ``days`` ago, the first ``limit`` of them.

        Returns their number; fewer than ``limit`` say that none is left. Commit between two
        calls, so that writers come in between.
        """
        most = validation.whole(limit, "limit", least=1)
        gone = self._execute("purge_old", {"before": self._days_ago(days), "limit": most})
        self._note_batch("purge_old", gone)
        return gone

    # Reading

    def find_by(self, **filters: Unpack[TestFilter]) -> list[TestResult]:
        """Return the test results whose columns equal the values given; ``None`` asks for NULL."""
        return self._find_by(filters)

    def find_one_by(self, **filters: Unpack[TestFilter]) -> TestResult | None:
        """Return the first test result that :meth:`find_by` would return, or ``None``."""
        return self._find_one_by(filters)

    def count_by(self, **filters: Unpack[TestFilter]) -> int:
        """Count the test results that :meth:`find_by` would return, in the database."""
        return self._count_by(filters)

    def paginate(
        self,
        page: int = 1,
        per_page: int = 20,
        order_by: TestOrder | None = None,
        descending: bool = False,  # noqa: FBT001, FBT002
        **filters: Unpack[TestFilter],
    ) -> Page[TestResult]:
        """Return a page of the test results. The queries are ``find_by`` and ``count_by``."""
        return self._paginate(page, per_page, order_by, descending, filters)

    def find_by_run(self, run_id: str) -> list[TestResult]:
        """Return the results of a run, in the order of their start."""
        return self._of_run(self._given("run_id", run_id))

    def find_by_suite(self, suite_name: str, limit: int | None = 100) -> list[TestResult]:
        """Return the results of a suite, newest first. The query is ``find_by_filters``."""
        return self._filtered(limit, suite_name=self._given("suite_name", suite_name))

    def find_by_status(self, status: AnyTestStatus, limit: int | None = None) -> list[TestResult]:
        """Return the results with one status, newest first. The query is ``find_by_filters``."""
        return self._filtered(limit, status=self._given("status", status))

    def find_by_device(self, device_id: str, limit: int | None = None) -> list[TestResult]:
        """Return the results of a device, newest first. The query is ``find_by_filters``."""
        return self._filtered(limit, device_id=self._given("device_id", device_id))

    def find_by_card(self, iccid: str, limit: int | None = None) -> list[TestResult]:
        """Return the results of a card, newest first. The query is ``find_by_filters``."""
        return self._filtered(limit, card_iccid=validation.iccid(iccid))

    def find_by_date_range(
        self, start: datetime, end: datetime, limit: int | None = None
    ) -> list[TestResult]:
        """Return the results of a range of starts. The query is ``find_by_filters``."""
        return self.find_by_filters(
            start=validation.moment(start, "start"), end=validation.moment(end, "end"), limit=limit
        )

    def find_by_filters(
        self,
        *,
        run_id: str | None = None,
        suite_name: str | None = None,
        status: AnyTestStatus | None = None,
        device_id: str | None = None,
        card_iccid: str | None = None,
        start: datetime | None = None,
        end: datetime | None = None,
        limit: int | None = None,
    ) -> list[TestResult]:
        """Return the results that match every filter, newest first, those without a start last.

        The queries are ``find_by_filters`` and ``find_without_start``.

        Args:
            start: started then or later.
            end: started before.
        """
        filters = self._bound(
            run_id=run_id,
            suite_name=suite_name,
            status=status,
            device_id=device_id,
            card_iccid=card_iccid,
        )
        return self._filtered(limit, **filters, **self._range(start, end))

    def find_failures(
        self, run_id: str | None = None, limit: int | None = None
    ) -> list[TestResult]:
        """Return failures. The query is ``find_by_run`` for a run, else ``find_by_filters``."""
        if run_id is not None:
            return self._of_run(self._bind["run_id"](run_id), limit, failures=True)
        found = [
            result
            for status in ("failed", "error")  # each is in order on the index on the status
            for result in self._filtered(limit, status=status, tried=True)
        ]
        return newest_first(found)[:limit]

    def history(
        self,
        suite_name: str,
        test_name: str,
        limit: int | None = None,
        since: datetime | None = None,
    ) -> list[TestResult]:
        """Return past results of a test, newest first. The query is ``find_by_filters``."""
        return self._filtered(
            limit,
            suite_name=self._given("suite_name", suite_name),
            test_name=self._given("test_name", test_name),
            **self._range(since, None),
        )

    # JUnit

    def export_junit_xml(self, run_id: str) -> str:
        """Return a run as JUnit XML, or raise ``NotFoundError``. The query is ``find_by_run``."""
        results = self.find_by_run(run_id)
        if not results:
            raise self._no_run(run_id)
        return report_of(run_id, results)

    def import_junit_xml(
        self,
        source: str | bytes | Path,
        run_id: str,
        *,
        device_id: str | None = None,
        card_iccid: str | None = None,
        started_at: datetime | None = None,
    ) -> JUnitImport:
        """Record a JUnit report: :mod:`cardlink_sql.formats.junit.reading`.

        Names that are too long are cut and end in a mark. The same report again changes nothing
        in the run: a result is known by the file's content and its place there. The queries are
        ``create_results``, ``find_known``, ``find_known_devices`` and ``find_known_cards``.

        Args:
            source: the file, or the XML itself: text that begins with ``<``.
            device_id: the device of all; without it, what the property ``device`` names, if known.
            card_iccid: the card of all; without it, what the property ``iccid`` names.
            started_at: when a report began that does not say; now, where none is given.

        Raises:
            ValidationError: the report is refused: ``file:line:column: what is wrong``.
            IntegrityError: there is no such device or card.
        """
        run = self._given("run_id", run_id)
        start = None if started_at is None else validation.moment(started_at, "started_at")
        report = read_report(source)
        results = report.results(
            run,
            devices=self._known("find_known_devices", report.devices),
            iccids=self._known("find_known_cards", report.iccids),
            device_id=device_id,
            card_iccid=card_iccid,
            started_at=start,
        )
        known = self._known("find_known", {result.id for result in results})
        new = self.create_results(one for one in results if one.id not in known)
        return JUnitImport(new, len(known), report.unread, report.missing)

    def _known(self, name: str, keys: set[str]) -> set[str]:
        """Those of the keys that there are."""
        listed = sorted(keys)
        return {
            key
            for start in range(0, len(listed), MAX_LIST)
            for key in self._firsts(name, {"keys": listed[start : start + MAX_LIST]})
        }

    def count_old(self, days: float) -> int:
        """Return the number of results that a purge would delete: recorded over ``days`` ago."""
        return int(self._scalar("count_old", {"before": self._days_ago(days)}))

    def _range(self, start: datetime | None, end: datetime | None) -> dict[str, Any]:
        """Return the given ends of a range of time as the query takes them."""
        dates = {
            name: validation.moment(moment, name)
            for name, moment in (("start", start), ("end", end))
            if moment is not None
        }
        if len(dates) == 2 and dates["end"] < dates["start"]:
            raise ValidationError("the range ends before it starts", "end")
        return {name: self._time(moment) for name, moment in dates.items()}

    def _of_run(self, run_id: str, limit: int | None = None, **filters: Any) -> list[TestResult]:
        parameters = {**filters, "run_id": run_id, "limit": validation.limit(limit)}
        return self._many("find_by_run", parameters)

    def _filtered(self, limit: int | None, **filters: Any) -> list[TestResult]:
        """Return the newest results; those without a start, of which servers differ, come last."""
        most = validation.limit(limit)
        found = self._many("find_by_filters", {**filters, "limit": most})
        if len(found) == most or not filters.keys().isdisjoint(("start", "end")):
            return found
        return found + self._many("find_without_start", {**filters, "limit": most - len(found)})

    def _note_key(self, action: str, key: str) -> None:
        self._note_batch("delete_by_id", 1)  # a removed result was not added

    def _values(self, record: TestResult, leave: frozenset[str]) -> dict[str, Any]:
        self._check_kind(record)
        return super()._values(completed(record), leave)
