"""Explains every query on the data set, and finds plans too slow for a growing table."""

import re
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace
from functools import cache
from typing import Final

from cardlink_sql.database.internal import InternalStatements
from cardlink_sql.dialect import Dialect
from cardlink_sql.errors import QueryError
from cardlink_sql.gateways.server import ServerGateway
from cardlink_sql.manager import DatabaseManager
from cardlink_sql.queries import Library, Query, Rows
from cardlink_sql.review.dataset import NOW
from cardlink_sql.review.describe import Describer, Refused, describer
from cardlink_sql.review.explain import Explainer, explainer
from cardlink_sql.review.findings import Finding, fault_of
from cardlink_sql.review.lock import changed_plans, read_lock
from cardlink_sql.review.mysql_plan import read_mysql_plan
from cardlink_sql.review.postgresql_plan import read_postgresql_plan
from cardlink_sql.review.samples import kinds_of, placeholders
from cardlink_sql.review.scratch import scratch_database
from cardlink_sql.review.shapes import NO_REASON, Planned, PlanShape, index_heads
from cardlink_sql.review.sqlite_plan import Averages, read_sqlite_plan
from cardlink_sql.review.statement import ParsedStatement
from cardlink_sql.review.value_kinds import ValueKind
from cardlink_sql.review.variants import Variant, as_written, sent_variants

_NO_PLAN: Final = "correct the statement; to record a new parameter's type, run scripts/lock"

# Counting all rows obviously has to read them.
_COUNTS_ALL: Final = re.compile(r"SELECT /\*[^*]*\*/ COUNT\(\*\) FROM \w+( WHERE 1 = 1)?")


class Planner:
    """Plans queries on a database that holds the data set.

    Args:
        asked: the explainer on that database.
        types: describes parameters; None if the database does not know their types.
        averages: SQLite's statistics of that database.
        without: the explainer on an SQLite database without statistics.
    """

    def __init__(
        self,
        asked: Explainer,
        *,
        types: Describer | None = None,
        averages: Averages | None = None,
        without: Explainer | None = None,
    ) -> None:
        self._asked = asked
        self._types = types
        self._averages = averages or {}
        self._without = without

    def plan(self, query: Query) -> list[Planned]:
        """Return the plans of a query in each variant that is sent.

        Empty for a ``:copy``, and for a query that ``needs`` an object of the server.

        Raises:
            QueryError: the database refuses the statement.
        """
        if query.rows is Rows.COPY or query.source.needs:
            return []
        kinds = self._kinds(query)
        return [planned for one in sent_variants(query) for planned in self._planned(one, kinds)]

    def _planned(self, variant: Variant, kinds: Mapping[str, ValueKind]) -> Iterator[Planned]:
        shape = self._shape(self._asked, variant, kinds)
        yield Planned(variant, shape)
        if self._without is not None:
            bare = self._shape(self._without, variant, kinds)
            if bare.lines != shape.lines:
                label = f"{variant.label}, without statistics"
                yield Planned(replace(variant, label=label), bare)

    def _kinds(self, query: Query) -> Mapping[str, ValueKind]:
        if self._types is None:
            return kinds_of(query)
        try:
            found = self._types.describe(as_written(query)).parameters
        except Refused as refused:
            raise query.fault(f"no plan: {refused.what}", "see: cardlink-db sql check") from None
        return {one.name: one.kind for one in found if one.kind is not None}

    def _shape(
        self, asked: Explainer, variant: Variant, kinds: Mapping[str, ValueKind]
    ) -> PlanShape:
        shape = self._read(asked, variant, kinds)
        counts_all = _COUNTS_ALL.fullmatch(" ".join(variant.sql().split()))
        return replace(shape, scans={}) if counts_all else shape

    def _read(
        self, asked: Explainer, variant: Variant, kinds: Mapping[str, ValueKind]
    ) -> PlanShape:
        query = variant.query
        values = placeholders(query, query.required | variant.given, NOW, kinds)
        match query.dialect:
            case Dialect.SQLITE:
                rows = asked.document(query, values, variant.order)
                return read_sqlite_plan(rows, variant, self._averages)
            case Dialect.MYSQL:
                return read_mysql_plan(asked.table(query, values, variant.order), variant)
            case Dialect.POSTGRESQL:
                (document,) = asked.document(query, values, variant.order)
                return read_postgresql_plan(document["Plan"])


@contextmanager
def planner(manager: DatabaseManager) -> Iterator[Planner]:
    """Yield a planner for a database.

    Args:
        manager: of a database with the data set in it.
    """
    with ExitStack() as stack:
        match manager.dialect:
            case Dialect.SQLITE:
                averages = _averages(manager)
                # No component gathers statistics, so most files have none. Plans are then the same
                # whatever the rows are.
                empty = stack.enter_context(scratch_database(manager.config))
                empty.create_tables()
                without = stack.enter_context(explainer(empty))
                asked = stack.enter_context(explainer(manager))
                yield Planner(asked, averages=averages, without=without)
            case Dialect.MYSQL:
                yield Planner(stack.enter_context(explainer(manager)))
            case Dialect.POSTGRESQL:
                pooled = stack.enter_context(closing(manager.take_connection()))
                types = describer(manager.dialect, pooled.driver_connection)
                asked = stack.enter_context(explainer(manager, by_indexes=True))
                yield Planner(asked, types=types)


def _averages(manager: DatabaseManager) -> Averages:
    """Return the counts of ANALYZE: the rows of a table, then the average rows per key."""
    pooled = manager.take_connection()
    try:
        statements = InternalStatements(Dialect.SQLITE, pooled.driver_connection)
        return {
            index: tuple(int(word) for word in stat.split()[1:] if word.isdigit())
            for index, stat in statements.rows("review.averages")
        }
    finally:
        pooled.close()


def plans_of(library: Library, manager: DatabaseManager) -> dict[str, list[Planned]]:
    """Return the plans of every query, by title.

    Args:
        library: the queries.
        manager: of a database of their dialect with the data set in it.

    Raises:
        QueryError: the database refuses a query; ``sql check`` reports details.
    """
    with planner(manager) as asked:
        return {query.title: asked.plan(query) for query in library.all()}


def planner_version(manager: DatabaseManager) -> str:
    """Return the part of the server's version that plans depend on: ``15`` or ``10.11``.

    Raises:
        ConnectionError: no connection.
    """
    with manager.transaction(read_only=True) as transaction:
        version = ServerGateway(transaction, manager.library).version()
    parts = 1 if manager.dialect is Dialect.POSTGRESQL else 2
    return ".".join(re.findall(r"\d+", version)[:parts])


def check_plans(
    library: Library, manager: DatabaseManager, refused: Collection[str] = ()
) -> list[Finding]:
    """Return the queries that read or sort a whole growing table without a stated reason.

    And those whose plan is another than in the lock, if that was written for this planner.

    Args:
        library: the queries.
        manager: of a database of their dialect with the data set in it.
        refused: titles of queries that the database cannot prepare.
    """
    faults: list[Finding] = []
    lock = read_lock(manager.dialect)
    is_alike = lock is not None and lock["planner"].split()[-1] == planner_version(manager)
    locked = lock if is_alike else None
    with planner(manager) as asked:
        for query in library.all():
            if query.title in refused:
                continue
            try:
                plans = asked.plan(query)
                found = list(judge(query, plans))
                # A plan that was judged is not reported twice.
                faults += found or changed_plans(query, plans, locked)
            except QueryError as error:
                faults.append(fault_of("plan", query, error.detail, _NO_PLAN))
    return faults


def judge(query: Query, plans: Sequence[Planned]) -> Iterator[Finding]:
    """Yield the faults of a query's plans: one for each table, not for each variant.

    A stated reason does not exempt a function around a column that begins an index.
    """
    reason = query.source.allow_scan
    scans = _by_table(plans, lambda shape: shape.scans)
    sorts = _by_table(plans, lambda shape: shape.sorts) if reason is None else {}
    for found, does in ((scans, "reads the whole of"), (sorts, "sorts a large part of")):
        for table, places in found.items():
            if found is sorts and table in scans:
                continue  # a whole read is reported once
            judged = places if reason is None else [one for one in places if _served(table, one)]
            if not judged:
                continue
            variant, line = judged[0]
            more = f", and {len(judged) - 1} more" if len(judged) > 1 else ""
            is_whole = variant.label == as_written(query).label
            which = "" if is_whole else f" ({variant.label}{more})"
            what = f"{does} {table}{which}: {line}"
            remedy = NO_REASON if reason is None else _served(table, judged[0])
            where = variant.place_of(table)
            yield fault_of("plan", query, what, remedy, where)


def _served(table: str, place: tuple[Variant, str]) -> str:
    """Return the remedy for a scan because of a function around an indexed column, or nothing."""
    wrapped = sorted(ParsedStatement(place[0]).wrapped & _heads())
    served = [column for of, column in wrapped if of == table]
    return f"compare {served[0]}, which begins an index, without a function" if served else ""


@cache
def _heads() -> frozenset[tuple[str, str]]:
    return frozenset(index_heads().values())


def _by_table(
    plans: Sequence[Planned], of: Callable[[PlanShape], Mapping[str, str]]
) -> dict[str, list[tuple[Variant, str]]]:
    """Return the variants that scan or sort a table, each with the line of its plan."""
    found: dict[str, list[tuple[Variant, str]]] = defaultdict(list)
    for planned in plans:
        for table, line in of(planned.shape).items():
            found[table].append((planned.variant, line))
    return found
