"""Reads the tables of a database into the model that is compared.

SQLAlchemy's inspector returns what all servers have in common; what it leaves out (the direction of
an index's columns, the conditions of partial indexes, table options) comes from the server itself.
Conditions stay as the server writes them. Anything that the model cannot express is listed.
"""

import re
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any, Final

from sqlalchemy import Connection, inspect
from sqlalchemy.engine.interfaces import ReflectedColumn, ReflectedForeignKeyConstraint
from sqlalchemy.exc import SAWarning

from cardlink_sql.database.internal import InternalStatements
from cardlink_sql.dialect import Dialect
from cardlink_sql.schema.ddl.forms import FORMS, type_name
from cardlink_sql.schema.ddl.model import Check, Column, ForeignKey, Index, Key, Table

# MySQL's and MariaDB's names of the one collation that compares bytes and pads nothing.
BYTE_COLLATIONS: Final = ("utf8mb4_0900_bin", "utf8mb4_nopad_bin")

# Matches only the form of the indexes that the layer creates. Storage parameters are the DBA's.
_POSTGRESQL_INDEX: Final = re.compile(
    r"CREATE (?:UNIQUE )?INDEX \S+ ON \S+ USING (?P<method>btree|brin)"
    r" \((?P<parts>.*?)\)(?: WITH \(.*?\))?(?: WHERE (?P<where>.*))?"
)
_SQLITE_INDEX: Final = re.compile(
    r"CREATE (?:UNIQUE )?INDEX \S+ ON \S+ \((?P<parts>.*?)\)(?: WHERE (?P<where>.*))?",
    re.IGNORECASE | re.DOTALL,
)
_SQLITE_UNKNOWN: Final = re.compile(
    r"\b(COLLATE|GENERATED|DEFERRABLE|ON\s+CONFLICT|WITHOUT\s+ROWID|STRICT|VIRTUAL)\b",
    re.IGNORECASE,
)
# Nothing depends on it, so it is not a difference.
_COMMENT: Final = "a comment"


def read_some(
    connection: Connection, names: Iterable[str]
) -> tuple[dict[str, Table], list[tuple[str, str]]]:
    """Return those of these tables that exist, and what the model cannot express of them."""
    reader = _READERS[Dialect(connection.dialect.name)](connection)
    there = set(inspect(connection).get_table_names())
    found = {name: reader.table(name) for name in names if name in there}
    return found, [(where, what) for where, what in reader.unknown if what != _COMMENT]


def _statements(connection: Connection) -> InternalStatements:
    driver = connection.connection.driver_connection
    return InternalStatements(Dialect(connection.dialect.name), driver)


class _TableReader:
    """The reads that are the same everywhere."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._statements = _statements(connection)
        self._inspector = inspect(connection)
        # Everything that the model cannot express: its place and a description.
        self.unknown: list[tuple[str, str]] = []

    def table(self, name: str) -> Table:
        """Read a table."""
        with warnings.catch_warnings():
            # The inspector warns about indexes over expressions, which are read separately.
            warnings.simplefilter("ignore", SAWarning)
            return self._table(name)

    def _table(self, name: str) -> Table:
        self.unknown += [(name, str(what)) for (what,) in self._rows("extras", name)]
        key = self._inspector.get_pk_constraint(name)
        columns = tuple(key["constrained_columns"])
        return Table(
            name,
            tuple(self._columns(name)),
            Key(key.get("name"), columns) if columns else None,
            tuple(sorted(self._unique(name), key=lambda unique: str(unique.name))),
            tuple(sorted(self._foreign_keys(name), key=lambda foreign: foreign.name)),
            tuple(sorted(self._checks(name), key=lambda check: check.name)),
            tuple(sorted(self._indexes(name), key=lambda index: index.name)),
            self._options(name),
        )

    def _columns(self, table: str) -> Iterator[Column]:
        collations = self._collations(table)
        for column in self._inspector.get_columns(table):
            name, where = column["name"], f"{table}.{column['name']}"
            if column.get("computed"):
                self.unknown.append((where, "a computed column"))
                continue
            if column.get("comment"):
                self.unknown.append((where, _COMMENT))
            kind = self._type(table, column)
            numbering = self._numbering(table, column)
            yield Column(
                name,
                kind,
                collations.get(name),
                column["nullable"],
                None if numbering else _default(column["default"], kind),
                numbering,
            )

    def _type(self, _table: str, column: ReflectedColumn) -> str:
        return type_name(column["type"], self._connection.dialect)

    def _unique(self, table: str) -> Iterator[Key]:
        for unique in self._inspector.get_unique_constraints(table):
            yield Key(unique["name"], tuple(unique["column_names"]))

    def _foreign_keys(self, table: str) -> Iterator[ForeignKey]:
        for foreign in self._inspector.get_foreign_keys(table):
            yield self._foreign_key(table, foreign)

    def _foreign_key(self, table: str, foreign: ReflectedForeignKeyConstraint) -> ForeignKey:
        options = {word: value for word, value in foreign.get("options", {}).items() if value}
        if unknown := options.keys() - {"ondelete", "onupdate"}:
            self.unknown.append((f"{table}.{foreign['name']}", ", ".join(sorted(unknown))))
        return ForeignKey(
            str(foreign["name"]),
            tuple(foreign["constrained_columns"]),
            foreign["referred_table"],
            tuple(foreign["referred_columns"]),
            _action(options.get("ondelete")),
            _action(options.get("onupdate")),
        )

    def _checks(self, table: str) -> Iterator[Check]:
        for check in self._inspector.get_check_constraints(table):
            yield Check(str(check["name"]), check["sqltext"])

    def _rows(self, title: str, table: str) -> list[Any]:
        return self._statements.rows(f"catalog.{title}", name=table)

    def _collations(self, _table: str) -> dict[str, str]:
        return {}

    def _numbering(self, _table: str, _column: ReflectedColumn) -> str | None:
        return None

    def _indexes(self, _table: str) -> Iterator[Index]:
        raise NotImplementedError

    def _options(self, _table: str) -> str | None:
        return None

    def _parsed(
        self, pattern: re.Pattern[str], name: str, sql: str, *, is_unique: bool
    ) -> Iterator[Index]:
        """Yield the index that a definition describes, if it can be parsed."""
        found = pattern.fullmatch(re.sub(r"\s+", " ", sql))
        if found is None:
            self.unknown.append((name, sql))
            return
        parts = (_part(part.strip()) for part in re.split(r",(?![^(]*\))", found["parts"]))
        method = found.groupdict().get("method")
        yield Index(
            name, tuple(parts), is_unique, found["where"], None if method == "btree" else method
        )


class _SQLite(_TableReader):
    def _table(self, name: str) -> Table:
        if found := _SQLITE_UNKNOWN.search(self._sql(name)):
            self.unknown.append((name, found[0]))
        return super()._table(name)

    def _numbering(self, table: str, column: ReflectedColumn) -> str | None:
        # Only the single key of a table can have AUTOINCREMENT.
        is_key = column.get("primary_key") and "AUTOINCREMENT" in self._sql(table).upper()
        return "AUTOINCREMENT" if is_key else None

    def _indexes(self, table: str) -> Iterator[Index]:
        for name, is_unique, sql in self._rows("indexes", table):
            yield from self._parsed(_SQLITE_INDEX, name, sql, is_unique=bool(is_unique))

    def _sql(self, table: str) -> str:
        return str(self._rows("definition", table)[0][0])


class _PostgreSQL(_TableReader):
    def _collations(self, table: str) -> dict[str, str]:
        return {column: f'"{name}"' for column, name in self._rows("collations", table)}

    def _numbering(self, table: str, column: ReflectedColumn) -> str | None:
        identity = column.get("identity")
        if identity is None:
            return None
        usual = {"start": 1, "increment": 1, "minvalue": 1, "cycle": False, "cache": 1}
        if any(identity.get(word) != value for word, value in usual.items()):
            where = f"{table}.{column['name']}"
            self.unknown.append((where, "the options of its identity"))
        return f"GENERATED {'ALWAYS' if identity['always'] else 'BY DEFAULT'} AS IDENTITY"

    def _indexes(self, table: str) -> Iterator[Index]:
        for name, is_unique, sql, is_valid in self._rows("indexes", table):
            for one in self._parsed(_POSTGRESQL_INDEX, name, sql, is_unique=is_unique):
                yield replace(one, is_valid=is_valid)


class _MySQL(_TableReader):
    def _type(self, table: str, column: ReflectedColumn) -> str:
        kind = super()._type(table, column)
        # MariaDB's JSON is a LONGTEXT with a json_valid check.
        is_json = kind == "LONGTEXT" and column["name"] in self._json_columns(table)
        return "JSON" if is_json else kind

    def _json_columns(self, table: str) -> set[str]:
        found = re.findall(r"`(\w+)` longtext\b[^\n]* CHECK \(json_valid\(", self._sql(table))
        return set(found)

    def _checks(self, table: str) -> Iterator[Check]:
        for check in super()._checks(table):
            if check.name != "None":
                yield check

    def _collations(self, table: str) -> dict[str, str]:
        own = self._rows("options", table)[0][1]
        return {
            column["name"]: collation
            for column in self._inspector.get_columns(table)
            if (collation := getattr(column["type"], "collation", None)) not in (None, own)
            and column["name"] not in self._json_columns(table)
        }

    def _numbering(self, _table: str, column: ReflectedColumn) -> str | None:
        return "AUTO_INCREMENT" if column.get("autoincrement") is True else None

    def _unique(self, table: str) -> Iterator[Key]:
        # A unique constraint is an index here; one with a direction or a length is just an index.
        return (Key(index.name, index.parts) for index in self._all(table) if index.is_unique)

    def _indexes(self, table: str) -> Iterator[Index]:
        return (index for index in self._all(table) if not index.is_unique)

    def _all(self, table: str) -> Iterator[Index]:
        parts: dict[str, list[str]] = {}
        unique = set[str]()
        for name, non_unique, column, direction, length, kind in self._rows("indexes", table):
            if column is None or length is not None or kind != "BTREE":
                self.unknown.append((f"{table}.{name}", f"an index of the kind {kind}"))
            if not non_unique:
                unique.add(name)
            descends = " DESC" if direction == "D" else ""
            parts.setdefault(name, []).append(f"{column}{descends}")
        parts.pop("PRIMARY", None)
        return (Index(name, tuple(of), name in unique) for name, of in parts.items())

    def _options(self, table: str) -> str | None:
        engine, collation = self._rows("options", table)[0]
        if collation in BYTE_COLLATIONS:
            return str(FORMS[Dialect.MYSQL].options).replace("InnoDB", engine)
        charset = collation.partition("_")[0]
        return f"ENGINE = {engine} DEFAULT CHARSET = {charset} COLLATE = {collation}"

    def _sql(self, table: str) -> str:
        return str(self._statements.rows("catalog.definition", table=table)[0][1])


_READERS: Final = {
    Dialect.SQLITE: _SQLite,
    Dialect.POSTGRESQL: _PostgreSQL,
    Dialect.MYSQL: _MySQL,
}


def _part(part: str) -> str:
    column, _, direction = part.rpartition(" ")
    return f"{column} DESC" if direction.upper() == "DESC" else re.sub(r"(?i) ASC$", "", part)


def _action(action: str | None) -> str | None:
    return None if action in (None, "NO ACTION") else action.upper()


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
