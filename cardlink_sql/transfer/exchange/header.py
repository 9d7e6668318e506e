"""The header of a file: what it is, of which version, from where and when."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
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


@dataclass(frozen=True, slots=True)
class Header:
    """The head of a file.

    Args:
        schema_version: the id of the last migration of the database that it came from.
        keys: how the file holds the cards' keys; empty where it holds none.
    """

    schema_version: str | None = None
    keys: Mapping[str, Any] = field(default_factory=dict)


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


def read_header(value: Any, where: str) -> Header:
    """Check the header of a file."""
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
    keys = value.get("keys", {})
    if not isinstance(keys, dict):
        raise ValidationError("this is not an object", f"{where}.keys")
    schema = value.get("schema_version")
    if schema is not None:
        validation.identifier(schema, f"{where}.schema_version", 255)
    return Header(schema, keys)


def check_schema(manager: DatabaseManager, header: Header, where: str) -> None:
    """Refuse a file whose schema the database does not have."""
    status = manager.migrator.status()
    known = {migration.id for migration in status.applied}
    if header.schema_version is None or header.schema_version in known:
        return
    pending = header.schema_version in status.pending
    raise ValidationError(
        f"the file has the schema {shown(header.schema_version)}, and the database "
        + (f"has {status.current}" if status.current else "has none"),
        f"{where}.schema_version",
        "run: cardlink-db migrate"
        if pending
        else "update cardlink-sql: the file is from a newer one",
    )
