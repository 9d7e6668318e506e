"""The rows that each read query returns on the edge rows: the same in every dialect.

And the answers of one dialect fit one another: a count is the length of its list, a page ends
where the next begins, an order that is turned round returns the same rows from the other end.
Where the dialects agree, one of them shows it for all.

A query is sent with every value, combination of optional lines and order of
:mod:`cardlink_sql.review.databases.bindings`.
"""

import json
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from functools import cache
from typing import Any, Final

from cardlink_sql.config import DatabaseConfig
from cardlink_sql.database.faults import driver_message
from cardlink_sql.database.rows import JSON_TYPES
from cardlink_sql.dialect import Dialect
from cardlink_sql.errors import QueryError
from cardlink_sql.manager import DatabaseManager
from cardlink_sql.model.columns import driver_time
from cardlink_sql.model.times import from_text
from cardlink_sql.queries import Library, Query, Rows, load_library
from cardlink_sql.review.databases.bindings import ALL, Binding, bindings, widest
from cardlink_sql.review.databases.edge_rows import insert_edge_rows
from cardlink_sql.review.databases.samples import kinds_of
from cardlink_sql.review.databases.scratch import scratch_database
from cardlink_sql.review.findings import Finding, fault_of
from cardlink_sql.review.statements.expected import ValueKind, expected_fields
from cardlink_sql.review.statements.footprint import WRITING
from cardlink_sql.review.statements.forms import without
from cardlink_sql.review.statements.statement import ParsedStatement
from cardlink_sql.review.statements.variants import as_written

Answer = list[tuple[Any, ...]]
# By query, the rows for each binding, by its text.
Answers = Mapping[str, Mapping[str, Answer]]

_DIGITS: Final = 9
_TIME: Final = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{6}.*")
_PAIR: Final = "write the same conditions in both"
_SAME: Final = "make the forms return the same rows in the same order"


class Respondent:
    """Sends read queries to a database that holds the edge rows, by a cursor in autocommit."""

    def __init__(self, manager: DatabaseManager, cursor: Any) -> None:
        self._cursor = cursor
        self._errors = manager.driver_errors
        self._time = driver_time(manager.dialect)
        self._reads_documents = manager.dialect is Dialect.POSTGRESQL

    def ask(self, query: Query, binding: Binding) -> Answer:
        """Return the rows, in the types of the records.

        Raises:
            QueryError: the database refuses the statement.
        """
        judged = judged_by(query)
        values = {
            name: self._time(value) if judged.kinds.get(name) is ValueKind.TIME else value
            for name, value in binding.values.items()
        }
        statement = query.statement(values, binding.order)
        try:
            self._cursor.execute(statement.sql, statement.pick(values))
            rows = self._cursor.fetchall()
        except self._errors as error:
            raise query.fault(f"refused with {binding}: {driver_message(error)}") from error
        documents = judged.documents
        found = [
            tuple(self._document(v) if n in documents else _plain(v) for n, v in enumerate(r))
            for r in rows
        ]
        return found if judged.ordered else sorted(found, key=repr)

    def _document(self, value: Any) -> Any:
        return json.loads(value) if isinstance(value, str) and not self._reads_documents else value


@dataclass(frozen=True)
class Judged:
    """The parameters and rows of a query by which its answers are judged.

    Attributes:
        kinds: of its parameters.
        names: of the columns that fill a record.
        documents: the places of those that hold JSON.
        ordered: the columns of ORDER BY.
    """

    kinds: Mapping[str, ValueKind]
    names: tuple[str, ...]
    documents: frozenset[int]
    ordered: tuple[str, ...]


@cache
def judged_by(query: Query) -> Judged:
    """Return the parameters and rows of a query by which its answers are judged."""
    fields = expected_fields(query) or ()
    documents = frozenset(n for n, field in enumerate(fields) if field.kinds == JSON_TYPES)
    ordered = ParsedStatement(as_written(query)).ordered
    names = tuple(field.name for field in fields)
    return Judged(kinds_of(query), names, documents, tuple(ordered))


@contextmanager
def respondent(server: DatabaseConfig | None = None) -> Iterator[Respondent]:
    """Yield a respondent on a scratch database with the edge rows, dropped at the end.

    Args:
        server: the server on which to create it; without one, SQLite's is in memory.
    """
    with scratch_database(server) as manager:
        manager.create_tables()
        insert_edge_rows(manager.engine)
        with closing(manager.take_connection()) as pooled, closing(pooled.cursor()) as cursor:
            yield Respondent(manager, cursor)


def answers_of(library: Library, asked: Respondent) -> tuple[Answers, list[Finding]]:
    """Return the answers of each read query, and a fault for each that is refused."""
    answers: dict[str, dict[str, Answer]] = {}
    faults = []
    for query in filter(is_compared, library.all()):
        try:
            answers[query.title] = {str(one): asked.ask(query, one) for one in bindings(query)}
        except QueryError as error:
            faults.append(fault_of("answers", query, error.detail, "see: cardlink-db sql check"))
    return answers, faults


def compare_answers(library: Library, answers: Answers, others: Answers) -> list[Finding]:
    """Return the queries that answer otherwise than ``others``, the same queries of SQLite."""
    faults = []
    for query in library.all():
        here, there = answers.get(query.title, {}), others.get(query.title, {})
        different = [one for one in here if one in there and here[one] != there[one]]
        if different:
            said = _difference(here[different[0]], there[different[0]])
            more = f", and {len(different) - 1} more" if len(different) > 1 else ""
            what = f"{said}, with {different[0]}{more}"
            faults.append(fault_of("answers", query, what, _SAME))
    return faults


@cache
def is_compared(query: Query) -> bool:
    """Return whether a query only reads, and reads tables of the schema."""
    if query.rows in WRITING:
        return False
    statement = ParsedStatement(as_written(query))
    return bool(statement.tables) and not statement.access.tables_written


def _plain(value: Any) -> Any:
    """Return a value in the form that it has in every dialect."""
    if isinstance(value, datetime):
        return value if value.tzinfo else value.replace(tzinfo=UTC)
    if isinstance(value, str) and _TIME.fullmatch(value):
        return from_text(value)
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, float | Decimal):
        return round(float(value), _DIGITS)
    return bytes(value) if isinstance(value, memoryview) else value


def _difference(here: Sequence[tuple[Any, ...]], there: Sequence[tuple[Any, ...]]) -> str:
    if len(here) != len(there):
        return f"returns {len(here)} rows, and SQLite {len(there)}"
    if sorted(here, key=repr) == sorted(there, key=repr):
        return "returns the rows in another order than SQLite"
    for row, other in zip(here, there, strict=True):
        for mine, its in zip(row, other, strict=False):
            if mine != its:
                return f"returns {mine!r}, where SQLite returns {its!r}"
    return "returns other columns than SQLite"


def judge_answers(
    dialect: Dialect, server: DatabaseConfig, refused: Collection[str] = ()
) -> list[Finding]:
    """Return the queries whose rows are others than SQLite's, or do not fit one another.

    Args:
        dialect: whose queries to compare with SQLite's.
        server: where to make a scratch database, next to the configured one.
        refused: titles of queries that the database cannot prepare.

    Raises:
        DatabaseError: the user may not create a database.
        ConnectionError: no connection.
    """
    library = without(load_library(Dialect.SQLITE), refused)
    with respondent() as asked:
        reference, faults = answers_of(library, asked)
        faults += check_answers(without(library, [one.query for one in faults]), asked)
    if dialect is Dialect.SQLITE:
        return faults
    library = without(load_library(dialect), refused)
    with respondent(server) as asked:
        answers, others = answers_of(library, asked)
    return [*faults, *others, *compare_answers(library, answers, reference)]


def check_answers(library: Library, asked: Respondent) -> Iterator[Finding]:
    """Yield the queries whose answers do not fit one another."""
    for query in filter(is_compared, library.all()):
        yield from _check_count(query, library, asked)
        for check in _CHECKS:
            yield from check(query, asked)


def _check_count(query: Query, library: Library, asked: Respondent) -> Iterator[Finding]:
    """Check that a ``count_X`` is the number of rows of the ``find_X`` or ``page_X``."""
    verb, _, of = query.source.name.partition("_")
    if verb != "count" or query.rows is not Rows.SCALAR:
        return
    own = library.gateway(query.source.gateway)
    for name in (f"find_{of}", f"page_{of}"):
        if name not in own:
            continue
        listed = own[name]
        if unknown := query.conditions - listed.conditions:
            what = f"has lines that {listed.title} lacks: {', '.join(unknown)}"
            yield fault_of("answers", query, what, _PAIR)
            return
        if of == "by" and (missing := listed.conditions - query.conditions):
            what = f"lacks lines that {listed.title} has: {', '.join(sorted(missing))}"
            yield fault_of("answers", query, what, _PAIR)
            return
        for one in bindings(query):
            ((count, *_),) = asked.ask(query, one)
            rows = asked.ask(listed, Binding(widest(listed, one.values)))
            if count != len(rows):
                what = f"is {count}, and {listed.title} returns {len(rows)} rows, with {one}"
                yield fault_of("answers", query, what, _PAIR)
                return


def _check_pages(query: Query, asked: Respondent) -> Iterator[Finding]:
    """Check that pages of two rows, one after the other, are the whole list."""
    keys = _cursor_of(query)
    if keys is None:
        return
    first = widest(query, {})
    whole = asked.ask(query, Binding(first))
    found: Answer = []
    given = {**first, "limit": 2}
    names = judged_by(query).names
    while (page := asked.ask(query, Binding(given))) and len(found) <= len(whole):
        found += page
        given |= {name: page[-1][names.index(column)] for name, column in keys.items()}
    if found != whole:
        what = f"pages of 2 rows return {len(found)} rows one after the other, all {len(whole)}"
        if len(found) == len(whole):
            what = "pages of 2 rows return the rows in another order than a page of all"
        yield fault_of("answers", query, what, "compare with the key, in the direction of ORDER BY")


def _cursor_of(query: Query) -> dict[str, str] | None:
    """Return the parameters of a page by key, each with the column of the row before."""
    if not query.source.name.startswith(("page_", "stream_", "read_after")):
        return None
    ordered = judged_by(query).ordered
    if "after" in query.required:
        return {"after": ordered[0]}
    return {name: name for name in ordered} if set(ordered) <= query.conditions else None


def _check_limit(query: Query, asked: Respondent) -> Iterator[Finding]:
    """Check that a limit returns the first of the rows."""
    if "limit" not in query.required or query.rows is not Rows.MANY or not judged_by(query).ordered:
        return
    given = widest(query, {})
    few, every = (asked.ask(query, Binding({**given, "limit": n})) for n in (2, ALL))
    if few != every[:2]:
        what = "with a limit of 2 it does not return the first 2 rows"
        yield fault_of("answers", query, what, "end in LIMIT")


def _check_orders(query: Query, asked: Respondent) -> Iterator[Finding]:
    """Check that an order and its ``desc`` return the same rows from either end."""
    given = widest(query, {})
    answers = {order: asked.ask(query, Binding(given, order)) for order in (None, *query.orders)}
    for order in query.orders:
        column, _, is_descending = order.partition(" ")
        other = column if is_descending else f"{column} desc"
        turned = answers[order][::-1]
        if other in answers and answers[other] != turned:
            what = f"the orders {order!r} and {other!r} are not each other's reverse"
        elif other not in answers and answers[None] != turned:
            what = f"the order {order!r} is not the reverse of the order without a name"
        else:
            continue
        yield fault_of("answers", query, what, "turn each column round, NULL and the key included")
        return


def _check_filters(query: Query, asked: Respondent) -> Iterator[Finding]:
    """Check that a line that is named like a column keeps the rows that have its value."""
    names = judged_by(query).names
    if query.rows is not Rows.MANY or _cursor_of(query) is not None:
        return
    every = asked.ask(query, Binding(widest(query, {})))
    for one in bindings(query):
        given = {n: v for n, v in one.values.items() if n in query.conditions}
        if one.order or len(given) != 1 or one.values != widest(query, given):
            continue
        (name,) = given
        column, is_null, _ = name.partition("_is_null")
        if column not in names:
            continue
        wanted = None if is_null else one.values[name]
        at = names.index(column)
        kept = [row for row in every if row[at] == wanted]
        if asked.ask(query, one) != kept:
            what = f"with {one} it does not return the {len(kept)} rows whose {column} is {wanted}"
            yield fault_of("answers", query, what, f"compare {column} with it")
            return


def _check_repeats(query: Query, asked: Respondent) -> Iterator[Finding]:
    """Check that no row is returned twice."""
    if query.rows is not Rows.MANY:
        return
    rows = asked.ask(query, Binding(widest(query, {})))
    if len({repr(row) for row in rows}) != len(rows):
        remedy = "join by a key, or write DISTINCT or GROUP BY"
        yield fault_of("answers", query, "returns a row twice", remedy)


_CHECKS: Final = (_check_pages, _check_limit, _check_orders, _check_filters, _check_repeats)
