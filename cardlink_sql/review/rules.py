"""Rules for the SQL files that need no database."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Final

from cardlink_sql.dialect import Dialect
from cardlink_sql.errors import QueryError
from cardlink_sql.model.tables import metadata
from cardlink_sql.queries import Library, Query, Rows
from cardlink_sql.review.findings import Finding, fault_of
from cardlink_sql.review.statements.forms import forms_of
from cardlink_sql.review.statements.single_row import has_ties, is_single
from cardlink_sql.review.statements.statement import ParsedStatement
from cardlink_sql.review.statements.variants import as_written, sent_variants

# The operator before each parameter that bounds a range: a range ends before its end.
BOUNDS: Final = {
    **dict.fromkeys(("since", "start", "prefix"), ">="),
    **dict.fromkeys(("until", "end", "before"), "<"),
    "after": ">",
}
# Changes, and the query that lists the rows to change.
_LISTS: Final = {"sessions.close_stale": "find_stale"}


def check_files(libraries: Sequence[Library]) -> list[Finding]:
    """Return the faults in the files of these dialects, each once."""
    faults = [*_check_dialects(libraries)]
    for library in libraries:
        for query in library.all():
            faults += _check_quotes(query)
            faults += _check_statement(query, library)
    # A fault of a form that dialects share counts once.
    return list({(fault.where, fault.what): fault for fault in reversed(faults)}.values())[::-1]


def _check_dialects(libraries: Sequence[Library]) -> Iterator[Finding]:
    """Check that every dialect has every query, with the same parameters and columns."""
    for _, forms in sorted(forms_of(libraries).items()):
        having = {form.dialect for form in forms}
        missing = [one.dialect for one in libraries if one.dialect not in having]
        for form in forms:
            if missing and not form.source.only:
                what = f"there is no form of it for {' and '.join(missing)}"
                remedy = "is its name misspelled here? else say why in a line: -- only: the reason"
                yield fault_of("dialects", form, what, remedy)
            elif form.source.only and len(forms) > 1:
                remedy = "say why its form differs: -- differs: the reason"
                yield fault_of("dialects", form, "is declared for one dialect only", remedy)
        for form in forms[1:]:
            for said in form.disagreements(forms[0]):
                yield fault_of("dialects", form, said, "make both forms agree")


def _check_quotes(query: Query) -> Iterator[Finding]:
    variant = as_written(query)
    for token in variant.tokens:
        if token.text[0] != '"':
            continue
        where = variant.place_of(token.text)
        if query.dialect is Dialect.SQLITE:
            what = f"SQLite reads {token.text} as a string if no column has that name"
            yield fault_of("quotes", query, what, "write the name without quotes, or in […]", where)
        elif query.dialect is Dialect.MYSQL:
            what = f"MySQL reads {token.text} as a string"
            remedy = "write a name in `…`, a string in '…'"
            yield fault_of("quotes", query, what, remedy, where)


def _check_statement(query: Query, library: Library) -> Iterator[Finding]:
    try:
        statement = ParsedStatement(as_written(query))
    except QueryError:
        return  # the database's refusal, or the check of its columns, names the place
    yield from _check_star(query, statement)
    yield from _check_pairs(query, statement)
    yield from _check_copy(query, statement, library)
    yield from _check_change(query, statement, library)
    yield from _unless_allowed(query, "allow-rows", _check_rows(query))
    yield from _unless_allowed(query, "allow-alias", _check_aliases(query, statement))
    yield from _unless_allowed(query, "allow-like", _check_like(query, statement))
    yield from _check_lists(query, statement)
    yield from _check_bounds(query, statement)
    yield from _check_order(query)


def _check_star(query: Query, statement: ParsedStatement) -> Iterator[Finding]:
    if statement.has_star:
        what = "* returns other columns after each migration"
        remedy = "list the columns, in the order of the record"
        yield fault_of("star", query, what, remedy, as_written(query).place_of("*"))


def _check_pairs(query: Query, statement: ParsedStatement) -> Iterator[Finding]:
    """Check that a parameter named like a column is written to that column."""
    table = metadata.tables.get(statement.target or "")
    if table is None:
        return
    for column, name in statement.bound:
        # :ended_at may also be written to updated_at, if it is written to ended_at.
        if name != column and name in table.columns and (name, name) not in statement.bound:
            what = f"the parameter :{name} is written to the column {column}"
            remedy = "put columns and parameters in the same order, or rename the parameter"
            yield fault_of("pairs", query, what, remedy, as_written(query).place_of(f":{name}"))


def _check_copy(query: Query, statement: ParsedStatement, library: Library) -> Iterator[Finding]:
    """Check that a :copy lists the columns of the :batch query that it replaces."""
    if query.rows is not Rows.COPY:
        return
    batches = [
        other
        for other in library.gateway(query.source.gateway).values()
        if other.rows is Rows.BATCH
    ]
    if all(as_written(batch).names != statement.listed for batch in batches):
        titles = ", ".join(batch.title for batch in batches) or "any :batch query"
        what = f"its columns are not the parameters of {titles}, in their order"
        yield fault_of("copy", query, what, "list the same columns in the same order")


def _check_change(query: Query, statement: ParsedStatement, library: Library) -> Iterator[Finding]:
    """Check that a change of the rows that another query lists changes no others."""
    name = _LISTS.get(query.title)
    if name is None or name not in library.gateway(query.source.gateway):
        return
    listed = library.query(query.source.gateway, name)
    missing = ParsedStatement(as_written(listed)).conditions - statement.conditions
    if missing:
        what = f"lacks a condition of {listed.title}: {', '.join(sorted(missing))}"
        yield fault_of("change", query, what, "both must mean the same rows: write the same WHERE")


def _check_rows(query: Query) -> Iterator[Finding]:
    """Check that a :one or :scalar returns at most one row, and a :many may return more."""
    if query.rows not in (Rows.ONE, Rows.SCALAR, Rows.MANY):
        return
    single = [is_single(ParsedStatement(variant).tree) for variant in sent_variants(query)]
    if query.rows is Rows.MANY and all(single):
        yield fault_of("rows", query, "returns one row at most, and is :many", "declare it :one")
    elif query.rows is not Rows.MANY and not all(single):
        what = f"can return two rows, and :{query.rows} is one row"
        remedy = "compare all columns of a unique key, or end in a full ORDER BY and LIMIT 1"
        yield fault_of("rows", query, what, remedy)


def _check_like(query: Query, statement: ParsedStatement) -> Iterator[Finding]:
    """Check that a LIKE names its escape, which is none on SQLite and a backslash elsewhere."""
    if statement.has_plain_like:
        what = "LIKE without ESCAPE takes % and _ of a text for wildcards"
        where = as_written(query).place_of("LIKE")
        yield fault_of("like", query, what, "write ESCAPE '!'", where)


def _check_lists(query: Query, statement: ParsedStatement) -> Iterator[Finding]:
    """Check that the only parameter of an IN is declared as a list."""
    for name in statement.listed_parameters:
        if name not in query.source.lists:
            what = f":{name} is one value, and IN takes a list"
            yield fault_of("list", query, what, f"write -- list: {name}, or compare by =")


def _check_bounds(query: Query, statement: ParsedStatement) -> Iterator[Finding]:
    """Check that a parameter that bounds a range bounds it as its name says."""
    for name, operator in statement.bounds:
        wanted = BOUNDS.get(name, operator)
        if operator != wanted:
            what = f":{name} is compared by {operator}, and by {wanted} in all queries"
            where = as_written(query).place_of(f":{name}")
            yield fault_of("bounds", query, what, f"write {wanted}, or rename it", where)


def _check_order(query: Query) -> Iterator[Finding]:
    """Check that a list has one order, however many rows are alike."""
    if query.rows is not Rows.MANY:
        return
    for variant in sent_variants(query):
        if has_ties(ParsedStatement(variant).tree):
            what = f"its rows may come in another order each time ({variant.label})"
            where = variant.place_of("ORDER")
            yield fault_of("order", query, what, "end ORDER BY in the key", where)
            return


def _check_aliases(query: Query, statement: ParsedStatement) -> Iterator[Finding]:
    """Check that a column has its own name, or one that no column has."""
    for column, alias in statement.misnamed:
        what = f"the column {column} is selected as {alias}, which is another column"
        where = as_written(query).place_of(alias)
        yield fault_of("alias", query, what, "select each column under its own name", where)


def _unless_allowed(query: Query, word: str, found: Iterator[Finding]) -> Iterator[Finding]:
    """Exempt a query with a reason; a reason that nothing needs is itself a finding."""
    findings = list(found)
    if word not in query.source.allows:
        for one in findings:
            yield replace(one, remedy=f"{one.remedy}, or say why: -- {word}: reason")
    elif not findings:
        remedy = f"remove its line -- {word}:"
        yield fault_of(word, query, "states a reason that nothing here needs", remedy)
