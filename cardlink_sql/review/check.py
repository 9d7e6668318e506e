"""Checks of the queries against a database, and of their columns against the records."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from cardlink_sql.dialect import Dialect
from cardlink_sql.errors import QueryError
from cardlink_sql.queries import Library, Query, Rows
from cardlink_sql.review.databases.backend import Description, Refused, ReviewBackend, Typed
from cardlink_sql.review.findings import Finding, fault_of, nearest
from cardlink_sql.review.statements.expected import (
    KINDS,
    Field,
    ValueKind,
    expected_fields,
    gateway_classes,
    kind_of,
)
from cardlink_sql.review.statements.statement import ParsedStatement
from cardlink_sql.review.statements.variants import Variant, as_written, variants

_KEEP = "keep what they use until none of them runs: drop it one release later"


@dataclass(frozen=True)
class CheckResult:
    """The number of queries and variants that were checked, and the faults found.

    Attributes:
        notes: one sentence for each query that was not checked, with the reason.
    """

    queries: int
    variants: int
    faults: list[Finding]
    notes: list[str]


def check_queries(
    library: Library, asked: ReviewBackend, *, against_records: bool = True
) -> CheckResult:
    """Prepare every query in every variant, and check its parameters and columns.

    Nothing is executed. Another release's queries are only prepared, not checked against records.
    """
    faults: list[Finding] = []
    count = 0
    queries, notes = _to_prepare(library, asked)
    for query in queries:
        refused: list[Finding] = []
        for variant in variants(query):
            count += 1
            refused += _prepared(variant, asked)
        # A fault on a line that every variant has counts once.
        faults += {(fault.where, fault.what): fault for fault in refused}.values()
        if against_records and not refused:
            faults += _described(query, asked)
    return CheckResult(_count(library, queries), count, faults, notes)


def compatible(library: Library, asked: ReviewBackend, release: str) -> CheckResult:
    """Prepare each query of another release, in each variant, on the schema of this one.

    During a rolling upgrade, servers of the last release keep running after the migrations, so
    their queries must still be valid; a column that one of them names can be dropped only one
    release later. The faults have the name of the other release.
    """
    checked = check_queries(library, asked, against_records=False)
    return replace(
        checked,
        faults=[
            replace(fault, check="compatible", where=f"{release}/{fault.where}", remedy=_KEEP)
            for fault in checked.faults
        ],
    )


def _to_prepare(library: Library, asked: ReviewBackend) -> tuple[list[Query], list[str]]:
    """Return the queries that the database can prepare, and a note for each of the others."""
    # No server prepares COPY; its columns are checked through the matching :batch query.
    queries = [query for query in library.all() if query.rows is not Rows.COPY]
    needed = {query.source.needs for query in queries if query.source.needs}
    missing = {needs for needs in needed if not asked.has(needs)}
    notes = [
        f"{query.title} is not checked: the database has no {query.source.needs}, or this role may "
        "not read it"
        for query in queries
        if query.source.needs in missing
    ]
    present = [query for query in queries if query.source.needs not in missing]
    denied = [query.title for query in present if asked.is_denied(as_written(query))]
    if denied:
        listed = ", ".join(denied)
        notes.append(f"{len(denied)} are not checked, for this role may not run them: {listed}")
    return [query for query in present if query.title not in denied], notes


def _count(library: Library, prepared: Sequence[Query]) -> int:
    """Return the number of queries that are checked, COPY with its batch included."""
    return len(prepared) + sum(query.rows is Rows.COPY for query in library.all())


def _prepared(variant: Variant, asked: ReviewBackend) -> Iterator[Finding]:
    try:
        asked.prepare(variant)
    except Refused as refused:
        query, word = variant.query, refused.word
        if refused.offset is not None:
            where = variant.place_at(refused.offset)
            word = word or variant.word_at(refused.offset)
        else:
            where = variant.place_of(word) if word else query.where
        remedy = nearest(word) if word else "correct the statement"
        yield fault_of("prepare", query, refused.what, remedy, where)


def _described(query: Query, asked: ReviewBackend) -> Iterator[Finding]:
    variant = as_written(query)
    try:
        found = asked.describe(variant)
        statement = ParsedStatement(variant)
        wanted = expected_fields(query)
    except Refused as refused:
        yield fault_of("columns", query, refused.what, "correct the statement")
        return
    except QueryError as error:
        yield fault_of("columns", query, error.detail, error.remedy or "")
        return
    yield from _check_parameters(variant, found)
    if wanted is not None:
        yield from _check_columns(variant, statement, found, wanted)
    # SQLite reports the columns of RETURNING only while the statement runs.
    elif query.rows is Rows.SCALAR and len(found.columns) != 1:
        what = f"returns {len(found.columns)} columns, and :scalar is one value"
        yield fault_of("columns", query, what, "select one column, or declare it :one")


def _check_parameters(variant: Variant, found: Description) -> Iterator[Finding]:
    """Check that a parameter has one type: its column's, if it is named like a column."""
    query = variant.query
    table = getattr(gateway_classes().get(query.source.gateway), "table", None)
    kinds: dict[str, Typed] = {}
    for parameter in found.parameters:
        if parameter.kind is None:
            continue
        where = variant.place_of(f":{parameter.name}")
        first = kinds.setdefault(parameter.name, parameter)
        if first.kind is not parameter.kind:
            what = f":{parameter.name} is {first.type} in one place, {parameter.type} in another"
            remedy = "CAST it in one of them, or use two names"
            yield fault_of("types", query, what, remedy, where)
        elif table is not None and parameter.name in table.columns:
            kind = kind_of(table.columns[parameter.name])
            if kind is not parameter.kind:
                what = (
                    f":{parameter.name} is {parameter.type} here, and the gateway binds the "
                    f"{kind} of {table.name}.{parameter.name}"
                )
                remedy = "compare it with a column of that type, CAST it, or rename the parameter"
                yield fault_of("types", query, what, remedy, where)


def _check_columns(
    variant: Variant, statement: ParsedStatement, found: Description, wanted: tuple[Field, ...]
) -> Iterator[Finding]:
    query = variant.query
    given, names = [c.name for c in found.columns], [field.name for field in wanted]
    if given != names:
        where, what = _difference(variant, given, names)
        remedy = "put the columns in the order of the record's fields, under their names"
        yield fault_of("columns", query, what, remedy, where)
        return
    for column, field in zip(found.columns, wanted, strict=True):
        where = variant.place_of(field.name)
        for check, what, remedy in _check_column(column, field, statement, query.dialect):
            yield fault_of(check, query, what, remedy, where)


def _difference(variant: Variant, given: list[str], wanted: list[str]) -> tuple[str, str]:
    for number, (name, right) in enumerate(zip(given, wanted, strict=False), 1):
        if name != right:
            return variant.place_of(name), f"column {number} is {name}, and the record has {right}"
    if len(given) > len(wanted):
        extra = given[len(wanted)]
        return variant.place_of(extra), f"the column {extra} is not a field of the record"
    return variant.query.where, f"the column {wanted[len(given)]} of the record is missing"


def _check_column(
    column: Typed, field: Field, statement: ParsedStatement, dialect: Dialect
) -> Iterator[tuple[str, str, str]]:
    taken = {kind for hint in field.kinds for kind in _taken(hint, dialect)}
    if column.kind is not None and taken and column.kind not in taken:
        hints = " or ".join(sorted(getattr(hint, "__name__", str(hint)) for hint in field.kinds))
        what = f"the column {column.name} is {column.type}, and the record's field takes {hints}"
        yield "types", what, "CAST the column, or correct the type of the field"
    if column.nullable and not field.optional and not statement.is_narrowed(column.name):
        what = f"the column {column.name} may be NULL, and the record's field is never None"
        remedy = "allow None in the field, or exclude NULL: IS NOT NULL in WHERE, or COALESCE"
        yield "nullability", what, remedy
    elif column.nullable is False and field.optional and not statement.has_outer_join:
        what = f"the column {column.name} is never NULL, and the record's field may be None"
        yield "nullability", what, "remove None from the field's type"


# Further kinds that fill a field, by its type.
_ALSO: Final = {float: (ValueKind.DECIMAL, ValueKind.INTEGER)}
# Types that only PostgreSQL has: MariaDB's JSON is text with a CHECK.
_ELSEWHERE: Final = {ValueKind.JSON: ValueKind.TEXT, ValueKind.BOOLEAN: ValueKind.INTEGER}


def _taken(hint: Any, dialect: Dialect) -> set[ValueKind]:
    """Return the kinds of columns that fill a field of this type; empty if any kind does."""
    known = next((base for base in getattr(hint, "__mro__", ()) if base in KINDS), None)
    if known is None:
        return set()
    kinds = {KINDS[known], *_ALSO.get(known, ())}
    if dialect is not Dialect.POSTGRESQL:
        kinds |= {_ELSEWHERE[kind] for kind in kinds & _ELSEWHERE.keys()}
    return kinds
