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
from operator import itemgetter
from typing import Annotated, Any, Final, Generic, TypeVar

import typer
from rich import box
from rich.cells import cell_len
from rich.table import Table
from rich.text import Text

from cardlink_sql.cli.shared.json_output import print_json_list
from cardlink_sql.cli.shared.output import cell, output, print_facts
from cardlink_sql.database.unreadable_rows import skipped
from cardlink_sql.model.json_value import Record

One_contra = TypeVar("One_contra", contravariant=True)
Kept = TypeVar("Kept", bound=Record)

# A column of free text is folded to no less.
_FOLDED: Final = 16
_PAGER: Final = "less -FRX"


@dataclass(frozen=True, eq=False)
class Column(Generic[One_contra]):
    """A column of a list.

    Attributes:
        heading: its name. A column that is empty in every row is left out of a table.
        value: the function that returns what the column shows of one row.
        right: whether it holds numbers.
        folds: whether it holds free text, which may be folded to fit; nothing else is cut.
        leaves: its turn, from 1, among the columns that a terminal too narrow for all leaves
            out; those without a turn leave after them, the last one first.
    """

    heading: str
    value: Callable[[One_contra], Any]
    right: bool = False
    folds: bool = False
    leaves: int = 0

    @property
    def name(self) -> str:
        """Return the name that ``--columns`` and ``--sort`` take: without its unit."""
        return self.heading.partition(" (")[0].lower()


@dataclass(frozen=True)
class Shape:
    """How the rows of a list are printed."""

    columns: str | None = None
    sort: str | None = None
    as_csv: bool = False


@dataclass(frozen=True)
class _Cells:
    """The cells of a list."""

    columns: Sequence[Column[Any]]
    lines: list[list[str | Text]]

    def of(self, columns: Sequence[Column[Any]]) -> "_Cells":
        """Return the cells of these columns only, in this order."""
        at = [self.columns.index(column) for column in columns]
        return _Cells(columns, [[line[one] for one in at] for line in self.lines])

    def texts(self, column: Column[Any]) -> list[str]:
        """Return the texts of one column."""
        at = self.columns.index(column)
        return [str(line[at]) for line in self.lines]

    def without(self, columns: Sequence[Column[Any]]) -> "_Cells":
        return self.of([column for column in self.columns if column not in columns])

    @property
    def width(self) -> int:
        """Return the least width of a table of them."""
        return sum(map(self.least_width, self.columns))

    def least_width(self, column: Column[Any]) -> int:
        """Return how much of the terminal a column takes in a table, with the gap after it."""
        wide = max(map(cell_len, (column.heading, *self.texts(column))))
        return 3 + (min(wide, _FOLDED) if column.folds else wide)


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


def print_list(
    found: Sequence[Kept],
    columns: Sequence[Column[Kept]],
    *,
    as_json: bool,
    empty: str,
    limit: int | None = None,
    which: str = "first",
) -> None:
    """Print records as JSON, or as :func:`print_rows` does.

    Args:
        found: the records.
        columns: what is shown of each.
        as_json: print JSON.
        empty: what to print where there are none.
        limit: how many there may be; where there are as many, that the list may go on is printed.
        which: those that a list with a limit holds.
    """
    if as_json:
        print_json_list(one.to_dict() for one in found)
        return
    print_rows(found, columns, empty=empty)
    if len(found) == limit:
        _note(f"The {which} {limit:,}; --limit shows more.")


def print_rows(
    rows: Iterable[One_contra], columns: Sequence[Column[One_contra]], *, empty: str = ""
) -> None:
    """Print rows as the command's options and the output ask for.

    Args:
        rows: what the columns take.
        columns: what is shown of each row.
        empty: what to print where there are no rows.

    Raises:
        typer.BadParameter: an option names a column that the list does not have.
    """
    shape = _shape.get(Shape())
    cells = _Cells(columns, [[cell(column.value(one)) for column in columns] for one in rows])
    if shape.sort is not None:
        cells = _sorted(cells, shape.sort)
    if shape.columns is not None:
        names = shape.columns.split(",")
        cells = cells.of([_named(columns, name, "--columns") for name in names])
    if not cells.lines and empty:
        _note(empty)
    if is_for_programs():
        _print_lines(cells, as_csv=shape.as_csv)
    elif cells.lines and shape.columns is not None:  # who chose them sees them
        _print_table(cells)
    elif cells.lines:
        _print_what_fits(cells)


def _print_what_fits(cells: _Cells) -> None:
    cells = cells.without([column for column in cells.columns if not any(cells.texts(column))])
    is_list = _shape.get(None) is not None
    gone = _too_many(cells, is_list=is_list)
    _print_table(cells.without(gone))
    if gone:
        chooses = "; --columns chooses" if is_list else ""
        names = ", ".join(column.heading for column in gone if column.heading)
        output.print(f"Not shown: {names}{chooses}.")


def _too_many(cells: _Cells, *, is_list: bool) -> Sequence[Column[Any]]:
    """Return the columns without which the others fit the terminal; none where none helps."""
    leaving = sorted((c for c in cells.columns if c.leaves), key=lambda column: column.leaves)
    if is_list:
        leaving += [c for c in reversed(cells.columns[1:]) if not c.leaves]
    width = cells.width
    for number, column in enumerate(leaving, 1):
        if width <= output.width:
            return leaving[: number - 1]
        width -= cells.least_width(column)
    return leaving if width <= output.width else []


def _note(text: str) -> None:
    """Print a sentence about a list: to stderr where programs read the list."""
    if is_for_programs():
        typer.echo(text, err=True)
    else:
        output.print(text)


def is_for_programs() -> bool:
    """Return whether rows are printed as CSV or into a pipe: keys are not to be cut."""
    return _shape.get(Shape()).as_csv or output.is_piped


def _print_lines(cells: _Cells, *, as_csv: bool) -> None:
    headings = [column.heading for column in cells.columns]
    lines = [headings, *(list(map(str, line)) for line in cells.lines)]
    if as_csv:
        csv.writer(sys.stdout, lineterminator="\n").writerows(lines)
    else:
        for line in lines:
            typer.echo("\t".join(line))


def _print_table(cells: _Cells) -> None:
    """Print a table; where the terminal is too narrow for it, one row below the other."""
    if cells.width > output.width:
        headings = [column.heading for column in cells.columns]
        for line in cells.lines:
            print_facts(*((name, text) for name, text in zip(headings, line, strict=True) if text))
            output.print()
        return
    shown = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in cells.columns:
        shown.add_column(
            column.heading,
            justify="right" if column.right else "left",
            overflow="fold",
            no_wrap=not column.folds,
        )
    for line in cells.lines:
        shown.add_row(*line)
    output.print(shown)


def _sorted(cells: _Cells, name: str) -> _Cells:
    keys = map(_order, cells.texts(_named(cells.columns, name.removeprefix("-"), "--sort")))
    keyed = sorted(
        zip(keys, cells.lines, strict=True), key=itemgetter(0), reverse=name.startswith("-")
    )
    return _Cells(cells.columns, [line for _, line in keyed])


def _order(text: str) -> tuple[bool, float, str]:
    """Numbers by their value, with their unit or not, before text."""
    number = text.partition(" ")[0].replace(",", "")
    try:
        return (False, float(number), text)
    except ValueError:
        return (True, 0.0, text)


def _named(columns: Sequence[Column[Any]], name: str, option: str) -> Column[Any]:
    for column in columns:
        if column.name == name.strip().lower():
            return column
    there_are = ", ".join(column.name for column in columns if column.name)
    raise typer.BadParameter(
        f"there is no column {name!r}; there are: {there_are}", param_hint=option
    )
