"""Explains every query on the data set, and finds plans too slow for a growing table."""

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from typing import Final

from cardlink_sql.errors import QueryError
from cardlink_sql.gateways.server import ServerGateway
from cardlink_sql.manager import DatabaseManager
from cardlink_sql.queries import Library, Query, Rows
from cardlink_sql.review.databases.backend import (
    NO_REASON,
    Planned,
    Refused,
    ReviewBackend,
    index_heads,
    review_backend,
    review_backend_class,
)
from cardlink_sql.review.databases.dataset import NOW
from cardlink_sql.review.databases.samples import kinds_of, placeholders
from cardlink_sql.review.findings import Finding, fault_of
from cardlink_sql.review.lock import changed_plans, read_lock
from cardlink_sql.review.statements.statement import ParsedStatement
from cardlink_sql.review.statements.variants import Variant, as_written, sent_variants

_NO_PLAN: Final = "correct the statement; to record a new parameter's type, run scripts/lock"

# Counting all rows obviously has to read them.
_COUNTS_ALL: Final = re.compile(r"SELECT /\*[^*]*\*/ COUNT\(\*\) FROM \w+( WHERE 1 = 1)?")


@contextmanager
def planner(manager: DatabaseManager) -> Iterator[ReviewBackend]:
    """Yield what plans queries on a database with the data set."""
    with closing(manager.take_connection()) as pooled:
        asked = review_backend(manager.dialect, pooled.driver_connection)
        with asked.planning(pooled):
            yield asked


def _plans(query: Query, asked: ReviewBackend) -> list[Planned]:
    """Return the plans of a query in each variant that is sent.

    Empty for a ``:copy``, and for a query that ``needs`` an object of the server.
    """
    if query.rows is Rows.COPY or query.source.needs:
        return []
    try:
        kinds = asked.kinds(as_written(query)) or kinds_of(query)
    except Refused as refused:
        raise query.fault(f"no plan: {refused.what}", "see: cardlink-db sql check") from None
    plans = []
    for variant in sent_variants(query):
        values = placeholders(query, query.required | variant.given, NOW, kinds)
        counts_all = _COUNTS_ALL.fullmatch(" ".join(variant.sql().split()))
        for more, shape in asked.shapes(variant, values):
            planned = replace(variant, label=f"{variant.label}{more}")
            plans.append(Planned(planned, replace(shape, scans={}) if counts_all else shape))
    return plans


def plans_of(library: Library, manager: DatabaseManager) -> dict[str, list[Planned]]:
    """Return the plans of every query on a database with the data set, by title.

    Raises:
        QueryError: the database refuses a query; ``sql check`` reports details.
    """
    with planner(manager) as asked:
        return {query.title: _plans(query, asked) for query in library.all()}


def planner_version(manager: DatabaseManager) -> str:
    """Return the part of the server's version that plans depend on: ``15`` or ``10.11``."""
    with manager.transaction(read_only=True) as transaction:
        version = ServerGateway(transaction, manager.library).version()
    parts = review_backend_class(manager.dialect).version_parts
    return ".".join(re.findall(r"\d+", version)[:parts])


def check_plans(library: Library, manager: DatabaseManager) -> list[Finding]:
    """Return the queries that read or sort a whole growing table without a stated reason.

    And those whose plan is another than in the lock, if that was written for this planner. The
    database has the data set.
    """
    faults: list[Finding] = []
    locked = read_lock(manager.dialect)
    if locked and locked["planner"].split()[-1] != planner_version(manager):
        locked = None
    with planner(manager) as asked:
        for query in library.all():
            try:
                plans = _plans(query, asked)
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
    scans = _by_table(plans, "scans")
    sorts = _by_table(plans, "sorts") if reason is None else {}
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
    wrapped = sorted(ParsedStatement(place[0]).wrapped & set(index_heads().values()))
    served = [column for of, column in wrapped if of == table]
    return f"compare {served[0]}, which begins an index, without a function" if served else ""


def _by_table(plans: Sequence[Planned], does: str) -> dict[str, list[tuple[Variant, str]]]:
    """Return the variants that scan or sort a table, each with the line of its plan."""
    found: dict[str, list[tuple[Variant, str]]] = defaultdict(list)
    for planned in plans:
        for table, line in getattr(planned.shape, does).items():
            found[table].append((planned.variant, line))
    return found
