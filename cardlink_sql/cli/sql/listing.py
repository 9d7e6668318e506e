"""``cardlink-db sql list``, ``show`` and ``impact``: what there is, and what it touches."""

from dataclasses import asdict
from typing import Annotated, Any, Final

import typer

from cardlink_sql.cli.shared.completion import complete_column, complete_query
from cardlink_sql.cli.shared.json_output import print_json
from cardlink_sql.cli.shared.options import AsJson, argument
from cardlink_sql.cli.shared.rows import Column, listing, print_rows
from cardlink_sql.dialect import Dialect
from cardlink_sql.errors import ValidationError
from cardlink_sql.queries import Query, load_internal, load_library
from cardlink_sql.review.impact import Impact, impact as find_impact
from cardlink_sql.review.senders import internal_senders, senders
from cardlink_sql.review.statements.access import Access
from cardlink_sql.review.statements.footprint import footprint
from cardlink_sql.review.statements.forms import by_place, find_query, forms_of
from cardlink_sql.review.statements.variants import query_text

# The reasons in the header of a query.
_REASONS: Final = ("differs", "only", "needs", "allow_scan")

QueryName = Annotated[
    str,
    typer.Argument(
        metavar="NAME", help="Such as sessions.find_open.", autocompletion=complete_query
    ),
]
DialectName = Annotated[Dialect | None, typer.Option(help="Of this dialect.")]

GatewayName = Annotated[str | None, typer.Option(metavar="NAME", help="Only of this gateway.")]
Internal = Annotated[
    bool,
    typer.Option(
        "--internal",
        help="The statements of migrations, backups and connections, and what sends each.",
    ),
]
Everything = Annotated[bool, typer.Option("--all", help="All statements, and what sends each.")]


@listing
def list_queries(
    *,
    gateway: GatewayName = None,
    internal: Internal = False,
    everything: Everything = False,
    as_json: AsJson = False,
) -> None:
    """List every query, with what it reads and writes.

    Parameters in brackets may be left out. A query that differs has a form of its own in the
    dialects named.

    Example: cardlink-db sql list --gateway sessions
    """
    if everything or internal:
        _list_with_senders(as_json=as_json, only_internal=internal)
        return
    queries = forms_of(map(load_library, Dialect))
    gateways = sorted({title.partition(".")[0] for title in queries})
    with argument("--gateway"):
        if gateway is not None and gateway not in gateways:
            raise ValidationError(f"there is no gateway {gateway!r}: {', '.join(gateways)}")
    listed = [
        _described(forms)
        for title, forms in sorted(queries.items())
        if gateway in (None, title.partition(".")[0])
    ]
    if as_json:
        print_json(listed)
        return
    print_rows(
        listed,
        (
            Column("Query", lambda one: one["name"]),
            Column("Gives", lambda one: one["rows"]),
            Column("Parameters", lambda one: ", ".join(_takes(one)), folds=True),
            Column("Reads", lambda one: ", ".join(one["tables_read"]), folds=True),
            Column("Writes", lambda one: ", ".join(one["tables_written"])),
            Column("Differs", lambda one: ", ".join(one["differs"]), folds=True),
        ),
    )


def _list_with_senders(*, as_json: bool, only_internal: bool) -> None:
    machinery = internal_senders()
    loads = (load_internal,) if only_internal else (load_library, load_internal)
    libraries = [load(dialect) for load in loads for dialect in Dialect]
    listed = [
        {
            "name": title,
            "sent_by": machinery.get(title)
            or [one.method for one in senders(forms[0].source.gateway)[forms[0].source.name]],
            "doc": " ".join(forms[0].source.doc.split()),
            "files": list(dict.fromkeys(form.where for form in forms)),
        }
        for title, forms in sorted(forms_of(libraries).items())
    ]
    if as_json:
        print_json(listed)
        return
    print_rows(
        listed,
        (
            Column("Statement", lambda one: one["name"]),
            Column("Sent by", lambda one: ", ".join(one["sent_by"]), folds=True),
            Column("Purpose", lambda one: one["doc"], folds=True),
            Column("Files", lambda one: ", ".join(one["files"]), folds=True),
        ),
    )


def show(
    name: QueryName,
    *,
    dialect: DialectName = None,
    as_json: AsJson = False,
) -> None:
    """Show a query as it is sent, ready to paste.

    Each form that differs is shown, or that of one dialect. Every optional line is in and marked:
    of those that end in "-- when:" the ones whose parameter is given are sent, of those that end
    in "-- order:" the one that was asked for. Parameters are written :name; the drivers send
    placeholders in their places, and the values apart.

    Example: cardlink-db sql show sessions.find_by --dialect postgresql
    """
    with argument("NAME"):
        forms = [f for f in find_query(name) if dialect in (None, f.dialect)]
        if not forms:
            raise ValidationError(f"{name} is not a query of {dialect}")
    same = by_place(forms)
    if as_json:
        print_json(list(map(_shown, same)))
    else:
        typer.echo("\n\n".join(map(_commented, same)))


def impact(
    name: Annotated[
        str,
        typer.Argument(
            metavar="TABLE[.COLUMN]",
            help="Such as card_profiles.psk_identity.",
            autocompletion=complete_column,
        ),
    ],
    *,
    as_json: AsJson = False,
) -> None:
    """Show which queries read or write a table or a column.

    Inserting or deleting a row counts for each of its columns. The effects of foreign keys are
    listed too.

    Example: cardlink-db sql impact card_profiles.psk_key_encrypted
    """
    table_name, _, column = name.partition(".")
    with argument("TABLE[.COLUMN]"):
        found = find_impact(table_name, column or None)
    if as_json:
        print_json([asdict(one) for one in found])
        return
    print_rows(
        found,
        (
            Column("Query", lambda one: one.query),
            Column("Does", lambda one: one.does),
            Column("Columns", lambda one: _touched(one, column), folds=True),
            Column("By", lambda one: one.by),
            Column("Dialects", lambda one: _of(one.dialects)),
        ),
    )


def _touched(one: Impact, column: str) -> str:
    if not column:
        return ", ".join(one.columns)
    if column in one.columns:
        return column
    return "its default" if one.does == "inserts" else "the row"


def _of(dialects: tuple[Dialect, ...]) -> str | None:
    return None if len(dialects) == len(Dialect) else ", ".join(dialects)


def _described(forms: list[Query]) -> dict[str, Any]:
    first = forms[0]
    access = [footprint(form).own for form in forms]
    read = {name for one in access for name in one.tables_read}
    written = {name for one in access for name in one.tables_written}
    return {
        "name": first.title,
        "rows": first.rows.value,
        "parameters": sorted(first.required),
        "optional": sorted(first.conditions),
        "orders": list(first.orders),
        "tables_read": sorted(read),
        "tables_written": sorted(written),
        "differs": [
            form.dialect.value for form in forms if form.source.differs or form.source.only
        ],
        "documentation": first.source.doc,
        "allow_scan": next((f.source.allow_scan for f in forms if f.source.allow_scan), None),
    }


def _takes(described: dict[str, Any]) -> list[str]:
    """Return the parameters, optional ones in brackets."""
    return [*described["parameters"], *(f"[{name}]" for name in described["optional"])]


def _shown(forms: list[Query]) -> dict[str, Any]:
    first = forms[0]
    touched = footprint(first)
    return {
        "name": first.title,
        "rows": first.rows.value,
        "dialects": [form.dialect.value for form in forms],
        "place": first.where,
        "documentation": first.source.doc,
        "differs": first.source.differs,
        "only": first.source.only,
        "needs": first.source.needs,
        "allow_scan": first.source.allow_scan,
        "parameters": sorted(first.required),
        "optional": sorted(first.conditions),
        "orders": list(first.orders),
        "access": touched.own.as_json(),
        "by_foreign_key": touched.by_foreign_key.as_json(),
        "sql": query_text(first),
    }


def _commented(forms: list[Query]) -> str:
    shown, touched = _shown(forms), footprint(forms[0])
    about = [
        f"{shown['name']} :{shown['rows']}",
        *shown["documentation"].splitlines(),
        *(f"{word.replace('_', '-')}: {shown[word]}" for word in _REASONS if shown[word]),
        f"for {', '.join(shown['dialects'])}, from {shown['place']}",
        f"takes: {', '.join(_takes(shown)) or 'nothing'}",
        *_sentences(touched.own, ""),
        *_sentences(touched.by_foreign_key, "by foreign key: "),
    ]
    return "\n".join([*(f"-- {line}".rstrip() for line in about), shown["sql"]])


def _sentences(access: Access, by: str) -> list[str]:
    """Lines such as ``reads: ota_sessions (id, status)``."""
    return [
        f"{by}{does}: {table}" + (f" ({', '.join(columns)})" if columns else "")
        for does, table, columns in access.effects()
    ]
