"""``cardlink-db``: the layer from the command line."""

import os
import sys
from contextlib import suppress
from typing import NoReturn

import typer
from typer.exceptions import Abort, TyperException

from cardlink_sql.cli.backup import backup, restore
from cardlink_sql.cli.cards import cards
from cardlink_sql.cli.common import Exit, Url, WorkInterruptedError, settle_streams, visible
from cardlink_sql.cli.devices import devices
from cardlink_sql.cli.events import events
from cardlink_sql.cli.exchange import export_, import_
from cardlink_sql.cli.keys import import_keys, keys
from cardlink_sql.cli.purge import purge
from cardlink_sql.cli.schema import init, migrate, status
from cardlink_sql.cli.schema_review import schema
from cardlink_sql.cli.sessions import sessions
from cardlink_sql.cli.settings import settings
from cardlink_sql.cli.sql import sql
from cardlink_sql.cli.statistics import stats
from cardlink_sql.cli.tests import tests
from cardlink_sql.cli.traces import replay
from cardlink_sql.errors import DatabaseError, DriftError

__all__ = ["app", "main"]

app = typer.Typer(
    name="cardlink-db",
    help="The database of CardLink: schema, migrations, state.",
    epilog=(
        "Exit codes: 0 fine, 1 error, 2 wrong usage, 3 migrations are pending, "
        "4 the database does not agree with its migrations (drift)."
    ),
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


@app.callback()
def _everywhere(url: Url = None) -> None:
    """Take --url in front of the command, too."""


# In the order of the help.
for command in (
    init,
    migrate,
    status,
    replay,
    export_,
    import_,
    import_keys,
    backup,
    restore,
    purge,
    stats,
):
    # export_ and import_ cannot have their own names: import is a word of Python.
    app.command(command.__name__.rstrip("_").replace("_", "-"))(command)
for group in (devices, cards, sessions, tests, settings, events, keys, schema, sql):
    app.add_typer(group)


def main(arguments: list[str] | None = None) -> None:
    """Run ``cardlink-db``: an error is one or two lines on stderr, never a traceback.

    Args:
        arguments: what stands behind the command's name; without it, that of the process.
    """
    settle_streams()
    try:
        code = app(arguments, prog_name="cardlink-db", standalone_mode=False) or Exit.FINE
        if code == Exit.INTERRUPTED:
            _end_interrupted()  # typer turned Ctrl-C into its exit code
        sys.exit(code)
    except TyperException as error:
        _print_usage_error(error)
        sys.exit(error.exit_code)
    except DatabaseError as error:
        _print_error(error.headline, error.remedy)
        sys.exit(Exit.DRIFT if isinstance(error, DriftError) else Exit.ERROR)
    except BrokenPipeError:
        # Whoever read the output has read enough. Python would complain again at its exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(Exit.ERROR)
    except OSError as error:
        # Such as a full disk behind the output. A second failure there has nowhere to go.
        with suppress(OSError):
            _print_error(f"the output cannot be written: {error.strerror}", None)
        sys.exit(Exit.ERROR)
    except WorkInterruptedError as error:
        _end_interrupted(f"interrupted: {error}")
    except (KeyboardInterrupt, Abort):
        _end_interrupted()


def _end_interrupted(message: str = "interrupted") -> NoReturn:
    typer.echo(message, err=True)
    sys.exit(Exit.INTERRUPTED)


def _print_usage_error(error: TyperException) -> None:
    message = error.format_message()
    if "\n" in message:
        typer.echo(message, err=True)  # the help of a command that was given nothing
        return
    context: typer.Context | None = getattr(error, "ctx", None)
    command = context.command_path if context else "cardlink-db"
    # A refused choice is told in the words of the library that read it.
    what = message.rstrip(".").replace("Value error, ", "")
    _print_error(what, f"{command} --help shows what it takes")


def _print_error(what: str, remedy: str | None) -> None:
    # A list of faults has a line for each.
    typer.echo("\n".join(map(visible, f"error: {what}".split("\n"))), err=True)
    if remedy:
        typer.echo(f"hint: {visible(remedy)}", err=True)
