"""An iterator that belongs to a thread, as its transaction does."""

from collections.abc import Iterator
from typing import TypeVar

from cardlink_sql.database.transaction import Transaction

T = TypeVar("T")


class OwnedIterator(Iterator[T]):
    """An iterator that is refused to threads other than the one that opened its transaction.

    The check is outside the generator, which an exception would end: its owner reads on.
    """

    __slots__ = ("_items", "_transaction")

    def __init__(self, transaction: Transaction, items: Iterator[T]) -> None:
        self._transaction = transaction
        self._items = items

    def __next__(self) -> T:
        self._transaction.check_owner()
        return next(self._items)

    def close(self) -> None:
        """End the reading; after it, the iteration has no more items."""
        if self._transaction.is_open:
            self._transaction.check_owner()
        self._items = iter(())
