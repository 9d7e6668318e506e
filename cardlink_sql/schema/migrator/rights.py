"""The rights that migrating needs on MySQL and MariaDB."""

import re
from typing import Final

from cardlink_sql import resources
from cardlink_sql.dialect import Dialect
from cardlink_sql.schema.migrator.files import read_migrations

ROW_RIGHTS: Final = ("SELECT", "INSERT", "UPDATE", "DELETE")
# Needs of a migration's statements, next to the rights on rows.
_NEEDED: Final = (
    (r"CREATE TABLE", "CREATE"),
    (r"ALTER TABLE", "ALTER"),
    (r"DROP (TABLE|VIEW)", "DROP"),
    (r"(CREATE (UNIQUE )?|DROP )INDEX", "INDEX"),
    (r".*FOREIGN KEY", "REFERENCES"),
    (r"(CREATE|DROP) TRIGGER", "TRIGGER"),
    (r"CREATE (OR REPLACE )?VIEW", "CREATE VIEW"),
    (r"CREATE (PROCEDURE|FUNCTION)", "CREATE ROUTINE"),
)
# Making the bookkeeping needs these whatever a migration does.
_ALWAYS: Final = ("CREATE", "ALTER", "DROP")


def mysql_rights() -> list[str]:
    """What to grant on a database to whoever migrates it."""
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
    """The pattern that matches one database in a GRANT, where ``_`` and ``%`` are any signs."""
    return re.sub(r"([\\%_])", r"\\\1", name)
