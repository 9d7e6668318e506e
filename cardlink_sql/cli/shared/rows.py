"""Rows of a list: a table on a terminal, tab-separated lines in a pipe, or CSV."""

import csv
import inspect
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import wraps
from typing import Annotated, Any, Final

import typer
from rich import box
from rich.cells import cell_len
from rich.table import Table
from rich.text import Text

from cardlink_sql.cli.shared.output import output, print_facts, row
from cardlink_sql.database.unreadable_rows import skipped

# A column of free text is folded to no less.
_FOLDED: Final = 16
_PAGER: Final = "less -FRX"


@dataclass(frozen=True)
class Shape:
    """How the rows of a list are printed."""

    columns: str | None = None
    sort: str | None = None
    as_csv: bool = False


_shape: Final = ContextVar[Shape]("shape")
_OPTIONS: Final = {
    "columns": Annotated[
        str | None, typer.Option(metavar="A,B", help="Only these columns, in this order.")
    ],
    "sort": Annotated[
        str | None, typer.Option(metavar="A", help="By this column of the list; -A: descending.")
    ],
    "as_csv": Annotated[bool, typer.Option("--csv", help="As CSV.")],
    "no_pager": Annotated[
        bool, typer.Option("--no-pager", envvar="NO_PAGER", help="Do not page a long list.")
    ],
}


def listing(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options of every list, which shape what it prints by ``print_rows``."""

    @wraps(command)
    def shaped(**given: Any) -> None:
        for name in ("as_csv", "columns", "sort") if given.get("as_json") else ():
            if given[name]:
                option = f"--{name.removeprefix('as_')}"
                raise typer.BadParameter("it excludes --json", param_hint=option)
        no_pager = given.pop("no_pager")
        shape = Shape(**{name: given.pop(name) for name in ("columns", "sort", "as_csv")})
        with _shaped(shape), paged(wanted=not no_pager), naming_skipped():
            command(**given)

    signature = inspect.signature(command)
    added = [
        inspect.Parameter(
            name,
            inspect.Parameter.KEYWORD_ONLY,
            default=None if name in ("columns", "sort") else False,
            annotation=annotation,
        )
        for name, annotation in _OPTIONS.items()
    ]
    parameters = [*signature.parameters.values(), *added]
    shaped.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    shaped.__annotations__ = {**command.__annotations__, **_OPTIONS}
    return shaped


@contextmanager
def naming_skipped() -> Iterator[None]:
    """Leave out rows that cannot be read, and name each on stderr at the end."""
    with skipped() as sentences:
        yield
    for sentence in dict.fromkeys(sentences):
        typer.echo(f"Not shown: {sentence}", err=True)


@contextmanager
def _shaped(shape: Shape) -> Iterator[None]:
    token = _shape.set(shape)
    try:
        yield
    finally:
        _shape.reset(token)


@contextmanager
def paged(*, wanted: bool) -> Iterator[None]:
    """Send what is printed to the terminal through a pager; ``less`` ends where it fits."""
    pager = shlex.split(os.environ.get("PAGER") or _PAGER)
    if not wanted or not output.is_terminal or not pager or not shutil.which(pager[0]):
        yield
        return
    sys.stdout.flush()
    with subprocess.Popen(  # noqa: S603 - the user's own PAGER
        pager, stdin=subprocess.PIPE, text=True, encoding="utf-8"
    ) as process:
        try:
            with output.sent_to(process.stdin or sys.stdout):
                yield
        except BrokenPipeError:
            pass  # the reader left the pager before the end
        finally:
            _close(process)


def _close(process: "subprocess.Popen[str]") -> None:
    try:
        if process.stdin is not None:
            process.stdin.close()
    except BrokenPipeError:
        pass
    process.wait()


def print_rows(
    columns: tuple[str, ...],
    rows: Iterable[tuple[Any, ...]],
    *,
    right: tuple[str, ...] = (),
    folding: tuple[str, ...] = (),
    leaving: tuple[str, ...] = (),
    empty: str = "",
) -> None:
    """Print rows as the command's options and the output ask for.

    Args:
        columns: their headings. A column that is empty in every row is left out of a table.
        rows: a value for each column; what may be folded is cut nowhere else.
        right: the columns of numbers.
        folding: the columns of free text, which may be folded to fit.
        leaving: the columns to leave out where a terminal is too narrow, the first one first;
            a list leaves out the last of the others after them.
        empty: what to print where there are no rows.

    Raises:
        typer.BadParameter: an option names a column that the list does not have.
    """
    shape = _shape.get(Shape())
    cells = [row(*values) for values in rows]
    if shape.sort is not None:
        cells = _sorted(columns, cells, shape.sort)
    wanted = _wanted(columns, shape.columns)
    if not cells and empty:
        note(empty)
    if is_for_programs():
        chosen = [[str(line[at]) for at in wanted] for line in cells]
        _print_lines([columns[at] for at in wanted], chosen, as_csv=shape.as_csv)
    elif cells and shape.columns is not None:  # who chose them sees them
        _print_table(columns, cells, wanted, right, folding)
    elif cells:
        _print_what_fits(columns, cells, right, folding, leaving)


def _print_what_fits(
    columns: tuple[str, ...],
    cells: list[tuple[str | Text, ...]],
    right: tuple[str, ...],
    folding: tuple[str, ...],
    leaving: tuple[str, ...],
) -> None:
    wanted = [at for at in range(len(columns)) if any(len(line[at]) for line in cells)]
    is_list = _shape.get(None) is not None
    others = reversed(columns[1:]) if is_list else ()
    gone = _too_many(columns, cells, wanted, folding, tuple(dict.fromkeys((*leaving, *others))))
    _print_table(columns, cells, [at for at in wanted if columns[at] not in gone], right, folding)
    if gone:
        chooses = "; --columns chooses" if is_list else ""
        output.print(f"Not shown: {', '.join(filter(None, gone))}{chooses}.")


def note(text: str) -> None:
    """Print a sentence about a list: to stderr where programs read the list."""
    if is_for_programs():
        typer.echo(text, err=True)
    else:
        output.print(text)


def note_limit(count: int, limit: int, which: str) -> None:
    """Print that a list may go on, where it has as many rows as it may have."""
    if count == limit:
        note(f"The {which} {limit:,}; --limit shows more.")


def is_for_programs() -> bool:
    """Return whether rows are printed as CSV or into a pipe: keys are not to be cut."""
    return _shape.get(Shape()).as_csv or output.is_piped


def _print_lines(columns: list[str], lines: list[list[str]], *, as_csv: bool) -> None:
    if as_csv:
        csv.writer(sys.stdout, lineterminator="\n").writerows([columns, *lines])
    else:
        for line in (columns, *lines):
            typer.echo("\t".join(line))


def _too_many(
    columns: Sequence[str],
    cells: list[tuple[str | Text, ...]],
    used: list[int],
    folding: tuple[str, ...],
    leaving: tuple[str, ...],
) -> list[str]:
    """Return the columns without which the others fit the terminal; none where none helps."""
    gone: list[str] = []
    for name in ("", *(name for name in leaving if columns.index(name) in used)):
        gone += [name] if name else []
        left = [at for at in used if columns[at] not in gone]
        if _least_width(columns, cells, left, folding) <= output.width:
            return gone
    return []


def _least_width(
    columns: Sequence[str],
    cells: list[tuple[str | Text, ...]],
    used: list[int],
    folding: tuple[str, ...],
) -> int:
    total = 3 * len(used)
    for at in used:
        wide = max(cell_len(str(line[at])) for line in (*cells, columns))
        total += min(wide, _FOLDED) if columns[at] in folding else wide
    return total


def _print_table(
    columns: tuple[str, ...],
    cells: list[tuple[str | Text, ...]],
    used: list[int],
    right: tuple[str, ...],
    folding: tuple[str, ...],
) -> None:
    """Print a table; where the terminal is too narrow for it, one row below the other."""
    if _least_width(columns, cells, used, folding) > output.width:
        for line in cells:
            print_facts(*((columns[at], line[at]) for at in used if line[at]))
            output.print()
        return
    shown = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in (columns[at] for at in used):
        shown.add_column(
            column,
            justify="right" if column in right else "left",
            overflow="fold",
            no_wrap=column not in folding,
        )
    for line in cells:
        shown.add_row(*(line[at] for at in used))
    output.print(shown)


def _wanted(columns: Sequence[str], names: str | None) -> list[int]:
    if names is None:
        return list(range(len(columns)))
    return [_position(columns, name, "--columns") for name in names.split(",")]


def _sorted(
    columns: Sequence[str], cells: list[tuple[str | Text, ...]], name: str
) -> list[tuple[str | Text, ...]]:
    at = _position(columns, name.removeprefix("-"), "--sort")
    return sorted(cells, key=lambda line: _order(str(line[at])), reverse=name.startswith("-"))


def _order(text: str) -> tuple[bool, float, str]:
    """Numbers by their value, with their unit or not, before text."""
    number = text.partition(" ")[0].replace(",", "")
    try:
        return (False, float(number), text)
    except ValueError:
        return (True, 0.0, text)


def _position(columns: Sequence[str], name: str, option: str) -> int:
    for at, column in enumerate(columns):
        if column.partition(" (")[0].lower() == name.strip().lower():
            return at
    there_are = ", ".join(column.partition(" (")[0].lower() for column in columns if column)
    raise typer.BadParameter(
        f"there is no column {name!r}; there are: {there_are}", param_hint=option
    )
