"""The server's counters for each query of the layer: ``cardlink-db stats --queries``."""

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from cardlink_sql.gateways.server import ServerGateway
from cardlink_sql.manager import DatabaseManager
from cardlink_sql.model.records.server import CountedStatement
from cardlink_sql.operations.digests import Digests
from cardlink_sql.queries.query import title_in


@dataclass(frozen=True, slots=True)
class QueryFigures:
    """The counters of one query, or of all other statements; times in ms."""

    calls: int
    total_ms: float
    mean_ms: float
    longest_ms: float
    rows: int


@dataclass(frozen=True, slots=True)
class QueryStatistics:
    """The counters of one database since the server began to count.

    Attributes:
        queries: by title, those that took the most time in all first. Where the server does not
            distinguish two queries, the titles of both are joined by ``or``.
        others: what has no query's name; ``None`` where there is nothing of the kind.
        lost: calls, of any database, that the server had no room to keep apart.
        is_approximate: whether the queries were found by their words, for want of their names.
    """

    queries: dict[str, QueryFigures]
    others: QueryFigures | None
    lost: int
    is_approximate: bool


def take_query_statistics(manager: DatabaseManager) -> QueryStatistics:
    """Return the server's counters for the queries.

    Args:
        manager: the database; its role must be allowed to see the statements of all.

    Raises:
        QueryError: the server counts none, or does not show them to this role.
    """
    with manager.transaction(read_only=True) as transaction:
        server = ServerGateway(transaction, manager.library)
        counted = server.count_statements()
        is_approximate = manager.config.is_mysql and server.is_mariadb
    name_of = _by_words(Digests(manager.library)) if is_approximate else title_in
    grouped = _grouped(counted, name_of)
    others = grouped.pop("", None)
    ordered = sorted(grouped.items(), key=lambda one: (-one[1].total_ms, one[0]))
    lost = sum(one.calls for one in counted if one.text is None)
    return QueryStatistics(dict(ordered), others, lost, is_approximate)


def _by_words(digests: Digests) -> Callable[[str], str]:
    return lambda text: " or ".join(digests.find(text))


def _grouped(
    counted: Iterable[CountedStatement], name_of: Callable[[str], str | None]
) -> dict[str, QueryFigures]:
    """Return the figures by query; those of other statements under an empty name."""
    alike: dict[str, list[CountedStatement]] = defaultdict(list)
    for one in counted:
        if one.text is not None:
            alike[name_of(one.text) or ""].append(one)
    return {name: _sum(statements) for name, statements in alike.items()}


def _sum(counted: list[CountedStatement]) -> QueryFigures:
    calls, total_ms = sum(one.calls for one in counted), sum(one.total_ms for one in counted)
    return QueryFigures(
        calls=calls,
        total_ms=total_ms,
        mean_ms=total_ms / calls if calls else 0.0,
        longest_ms=max(one.longest_ms for one in counted),
        rows=sum(one.row_count for one in counted),
    )
