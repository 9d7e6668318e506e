"""The commands of ``cardlink-db``, and the handling of their errors."""

import errno
import logging
import os
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import nullcontext, suppress
from functools import cache, partial
from importlib import import_module
from typing import Annotated, Any, Final, NoReturn

import typer.main
from typer.core import TyperGroup
from typer.exceptions import Abort, TyperException

from cardlink_sql.cli.shared.completion import complete_profile
from cardlink_sql.cli.shared.exits import Exit, WorkInterruptedError
from cardlink_sql.cli.shared.options import Url
from cardlink_sql.cli.shared.output import settle_streams, silenced, visible
from cardlink_sql.errors import DatabaseError, DriftError, shown

__all__ = ["app", "run"]

# The module of each command or group, and its summary, in the order of the help. A module is
# imported only when its command runs: importing all of them takes twice as long as one.
_PLACES: Final = {
    "init": ("migrations.init", "Make the schema in a new database."),
    "migrate": ("migrations.migrate", "Apply pending migrations, or roll back."),
    "status": ("status.status", "Show connection, migrations and drift; change nothing."),
    "replay": ("traces.replay", "Record a trace of OTA sessions, or a capture."),
    # import is a word of Python, and export_ goes with import_.
    "export": ("exchange.export_", "Write tables to a file: json, yaml, jsonl or csv."),
    "import": ("exchange.import_", "Import an export: all of it, or nothing."),
    "import-keys": ("keys.import_keys", "Store the PSKs of the admin server's YAML file."),
    "backup": ("backup.backup", "Back up the database while others use it."),
    "restore": ("backup.restore", "Restore a backup."),
    "purge": ("purge.purge", "Delete rows older than their retention."),
    "stats": ("statistics.stats", "Show row counts, sizes and statistics."),
    "wait": ("waiting.wait", "Wait until the database answers."),
    "devices": ("devices.devices", "Phones and modems."),
    "cards": ("cards.cards", "Card profiles."),
    "sessions": ("sessions.sessions", "OTA sessions and their APDUs."),
    "logs": ("logs.logs", "APDUs: show them filtered, or find bytes."),
    "tests": ("tests.tests", "Test results, by run."),
    "settings": ("settings.settings", "The settings of CardLink's components."),
    "events": ("events.events", "Events of other processes, as they happen."),
    "keys": ("keys.keys", "The keys that PSKs are encrypted with."),
    "schema": ("schema.schema", "The schema and its migrations, for review."),
    "sql": ("sql.sql", "The statements, for those who review them."),
}


# The libraries of the extra "review", which only its commands need.
_REVIEW: Final = ("sqlglot", "jinja2")
_ANYTHING: Final[dict[str, Any]] = {"allow_extra_args": True, "ignore_unknown_options": True}


_QUIET: Final = "cardlink_sql.quiet"


# How typer quotes the names of an option, or of an argument.
_NAMES: Final = re.compile(r"^(Invalid value for|Missing \w+) '([^']+)'(?: / '[^']+')*")
_PHRASES: Final = {
    r"Input should be a valid number, unable .*": "{quoted} is not a number",
    r"Input should be a valid integer, .*": "{quoted} is not a whole number",
    r"Input should be greater than or equal to (\S+)": r"must be \1 or more, got {value}",
    r"Input should be less than or equal to (\S+)": r"must be \1 or less, got {value}",
    r"Input should be greater than (\S+)": r"must be above \1, got {value}",
}


class _OnDemand(Mapping[str, Any]):
    """Return the commands by name."""

    def __getitem__(self, name: str) -> Any:
        return _command(name)

    def __iter__(self) -> Iterator[str]:
        return iter(_PLACES)

    def __len__(self) -> int:
        return len(_PLACES)


class _Commands(TyperGroup):
    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        self.commands = _OnDemand()  # type: ignore[assignment]  # nobody adds to them

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write the commands with their summaries, without importing one."""
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl([(name, summary) for name, (_, summary) in _PLACES.items()])


_SETTINGS: Final[dict[str, Any]] = {"pretty_exceptions_enable": False, "rich_markup_mode": None}

app = typer.Typer(
    name="cardlink-db",
    cls=_Commands,
    help="The database of CardLink: its schema, its contents, its state.\n\n"
    "Example: cardlink-db status",
    epilog=(
        "Exit codes: 0 fine, 1 error, 2 wrong usage, 3 migrations are pending, "
        "4 the database does not agree with its migrations (drift)."
    ),
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    **_SETTINGS,
)


def _show_version(value: bool) -> None:  # noqa: FBT001 - as typer calls it
    if value:
        from importlib import metadata  # its import takes long

        typer.echo(f"cardlink-db {metadata.version('cardlink-sql')}")
        raise typer.Exit


@app.callback()
def _everywhere(
    *,
    url: Url = None,
    profile: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            envvar="CARDLINK_PROFILE",
            help="The database with this name in ~/.config/cardlink-db.toml.",
            autocompletion=complete_profile,
        ),
    ] = None,
    version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    """Accept --url and --profile before the command, too; --url is taken before --profile."""


@cache
def _command(name: str) -> Any:
    module, _, place = _PLACES[name][0].rpartition(".")
    holder = typer.Typer(**_SETTINGS)
    try:
        found = getattr(import_module(f"cardlink_sql.cli.{module}"), place)
    except ModuleNotFoundError as error:
        if error.name not in _REVIEW:
            raise
        holder.command(name, context_settings=_ANYTHING)(_missing_library(error))
        return typer.main.get_group(holder).commands[name]
    if isinstance(found, typer.Typer):
        holder.add_typer(found)
    else:
        holder.command(name)(found)
    command = typer.main.get_group(holder).commands[name]
    _add_common(command)
    return command


def _add_common(command: Any) -> None:
    """Give a command, or each one of a group, ``-q``, and ``--profile`` where it takes a URL."""
    for one in getattr(command, "commands", {}).values():
        _add_common(one)
    if getattr(command, "no_args_is_help", False):
        return
    has_url = any(option.name == "url" for option in command.params)
    quiet, profile = _common_options()
    command.params[-1:-1] = [quiet, profile] if has_url else [quiet]
    command.invoke = partial(_invoke, command.invoke)


def _be_quiet(context: typer.Context, value: bool) -> None:  # noqa: FBT001 - as typer calls it
    # Only the command itself is silenced: an error in what follows -q has yet to be printed.
    context.meta[_QUIET] = value


def _invoke(invoke: Callable[[typer.Context], Any], context: typer.Context) -> Any:
    with silenced() if context.meta.get(_QUIET) else nullcontext():
        return invoke(context)


def _use_profile(context: typer.Context, value: str | None) -> None:
    if value is not None:
        context.find_root().params["profile"] = value


@cache
def _common_options() -> Any:
    """Make the options as typer makes them for a command."""
    holder = typer.Typer(add_completion=False, **_SETTINGS)

    @holder.command()
    def _holds_it(
        *,
        quiet: Annotated[
            bool,
            typer.Option(
                "--quiet",
                "-q",
                callback=_be_quiet,
                expose_value=False,
                help="Print nothing but errors.",
            ),
        ] = False,
        profile: Annotated[
            str | None,
            typer.Option(
                metavar="NAME",
                callback=_use_profile,
                is_eager=True,  # before the URL, which asks for it
                expose_value=False,
                help="The database with this name in ~/.config/cardlink-db.toml.",
                autocompletion=complete_profile,
            ),
        ] = None,
    ) -> None:
        pass

    return typer.main.get_command(holder).params[:2]


def _missing_library(error: ModuleNotFoundError) -> Any:
    """Make a command that has help, and raises the error when it is called."""

    def command() -> None:
        """Not installed: pip install sqlglot jinja2."""
        raise error

    return command


def _print_system_error(error: OSError) -> None:
    """Print why the output failed, such as a full disk under it."""
    is_full = error.errno == errno.ENOSPC
    room = "make room for the output and in the folder of temporary files (TMPDIR)"
    what = f"a file or the output cannot be written: {error.strerror}"
    _print_error(what, room if is_full else None)


def run(arguments: list[str] | None) -> None:
    """Run ``cardlink-db``: an error is one or two lines on stderr, never a traceback.

    Args:
        arguments: what follows the command's name; without it, that of the process.

    Raises:
        SystemExit: it is over; with its exit code.
        KeyboardInterrupt: it was interrupted; with what to say of that, if there is something.
    """
    settle_streams()
    _name_log_levels()
    # On Ctrl-C while a connection is being closed, the pool would log a traceback.
    logging.getLogger("sqlalchemy.pool").setLevel(logging.CRITICAL)
    try:
        code = app(arguments, prog_name="cardlink-db", standalone_mode=False) or Exit.FINE
        if code == Exit.INTERRUPTED:
            raise KeyboardInterrupt  # typer turned it into its exit code
        sys.exit(code)
    except TyperException as error:
        _print_usage_error(error)
        sys.exit(error.exit_code)
    except DatabaseError as error:
        code = Exit.DRIFT if isinstance(error, DriftError) else Exit.ERROR
        _end(error.headline, error.remedy, code)
    except ModuleNotFoundError as error:
        if error.name not in _REVIEW:
            raise
        what = f"this command needs {error.name}, which is not installed"
        _end(what, f"run: pip install {' '.join(_REVIEW)}")
    except MemoryError:
        _end("there is not enough memory for this", "use a smaller file, or --limit")
    except BrokenPipeError:
        # The reader closed the pipe. Python would complain again at its exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(Exit.ERROR)
    except OSError as error:
        with suppress(OSError):  # a second failure of the output has nowhere to go
            _print_system_error(error)
        sys.exit(Exit.ERROR)
    except WorkInterruptedError as error:
        raise KeyboardInterrupt(f"interrupted: {error}") from None
    except Abort:
        raise KeyboardInterrupt from None


class _Levelled(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return f"{record.levelname.lower()}: {visible(super().format(record))}"


def _name_log_levels() -> None:
    """Begin the layer's log lines as other messages do, where no handler takes them."""
    if logging.lastResort is not None:
        logging.lastResort.setFormatter(_Levelled())


def _print_usage_error(error: TyperException) -> None:
    message = error.format_message()
    context: typer.Context | None = getattr(error, "ctx", None)
    if context and message == context.get_help():  # of a command without arguments
        typer.echo(message, err=True)
        return
    command = context.command_path if context else "cardlink-db"
    _print_error(_in_own_words(message, _typed(error)), f"{command} --help shows what it takes")


def _typed(error: TyperException) -> str:
    """Return the value that the library which reads values refused; nothing for other errors."""
    faults: Any = getattr(error.__cause__, "errors", list)()
    return str(faults[0]["input"]) if faults else ""


def _in_own_words(message: str, value: str) -> str:
    """Return a usage error of typer, and of the library that reads its values, as ours read."""
    what = message.rstrip(".").removeprefix("Invalid value: ").replace("Value error, ", "")
    what = _NAMES.sub(r"\1 \2", what)
    what = what.replace(". Choose from:\n\t", ": one of ").replace(",\n\t", ", ")
    for theirs, ours in _PHRASES.items():
        if found := re.search(theirs, what):
            quoted = shown(value, 60)
            rule = found.expand(ours).format(quoted=quoted, value=quoted.strip("'"))
            what = what[: found.start()] + rule
    return what


def _end(what: str, remedy: str | None, code: Exit = Exit.ERROR) -> NoReturn:
    _print_error(what, remedy)
    sys.exit(code)


def _print_error(what: str, remedy: str | None) -> None:
    # A list of faults has one line for each.
    typer.echo("\n".join(map(visible, f"error: {what}".split("\n"))), err=True)
    if remedy:
        typer.echo(f"hint: {visible(remedy)}", err=True)
