"""What the commands have in common: the URL option, exit codes, printing."""

import io
import json
import os
import re
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import fields
from datetime import datetime
from enum import IntEnum
from typing import Annotated, Any, Final

import typer
from rich import box
from rich.cells import cell_len
from rich.console import Console, ConsoleDimensions
from rich.table import Table
from rich.text import Text

from cardlink_sql.config import DatabaseConfig
from cardlink_sql.errors import DatabaseError, NotFoundError, ValidationError
from cardlink_sql.manager import DatabaseManager
from cardlink_sql.model.records import OTASession
from cardlink_sql.unit_of_work import UnitOfWork


class WorkInterruptedError(Exception):
    """Ctrl-C, where the command has to say how far its work had come."""


class Exit(IntEnum):
    """The exit codes of ``cardlink-db``."""

    FINE = 0
    ERROR = 1
    USAGE = 2
    PENDING = 3
    DRIFT = 4
    INTERRUPTED = 130


def _url_or_that_before_the_command(context: typer.Context, value: str | None) -> str | None:
    if value is None:
        given: str | None = context.find_root().params.get("url")
        return given
    try:
        DatabaseConfig(value)
    except ValidationError as error:
        said = f"{error.what} ({error.remedy})" if error.remedy else error.what
        raise typer.BadParameter(said) from None
    return value


Url = Annotated[
    str | None,
    typer.Option(
        "--url",
        "-d",
        metavar="URL",
        help="The database. Without it DATABASE_URL is taken, then sqlite:///data/cardlink.db.",
        show_default=False,
        callback=_url_or_that_before_the_command,
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="As JSON.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]

Limit = Annotated[int, typer.Option("--limit", "-n", min=1, metavar="N", help="Rows at most.")]

# What moves a terminal's cursor, sets its colours or turns its text around (C0, DEL, C1, the
# bidirectional controls of Unicode), and what other programs take for the end of a line.
_CONTROLS: Final = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069]"
)
# How many of the sessions that a prefix fits are named.
_NAMED = 5
_UNFOLDED: Final = 10_000
# A column of free text is folded to no less.
_FOLDED: Final = 16


class _Output(Console):
    """Stdout: as wide as the terminal; a pipe or a file folds nothing, for ``grep`` and others."""

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
        """Whether arrows and bars can be shown."""
        return self.encoding.startswith("utf")


output: Final = _Output(highlight=False, markup=False, soft_wrap=True)


def group(name: str, what: str, example: str) -> typer.Typer:
    """A group of commands, still empty; its help ends in an example, as a command's does."""
    return typer.Typer(name=name, help=f"{what}\n\nExample: {example}", no_args_is_help=True)


def settle_streams() -> None:
    """Write what a stream's encoding does not have as ``\\u2192``: no output fails for it."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def open_manager(url: str | None, *, read_only: bool = False) -> DatabaseManager:
    """The database that the command names, or else the environment."""
    config = DatabaseConfig() if url is None else DatabaseConfig(url)
    return DatabaseManager(config, read_only=read_only)


def refuse_missing(manager: DatabaseManager) -> None:
    """Refuse to work on an SQLite file that is not there: connecting would make an empty one.

    Raises:
        DatabaseError: it is not there.
    """
    if manager.config.is_missing:
        raise DatabaseError(
            "the database file does not exist",
            manager.config.safe_url,
            "check the path, or make it: cardlink-db init",
        )


@contextmanager
def open_to_read(url: str | None) -> Iterator[UnitOfWork]:
    """A unit of work that only reads, on a database that is there.

    Raises:
        DatabaseError: an SQLite file is not there.
    """
    with open_manager(url, read_only=True) as manager:
        refuse_missing(manager)
        with UnitOfWork(manager, read_only=True) as uow:
            yield uow


def find_session(uow: UnitOfWork, prefix: str) -> OTASession:
    """The only session whose id begins with a text.

    Raises:
        NotFoundError: there is none.
        DatabaseError: there are several.
    """
    found = uow.sessions.find_by_prefix(prefix, limit=_NAMED + 1)
    if not found:
        raise NotFoundError(
            f"there is no session {prefix!r}", remedy="run: cardlink-db sessions list"
        )
    if len(found) > 1:
        named = ", ".join(session.id for session in found[:_NAMED])
        raise DatabaseError(
            f"several sessions begin with {prefix!r}",
            remedy=f"they are {named}{', …' if len(found) > _NAMED else ''}",
        )
    return found[0]


def confirm(question: str, *, yes: bool) -> None:
    """Ask before something is lost.

    Raises:
        DatabaseError: nobody is there to answer.
        typer.Exit: the answer is no.
    """
    if yes:
        return
    if not sys.stdin.isatty():
        raise DatabaseError("this needs a yes, and nobody is there to ask", remedy="add --yes")
    if not typer.confirm(question, err=True):
        output.print("Nothing was changed.")
        raise typer.Exit(Exit.ERROR)


@contextmanager
def argument(name: str) -> Iterator[None]:
    """Turn a value that is refused inside the block into wrong usage of this option.

    Raises:
        typer.BadParameter: the value is refused; the exit code is 2.
    """
    try:
        yield
    except ValidationError as error:
        raise typer.BadParameter(f"{error.what}", param_hint=name) from None


def visible(text: object) -> str:
    """Text as it may be shown: a control character as ``\\x1b``, so that it controls nothing.

    Names come from phones and cards, and messages from servers.
    """
    return _CONTROLS.sub(_escaped, str(text))


def _escaped(match: re.Match[str]) -> str:
    number = ord(match[0])
    return f"\\x{number:02x}" if number < 0x100 else f"\\u{number:04x}"


def styled(text: object, style: str) -> Text:
    """Text for a cell or a line, in colour where the output has any."""
    return Text(visible(text), style)


def print_json(value: Any) -> None:
    """Print a JSON document; what stands behind ``--json``."""
    typer.echo(_json(value))


def print_json_list(values: Iterable[Any]) -> None:
    """Print a JSON list, item by item: a list of any length takes little memory."""
    separator = "[\n"
    for value in values:
        typer.echo(separator + _indented(value), nl=False)
        separator = ",\n"
    typer.echo("[]" if separator == "[\n" else "\n]")


def print_json_with_list(head: dict[str, Any], name: str, values: Iterable[Any]) -> None:
    """Print a JSON object whose last member is a list, which is printed item by item."""
    typer.echo(f"{_json(head)[:-2]},\n  {json.dumps(name)}: [", nl=False)
    separator = "\n"
    for value in values:
        typer.echo(separator + _indented(value, 4), nl=False)
        separator = ",\n"
    typer.echo("]\n}" if separator == "\n" else "\n  ]\n}")


def _indented(value: Any, by: int = 2) -> str:
    blanks = " " * by
    return blanks + _json(value).replace("\n", f"\n{blanks}")


def _json(value: Any) -> str:
    text = json.dumps(value, indent=2, ensure_ascii=not output.is_unicode)
    # The line breaks between the members are not within a string.
    return "\n".join(_CONTROLS.sub(_json_escaped, line) for line in text.split("\n"))


def _json_escaped(match: re.Match[str]) -> str:
    return f"\\u{ord(match[0]):04x}"


def json_ready(record: Any) -> dict[str, Any]:
    """A record as JSON has it: its fields, with times in ISO 8601."""
    values = {spec.name: getattr(record, spec.name) for spec in fields(record)}
    return {
        name: value.isoformat() if isinstance(value, datetime) else value
        for name, value in values.items()
    }


def table(*columns: str, right: tuple[str, ...] = ()) -> Table:
    """An empty table; the columns in ``right`` hold numbers."""
    made = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        is_right = column in right
        made.add_column(column, justify="right" if is_right else "left", overflow="fold")
    return made


def row(*values: Any) -> tuple[str | Text, ...]:
    """The cells of a table's row; nothing is shown for ``None``."""
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
    """A table of names and values; a name whose value is ``None`` is left out."""
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
    """A time for a table: UTC, whole seconds."""
    return None if moment is None else f"{moment:%Y-%m-%d %H:%M:%S}"
