"""Reads the tables of a database into the model that is compared.

SQLAlchemy's inspector returns what all servers have in common; what it leaves out (the direction of
an index's columns, the conditions of partial indexes, table options) comes from the server itself.
Conditions stay as the server writes them. Anything that the model cannot express is listed.
"""

import re
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import cache
from typing import Any, Final, TypeAlias

import sqlalchemy
from sqlalchemy import Connection, DefaultClause, MetaData, inspect
from sqlalchemy.exc import SAWarning

from cardlink_sql.database.internal import InternalStatements
from cardlink_sql.dialect import Dialect
from cardlink_sql.schema.ddl.declared import table_of
from cardlink_sql.schema.ddl.forms import FORMS, type_name
from cardlink_sql.schema.ddl.model import Column, Index, Key, Table

# Matches only the form of the indexes that the layer creates. Storage parameters are the DBA's.
_INDEX: Final = re.compile(
    r"CREATE (?:UNIQUE )?INDEX \S+ ON \S+ (?:USING (?P<method>btree|brin) )?"
    r"\((?P<parts>.*?)\)(?: WITH \(.*?\))?(?: WHERE (?P<where>.*))?",
    re.IGNORECASE,
)
_SQLITE_UNKNOWN: Final = re.compile(
    r"\b(COLLATE|GENERATED|DEFERRABLE|ON\s+CONFLICT|WITHOUT\s+ROWID|STRICT|VIRTUAL)\b",
    re.IGNORECASE,
)
AnyColumn: TypeAlias = sqlalchemy.Column[Any]


def read_some(
    connection: Connection, names: Iterable[str]
) -> tuple[dict[str, Table], list[tuple[str, str]]]:
    """Return those of these tables that exist, and what the model cannot express of them."""
    reader = _READERS[Dialect(connection.dialect.name)](connection)
    there = set(inspect(connection).get_table_names())
    found = {name: reader.table(name) for name in names if name in there}
    return found, reader.unknown


class _TableReader:
    """The reads that are the same everywhere."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._dialect = Dialect(connection.dialect.name)
        driver = connection.connection.driver_connection
        self._statements = InternalStatements(self._dialect, driver)
        # Everything that the model cannot express: its place and a description.
        self.unknown: list[tuple[str, str]] = []
        self._definition = cache(self._read_definition)

    def table(self, name: str) -> Table:
        """Read a table."""
        with warnings.catch_warnings():
            # SQLAlchemy warns about indexes over expressions, which are read separately.
            warnings.simplefilter("ignore", SAWarning)
            live = sqlalchemy.Table(
                name, MetaData(), autoload_with=self._connection, resolve_fks=False
            )
        self.unknown += [(name, str(what)) for (what,) in self._rows("extras", name)]
        columns = list(self._columns(live))
        for key in sorted(live.foreign_key_constraints, key=lambda key: str(key.name)):
            words = (word for word in ("deferrable", "initially", "match") if getattr(key, word))
            if unknown := [*words, *sorted(key.dialect_kwargs)]:
                self.unknown.append((f"{name}.{key.name}", ", ".join(unknown)))
        indexes, options = self._indexes(name), self._options(name)
        return table_of(live, self._dialect, columns, indexes, options)

    def _columns(self, table: sqlalchemy.Table) -> Iterator[Column]:
        for column in table.columns:
            if column.computed:
                self.unknown.append((str(column), "a computed column"))
                continue
            kind = self._type(column)
            numbering = self._numbering(column)
            default = column.server_default
            sql = None
            if isinstance(default, DefaultClause) and not numbering:
                sql = str(default.arg)
            yield Column(
                name=column.name,
                type=kind,
                collation=self._collation(column),
                is_nullable=bool(column.nullable),
                default=_default(sql, kind),
                numbering=numbering,
            )

    def _type(self, column: AnyColumn) -> str:
        return type_name(column.type, self._connection.dialect)

    def _rows(self, title: str, table: str) -> list[Any]:
        return self._statements.rows(f"catalog.{title}", name=table)

    def _read_definition(self, _table: str) -> str:
        """Return the CREATE TABLE of a table; empty where nothing is read from it."""
        return ""

    def _collation(self, column: AnyColumn) -> str | None:
        return getattr(column.type, "collation", None)

    def _numbering(self, _column: AnyColumn) -> str | None:
        return None

    def _indexes(self, table: str) -> Iterator[Index]:
        for name, is_unique, sql, is_valid in self._rows("indexes", table):
            found = _INDEX.fullmatch(re.sub(r"\s+", " ", sql))
            if found is None:
                self.unknown.append((name, sql))
                continue
            parts = (_part(part.strip()) for part in re.split(r",(?![^(]*\))", found["parts"]))
            method = None if found["method"] == "btree" else found["method"]
            yield Index(name, tuple(parts), bool(is_unique), found["where"], method, bool(is_valid))

    def _options(self, _table: str) -> str | None:
        return None


class _SQLite(_TableReader):
    def table(self, name: str) -> Table:
        if found := _SQLITE_UNKNOWN.search(self._definition(name)):
            self.unknown.append((name, found[0]))
        return super().table(name)

    def _numbering(self, column: AnyColumn) -> str | None:
        # Only the single key of a table can have AUTOINCREMENT.
        is_key = (
            column.primary_key and "AUTOINCREMENT" in self._definition(column.table.name).upper()
        )
        return "AUTOINCREMENT" if is_key else None

    def _read_definition(self, table: str) -> str:
        return str(self._rows("definition", table)[0][0])


class _PostgreSQL(_TableReader):
    def _collation(self, column: AnyColumn) -> str | None:
        name = super()._collation(column)
        return name and f'"{name}"'

    def _numbering(self, column: AnyColumn) -> str | None:
        identity = column.identity
        if identity is None:
            return None
        usual = {"start": 1, "increment": 1, "minvalue": 1, "cycle": False, "cache": 1}
        if any(getattr(identity, word) != value for word, value in usual.items()):
            self.unknown.append((str(column), "the options of its identity"))
        return f"GENERATED {'ALWAYS' if identity.always else 'BY DEFAULT'} AS IDENTITY"


class _MySQL(_TableReader):
    # Of the table that is read.
    _engine: str
    _table_collation: str

    def table(self, name: str) -> Table:
        self._engine, self._table_collation = self._rows("options", name)[0]
        made = super().table(name)
        # A unique constraint is an index here; one with a direction or a length is just an index.
        unique = [Key(index.name, index.parts) for index in made.indexes if index.is_unique]
        return replace(
            made,
            unique=tuple(unique),
            indexes=tuple(index for index in made.indexes if not index.is_unique),
        )

    def _type(self, column: AnyColumn) -> str:
        kind = super()._type(column)
        if kind != "LONGTEXT":
            return kind
        # MariaDB's JSON is a LONGTEXT with a json_valid check.
        is_json = rf"`{re.escape(column.name)}` longtext\b[^\n]* CHECK \(json_valid\("
        return "JSON" if re.search(is_json, self._definition(column.table.name)) else kind

    def _read_definition(self, table: str) -> str:
        return str(self._statements.rows("catalog.definition", table=table)[0][1])

    def _collation(self, column: AnyColumn) -> str | None:
        name = super()._collation(column)
        return None if name == self._table_collation or self._type(column) == "JSON" else name

    def _numbering(self, column: AnyColumn) -> str | None:
        return "AUTO_INCREMENT" if column.autoincrement is True else None

    def _indexes(self, table: str) -> Iterator[Index]:
        parts: dict[str, list[str]] = {}
        unique = set[str]()
        for name, non_unique, column, direction, length, kind in self._rows("indexes", table):
            if column is None or length is not None or kind != "BTREE":
                begins = f"an index on the first {length} characters of {column}"
                what = f"an index of the kind {kind}" if length is None else begins
                self.unknown.append((f"{table}.{name}", what))
            if not non_unique:
                unique.add(name)
            descends = " DESC" if direction == "D" else ""
            parts.setdefault(name, []).append(f"{column}{descends}")
        parts.pop("PRIMARY", None)
        for name, of in parts.items():
            yield Index(name, tuple(of), name in unique)

    def _options(self, _table: str) -> str | None:
        engine, collation = self._engine, self._table_collation
        usual = str(FORMS[Dialect.MYSQL].options)
        if f"COLLATE = {collation} " in usual:
            return usual.replace("InnoDB", engine)
        charset = collation.partition("_")[0]
        return f"ENGINE = {engine} DEFAULT CHARSET = {charset} COLLATE = {collation}"


_READERS: Final = {
    Dialect.SQLITE: _SQLite,
    Dialect.POSTGRESQL: _PostgreSQL,
    Dialect.MYSQL: _MySQL,
}


def _part(part: str) -> str:
    column, _, direction = part.rpartition(" ")
    return f"{column} DESC" if direction.upper() == "DESC" else re.sub(r"(?i) ASC$", "", part)


def _default(sql: str | None, kind: str) -> str | None:
    """Return a default in one form for all servers: MySQL quotes numbers, MariaDB does not."""
    plain = re.sub(r"::[a-z][a-z ]*(\(\d+\))?", "", sql or "NULL")
    if plain.upper() == "NULL":
        return None
    if kind == "BOOLEAN":
        plain = plain.strip("'").upper()
        return {"1": "TRUE", "0": "FALSE"}.get(plain, plain)
    if plain.startswith("'"):
        is_text = kind.startswith(("VARCHAR", "CHAR", "TEXT", "MEDIUMTEXT", "LONGTEXT"))
        quoted = re.fullmatch(r"'(-?\d+(?:\.\d+)?)'", plain)
        return quoted[1] if quoted and not is_text else plain.replace("\\'", "''")
    return plain.upper()
