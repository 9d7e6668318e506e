"""The output of a command: text made safe for terminals, tables and facts."""

import io
import json
import os
import re
import sys
from collections.abc import Iterable
from datetime import datetime
from typing import Any, Final

from rich import box
from rich.cells import cell_len
from rich.console import Console, ConsoleDimensions
from rich.table import Table
from rich.text import Text

# What moves a terminal's cursor, sets its colours or turns its text around (C0, DEL, C1, the
# bidirectional controls of Unicode), and what other programs take for the end of a line.
CONTROLS: Final = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069]"
)


_UNFOLDED: Final = 10_000


# A column of free text is folded to no less.
_FOLDED: Final = 16


class _Output(Console):
    """Stdout: as wide as the terminal; a pipe or file does not fold lines, for ``grep``."""

    @property  # type: ignore[misc]  # nobody sets it
    def size(self) -> ConsoleDimensions:
        """Columns and lines."""
        if self.is_terminal:
            return super().size
        columns = os.environ.get("COLUMNS", "")
        wanted = int(columns) if columns.isdecimal() else 0
        return ConsoleDimensions(wanted or _UNFOLDED, 25)

    @property
    def is_unicode(self) -> bool:
        """Return whether arrows and bars can be shown."""
        return self.encoding.startswith("utf")


output: Final = _Output(highlight=False, markup=False, soft_wrap=True)


def settle_streams() -> None:
    """Write characters outside a stream's encoding as ``\\u2192`` instead of failing."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def visible(text: object) -> str:
    """Text as it may be shown: a control character as ``\\x1b``, so that it controls nothing.

    Names come from phones and cards, and messages from servers.
    """
    return CONTROLS.sub(_escaped, str(text))


def _escaped(match: re.Match[str]) -> str:
    number = ord(match[0])
    return f"\\x{number:02x}" if number < 0x100 else f"\\u{number:04x}"


def styled(text: object, style: str) -> Text:
    """Return text for a cell or a line, in colour if the output supports it."""
    return Text(visible(text), style)


def table(*columns: str, right: tuple[str, ...] = ()) -> Table:
    """Return an empty table; the columns in ``right`` hold numbers."""
    made = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        is_right = column in right
        made.add_column(column, justify="right" if is_right else "left", overflow="fold")
    return made


def row(*values: Any) -> tuple[str | Text, ...]:
    """Return the cells of a table's row; ``None`` is empty."""
    return tuple(
        value if isinstance(value, Text) else "" if value is None else visible(value)
        for value in values
    )


def print_rows(
    columns: tuple[str, ...],
    rows: Iterable[tuple[Any, ...]],
    *,
    right: tuple[str, ...] = (),
    folding: tuple[str, ...] = (),
) -> None:
    """Print rows as a table; where the terminal is too narrow for it, one below the other.

    Args:
        columns: their headings. A column that is empty in every row is left out.
        rows: a value for each column; what may be folded is cut nowhere else.
        right: the columns of numbers.
        folding: the columns of free text, which may be folded to fit.
    """
    cells = [row(*values) for values in rows]
    used = [at for at in range(len(columns)) if any(map(len, (line[at] for line in cells)))]
    widths = {
        columns[at]: max(cell_len(str(line[at])) for line in (*cells, columns)) for at in used
    }
    least = sum(min(wide, _FOLDED) if name in folding else wide for name, wide in widths.items())
    if least + 3 * len(used) > output.width:
        for line in cells:
            output.print(facts(*((columns[at], line[at]) for at in used if line[at])))
            output.print()
        return
    shown = table(*widths, right=right)
    for column in shown.columns:
        column.no_wrap = column.header not in folding
    for line in cells:
        shown.add_row(*(line[at] for at in used))
    output.print(shown)


def facts(*pairs: tuple[str, Any]) -> Table:
    """Return a table of names and values, without those whose value is ``None``."""
    made = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    made.add_column(style="dim", no_wrap=True)
    made.add_column(overflow="fold")
    for name, value in pairs:
        if value is not None:
            shown = (
                json.dumps(value, ensure_ascii=False) if isinstance(value, dict | list) else value
            )
            made.add_row(*row(name, shown))
    return made


def seconds(moment: datetime | None) -> str | None:
    """Return a time for a table: UTC, whole seconds."""
    return None if moment is None else f"{moment:%Y-%m-%d %H:%M:%S}"
