"""The description of a backup: ``manifest.json``."""

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from enum import StrEnum
from functools import partial
from typing import Any, Final

from cardlink_sql.dialect import Dialect
from cardlink_sql.errors import ValidationError
from cardlink_sql.formats.strict_json import load_json
from cardlink_sql.formats.text import decode
from cardlink_sql.formats.times import parse_time
from cardlink_sql.model import times, validation
from cardlink_sql.schema.migrator.bookkeeping import BOOKKEEPING_TABLES

FORMAT: Final = "cardlink-backup"
FORMAT_VERSION: Final = 1

_USE_ANOTHER: Final = "use another backup"
_SHA256: Final = re.compile(r"[0-9a-f]{64}")
_NAME: Final = re.compile(r"[A-Za-z0-9_]{1,64}")
# Half of what the column takes, so that there is room after it.
_LARGEST_NUMBER: Final = 1 << 62


class PayloadKind(StrEnum):
    """The format of a payload."""

    SQLITE = "sqlite"
    PG_DUMP = "pg_dump"
    MYSQLDUMP = "mysqldump"
    JSONL = "jsonl"


PAYLOAD_NAMES: Final = {
    PayloadKind.SQLITE: "cardlink.db",
    PayloadKind.PG_DUMP: "cardlink.pgdump",
    PayloadKind.MYSQLDUMP: "cardlink.sql",
    PayloadKind.JSONL: "cardlink.jsonl",
}


@dataclass(frozen=True)
class Contents:
    """The contents of a database in one snapshot.

    Args:
        migrations: the ids applied, oldest first.
        tables: the rows of each table of CardLink and of the migrations' bookkeeping.
        orphans: rows that refer to a row that is not there; only SQLite allows them.
    """

    migrations: tuple[str, ...]
    tables: dict[str, int]
    orphans: int = 0

    @property
    def own_tables(self) -> list[str]:
        """Return the tables without those of the migrations' bookkeeping."""
        return [name for name in self.tables if name not in BOOKKEEPING_TABLES]


@dataclass(frozen=True)
class Counter:
    """The number of the last event, which JSON lines do not hold, and whether any are published."""

    last_id: int
    publishes: bool


@dataclass(frozen=True)
class Manifest:
    """The contents of a backup and its origin.

    Args:
        kind: what the payload is.
        dialect: of the database that was backed up.
        product: ``SQLite``, ``PostgreSQL``, ``MariaDB`` or ``MySQL``.
        server_version: as the server writes it.
        contents: the migrations and the rows of each table.
        schema: PostgreSQL's schema that holds the tables.
        tool: the dump tool with its version, where one wrote the payload.
        counter: of the events, where the payload is JSON lines and any were published.
        created_at: UTC.
        size: of the payload, in bytes.
        sha256: of the payload, in hex.
    """

    kind: PayloadKind
    dialect: Dialect
    product: str
    server_version: str
    contents: Contents
    schema: str | None = None
    tool: str | None = None
    counter: Counter | None = None
    created_at: datetime = field(default_factory=times.utc_now)
    size: int = 0
    sha256: str = ""

    def to_document(self) -> dict[str, Any]:
        """Return the JSON of ``manifest.json``."""
        return {
            "format": FORMAT,
            "format_version": FORMAT_VERSION,
            "created_at": self.created_at.isoformat(),
            "kind": self.kind.value,
            "dialect": self.dialect.value,
            "product": self.product,
            "server_version": self.server_version,
            "tool": self.tool,
            "schema": self.schema,
            "migrations": list(self.contents.migrations),
            "tables": self.contents.tables,
            "orphans": self.contents.orphans,
            "event_counter": None if self.counter is None else asdict(self.counter),
            "payload": {
                "name": PAYLOAD_NAMES[self.kind],
                "size": self.size,
                "sha256": self.sha256,
            },
        }


def parse_manifest(text: bytes, where: str) -> Manifest:
    """Read ``manifest.json``.

    Raises:
        ValidationError: it is not a manifest, or one of another version of the format.
    """
    document = load_json(decode(text, where), where)
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise ValidationError("not a backup of cardlink-db", where, _USE_ANOTHER)
    version = document.get("format_version")
    if version != FORMAT_VERSION:
        raise ValidationError(
            f"the backup has format version {version!r}, not {FORMAT_VERSION}",
            where,
            "restore it with the cardlink-sql that wrote it",
        )
    try:
        return _read(document)
    except (KeyError, TypeError, ValueError) as error:
        what = f"the manifest is damaged: {error}"
        raise ValidationError(what, where, _USE_ANOTHER) from error


def _read(document: Mapping[str, Any]) -> Manifest:
    filled, count = validation.filled, partial(validation.whole, least=0)
    kind, payload, counter = document["kind"], document["payload"], document.get("event_counter")
    migrations, tables = document["migrations"], document["tables"]
    if payload["name"] != PAYLOAD_NAMES[PayloadKind(kind)]:
        raise ValueError("payload.name")
    if not _SHA256.fullmatch(validation.text(payload["sha256"], "payload.sha256")):
        raise ValueError("payload.sha256")
    if not isinstance(migrations, list) or not isinstance(tables, dict):
        raise TypeError("migrations, tables")
    if not all(map(_NAME.fullmatch, tables)):
        raise ValueError("tables")
    return Manifest(
        PayloadKind(kind),
        Dialect(document["dialect"]),
        filled(document["product"], "product"),
        filled(document["server_version"], "server_version"),
        Contents(
            tuple(filled(name, "migrations") for name in migrations),
            {name: count(rows, f"tables.{name}") for name, rows in tables.items()},
            count(document["orphans"], "orphans"),
        ),
        # A native backup has none, nor has one of an earlier release.
        counter=None if counter is None else _counter(counter),
        size=count(payload["size"], "payload.size"),
        sha256=payload["sha256"],
        created_at=parse_time(document["created_at"], "created_at"),
        **{
            name: None if document[name] is None else filled(document[name], name)
            for name in ("schema", "tool")
        },
    )


def _counter(value: Any) -> Counter:
    return Counter(
        validation.whole(value["last_id"], "event_counter.last_id", 0, _LARGEST_NUMBER),
        validation.boolean(value["publishes"], "event_counter.publishes"),
    )
