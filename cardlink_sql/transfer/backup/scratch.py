"""The place aside where a backup is unpacked and looked through before it replaces anything."""

from contextlib import AbstractContextManager
from typing import Protocol

from cardlink_sql.manager import DatabaseManager
from cardlink_sql.transfer.backup.restored import Replaced


class Scratch(Protocol):
    """An empty place beside a database. Whoever leaves its block leaves nothing behind."""

    @property
    def manager(self) -> DatabaseManager:
        """Of the database in that place."""

    def replace(self) -> Replaced | None:
        """Put what is here in the place of the database, which is kept under another name.

        Returns:
            Where it is kept; None where there was none.

        Raises:
            ConflictError: the database is in use; nothing was changed.
        """


class OpenScratch(Protocol):
    """Makes the place for a database, and holds its lock of migrations meanwhile."""

    def __call__(self, manager: DatabaseManager, /) -> AbstractContextManager[Scratch]:
        """The place for the database of a manager.

        Raises:
            MigrationError: a migration or another restore is under way.
            DatabaseError: the place cannot be made.
        """
