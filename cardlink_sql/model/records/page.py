"""One page of a longer list."""

from dataclasses import dataclass
from typing import Any, Generic, NewType, TypeVar

from cardlink_sql.model.json_value import Record

R = TypeVar("R")

# The end of a page. Only the gateway that made it knows its content.
Position = NewType("Position", tuple[Any, ...])


@dataclass(frozen=True, slots=True)
class Page(Record, Generic[R]):
    """One page of a list, numbered from 1; beyond the last one it is empty.

    A deep page costs as much as all before it, which a :class:`KeysetPage` does not. ``pages`` is 0
    if there are no rows.
    """

    items: list[R]
    total: int
    page: int
    per_page: int
    pages: int

    @property
    def has_next(self) -> bool:
        """Return whether a page follows this one."""
        return self.page < self.pages

    @property
    def has_prev(self) -> bool:
        """Return whether a page with rows comes before this one."""
        return 1 < self.page <= self.pages + 1 and self.pages > 0


@dataclass(frozen=True, slots=True)
class KeysetPage(Record, Generic[R]):
    """A page of a deep read. ``after`` requests the next one; ``None`` on the last page."""

    items: list[R]
    after: Position | None
