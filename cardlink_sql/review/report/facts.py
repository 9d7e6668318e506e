"""What the report tells of each query, gathered from the files; no database is asked but SQLite's
own, in memory.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

from sqlalchemy import Table

from cardlink_sql.dialect import Dialect
from cardlink_sql.queries import Query, Rows, load_library
from cardlink_sql.queries.lexer import Token, tokenize
from cardlink_sql.review.expected import gateway_classes
from cardlink_sql.review.footprint import Footprint, footprints
from cardlink_sql.review.impact import effects
from cardlink_sql.review.lock import Lock, hash_of, read_lock
from cardlink_sql.review.senders import Senders, senders
from cardlink_sql.review.source import source_text

Forms = Mapping[Dialect, Query]


@dataclass(frozen=True)
class Form:
    """A text of a query, and the dialects that share it."""

    query: Query
    dialects: tuple[Dialect, ...]

    @property
    def text(self) -> str:
        """The statement as ``cardlink-db sql show`` shows it."""
        return source_text(self.query)

    @property
    def tokens(self) -> list[Token]:
        """The tokens of the text."""
        return tokenize(self.text, self.query.dialect, self.query.source.file)


@dataclass(frozen=True)
class Touch:
    """What a query does to a table.

    Attributes:
        does: ``reads``, ``inserts``, ``updates`` or ``deletes``.
        table: the table.
        columns: which columns; none where whole rows are counted or deleted.
        by: ``statement`` or ``foreign key``.
        dialects: whose form does so.
    """

    does: str
    table: str
    columns: tuple[str, ...]
    by: str
    dialects: tuple[Dialect, ...]


@dataclass(frozen=True)
class Locked:
    """What the lock of a dialect has of a query.

    Attributes:
        parameters: the type of each, ``""`` where the server does not tell.
        columns: the type of each column that it gives, in their order.
        plan: for each variant, by its label, the lines of its plan.
        is_current: whether it is of the text that the files have now.
    """

    parameters: Mapping[str, str]
    columns: Mapping[str, str]
    plan: Mapping[str, tuple[str, ...]]
    is_current: bool


@dataclass(frozen=True)
class QueryFacts:
    """A query with all its forms.

    Attributes:
        forms: its texts; one, where all dialects that have it share it.
        touches: what it does to which table, in the order of the tables.
        locked: what the locks have of it; a dialect without an entry is missing.
        senders: the methods that send it.
    """

    forms: tuple[Form, ...]
    touches: tuple[Touch, ...]
    locked: Mapping[Dialect, Locked]
    senders: Senders

    @property
    def first(self) -> Query:
        """Its first form: what a caller sees is the same in all."""
        return self.forms[0].query

    @property
    def name(self) -> str:
        """Its name within its gateway."""
        return self.first.source.name

    @property
    def gateway(self) -> str:
        """Its gateway."""
        return self.first.source.gateway

    @property
    def title(self) -> str:
        """Gateway and name."""
        return self.first.title

    @property
    def dialects(self) -> tuple[Dialect, ...]:
        """The dialects that have it."""
        return tuple(d for d in Dialect if any(d in form.dialects for form in self.forms))

    @property
    def differs(self) -> bool:
        """Whether a dialect has a form of its own, or lacks it."""
        return len(self.forms) > 1 or len(self.dialects) < len(Dialect)

    @property
    def record(self) -> str | None:
        """What a row of its fills, such as ``OTASession``; None where that has no name."""
        gateway = gateway_classes().get(self.gateway)
        if gateway is None or self.first.rows not in (Rows.ONE, Rows.MANY):
            return None
        gives = gateway.gives.get(self.name, getattr(gateway, "record", None))
        if isinstance(gives, Table):
            return f"a row of {gives.name}"
        return gives.__name__ if isinstance(gives, type) else None

    def tables(self, *does: str) -> list[str]:
        """The tables to which the statement itself does one of these."""
        return sorted({t.table for t in self.touches if t.does in does and t.by == STATEMENT})

    @property
    def writes(self) -> bool:
        """Whether the statement itself writes a table."""
        return bool(self.tables(*WRITES))


@dataclass(frozen=True)
class GatewayFacts:
    """A gateway and its queries, in the order of its files.

    Attributes:
        name: of its SQL files.
        made: its class.
        queries: all of them.
    """

    name: str
    made: type[Any]
    queries: tuple[QueryFacts, ...]


@dataclass(frozen=True)
class Facts:
    """All that the report tells.

    Attributes:
        gateways: by name.
        servers: what wrote the lock of each dialect; a dialect without a lock is missing.
        migrations: the migrations that the locks have.
    """

    gateways: tuple[GatewayFacts, ...]
    servers: Mapping[Dialect, str]
    migrations: tuple[str, ...]

    @cached_property
    def queries(self) -> tuple[QueryFacts, ...]:
        """Every query, by gateway."""
        return tuple(query for gateway in self.gateways for query in gateway.queries)


STATEMENT: Final = "statement"
WRITES: Final = ("inserts", "updates", "deletes")


def gather() -> Facts:
    """The facts of the files that came with the package.

    Raises:
        QueryError: an SQL file is malformed.
        DatabaseError: a lock is none.
    """
    locks = {dialect: lock for dialect in Dialect if (lock := read_lock(dialect)) is not None}
    gateways = tuple(
        GatewayFacts(
            name,
            made,
            tuple(
                query_facts(
                    forms,
                    {d: footprints(d)[query.title] for d, query in forms.items()},
                    locks,
                    senders(name)[query_name],
                )
                for query_name, forms in _forms(name).items()
            ),
        )
        for name, made in sorted(gateway_classes().items())
    )
    migrations = sorted({name for lock in locks.values() for name in lock["migrations"]})
    servers = {dialect: lock["server"] for dialect, lock in locks.items()}
    return Facts(gateways, servers, tuple(migrations))


def query_facts(
    forms: Forms, seen: Mapping[Dialect, Footprint], locks: Mapping[Dialect, Lock], sent: Senders
) -> QueryFacts:
    """The facts of one query.

    Args:
        forms: its form in each dialect that has it.
        seen: the footprint of each.
        locks: what is locked, by dialect.
        sent: who sends it.
    """
    shared = defaultdict(list)
    for dialect, query in forms.items():
        shared[query.where].append(dialect)
    made = tuple(Form(forms[dialects[0]], tuple(dialects)) for dialects in shared.values())
    locked = {
        dialect: _locked(entry, query)
        for dialect, query in forms.items()
        if (entry := locks.get(dialect, {}).get("queries", {}).get(query.title)) is not None
    }
    return QueryFacts(made, tuple(_touches(seen)), locked, sent)


def _forms(gateway: str) -> dict[str, dict[Dialect, Query]]:
    """The forms of each query of a gateway, by name, in the order of the files."""
    forms: dict[str, dict[Dialect, Query]] = defaultdict(dict)
    for dialect in Dialect:
        for name, query in load_library(dialect).gateway(gateway).items():
            forms[name][dialect] = query
    return forms


def _touches(seen: Mapping[Dialect, Footprint]) -> Iterator[Touch]:
    found: dict[tuple[str, str, tuple[str, ...], str], list[Dialect]] = defaultdict(list)
    for dialect, footprint in seen.items():
        every = footprint.all
        for table in {*every.tables_read, *every.tables_written}:
            for does, columns, by in effects(footprint, table):
                found[by, table, columns, does].append(dialect)
    # What the statement does comes first.
    by_table = sorted(found.items(), key=lambda one: (one[0][0] != STATEMENT, one[0][1]))
    for (by, table, columns, does), dialects in by_table:
        yield Touch(does, table, columns, by, tuple(dialects))


def _locked(entry: Lock, query: Query) -> Locked:
    plan = {
        label: (lines,) if isinstance(lines, str) else tuple(lines)
        for label, lines in entry.get("plan", {}).items()
    }
    is_current = entry.get("hash") == hash_of(query)
    return Locked(entry.get("parameters", {}), entry.get("columns", {}), plan, is_current)
