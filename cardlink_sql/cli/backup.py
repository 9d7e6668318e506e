"""``cardlink-db backup`` and ``restore``."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from cardlink_sql.cli.shared.database import open_manager
from cardlink_sql.cli.shared.json_output import print_json
from cardlink_sql.cli.shared.options import AsJson, Force, Url, Yes, confirm
from cardlink_sql.cli.shared.output import counted, output
from cardlink_sql.cli.shared.progress import progress
from cardlink_sql.transfer.backup import (
    Backup,
    Manifest,
    Method,
    Restored,
    check_backup,
    create_backup,
    restore_backup,
)

_MEGABYTE: Final = 1_000_000


def backup(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The backup to make.")],
    *,
    method: Annotated[
        Method,
        typer.Option(
            help="native: SQLite's online backup, pg_dump, mariadb-dump or mysqldump. jsonl: "
            "restores into every backend. auto: native where the tool is there."
        ),
    ] = Method.AUTO,
    force: Force = False,
    as_json: AsJson = False,
    url: Url = None,
) -> None:
    """Back up the database while others use it.

    The file holds the PSKs as they are stored, encrypted; only its owner may read it. The
    encryption keys are not in it: back them up elsewhere.

    Example: cardlink-db backup cardlink-2026-11-23.backup
    """
    with open_manager(url) as manager, _megabytes("Backing up") as on_progress:
        made = create_backup(manager, file, method=method, force=force, on_progress=on_progress)
    if made.obstacle is not None:
        typer.echo(f"note: {made.obstacle}, so the backup is JSON lines", err=True)
    if as_json:
        print_json(_backup_document(made))
    else:
        output.print(
            f"Backed up {_rows(made.manifest)} to {made.file} "
            f"({made.bytes:,} bytes, {made.manifest.kind})."
        )


def restore(
    file: Annotated[
        Path,
        typer.Argument(metavar="FILE", help="A backup.", exists=True, dir_okay=False),
    ],
    *,
    check: Annotated[
        bool, typer.Option("--check", help="Only read FILE and say whether it is whole.")
    ] = False,
    yes: Yes = False,
    as_json: AsJson = False,
    url: Url = None,
) -> None:
    """Restore a backup.

    It replaces an SQLite file, or fills an empty database of a server.

    The backup is verified first: integrity, migrations, the rows of each table. An SQLite file
    is replaced in one step, and the old one is kept; stop what uses it first. On a server make
    an empty database, restore there, and point DATABASE_URL at it.

    Example: cardlink-db restore cardlink-2026-11-23.backup -d sqlite:///data/cardlink.db
    """
    if check:
        with _megabytes("Checking") as on_progress:
            manifest = check_backup(file, on_progress=on_progress)
        _print_checked(file, manifest, as_json=as_json)
        return
    with open_manager(url, may_be_missing=True) as manager:
        if manager.config.is_sqlite and not yes:
            with _megabytes("Checking") as on_progress:
                new = check_backup(file, on_progress=on_progress)
            confirm(f"Replace {manager.config.safe_url} by {file}, {_rows(new)}?", yes=False)
        with _megabytes("Restoring") as on_progress:
            done = restore_backup(manager, file, on_progress=on_progress)
    _print_restored(file, done, as_json=as_json)


def _print_checked(file: Path, manifest: Manifest, *, as_json: bool) -> None:
    if as_json:
        print_json(manifest.to_document())
    else:
        output.print(f"{file} is whole: {_rows(manifest)}, {_origin(manifest)}.")


def _print_restored(file: Path, done: Restored, *, as_json: bool) -> None:
    kept = done.replaced
    if as_json:
        print_json(
            {
                **done.manifest.to_document(),
                "replaced": None if kept is None else asdict(kept),
                "pending": done.pending,
            }
        )
        return
    output.print(f"Restored {_rows(done.manifest)} from {file}, {_origin(done.manifest)}.")
    if kept is not None:
        output.print(f"The replaced database is kept: {kept.name}")
        output.print(f"When it is not needed any more: {kept.removal}")
    if done.pending:
        output.print(f"It is older than this version ({', '.join(done.pending)} pending).")
        output.print("Run: cardlink-db migrate")


def _backup_document(made: Backup) -> dict[str, Any]:
    return {"file": str(made.file), "bytes": made.bytes, **made.manifest.to_document()}


def _rows(manifest: Manifest) -> str:
    rows = sum(manifest.contents.tables[name] for name in manifest.contents.own_tables)
    return f"{counted(rows, 'row')} in {counted(len(manifest.contents.own_tables), 'table')}"


def _origin(manifest: Manifest) -> str:
    made = manifest.created_at
    return f"{manifest.product} {manifest.server_version} of {made:%Y-%m-%d %H:%M:%S} UTC"


@contextmanager
def _megabytes(what: str) -> Iterator[Callable[[int], None]]:
    """Show the progress of the block in MB; yields the function that takes the bytes done."""
    rest = 0
    with progress(what, unit="MB") as advance:

        def count(done: int) -> None:
            nonlocal rest
            whole, rest = divmod(rest + done, _MEGABYTE)
            advance(whole)

        yield count
