"""``cardlink-db sql grants``: the rights that each role needs."""

from dataclasses import asdict
from typing import Annotated

import typer

from cardlink_sql.cli.shared.json_output import print_json
from cardlink_sql.cli.shared.options import AsJson, Url, argument
from cardlink_sql.cli.shared.profiles import config_of
from cardlink_sql.dialect import Dialect
from cardlink_sql.review.grants import Grant, Role, grants as grants_of

RoleOption = Annotated[
    Role,
    typer.Option(
        help="app runs the components, reader only reads, dba migrates.",
    ),
]
DialectOption = Annotated[
    Dialect | None,
    typer.Option(help="Without it, that of the URL."),
]
User = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="Whom to grant it; on MySQL NAME or NAME@HOST. Without it cardlink_ROLE.",
    ),
]


def grants(
    *,
    role: RoleOption,
    dialect: DialectOption = None,
    user: User = None,
    as_json: AsJson = False,
    url: Url = None,
) -> None:
    """Print the GRANT statements that a role needs.

    What its queries need, and no more.

    Each right is given because a query needs it, which is named. Nothing is changed and nothing is
    connected to. The user must exist. Foreign keys need no right: they act with the
    owner's. SQLite has no roles.

    Example: cardlink-db sql grants --role app --dialect postgresql --user cardlink_app
    """
    config = config_of(url)
    chosen = dialect or config.dialect
    database = (None if config.is_sqlite else config.engine_url.database) or "cardlink"
    with argument("--user"):
        made = grants_of(role, chosen, f"cardlink_{role}" if user is None else user, database)
    if as_json:
        print_json([asdict(grant) for grant in made])
    elif chosen is Dialect.SQLITE:
        typer.echo("-- SQLite has no roles: access to the file is access to the database.")
    else:
        typer.echo("\n".join(f"-- {_reason(one)}\n{one.statement}" for one in made))


def _reason(grant: Grant) -> str:
    reasons = [f"{right} for {_some(titles)}" for right, titles in grant.needs.items() if titles]
    return f"{grant.on}: {'; '.join(reasons) or grant.why}"


def _some(titles: list[str]) -> str:
    more = len(titles) - 1
    return f"{titles[0]} and {more} more" if more else titles[0]
