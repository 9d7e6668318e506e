"""Figures of test runs: summaries, differences between two runs, flaky tests."""

from collections.abc import Mapping
from dataclasses import asdict, replace
from datetime import datetime
from typing import Any, TypeVar

from cardlink_sql.errors import NotFoundError, ValidationError
from cardlink_sql.gateways.base import Gateway
from cardlink_sql.model import validation
from cardlink_sql.model.records.test_result import (
    FlakyTest,
    RunComparison,
    SuiteSummary,
    TestChange,
    TestResult,
    TestRun,
    TestRunSummary,
)
from cardlink_sql.queries.query import MAX_LIST

F = TypeVar("F", SuiteSummary, TestRun)


class RunFigures(Gateway[TestResult, str]):
    """The part of the test results' gateway that compares and adds up runs."""

    __slots__ = ()

    def get_run_summary(self, run_id: str) -> TestRunSummary:
        """Return figures of a run and its suites in one statement, or raise ``NotFoundError``."""
        run = self._given("run_id", run_id)
        whole, *suites = self._durations("get_run_summary", SuiteSummary, {"run_id": run})
        if not whole.total:
            raise self._no_run(run_id)
        figures: dict[str, Any] = asdict(whole)
        del figures["suite_name"]
        return TestRunSummary(run_id=run, suites=tuple(suites), **figures)

    def get_runs(self, limit: int = 20, since: datetime | None = None) -> list[TestRun]:
        """Return the figures of the latest runs, newest first.

        ``since`` is the earliest start. ``find_latest_runs`` or ``get_run_ids`` finds them.
        """
        bound = {} if since is None else {"since": self._time(since)}
        listed = self._latest_runs(validation.whole(limit, "limit", least=0), **bound)
        figures = {
            run.run_id: run
            for start in range(0, len(listed), MAX_LIST)
            for run in self._durations(
                "get_runs", TestRun, {"keys": listed[start : start + MAX_LIST]}
            )
        }
        return [figures[run_id] for run_id in listed if run_id in figures]

    def get_run_ids(self, limit: int | None = None) -> list[str]:
        """Return the runs, the latest start first; those without a known start last.

        With a limit the query is ``find_latest_runs``.
        """
        if limit is not None:
            return self._latest_runs(validation.limit(limit))
        return self._firsts("get_run_ids", {"limit": validation.limit(None)})

    def get_suite_names(self) -> list[str]:
        """Return the names of all suites, in order."""
        return self._firsts("get_suite_names", {})

    def compare_runs(self, run_id1: str, run_id2: str, slower_factor: float = 2.0) -> RunComparison:
        """Return the differences between two runs, matched by suite and test, in one statement.

        Of a test that ran several times within a run the last result counts. An open one
        counts as neither passed nor failed. ``count_by`` checks that the runs exist.

        Args:
            run_id1: the earlier run.
            run_id2: the later run.
            slower_factor: from how many times the duration a test that passed in both is
                slower; 1 or more. Below a millisecond a duration counts as one.

        Raises:
            NotFoundError: one of the runs has no result.
            ValidationError: both are one run, or the factor is below 1.
        """
        runs = {"before": self._given("run_id", run_id1), "after": self._given("run_id", run_id2)}
        if runs["before"] == runs["after"]:
            raise ValidationError(f"both are the run {run_id1!r}", "run_id2", "name another run")
        factor = validation.factor(slower_factor, "slower_factor")
        for run in runs.values():
            if not self._count_by({"run_id": run}):
                raise self._no_run(run)
        changes = self._figures("compare_runs", TestChange, {**runs, "slower_factor": factor})
        return RunComparison(runs["before"], runs["after"], tuple(changes))

    def find_flaky(self, runs: int = 10, suite_name: str | None = None) -> list[FlakyTest]:
        """Return the tests that both passed and failed within the latest runs.

        Every result counts: a test that failed and passed when it was tried again within a
        run is flaky, too. Those with most failures come first. The queries are ``find_flaky``,
        ``find_latest_runs`` and, for a suite, ``find_runs_of_suite``.

        Args:
            runs: how many runs, 1 to 16,384.
            suite_name: the tests of this suite, within the last runs that it was part of; without
                it those of all suites, where one that runs often leaves less room for others.
        """
        most = validation.whole(runs, "runs", least=1, most=MAX_LIST)
        if suite_name is None:
            return self._figures("find_flaky", FlakyTest, {"keys": self._latest_runs(most)})
        suite = {"suite_name": self._bind["suite_name"](suite_name)}
        listed = self._runs_of(suite, most)
        return self._figures("find_flaky", FlakyTest, {**suite, "keys": listed})

    def _latest_runs(self, limit: int, **since: Any) -> list[str]:
        found = self._firsts("find_latest_runs", {**since, "limit": limit})
        if since or len(found) == limit:
            return found
        return self._firsts("get_run_ids", {"limit": limit})  # those without a start, too

    def _runs_of(self, suite: Mapping[str, Any], limit: int) -> list[str]:
        """Return the runs that a suite was last part of, from more and more of its results."""
        results = 1_000
        while True:
            found = self._firsts("find_runs_of_suite", {**suite, "limit": results})
            runs = list(dict.fromkeys(found))[:limit]
            if len(runs) == limit:
                return runs
            if len(found) < results:
                return self._firsts("get_run_ids", {**suite, "limit": limit})
            results *= 4

    def _durations(self, name: str, record: type[F], parameters: Mapping[str, Any]) -> list[F]:
        # PostgreSQL and MySQL return the sum of BIGINTs as a Decimal.
        figures = self._figures(name, record, parameters)
        return [replace(one, duration_ms=int(one.duration_ms)) for one in figures]

    def _no_run(self, run_id: str) -> NotFoundError:
        return NotFoundError(
            f"there is no run {run_id!r}", self.table.name, "run: cardlink-db tests runs"
        )


def newest_first(results: list[TestResult]) -> list[TestResult]:
    """Return the results in the order of their starts, those without one last."""

    def recency(one: TestResult) -> tuple[Any, ...]:
        at = one.started_at or one.created_at
        return (one.started_at is not None, at, one.created_at, one.id)

    return sorted(results, key=recency, reverse=True)
