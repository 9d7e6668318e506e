"""``cardlink-db sql report``: everything about the SQL, as HTML."""

from pathlib import Path
from typing import Annotated

import typer

from cardlink_sql.cli.shared.options import argument
from cardlink_sql.cli.shared.output import output
from cardlink_sql.review.report import INDEX, check_folder, gather, render, write_folder


def report(
    *,
    folder: Annotated[
        Path,
        typer.Option(
            "--output",
            "-o",
            metavar="DIR",
            help="The folder to write: new, empty, or with an older report, which is replaced.",
        ),
    ],
) -> None:
    """Write a report for a browser or a printer.

    It has every query, side by side where dialects differ.

    A page for each gateway and each table, a matrix of queries against tables, and an entity
    diagram of the schema; static HTML without scripts. Types and plans are those of sql/lock/. No
    database is needed.

    Example: cardlink-db sql report --output build/sql-report
    """
    with argument("--output"):
        check_folder(folder)
    facts = gather()
    files = render(facts)
    write_folder(folder, files)
    pages = sum(name.endswith(".html") for name in files)
    output.print(f"Wrote {len(facts.queries)} queries on {pages} pages: {folder / INDEX}")
