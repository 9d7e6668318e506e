"""What a restore did."""

from dataclasses import dataclass

from cardlink_sql.transfer.backup.manifest import Manifest


@dataclass(frozen=True)
class Replaced:
    """The database that was replaced.

    Args:
        name: where it is kept: a file, a schema or a database.
        removal: what removes it: a command or a statement.
        attached: what others have made of its tables and the new ones lack, by name.
    """

    name: str
    removal: str
    attached: tuple[str, ...] = ()


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
