"""``cardlink-db purge``."""

import signal
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Annotated, Any

import typer

from cardlink_sql.cli.shared.database import open_manager
from cardlink_sql.cli.shared.exits import WorkInterruptedError
from cardlink_sql.cli.shared.json_output import print_json
from cardlink_sql.cli.shared.options import AsJson, Url, Yes, argument, confirm
from cardlink_sql.cli.shared.progress import progress
from cardlink_sql.cli.shared.rows import Column, print_rows
from cardlink_sql.errors import ValidationError
from cardlink_sql.manager import DatabaseManager
from cardlink_sql.model import validation
from cardlink_sql.operations.retention import TABLES, count_old, purge as purge_old, retention_days


def purge(
    *,
    older_than: Annotated[
        float | None,
        typer.Option(
            metavar="DAYS",
            help="Without it the settings say: retention.logs_days for logs, "
            "retention.sessions_days and retention.tests_days; events go after 7 days.",
        ),
    ] = None,
    tables: Annotated[
        str, typer.Option(metavar="NAMES", help="What to purge, separated by commas.")
    ] = ",".join(TABLES),
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Count what would be deleted; change nothing.")
    ] = False,
    yes: Yes = False,
    as_json: AsJson = False,
    url: Url = None,
) -> None:
    """Delete what is older than its retention.

    A log entry is as old as its timestamp, a session as its end, a test result as its record,
    an event of the outbox as its time. A session that has not ended stays; one that goes takes
    its whole log along, whatever the retention of logs. The work is done in short batches, so
    that others can write; interrupted, it has done whole batches.

    Example: cardlink-db purge --older-than 30 --tables logs,sessions --dry-run
    """
    names = _names(tables)
    if older_than is not None:
        with argument("--older-than"):
            validation.days(older_than)
    with open_manager(url) as manager:
        days = retention_days(manager, names)
        if older_than is not None:
            days = dict.fromkeys(names, older_than)
        if dry_run:
            _report(days, _counted(manager, days), dry_run=True, as_json=as_json)
            return
        if not yes:
            _ask(manager, days)
        _report(days, _purged(manager, days), dry_run=False, as_json=as_json)


def _names(tables: str) -> list[str]:
    names = [name.strip() for name in tables.split(",")]
    with argument("--tables"):
        for name in names:
            if name not in TABLES:
                raise ValidationError(f"{name!r} is none of: {', '.join(TABLES)}")
    return list(dict.fromkeys(names))


def _ask(manager: DatabaseManager, days: Mapping[str, float]) -> None:
    counts = _counted(manager, days)
    listed = ", ".join(f"{rows:,} of {name}" for name, rows in counts.items())
    confirm(f"Delete {listed} from {manager.config.safe_url}?", yes=not any(counts.values()))


def _counted(manager: DatabaseManager, days: Mapping[str, float]) -> dict[str, int]:
    with progress("Counting", unit="log entries") as advance:
        return count_old(manager, days, advance)


def _purged(manager: DatabaseManager, days: Mapping[str, float]) -> dict[str, int]:
    done = Counter[str]()
    with progress("Purging", unit="rows") as advance, _interrupted_between_batches() as check:

        def note(rows: Mapping[str, int]) -> None:
            done.update(rows)
            advance(sum(rows.values()))
            check()

        try:
            return purge_old(manager, days, note)
        except KeyboardInterrupt:
            listed = ", ".join(f"{rows:,} of {name}" for name, rows in done.items()) or "nothing"
            raise WorkInterruptedError(f"{listed} purged, in whole batches") from None


@contextmanager
def _interrupted_between_batches() -> Iterator[Callable[[], None]]:
    """Hold Ctrl-C back until the function given is called; a second one does not wait."""
    is_asked = False

    def note(_number: int, _frame: Any) -> None:
        nonlocal is_asked
        if is_asked:
            raise KeyboardInterrupt
        is_asked = True

    def check() -> None:
        if is_asked:
            raise KeyboardInterrupt

    before = signal.signal(signal.SIGINT, note)
    try:
        yield check
    finally:
        signal.signal(signal.SIGINT, before)


def _report(
    days: Mapping[str, float], rows: Mapping[str, int], *, dry_run: bool, as_json: bool
) -> None:
    if as_json:
        listed = [
            {"name": name, "older_than_days": days.get(name), "rows": number}
            for name, number in rows.items()
        ]
        print_json({"dry_run": dry_run, "tables": listed})
        return
    heading = "would be deleted" if dry_run else "deleted"
    print_rows(
        rows,
        (
            Column("Table", str),
            Column("older than", lambda name: _age(days.get(name))),
            Column(heading, lambda name: f"{rows[name]:,}", right=True),
        ),
    )


def _age(days: float | None) -> str:
    return "with their sessions" if days is None else f"{days:g} days"
