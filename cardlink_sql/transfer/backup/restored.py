"""The result of a restore."""

from dataclasses import dataclass

from cardlink_sql.transfer.backup.manifest import Manifest


@dataclass(frozen=True)
class Replaced:
    """The SQLite database that was replaced.

    Args:
        name: the file that keeps it.
        removal: the command that removes it.
    """

    name: str
    removal: str


@dataclass(frozen=True)
class Restored:
    """A database that was restored.

    Args:
        manifest: of the backup.
        replaced: what was there before; None where there was nothing.
        pending: the migrations that the backup is older than.
    """

    manifest: Manifest
    replaced: Replaced | None
    pending: list[str]
