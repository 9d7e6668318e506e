"""A live database compared with the tables that the layer expects."""

import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

from sqlalchemy import Connection, Engine, create_engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from cardlink_sql.config import without_secrets
from cardlink_sql.database.faults import driver_message
from cardlink_sql.database.sqlite_file import database_file, open_read_only
from cardlink_sql.dialect import Dialect
from cardlink_sql.errors import ConnectionError
from cardlink_sql.schema.ddl.declared import declared_tables
from cardlink_sql.schema.ddl.model import Column, Table
from cardlink_sql.schema.ddl.reflect import read_some


def differences(engine: Engine, expected: Sequence[Table] | None = None) -> list[str]:
    """Return where the database differs from the schema, a sentence each.

    Ignores tables that are not in the schema. Writes nothing, and creates no SQLite file.

    Args:
        engine: of the database.
        expected: the tables of an older schema; without them, those that the layer expects.

    Returns:
        Sentences such as ``devices: the type of name is VARCHAR(64), not VARCHAR(128)``.

    Raises:
        ConnectionError: the database cannot be reached, or refuses to be read.
    """
    declared = declared_tables(Dialect(engine.dialect.name))
    wanted = {table.name: table for table in (declared if expected is None else expected)}
    file = database_file(engine)
    if file is not None and not file.exists():
        return [f"the table {table.name} is missing" for table in wanted.values()]
    try:
        with _connected(engine) as connection:
            found, unknown = read_some(connection, [table.name for table in declared])
    except DBAPIError as error:
        raise ConnectionError(
            driver_message(error.orig or error),
            without_secrets(engine.url),
            "check that the server runs, and the rights of the user",
        ) from error
    return [
        *(f"the table {name} is not in the schema" for name in found if name not in wanted),
        *(line for table in wanted.values() for line in _compared(table, found.get(table.name))),
        *(f"{where}: the schema does not have {what}" for where, what in unknown),
    ]


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


def _compared(expected: Table, found: Table | None) -> Iterator[str]:
    if found is None:
        yield f"the table {expected.name} is missing"
        return
    for index in found.indexes:
        if not index.is_valid:
            yield (
                f"{expected.name}: the index {index.name} is invalid, left by a build that broke "
                f"off; drop it: DROP INDEX CONCURRENTLY {index.name};"
            )
    columns, there = ({column.name for column in table.columns} for table in (expected, found))
    for name in sorted(columns - there):
        yield f"{expected.name}: the column {name} is missing"
    for name in sorted(there - columns):
        yield f"{expected.name}: the column {name} is not in the schema"
    wanted, live = (dict(_facts(table, columns & there)) for table in (expected, found))
    for what in sorted(wanted.keys() | live.keys()):
        if what not in live:
            yield f"{expected.name}: {what} is missing; it should be {wanted[what]}"
        elif what not in wanted:
            yield f"{expected.name}: {what} is not in the schema: {live[what]}"
        elif _squeezed(live[what]) != _squeezed(wanted[what]):
            yield f"{expected.name}: {what} is {live[what]}, not {wanted[what]}"


def _facts(table: Table, names: set[str]) -> Iterator[tuple[str, str]]:
    """Yield the properties of a table and of its columns with these names: each with its text."""
    columns = [column for column in table.columns if column.name in names]
    yield "the order of columns", ", ".join(column.name for column in columns)
    for column in columns:
        yield from _column_facts(column)
    if table.options:
        yield "its storage", table.options
    if table.primary_key:
        name = f" {table.primary_key.name}" if table.primary_key.name else ""
        yield f"the primary key{name}", _list(table.primary_key.columns)
    for foreign in table.foreign_keys:
        to = f"to {foreign.table} {_list(foreign.referred)}"
        actions = f"on delete {foreign.on_delete or 'NO ACTION'}"
        actions += f" on update {foreign.on_update}" if foreign.on_update else ""
        yield f"the foreign key {foreign.name}", f"{_list(foreign.columns)} {to} {actions}"
    for unique in table.unique:
        yield f"the unique constraint {unique.name}", _list(unique.columns)
    for check in table.checks:
        yield f"the check {check.name}", readable(check.condition)
    for index in filter(lambda one: one.is_valid, table.indexes):
        where = f" where {readable(index.where)}" if index.where else ""
        unique_word = " unique" if index.is_unique else ""
        using = f" using {index.method}" if index.method else ""
        yield f"the index {index.name}", f"{_list(index.parts)}{unique_word}{using}{where}"


def _column_facts(column: Column) -> Iterator[tuple[str, str]]:
    yield f"the type of {column.name}", column.type
    yield f"NULL in {column.name}", "allowed" if column.is_nullable else "refused"
    for what, value in (
        ("numbering", column.numbering),
        ("default", column.default),
        ("collation", column.collation),
    ):
        if value is not None:
            yield f"the {what} of {column.name}", value


def _list(parts: Iterable[str]) -> str:
    return f"({', '.join(parts)})"


def readable(condition: str) -> str:
    """Return a condition without the casts, character sets and quotes that servers add."""
    plain = condition.replace("\\'", "'")
    plain = re.sub(r"::[a-z][a-z ]*(\[\])?|\b_utf8mb4(?=')|`", "", plain)
    plain = re.sub(r"\(ARRAY\[(.*?)\]\)", r"(\1)", plain).replace("= ANY ", "IN ")
    return plain.replace(" in (", " IN (").replace("','", "', '")


def _squeezed(text: str) -> str:
    """Return a text without the blanks, brackets and case in which servers differ."""
    pieces = re.split(r"('(?:[^']|'')*')", text)
    pieces[::2] = [re.sub(r"[\s()\"]", "", piece).lower() for piece in pieces[::2]]
    return " ".join(piece for piece in pieces if piece)
