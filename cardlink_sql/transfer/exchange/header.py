"""The header of a file: what it is, of which version, from where and when."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from cardlink_sql.errors import ValidationError, shown
from cardlink_sql.formats.times import parse_time, time_text
from cardlink_sql.manager import DatabaseManager
from cardlink_sql.model import validation
from cardlink_sql.model.times import utc_now

FORMAT: Final = "cardlink-export"
FORMAT_VERSION: Final = 1
_REQUIRED: Final = ("format", "format_version")
_FIELDS: Final = (
    *_REQUIRED, "schema_version", "exported_at", "dialect", "tables", "since", "session", "keys",
)  # fmt: skip


def make_header(
    manager: DatabaseManager,
    tables: Sequence[str],
    scope: Mapping[str, str],
    keys: Mapping[str, Any],
) -> dict[str, Any]:
    """Return the header of an export; ``scope`` has ``since`` or ``session`` of a part."""
    made = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "schema_version": manager.migrator.status().current,
        "exported_at": time_text(utc_now()),
        "dialect": manager.dialect.value,
        "tables": list(tables),
        **scope,
    }
    return {**made, "keys": dict(keys)} if keys else made


def read_header(manager: DatabaseManager, value: Any, where: str) -> Mapping[str, Any]:
    """Check the header of a file, whose schema the database must have.

    Returns:
        How the file holds the cards' keys; empty where it holds none.
    """
    if not isinstance(value, dict):
        raise ValidationError(
            "the file has no header of an export", where, "its first part is the header"
        )
    for name in _REQUIRED:
        if name not in value:
            raise ValidationError(f"the header has no {name}", where)
    if value["format"] != FORMAT:
        raise ValidationError(f"the format is not {FORMAT}", f"{where}.format")
    version = validation.whole(value["format_version"], f"{where}.format_version", least=1)
    if version != FORMAT_VERSION:
        raise ValidationError(
            f"format version {version} is not known here, only {FORMAT_VERSION} is",
            f"{where}.format_version",
            "import it with the version of cardlink-sql that wrote it, or a newer one",
        )
    for name in value:
        if name not in _FIELDS:
            raise ValidationError(f"the field {shown(name)} is unknown", where)
    if "exported_at" in value:
        parse_time(value["exported_at"], f"{where}.exported_at")
    keys: Any = value.get("keys", {})
    if not isinstance(keys, dict):
        raise ValidationError("this is not an object", f"{where}.keys")
    if value.get("schema_version") is not None:
        _check_schema(manager, value["schema_version"], f"{where}.schema_version")
    return keys


def _check_schema(manager: DatabaseManager, given: Any, where: str) -> None:
    schema = validation.identifier(given, where, 255)
    status = manager.migrator.status()
    if schema in {migration.id for migration in status.applied}:
        return
    raise ValidationError(
        f"the file has the schema {shown(schema)}, and the database "
        + (f"has {status.current}" if status.current else "has none"),
        where,
        "run: cardlink-db migrate"
        if schema in status.pending
        else "update cardlink-sql: the file is from a newer one",
    )
