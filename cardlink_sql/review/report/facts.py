"""Gathers what the report says of each query and of the schema. No server is asked."""

import inspect
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import sqlalchemy

from cardlink_sql.dialect import Dialect
from cardlink_sql.model.tables import metadata
from cardlink_sql.queries import Query, Rows, load_internal, load_library
from cardlink_sql.queries.lexer import tokenize
from cardlink_sql.queries.resources import folder
from cardlink_sql.review.impact import STATEMENT, Impact, impacts
from cardlink_sql.review.lock import Entry, Lock, entries_of, hash_of, names_in, plans_in, read_lock
from cardlink_sql.review.report.comparison import Part, compare
from cardlink_sql.review.senders import Sender, senders
from cardlink_sql.review.statements.expected import gateway_classes
from cardlink_sql.review.statements.forms import by_place, forms_of
from cardlink_sql.review.statements.variants import query_text
from cardlink_sql.schema.ddl.declared import declared_tables
from cardlink_sql.schema.ddl.model import Column, ForeignKey, Table
from cardlink_sql.schema.ddl.printer import ddl
from cardlink_sql.schema.migrator.files import read_migrations
from cardlink_sql.schema.migrator.state import PlannedMigration, State

# Some dialects, and for each column that a query returns its name and its type in each of them.
ResultShape = tuple[tuple[Dialect, ...], tuple[tuple[str, tuple[str, ...]], ...]]


@dataclass(frozen=True)
class Form:
    """A text of a query and the dialects that share it."""

    query: Query
    dialects: tuple[Dialect, ...]


@dataclass(frozen=True)
class Locked:
    """The entry of a query in the lock of a dialect.

    Attributes:
        parameters: the type of each; empty where the server does not report it.
        columns: the type of each returned column, in order.
        plans: the plans, each with the labels of the variants that share it.
        is_current: whether the lock was written for the present text.
        scans: the growing tables that one of the plans reads whole.
        sorts: those of which one sorts more than a small part.
    """

    parameters: Mapping[str, str]
    columns: Mapping[str, str]
    plans: Mapping[tuple[str, ...], list[str]]
    is_current: bool
    scans: tuple[str, ...] = ()
    sorts: tuple[str, ...] = ()


@dataclass(frozen=True)
class QueryFacts:
    """A query with all its forms; dialects that share a text share a form."""

    forms: tuple[Form, ...]
    touches: tuple[Impact, ...]
    locked: Mapping[Dialect, Locked]
    senders: tuple[Sender, ...]

    @property
    def first(self) -> Query:
        """Return the first form; a caller sees no difference between them."""
        return self.forms[0].query

    @property
    def name(self) -> str:
        return self.first.source.name

    @property
    def dialects(self) -> tuple[Dialect, ...]:
        """Return the dialects that have the query."""
        return tuple(d for d in Dialect if any(d in form.dialects for form in self.forms))

    @property
    def differs(self) -> bool:
        """Return whether the dialects differ in it, or one lacks it."""
        return len(self.forms) > 1 or len(self.dialects) < len(Dialect)

    @property
    def parts(self) -> list[Part]:
        """Return the statements of the forms, level with each other."""
        return compare(
            [tokenize(query_text(form.query), form.query.dialect) for form in self.forms]
        )

    @property
    def shape(self) -> ResultShape:
        """Return the columns, as far as the locks know their types."""
        known = {dialect: dict(one.columns) for dialect, one in self.locked.items() if one.columns}
        if self.first.rows is Rows.SCALAR:  # its name is the server's own
            known = {dialect: {"value": next(iter(one.values()))} for dialect, one in known.items()}
        names = dict.fromkeys(name for columns in known.values() for name in columns)
        return tuple(known), tuple(
            (name, tuple(columns.get(name, "") for columns in known.values())) for name in names
        )

    @property
    def record(self) -> str | None:
        """Return the name of what a row fills, such as ``OTASession``."""
        gateway = gateway_classes().get(self.first.source.gateway)
        if gateway is None or self.first.rows not in (Rows.ONE, Rows.MANY):
            return None
        record = gateway.gives.get(self.name, getattr(gateway, "record", None))
        if isinstance(record, sqlalchemy.Table):
            return f"a row of {record.name}"
        return record.__name__ if isinstance(record, type) else None

    def when(self, name: str) -> str:
        """Return when a parameter must be passed, and with which others."""
        sort = ", a list" if name in self.first.source.lists else ""
        if name in self.first.required:
            return f"always{sort}"
        lines = [line.when for line in self.first.source.lines if name in line.when]
        others = sorted(frozenset[str]().union(*lines) - {name})
        return f"optional{', with ' + ' and '.join(others) if others else ''}{sort}"

    @property
    def scans(self) -> list[str]:
        """Return the growing tables that one of its plans reads whole."""
        return sorted({table for one in self.locked.values() for table in one.scans})

    @property
    def sorts(self) -> list[str]:
        """Return the growing tables that one of its plans sorts."""
        return sorted({table for one in self.locked.values() for table in one.sorts})

    @property
    def reads(self) -> list[str]:
        """Return the tables that the statement itself reads."""
        return sorted({one.table for one in self._own if one.does == "reads"})

    @property
    def writes(self) -> list[str]:
        """Return the tables that the statement itself writes."""
        return sorted({one.table for one in self._own if one.does != "reads"})

    @property
    def _own(self) -> list[Impact]:
        return [one for one in self.touches if one.by == STATEMENT]


@dataclass(frozen=True)
class GatewayFacts:
    """A gateway and its queries, in the order of its files."""

    name: str
    made: type[Any]
    queries: tuple[QueryFacts, ...]

    @property
    def paragraphs(self) -> list[str]:
        """Return the documentation of its module and its class."""
        documented = (inspect.getmodule(self.made), self.made)
        return [part for one in documented for part in (inspect.getdoc(one) or "").split("\n\n")]

    @property
    def files(self) -> list[str]:
        return sorted({f.query.source.file for query in self.queries for f in query.forms})

    @property
    def tables(self) -> list[str]:
        return sorted({name for query in self.queries for name in (*query.reads, *query.writes)})

    @cached_property
    def shared(self) -> dict[ResultShape, list[QueryFacts]]:
        """Return the shapes that several queries have, with these; short ones are repeated."""
        found = defaultdict(list)
        for query in self.queries:
            found[query.shape].append(query)
        return {
            shape: queries
            for shape, queries in found.items()
            if len(queries) > 1 and len(shape[1]) >= 4
        }


@dataclass(frozen=True)
class Facts:
    """All that the report says.

    Attributes:
        tables: as PostgreSQL has them.
        servers: what wrote the lock of each dialect; a dialect without a lock is missing.
    """

    gateways: tuple[GatewayFacts, ...]
    tables: tuple[Table, ...]
    servers: Mapping[Dialect, str]
    migrations: tuple[str, ...]

    @cached_property
    def queries(self) -> tuple[QueryFacts, ...]:
        return tuple(query for gateway in self.gateways for query in gateway.queries)

    @property
    def figures(self) -> dict[str, int]:
        return {
            "queries": len(self.queries),
            "of them write": sum(bool(query.writes) for query in self.queries),
            "of them differ": sum(query.differs for query in self.queries),
            "gateways": len(self.gateways),
            "tables": len(self.tables),
            "columns": sum(len(table.columns) for table in self.tables),
            "indexes": sum(len(table.indexes) for table in self.tables),
            "foreign keys": sum(len(table.foreign_keys) for table in self.tables),
            "migrations": len(self.migrations),
        }


def gather() -> Facts:
    """Return the facts of the files that came with the package.

    Raises:
        QueryError: an SQL file is malformed.
        DatabaseError: a lock cannot be read.
    """
    locks = {dialect: lock for dialect in Dialect if (lock := read_lock(dialect)) is not None}
    gateways = []
    for name, made in sorted(gateway_classes().items()):
        forms = defaultdict(list)
        for dialect in Dialect:
            for query in load_library(dialect).gateway(name).values():
                forms[query.source.name].append(query)
        queries = (query_facts(of, locks, senders(name)[one]) for one, of in forms.items())
        gateways.append(GatewayFacts(name, made, tuple(queries)))
    migrations = sorted({name for lock in locks.values() for name in lock["migrations"]})
    servers = {dialect: lock["server"] for dialect, lock in locks.items()}
    return Facts(tuple(gateways), tables(), servers, tuple(migrations))


def internal_statements() -> dict[str, list[Query]]:
    """Return the forms of each statement of ``sql/internal``, by title; a shared one once."""
    found = sorted(forms_of(map(load_internal, Dialect)).items())
    return {title: [same[0] for same in by_place(forms)] for title, forms in found}


def query_facts(
    forms: Sequence[Query], locks: Mapping[Dialect, Lock], sent: tuple[Sender, ...]
) -> QueryFacts:
    """Return the facts of one query, from its forms and their locks."""
    locked = {
        form.dialect: _locked(entry, form)
        for form in forms
        if (entry := entries_of(locks.get(form.dialect)).get(form.title)) is not None
    }
    made = (Form(same[0], tuple(form.dialect for form in same)) for same in by_place(forms))
    return QueryFacts(tuple(made), tuple(impacts(forms)), locked, sent)


def _locked(entry: Entry, query: Query) -> Locked:
    plans = defaultdict(list)
    for label, lines in plans_in(entry).items():
        plans[lines].append(label)
    return Locked(
        parameters=entry.get("parameters", {}),
        columns=entry.get("columns", {}),
        plans=plans,
        is_current=entry.get("hash") == hash_of(query),
        scans=tuple(names_in(entry.get("scans", ""))),
        sorts=tuple(names_in(entry.get("sorts", ""))),
    )


@dataclass(frozen=True)
class Reference:
    """A foreign key and the table that has it."""

    table: Table
    key: ForeignKey

    @property
    def is_optional(self) -> bool:
        """Return whether a row may refer to none."""
        return any(one.is_nullable for one in self.table.columns if one.name in self.key.columns)

    @property
    def is_unique(self) -> bool:
        """Return whether at most one row may refer to the same."""
        return set(self.key.columns) in _unique(self.table, with_primary=True)


def tables() -> tuple[Table, ...]:
    """Return the tables as PostgreSQL has them, in the order of their declaration."""
    order = list(metadata.tables)
    declared = declared_tables(Dialect.POSTGRESQL)
    return tuple(sorted(declared, key=lambda table: order.index(table.name)))


def references(tables: Iterable[Table]) -> list[Reference]:
    """Return the foreign keys of the tables."""
    return [Reference(table, key) for table in tables for key in table.foreign_keys]


def key_words(table: Table, column: Column) -> list[str]:
    """Return ``PK``, ``FK`` and ``UQ``, as far as they hold for a column."""
    words = {
        "PK": table.primary_key is not None and column.name in table.primary_key.columns,
        "FK": any(column.name in key.columns for key in table.foreign_keys),
        "UQ": {column.name} in _unique(table, with_primary=False),
    }
    return [word for word, holds in words.items() if holds]


def declared_forms(name: str) -> dict[Dialect, Table]:
    """Return a table as each dialect has it."""
    return {
        dialect: table
        for dialect in Dialect
        for table in declared_tables(dialect)
        if table.name == name
    }


def compared_ddl(forms: dict[Dialect, Table]) -> list[Part]:
    """Return the DDL of a table, the dialects level with each other."""
    return compare(
        [tokenize(ddl([form], dialect).strip(), dialect) for dialect, form in forms.items()]
    )


def _unique(table: Table, *, with_primary: bool) -> list[set[str]]:
    keys = [key.columns for key in table.unique]
    keys += [index.parts for index in table.indexes if index.is_unique]
    if with_primary and table.primary_key:
        keys.append(table.primary_key.columns)
    return [set(columns) for columns in keys]


def migration_locks() -> dict[Dialect, list[PlannedMigration]]:
    """Return the statements of each migration and their locks, by dialect."""
    states = {d: State(read_migrations(folder("migrations"), d)) for d in Dialect}
    return {d: [one.planned(file, "apply") for file in one.files] for d, one in states.items()}
