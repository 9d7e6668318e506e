"""``cardlink-db init``, and ``migrate`` with its commands ``history``, ``down`` and ``new``."""

from pathlib import Path
from typing import Annotated

import typer

from cardlink_sql.cli.shared.database import open_manager
from cardlink_sql.cli.shared.json_output import print_json, print_json_list
from cardlink_sql.cli.shared.options import AsJson, Url, Yes, argument, confirm
from cardlink_sql.cli.shared.output import output, seconds
from cardlink_sql.cli.shared.rows import Column, listing, print_rows
from cardlink_sql.manager import DatabaseManager
from cardlink_sql.review.migrations.stamp import stamp as record_applied
from cardlink_sql.schema.migrator import PlannedMigration
from cardlink_sql.schema.new_migration import create_migration

migrate = typer.Typer(name="migrate")


def init(
    *,
    force: Annotated[
        bool, typer.Option("--force", help="Drop every table of CardLink first, with its rows.")
    ] = False,
    yes: Yes = False,
    url: Url = None,
) -> None:
    """Make the schema in a new database.

    Example: cardlink-db init -d sqlite:///data/cardlink.db
    """
    with open_manager(url, may_be_missing=True) as manager:
        if force:
            confirm(f"Drop all tables and rows of {manager.config.safe_url}?", yes=yes)
            manager.drop_tables()
        _print_applied(manager, manager.create_tables())


Revision = Annotated[
    str | None,
    typer.Option(
        metavar="ID",
        help="Stop at this migration (0001 will do for 0001_initial_schema). One that lies before "
        "the applied ones rolls back to it; base rolls back everything; head is the newest.",
    ),
]
Stamp = Annotated[
    str | None,
    typer.Option(
        metavar="ID",
        help="Run nothing: record the migrations up to this one, after checking that the schema, "
        "made from --dry-run by hand, is what they make; head is the newest.",
    ),
]
DryRun = Annotated[
    bool,
    typer.Option(
        "--dry-run",
        help="Print the SQL that would run, and what each statement locks; change nothing.",
    ),
]
Start = Annotated[
    str | None,
    typer.Option(
        "--from",
        metavar="ID",
        help="With --dry-run, all migrations after this one, applied or not; base: all.",
    ),
]


@migrate.callback(invoke_without_command=True)
def migrate_database(
    context: typer.Context,
    *,
    revision: Revision = None,
    stamp: Stamp = None,
    dry_run: DryRun = False,
    start: Start = None,
    yes: Yes = False,
    url: Url = None,
) -> None:
    """Apply pending migrations, or roll back to an earlier one.

    Example: cardlink-db migrate --dry-run
    """
    if context.invoked_subcommand is not None:
        return
    if start is not None and not dry_run:
        raise typer.BadParameter("it needs --dry-run", param_hint="--from")
    if stamp is not None:
        if revision is not None or dry_run:
            raise typer.BadParameter("it excludes --revision and --dry-run", param_hint="--stamp")
        _record(stamp, url)
        return
    with open_manager(url, may_be_missing=True) as manager:
        migrator = manager.migrator
        if revision == "head":
            revision = None
        plan = migrator.plan(revision, start)
        if dry_run:
            _print_plan(plan)
        elif revision == "base" and not plan:
            output.print("Nothing to roll back: no migration is applied.")
        elif revision is not None and any(step.direction == "rollback" for step in plan):
            _roll_back(manager, revision, plan, yes=yes)
        else:
            _print_applied(manager, migrator.migrate(revision))


@migrate.command()
@listing
def history(*, as_json: AsJson = False, url: Url = None) -> None:
    """List the migrations, and who applied each when.

    Example: cardlink-db migrate history
    """
    with open_manager(url, read_only=True) as manager:
        status = manager.migrator.status()
    listed = [
        *((one.id, one.applied_at, one.applied_by) for one in status.applied),
        *((name, None, None) for name in status.pending),
    ]
    if as_json:
        print_json_list(
            {"id": name, "applied_at": at and at.isoformat(), "applied_by": by}
            for name, at, by in listed
        )
        return
    print_rows(
        listed,
        (
            Column("Migration", lambda one: one[0]),
            Column("applied (UTC)", lambda one: seconds(one[1]) or "pending"),
            Column("by", lambda one: one[2], folds=True),
        ),
    )


@migrate.command()
def down(
    *,
    count: Annotated[int, typer.Option(min=1, metavar="N", help="So many migrations.")] = 1,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the SQL that would run; change nothing.")
    ] = False,
    yes: Yes = False,
    url: Url = None,
) -> None:
    """Roll back the newest migration.

    Example: cardlink-db migrate down --dry-run
    """
    with open_manager(url) as manager:
        applied = manager.migrator.status().applied
        revision = applied[-1 - count].id if len(applied) > count else "base"
        plan = manager.migrator.plan(revision)
        if not plan:
            output.print("Nothing to roll back: no migration is applied.")
        elif dry_run:
            _print_plan(plan)
        else:
            _roll_back(manager, revision, plan, yes=yes)


@migrate.command()
def new(
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="Small letters, digits and underscores.")
    ],
    *,
    folder: Annotated[
        Path,
        typer.Option(
            "--output",
            "-o",
            metavar="FOLDER",
            help="The folder with a folder of migrations for each dialect.",
            exists=True,
            file_okay=False,
        ),
    ] = Path("migrations"),
    as_json: AsJson = False,
) -> None:
    """Write the files of a new migration for each dialect.

    They hold a comment to fill in. Until a file holds a statement, no database is migrated.

    Example: cardlink-db migrate new session_notes
    """
    with argument("NAME"):
        written = create_migration(folder, name)
    if as_json:
        print_json([str(file) for file in written])
        return
    for file in written:
        output.print(f"Wrote {file}")


def _record(revision: str, url: str | None) -> None:
    with open_manager(url) as manager:
        recorded = record_applied(manager, None if revision == "head" else revision)
    for name in recorded:
        output.print(f"Recorded {name}")
    if not recorded:
        output.print("Nothing to record: no migration up to this one is pending.")


def _print_applied(manager: DatabaseManager, applied: list[str]) -> None:
    for name in applied:
        output.print(f"Applied {name}")
    if not applied:
        output.print("Nothing to apply: no migration is pending.")
    output.print(f"Database: {manager.config.safe_url}")
    if note := manager.encoding_note():
        output.print(f"Note: {note}")


def _roll_back(
    manager: DatabaseManager, revision: str, plan: list[PlannedMigration], *, yes: bool
) -> None:
    """Ask, then roll back to a revision."""
    names = ", ".join(step.id for step in plan)
    confirm(f"Roll back {names}, and lose what they hold?", yes=yes)
    for name in manager.migrator.rollback(revision):
        output.print(f"Rolled back {name}")


def _print_plan(plan: list[PlannedMigration]) -> None:
    """Print the statements of migrations, with what each locks."""
    if not plan:
        output.print("-- Nothing to apply: no migration is pending.")
    for step in plan:
        typer.echo(f"-- {step.direction} {step.id}\n-- {step.note}\n")
        for statement, locked in zip(step.statements, step.locks, strict=True):
            typer.echo(f"-- locks: {locked}\n{statement.strip().rstrip(';')};\n")
