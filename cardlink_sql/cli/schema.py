"""``cardlink-db init``, ``migrate`` and ``status``."""

from contextlib import closing
from dataclasses import asdict
from typing import Annotated, Any

import typer

from cardlink_sql.cli.shared.database import open_manager
from cardlink_sql.cli.shared.exits import Exit
from cardlink_sql.cli.shared.json_output import print_json
from cardlink_sql.cli.shared.options import AsJson, Exact, Url, Yes, confirm, rows_text
from cardlink_sql.cli.shared.output import output, print_facts
from cardlink_sql.cli.shared.rows import print_rows
from cardlink_sql.manager import DatabaseManager
from cardlink_sql.review.migrations.stamp import stamp as record_applied
from cardlink_sql.schema.drift import differences
from cardlink_sql.schema.migrator import MigrationStatus, PlannedMigration


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


def migrate(
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
            print_plan(plan)
        elif revision == "base" and not plan:
            output.print("Nothing to roll back: no migration is applied.")
        elif revision is not None and any(step.direction == "rollback" for step in plan):
            roll_back(manager, revision, plan, yes=yes)
        else:
            _print_applied(manager, migrator.migrate(revision))


def status(
    *,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Rows and bytes of each table, too.")
    ] = False,
    check: Annotated[
        bool, typer.Option("--check", help="Read a whole SQLite file, and look for damage.")
    ] = False,
    exact: Exact = False,
    as_json: AsJson = False,
    url: Url = None,
) -> None:
    """Show connection, migrations and drift; change nothing.

    Migrations are applied or pending. Drift is where the database does not agree with the
    migration files or with the tables that the layer expects.

    Exit code: 0 fine, 1 the database does not answer or is damaged, 3 migrations are pending (as
    where an SQLite file is missing), 4 drift.

    Example: cardlink-db status --verbose
    """
    with open_manager(url, read_only=True, may_be_missing=True) as manager:
        report = _status(manager, verbose=verbose, check=check, exact=exact)
    if as_json:
        print_json(report)
    else:
        _print_status(report)
    raise typer.Exit(_exit_code(report))


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


def roll_back(
    manager: DatabaseManager, revision: str, plan: list[PlannedMigration], *, yes: bool
) -> None:
    """Ask, then roll back to a revision."""
    names = ", ".join(step.id for step in plan)
    confirm(f"Roll back {names}, and lose what they hold?", yes=yes)
    for name in manager.migrator.rollback(revision):
        output.print(f"Rolled back {name}")


def print_plan(plan: list[PlannedMigration]) -> None:
    """Print the statements of migrations, with what each locks."""
    if not plan:
        output.print("-- Nothing to apply: no migration is pending.")
    for step in plan:
        typer.echo(f"-- {step.direction} {step.id}\n-- {step.note}\n")
        for statement, locked in zip(step.statements, step.locks, strict=True):
            typer.echo(f"-- locks: {locked}\n{statement.strip().rstrip(';')};\n")


def _status(manager: DatabaseManager, *, verbose: bool, check: bool, exact: bool) -> dict[str, Any]:
    """The report: the form that ``--json`` prints."""
    health = manager.health_check()
    if check and health["status"] == "healthy" and (damage := _damage(manager)):
        health["status"], health["error"] = "unhealthy", f"the file is damaged: {damage}"
        health["hint"] = "restore a backup: cardlink-db restore FILE; the damaged file is kept"
    report: dict[str, Any] = {**health}
    if health["status"] != "healthy" and not manager.config.is_missing:
        return report
    migrations = manager.migrator.status()
    report |= _migrations(migrations)
    report["schema_differences"] = (
        differences(manager.engine)
        if migrations.is_current and health["status"] == "healthy"
        else []
    )
    if (verbose or exact) and migrations.is_current:
        report["tables"] = [asdict(size) for size in manager.table_sizes(exact=exact)]
    return report


def _damage(manager: DatabaseManager) -> str | None:
    with closing(manager.take_connection()) as pooled:
        return manager.pool.backend.find_damage(pooled.driver_connection)


def _migrations(migrations: MigrationStatus) -> dict[str, Any]:
    return {
        "applied": [
            {"id": one.id, "applied_at": one.applied_at.isoformat(), "applied_by": one.applied_by}
            for one in migrations.applied
        ],
        "pending": migrations.pending,
        "unfinished": migrations.unfinished,
        "drift": migrations.drift,
    }


def _exit_code(report: dict[str, Any]) -> Exit:
    if "pending" not in report:
        return Exit.ERROR
    if report["drift"] or report["schema_differences"] or report["unfinished"]:
        return Exit.DRIFT
    return Exit.PENDING if report["pending"] else Exit.FINE


def _print_status(report: dict[str, Any]) -> None:
    print_facts(
        ("Database", report["url"]),
        ("Connection", report["status"]),
        ("Host", report["host"]),
        ("Server", _server(report)),
        ("Error", report["error"]),
        ("Hint", report["hint"]),
    )
    if "pending" not in report:
        return
    drift = (report["unfinished"], *report["drift"], *report["schema_differences"])
    print_facts(
        *(("applied", _applied(one)) for one in report["applied"]),
        *(("pending", name) for name in report["pending"]),
        *(("drift", sentence) for sentence in drift),
    )
    if "tables" in report:
        _print_tables(report["tables"])
    if report["pending"] and report["status"] == "healthy":
        output.print("Run: cardlink-db migrate")


def _applied(one: dict[str, Any]) -> str:
    by = f" by {one['applied_by']}" if one["applied_by"] else ""
    return f"{one['id']}  {one['applied_at']}{by}"


def _server(report: dict[str, Any]) -> str | None:
    if report["server_version"] is None:
        return None
    return f"{report['backend']} {report['server_version']}, {report['latency_ms']} ms"


def _print_tables(tables: list[dict[str, Any]]) -> None:
    print_rows(
        ("Table", "rows", "bytes"),
        [
            (
                one["name"],
                rows_text(one["rows"], one["is_estimate"]),
                None if one["bytes"] is None else f"{one['bytes']:,}",
            )
            for one in tables
        ],
        right=("rows", "bytes"),
    )
