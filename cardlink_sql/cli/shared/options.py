"""Options, groups and questions that several commands share."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Annotated, Final

import typer

from cardlink_sql.cli.shared.exits import Exit
from cardlink_sql.cli.shared.output import output
from cardlink_sql.cli.shared.profiles import profile_url
from cardlink_sql.config import DatabaseConfig
from cardlink_sql.errors import DatabaseError, ValidationError
from cardlink_sql.formats.times import parse_time
from cardlink_sql.model import validation


def _url_or_that_before_the_command(context: typer.Context, value: str | None) -> str | None:
    if value is None:
        given: dict[str, str | None] = context.find_root().params
        profile, url = given.get("profile"), given.get("url")
        return profile_url(profile) if url is None and profile else url
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
        callback=_url_or_that_before_the_command,
    ),
]


AsJson = Annotated[bool, typer.Option("--json", help="As JSON.")]


Exact = Annotated[
    bool,
    typer.Option("--exact", help="Count the rows of large tables, too: ~ marks an estimate."),
]


def rows_text(rows: int, is_estimate: bool) -> str:  # noqa: FBT001
    """Return a number of rows as it is shown."""
    return f"{'~' if is_estimate else ''}{rows:,}"


Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


TIME_FORM: Final = "ISO 8601 with a zone, or a date: its midnight in UTC"


def checked_limit(value: int | None) -> int | None:
    """Return the number of rows if the database can count so far.

    Raises:
        typer.BadParameter: it cannot; the exit code is 2.
    """
    if value is not None:
        with argument("--limit"):
            validation.whole(value, "limit", least=1)
    return value


Limit = Annotated[
    int,
    typer.Option("--limit", "-n", min=1, metavar="N", help="Rows at most.", callback=checked_limit),
]


Output = Annotated[
    Path | None,
    typer.Option("--output", "-o", metavar="FILE", help="Write this file, not the terminal."),
]


DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would change; change nothing.")]


Force = Annotated[bool, typer.Option("--force", help="Replace FILE if it is there.")]


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


def start_of(text: str) -> datetime:
    """Return the time that ``--since`` names: a date, from its midnight in UTC, or a time.

    Raises:
        typer.BadParameter: the text is neither; it is quoted.
    """
    with argument("--since"):
        try:
            day = date.fromisoformat(text)
        except ValueError:
            return parse_time(text, "since")
        return validation.moment(datetime(day.year, day.month, day.day, tzinfo=UTC), "since")


Since = Annotated[
    datetime | None,
    typer.Option(
        metavar="TIME",
        parser=start_of,
        help=f"From then on. {TIME_FORM}.",
    ),
]


def confirm(question: str, *, yes: bool) -> None:
    """Ask before something is lost.

    Raises:
        DatabaseError: nobody is there to answer.
        typer.Exit: the answer is no.
    """
    if yes:
        return
    if output.quiet:
        raise DatabaseError("confirmation needed, but -q asks nothing", remedy="add --yes")
    if not sys.stdin.isatty():
        raise DatabaseError("confirmation needed, but stdin is not a terminal", remedy="add --yes")
    if not typer.confirm(question, err=True):
        output.print("Nothing was changed.")
        raise typer.Exit(Exit.ERROR)


def group(name: str, what: str, example: str) -> typer.Typer:
    """Return a group of commands, still empty; its help ends in an example, as a command's does."""
    return typer.Typer(name=name, help=f"{what}\n\nExample: {example}", no_args_is_help=True)
