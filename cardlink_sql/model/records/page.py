"""One page of a longer list."""

from dataclasses import dataclass
from typing import Any, Generic, NewType, TypeVar

R = TypeVar("R")

# Where a page ended. Only the gateway that made it knows what is in it.
Position = NewType("Position", tuple[Any, ...])


@dataclass(frozen=True, slots=True)
class Page(Generic[R]):
    """One page of a list. ``pages`` is 0 where there are no rows; pages count from 1."""

    items: list[R]
    total: int
    page: int
    per_page: int
    pages: int


@dataclass(frozen=True, slots=True)
class KeysetPage(Generic[R]):
    """A page of a deep read. ``after`` asks for the next one; ``None`` where this is the last."""

    items: list[R]
    after: Position | None
