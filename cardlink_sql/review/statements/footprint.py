"""The tables and columns that each query reads and writes."""

from collections import defaultdict
from dataclasses import dataclass
from functools import cache
from typing import Final

from cardlink_sql.dialect import Dialect
from cardlink_sql.model.tables import metadata
from cardlink_sql.queries import Query, Rows, load_library
from cardlink_sql.review.statements.access import Access
from cardlink_sql.review.statements.statement import ParsedStatement
from cardlink_sql.review.statements.variants import as_written

WRITING: Final = frozenset({Rows.EXEC, Rows.INSERT, Rows.BATCH, Rows.COPY})


@dataclass(frozen=True)
class Footprint:
    """The tables and columns that a query reads and writes, with every optional line.

    Attributes:
        own: those that its statement names.
        by_foreign_key: those that foreign keys write in consequence, with the owner's rights.
    """

    own: Access
    by_foreign_key: Access


def footprints(dialect: Dialect) -> dict[str, Footprint]:
    """Return the footprint of each query of a dialect, by title."""
    return {query.title: footprint(query) for query in load_library(dialect).all()}


@cache
def footprint(query: Query) -> Footprint:
    """Return the footprint of one query, or raise ``QueryError`` if sqlglot cannot parse it."""
    own = ParsedStatement(as_written(query)).access
    return Footprint(own, _by_foreign_key(own.deletes))


def writes(query: Query) -> bool:
    """Return whether running the query would change anything."""
    own = footprint(query).own
    return query.rows in WRITING or bool(own.tables_written)


def _by_foreign_key(deleted: frozenset[str]) -> Access:
    """Return what foreign keys read and write when rows of these tables are deleted."""
    updates: dict[str, frozenset[str]] = defaultdict(frozenset)
    deletes = set[str]()
    waiting = list(deleted)
    while waiting:
        parent = waiting.pop()
        for table in metadata.sorted_tables:
            for key in table.foreign_key_constraints:
                if key.referred_table.name != parent:
                    continue
                if key.ondelete == "SET NULL":
                    updates[table.name] |= frozenset(key.column_keys)
                elif key.ondelete == "CASCADE" and table.name not in deletes:
                    deletes.add(table.name)
                    waiting.append(table.name)
    return Access(updates=dict(updates), deletes=frozenset(deletes - deleted))
