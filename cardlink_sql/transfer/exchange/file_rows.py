"""The rows of a file that is open for reading, whatever its format."""

from collections.abc import Iterator
from typing import Any, NamedTuple, Protocol

from cardlink_sql.formats.problems import Problems
from cardlink_sql.transfer.exchange.shapes import Shape


class FileRow(NamedTuple):
    """A row of a file: its table, its number there from 0, its line where lines count.

    ``named`` is its place in the file, where that is not the table's name and the number.
    """

    shape: Shape
    position: int
    line: int | None
    row: Any
    named: str | None = None

    def place(self, name: str | None = None) -> str:
        """Return where the row is in its file, or one of its fields, for an error."""
        place = self.named or f"{self.shape.name}[{self.position}]"
        return place if name is None else f"{place}.{name}"


class RowSource(Protocol):
    """A file that is open for reading."""

    header: Any

    def entries(self, problems: Problems) -> Iterator[FileRow]:
        """Yield the rows; report anything else as a problem."""
