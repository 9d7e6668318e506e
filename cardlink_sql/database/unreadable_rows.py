"""Rows that another program wrote with a value that no record can hold.

MySQL's zero date, PostgreSQL's ``infinity`` and a year after 9999 are such values.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from typing import Any, Final, TypeVar

from cardlink_sql.errors import QueryError

R = TypeVar("R", bound=Sequence[Any])
T = TypeVar("T")
V = TypeVar("V")

# A reader of rows raises these for a value that no gateway wrote.
UNREADABLE: Final = (ValueError, TypeError, KeyError, IndexError)
_KEYS: Final = ("id", "iccid", "key")
_skipped: Final = ContextVar[list[str] | None]("skipped", default=None)
_keys: Final = ContextVar[list[Any] | None]("keys", default=None)


class UnreadableTime(str):
    """A time as the database writes it."""

    __slots__ = ()


@contextmanager
def _set(variable: ContextVar[Any], value: V) -> Iterator[V]:
    token = variable.set(value)
    try:
        yield value
    finally:
        variable.reset(token)


def skipped() -> AbstractContextManager[list[str]]:
    """Leave such rows out of every result; yield a list that receives a sentence for each."""
    return _set(_skipped, [])


def none_skipped() -> AbstractContextManager[None]:
    """Refuse such rows again, within :func:`skipped`."""
    return _set(_skipped, None)


def skipped_keys() -> AbstractContextManager[list[Any]]:
    """Yield a list that receives the key of each row that is left out, for reading by pages."""
    return _set(_keys, [])


def without_unreadable(rows: Sequence[Any], names: Sequence[str]) -> list[Any]:
    """Return the rows of a result without those that have an :class:`UnreadableTime`.

    Raises:
        QueryError: a row has one, and rows may not be left out.
    """
    kept = []
    for row in rows:
        odd = next((at for at, value in enumerate(row) if isinstance(value, UnreadableTime)), None)
        if odd is None:
            kept.append(row)
        elif not skip(row, names, what := f"{names[odd]} is {row[odd]!s}"):
            raise QueryError(
                f"{row_name(row, names)} cannot be read: {what}, and a time has a year from 1 to "
                "9999",
                remedy="correct this row in the database, where another program wrote it",
            )
    return kept


def read_rows(
    rows: Iterable[R],
    read: Callable[[R], T],
    names: Sequence[str],
    what: str,
    refusal: Callable[[R], QueryError],
) -> Iterator[T]:
    """Yield what is read from each row, without those that are damaged and may be left out.

    Args:
        rows: of one result.
        read: raises one of :data:`UNREADABLE` for a damaged row.
        names: of its columns.
        what: said of a row that is left out.
        refusal: returns the error for one that may not be.
    """
    for row in rows:
        try:
            yield read(row)
        except UNREADABLE as error:
            if len(row) != len(names) or not skip(row, names, what):
                raise refusal(row) from error


def skip(row: Sequence[Any], names: Sequence[str], what: str) -> bool:
    """Return whether a row may be left out, and note it then."""
    sentences, keys = _skipped.get(), _keys.get()
    if sentences is None:
        return False
    sentences.append(f"{row_name(row, names)}: {what}")
    if keys is not None:
        keys.append(row[_key(names)])
    return True


def row_name(row: Sequence[Any], names: Sequence[str]) -> str:
    """Return a row's name for people: its key, or else its first column."""
    at = _key(names)
    return f"the row with {names[at]} {row[at]}"


def _key(names: Sequence[str]) -> int:
    return next((names.index(key) for key in _KEYS if key in names), 0)
