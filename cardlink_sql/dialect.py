"""The SQL dialects that the layer speaks."""

from enum import StrEnum
from typing import Final


class Dialect(StrEnum):
    """A dialect, named as its folder under ``sql/`` and ``migrations/`` is.

    MariaDB and MySQL are one dialect: each statement runs on both.
    """

    SQLITE = "sqlite"
    MYSQL = "mysql"
    POSTGRESQL = "postgresql"

    @property
    def servers(self) -> str:
        """Return the servers that speak it, by their usual names."""
        return _SERVERS[self]


_SERVERS: Final = {
    Dialect.SQLITE: "SQLite",
    Dialect.MYSQL: "MySQL and MariaDB",
    Dialect.POSTGRESQL: "PostgreSQL",
}
