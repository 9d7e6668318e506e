"""``cardlink-db tests``."""

from pathlib import Path
from typing import Annotated, Final

import typer
from rich.text import Text

from cardlink_sql.cli.comparison import (
    comparison_as_json,
    headline,
    print_comparison,
)
from cardlink_sql.cli.shared.completion import complete_run
from cardlink_sql.cli.shared.database import open_manager, open_to_read
from cardlink_sql.cli.shared.exits import Exit
from cardlink_sql.cli.shared.filters import Card, Device, check_device_and_card
from cardlink_sql.cli.shared.json_output import print_json, print_json_with_list
from cardlink_sql.cli.shared.options import (
    AsJson,
    Force,
    Limit,
    Output,
    Since,
    Url,
    argument,
    group,
)
from cardlink_sql.cli.shared.output import (
    counted,
    milliseconds,
    output,
    percent,
    print_facts,
    seconds,
    styled,
    visible,
)
from cardlink_sql.cli.shared.progress import progress
from cardlink_sql.cli.shared.rows import Column, listing, print_list, print_rows
from cardlink_sql.cli.shared.styles import TEST_STYLES
from cardlink_sql.errors import NotFoundError
from cardlink_sql.formats.files import refuse_existing, write_atomically
from cardlink_sql.model import validation
from cardlink_sql.model.choices import TestStatus
from cardlink_sql.model.records.test_result import (
    FlakyTest,
    JUnitImport,
    SuiteSummary,
    TestResult,
    TestRun,
    TestRunSummary,
)
from cardlink_sql.unit_of_work import UnitOfWork

_OPEN: Final = ("open", "cyan")

tests = group("tests", "Test results, by run.", "cardlink-db tests runs")
Run = Annotated[
    str,
    typer.Argument(
        metavar="RUN", help="The run, as tests runs names it.", autocompletion=complete_run
    ),
]


@tests.command("runs")
@listing
def list_runs(
    *, since: Since = None, limit: Limit = 20, as_json: AsJson = False, url: Url = None
) -> None:
    """List runs in figures, newest first.

    A test that was tried again counts by its last try; flaky ones passed after another. The pass
    rate is the passed share of what ended and was not skipped.

    Example: cardlink-db tests runs --limit 5
    """
    with open_to_read(url) as uow:
        found = uow.tests.get_runs(limit, since)
    print_list(found, _RUN, as_json=as_json, limit=limit, which="newest", empty="No runs.")


@tests.command()
def show(
    run: Run,
    *,
    suite: Annotated[str | None, typer.Option(metavar="NAME", help="Only this suite.")] = None,
    failures: Annotated[
        bool, typer.Option("--failures", help="Only what failed, with its whole message.")
    ] = False,
    as_json: AsJson = False,
    url: Url = None,
) -> None:
    """Show a run: its figures, its suites and its results.

    Example: cardlink-db tests show build-4711 --failures
    """
    _check_run(run, "RUN")
    with open_to_read(url) as uow:
        summary = uow.tests.get_run_summary(run)
        results = uow.tests.find_failures(run) if failures else uow.tests.find_by_run(run)
    if suite is not None:
        if suite not in {one.suite_name for one in summary.suites}:
            raise NotFoundError(f"the run has no suite {suite!r}", remedy="leave --suite out")
        results = [result for result in results if result.suite_name == suite]
    if as_json:
        print_json_with_list(summary.to_dict(), "results", (one.to_dict() for one in results))
        return
    _print_summary(summary)
    _print_results(results, with_messages=failures)


@tests.command()
def compare(
    before: Annotated[
        str, typer.Argument(metavar="BEFORE", help="The earlier run.", autocompletion=complete_run)
    ],
    after: Annotated[
        str, typer.Argument(metavar="AFTER", help="The later run.", autocompletion=complete_run)
    ],
    *,
    factor: Annotated[
        float,
        typer.Option(metavar="N", help="A test is slower beyond so many times the duration."),
    ] = 2.0,
    check: Annotated[
        bool, typer.Option("--check", help="Exit with 1 where a test fails that did not, for a CI.")
    ] = False,
    as_json: AsJson = False,
    url: Url = None,
) -> None:
    """Show what differs between two runs, by suite and test.

    A test counts by its last try; namesakes within a run are compared in their order. A difference
    is not an error: without --check the exit code is 0.

    Example: cardlink-db tests compare build-4710 build-4711 --check
    """
    _check_run(before, "BEFORE")
    _check_run(after, "AFTER")
    with argument("--factor"):
        validation.factor(factor, "factor")
    if before == after:
        raise typer.BadParameter(f"{after!r} is the earlier run, too", param_hint="AFTER")
    with open_to_read(url) as uow:
        comparison = uow.tests.compare_runs(before, after, factor)
    if as_json:
        print_json(comparison_as_json(comparison))
    else:
        print_comparison(comparison)
    if check and comparison.new_failures:
        raise typer.Exit(Exit.ERROR)


@tests.command()
@listing
def history(
    suite: Annotated[str, typer.Argument(metavar="SUITE", help="The suite.")],
    test: Annotated[str, typer.Argument(metavar="TEST", help="The test.")],
    *,
    since: Since = None,
    limit: Limit = 20,
    as_json: AsJson = False,
    url: Url = None,
) -> None:
    """Show how one test ended, newest first.

    Example: cardlink-db tests history ota.install test_cap
    """
    with argument("SUITE"):
        validation.filled(suite, "SUITE", 128)
    with argument("TEST"):
        validation.filled(test, "TEST", 256)
    with open_to_read(url) as uow:
        found = uow.tests.history(suite, test, limit, since)
    print_list(found, _HISTORY, as_json=as_json, empty="No results.")


@tests.command()
@listing
def flaky(
    *,
    runs: Annotated[
        int, typer.Option(min=1, metavar="N", help="Over so many of the last runs.")
    ] = 10,
    suite: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Of this suite, over its own last runs."),
    ] = None,
    as_json: AsJson = False,
    url: Url = None,
) -> None:
    """List the tests that both passed and failed.

    Most failures first.

    Example: cardlink-db tests flaky --runs 20
    """
    with open_to_read(url) as uow:
        found = uow.tests.find_flaky(runs, suite)
    print_list(found, _FLAKY, as_json=as_json, empty="No flaky tests.")


@tests.command()
def junit(
    run: Run,
    *,
    file: Output = None,
    force: Force = False,
    url: Url = None,
) -> None:
    """Write a run as JUnit XML.

    Example: cardlink-db tests junit build-4711 --output report.xml
    """
    _check_run(run, "RUN")
    refuse_existing(file, force=force)
    with open_to_read(url) as uow:
        text = uow.tests.export_junit_xml(run)
    if file is None:
        typer.echo(text, nl=False)
        return
    with write_atomically(file) as written:
        written.write(text)


@tests.command("import")
def import_reports(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="JUnit XML.", exists=True)],
    *,
    run: Annotated[str, typer.Option(metavar="RUN", help="The run that they are of.")],
    device: Device = None,
    card: Card = None,
    as_json: AsJson = False,
    url: Url = None,
) -> None:
    """Record JUnit reports as results of a run, all or none.

    Those of pytest, Maven Surefire, gtest, jest and node are known. A report that the run has
    already changes nothing.

    Example: cardlink-db tests import target/surefire-reports/TEST-*.xml --run build-4711
    """
    _check_run(run, "--run")
    check_device_and_card(device, card)
    total = JUnitImport(0, 0)
    with (
        open_manager(url) as manager,
        UnitOfWork(manager) as uow,
        progress("Importing", len(files), unit="reports") as done,
    ):
        for file in files:
            total += uow.tests.import_junit_xml(file, run, device_id=device, card_iccid=card)
            done(1)
        uow.commit()
    if as_json:
        print_json({"run_id": run, **total.to_dict()})
    else:
        _print_imported(run, total)


def _print_imported(run: str, total: JUnitImport) -> None:
    output.print(
        f"Run {visible(run)}: {total.created:,} recorded, {total.unchanged:,} known already."
    )
    if total.unread:
        output.print(f"{counted(total.unread, 'time')} could not be read: unknown.")
    if total.missing:
        output.print(
            f"The suites count {total.missing:,} more failures or errors than the reports hold."
        )


def _check_run(run: str, name: str) -> None:
    with argument(name):
        validation.identifier(run, name, 255)


def _print_summary(summary: TestRunSummary) -> None:
    print_facts(
        ("Run", summary.run_id),
        ("Started", seconds(summary.started_at)),
        ("Ended", seconds(summary.ended_at)),
    )
    rows: list[TestRun | SuiteSummary] = [*summary.suites, summary]
    print_rows(rows, _SUITE)


def _print_results(results: list[TestResult], *, with_messages: bool) -> None:
    below = Column[TestResult]("message", lambda _: None)
    print_rows(results, (*_RESULT, below if with_messages else _MESSAGE), empty="No results.")
    for one in results if with_messages else ():
        if one.error_message:
            output.print(styled(f"{one.suite_name} {one.test_name}", "bold"))
            for line in one.error_message.splitlines():
                output.print(f"  {visible(line.expandtabs(4))}")
            output.print()


def _status(result: TestResult) -> Text:
    if result.ended_at is None:
        return styled(*_OPEN)
    if not result.tries:
        return styled(f"{result.status}, tried again", "dim")
    return styled(result.status.value, TEST_STYLES[result.status])


def _count(status: str, style: str, leaves: int = 0) -> Column[TestRun | SuiteSummary]:
    def shown(figures: TestRun | SuiteSummary) -> Text | None:
        count = getattr(figures, status)
        return styled(f"{count:,}", style) if count else None

    return Column(status, shown, right=True, leaves=leaves)


def _tries(figures: TestRun | SuiteSummary) -> str | None:
    return f"{figures.tries:,}" if figures.tries != figures.total else None


def _suite(figures: TestRun | SuiteSummary) -> str | Text:
    return figures.suite_name if isinstance(figures, SuiteSummary) else styled("all", "bold")


_COUNTS: Final[tuple[Column[TestRun | SuiteSummary], ...]] = (
    Column("tests", lambda figures: f"{figures.total:,}", right=True),
    _count("passed", TEST_STYLES[TestStatus.PASSED]),
    _count("failed", TEST_STYLES[TestStatus.FAILED]),
    _count("error", TEST_STYLES[TestStatus.ERROR]),
    _count("skipped", TEST_STYLES[TestStatus.SKIPPED], leaves=3),
    _count(*_OPEN, leaves=4),
    Column("flaky", lambda figures: figures.flaky or None, right=True, leaves=5),
    Column("tries", _tries, right=True, leaves=2),
    Column("pass rate", lambda figures: percent(figures.pass_rate), right=True, leaves=6),
    Column("duration", lambda one: milliseconds(one.duration_ms), right=True, leaves=1),
)
_SUITE: Final[tuple[Column[TestRun | SuiteSummary], ...]] = (
    Column("Suite", _suite, folds=True),
    *_COUNTS,
)
_RUN: Final[tuple[Column[TestRun], ...]] = (
    Column("Run", lambda run: run.run_id, folds=True),
    Column("started (UTC)", lambda run: seconds(run.started_at)),
    *_COUNTS,
)
_MESSAGE: Final = Column[TestResult]("message", lambda one: headline(one.error_message), folds=True)
_RESULT: Final[tuple[Column[TestResult], ...]] = (
    Column("Suite", lambda one: one.suite_name, folds=True),
    Column("test", lambda one: one.test_name, folds=True),
    Column("status", _status),
    Column("duration", lambda one: milliseconds(one.duration_ms), right=True, leaves=3),
    Column("device", lambda one: one.device_id, leaves=1),
    Column("card", lambda one: one.card_iccid, leaves=2),
)
_HISTORY: Final[tuple[Column[TestResult], ...]] = (
    Column("Run", lambda one: one.run_id),
    Column("started (UTC)", lambda one: seconds(one.started_at)),
    Column("status", _status),
    Column("duration", lambda one: milliseconds(one.duration_ms), right=True),
    _MESSAGE,
)
_FLAKY: Final[tuple[Column[FlakyTest], ...]] = (
    Column("Suite", lambda one: one.suite_name, folds=True),
    Column("test", lambda one: one.test_name, folds=True),
    Column("runs", lambda one: one.runs, right=True),
    Column("passes", lambda one: one.passed, right=True),
    Column("failures", lambda one: one.failed, right=True),
    Column("last failure (UTC)", lambda one: seconds(one.last_failure)),
)
