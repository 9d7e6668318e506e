"""The payload of a backup: a class for each kind, in ``jsonl`` or a module named as its dialect."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import IO, ClassVar

from cardlink_sql.dialect import Dialect
from cardlink_sql.formats.leftovers import temporary_folder
from cardlink_sql.manager import DatabaseManager
from cardlink_sql.transfer.backup.container import Container
from cardlink_sql.transfer.backup.manifest import Manifest, PayloadKind


class Payload(ABC):
    """A kind of payload."""

    kind: ClassVar[PayloadKind]

    @abstractmethod
    def writer(self, manager: DatabaseManager, folder: Path) -> Callable[[IO[bytes]], Manifest]:
        """Return what writes and describes it; the folder is for a copy that it is made of.

        Raises:
            UnusableToolError: the server's own tool cannot be used.
        """

    def examine(self, backup: Container) -> None:
        """Read it from end to end and compare it with the manifest, without a database."""
        with temporary_folder() as folder:
            self.make_file(backup, folder / "examined.db")

    def make_file(self, backup: Container, target: Path) -> None:
        """Make an SQLite file of it, and compare that with the manifest."""
        raise NotImplementedError

    def load(self, manager: DatabaseManager, backup: Container) -> None:
        """Load it into the empty database of a server, and compare that with the manifest."""
        raise NotImplementedError


def payload_of(kind: PayloadKind | None, dialect: Dialect) -> Payload:
    """Return a kind of payload: JSON lines, or the native one of a dialect."""
    name = "jsonl" if kind is PayloadKind.JSONL else dialect.value
    found: Payload = import_module(f"cardlink_sql.transfer.backup.{name}").PAYLOAD
    return found
