"""The output of a command: text made safe for terminals, tables and facts."""

import io
import json
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from datetime import datetime
from pathlib import Path
from typing import IO, Any, Final

from rich.console import Console, ConsoleDimensions
from rich.table import Table
from rich.text import Text

from cardlink_sql.formats.text import escaped

# Characters that move a terminal's cursor, set its colours or turn its text around (C0, DEL, C1,
# the bidirectional controls of Unicode), and those that other programs take for the end of a line.
CONTROLS: Final = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069]"
)


_UNFOLDED: Final = 10_000


@contextmanager
def silenced() -> Iterator[None]:
    """Print nothing while in the block; an error is printed after it."""
    with (
        Path(os.devnull).open("w", encoding="utf-8") as nowhere,
        redirect_stdout(nowhere),
        redirect_stderr(nowhere),
    ):
        output.quiet = True
        try:
            yield
        finally:
            output.quiet = False


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
    def is_piped(self) -> bool:
        """Return whether programs read the output: no terminal, and no width asked for."""
        return not self.is_terminal and not os.environ.get("COLUMNS", "").isdecimal()

    @contextmanager
    def sent_to(self, file: IO[str]) -> Iterator[None]:
        """Print to a file that shows what it gets on this terminal."""
        before = self.file
        self.file, self._force_terminal = file, True
        try:
            yield
        finally:
            self.file, self._force_terminal = before, None

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
    return CONTROLS.sub(lambda found: escaped(ord(found[0])), str(text))


def styled(text: object, style: str) -> Text:
    """Return text for a cell or a line, in colour if the output supports it."""
    return Text(visible(text), style)


def cell(value: Any) -> str | Text:
    """Return the text of a value in a table; ``None`` is empty, and a JSON document is JSON."""
    if isinstance(value, Text):
        return value
    if isinstance(value, dict | list):
        value = json.dumps(value, ensure_ascii=False)
    return "" if value is None else visible(value)


def print_facts(*pairs: tuple[str, Any]) -> None:
    """Print names and values, without those whose value is ``None``; into a pipe with a tab."""
    cells = [(cell(name), cell(value)) for name, value in pairs if value is not None]
    if output.is_piped:
        output.file.writelines(f"{name}\t{value}\n" for name, value in cells)
        return
    shown = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    shown.add_column(style="dim", no_wrap=True)
    shown.add_column(overflow="fold")
    for name, value in cells:
        shown.add_row(name, value)
    output.print(shown)


def counted(number: int, noun: str) -> str:
    """Return a number and what it counts: ``1 session``, ``1,200 sessions``."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def milliseconds(lasted: float | None) -> str | None:
    """Return a duration in ms for a table."""
    return None if lasted is None else f"{lasted:,.0f} ms"


def tenths(value: float | None) -> str | None:
    """Return a number for a table, to one decimal place."""
    return None if value is None else f"{value:,.1f}"


def percent(share: float | None) -> str | None:
    """Return a share of 0 to 1 for a table."""
    return None if share is None else f"{share:.1%}"


def seconds(moment: datetime | None) -> str | None:
    """Return a time for a table: UTC, whole seconds."""
    return None if moment is None else f"{moment:%Y-%m-%d %H:%M:%S}"
