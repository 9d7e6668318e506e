"""The findings of a review."""

from dataclasses import dataclass
from difflib import get_close_matches

from cardlink_sql.dialect import Dialect
from cardlink_sql.model.tables import metadata
from cardlink_sql.queries import Query


@dataclass(frozen=True)
class Finding:
    """One fault that a review found.

    Attributes:
        check: the check that found it, such as ``columns``.
        where: ``file:line:column``, or the closest known place.
        query: the query's title; None for a fault of the schema.
        dialect: the dialect of the form or schema; None if the dialects disagree.
        what: the fault, in one sentence.
        remedy: how to correct it, in one sentence.
    """

    check: str
    where: str
    query: str | None
    dialect: Dialect | None
    what: str
    remedy: str

    def __str__(self) -> str:
        of = " ".join(filter(None, [self.query, self.dialect and f"({self.dialect})"]))
        return f"{self.where}: {of}: {self.what}" if of else f"{self.where}: {self.what}"


def fault_of(check: str, query: Query, what: str, remedy: str, where: str | None = None) -> Finding:
    """Return a fault of a query; it is at the query's header if no place is named."""
    return Finding(check, where or query.where, query.title, query.dialect, what, remedy)


def nearest(name: str) -> str:
    """Return the remedy for a name that the database does not know."""
    tables = metadata.tables.values()
    columns = dict.fromkeys(column.name for table in tables for column in table.columns)
    indexes = (str(index.name) for table in tables for index in table.indexes)
    known = [*metadata.tables, *columns, *indexes]
    near = get_close_matches(name.rpartition(".")[2].strip("\"'`"), known, n=3, cutoff=0.6)
    if near:
        return f"near: {', '.join(dict.fromkeys(near))}"
    return "correct the name here, or change the schema by a migration"
