"""The queries that read or write a table or a column."""

from collections.abc import Iterator
from dataclasses import dataclass
from difflib import get_close_matches

from cardlink_sql.dialect import Dialect
from cardlink_sql.errors import ValidationError
from cardlink_sql.model.tables import metadata
from cardlink_sql.queries import Query, load_library
from cardlink_sql.review.access import Access
from cardlink_sql.review.footprint import Footprint, footprints


@dataclass(frozen=True)
class Impact:
    """The effect of a query on a table.

    Attributes:
        query: the query's title.
        does: ``reads``, ``inserts``, ``updates`` or ``deletes``.
        columns: the columns; empty if whole rows are counted or deleted.
        by: ``statement`` or ``foreign key``.
        dialects: the dialects whose form has this effect.
    """

    query: str
    does: str
    columns: tuple[str, ...]
    by: str
    dialects: tuple[Dialect, ...]


def impact(table: str, column: str | None = None) -> list[Impact]:
    """Return the effects of the queries on a table or one of its columns, in order of titles.

    Inserting or deleting a row counts for each of its columns.

    Raises:
        ValidationError: the schema has no such table or column; the error lists similar names.
    """
    check_names(table, column)
    found: dict[tuple[str, str, tuple[str, ...], str], list[Dialect]] = {}
    for dialect in Dialect:
        for title, footprint in footprints(dialect).items():
            for does, columns, by in effects(footprint, table):
                if column is None or column in columns or does in ("inserts", "deletes"):
                    found.setdefault((title, does, columns, by), []).append(dialect)
    return [Impact(*key, tuple(dialects)) for key, dialects in sorted(found.items())]


def check_names(table: str, column: str | None) -> None:
    """Refuse a table or column that the schema does not have.

    Raises:
        ValidationError: the schema does not have it; the error lists similar names.
    """
    if table not in metadata.tables:
        raise ValidationError(f"there is no table {table!r}; {_near(table, [*metadata.tables])}")
    columns = metadata.tables[table].columns.keys()
    if column is not None and column not in columns:
        raise ValidationError(f"{table} has no column {column!r}; {_near(column, columns)}")


def find_query(title: str) -> list[Query]:
    """Return the forms of a query, one for each dialect that has it.

    Raises:
        ValidationError: no dialect has it; the error lists similar names.
    """
    libraries = [{q.title: q for q in load_library(dialect).all()} for dialect in Dialect]
    forms = [library[title] for library in libraries if title in library]
    if not forms:
        titles = sorted(set().union(*libraries))
        raise ValidationError(f"there is no query {title!r}; {_near(title, titles)}")
    return forms


def _near(name: str, names: list[str]) -> str:
    near = get_close_matches(name, names, n=3, cutoff=0.5)
    if near:
        return f"near: {', '.join(near)}"
    return f"there are: {', '.join(names)}" if len(names) < 20 else "cardlink-db sql list shows all"


def effects(footprint: Footprint, table: str) -> Iterator[tuple[str, tuple[str, ...], str]]:
    """Yield each effect on a table (``reads``, ``inserts``, …), its columns, and its cause."""
    for by, access in (
        ("statement", footprint.own),
        ("foreign key", footprint.by_foreign_key),
    ):
        yield from ((does, columns, by) for does, columns in _done(access, table))


def _done(access: Access, table: str) -> Iterator[tuple[str, tuple[str, ...]]]:
    for does, columns in (
        ("reads", access.reads),
        ("inserts", access.inserts),
        ("updates", access.updates),
    ):
        if table in columns:
            yield does, tuple(sorted(columns[table]))
    if table in access.deletes:
        yield "deletes", ()
