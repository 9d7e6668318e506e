"""What the comment with a query's name costs: scripts/bench --label.

The same work over the same connection, with the comment and without it, taking turns in short
rounds whose order changes. The cost is the median of the rounds' ratios; beside it stands the range
that holds that median with a probability of 95 %.
"""

import gc
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import cycle
from statistics import median
from typing import Any, Final

from _bench_contenders import Undeciphered
from _bench_rows import Rows

from cardlink_sql import DatabaseManager, Keyring
from cardlink_sql.database.transaction import Transaction
from cardlink_sql.gateways import CardGateway, LogGateway
from cardlink_sql.queries import Library, Query
from cardlink_sql.queries.query import Statement

LOOKUPS: Final = 20  # in one round
ENTRIES: Final = 100  # of the session that is read, and in one batch
READS: Final = 5  # of it in one round


@dataclass(frozen=True)
class Cost:
    """The cost of one operation: shares of the time without the comment, and that time in s."""

    operation: str
    share: float
    least: float
    most: float
    seconds: float


class Unlabelled(Query):
    """A query that is sent without its name."""

    def _render(self, *arguments: Any, **options: Any) -> Statement:
        statement = super()._render(*arguments, **options)
        label = f" /* cardlink:{self.title} */"
        assert label in statement.sql
        return replace(statement, sql=statement.sql.replace(label, ""))


def unlabelled(library: Library) -> Library:
    """The same queries, sent without their names."""
    queries: dict[str, dict[str, Query]] = {}
    for query in library.all():
        source = query.source
        made = queries.setdefault(source.gateway, {})
        made[source.name] = Unlabelled(source, library.dialect)
    return Library(library.dialect, queries)


class Hot:
    """The hot paths of the layer over one connection."""

    def __init__(self, transaction: Transaction, library: Library, rows: Rows) -> None:
        keyring = Undeciphered([Keyring.generate()])
        self._transaction = transaction
        self._cards = CardGateway(transaction, library, lambda: keyring)
        self._logs = LogGateway(transaction, library)
        self._identities = cycle(card.psk_identity or "" for card in rows.cards)
        self._session = rows.sessions[-1].id
        self._batch = [replace(e, session_id=rows.sessions[0].id) for e in rows.traffic(ENTRIES)]
        self.read_ahead = [replace(entry, session_id=self._session) for entry in self._batch]

    def find_psks(self) -> None:
        """PSKs by identity."""
        for _ in range(LOOKUPS):
            self._cards.get_psk_key_by_identity(next(self._identities))

    def write(self, batch: Sequence[Any] | None = None) -> None:
        """A batch of APDUs, committed."""
        self._logs.add_log_batch(self._batch if batch is None else batch)
        self._transaction.commit()

    def read(self) -> None:
        """A session's entries."""
        for _ in range(READS):
            self._logs.find_by_session(self._session)


def costs(manager: DatabaseManager, rows: Rows, rounds: int) -> list[Cost]:
    """The cost of the comment on the hot paths.

    Args:
        manager: of a database with the cards and sessions of ``rows``.
        rows: what is looked up.
        rounds: of each operation.
    """
    libraries = {"with": manager.library, "without": unlabelled(manager.library)}
    with (
        Transaction(manager, read_only=True) as reading,
        Transaction(manager, read_only=False) as writing,
    ):
        read = {name: Hot(reading, library, rows) for name, library in libraries.items()}
        written = {name: Hot(writing, library, rows) for name, library in libraries.items()}
        written["with"].write(written["with"].read_ahead)
        return [
            measured("PSK look-up", {name: hot.find_psks for name, hot in read.items()}, rounds),
            measured(
                f"{ENTRIES} APDUs written in a batch",
                {name: hot.write for name, hot in written.items()},
                rounds,
            ),
            measured(
                f"{ENTRIES} entries of a session read",
                {name: hot.read for name, hot in read.items()},
                rounds,
            ),
        ]


def measured(operation: str, works: Mapping[str, Callable[[], None]], rounds: int) -> Cost:
    """Measure one operation."""
    for _ in range(10):  # psycopg prepares a statement at its sixth time
        for work in works.values():
            work()
    seconds: dict[str, list[float]] = {name: [] for name in works}
    gc.collect()
    gc.disable()
    for number in range(rounds):
        for name in list(works)[:: 1 if number % 2 else -1]:
            started = time.perf_counter()
            works[name]()
            seconds[name].append(time.perf_counter() - started)
    gc.enable()
    ratios = sorted(w / o for w, o in zip(seconds["with"], seconds["without"], strict=True))
    # Of so many rounds the median of all lies between these two, by the binomial distribution.
    aside = 1.96 * math.sqrt(rounds) / 2
    least = ratios[max(0, math.floor(rounds / 2 - aside))]
    most = ratios[min(rounds - 1, math.ceil(rounds / 2 + aside))]
    return Cost(operation, median(ratios) - 1, least - 1, most - 1, median(seconds["without"]))


def cost_lines(found: Sequence[Cost]) -> list[str]:
    """A table in Markdown."""
    head = ("operation", "cost of the name", "95 % range", "a round without it")
    return [
        f"| {' | '.join(head)} |",
        "|---|---:|---:|---:|",
        *(
            f"| {one.operation} | {one.share:+.2%} | {one.least:+.2%} to {one.most:+.2%} "
            f"| {one.seconds * 1e3:.2f} ms |"
            for one in found
        ),
    ]
