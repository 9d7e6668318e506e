"""Statistics of the database server."""

from dataclasses import dataclass

from cardlink_sql.model.json_value import Record


@dataclass(frozen=True, slots=True)
class TableSize(Record):
    """A table's rows and, where the database knows them, its bytes with all indexes.

    ``is_estimate`` says that the rows are the server's estimate, not a count.
    """

    name: str
    rows: int
    bytes: int | None
    is_estimate: bool = False


@dataclass(frozen=True, slots=True)
class CountedStatement(Record):
    """A server's counts of one statement, or of statements that differ only in their values.

    Attributes:
        text: its beginning up to the name of its query, or its text without values. ``None``
            is the total of all statements that the server had no room to list.
        calls: the number of times it was sent.
        total_ms: its total time.
        longest_ms: its longest time.
        row_count: the total number of rows that it read or changed.
    """

    text: str | None
    calls: int
    total_ms: float
    longest_ms: float
    row_count: int
