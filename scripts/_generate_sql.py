"""Write the queries that follow from the tables into ``sql/common``, between markers.

Queries written by a person come first in each file, and win: a query of the same name is not
generated. A dialect's own form is in its folder, as for all queries.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, get_args, get_type_hints

from cardlink_sql.gateways import filters
from cardlink_sql.gateways.base import Gateway
from cardlink_sql.gateways.cards import CardGateway
from cardlink_sql.gateways.devices import DeviceGateway
from cardlink_sql.gateways.logs import LogGateway
from cardlink_sql.gateways.sessions import SessionGateway
from cardlink_sql.gateways.settings import SettingGateway
from cardlink_sql.gateways.tests import TestGateway

SQL = Path(__file__).parents[1] / "sql" / "common"
START = "-- generated from tables.py by scripts/generate-sql; do not edit"
END = "-- end of generated"
# The tables that are written many rows at a time, and the query that does so.
BATCHES: dict[Any, str] = {LogGateway: "add_log_batch", TestGateway: "create_results"}
# The conditions that narrow the pages of an export.
SCOPES = {
    "devices": {
        "session_id": "id = (SELECT s.device_id FROM ota_sessions s WHERE s.id = :session_id)"
    },
    "cards": {
        "session_id": "iccid = (SELECT s.card_iccid FROM ota_sessions s WHERE s.id = :session_id)"
    },
    "sessions": {"session_id": "id = :session_id"},
    "logs": {"session_id": "session_id = :session_id", "since": "timestamp >= :since"},
}
# The tables whose rows since a time an export finds by an index.
TIMED = ("sessions", "tests")
# Fields of a record that are not columns.
COMPUTED = {"has_psk": "psk_key_encrypted IS NOT NULL AS has_psk"}


@dataclass(frozen=True)
class Entity:
    """A table, and how sentences name its rows."""

    gateway: type[Gateway[Any, Any]]
    filters: Any
    orders: Any
    one: str
    many: str

    @property
    def key(self) -> str:
        """The key's column, as a condition names it."""
        return self.name_of(self.gateway.key)

    @property
    def columns(self) -> list[str]:
        """The columns in the order of the record."""
        return [spec.name for spec in fields(self.gateway.record)]

    def name_of(self, column: str) -> str:
        """Return a column as an expression names it: ``key`` alone is a reserved word of MySQL."""
        return f"{self.gateway.table.name}.key" if column == "key" else column

    def nullable(self, column: str) -> bool:
        """Whether the column may be NULL."""
        return bool(self.gateway.table.columns[column].nullable)


ENTITIES = (
    Entity(DeviceGateway, filters.DeviceFilter, filters.DeviceOrder, "device", "devices"),
    Entity(CardGateway, filters.CardFilter, filters.CardOrder, "card", "cards"),
    Entity(SessionGateway, filters.SessionFilter, filters.SessionOrder, "session", "sessions"),
    Entity(LogGateway, filters.LogFilter, filters.LogOrder, "log entry", "log entries"),
    Entity(TestGateway, filters.TestFilter, filters.TestOrder, "test result", "test results"),
    Entity(SettingGateway, filters.SettingFilter, filters.SettingOrder, "setting", "settings"),
)


def marked(text: str, marker: str) -> str:
    """Return a line with its marker, aligned where the line is short."""
    return f"{text:<46} -- {marker}"


def listed(items: list[str]) -> str:
    """Return the items of a list, one a line."""
    return ",\n".join(f"  {item}" for item in items)


def selected(entity: Entity) -> str:
    """Return what a query that returns records begins with."""
    columns = [COMPUTED.get(c, entity.name_of(c)) for c in entity.columns]
    return f"SELECT\n{listed(columns)}\nFROM {entity.gateway.table.name}"


def conditions(entity: Entity) -> str:
    """Return the WHERE of ``find_by`` and ``count_by``."""
    lines = ["WHERE 1 = 1"]
    for column in get_type_hints(entity.filters):
        name = entity.name_of(column)
        lines.append(marked(f"  AND {name} = :{column}", f"when: {column}"))
        if entity.nullable(column):
            lines.append(marked(f"  AND {name} IS NULL", f"when: {column}_is_null"))
    return "\n".join(lines)


def order_of(entity: Entity, column: str, direction: str) -> str:
    """Return an ORDER BY that puts NULL first on every backend, and ends in the key."""
    name, key = entity.name_of(column), entity.key
    if name == key:
        return f"{key}{direction}"
    nulls = f"{name} IS {'' if direction else 'NOT '}NULL, " if entity.nullable(column) else ""
    return f"{nulls}{name}{direction}, {key}{direction}"


def orderings(entity: Entity) -> str:
    """Return the ORDER BY of ``find_by``; the gateway's own order comes last, always."""
    default, is_descending, _ = entity.gateway.default_order.partition(" desc")
    lines = ["ORDER BY"]
    for column in get_args(entity.orders):
        for direction, word in (("", ""), (" DESC", " desc")):
            if f"{column}{word}" != entity.gateway.default_order:
                text = f"  {order_of(entity, column, direction)},"
                lines.append(marked(text, f"order: {column}{word}"))
    return "\n".join([*lines, f"  {order_of(entity, default, ' DESC' if is_descending else '')}"])


def inserted(table: str, columns: list[str]) -> str:
    """Return an INSERT of one row."""
    values = listed([f":{column}" for column in columns])
    return f"INSERT INTO {table} (\n{listed(columns)}\n)\nVALUES (\n{values}\n);"


def updated(entity: Entity, columns: list[str]) -> str:
    """Return an UPDATE of the row with a key."""
    values = listed([f"{column} = :{column}" for column in columns])
    table, key = entity.gateway.table.name, entity.gateway.key
    return f"UPDATE {table}\nSET\n{values}\nWHERE {entity.key} = :{key};"


def reads(entity: Entity) -> Iterator[str]:
    """Yield the queries that read one table as records."""
    one, many, key = entity.one, entity.many, entity.gateway.key
    table, select, own = entity.gateway.table.name, selected(entity), entity.key
    yield f"-- name: get_by_id :one\n-- The {one} with this key.\n{select}\nWHERE {own} = :{key};"
    yield (
        f"-- name: get_many :many\n-- The {many} with these keys.\n-- list: keys\n"
        f"{select}\nWHERE {own} IN (:keys);"
    )
    yield (
        f"-- name: find_by :many\n-- The {many} that match every filter given, a page of them.\n"
        "-- find_one_by, get_all and paginate send it too. NULL sorts first, on every backend.\n"
        f"{select}\n{conditions(entity)}\n{orderings(entity)}\nLIMIT :limit OFFSET :offset;"
    )
    yield (
        f"-- name: count_by :scalar\n-- How many {many} match every filter given.\n"
        "-- count and paginate send it too.\n"
        f"SELECT COUNT(*)\nFROM {table}\n{conditions(entity)}\n;"
    )
    yield (
        f"-- name: exists :scalar\n-- Whether there is a {one} with this key.\n"
        f"SELECT EXISTS (SELECT 1 FROM {table} WHERE {own} = :{key});"
    )
    yield (
        f"-- name: page_after :many\n-- A page of the {many} by key: as quick at the end of the"
        f" table as at its start.\n{select}\nWHERE 1 = 1\n"
        f"{marked(f'  AND {own} > :{key}', f'when: {key}')}\nORDER BY {own}\nLIMIT :limit;"
    )


def writes(entity: Entity) -> Iterator[str]:
    """Yield the queries that write one record."""
    gateway, one, key = entity.gateway, entity.one, entity.gateway.key
    table = gateway.table.name
    columns = [c for c in entity.columns if c not in gateway.not_written]
    kept = ["its key", *(c for c in entity.columns if c in gateway.not_updated and c in columns)]
    rows = "exec" if key in columns else "insert"
    changed = [c for c in columns if c != key and c not in gateway.not_updated]
    yield f"-- name: create :{rows}\n-- A new {one}.\n{inserted(table, columns)}"
    if gateway in BATCHES:
        in_order = [c.name for c in gateway.table.columns if c.name in columns]
        yield (
            f"-- name: {BATCHES[gateway]} :batch\n-- Many new {entity.many} in one statement.\n"
            f"{inserted(table, in_order)}"
        )
    yield (
        f"-- name: update :exec\n-- All fields of a {one} but {' and '.join(kept)}.\n"
        f"{updated(entity, changed)}"
    )
    yield (
        f"-- name: delete_by_id :exec\n-- The {one} with this key, gone. delete sends it too.\n"
        f"DELETE FROM {table}\nWHERE {entity.key} = :{key};"
    )


def exchange(entity: Entity) -> Iterator[str]:
    """Yield what an export and an import need of a table: all columns, in the table's order."""
    one, many, word = entity.one, entity.many, entity.gateway.name
    columns = [column.name for column in entity.gateway.table.columns]
    table, own = entity.gateway.table.name, entity.key
    select = f"SELECT\n{listed([entity.name_of(c) for c in columns])}\nFROM {table}"
    scopes = SCOPES.get(word, {}).items()
    narrowed = [marked(f"  AND {condition}", f"when: {name}") for name, condition in scopes]
    where = "\n".join([f"WHERE {own} > :after", *narrowed])
    scoped = f", or of them those of :{' or :'.join(dict(scopes))}" if scopes else ""
    yield (
        f"-- name: page_{word} :many\n-- The {many} after a key, in its order: all{scoped}.\n"
        f"{select}\n{where}\nORDER BY {own}\nLIMIT :limit;"
    )
    if word in TIMED:
        page = [
            marked("  AND created_at >= :created_at", "when: created_at, id"),
            marked("  AND (created_at > :created_at OR id > :id)", "when: created_at, id"),
        ]
        yield (
            f"-- name: page_{word}_since :many\n-- The {many} created from a time on, in the order"
            f"\n-- of their creation: the first, or those after the last one found.\n{select}\n"
            f"WHERE created_at >= :since\n{chr(10).join(page)}\n"
            "ORDER BY created_at, id\nLIMIT :limit;"
        )
    if "id" not in entity.gateway.not_written:
        yield (
            f"-- name: find_{word} :many\n-- The {many} with these keys.\n-- list: keys\n"
            f"{select}\nWHERE {own} IN (:keys);"
        )
    yield (
        f"-- name: insert_{word} :batch\n-- New {many}, many in one statement.\n"
        f"{inserted(table, columns)}"
    )
    if "id" in entity.gateway.not_written:
        yield (
            f"-- name: append_{word} :batch\n-- New {many} that the database numbers, many in one"
            f" statement.\n{inserted(table, columns[1:])}"
        )
    changed = [column for column in columns if column != entity.gateway.key]
    yield (
        f"-- name: update_{word} :exec\n-- Every column of a {one} but its key.\n"
        f"{updated(entity, changed)}"
    )


def names(text: str) -> set[str]:
    """Return the names of the queries in a file's text."""
    return set(re.findall(r"(?m)^-- name: (\w+)", text))


def completed(gateway: str, queries: Iterable[str]) -> tuple[Path, str]:
    """Return a gateway's file and its text: what a person wrote, then what is generated."""
    file = SQL / f"{gateway}.sql"
    written = file.read_text("utf-8").partition(START)[0].rstrip()
    generated = [query for query in queries if not names(query) & names(written)]
    return file, "\n\n".join([written, START, *generated, END]) + "\n"


def files() -> dict[Path, str]:
    """Return the files that have generated queries, each with its text."""
    own = [completed(e.gateway.name, [*reads(e), *writes(e)]) for e in ENTITIES]
    return dict([*own, completed("exchange", [q for e in ENTITIES for q in exchange(e)])])


if __name__ == "__main__":
    for file, text in files().items():
        file.write_text(text, "utf-8")
