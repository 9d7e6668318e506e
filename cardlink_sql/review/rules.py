"""What the files must hold to, without a database."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from cardlink_sql.dialect import Dialect
from cardlink_sql.errors import QueryError
from cardlink_sql.model.tables import metadata
from cardlink_sql.queries import Library, Query, Rows
from cardlink_sql.review.findings import Finding
from cardlink_sql.review.statement import ParsedStatement
from cardlink_sql.review.variants import as_written, sent_variants


def check_files(libraries: Sequence[Library]) -> list[Finding]:
    """The faults that the files of these dialects show by themselves, each once."""
    faults = [*_check_dialects(libraries)]
    for library in libraries:
        for query in library.all():
            faults += _check_quotes(query)
            faults += _check_statement(query, library)
    # A form that dialects share is wrong once.
    return list({(fault.where, fault.what): fault for fault in reversed(faults)}.values())[::-1]


def _check_dialects(libraries: Sequence[Library]) -> Iterator[Finding]:
    """Every dialect has every query, and their forms take and give the same."""
    titles = sorted({query.title for library in libraries for query in library.all()})
    of = {library.dialect: {q.title: q for q in library.all()} for library in libraries}
    for title in titles:
        forms = [queries[title] for queries in of.values() if title in queries]
        missing = [dialect for dialect, queries in of.items() if title not in queries]
        for form in forms:
            if missing and not form.source.only:
                what = f"there is no form of it for {' and '.join(missing)}"
                remedy = "is its name misspelled here? else say why in a line: -- only: the reason"
                yield _fault("dialects", form, what, remedy)
            elif form.source.only and len(forms) > 1:
                remedy = "say in -- differs: why its form is another"
                yield _fault("dialects", form, "is said to be of one dialect only", remedy)
        for form in forms[1:]:
            yield from _compare(forms[0], form)


def _compare(first: Query, form: Query) -> Iterator[Finding]:
    for what, here, there in (
        ("gives", {form.rows.value}, {first.rows.value}),
        ("requires", form.required, first.required),
        ("may be given", form.conditions, first.conditions),
        ("is ordered by", set(form.orders), set(first.orders)),
    ):
        if here != there:
            shown, other = (", ".join(sorted(names)) or "nothing" for names in (here, there))
            said = f"{what} {shown}, but {other} in {first.where}"
            yield _fault("dialects", form, said, "make both forms agree")


def _check_quotes(query: Query) -> Iterator[Finding]:
    variant = as_written(query)
    for token in variant.tokens:
        if token.text[0] != '"':
            continue
        where = variant.place_of(token.text)
        if query.dialect is Dialect.SQLITE:
            what = f"SQLite takes {token.text} for a string where no column is called so"
            yield _fault("quotes", query, what, "write the name without quotes, or in […]", where)
        elif query.dialect is Dialect.MYSQL:
            what = f"MySQL takes {token.text} for a string"
            remedy = "write a name in `…`, a string in '…'"
            yield _fault("quotes", query, what, remedy, where)


def _check_statement(query: Query, library: Library) -> Iterator[Finding]:
    try:
        statement = ParsedStatement(as_written(query))
    except QueryError:
        return  # the database that refuses it, or the check of its columns, names the place
    yield from _check_star(query, statement)
    yield from _check_pairs(query, statement)
    yield from _check_copy(query, statement, library)
    yield from _unless_allowed(query, "allow-rows", _check_rows(query))
    yield from _unless_allowed(query, "allow-alias", _check_aliases(query, statement))


def _check_star(query: Query, statement: ParsedStatement) -> Iterator[Finding]:
    if statement.has_star:
        what = "* returns other columns after each migration"
        remedy = "list the columns, in the order of the record"
        yield _fault("star", query, what, remedy, as_written(query).place_of("*"))


def _check_pairs(query: Query, statement: ParsedStatement) -> Iterator[Finding]:
    """A parameter that is named as a column goes into that column."""
    table = metadata.tables.get(statement.target or "")
    if table is None:
        return
    for column, name in statement.bound:
        # :ended_at may go into updated_at, too, where it also goes into ended_at.
        if name != column and name in table.columns and (name, name) not in statement.bound:
            what = f"the parameter :{name} goes into the column {column}"
            remedy = "put columns and parameters in the same order, or rename the parameter"
            yield _fault("pairs", query, what, remedy, as_written(query).place_of(f":{name}"))


def _check_copy(query: Query, statement: ParsedStatement, library: Library) -> Iterator[Finding]:
    """A :copy lists the columns of a :batch, whose rows it takes in its place."""
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
        yield _fault("copy", query, what, "list the same columns in the same order")


def _check_rows(query: Query) -> Iterator[Finding]:
    """A :one or :scalar returns one row at most, whatever rows the tables have."""
    if query.rows not in (Rows.ONE, Rows.SCALAR):
        return
    for variant in sent_variants(query):
        if not ParsedStatement(variant).is_single:
            what = f"can return two rows, and :{query.rows} is one row"
            remedy = "compare all columns of a unique key, or end in a full ORDER BY and LIMIT 1"
            yield _fault("rows", query, what, remedy)
            return


def _check_aliases(query: Query, statement: ParsedStatement) -> Iterator[Finding]:
    """A column has its own name, or one that no column has."""
    for column, alias in statement.misnamed:
        what = f"the column {column} is selected as {alias}, which is another column"
        where = as_written(query).place_of(alias)
        yield _fault("alias", query, what, "select each column under its own name", where)


def _unless_allowed(query: Query, word: str, found: Iterator[Finding]) -> Iterator[Finding]:
    """Let a reason exempt the query; a reason that nothing needs is a finding itself."""
    findings = list(found)
    if word not in query.source.allows:
        for one in findings:
            yield replace(one, remedy=f"{one.remedy}, or say why: -- {word}: reason")
    elif not findings:
        remedy = f"remove its line -- {word}:"
        yield _fault(word, query, "gives a reason that nothing here needs", remedy)


def _fault(check: str, query: Query, what: str, remedy: str, where: str | None = None) -> Finding:
    return Finding(check, where or query.where, query.title, query.dialect, what, remedy)
