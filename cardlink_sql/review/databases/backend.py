"""What a database says of a statement: its types, its plan. One class for each dialect.

Each subclass is in the module named as its dialect. Nothing is written.
"""

import json
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from typing import Any, ClassVar, Final

from sqlalchemy.pool import PoolProxiedConnection

from cardlink_sql.database.backend import backend_of
from cardlink_sql.database.faults import driver_message
from cardlink_sql.database.internal import InternalStatements
from cardlink_sql.dialect import Dialect
from cardlink_sql.manager import DatabaseManager
from cardlink_sql.model.tables import UTCDateTime, metadata, unique_constraints
from cardlink_sql.queries import Query
from cardlink_sql.review.databases.dataset import SIZES
from cardlink_sql.review.statements.expected import ValueKind
from cardlink_sql.review.statements.variants import Variant

# A result narrowed by an index to at most this part of a table is small and cheap to sort.
SMALL_PART: Final = 1 / 20

NO_REASON: Final = "let an index serve it, or say why it may in a comment: -- allow-scan: reason"


@dataclass(frozen=True)
class Typed:
    """A result column, or a parameter; None for what the backend does not report.

    Attributes:
        type: the backend's name for it.
        kind: the kind of that type; None if it is specific to the backend.
        nullable: whether it can be NULL.
    """

    name: str
    type: str | None = None
    kind: ValueKind | None = None
    nullable: bool | None = None


@dataclass(frozen=True)
class Description:
    """The parameters of a statement in the order of their placeholders, and its columns."""

    parameters: tuple[Typed, ...]
    columns: tuple[Typed, ...]


class Refused(Exception):  # noqa: N818 - a signal inside the package, never raised to a caller
    """Raised when a database refuses to prepare a statement.

    Attributes:
        what: the reason, in the database's words.
        offset: the position in the statement, from 0, if reported.
        word: the name that the database does not know, if reported.
    """

    def __init__(self, what: str, offset: int | None = None, word: str | None = None) -> None:
        super().__init__(what)
        self.what, self.offset, self.word = what, offset, word


@dataclass(frozen=True)
class Plan:
    """A plan as the database prints it.

    Attributes:
        columns: their names: one, for a plan that is text, or those of MySQL's table.
        rows: the lines of the text, or the rows of the table.
    """

    columns: tuple[str, ...]
    rows: list[tuple[Any, ...]]


@dataclass(frozen=True)
class PlanShape:
    """The way a database executes a statement.

    Attributes:
        lines: the plan as the database prints it, without costs, row counts and values.
        scans: the growing tables that are read whole, each with its line of the plan.
        sorts: the growing tables of which more than a small part is sorted, likewise.
    """

    lines: tuple[str, ...]
    scans: Mapping[str, str] = field(default_factory=dict)
    sorts: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Planned:
    """A query in one variant, and the shape of its plan."""

    variant: Variant
    shape: PlanShape


@dataclass(frozen=True)
class Sent:
    """A query with the values that it is sent with.

    Attributes:
        query: any but a ``:copy``, which has no plan.
        parameters: as the driver takes them; they select the optional lines.
        order: one of the query's orders.
    """

    query: Query
    parameters: Mapping[str, Any]
    order: str | None = None


class ReviewBackend(ABC):
    """Asks one backend about statements.

    Attributes:
        gathers: the statements that gather statistics, in their order, and whether each is sent
            for every table.
        version_parts: how many numbers of the version its plans depend on.
    """

    dialect: ClassVar[Dialect]
    gathers: ClassVar[tuple[tuple[str, bool], ...]]
    version_parts: ClassVar[int] = 2

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self._statements = InternalStatements(self.dialect, connection)

    def server(self) -> str:
        """Return the server's product name: SQLite, PostgreSQL, MariaDB or MySQL."""
        return self.dialect.servers

    def has(self, needs: str) -> bool:
        """Return whether the role can read the tables that a query declares it needs."""
        try:
            self._prepare(_reading(needs))
        except Refused:
            return False
        return True

    def is_denied(self, variant: Variant) -> bool:
        """Return whether the role lacks only the rights to write that a statement needs."""
        del variant
        return False

    def prepare(self, variant: Variant) -> None:
        """Prepare a statement, or raise :class:`Refused`."""
        self._prepare(variant.sql(), len(variant.names))

    @abstractmethod
    def describe(self, variant: Variant) -> Description:
        """Return the parameters and columns of a statement, or raise :class:`Refused`."""

    def kinds(self, variant: Variant) -> Mapping[str, ValueKind]:
        """Return the kinds of a statement's parameters; empty where none are reported."""
        del variant
        return {}

    def explain(self, sent: Sent, *, analyze: bool = False) -> Plan:
        """Return the plan of a query as text or a table, for people.

        Args:
            sent: the query and its values.
            analyze: run the query and measure it; only for a query that does not write.

        Raises:
            QueryError: the parameters do not fit, or the database refuses the statement.
        """
        columns, rows = self._ask(sent, self._verb(analyze=analyze, as_json=False))
        if len(columns) == 1:
            rows = [(line,) for (text,) in rows for line in str(text).rstrip().split("\n")]
        return Plan(columns, rows)

    def document(self, sent: Sent, *, analyze: bool = False) -> Any:
        """Return the plan of a query for programs: PostgreSQL's and MySQL's JSON, SQLite's rows.

        Parameters and errors are those of :meth:`explain`.
        """
        _, rows = self._ask(sent, self._verb(analyze=analyze, as_json=True))
        first = rows[0][0]
        try:
            return json.loads(first) if isinstance(first, str) else first
        except ValueError:
            return str(first).splitlines()  # MySQL's EXPLAIN ANALYZE is text

    @contextmanager
    def planning(self, pooled: PoolProxiedConnection) -> Iterator[None]:
        """Enter a block in which :meth:`shapes` may be called, on a database with the data set."""
        del pooled
        yield

    @abstractmethod
    def shapes(
        self, variant: Variant, values: Mapping[str, Any]
    ) -> Iterator[tuple[str, PlanShape]]:
        """Yield the shapes of a statement's plans, each after what sets it apart from the first."""

    @abstractmethod
    def _prepare(self, sql: str, parameters: int = 0) -> None:
        """Prepare a statement with a number of placeholders."""

    @abstractmethod
    def _verb(self, *, analyze: bool, as_json: bool) -> str:
        """Return what goes before a statement to explain it."""

    def _ask(self, sent: Sent, verb: str) -> tuple[tuple[str, ...], list[tuple[Any, ...]]]:
        """Return the columns and the rows of an answer."""
        query, statement = sent.query, sent.query.statement(sent.parameters, sent.order)
        with closing(self._connection.cursor()) as cursor:
            try:
                cursor.execute(f"{verb} {statement.sql}".strip(), statement.pick(sent.parameters))
                rows = [tuple(row) for row in cursor.fetchall()]
            except backend_of(self.dialect).driver_errors as error:
                said = driver_message(error)
                needs = query.source.needs
                remedy = f"it needs {needs}" if needs else "see: cardlink-db sql check"
                raise query.fault(f"no plan: {said}", remedy) from error
            return tuple(column[0] for column in cursor.description), rows


def review_backend_class(dialect: Dialect) -> type[ReviewBackend]:
    module = import_module(f"cardlink_sql.review.databases.{dialect.value}")
    found: type[ReviewBackend] = module.BACKEND
    return found


def review_backend(dialect: Dialect, connection: Any) -> ReviewBackend:
    """Return what asks a database about statements, over a driver's connection in autocommit."""
    return review_backend_class(dialect)(connection)


@contextmanager
def asking(manager: DatabaseManager) -> Iterator[ReviewBackend]:
    """Yield what asks a manager's database about statements, over one connection of it."""
    with closing(manager.take_connection()) as pooled:
        yield review_backend(manager.dialect, pooled.driver_connection)


def _reading(needs: str) -> str:
    """Return a statement that reads what a query needs: ``table`` to ``schema.table.column``."""
    *table, column = needs.split(".")
    if len(table) < 2:
        table, column = needs.split("."), "1"
    return f"SELECT {column} FROM {'.'.join(table)}"  # noqa: S608 - the parser accepts only names


def is_small(rows: float, table: str) -> bool:
    """Return whether a number of rows is a small part of a table of the data set."""
    return rows <= SIZES[table] * SMALL_PART


def largest(tables: Iterable[str]) -> str | None:
    """Return the table with most rows in the data set; None if there is none."""
    return max(tables, key=SIZES.__getitem__, default=None)


@cache
def index_heads() -> dict[str, tuple[str, str]]:
    """Return the table and first column of each index."""
    tables = metadata.tables.values()
    keys = [key for table in tables for key in (table.primary_key, *unique_constraints(table))]
    indexes = [index for table in tables for index in table.indexes]
    heads = {str(one.name): one.columns[0] for one in indexes}
    heads |= {str(one.name): one.columns[0] for one in keys}
    return {name: (column.table.name, column.name) for name, column in heads.items()}


def sets_rows_apart(table: str, column: str) -> bool:
    """Return whether few rows share a value of the column: a time, or the key."""
    found = metadata.tables[table].columns.get(column) if table in metadata.tables else None
    return found is not None and (found.primary_key or isinstance(found.type, UTCDateTime))
