"""The kinds of values, and PostgreSQL's names for their types, which the lock has."""

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
