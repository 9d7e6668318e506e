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

    @property
    def placeholder(self) -> str:
        """Return the driver's mark for a bound value."""
        return "?" if self is Dialect.SQLITE else "%s"

    def escaped(self, text: str) -> str:
        """Return SQL as the driver takes it, where ``%`` may start a placeholder."""
        return text.replace("%", "%%") if "%" in self.placeholder else text

    def unescaped(self, text: str) -> str:
        """Return SQL as the server takes it."""
        return text.replace("%%", "%") if "%" in self.placeholder else text


_SERVERS: Final = {
    Dialect.SQLITE: "SQLite",
    Dialect.MYSQL: "MySQL and MariaDB",
    Dialect.POSTGRESQL: "PostgreSQL",
}
