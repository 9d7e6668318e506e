"""Tables and columns that are read and written."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import reduce
from typing import Any, Final

Columns = Mapping[str, frozenset[str]]

# The effects on columns, as the attributes of an access.
_ON_COLUMNS: Final = ("reads", "inserts", "updates")


@dataclass(frozen=True)
class Access:
    """The columns that are read and written, by table.

    A table without columns in ``reads`` is read as rows: COUNT(*), EXISTS.
    """

    reads: Columns = field(default_factory=dict)
    inserts: Columns = field(default_factory=dict)
    updates: Columns = field(default_factory=dict)
    deletes: frozenset[str] = frozenset()

    @property
    def tables_read(self) -> list[str]:
        return sorted(self.reads)

    @property
    def tables_written(self) -> list[str]:
        return sorted({*self.inserts, *self.updates, *self.deletes})

    def __or__(self, other: "Access") -> "Access":
        reads, inserts, updates = (
            _merged(getattr(self, does), getattr(other, does)) for does in _ON_COLUMNS
        )
        return Access(reads, inserts, updates, self.deletes | other.deletes)

    def effects(self) -> Iterator[tuple[str, str, tuple[str, ...]]]:
        """Yield each effect (``reads``, ``inserts``, …), its table and its columns."""
        for does in _ON_COLUMNS:
            for table, columns in getattr(self, does).items():
                yield does, table, tuple(sorted(columns))
        for table in sorted(self.deletes):
            yield "deletes", table, ()

    def as_json(self) -> dict[str, Any]:
        """Return the columns as sorted JSON values, without empty entries."""
        listed: dict[str, Any] = {
            does: {table: sorted(columns) for table, columns in sorted(getattr(self, does).items())}
            for does in _ON_COLUMNS
        }
        listed["deletes"] = sorted(self.deletes)
        return {does: tables for does, tables in listed.items() if tables}


NOTHING: Final = Access()


def union(all_of: Iterable[Access]) -> Access:
    return reduce(Access.__or__, all_of, NOTHING)


def _merged(one: Columns, other: Columns) -> Columns:
    return {
        table: one.get(table, frozenset()) | other.get(table, frozenset())
        for table in sorted({*one, *other})
    }
