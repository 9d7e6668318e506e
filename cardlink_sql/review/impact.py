"""The queries that read or write a table or a column."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from cardlink_sql.dialect import Dialect
from cardlink_sql.errors import ValidationError
from cardlink_sql.model.tables import metadata
from cardlink_sql.queries import Query, load_library
from cardlink_sql.review.statements.footprint import footprint
from cardlink_sql.review.statements.forms import forms_of, near

STATEMENT: Final = "statement"


@dataclass(frozen=True)
class Impact:
    """The effect of a query on a table.

    Attributes:
        does: ``reads``, ``inserts``, ``updates`` or ``deletes``.
        columns: the columns; empty if whole rows are counted or deleted.
        by: ``statement`` or ``foreign key``.
        dialects: the dialects whose form has this effect.
    """

    query: str
    does: str
    table: str
    columns: tuple[str, ...]
    by: str
    dialects: tuple[Dialect, ...]

    @property
    def is_of_rows(self) -> bool:
        """Return whether whole rows are inserted, deleted or counted."""
        return self.does in ("inserts", "deletes") or not self.columns


def impact(table: str, column: str | None = None) -> list[Impact]:
    """Return the effects of the queries on a table or one of its columns, in order of titles.

    Inserting or deleting a row counts for each of its columns.

    Raises:
        ValidationError: the schema has no such table or column; the error lists similar names.
    """
    if table not in metadata.tables:
        raise ValidationError(f"there is no table {table!r}; {near(table, [*metadata.tables])}")
    columns = metadata.tables[table].columns.keys()
    if column is not None and column not in columns:
        raise ValidationError(f"{table} has no column {column!r}; {near(column, columns)}")
    return [
        one
        for _, forms in sorted(forms_of(map(load_library, Dialect)).items())
        for one in impacts(forms)
        if one.table == table
        and (column is None or column in one.columns or one.does in ("inserts", "deletes"))
    ]


def impacts(forms: Sequence[Query]) -> list[Impact]:
    """Return the effects of a query's forms by table, those of their statements first."""
    found: dict[tuple[bool, str, str, tuple[str, ...]], list[Dialect]] = defaultdict(list)
    for form in forms:
        touched = footprint(form)
        for is_key, access in ((False, touched.own), (True, touched.by_foreign_key)):
            for does, table, columns in access.effects():
                found[is_key, table, does, columns].append(form.dialect)
    title = forms[0].title
    return [
        Impact(title, does, table, columns, "foreign key" if is_key else STATEMENT, tuple(dialects))
        for (is_key, table, does, columns), dialects in sorted(found.items())
    ]
