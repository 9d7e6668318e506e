"""The indexes, and the queries that need each by their plans in the lock."""

import re
from collections.abc import Collection, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from functools import cache
from typing import Final

from sqlalchemy import Table

from cardlink_sql.database.faults import driver_message
from cardlink_sql.database.internal import InternalStatements
from cardlink_sql.dialect import Dialect
from cardlink_sql.manager import DatabaseManager
from cardlink_sql.model.tables import metadata, unique_constraints
from cardlink_sql.review.databases.backend import index_heads
from cardlink_sql.review.findings import Finding
from cardlink_sql.review.lock import Entries, entries_of, read_lock
from cardlink_sql.review.migrations.schema_dump import place_in_schema

_INDEXES: Final = "review.secondary_indexes"
_NO_READER: Final = "drop it by a migration, for each row written pays for it, or add its query"


@dataclass(frozen=True)
class IndexUse:
    """An index other than a primary key's.

    Attributes:
        table: its table; None for one that the schema does not have.
        columns: in order.
        queries: the titles of those that need it, by dialect.
        reason: why it stays even if no query needs it; None if nothing else needs it.
    """

    name: str
    table: str | None
    columns: tuple[str, ...] = ()
    queries: Mapping[Dialect, tuple[str, ...]] = field(default_factory=dict)
    reason: str | None = None

    @property
    def all_queries(self) -> tuple[str, ...]:
        return tuple(sorted({title for titles in self.queries.values() for title in titles}))


@dataclass(frozen=True)
class LiveIndexes:
    """The indexes of a live database, by name, primary keys left out.

    Attributes:
        valid: each index of the database, and whether the server uses it.
        bytes: the sizes.
        uses: scans on PostgreSQL, rows read on MySQL and MariaDB, since the server counts.
        notes: a sentence for each of the two that the database does not have.
    """

    valid: Mapping[str, bool]
    bytes: Mapping[str, int]
    uses: Mapping[str, int]
    notes: tuple[str, ...]

    def figures(self, name: str) -> dict[str, str | int | None]:
        """Return an index's ``state`` (valid, invalid or missing), ``uses`` and ``bytes``."""
        state = {True: "valid", False: "invalid", None: "missing"}[self.valid.get(name)]
        return {"state": state, "uses": self.uses.get(name), "bytes": self.bytes.get(name)}


def index_uses(*dialects: Dialect) -> list[IndexUse]:
    """Return the indexes and unique constraints of the schema, by table. Needs no database.

    Args:
        dialects: only those that one of these has; of all if none is named.
    """
    of = dialects or tuple(Dialect)
    needed = {dialect: _needed(entries_of(read_lock(dialect))) for dialect in of}
    return [
        IndexUse(name, table.name, columns, {one: needed[one].get(name, ()) for one in of}, reason)
        for table in metadata.sorted_tables
        for name, columns, reason in sorted(_indexes(table, of))
    ]


def check_indexes() -> list[Finding]:
    """Return the indexes that neither a query nor a key needs. Needs no database."""
    faults = []
    for one in index_uses():
        if not one.reason and not one.all_queries:
            where = place_in_schema(Dialect.SQLITE, f"{one.table}: {one.name}")
            what = f"no query needs the index {one.name} of {one.table}, by the plans in sql/lock/"
            faults.append(Finding("indexes", where, None, None, what, _NO_READER))
    return faults


def live_indexes(manager: DatabaseManager) -> LiveIndexes:
    """Return what a database knows of its indexes."""
    with closing(manager.take_connection()) as pooled:
        statements = InternalStatements(manager.dialect, pooled.driver_connection)
        valid = {_name(index): bool(is_valid) for index, is_valid in statements.rows(_INDEXES)}
        sizes, notes = _figures(manager, statements, "index_sizes")
        if manager.dialect is Dialect.SQLITE:
            uses, more = dict[str, int](), ["SQLite does not count how often an index is used"]
        else:
            uses, more = _figures(manager, statements, "index_uses")
    if manager.dialect is Dialect.MYSQL and not uses and not more:
        more = ["the server counts no use of indexes: start it with performance_schema = ON"]
    return LiveIndexes(valid, sizes, uses, (*notes, *more))


def _figures(
    manager: DatabaseManager, statements: InternalStatements, name: str
) -> tuple[dict[str, int], list[str]]:
    try:
        rows = statements.rows(f"review.{name}")
    except manager.driver_errors as error:
        return {}, [f"no {name.replace('_', ' ')}: {driver_message(error)}"]
    return {_name(index): int(figure or 0) for index, figure in rows}, []


def _needed(queries: Entries) -> dict[str, tuple[str, ...]]:
    """Return the queries by the index that their plans name."""
    found: dict[str, list[str]] = {}
    for title, entry in queries.items():
        words = {_name(word) for word in re.findall(r"\w+", str(entry.get("plan")))}
        for name in sorted(words & index_heads().keys()):
            # Counting all rows walks any index.
            if entry.get("reads", {}).get(index_heads()[name][0]) != "":
                found.setdefault(name, []).append(title)
    return {name: tuple(titles) for name, titles in found.items()}


def _name(index: str) -> str:
    return _sqlite_names().get(index, index)


@cache
def _sqlite_names() -> dict[str, str]:
    """Return the unique keys by SQLite's names: it numbers them, after a primary key of text."""
    return {
        f"sqlite_autoindex_{table.name}_{number}": str(one.name)
        for table in metadata.tables.values()
        for number, one in enumerate(unique_constraints(table), 2)
    }


def _indexes(
    table: Table, dialects: Collection[Dialect]
) -> Iterator[tuple[str, tuple[str, ...], str | None]]:
    keys = {tuple(key.column_keys): key for key in table.foreign_key_constraints}
    for one in table.indexes:
        if "method" in one.info and Dialect.POSTGRESQL not in dialects:
            continue
        columns = tuple(column.name for column in one.columns)
        beginnings = (columns[:length] for length in range(1, len(columns) + 1))
        key = next((keys[begins] for begins in beginnings if begins in keys), None)
        refers = f"deletes of {key.referred_table.name} look up its foreign key" if key else None
        unique = "it refuses equal values" if one.unique else None
        yield str(one.name), columns, unique or refers
    for unique_key in unique_constraints(table):
        names = tuple(column.name for column in unique_key.columns)
        yield str(unique_key.name), names, "it refuses equal values"
