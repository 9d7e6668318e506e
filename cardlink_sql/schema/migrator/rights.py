"""The rights that migrating needs on MySQL and MariaDB."""

import re
from typing import Final

from cardlink_sql.dialect import Dialect
from cardlink_sql.queries import resources
from cardlink_sql.schema.migrator.files import read_migrations

ROW_RIGHTS: Final = ("SELECT", "INSERT", "UPDATE", "DELETE")
# The rights that a migration's statements need in addition to those on rows.
_NEEDED: Final = (
    (r"CREATE TABLE", "CREATE"),
    (r"ALTER TABLE", "ALTER"),
    (r"DROP (TABLE|VIEW)", "DROP"),
    (r"(CREATE ((UNIQUE|FULLTEXT|SPATIAL) )?|DROP )INDEX", "INDEX"),
    (r".*FOREIGN KEY", "REFERENCES"),
    (r"(CREATE|DROP) TRIGGER", "TRIGGER"),
    (r"CREATE (OR REPLACE )?VIEW", "CREATE VIEW"),
    (r"CREATE (PROCEDURE|FUNCTION)", "CREATE ROUTINE"),
)
# Every migration needs these to create the bookkeeping tables.
_ALWAYS: Final = ("CREATE", "ALTER", "DROP")


def mysql_rights() -> list[str]:
    """Return the rights on a database for the role that migrates it."""
    code = [
        statement.code.strip()
        for migration in read_migrations(resources.folder("migrations"), Dialect.MYSQL)
        for direction in ("apply", "rollback")
        for statement in migration.statements(direction)
    ]
    needed = dict.fromkeys(
        right
        for pattern, right in _NEEDED
        if right in _ALWAYS
        or any(re.match(pattern, one, re.IGNORECASE | re.DOTALL) for one in code)
    )
    return [*needed, *ROW_RIGHTS]


def escaped_pattern(name: str) -> str:
    """Return a GRANT's pattern for exactly one database: ``_`` and ``%`` are wildcards there."""
    return re.sub(r"([\\%_])", r"\\\1", name)
