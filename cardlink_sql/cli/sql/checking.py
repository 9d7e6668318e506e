"""``cardlink-db sql check``: the queries held against a database and against each other."""

from contextlib import AbstractContextManager
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from cardlink_sql.cli.shared.database import refuse_missing
from cardlink_sql.cli.shared.exits import Exit
from cardlink_sql.cli.shared.findings import FormatOption, print_faults, print_findings
from cardlink_sql.cli.shared.options import AsJson, Url, argument
from cardlink_sql.cli.shared.output import output
from cardlink_sql.cli.shared.profiles import config_of
from cardlink_sql.config import DatabaseConfig
from cardlink_sql.dialect import Dialect
from cardlink_sql.errors import DatabaseError, ValidationError
from cardlink_sql.queries import load_library
from cardlink_sql.review.answers import judge_answers
from cardlink_sql.review.check import check_queries
from cardlink_sql.review.databases.samples import forget_lock
from cardlink_sql.review.databases.target import FILLING, Target, live, scratch, seeded_database
from cardlink_sql.review.findings import Finding
from cardlink_sql.review.indexes import check_indexes
from cardlink_sql.review.lock import (
    check_lock,
    check_reasons,
    lock_folder,
    make_lock,
    read_lock,
    write_lock,
)
from cardlink_sql.review.plans import check_plans, planner_version, plans_of
from cardlink_sql.review.rules import check_files
from cardlink_sql.review.statements.forms import without

_NOT_JUDGED: Final = "the plans were not judged"

ScratchDialect = Annotated[
    Dialect | None,
    typer.Option(
        help="Check on a scratch database of this dialect, made by the migrations and dropped "
        "again: SQLite's in memory, a server's next to the database in the URL.",
    ),
]
AgainstLock = Annotated[
    bool,
    typer.Option(
        "--locked",
        help="Instead, hold the files against the lock of each dialect; needs no database.",
    ),
]


def check(
    *,
    dialect: ScratchDialect = None,
    locked: AgainstLock = False,
    form: FormatOption = None,
    as_json: AsJson = False,
    url: Url = None,
) -> None:
    """Check every query against a database.

    The dialects' forms are held against each other, too.

    Every query is prepared in every variant and none is executed: parameters, columns, types and
    NULL must agree with the record that it fills; tables, migrations and database with one another.
    The database is the live one of the URL, which is only read; where nothing is named, a scratch
    database in memory. Every fault is listed; the exit code is 1 where there is one.

    On a scratch database the plans are judged, too: it is filled with a data set, and a query that
    reads or sorts the whole of a table that grows must say why it may (-- allow-scan). And each
    query that reads must return the same rows as on SQLite, for rows at the edges of meaning.

    Example: cardlink-db sql check --dialect postgresql -d postgresql://me@localhost/cardlink
    """
    if locked:
        faults, extra = _locked_faults(), dict[str, Any]()
        on = "The SQL files and the migrations against sql/lock/"
    else:
        report = _check(dialect, url)
        faults, extra = report["faults"], report
        on = (
            f"{report['queries']} queries of {report['dialect']} in {report['variants']} variants, "
            f"on {report['database']}"
        )
        for note in filter(None, [report["note"], *report["not_checked"]]):
            if not as_json:
                typer.echo(f"note: {note}", err=True)
    document = {**extra, "faults": [asdict(fault) for fault in faults]} if as_json else None
    print_findings(faults, f"{on}: {_count(faults)}.", form, document)
    if faults:
        raise typer.Exit(Exit.ERROR)


def lock(
    *,
    urls: Annotated[
        list[str] | None,
        typer.Option("--url", "-d", metavar="URL", help="A server; again for another."),
    ] = None,
) -> None:
    """Write sql/lock/, what each query reads and writes.

    A diff of it shows what a change does to parameters, results, reads, writes and plans.

    SQLite's is made in memory. A server's needs the --url of one, where a scratch database is
    made and dropped again; without it that lock stays, and must be right as it is. scripts/lock
    does it all on its own servers.

    Example: cardlink-db sql lock -d postgresql://me@localhost/x -d mysql://me@localhost/x
    """
    configs = [DatabaseConfig(url) for url in urls or []]
    servers = {config.dialect: config for config in configs}
    if Dialect.POSTGRESQL not in servers and read_lock(Dialect.POSTGRESQL) is None:
        raise DatabaseError(
            "there is no lock of postgresql, which names the types of all parameters",
            remedy="add the --url of a PostgreSQL server",
        )
    # PostgreSQL first: its lock names the parameters' types, which the other plans need.
    for dialect in sorted(Dialect, key=lambda one: one is not Dialect.POSTGRESQL):
        if dialect is Dialect.SQLITE or dialect in servers:
            file = _write_lock(dialect, servers.get(dialect))
            output.print(f"Wrote {file.parent.parent.name}/{file.parent.name}/{file.name}")
    left = _locked_faults()
    print_faults(left)
    names = " and ".join(sorted({str(fault.dialect) for fault in left if fault.check == "lock"}))
    if names:
        raise DatabaseError(
            f"the lock of {names} is not up to date", remedy="add the --url of its server"
        )
    if left:
        raise typer.Exit(Exit.ERROR)


def _write_lock(dialect: Dialect, server: DatabaseConfig | None) -> Path:
    library = load_library(dialect)
    with scratch(dialect, server) as target, seeded_database(dialect, server) as filled:
        made_by = f"{target.asked.server()} {planner_version(filled)}"
        file = write_lock(
            lock_folder(), dialect, make_lock(target, made_by, plans_of(library, filled))
        )
    forget_lock()
    return file


def _locked_faults() -> list[Finding]:
    libraries = [load_library(dialect) for dialect in Dialect]
    locks = {dialect: read_lock(dialect) for dialect in Dialect}
    changed = [fault for one in libraries for fault in check_lock(one, locks[one.dialect])]
    return [*changed, *check_reasons(libraries, locks), *check_indexes()]


def _check(dialect: Dialect | None, url: str | None) -> dict[str, Any]:
    """Return the report: the form that ``--json`` prints, with the faults as they are."""
    config = config_of(url)
    with _target(dialect, config, is_named=url is not None) as target:
        checked = check_queries(load_library(target.dialect), target.asked)
    faults = [*check_files([load_library(each) for each in Dialect]), *check_indexes()]
    refused = {fault.query for fault in checked.faults if fault.query}
    plans, note = _judge_plans(target, config, refused)
    if plans is not None:
        faults += judge_answers(target.dialect, config, refused)
    return {
        "database": target.name,
        "dialect": target.dialect,
        "queries": checked.queries,
        "variants": checked.variants,
        "plans": plans is not None,
        "note": note,
        "not_checked": checked.notes,
        "faults": [*faults, *target.faults, *checked.faults, *(plans or [])],
    }


def _count(faults: list[Finding]) -> str:
    return "1 fault" if len(faults) == 1 else f"{len(faults) or 'no'} faults"


def _judge_plans(
    target: Target, config: DatabaseConfig, refused: set[str]
) -> tuple[list[Finding] | None, str | None]:
    """Return the problems of the plans, None where none was judged, and a note for the reader."""
    if target.note:
        return None, f"{target.note}; {_NOT_JUDGED}"
    if not target.is_scratch:
        return None, f"{_NOT_JUDGED} on a live database, which is only read"
    if unfilled := sorted(refused & FILLING):
        return None, f"{_NOT_JUDGED}, for the data set needs {unfilled[0]}"
    with seeded_database(target.dialect, config) as filled:
        return check_plans(without(load_library(target.dialect), refused), filled), None


def _target(
    dialect: Dialect | None, config: DatabaseConfig, *, is_named: bool
) -> AbstractContextManager[Target]:
    if dialect is None and (is_named or not config.is_missing):
        refuse_missing(config)
        return live(config)
    if dialect not in (None, Dialect.SQLITE, config.dialect):
        with argument("--dialect"):
            raise ValidationError(f"a scratch database of {dialect} needs the --url of a server")
    return scratch(dialect or Dialect.SQLITE, config)
