"""The kinds of values, and the backends' names for their types."""

from enum import StrEnum
from typing import Final


class ValueKind(StrEnum):
    """The kind of a value, whatever a backend calls its type."""

    TEXT = "text"
    INTEGER = "integer"
    FLOAT = "float"
    DECIMAL = "decimal"
    BOOLEAN = "boolean"
    TIME = "time"
    JSON = "json"
    BYTES = "bytes"


# Type names of the protocol, and of SQL.
MYSQL_NAMES: Final = {
    "TINY": "TINYINT",
    "SHORT": "SMALLINT",
    "INT24": "MEDIUMINT",
    "LONG": "INT",
    "LONGLONG": "BIGINT",
    "NEWDECIMAL": "DECIMAL",
}


def mysql_kinds() -> dict[int, ValueKind]:
    """Return the kinds by the protocol's numbers of their types."""
    from pymysql.constants import FIELD_TYPE as TYPE

    text = (TYPE.VARCHAR, TYPE.VAR_STRING, TYPE.STRING, TYPE.BLOB, TYPE.TINY_BLOB)
    return {
        **dict.fromkeys((*text, TYPE.MEDIUM_BLOB, TYPE.LONG_BLOB), ValueKind.TEXT),
        **dict.fromkeys((TYPE.TINY, TYPE.SHORT, TYPE.INT24, TYPE.LONG), ValueKind.INTEGER),
        TYPE.LONGLONG: ValueKind.INTEGER,
        TYPE.FLOAT: ValueKind.FLOAT,
        TYPE.DOUBLE: ValueKind.FLOAT,
        TYPE.NEWDECIMAL: ValueKind.DECIMAL,
        TYPE.DATETIME: ValueKind.TIME,
        TYPE.TIMESTAMP: ValueKind.TIME,
        TYPE.JSON: ValueKind.JSON,
    }


POSTGRESQL_KINDS: Final = {
    **dict.fromkeys(("text", "varchar", "bpchar", "name"), ValueKind.TEXT),
    **dict.fromkeys(("int2", "int4", "int8"), ValueKind.INTEGER),
    **dict.fromkeys(("float4", "float8"), ValueKind.FLOAT),
    **dict.fromkeys(("json", "jsonb"), ValueKind.JSON),
    "numeric": ValueKind.DECIMAL,
    "bool": ValueKind.BOOLEAN,
    "timestamptz": ValueKind.TIME,
    "bytea": ValueKind.BYTES,
}
