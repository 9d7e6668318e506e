"""``cardlink-db status``."""

from contextlib import closing
from dataclasses import asdict
from typing import Annotated, Any

import typer

from cardlink_sql.cli.shared.database import open_manager
from cardlink_sql.cli.shared.exits import Exit
from cardlink_sql.cli.shared.json_output import print_json
from cardlink_sql.cli.shared.options import AsJson, Exact, Url, rows_text
from cardlink_sql.cli.shared.output import output, print_facts
from cardlink_sql.cli.shared.rows import Column, print_rows
from cardlink_sql.manager import DatabaseManager
from cardlink_sql.schema.drift import differences
from cardlink_sql.schema.migrator import MigrationStatus


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
        tables,
        (
            Column("Table", lambda one: one["name"]),
            Column("rows", lambda one: rows_text(one["rows"], one["is_estimate"]), right=True),
            Column("bytes", lambda one: one["bytes"] and f"{one['bytes']:,}", right=True),
        ),
    )
