"""The shape of a plan: its essence, without details that differ from run to run."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Final

from cardlink_sql.model.tables import UTCDateTime, metadata
from cardlink_sql.review.databases.dataset import SIZES
from cardlink_sql.review.statements.single_row import unique_constraints
from cardlink_sql.review.statements.variants import Variant

# A result narrowed by an index to at most this part of a table is small and cheap to sort.
SMALL_PART: Final = 1 / 20

NO_REASON: Final = "let an index serve it, or say why it may in a comment: -- allow-scan: reason"


@dataclass(frozen=True)
class PlanShape:
    """The way a database executes a statement.

    Attributes:
        lines: the plan as the database prints it, without costs, row counts and values.
        scans: the growing tables that are read whole, each with its line of the plan.
        sorts: the growing tables of which more than a small part is sorted, likewise.
    """

    lines: tuple[str, ...]
    scans: Mapping[str, str] = field(default_factory=dict)
    sorts: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Planned:
    """A query in one variant, and the shape of its plan."""

    variant: Variant
    shape: PlanShape


def is_small(rows: float, table: str) -> bool:
    """Return whether a number of rows is a small part of a table of the data set."""
    return rows <= SIZES[table] * SMALL_PART


def largest(tables: Iterable[str]) -> str | None:
    """Return the table with most rows in the data set; None if there is none."""
    return max(tables, key=SIZES.__getitem__, default=None)


@cache
def index_heads() -> dict[str, tuple[str, str]]:
    """Return the table and first column of each index."""
    tables = metadata.tables.values()
    keys = [key for table in tables for key in (table.primary_key, *unique_constraints(table))]
    indexes = [index for table in tables for index in table.indexes]
    heads = {str(one.name): one.columns[0] for one in indexes}
    heads |= {str(one.name): one.columns[0] for one in keys}
    return {name: (column.table.name, column.name) for name, column in heads.items()}


def sets_rows_apart(table: str, column: str) -> bool:
    """Return whether few rows share a value of the column: a time, or the key."""
    found = metadata.tables[table].columns.get(column) if table in metadata.tables else None
    return found is not None and (found.primary_key or isinstance(found.type, UTCDateTime))
