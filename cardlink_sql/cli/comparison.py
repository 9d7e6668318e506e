"""The output of a comparison of two test runs."""

from collections import Counter
from dataclasses import asdict
from typing import Any, Final

from rich.text import Text

from cardlink_sql.cli.shared.output import milliseconds, output, styled, visible
from cardlink_sql.cli.shared.rows import Column, print_rows
from cardlink_sql.cli.shared.styles import TEST_STYLES
from cardlink_sql.model.choices import TestStatus
from cardlink_sql.model.records.test_result import ChangeKind, RunComparison, TestChange

_KIND_STYLES: Final = {
    ChangeKind.REGRESSION: "bold red",
    ChangeKind.STILL_FAILING: "red",
    ChangeKind.IMPROVEMENT: "green",
    ChangeKind.SLOWER: "yellow",
    ChangeKind.OPEN: "cyan",
}
# The most important kind comes first.
_KINDS: Final = (
    ChangeKind.REGRESSION,
    ChangeKind.STILL_FAILING,
    ChangeKind.IMPROVEMENT,
    ChangeKind.SLOWER,
    ChangeKind.CHANGED,
    ChangeKind.NEW,
    ChangeKind.REMOVED,
    ChangeKind.OPEN,
)


def comparison_as_json(comparison: RunComparison) -> dict[str, Any]:
    """Return one list for each kind of change."""
    changes: dict[str, list[dict[str, Any]]] = {kind.value: [] for kind in _KINDS}
    for change in comparison.changes:
        values = asdict(change)
        changes[values.pop("kind")].append(values)
    return {"before": comparison.before, "after": comparison.after, **changes}


def print_comparison(comparison: RunComparison) -> None:
    """Print a table of the differences, regressions first, and a line with their numbers."""
    changes = sorted(comparison.changes, key=lambda change: _KINDS.index(change.kind))
    if changes:
        print_rows(changes, _COLUMNS)
    counts = Counter(change.kind for change in changes)
    listed = ", ".join(f"{counts[kind]:,} {_words(kind)}" for kind in _KINDS if counts[kind])
    output.print(
        f"{visible(comparison.before)} → {visible(comparison.after)}: {listed or 'no difference'}."
    )


def _side(change: TestChange, status: TestStatus | None, lasted: int | None) -> Text | None:
    """A test in one of the two runs: its status, or its duration where that is the difference."""
    if status is None:
        return None
    if change.kind is ChangeKind.SLOWER:
        return styled(milliseconds(lasted), "")
    return styled(status.value, TEST_STYLES[status])


def _words(kind: ChangeKind) -> str:
    return kind.value.replace("_", " ")


def headline(message: str | None) -> str | None:
    """Return the first line of a message."""
    return message.strip().partition("\n")[0] if message else None


def _kind(change: TestChange) -> Text:
    return styled(_words(change.kind), _KIND_STYLES.get(change.kind, ""))


_COLUMNS: Final[tuple[Column[TestChange], ...]] = (
    Column("Change", _kind),
    Column("suite", lambda one: one.suite_name, folds=True),
    Column("test", lambda one: one.test_name, folds=True),
    Column("before", lambda one: _side(one, one.before_status, one.before_ms)),
    Column("after", lambda one: _side(one, one.after_status, one.after_ms)),
    Column("message", lambda one: headline(one.error_message), folds=True),
)
