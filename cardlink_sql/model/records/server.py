"""Figures that the database server keeps."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class TableSize:
    """A table's rows and, where the database knows them, its bytes with all indexes."""

    name: str
    rows: int
    bytes: int | None


@dataclass(frozen=True, slots=True)
class CountedStatement:
    """A server's counts of one statement, or of those that are alike but for their values.

    Attributes:
        text: its beginning up to the name of its query, or its words without values. ``None``
            sums up all that the server had no room to keep apart.
        calls: how often it was sent.
        total_ms: the time that it took, summed up.
        longest_ms: the time that it took at most.
        row_count: the rows that it read or changed, summed up.
    """

    text: str | None
    calls: int
    total_ms: float
    longest_ms: float
    row_count: int
