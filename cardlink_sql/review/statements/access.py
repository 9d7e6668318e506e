"""Tables and columns that are read and written."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import reduce
from typing import Final

Columns = Mapping[str, frozenset[str]]


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
        """Return the tables that are read, in order."""
        return sorted(self.reads)

    @property
    def tables_written(self) -> list[str]:
        """Return the tables that are written, in order."""
        return sorted({*self.inserts, *self.updates, *self.deletes})

    def __or__(self, other: "Access") -> "Access":
        return Access(
            _merged(self.reads, other.reads),
            _merged(self.inserts, other.inserts),
            _merged(self.updates, other.updates),
            self.deletes | other.deletes,
        )

    def __bool__(self) -> bool:
        return bool(self.reads or self.inserts or self.updates or self.deletes)

    def effects(self) -> Iterator[tuple[str, str, tuple[str, ...]]]:
        """Yield each effect (``reads``, ``inserts``, …), its table and its columns."""
        for does, columns in (
            ("reads", self.reads),
            ("inserts", self.inserts),
            ("updates", self.updates),
        ):
            for table in columns:
                yield does, table, tuple(sorted(columns[table]))
        for table in self.deletes:
            yield "deletes", table, ()

    def as_json(self) -> dict[str, object]:
        """Return the columns as sorted JSON values, without empty entries."""
        listed = {
            kind: {table: sorted(columns[table]) for table in sorted(columns)}
            for kind, columns in (
                ("reads", self.reads),
                ("inserts", self.inserts),
                ("updates", self.updates),
            )
            if columns
        }
        return {**listed, **({"deletes": sorted(self.deletes)} if self.deletes else {})}


NOTHING: Final = Access()


def union(all_of: Iterable[Access]) -> Access:
    """Return the union of several accesses."""
    return reduce(Access.__or__, all_of, NOTHING)


def _merged(one: Columns, other: Columns) -> Columns:
    return {
        table: one.get(table, frozenset()) | other.get(table, frozenset())
        for table in sorted({*one, *other})
    }
