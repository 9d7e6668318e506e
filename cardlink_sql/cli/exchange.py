"""``cardlink-db export`` and ``import``."""

import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, replace
from datetime import datetime
from pathlib import Path
from typing import IO, Annotated, Final

import typer

from cardlink_sql.cli.shared.completion import complete_session, complete_tables
from cardlink_sql.cli.shared.components import load_components
from cardlink_sql.cli.shared.database import find_session, open_manager
from cardlink_sql.cli.shared.json_output import print_json
from cardlink_sql.cli.shared.options import (
    TIME_FORM,
    AsJson,
    Force,
    Url,
    Yes,
    argument,
    confirm,
    start_of,
)
from cardlink_sql.cli.shared.output import counted, output
from cardlink_sql.cli.shared.progress import progress
from cardlink_sql.cli.shared.rows import Column, print_rows
from cardlink_sql.database.unreadable_rows import skipped
from cardlink_sql.errors import DatabaseError
from cardlink_sql.formats.files import refuse_existing
from cardlink_sql.formats.text import decode, open_to_read
from cardlink_sql.model import validation
from cardlink_sql.transfer.exchange import (
    Conflict,
    Format,
    ImportReport,
    Keys,
    Selection,
    export,
    import_file,
)
from cardlink_sql.transfer.exchange.formats import format_of
from cardlink_sql.transfer.exchange.keys import MIN_PASSPHRASE
from cardlink_sql.transfer.exchange.shapes import BY_NAME
from cardlink_sql.unit_of_work import UnitOfWork

PASSPHRASE_VARIABLE: Final = "CARDLINK_EXPORT_PASSPHRASE"  # noqa: S105 - a name
_STDOUT: Final = Path("-")

FileFormat = Annotated[
    Format | None,
    typer.Option("--format", help="By default, the one of the file's name."),
]
# CSV goes out only: the refusal of it says why.
ImportFormat = Annotated[
    Format | None,
    typer.Option(
        "--format",
        metavar="[json|yaml|jsonl]",
        help="By default, the one of the file's name.",
    ),
]
PassphraseFile = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help=f"The passphrase of the keys, its first line. Without it {PASSPHRASE_VARIABLE} is "
        "taken, then it is asked for.",
    ),
]


Output = Annotated[
    Path,
    typer.Option("--output", "-o", metavar="FILE", help="The file to write; without it, stdout."),
]
Tables = Annotated[
    str | None,
    typer.Option(
        metavar="LIST",
        help="Which tables, with commas between: devices, cards, sessions, logs, tests, "
        "settings. Without it all of them.",
        autocompletion=complete_tables,
    ),
]
Since = Annotated[
    datetime | None,
    typer.Option(
        metavar="TIME",
        parser=start_of,
        help=f"Sessions, logs and tests from then on; the other tables are whole. {TIME_FORM}.",
    ),
]
Session = Annotated[
    str | None,
    typer.Option(
        metavar="ID",
        help="One session, with its log, device and card.",
        autocompletion=complete_session,
    ),
]
IncludeKeys = Annotated[
    bool, typer.Option("--include-keys", help="The PSKs, too, encrypted under a passphrase.")
]
UnencryptedKeys = Annotated[
    bool,
    typer.Option(
        "--unencrypted-keys",
        help="With --include-keys: the PSKs as hex, for everyone who reads the file.",
    ),
]
IncludeSecrets = Annotated[
    bool, typer.Option("--include-secrets", help="The settings that are secrets, too, as text.")
]
Raw = Annotated[
    bool,
    typer.Option("--raw", help="csv without the ' that keeps a spreadsheet from changing text."),
]
OnConflict = Annotated[
    Conflict,
    typer.Option(
        help="For a row that the database has: skip keeps it, overwrite writes "
        "every field of the file, merge fills what is NULL and adds to JSON objects the "
        "keys that they lack."
    ),
]


def export_(
    *,
    file: Output = _STDOUT,
    file_format: FileFormat = None,
    tables: Tables = None,
    since: Since = None,
    session: Session = None,
    include_keys: IncludeKeys = False,
    unencrypted_keys: UnencryptedKeys = False,
    include_secrets: IncludeSecrets = False,
    raw: Raw = False,
    passphrase_file: PassphraseFile = None,
    force: Force = False,
    yes: Yes = False,
    url: Url = None,
) -> None:
    """Write tables to a file: json, yaml, jsonl or csv.

    All tables are as they stood at one moment, and no writer waits. jsonl takes a database of
    any size in flat memory. csv holds one table and is not imported.

    Example: cardlink-db export --tables devices,cards --output cards.yaml
    """
    load_components()
    selection = replace(_selection(tables, since, session), secrets=include_secrets, raw=raw)
    chosen = _format(file, file_format)
    if raw and chosen is not Format.CSV:
        raise typer.BadParameter("it is for csv only", param_hint="--raw")
    refuse_existing(file, force=force)
    keys = _keys(include=include_keys, unencrypted=unencrypted_keys)
    with argument("--tables" if keys is Keys.NONE else "--include-keys"):
        selection.check(chosen, keys)
    with open_manager(url) as manager:
        if session is not None:
            with UnitOfWork(manager, read_only=True) as uow:
                selection = replace(selection, session_id=find_session(uow, session).id)
        if keys is not Keys.NONE:
            _confirm_keys(file, keys, yes=yes)
        secret = _new_passphrase(passphrase_file) if keys is Keys.ENCRYPTED else None
        with (
            skipped() as left_out,
            progress("Exporting", unit="rows") as on_progress,
            _target(file) as target,
        ):
            rows = export(
                manager, target, file_format=chosen, selection=selection, keys=keys,
                passphrase=secret, on_progress=on_progress,
            )  # fmt: skip
    typer.echo(f"Exported {_counted(rows)}", err=file == _STDOUT)
    _report_left_out(left_out)


def _report_left_out(rows: list[str]) -> None:
    for name in rows:
        typer.echo(f"Left out: {name}", err=True)
    if rows:
        raise DatabaseError(
            f"rows that cannot be read are missing from the export: {len(rows):,}",
            remedy="correct them in the database, where another program wrote them",
        )


def _counted(rows: dict[str, int]) -> str:
    return ", ".join(
        counted(count, BY_NAME[name].word.removesuffix("s")) for name, count in rows.items()
    )


def _format(file: Path, given: Format | None) -> Format:
    if file != _STDOUT:
        with argument("--format"):
            return given or format_of(file)
    if sys.stdout is None:  # as after >&- in the shell
        raise DatabaseError("stdout is closed", remedy="name a file with --output")
    return given or Format.JSONL


@contextmanager
def _target(file: Path) -> Iterator[Path | IO[bytes]]:
    if file == _STDOUT:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
    else:
        yield file


def import_(
    *,
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="An export: json, yaml or jsonl.", exists=True)
    ],
    file_format: ImportFormat = None,
    conflict: OnConflict = Conflict.SKIP,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Do all of it, and roll it back.")
    ] = False,
    passphrase_file: PassphraseFile = None,
    as_json: AsJson = False,
    url: Url = None,
) -> None:
    """Import an export: all of it, or nothing.

    The file is checked first, and every fault is named with its place. Keys in it need its
    passphrase, and CARDLINK_ENCRYPTION_KEY to be stored.

    Example: cardlink-db import lab.jsonl --conflict merge --dry-run
    """
    with argument("--format"):
        chosen = file_format or format_of(file)
    with open_manager(url) as manager, ExitStack() as shown:
        steps = _ImportProgress(shown)
        report = import_file(
            manager, file, file_format=chosen, conflict=conflict, dry_run=dry_run,
            passphrase=lambda: steps.passphrase(passphrase_file),
            on_check=steps.on_check, on_progress=steps.on_progress,
        )  # fmt: skip
    if as_json:
        print_json(asdict(report))
    else:
        _print_report(report)


class _ImportProgress:
    """Shows the progress of checking and then importing the rows of a file."""

    def __init__(self, shown: ExitStack) -> None:
        self._shown = shown
        self._rows = 0
        self._is_importing = False
        self._begin("Checking")

    def on_check(self, done: int, /) -> None:
        """Count more checked rows."""
        self._rows += done
        self._advance(done)

    def on_progress(self, done: int, /) -> None:
        """Count more written rows."""
        if not self._is_importing:
            self._is_importing = True
            self._begin("Importing", self._rows)
        self._advance(done)

    def passphrase(self, file: Path | None) -> str:
        """Return the passphrase of the keys; typing it shows nothing."""
        self._shown.close()
        given = _given_passphrase(file) or _ask()
        self._begin("Checking")
        return given

    def _begin(self, what: str, total: int | None = None) -> None:
        self._shown.close()
        self._advance = self._shown.enter_context(progress(what, total, unit="rows"))


def _print_report(report: ImportReport) -> None:
    tables = report.tables
    print_rows(
        tables,
        (
            Column("Table", lambda name: BY_NAME[name].word),
            Column("created", lambda name: f"{tables[name].created:,}", right=True),
            Column("updated", lambda name: f"{tables[name].updated:,}", right=True),
            Column("skipped", lambda name: f"{tables[name].skipped:,}", right=True),
            Column("unchanged", lambda name: f"{tables[name].unchanged:,}", right=True),
        ),
    )
    if report.dry_run:
        output.print("Nothing was changed: this is what an import would do.")


def _selection(tables: str | None, since: datetime | None, session: str | None) -> Selection:
    if since is not None and session is not None:
        raise typer.BadParameter("it excludes --session", param_hint="--since")
    with argument("--session"):
        if session is not None:
            validation.uuid_prefix(session, "session")
    words = () if tables is None else tuple(word.strip() for word in tables.split(","))
    with argument("--tables"):
        return Selection(words, since)


def _keys(*, include: bool, unencrypted: bool) -> Keys:
    if unencrypted and not include:
        raise typer.BadParameter("it needs --include-keys", param_hint="--unencrypted-keys")
    if not include:
        return Keys.NONE
    return Keys.PLAIN if unencrypted else Keys.ENCRYPTED


def _confirm_keys(file: Path, keys: Keys, *, yes: bool) -> None:
    how = (
        "UNENCRYPTED, for everyone who reads the file"
        if keys is Keys.PLAIN
        else "encrypted under a passphrase"
    )
    confirm(f"Write the PSKs of the cards to {file}, {how}?", yes=yes)


def _new_passphrase(file: Path | None) -> str:
    given = _given_passphrase(file)
    new = given or _ask()
    if len(new) < MIN_PASSPHRASE:
        raise DatabaseError(f"the passphrase has less than {MIN_PASSPHRASE} characters")
    if given is None and _ask("The same again") != new:
        raise DatabaseError("the two passphrases differ", remedy="run the command again")
    return new


def _given_passphrase(file: Path | None) -> str | None:
    if file is None:
        return os.environ.get(PASSPHRASE_VARIABLE) or None
    with open_to_read(file) as opened:
        line = decode(opened.readline(), f"{file}:1", is_line=True).rstrip("\r\n")
    if not line:
        raise DatabaseError(
            "the file's first line is empty, and should be the passphrase", str(file)
        )
    return line


def _ask(what: str = "Passphrase of the keys in the file") -> str:
    if not sys.stdin.isatty():
        raise DatabaseError(
            "a passphrase is needed, and nobody is there to ask",
            remedy=f"use --passphrase-file, or set {PASSPHRASE_VARIABLE}",
        )
    asked: str = typer.prompt(what, hide_input=True, err=True)
    return asked
