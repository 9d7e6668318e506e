"""Test results, and the runs and suites that they form."""

from dataclasses import astuple, dataclass, field
from datetime import datetime
from enum import StrEnum
from operator import add

from cardlink_sql.model.choices import TestStatus
from cardlink_sql.model.json_value import JSONValue, Record
from cardlink_sql.model.times import utc_now


class ChangeKind(StrEnum):
    """The change of a test from one run to another."""

    REGRESSION = "regression"  # passed, then failed or error
    IMPROVEMENT = "improvement"  # failed or error, then passed
    STILL_FAILING = "still_failing"  # failed or error in both
    NEW = "new"  # only in the later run
    REMOVED = "removed"  # only in the earlier run
    SLOWER = "slower"  # passed in both and took longer beyond the factor
    CHANGED = "changed"  # any other change of status, to or from skipped
    OPEN = "open"  # in both, but not ended in one of them


@dataclass(slots=True)
class TestResult(Record):
    """The result of one test of a run. Results with the same ``run_id`` form a run.

    A result without ``ended_at`` is still open, and ``status`` is its state so far. A test that was
    tried again has a result for each try: ``tries`` of the last one is their number, that of the
    others is 0.
    """

    __test__ = False

    id: str
    run_id: str
    suite_name: str
    test_name: str
    status: TestStatus
    device_id: str | None = None
    card_iccid: str | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    duration_ms: int | None = None
    error_message: str | None = None
    assertions: JSONValue | None = None
    metadata: JSONValue | None = None
    tries: int = 1
    created_at: datetime = field(default_factory=utc_now)
    updated_at: datetime = field(default_factory=utc_now)


@dataclass(frozen=True, slots=True)
class SuiteSummary(Record):
    """Statistics of a suite's results within a run.

    Each counts tests by their last try. An open test counts only as ``open``, so that the five add
    up to ``total``. ``tries`` counts every try, and ``flaky`` the tests that passed after others.
    ``pass_rate`` is the passed share (0 to 1) of the results that ended and were not skipped,
    ``None`` if there are none; ``duration_ms`` is the total.
    """

    suite_name: str
    total: int
    passed: int
    failed: int
    error: int
    skipped: int
    open: int
    tries: int
    flaky: int
    pass_rate: float | None
    duration_ms: int
    started_at: datetime | None
    ended_at: datetime | None


@dataclass(frozen=True, slots=True)
class TestRun(Record):
    """Statistics of a run, counted like those of a :class:`SuiteSummary`."""

    __test__ = False

    run_id: str
    total: int
    passed: int
    failed: int
    error: int
    skipped: int
    open: int
    tries: int
    flaky: int
    pass_rate: float | None
    duration_ms: int
    started_at: datetime | None
    ended_at: datetime | None


@dataclass(frozen=True, slots=True)
class TestRunSummary(TestRun):
    """Statistics of a run and of each of its suites, by name."""

    __test__ = False

    suites: tuple[SuiteSummary, ...]


@dataclass(frozen=True, slots=True)
class TestChange(Record):
    """The change of one test from one run to another; ``None`` if it is not in that run.

    ``error_message`` is that of the later run.
    """

    __test__ = False

    kind: ChangeKind
    suite_name: str
    test_name: str
    before_status: TestStatus | None
    after_status: TestStatus | None
    before_ms: int | None
    after_ms: int | None
    error_message: str | None


@dataclass(frozen=True, slots=True)
class RunComparison(Record):
    """The differences between the run ``before`` and the run ``after``, by suite and test."""

    before: str
    after: str
    changes: tuple[TestChange, ...]

    def of(self, kind: ChangeKind) -> list[TestChange]:
        """Return the changes of one kind."""
        return [change for change in self.changes if change.kind is kind]

    @property
    def regressions(self) -> list[TestChange]:
        """Return the tests that passed, then failed or ended in an error."""
        return self.of(ChangeKind.REGRESSION)

    @property
    def new_failures(self) -> list[TestChange]:
        """Return the tests that failed or ended in an error, and passed, were skipped or not there.

        The regressions come first.
        """
        failing = (TestStatus.FAILED, TestStatus.ERROR)
        others = self.changed + self.new_tests
        return self.regressions + [one for one in others if one.after_status in failing]

    @property
    def improvements(self) -> list[TestChange]:
        """Return the tests that failed or ended in an error, then passed."""
        return self.of(ChangeKind.IMPROVEMENT)

    @property
    def still_failing(self) -> list[TestChange]:
        """Return the tests that failed or ended in an error in both runs."""
        return self.of(ChangeKind.STILL_FAILING)

    @property
    def new_tests(self) -> list[TestChange]:
        """Return the tests that are only in the later run."""
        return self.of(ChangeKind.NEW)

    @property
    def removed_tests(self) -> list[TestChange]:
        """Return the tests that are only in the earlier run."""
        return self.of(ChangeKind.REMOVED)

    @property
    def slower(self) -> list[TestChange]:
        """Return the tests that passed in both and became slower by more than the factor."""
        return self.of(ChangeKind.SLOWER)

    @property
    def changed(self) -> list[TestChange]:
        """Return the tests with any other change of status: to or from skipped."""
        return self.of(ChangeKind.CHANGED)

    @property
    def open(self) -> list[TestChange]:
        """Return the tests that have not ended in one of the runs and cannot be compared yet."""
        return self.of(ChangeKind.OPEN)


@dataclass(frozen=True, slots=True)
class FlakyTest(Record):
    """A test that both passed and failed within some runs; ``failed`` also counts errors."""

    suite_name: str
    test_name: str
    runs: int
    passed: int
    failed: int
    last_failure: datetime | None


@dataclass(frozen=True, slots=True)
class JUnitImport(Record):
    """The number of results of a report that were recorded, and that were known already.

    ``unread`` counts times and durations that were not understood, and are unknown; ``missing`` the
    failures and errors that suites count, and that the report does not hold.
    """

    created: int
    unchanged: int
    unread: int = 0
    missing: int = 0

    def __add__(self, other: "JUnitImport") -> "JUnitImport":
        """Return the numbers of two reports together."""
        return JUnitImport(*map(add, astuple(self), astuple(other)))
