"""The shape of a plan: what it comes to, without what differs from run to run."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from cardlink_sql.review.dataset import SIZES
from cardlink_sql.review.variants import Variant

# What an index narrowed to at most this part of a table is small, and sorting it costs little.
SMALL_PART: Final = 1 / 20

NO_REASON: Final = "let an index serve it, or say in its documentation: -- allow-scan: why it may"


@dataclass(frozen=True)
class Shape:
    """How a statement is answered.

    Attributes:
        lines: the plan in its database's own words, without costs, numbers of rows and values.
        scans: the tables that grow and are read whole, each with the line that says so.
        sorts: the tables that grow and of which more than a small part is sorted, the same way.
    """

    lines: tuple[str, ...]
    scans: Mapping[str, str] = field(default_factory=dict)
    sorts: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Planned:
    """A query in one variant, and the shape of its plan."""

    variant: Variant
    shape: Shape


def is_small(rows: float, table: str) -> bool:
    """Whether so many rows are a small part of a table of the data set."""
    return rows <= SIZES[table] * SMALL_PART


def largest(tables: Iterable[str]) -> str | None:
    """The table of which the data set has most rows; None where there is none."""
    return max(tables, key=SIZES.__getitem__, default=None)
