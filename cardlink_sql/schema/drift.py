"""A live database held against the tables that the layer expects."""

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Final

from sqlalchemy import (
    CheckConstraint,
    Column,
    Connection,
    Engine,
    ForeignKeyConstraint,
    Identity,
    Inspector,
    String,
    Table,
    UniqueConstraint,
    create_engine,
    inspect,
    text,
)
from sqlalchemy.engine.interfaces import ReflectedColumn
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool
from sqlalchemy.types import TypeEngine

from cardlink_sql.config import without_secrets
from cardlink_sql.database.sqlite_file import database_file, open_read_only
from cardlink_sql.errors import ConnectionError
from cardlink_sql.model.tables import metadata
from cardlink_sql.schema.migrator import driver

# MySQL has the first, MariaDB the second; both compare byte for byte and pad nothing.
_BYTE_COLLATIONS: Final = {
    "mysql": ("utf8mb4_0900_bin", "utf8mb4_nopad_bin"),
    "postgresql": ("C",),
}
_COLLATIONS: Final = {
    "mysql": (
        "SELECT table_name, column_name, collation_name FROM information_schema.columns"
        " WHERE table_schema = DATABASE()"
    ),
    "postgresql": (
        "SELECT t.relname, a.attname, NULLIF(c.collname, 'default') FROM pg_catalog.pg_attribute a"
        " JOIN pg_catalog.pg_class t ON t.oid = a.attrelid"
        " JOIN pg_catalog.pg_collation c ON c.oid = a.attcollation"
        " WHERE a.attnum > 0 AND t.relkind IN ('r', 'p')"
        " AND pg_catalog.pg_table_is_visible(t.oid)"
    ),
}
_SQLITE_NUMBERED: Final = (
    "SELECT name FROM sqlite_master WHERE type = 'table' AND upper(sql) LIKE '%AUTOINCREMENT%'"
)

Description = dict[str, str]


def differences(engine: Engine) -> list[str]:
    """Where the database differs from the schema, a sentence each; none when they agree.

    Tables that the schema does not know are no difference. Writes nothing, and makes no
    SQLite file.

    Args:
        engine: of the database.

    Returns:
        Sentences such as ``devices: the type of name is VARCHAR(64), not VARCHAR(128)``.

    Raises:
        ConnectionError: the database cannot be reached, or refuses to be read.
    """
    file = database_file(engine)
    if file is not None and not file.exists():
        return [_missing(table) for table in metadata.sorted_tables]
    try:
        with _connected(engine) as connection:
            return list(_differences(_Live(connection)))
    except DBAPIError as error:
        raise ConnectionError(
            driver.message(error.orig or error),
            without_secrets(engine.url),
            "check that the server runs, and the rights of the user",
        ) from error


@contextmanager
def _connected(engine: Engine) -> Iterator[Connection]:
    file = database_file(engine)
    if file is None:
        with engine.connect() as connection:
            yield connection
        return
    reader = create_engine("sqlite://", creator=lambda: open_read_only(file), poolclass=NullPool)
    with reader.connect() as connection:
        yield connection


def _missing(table: Table) -> str:
    return f"the table {table.name} is missing"


def _differences(live: "_Live") -> Iterator[str]:
    for table in metadata.sorted_tables:
        if table.name not in live.tables:
            yield _missing(table)
            continue
        expected, found = _Expected(live).describe(table), live.describe(table.name)
        for what in sorted(expected.keys() | found.keys()):
            if what not in found:
                yield f"{table.name}: {what} is missing; it should be {expected[what]}"
            elif what not in expected:
                yield f"{table.name}: {what} is not of the schema: {found[what]}"
            elif found[what] != expected[what]:
                yield f"{table.name}: {what} is {found[what]}, not {expected[what]}"


class _Live:
    """The live database: what its tables are, in the words of a description."""

    def __init__(self, connection: Connection) -> None:
        self.dialect = connection.dialect
        self.is_mariadb = bool(getattr(self.dialect, "is_mariadb", False))
        self._inspector: Inspector = inspect(connection)
        self.tables = set(self._inspector.get_table_names())
        self._collations = self._read_collations(connection)
        self._numbered = self._read_numbered(connection)

    def describe(self, table: str) -> Description:
        columns = self._inspector.get_columns(table)
        described = {"the order of columns": ", ".join(column["name"] for column in columns)}
        for column in columns:
            described |= self._describe_column(table, column)
        return described | self._describe_keys(table) | self._describe_indexes(table)

    def type_name(self, kind: TypeEngine[Any]) -> str:
        """A type as both sides write it: no collation, no width of display, no synonym."""
        name = kind.compile(dialect=self.dialect).upper()
        name = re.sub(r" (CHARACTER SET|COLLATE) \S+", "", name)
        name = re.sub(r"\b(BIGINT|INTEGER)\(\d+\)", r"\1", name)
        if self.dialect.name == "mysql":
            name = re.sub(r"^BOOL$", "TINYINT(1)", name)
        # MariaDB's JSON is a LONGTEXT with a check.
        return re.sub(r"^JSON$", "LONGTEXT", name) if self.is_mariadb else name

    def _describe_column(self, table: str, column: ReflectedColumn) -> Description:
        name = column["name"]
        described = {
            f"the type of {name}": self.type_name(column["type"]),
            f"NULL in {name}": "allowed" if column["nullable"] else "refused",
        }
        is_numbered = (
            column.get("identity") is not None
            or (self.dialect.name == "mysql" and column.get("autoincrement") is True)
            or (table in self._numbered and self._is_key(table, name))
        )
        if is_numbered:
            described[f"the numbering of {name}"] = "automatic"
        elif column["default"] is not None:
            described[f"the default of {name}"] = _default(column["default"])
        if collation := self._collations.get((table, name)):
            accepted = _BYTE_COLLATIONS[self.dialect.name]
            described[f"the collation of {name}"] = (
                "byte order" if collation in accepted else collation
            )
        return described

    def _is_key(self, table: str, column: str) -> bool:
        return self._inspector.get_pk_constraint(table)["constrained_columns"] == [column]

    def _describe_keys(self, table: str) -> Description:
        key = self._inspector.get_pk_constraint(table)
        described = {_key(key.get("name"), self.dialect.name): _list(key["constrained_columns"])}
        for foreign in self._inspector.get_foreign_keys(table):
            described[f"the foreign key {foreign['name']}"] = _foreign(
                foreign["constrained_columns"],
                foreign["referred_table"],
                foreign["referred_columns"],
                foreign.get("options", {}).get("ondelete"),
            )
        for unique in self._inspector.get_unique_constraints(table):
            described[f"the unique constraint {unique['name']}"] = _list(unique["column_names"])
        for check in self._inspector.get_check_constraints(table):
            described[f"the check {check['name']}"] = _condition(check["sqltext"])
        return described

    def _describe_indexes(self, table: str) -> Description:
        constraints = {unique["name"] for unique in self._inspector.get_unique_constraints(table)}
        described = {}
        for index in self._inspector.get_indexes(table):
            if index["name"] in constraints:
                continue
            unique = " unique" if index["unique"] else ""
            columns = [column or "an expression" for column in index["column_names"]]
            described[f"the index {index['name']}"] = _list(columns) + unique
        return described

    def _read_collations(self, connection: Connection) -> dict[tuple[str, str], str]:
        if self.dialect.name not in _COLLATIONS:
            return {}
        rows = connection.execute(text(_COLLATIONS[self.dialect.name]))
        text_columns = _text_columns()
        return {
            (table, column): collation or "the database's default"
            for table, column, collation in rows
            if (table, column) in text_columns
        }

    def _read_numbered(self, connection: Connection) -> set[str]:
        if self.dialect.name != "sqlite":
            return set()
        return set(connection.execute(text(_SQLITE_NUMBERED)).scalars())


class _Expected:
    """The tables of the schema, described in the words of the live database."""

    def __init__(self, live: _Live) -> None:
        self._live = live
        self._dialect = live.dialect.name

    def describe(self, table: Table) -> Description:
        described = {"the order of columns": ", ".join(column.name for column in table.columns)}
        for column in table.columns:
            described |= self._describe_column(column)
        return described | self._describe_constraints(table) | self._describe_indexes(table)

    def _describe_column(self, column: Column[Any]) -> Description:
        name = column.name
        described = {
            f"the type of {name}": self._live.type_name(column.type),
            f"NULL in {name}": "allowed" if column.nullable else "refused",
        }
        if isinstance(column.server_default, Identity):
            described[f"the numbering of {name}"] = "automatic"
        elif column.server_default is not None:
            described[f"the default of {name}"] = _default(_server_default(column))
        if self._dialect in _COLLATIONS and isinstance(column.type, String):
            described[f"the collation of {name}"] = "byte order"
        return described

    def _describe_constraints(self, table: Table) -> Description:
        key = table.primary_key
        described = {_key(key.name, self._dialect): _list(key.columns.keys())}
        for constraint in table.constraints:
            name = constraint.name
            if isinstance(constraint, ForeignKeyConstraint):
                described[f"the foreign key {name}"] = _foreign(
                    constraint.column_keys,
                    constraint.referred_table.name,
                    [element.column.name for element in constraint.elements],
                    constraint.ondelete,
                )
            elif isinstance(constraint, UniqueConstraint):
                described[f"the unique constraint {name}"] = _list(constraint.columns.keys())
            elif isinstance(constraint, CheckConstraint):
                described[f"the check {name}"] = _condition(str(constraint.sqltext))
        return described

    def _describe_indexes(self, table: Table) -> Description:
        return {f"the index {index.name}": _list(index.columns.keys()) for index in table.indexes}


def _text_columns() -> set[tuple[str, str]]:
    return {
        (table.name, column.name)
        for table in metadata.sorted_tables
        for column in table.columns
        if isinstance(column.type, String)
    }


def _key(name: object, dialect: str) -> str:
    # MySQL names every primary key PRIMARY and does not report it.
    return "the primary key" if dialect == "mysql" else f"the primary key {name}"


def _list(columns: Iterable[str]) -> str:
    return f"({', '.join(columns)})"


def _foreign(
    columns: Iterable[str], table: str, referred: Iterable[str], ondelete: str | None
) -> str:
    action = ondelete or "NO ACTION"
    return f"{_list(columns)} to {table} {_list(referred)} on delete {action}"


def _server_default(column: Column[Any]) -> str:
    argument = getattr(column.server_default, "arg", None)
    return f"'{argument}'" if isinstance(argument, str) else str(argument)


def _default(sql: str) -> str:
    plain = re.sub(r"::[a-z ]+", "", sql)
    # PostgreSQL gives a truth value as a word, MySQL as quoted text, the others as a number.
    return {"true": "1", "false": "0", "'1'": "1", "'0'": "0"}.get(plain.lower(), plain)


def _condition(sql: str) -> str:
    """A check's condition as all servers give it back: they rewrite IN, add casts and brackets."""
    sql = re.sub(r"=\s*ANY\s*\(+\s*ARRAY\s*\[", " IN (", sql)
    sql = re.sub(r"::[a-z ]+(\[\])?", "", sql)
    pieces = re.split(r"('(?:[^']|'')*')", sql.replace("_utf8mb4", "").replace("\\'", "'"))
    pieces[::2] = [re.sub(r"[\s()\[\]`\"]", "", piece).lower() for piece in pieces[::2]]
    return " ".join(piece for piece in pieces if piece)
