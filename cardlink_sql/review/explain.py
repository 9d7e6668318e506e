"""The plan of a query, as its database prints it. Nothing is written."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from time import perf_counter
from typing import Any, Final

from cardlink_sql.database.internal import InternalStatements
from cardlink_sql.dialect import Dialect
from cardlink_sql.manager import DatabaseManager
from cardlink_sql.queries import Query, Rows
from cardlink_sql.review.footprint import footprints
from cardlink_sql.schema.migrator import driver

WRITING: Final = frozenset({Rows.EXEC, Rows.INSERT, Rows.BATCH, Rows.COPY})


@dataclass(frozen=True)
class Plan:
    """A plan as the database prints it.

    Attributes:
        columns: their names: one, for a plan that is text, or those of MySQL's table.
        rows: the lines of the text, or the rows of the table.
    """

    columns: tuple[str, ...]
    rows: list[tuple[Any, ...]]


def writes(query: Query) -> bool:
    """Return whether running the query would change anything."""
    own = footprints(query.dialect)[query.title].own
    return query.rows in WRITING or bool(own.tables_written)


class Explainer:
    """Explains queries on one connection.

    Args:
        manager: of the database.
        cursor: of one of its connections, in autocommit.
    """

    def __init__(self, manager: DatabaseManager, cursor: Any) -> None:
        self.dialect = manager.dialect
        self._errors = manager.driver_errors
        self._cursor = cursor

    def explain(
        self,
        query: Query,
        parameters: Mapping[str, Any],
        order: str | None = None,
        *,
        analyze: bool = False,
    ) -> Plan:
        """Return the plan of a query as text or a table, for people.

        Args:
            query: any but a ``:copy``, which has no plan.
            parameters: as the driver takes them; they select the optional lines.
            order: one of the query's orders.
            analyze: run the query and measure it; only for a query that does not write.

        Raises:
            QueryError: the parameters do not fit, or the database refuses the statement.
        """
        statement = query.statement(parameters, order)
        values = statement.pick(parameters)
        shown: list[tuple[Any, ...]]
        if self.dialect is Dialect.SQLITE:
            shown = [(line,) for line in _tree(self._ask(query, _SQLITE, statement.sql, values))]
            if analyze:
                shown.append((self._measured(query, statement.sql, values),))
            return Plan(("QUERY PLAN",), shown)
        verb = self._verb(analyze=analyze)
        shown = self._ask(query, verb, statement.sql, values)
        columns = tuple(column[0] for column in self._cursor.description)
        if len(columns) == 1:
            shown = [(line,) for (text,) in shown for line in str(text).rstrip().split("\n")]
        return Plan(columns, shown)

    def document(
        self,
        query: Query,
        parameters: Mapping[str, Any],
        order: str | None = None,
        *,
        analyze: bool = False,
    ) -> Any:
        """Return the plan of a query for programs: PostgreSQL's and MySQL's JSON, SQLite's rows.

        Parameters and errors are those of :meth:`explain`.
        """
        statement = query.statement(parameters, order)
        values = statement.pick(parameters)
        if self.dialect is Dialect.SQLITE:
            rows = self._ask(query, _SQLITE, statement.sql, values)
            found: Any = [{"id": row[0], "parent": row[1], "detail": row[3]} for row in rows]
            if not analyze:
                return found
            return {"plan": found, "measured": self._measured(query, statement.sql, values)}
        verb = self._verb(analyze=analyze, as_json=True)
        rows = self._ask(query, verb, statement.sql, values)
        first = rows[0][0]
        try:
            return json.loads(first) if isinstance(first, str) else first
        except ValueError:
            return str(first).splitlines()  # MySQL's EXPLAIN ANALYZE is text

    def table(
        self, query: Query, parameters: Mapping[str, Any], order: str | None = None
    ) -> list[dict[str, Any]]:
        """Return the rows of MySQL's EXPLAIN; parameters and errors as in :meth:`explain`."""
        plan = self.explain(query, parameters, order)
        return [dict(zip(plan.columns, row, strict=True)) for row in plan.rows]

    def _verb(self, *, analyze: bool, as_json: bool = False) -> str:
        if self.dialect is Dialect.POSTGRESQL:
            options = [*(["ANALYZE", "BUFFERS"] if analyze else []), *(["FORMAT JSON"] * as_json)]
            return f"EXPLAIN ({', '.join(options)})" if options else "EXPLAIN"
        is_mariadb = "MariaDB" in self._cursor.connection.get_server_info()
        if analyze and not is_mariadb:
            return "EXPLAIN ANALYZE"
        if analyze:
            return f"ANALYZE{' FORMAT=JSON' if as_json else ''}"
        # A table by name: from MySQL 9 on a tree is the default.
        return f"EXPLAIN FORMAT={'JSON' if as_json else 'TRADITIONAL'}"

    def _measured(self, query: Query, sql: str, values: tuple[Any, ...]) -> str:
        begun = perf_counter()
        count = len(self._ask(query, "", sql, values))
        return f"{count} rows in {(perf_counter() - begun) * 1000:.3f} ms"

    def _ask(
        self, query: Query, verb: str, sql: str, values: tuple[Any, ...]
    ) -> list[tuple[Any, ...]]:
        try:
            self._cursor.execute(f"{verb} {sql}".strip(), values)
            return [tuple(row) for row in self._cursor.fetchall()]
        except self._errors as error:
            said = driver.message(error)
            needs = query.source.needs
            remedy = f"it needs {needs}" if needs else "see: cardlink-db sql check"
            raise query.fault(f"no plan: {said}", remedy) from error


_SQLITE: Final = "EXPLAIN QUERY PLAN"


@contextmanager
def explainer(manager: DatabaseManager, *, by_indexes: bool = False) -> Iterator[Explainer]:
    """Yield an explainer for a database.

    Args:
        manager: of the database.
        by_indexes: let PostgreSQL's planner use an index wherever there is one.
    """
    pooled = manager.take_connection()
    cursor = pooled.cursor()
    try:
        if by_indexes:
            statements = InternalStatements(manager.dialect, pooled.driver_connection)
            statements.rows("review.plan_by_indexes")
        yield Explainer(manager, cursor)
    finally:
        cursor.close()
        if by_indexes:
            pooled.invalidate()  # and with it the settings
        pooled.close()


def _tree(rows: list[tuple[Any, ...]]) -> Iterator[str]:
    depth = {0: -1}
    for number, parent, _, detail in rows:
        depth[number] = depth.get(parent, -1) + 1
        yield f"{'  ' * depth[number]}{detail}"
