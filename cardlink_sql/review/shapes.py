"""The shape of a plan: what it comes to, without what differs from run to run."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Final

from sqlalchemy import Table, UniqueConstraint

from cardlink_sql.model.tables import UTCDateTime, metadata
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


@cache
def index_heads() -> dict[str, tuple[str, str]]:
    """The table of each index, and its first column."""
    found: dict[str, tuple[str, str]] = {}
    for table in metadata.tables.values():
        for one in table.indexes:
            found[str(one.name)] = (table.name, one.columns[0].name)
        for key in (table.primary_key, *_unique(table)):
            found[str(key.name)] = (table.name, key.columns[0].name)
    return found


def _unique(table: Table) -> Iterator[UniqueConstraint]:
    return (one for one in table.constraints if isinstance(one, UniqueConstraint))


def sets_rows_apart(table: str, column: str) -> bool:
    """Whether few rows share a value of the column: a time, or the key."""
    found = metadata.tables[table].columns.get(column) if table in metadata.tables else None
    return found is not None and (found.primary_key or isinstance(found.type, UTCDateTime))
