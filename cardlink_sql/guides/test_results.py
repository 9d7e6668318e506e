r"""# Test results

For the developer of a test runner, and for whoever reads what the runs say. A result belongs to
a run, a suite and a test. A run is what its results name as `run_id`: any identifier of up to 36
characters, such as a build number. There is no table of runs; a run begins with its first result.

```console
$ cardlink-db init
```

## Recording

```python
from datetime import UTC, datetime, timedelta

from cardlink_sql import DatabaseManager, TestResult, TestStatus, UnitOfWork

manager = DatabaseManager()
start = datetime(2026, 11, 22, 22, 0, tzinfo=UTC)

with UnitOfWork(manager) as uow:
    uow.tests.create_result(
        "build-1", "ota.install", "test_cap[1 kB]", "passed", start, duration_ms=1250
    )
    uow.tests.create_result(
        "build-1",
        "ota.install",
        "test_cap[64 kB]",
        TestStatus.FAILED,
        start + timedelta(seconds=2),
        ended_at=start + timedelta(seconds=9),
        error_message="expected 9000, got 6A84",
        assertions=[{"expected": "9000", "got": "6A84"}],
    )
    uow.commit()
```

Of start, end and duration the third is derived from the other two, in whole milliseconds, cut.
All three together are kept as they are: the duration is the runner's stopwatch, and the times are
the wall clock, which may be set meanwhile; figures and comparisons take the duration. An end
before the start is refused.

A result with a start alone is open, whatever its status says, and an update ends it. Begin it as
`error`: that is what it stays if the runner dies.

```python
from dataclasses import replace

with UnitOfWork(manager) as uow:
    begun = uow.tests.create_result(
        "build-2", "ota.install", "test_cap[1 kB]", "error", start + timedelta(days=1)
    )
    uow.commit()

with UnitOfWork(manager) as uow:
    uow.tests.update(
        replace(begun, status=TestStatus.PASSED, ended_at=begun.started_at + timedelta(seconds=4))
    )
    uow.tests.create_results(
        TestResult(
            id=f"2-{number}",
            run_id="build-2",
            suite_name="ota.install",
            test_name=name,
            status=TestStatus.PASSED,
            started_at=start + timedelta(days=1, seconds=number),
            duration_ms=90,
        )
        for number, name in enumerate(["test_cap[64 kB]", "test_delete"])
    )
    uow.commit()
```

`create_results` sends many in one statement, some 9,000 a second, and checks all of them before
the first is written.

## Reading

```python
with UnitOfWork(manager, read_only=True) as uow:
    summary = uow.tests.get_run_summary("build-1")
    assert (summary.passed, summary.failed, summary.pass_rate) == (1, 1, 0.5)
    assert [suite.suite_name for suite in summary.suites] == ["ota.install"]

    comparison = uow.tests.compare_runs("build-1", "build-2", slower_factor=2)
    assert [change.test_name for change in comparison.improvements] == ["test_cap[64 kB]"]
    assert [change.test_name for change in comparison.slower] == ["test_cap[1 kB]"]
    assert [change.test_name for change in comparison.new] == ["test_delete"]

    (failure,) = uow.tests.find_failures("build-1")
    latest, earlier = uow.tests.history("ota.install", failure.test_name)
    assert (latest.status, earlier.status) == (TestStatus.PASSED, TestStatus.FAILED)
    assert [test.test_name for test in uow.tests.find_flaky(runs=10)] == [failure.test_name]

    uow.tests.find_by_filters(suite_name="ota.install", status="failed", start=start, limit=50)
```

- Figures count results, not tests: one that was tried again within a run counts each time. What
  is open counts as open alone; `find_failures` gives it where it stands as failed or error. The
  pass rate is the passed share of what ended and was not
  skipped.
- A comparison matches by suite and test, and of a test that was tried again the last result
  counts. `regressions` passed and then failed or broke off; `changed` is any other change, to or
  from skipped; `open` cannot be compared yet. A duration below a millisecond counts as one.
- `find_flaky` looks at every result of the runs that began last, so a test that failed and passed
  when it was tried again is among them.

The same from the command line, each with `--json`:

```console
$ cardlink-db tests runs
build-2 …
build-1 …
$ cardlink-db tests show build-1 --failures
…test_cap[64 kB]…failed…
$ cardlink-db tests compare build-1 build-2
build-1 → build-2: 1 improvement, 1 slower, 1 new.
$ cardlink-db tests history ota.install 'test_cap[64 kB]'
$ cardlink-db tests flaky --runs 20
```

`tests compare` exits with 0 whatever it finds; with `--check` it exits with 1 where something
regressed, for a CI.

## JUnit XML, out

```console
$ cardlink-db tests junit build-2 --output report.xml
```

`uow.tests.export_junit_xml(run_id)` gives the same text. It is valid for Jenkins and Surefire,
which have no place for the device and the card of one test: what differs in suite, device, card,
host or properties stands in a `testsuite` of its own, with `device` and `iccid` among its
properties. The host is `metadata["hostname"]`, else `localhost`, which stands for an unknown one.
An open result is skipped, with the message `still open`; one that stands as failed or error is
written as that, so that no failure hides. Characters that XML forbids are written
visibly, such as `\x1b`. The assertions, and what else the metadata hold, stay in the database.

## JUnit XML, in

```console
$ cardlink-db tests import report.xml --run build-2-again
Run build-2-again: 3 recorded, 0 known already.
$ cardlink-db tests import report.xml --run build-2-again
Run build-2-again: 0 recorded, 3 known already.
```

Several files are one transaction: all or none. The reports of pytest, Maven Surefire, gtest, jest
(jest-junit) and node are recorded as those tools write them:

| In the report | In the result |
|---|---|
| `classname` | the suite; where it only repeats the name, or is `test`, the suites around it, joined by ` > ` |
| `failure`, `error`, `skipped` | the status, and all their messages and texts |
| `flakyFailure`, `rerunError` and their like | a result of its own for each try |
| `timestamp` of the test | the start; else that of its suite, and after the tests before it; else now |
| a `timestamp` without a zone | UTC |
| `time` | the duration, commas and all; none, or less than zero, is 0 |
| `device`, `iccid` among the properties | the device and the card, if the database has them |
| other properties, `hostname`, `system-out`, `system-err` | the metadata; of an output its last 32,768 characters, of a property 4,096 |
| a name of more than 128 (suite) or 256 characters | cut, ending in `…` and a mark of its own |

Surefire's dump of Java's system properties, the output of a whole suite, and other attributes such
as `file` and `line` are left out.

The same file twice into one run changes nothing. A report that is no XML, no JUnit, larger than
64 MiB, or has a document type (and so entities) is refused with file, line and column, and nothing
of it is written. What a run's report loses on the way out and in again is the start of a test
within its suite, for which JUnit has no place.

```python
with UnitOfWork(manager) as uow:
    done = uow.tests.import_junit_xml(
        '<testsuite name="s"><testcase classname="s" name="t" time="1,234.5"/></testsuite>',
        "build-3",
    )
    assert done.created == 1
    (result,) = uow.tests.find_by_run("build-3")
    assert result.duration_ms == 1_234_500
    uow.commit()

manager.close()
```

## What it costs

In a table of 200,000 results, in runs of 5,000, on two cores: the history of a test takes 1 to
3 ms, the summary of a run 25 ms, a comparison 0.1 s (0.3 s on MariaDB), the list of 20 runs or the
flaky tests of 10 0.2 to 0.4 s, a report of 5,000 tests 0.2 s out and 0.4 to 0.9 s in. The list of
runs and the names of the suites are read off an index as long as the table. `uow.tests.purge_old`
deletes what was recorded longest ago, 10,000 rows in 0.1 to 0.2 s.
"""
