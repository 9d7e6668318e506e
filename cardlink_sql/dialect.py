"""The SQL dialects that the layer speaks."""

from enum import StrEnum


class Dialect(StrEnum):
    """A dialect, named as its folder under ``sql/`` and ``migrations/`` is.

    MariaDB and MySQL are one dialect: each statement runs on both.
    """

    SQLITE = "sqlite"
    MYSQL = "mysql"
    POSTGRESQL = "postgresql"
