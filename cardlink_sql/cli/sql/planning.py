"""``cardlink-db sql explain``: how a query is answered."""

from datetime import datetime
from operator import itemgetter
from typing import Annotated, Any

import typer

from cardlink_sql.cli.shared.database import refuse_missing
from cardlink_sql.cli.shared.json_output import print_json
from cardlink_sql.cli.shared.options import AsJson, Url, argument
from cardlink_sql.cli.shared.profiles import config_of
from cardlink_sql.cli.shared.rows import Column, print_rows
from cardlink_sql.cli.sql.listing import QueryName
from cardlink_sql.config import DatabaseConfig
from cardlink_sql.errors import ValidationError
from cardlink_sql.manager import DatabaseManager
from cardlink_sql.model.times import utc_now
from cardlink_sql.queries import Query, Rows
from cardlink_sql.review.databases.backend import Plan, Sent, asking
from cardlink_sql.review.databases.samples import given, placeholders
from cardlink_sql.review.statements.footprint import writes
from cardlink_sql.review.statements.forms import find_query

Params = Annotated[
    list[str] | None,
    typer.Option(
        "--param",
        "-p",
        metavar="NAME=VALUE",
        help="A parameter; again for another. For a condition without one: only its name.",
    ),
]
Order = Annotated[
    str | None,
    typer.Option(metavar="ORDER", help='One of its orders, such as "name desc".'),
]
Analyze = Annotated[
    bool, typer.Option("--analyze", help="Run it and measure; for what only reads.")
]


def explain(
    name: QueryName,
    *,
    param: Params = None,
    order: Order = None,
    analyze: Analyze = False,
    as_json: AsJson = False,
    url: Url = None,
) -> None:
    """Show the plan of a query on the live database.

    Parameters are bound. Optional lines are in where their --param is given; a parameter that must
    be there and is not given gets a placeholder of its type, which is shown. Nothing is written,
    and without --analyze nothing runs. A time is ISO 8601 in UTC, a list has commas, bytes are hex.

    Example: cardlink-db sql explain sessions.find_by -p status=failed --order "created_at"
    """
    config = config_of(url)
    query = _query(name, config)
    _check_options(query, order, analyze=analyze)
    with argument("--param"):
        values = given(query, param or [])
    missing = placeholders(query, query.required - values.keys(), utc_now())
    sent = Sent(query, values | missing, order)
    # MySQL does not explain what writes in a session that only reads.
    read_only = not (config.is_mysql and writes(query))
    refuse_missing(config)
    with DatabaseManager(config, read_only=read_only) as manager, asking(manager) as asked:
        if as_json:
            document = {
                "query": query.title,
                "dialect": query.dialect,
                "order": order,
                "placeholders": {one: _shown(value) for one, value in missing.items()},
                "plan": asked.document(sent, analyze=analyze),
            }
            print_json(document)
            return
        shown = asked.explain(sent, analyze=analyze)
    for one, value in missing.items():
        typer.echo(f"placeholder: {one} = {_shown(value)}", err=True)
    _print_plan(shown)


def _query(name: str, config: DatabaseConfig) -> Query:
    with argument("NAME"):
        query = next((q for q in find_query(name) if q.dialect is config.dialect), None)
        if query is None:
            raise ValidationError(f"{name} is not a query of {config.dialect}")
        if query.rows is Rows.COPY:
            raise ValidationError(f"{name} is a COPY, which has no plan")
    return query


def _check_options(query: Query, order: str | None, *, analyze: bool) -> None:
    with argument("--order"):
        if order is not None and order not in query.orders:
            orders = ", ".join(query.orders) or "none"
            raise ValidationError(f"{query.title} has no order {order!r}; there are: {orders}")
    with argument("--analyze"):
        if analyze and writes(query):
            raise ValidationError(
                f"{query.title} writes, and --analyze would run it; omit --analyze"
            )


def _print_plan(plan: Plan) -> None:
    if len(plan.columns) == 1:
        typer.echo("\n".join(str(line) for (line,) in plan.rows) or "no table is read")
    else:
        long = ("Extra", "possible_keys")
        columns = [
            Column(name, itemgetter(at), folds=name in long) for at, name in enumerate(plan.columns)
        ]
        print_rows(plan.rows, columns)


def _shown(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(_shown, value))
    if isinstance(value, bytes):
        return value.hex()
    return value.isoformat() if isinstance(value, datetime) else str(value)
