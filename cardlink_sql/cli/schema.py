"""``cardlink-db schema``: reviews of the migrations and their schema."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from cardlink_sql.cli.shared.exits import Exit
from cardlink_sql.cli.shared.findings import FormatOption, print_findings
from cardlink_sql.cli.shared.json_output import print_json
from cardlink_sql.cli.shared.options import AsJson, Url, argument, group
from cardlink_sql.cli.shared.output import output
from cardlink_sql.cli.shared.profiles import config_of
from cardlink_sql.config import DatabaseConfig
from cardlink_sql.dialect import Dialect
from cardlink_sql.queries.resources import folder
from cardlink_sql.review.migrations.lint import lint as lint_migrations
from cardlink_sql.review.migrations.schema_dump import printed_schema

if TYPE_CHECKING:
    from cardlink_sql.review.check import CheckResult

schema = group(
    "schema",
    "The schema and its migrations, for review.",
    "cardlink-db schema dump --dialect postgresql",
)

DialectOption = Annotated[
    Dialect | None,
    typer.Option(help="Without it, the dialect of the database's URL."),
]


@schema.command()
def dump(
    *,
    dialect: DialectOption = None,
    url: Url = None,
) -> None:
    """Print the schema as canonical DDL.

    It is that of the declared tables. No database is needed.

    Example: cardlink-db schema dump --dialect postgresql
    """
    config = config_of(url)
    chosen = dialect or config.dialect
    typer.echo(printed_schema(chosen), nl=False)


@schema.command()
def lint(*, form: FormatOption = None, as_json: AsJson = False) -> None:
    """Check the migrations for a database in use.

    Those of all dialects, by rules for locks and data.

    Exempt a statement in the comment above it: -- allow-lint: rule: the reason.
    The exit code is 1 where something is wrong.

    Example: cardlink-db schema lint
    """
    faults = lint_migrations(folder("migrations"))
    conclusion = "Nothing is wrong." if not faults else f"Wrong: {len(faults)}."
    document = [asdict(fault) for fault in faults] if as_json else None
    print_findings(faults, conclusion, form, document)
    if faults:
        raise typer.Exit(Exit.ERROR)


@schema.command()
def compatible(
    release: Annotated[
        str,
        typer.Argument(
            metavar="RELEASE", help="Its wheel, a checkout, its sql/ folder or a git revision."
        ),
    ],
    *,
    dialect: DialectOption = None,
    as_json: AsJson = False,
    url: Url = None,
) -> None:
    """Prepare another release's queries on this schema.

    So its servers can go on while this release is rolled out. The schema is that of the migrations,
    in a scratch database: SQLite's in memory, a server's next to the database of the URL.
    The exit code is 1 where a query is refused.

    Example: cardlink-db schema compatible cardlink_sql-0.1.0-py3-none-any.whl
    """
    # These need the extra "review"; lint and dump do not.
    from cardlink_sql.review.check import compatible as check_release
    from cardlink_sql.review.databases.target import scratch
    from cardlink_sql.review.release import find_release

    config = config_of(url)
    chosen = dialect or config.dialect
    with argument("RELEASE"):
        found = find_release(release)
    with scratch(chosen, _config_of(chosen, config)) as target:
        checked = check_release(found.library(chosen), target.asked, found.name)
    if as_json:
        print_json(asdict(checked))
    else:
        _print_refused(checked, found.name)
    if checked.faults:
        raise typer.Exit(Exit.ERROR)


def _print_refused(checked: "CheckResult", release: str) -> None:
    for note in checked.notes:
        typer.echo(f"note: {note}", err=True)
    for fault in checked.faults:
        output.print(f"{fault}")
        output.print(f"  {fault.remedy}")
    output.print(
        f"{checked.queries} queries of {release} in {checked.variants} variants: "
        f"{len(checked.faults) or 'none'} refused."
    )


def _config_of(dialect: Dialect, config: DatabaseConfig) -> DatabaseConfig:
    """Return the server for a scratch database; SQLite needs none."""
    if dialect is Dialect.SQLITE:
        return DatabaseConfig("sqlite:///:memory:")
    if config.dialect is not dialect:
        raise typer.BadParameter(
            f"a scratch database needs a server of {dialect}, and the URL names {config.dialect}",
            param_hint="--url",
        )
    return config
