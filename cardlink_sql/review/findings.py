"""What a review finds wrong."""

from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches

from cardlink_sql.dialect import Dialect
from cardlink_sql.model.tables import metadata


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong.

    Attributes:
        check: which check found it, such as ``columns``.
        where: ``file:line:column``, or what is closest to that.
        query: the query's title; None for what is wrong with the schema.
        dialect: whose form or schema; None where the dialects do not agree.
        what: what is wrong, one sentence.
        remedy: what to do, one sentence.
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


def nearest(name: str) -> str:
    """What to do about a name that the database does not know."""
    known = [*metadata.tables, *_columns(), *_indexes()]
    near = get_close_matches(name.rpartition(".")[2].strip("\"'`"), known, n=3, cutoff=0.6)
    if near:
        return f"near: {', '.join(dict.fromkeys(near))}"
    return "mend the name here, or the schema by a migration"


def _columns() -> Iterable[str]:
    return dict.fromkeys(c.name for table in metadata.tables.values() for c in table.columns)


def _indexes() -> Iterable[str]:
    return [str(i.name) for table in metadata.tables.values() for i in table.indexes]
