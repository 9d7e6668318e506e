"""``cardlink-db``: the layer from the command line."""

import sys
from contextlib import suppress

import typer

from cardlink_sql.cli.common import Exit, Url
from cardlink_sql.cli.keys import keys
from cardlink_sql.cli.schema import init, migrate, status
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


for command in (init, migrate, status, replay):
    app.command()(command)
app.add_typer(keys, name="keys")


def main(arguments: list[str] | None = None) -> None:
    """Run ``cardlink-db``: an error is one or two lines on stderr, never a traceback.

    Args:
        arguments: what stands behind the command's name; without it, that of the process.
    """
    try:
        app(arguments, prog_name="cardlink-db")
    except DatabaseError as error:
        typer.echo(f"error: {error.headline}", err=True)
        if error.remedy:
            typer.echo(f"hint: {error.remedy}", err=True)
        sys.exit(Exit.DRIFT if isinstance(error, DriftError) else Exit.ERROR)
    except OSError as error:
        # Such as a full disk behind the output. A second failure there has nowhere to go.
        with suppress(OSError):
            typer.echo(f"error: the output cannot be written: {error.strerror}", err=True)
        sys.exit(Exit.ERROR)
    except KeyboardInterrupt:
        typer.echo("interrupted", err=True)
        sys.exit(Exit.INTERRUPTED)
