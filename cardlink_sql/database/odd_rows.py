"""Rows that another program wrote with a time that Python cannot hold.

MySQL's zero date, PostgreSQL's ``infinity`` and a year after 9999 are such times.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Final

from cardlink_sql.errors import ValidationError

_KEYS: Final = ("id", "iccid", "key")
_skipped: Final = ContextVar[list[str] | None]("skipped", default=None)


class OddTime(str):
    """A time as the database writes it."""

    __slots__ = ()


@contextmanager
def skipped() -> Iterator[list[str]]:
    """Leave such rows out of every result; yield a list that gets a sentence for each."""
    sentences: list[str] = []
    token = _skipped.set(sentences)
    try:
        yield sentences
    finally:
        _skipped.reset(token)


def without_odd(rows: Sequence[Any], names: Sequence[str]) -> list[Any]:
    """Return the rows without an :class:`OddTime`, where they may be left out.

    Args:
        rows: of one result.
        names: of its columns.

    Raises:
        ValidationError: a row has one, and rows may not be left out.
    """
    kept = []
    for row in rows:
        odd = next((at for at, value in enumerate(row) if isinstance(value, OddTime)), None)
        if odd is None:
            kept.append(row)
        elif not skip(row_name(row, names), what := f"{names[odd]} is {row[odd]!s}"):
            raise ValidationError(
                f"{row_name(row, names)} cannot be read: {what}, and a time has a year from 1 to "
                "9999",
                remedy="correct this row in the database, where another program wrote it",
            )
    return kept


def skip(row: str, what: str) -> bool:
    """Return whether a row may be left out, and note it then."""
    sentences = _skipped.get()
    if sentences is not None:
        sentences.append(f"{row}: {what}")
    return sentences is not None


def row_name(row: Sequence[Any], names: Sequence[str]) -> str:
    """Return a row's name for people: its key, or else its first column."""
    at = next((names.index(key) for key in _KEYS if key in names), 0)
    return f"the row with {names[at]} {row[at]}"
