"""The rows that each read query returns on the edge rows: the same in every dialect.

A query is sent with every value, combination of optional lines and order of
:mod:`cardlink_sql.review.databases.bindings`.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from functools import cache
from typing import Any, Final

from cardlink_sql.config import DatabaseConfig
from cardlink_sql.database.rows import JSON_TYPES
from cardlink_sql.dialect import Dialect
from cardlink_sql.errors import QueryError
from cardlink_sql.manager import DatabaseManager
from cardlink_sql.model.columns import driver_time
from cardlink_sql.model.times import from_text
from cardlink_sql.queries import Library, Query
from cardlink_sql.review.databases.bindings import Binding, bindings
from cardlink_sql.review.databases.edge_rows import insert_edge_rows
from cardlink_sql.review.databases.samples import kinds_of
from cardlink_sql.review.databases.scratch import scratch_database
from cardlink_sql.review.findings import Finding, fault_of
from cardlink_sql.review.statements.expected import ValueKind, expected_fields
from cardlink_sql.review.statements.footprint import WRITING
from cardlink_sql.review.statements.statement import ParsedStatement
from cardlink_sql.review.statements.variants import as_written
from cardlink_sql.schema.migrator import driver

Answer = list[tuple[Any, ...]]
# By query, the rows for each binding, by its text.
Answers = Mapping[str, Mapping[str, Answer]]

_DIGITS: Final = 9
_TIME: Final = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{6}.*")
_SAME: Final = "make the forms return the same rows in the same order"


class Respondent:
    """Sends read queries to a database that holds the edge rows.

    Args:
        manager: the database's.
        cursor: of one of its connections, in autocommit.
    """

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
        facts = facts_of(query)
        values = {
            name: self._time(value) if facts.kinds.get(name) is ValueKind.TIME else value
            for name, value in binding.values.items()
        }
        statement = query.statement(values, binding.order)
        try:
            self._cursor.execute(statement.sql, statement.pick(values))
            rows = self._cursor.fetchall()
        except self._errors as error:
            raise query.fault(f"refused with {binding}: {driver.message(error)}") from error
        found = [
            tuple(self._document(v) if n in facts.documents else _plain(v) for n, v in enumerate(r))
            for r in rows
        ]
        return found if facts.ordered else sorted(found, key=repr)

    def _document(self, value: Any) -> Any:
        return json.loads(value) if isinstance(value, str) and not self._reads_documents else value


@dataclass(frozen=True)
class Facts:
    """The parameters and rows of a query.

    Attributes:
        kinds: of the parameters.
        names: of the columns that fill a record.
        documents: the places of the columns that hold JSON.
        ordered: the columns of ORDER BY; empty where it has none.
    """

    kinds: Mapping[str, ValueKind]
    names: tuple[str, ...]
    documents: frozenset[int]
    ordered: tuple[str, ...]


@cache
def facts_of(query: Query) -> Facts:
    """Return the facts of a query."""
    fields = expected_fields(query) or ()
    documents = frozenset(n for n, field in enumerate(fields) if field.kinds == JSON_TYPES)
    ordered = ParsedStatement(as_written(query)).ordered
    names = tuple(field.name for field in fields)
    return Facts(kinds_of(query), names, documents, tuple(ordered))


@contextmanager
def respondent(server: DatabaseConfig | None = None) -> Iterator[Respondent]:
    """Yield a respondent on a scratch database with the edge rows, dropped at the end.

    Args:
        server: the server on which to create it; without one, SQLite's is in memory.

    Raises:
        DatabaseError: the user may not create a database.
        ConnectionError: no connection.
    """
    with scratch_database(server or DatabaseConfig("sqlite:///:memory:")) as manager:
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
