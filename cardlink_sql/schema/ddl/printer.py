"""Writes tables as readable SQL: the same text for the same schema."""

from collections.abc import Iterable, Iterator
from typing import Final

from cardlink_sql.dialect import Dialect
from cardlink_sql.schema.ddl.forms import FORMS
from cardlink_sql.schema.ddl.model import Column, ForeignKey, Index, Key, Table

_LINE: Final = 100
_INDENT: Final = "    "


def ddl(tables: Iterable[Table], dialect: Dialect) -> str:
    """Return the statements that create declared tables, each after those that it refers to."""
    printer = _Printer(dialect)
    return "\n\n".join(printer.table(table) for table in _ordered(list(tables))) + "\n"


def _ordered(tables: list[Table]) -> Iterator[Table]:
    """Yield the tables by name, but each after those that it refers to."""
    waiting = sorted(tables, key=lambda table: table.name)
    while waiting:
        names = {table.name for table in waiting}
        ready = next(
            table
            for table in waiting
            if not {foreign.table for foreign in table.foreign_keys} & (names - {table.name})
        )
        waiting.remove(ready)
        yield ready


class _Printer:
    def __init__(self, dialect: Dialect) -> None:
        self._dialect = dialect
        self._quote = FORMS[dialect].sqlalchemy.identifier_preparer.quote

    def table(self, table: Table) -> str:
        """Return a table's statement, then those of its indexes."""
        lines = [*self._columns(table), *self._constraints(table)]
        indexes = [self._index(table, index) for index in table.indexes]
        if self._dialect is Dialect.MYSQL:
            lines += indexes
            indexes = []
        body = ",\n".join(f"{_INDENT}{line}" for line in lines)
        options = f" {table.options}" if table.options else ""
        made = f"CREATE TABLE {self._quote(table.name)} (\n{body}\n){options};"
        return "\n".join([made, *([""] if indexes else []), *(f"{index};" for index in indexes)])

    def _columns(self, table: Table) -> Iterator[str]:
        names = [self._quote(column.name) for column in table.columns]
        types = [_type(column) for column in table.columns]
        widths = max(map(len, names)), max(map(len, types))
        for column, name, kind in zip(table.columns, names, types, strict=True):
            rest = " ".join(self._rest(table, column))
            yield f"{name.ljust(widths[0])} {kind.ljust(widths[1])} {rest}".rstrip()

    def _rest(self, table: Table, column: Column) -> Iterator[str]:
        if not column.is_nullable:
            yield "NOT NULL"
        if column.default is not None:
            yield f"DEFAULT {column.default}"
        if column.numbering is None:
            return
        # SQLite makes numbers only for a key that its column declares.
        if self._dialect is Dialect.SQLITE and table.primary_key:
            yield f"CONSTRAINT {table.primary_key.name} PRIMARY KEY"
        yield column.numbering

    def _constraints(self, table: Table) -> Iterator[str]:
        is_inline = self._dialect is Dialect.SQLITE and any(c.numbering for c in table.columns)
        if table.primary_key and not is_inline:
            yield self._key("PRIMARY KEY", table.primary_key)
        yield from (self._key("UNIQUE", unique) for unique in table.unique)
        yield from (self._foreign_key(foreign) for foreign in table.foreign_keys)
        for check in table.checks:
            yield _broken(f"CONSTRAINT {check.name}", f"CHECK ({check.condition})")

    def _key(self, what: str, key: Key) -> str:
        named = f"CONSTRAINT {key.name} " if key.name else ""
        return f"{named}{what} ({self._list(key.columns)})"

    def _foreign_key(self, foreign: ForeignKey) -> str:
        clause = (
            f"FOREIGN KEY ({self._list(foreign.columns)})"
            f" REFERENCES {self._quote(foreign.table)} ({self._list(foreign.referred)})"
        )
        for when, action in (("DELETE", foreign.on_delete), ("UPDATE", foreign.on_update)):
            clause += f" ON {when} {action}" if action else ""
        return _broken(f"CONSTRAINT {foreign.name}", clause)

    def _index(self, table: Table, index: Index) -> str:
        parts = self._list(index.parts)
        if self._dialect is Dialect.MYSQL:
            return f"INDEX {index.name} ({parts})"
        unique = "UNIQUE " if index.is_unique else ""
        using = f"USING {index.method} " if index.method else ""
        on = f"ON {self._quote(table.name)} {using}({parts})"
        return _broken(f"CREATE {unique}INDEX {index.name}", on, indent=0)

    def _list(self, names: Iterable[str]) -> str:
        return ", ".join(map(self._quote, names))


def _type(column: Column) -> str:
    return f"{column.type} COLLATE {column.collation}" if column.collation else column.type


def _broken(head: str, tail: str, indent: int = 1) -> str:
    """Join head and tail on one line if it fits, else on two."""
    line = f"{head} {tail}"
    room = _LINE - len(_INDENT) * indent - 1
    return line if len(line) <= room else f"{head}\n{_INDENT * (indent + 1)}{tail}"
