"""What the commands have in common: the URL option, exit codes, printing."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntEnum
from typing import Annotated, Any, Final

import typer
from rich import box
from rich.console import Console
from rich.table import Table

from cardlink_sql.config import DatabaseConfig
from cardlink_sql.errors import DatabaseError, ValidationError
from cardlink_sql.manager import DatabaseManager


class Exit(IntEnum):
    """The exit codes of ``cardlink-db``."""

    FINE = 0
    ERROR = 1
    USAGE = 2
    PENDING = 3
    DRIFT = 4
    INTERRUPTED = 130


def _url_or_that_before_the_command(context: typer.Context, value: str | None) -> str | None:
    return context.find_root().params.get("url") if value is None else value


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

output: Final = Console(highlight=False, markup=False, soft_wrap=True)


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


def print_json(value: Any) -> None:
    """Print a JSON document; what stands behind ``--json``."""
    typer.echo(json.dumps(value, indent=2, ensure_ascii=False))


def table(*columns: str, right: tuple[str, ...] = ()) -> Table:
    """An empty table; the columns in ``right`` hold numbers."""
    made = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        made.add_column(column, justify="right" if column in right else "left", overflow="fold")
    return made


def row(*values: Any) -> tuple[str, ...]:
    """The cells of a table's row; nothing is shown for ``None``."""
    return tuple("" if value is None else str(value) for value in values)
