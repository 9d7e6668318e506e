"""The names of column types in the canonical DDL."""

import re
from collections.abc import Callable
from typing import Any, Final

from sqlalchemy.dialects import mysql, postgresql, sqlite
from sqlalchemy.engine import Dialect as SQLAlchemyDialect
from sqlalchemy.types import TypeEngine

from cardlink_sql.dialect import Dialect

# SQLAlchemy's own objects for the dialects.
SQLALCHEMY: Final[dict[Dialect, Callable[[], SQLAlchemyDialect]]] = {
    Dialect.SQLITE: sqlite.dialect,
    Dialect.MYSQL: mysql.dialect,
    Dialect.POSTGRESQL: postgresql.dialect,
}
_SHORT: Final = (
    (r" (CHARACTER SET|COLLATE) \S+", ""),
    (r"\b(BIGINT|INTEGER|SMALLINT)\(\d+\)", r"\1"),
    (r"^TIMESTAMP WITH TIME ZONE$", "TIMESTAMPTZ"),
    (r"^TIMESTAMP WITHOUT TIME ZONE$", "TIMESTAMP"),
    (r"^(BOOL|TINYINT\(1\))$", "BOOLEAN"),
)


def type_name(kind: TypeEngine[Any], dialect: SQLAlchemyDialect) -> str:
    """Return the name of a type, declared or reflected, without its collation."""
    name = kind.compile(dialect=dialect).upper()
    for old, new in _SHORT:
        name = re.sub(old, new, name)
    return name
