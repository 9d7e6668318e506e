"""``cardlink-db migrate``, and its commands: ``history``, ``down`` and ``new``."""

from pathlib import Path
from typing import Annotated

import typer

from cardlink_sql.cli.schema import migrate as migrate_database, print_plan, roll_back
from cardlink_sql.cli.shared.database import open_manager
from cardlink_sql.cli.shared.json_output import print_json, print_json_list
from cardlink_sql.cli.shared.options import AsJson, Url, Yes, argument
from cardlink_sql.cli.shared.output import output, seconds
from cardlink_sql.cli.shared.rows import listing, print_rows
from cardlink_sql.schema.new_migration import create_migration

migrate = typer.Typer(name="migrate")
migrate.callback(invoke_without_command=True)(migrate_database)


@migrate.command()
@listing
def history(*, as_json: AsJson = False, url: Url = None) -> None:
    """List the migrations, and who applied each when.

    Example: cardlink-db migrate history
    """
    with open_manager(url, read_only=True) as manager:
        status = manager.migrator.status()
    if as_json:
        applied = [
            {"id": one.id, "applied_at": one.applied_at.isoformat(), "applied_by": one.applied_by}
            for one in status.applied
        ]
        pending = [{"id": name, "applied_at": None, "applied_by": None} for name in status.pending]
        print_json_list([*applied, *pending])
        return
    print_rows(
        ("Migration", "applied (UTC)", "by"),
        [
            *((one.id, seconds(one.applied_at), one.applied_by) for one in status.applied),
            *((name, "pending", None) for name in status.pending),
        ],
        folding=("by",),
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
            print_plan(plan)
        else:
            roll_back(manager, revision, plan, yes=yes)


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
