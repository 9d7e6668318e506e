"""The refusals of a backup and a restore that are the same for every kind of payload."""

from typing import Final

from cardlink_sql.dialect import Dialect
from cardlink_sql.errors import DatabaseError, MigrationError, ValidationError
from cardlink_sql.queries.resources import folder
from cardlink_sql.schema.migrator.files import read_migrations
from cardlink_sql.transfer.backup.contents import TABLES
from cardlink_sql.transfer.backup.manifest import Contents

# The rights that a backup needs.
LET_READ: Final = "let the role read the tables: cardlink-db sql grants --role reader"


def refuse_empty(contents: Contents, where: str) -> None:
    """Refuse to back up a database without a schema."""
    if not contents.migrations:
        raise MigrationError(
            "there is nothing to back up: no migration is applied to this database",
            where,
            "check the URL, or make the schema: cardlink-db init",
        )


def refuse_unseen(contents: Contents, dialect: Dialect, where: str) -> None:
    """Refuse to back up nothing, or less than there is.

    A server hides a table from who has no right to it.
    """
    refuse_empty(contents, where)
    is_current = set(contents.migrations) >= _known_migrations(dialect)
    unseen = [name for name in TABLES if name not in contents.tables]
    if is_current and unseen:
        raise DatabaseError(f"the role does not see the table {unseen[0]}", where, LET_READ)


def refuse_newer(contents: Contents, dialect: Dialect, where: str) -> None:
    """Refuse a backup whose migrations this version does not know."""
    known = _known_migrations(dialect)
    unknown = [name for name in contents.migrations if name not in known]
    if unknown:
        raise MigrationError(
            f"the backup has migrations that this cardlink-sql does not know: {', '.join(unknown)}",
            where,
            "install the cardlink-sql that wrote it, or a newer one; nothing was changed",
        )


def _known_migrations(dialect: Dialect) -> set[str]:
    return {file.id for file in read_migrations(folder("migrations"), dialect)}


def refuse_difference(found: Contents, expected: Contents, where: str) -> None:
    """Refuse what was unpacked where it is not what the manifest says."""
    names = sorted(found.tables.keys() | expected.tables.keys())
    compared: list[tuple[str, object, object]] = [
        ("migrations", ", ".join(found.migrations), ", ".join(expected.migrations)),
        *((f"rows of {name}", found.tables.get(name), expected.tables.get(name)) for name in names),
        ("rows that refer to none", found.orphans, expected.orphans),
    ]
    for what, there, said in compared:
        if there != said:
            raise ValidationError(
                f"the backup holds {what}: {there}, but its manifest says {said}",
                where,
                "use another backup; nothing was changed",
            )
