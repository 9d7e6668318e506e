"""``cardlink-db sql check``: the queries held against a database and against each other."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import Annotated

import typer

from cardlink_sql.cli.common import (
    AsJson,
    Exit,
    Url,
    argument,
    output,
    print_json,
    refuse_missing,
)
from cardlink_sql.config import DatabaseConfig
from cardlink_sql.dialect import Dialect
from cardlink_sql.errors import DatabaseError, ValidationError
from cardlink_sql.manager import DatabaseManager
from cardlink_sql.review.check import check_queries
from cardlink_sql.review.faults import Fault
from cardlink_sql.review.lock import check_lock, lock_folder, make_lock, read_lock, write_lock
from cardlink_sql.review.rules import check_files
from cardlink_sql.review.target import Target, live, scratch
from cardlink_sql.sqlfiles import load_library


def check(
    *,
    dialect: Annotated[
        Dialect | None,
        typer.Option(
            "--dialect",
            help="Check on a scratch database of this dialect, made by the migrations and dropped "
            "again: SQLite's in memory, a server's beside the database that the URL names.",
            show_default=False,
        ),
    ] = None,
    locked: Annotated[
        bool,
        typer.Option(
            "--locked",
            help="Instead, hold the files against the lock of each dialect; needs no database.",
        ),
    ] = False,
    as_json: AsJson = False,
    url: Url = None,
) -> None:
    """Hold every query against a database, and the dialects' forms against each other.

    Every query is prepared in every variant and none is executed: parameters, columns, types and
    NULL must agree with the record that it fills; tables, migrations and database with one another.
    The database is the live one of the URL, which is only read; where nothing is named, a scratch
    database in memory. Every fault is listed; the exit code is 1 where there is one.

    Example: cardlink-db sql check --dialect postgresql -d postgresql://me@localhost/cardlink
    """
    if locked:
        _check_locked(as_json=as_json)
        return
    faults = check_files([load_library(each) for each in Dialect])
    with _target(dialect, url) as target:
        checked = check_queries(load_library(target.dialect), target.asked)
        faults += [*target.faults, *checked.faults]
    if as_json:
        print_json(
            {
                "database": target.name,
                "dialect": target.dialect,
                "queries": checked.queries,
                "variants": checked.variants,
                "note": target.note,
                "not_checked": checked.notes,
                "faults": [asdict(fault) for fault in faults],
            }
        )
    else:
        for note in filter(None, [target.note, *checked.notes]):
            typer.echo(f"note: {note}", err=True)
        print_faults(faults)
        output.print(
            f"{checked.queries} queries of {target.dialect} in {checked.variants} variants, "
            f"on {target.name}: {_count(faults)}."
        )
    if faults:
        raise typer.Exit(Exit.ERROR)


def lock(
    *,
    urls: Annotated[
        list[str] | None,
        typer.Option(
            "--url", "-d", metavar="URL", help="A server; again for another.", show_default=False
        ),
    ] = None,
) -> None:
    """Write sql/lock/: what each query takes, gives, reads and writes, to be reviewed in a diff.

    SQLite's is made in memory. A server's needs the --url of one, where a scratch database is
    made and dropped again; without it that lock stays, and must be right as it is. scripts/lock
    does it all on servers of its own.

    Example: cardlink-db sql lock -d postgresql://me@localhost/x -d mysql://me@localhost/x
    """
    configs = [DatabaseConfig(url) for url in urls or []]
    servers = {config.dialect: config for config in configs}
    for dialect in Dialect:
        if dialect is Dialect.SQLITE or dialect in servers:
            with scratch(dialect, servers.get(dialect)) as target:
                file = write_lock(lock_folder(), dialect, make_lock(target))
            output.print(f"Wrote {file.parent.parent.name}/{file.parent.name}/{file.name}")
    left = [fault for each in Dialect for fault in check_lock(load_library(each), read_lock(each))]
    if left:
        print_faults(left)
        names = " and ".join(sorted({str(fault.dialect) for fault in left}))
        raise DatabaseError(
            f"the lock of {names} is not up to date", remedy="add the --url of its server"
        )


def _check_locked(*, as_json: bool) -> None:
    faults = [
        fault for each in Dialect for fault in check_lock(load_library(each), read_lock(each))
    ]
    if as_json:
        print_json({"faults": [asdict(fault) for fault in faults]})
    else:
        print_faults(faults)
        output.print(f"The SQL files and the migrations against sql/lock/: {_count(faults)}.")
    if faults:
        raise typer.Exit(Exit.ERROR)


def print_faults(faults: list[Fault]) -> None:
    """Print each fault, and below it what to do."""
    for fault in faults:
        output.print(f"{fault}")
        output.print(f"  {fault.check}: {fault.remedy}")


def _count(faults: list[Fault]) -> str:
    return "1 fault" if len(faults) == 1 else f"{len(faults) or 'no'} faults"


@contextmanager
def _target(dialect: Dialect | None, url: str | None) -> Iterator[Target]:
    config = DatabaseConfig() if url is None else DatabaseConfig(url)
    if dialect is not None:
        with argument("--dialect"):
            if dialect is not Dialect.SQLITE and config.dialect is not dialect:
                raise ValidationError(
                    f"a scratch database of {dialect} needs the --url of a server"
                )
        with scratch(dialect, config) as target:
            yield target
    elif url is None and config.is_missing:
        with scratch(Dialect.SQLITE) as target:
            yield target
    else:
        refuse_missing(DatabaseManager(config))
        with live(config) as target:
            yield target
