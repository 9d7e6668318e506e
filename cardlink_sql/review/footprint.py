"""What each query reads and writes."""

import sqlite3
from dataclasses import dataclass
from functools import cache

from cardlink_sql.dialect import Dialect
from cardlink_sql.queries import Query, load_library
from cardlink_sql.review.access import NOTHING, Access
from cardlink_sql.review.authorizer import observe
from cardlink_sql.review.clauses import Clauses
from cardlink_sql.review.scratch import sqlite_in_memory
from cardlink_sql.review.variants import as_written

_COMMON = "sql/common/"


@dataclass(frozen=True)
class Footprint:
    """What a query reads and writes, with every line in.

    Attributes:
        own: what its statement names.
        by_foreign_key: what foreign keys write because of it, with the owner's rights.
        by_trigger: what triggers do because of it.
        is_exact: SQLite prepared this very text. Otherwise the words of the statement were
            read: nothing is missed, but a column that two of its tables have counts for both.
    """

    own: Access
    by_foreign_key: Access = NOTHING
    by_trigger: Access = NOTHING
    is_exact: bool = True

    @property
    def all(self) -> Access:
        """Everything, whatever does it."""
        return self.own | self.by_foreign_key | self.by_trigger


def footprints(dialect: Dialect) -> dict[str, Footprint]:
    """The footprint of each query of a dialect, by title.

    A form that SQLite runs, or that all dialects have in common, is prepared on an SQLite
    database in memory. What foreign keys and triggers do for a form of another dialect's own
    is what they do for SQLite's form of the same name: the schema is the same.
    """
    return _all()[dialect]


@cache
def _all() -> dict[Dialect, dict[str, Footprint]]:
    # A form that dialects share is looked at once.
    known: dict[str, Footprint] = {}
    with sqlite_in_memory() as connection:
        for dialect in Dialect:
            for query in load_library(dialect).all():
                if query.where not in known:
                    known[query.where] = footprint(connection, query)
    return {
        dialect: {query.title: known[query.where] for query in load_library(dialect).all()}
        for dialect in Dialect
    }


def footprint(connection: sqlite3.Connection, query: Query) -> Footprint:
    """The footprint of one query.

    Args:
        connection: of a migrated SQLite database; its foreign keys are off afterwards.
        query: of any dialect.
    """
    variant = as_written(query)
    if query.dialect is Dialect.SQLITE or query.source.file.startswith(_COMMON):
        try:
            return Footprint(*observe(connection, variant))
        except sqlite3.Error:
            pass  # SQLite does not know this form; where it should, the check says so
    return Footprint(Clauses(variant.tokens).access(), *_effects(connection, query), is_exact=False)


def _effects(connection: sqlite3.Connection, query: Query) -> tuple[Access, Access]:
    twin = load_library(Dialect.SQLITE).gateway(query.source.gateway).get(query.source.name)
    try:
        return observe(connection, as_written(twin))[1:] if twin else (NOTHING, NOTHING)
    except sqlite3.Error:
        return NOTHING, NOTHING
