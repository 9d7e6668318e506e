"""A database's description of a statement that it prepares but does not run."""

import re
import sqlite3
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any, Final

from cardlink_sql.database.internal import InternalStatements
from cardlink_sql.dialect import Dialect
from cardlink_sql.model.tables import metadata
from cardlink_sql.queries.lexer import BLANK, Kind, Token
from cardlink_sql.review.expected import kind_of
from cardlink_sql.review.statement import ParsedStatement
from cardlink_sql.review.value_kinds import (
    MYSQL_NAMES,
    POSTGRESQL_KINDS,
    ValueKind,
    mysql_kinds,
)
from cardlink_sql.review.variants import Variant
from cardlink_sql.schema.ddl.types import SQLALCHEMY, type_name


@dataclass(frozen=True)
class Typed:
    """A result column, or a parameter.

    Attributes:
        name: its name.
        type: the backend's name for it; None if the backend does not report it.
        kind: the kind of that type; None if it is not reported, or specific to the backend.
        nullable: whether it can be NULL; None if the backend does not report it.
    """

    name: str
    type: str | None = None
    kind: ValueKind | None = None
    nullable: bool | None = None


@dataclass(frozen=True)
class Description:
    """The parameters of a statement in the order of their placeholders, and its columns."""

    parameters: tuple[Typed, ...]
    columns: tuple[Typed, ...]


class Refused(Exception):  # noqa: N818 - a signal inside the package, never raised to a caller
    """Raised when a database refuses to prepare a statement.

    Attributes:
        what: the reason, in the database's words.
        offset: the position in the statement, from 0, if reported.
        word: the name that the database does not know, if reported.
    """

    def __init__(self, what: str, offset: int | None = None, word: str | None = None) -> None:
        super().__init__(what)
        self.what = what
        self.offset = offset
        self.word = word


class Describer(ABC):
    """Asks one backend about statements."""

    dialect: Dialect
    product: str

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self._statements = InternalStatements(self.dialect, connection)

    def server(self) -> str:
        """Return the server's product name: SQLite, PostgreSQL, MariaDB or MySQL."""
        return self.product

    def has(self, needs: str) -> bool:
        """Return whether the role can read the tables that a query declares it needs."""
        try:
            self._prepare(_reading(needs))
        except Refused:
            return False
        return True

    def is_denied(self, variant: Variant) -> bool:
        """Return whether the role lacks only the rights to write that a statement needs."""
        del variant
        return False

    def prepare(self, variant: Variant) -> None:
        """Prepare a statement.

        Raises:
            Refused: the database refuses it.
        """
        self._prepare(variant.sql(), len(variant.names))

    @abstractmethod
    def describe(self, variant: Variant) -> Description:
        """Return the parameters and columns of a statement that was prepared before.

        Raises:
            Refused: the database refuses it.
        """

    @abstractmethod
    def _prepare(self, sql: str, parameters: int = 0) -> None:
        """Prepare a statement with a number of placeholders."""


def describer(dialect: Dialect, connection: Any) -> Describer:
    """Return the describer for a driver connection.

    Args:
        dialect: the dialect of the connection.
        connection: in autocommit mode.
    """
    return _DESCRIBERS[dialect](connection)


def _reading(needs: str) -> str:
    """Return a statement that reads what a query needs: ``table`` to ``schema.table.column``."""
    *table, column = needs.split(".")
    if len(table) < 2:
        table, column = needs.split("."), "1"
    return f"SELECT {column} FROM {'.'.join(table)}"  # noqa: S608 - the parser accepts only names


class _SQLite(Describer):
    """Uses EXPLAIN to prepare, and the declared tables for the types."""

    dialect = Dialect.SQLITE
    product = "SQLite"

    def _prepare(self, sql: str, parameters: int = 0) -> None:
        try:
            self._connection.execute(f"EXPLAIN {sql}", [None] * parameters).fetchall()
        except sqlite3.Error as error:
            raise _refused_by_sqlite(error, sql) from error

    def describe(self, variant: Variant) -> Description:
        parameters = tuple(Typed(name) for name in variant.names)
        statement = ParsedStatement(variant)
        if not statement.returns_rows:
            return Description(parameters, tuple(map(Typed, statement.returned)))
        sql = variant.sql(lambda _number: "1")
        try:
            # The text is the query's, with 1 for each parameter.
            asked = self._connection.execute(f"SELECT * FROM ({sql}) LIMIT 0")  # noqa: S608
        except sqlite3.Error as error:
            raise _refused_by_sqlite(error, variant.sql()) from error
        names = [column[0] for column in asked.description]
        origins = statement.selected or [None] * len(names)
        return Description(parameters, tuple(map(_sqlite_column, names, origins)))


def _sqlite_column(name: str, origin: tuple[str | None, str] | None) -> Typed:
    """Return a column with the declared type of the table's column that it is."""
    if origin is None or origin[0] is None:
        return Typed(name)
    column = metadata.tables[origin[0]].columns[origin[1]]
    kind = type_name(column.type, SQLALCHEMY[Dialect.SQLITE]())
    return Typed(name, kind, kind_of(column), bool(column.nullable))


def _refused_by_sqlite(error: sqlite3.Error, sql: str) -> Refused:
    message = str(error)
    for beginning in ("no such column: ", "no such table: ", "no such index: "):
        if message.startswith(beginning):
            return Refused(message, word=message.removeprefix(beginning))
    if " has no column named " in message:
        return Refused(message, word=message.rpartition(" ")[2])
    near = message.removeprefix('near "').partition('"')[0] if message.startswith("near") else ""
    offset = sql.find(near) if near else -1
    return Refused(message, offset if offset >= 0 else None)


class _MySQL(Describer):
    """Uses PREPARE, and a derived table without rows to find the columns."""

    dialect = Dialect.MYSQL

    def server(self) -> str:
        return "MariaDB" if "MariaDB" in self._connection.get_server_info() else "MySQL"

    def _prepare(self, sql: str, parameters: int = 0) -> None:
        try:
            self._statements.rows("review.prepare_query", statement=sql)
            self._statements.rows("review.forget_prepared")
        except self._connection.Error as error:
            raise _refused_by_mysql(error, sql) from error

    def is_denied(self, variant: Variant) -> bool:
        try:
            self.prepare(variant)
        except Refused as refused:
            # The same error is that of a table that is not there; one that it may read is.
            is_right = _WRITING_DENIED.match(refused.what)
            return bool(is_right and refused.word and self.has(refused.word))
        return False

    def describe(self, variant: Variant) -> Description:
        parameters = tuple(Typed(name) for name in variant.names)
        statement = ParsedStatement(variant)
        if not statement.returns_rows:
            return Description(parameters, ())
        sql = variant.sql(_stand_ins(variant.tokens))
        with self._connection.cursor() as cursor:
            try:
                # The text is the query's, with 1 for each parameter.
                cursor.execute(f"SELECT * FROM ({sql}) described LIMIT 0")  # noqa: S608
            except self._connection.Error as error:
                raise _refused_by_mysql(error, sql) from error
            described = list(zip(cursor.description, cursor._result.fields, strict=True))
        cases = statement.cases or [False] * len(described)
        columns = (
            # MariaDB reports every CASE as nullable, even if no branch can be NULL.
            _mysql_column(column[0], field, nullable=None if is_case and column[6] else column[6])
            for (column, field), is_case in zip(described, cases, strict=False)
        )
        return Description(parameters, tuple(columns))


_WRITING_DENIED: Final = re.compile(
    r"(INSERT|UPDATE|DELETE|SELECT with locking clause)\b.* command denied to user "
)


def _stand_ins(tokens: Sequence[Token]) -> Callable[[int], str]:
    """Return a literal for each parameter: a number that LIMIT accepts and no key begins with.

    MySQL reads rows by their keys while it prepares: 1 would be equal to each key that begins so.
    """
    words = [token for token in tokens if token.kind not in BLANK]
    of_limit = [
        before.text.upper() in ("LIMIT", "OFFSET")
        for before, token in pairwise(words)
        if token.kind is Kind.PARAMETER
    ]
    return lambda number: "1" if of_limit[number - 1] else "-1"


def _mysql_column(name: str, field: Any, *, nullable: bool | None) -> Typed:
    from pymysql.constants import FIELD_TYPE

    names = {number: name for name, number in vars(FIELD_TYPE).items() if isinstance(number, int)}
    kind, bytes_a_sign = mysql_kinds().get(field.type_code), 4
    is_binary = field.charsetnr == 63
    shown = names.get(field.type_code, str(field.type_code))
    shown = MYSQL_NAMES.get(shown, shown)
    if kind is ValueKind.TEXT and is_binary:
        kind, bytes_a_sign = ValueKind.BYTES, 1
    if kind in (ValueKind.TEXT, ValueKind.BYTES) and shown in ("VAR_STRING", "VARCHAR", "STRING"):
        length = field.length // bytes_a_sign
        shown = f"VARCHAR({length})" if kind is ValueKind.TEXT else f"VARBINARY({length})"
    elif shown.endswith("BLOB"):
        shown = shown if is_binary else shown.replace("BLOB", "TEXT")
    return Typed(name, shown, kind, nullable)


def _refused_by_mysql(error: Exception, sql: str) -> Refused:
    message = str(error.args[1]) if len(error.args) > 1 else str(error)
    quoted = message.partition("'")[2].partition("'")[0]
    if error.args and error.args[0] in (1054, 1146, 1176):
        return Refused(message, word=quoted.rpartition(".")[2])
    if error.args and error.args[0] == 1142:
        # A role without rights gets the same error for a table that does not exist.
        return Refused(message, word=message.rpartition(" ")[2].rpartition(".")[2].strip("`'"))
    near = message.partition("near '")[2].rpartition("' at line")[0]
    offset = sql.find(near) if near else -1
    return Refused(message, offset if offset >= 0 else None)


class _PostgreSQL(Describer):
    """Uses the server's description of a prepared statement: types and source columns."""

    dialect = Dialect.POSTGRESQL
    product = "PostgreSQL"

    def describe(self, variant: Variant) -> Description:
        self._prepare(variant.sql())
        found = self._connection.pgconn.describe_prepared(b"")
        parameters = tuple(
            self._typed(name, found.param_type(i)) for i, name in enumerate(variant.names)
        )
        columns = tuple(
            self._typed(
                found.fname(i).decode(),
                found.ftype(i),
                found.fmod(i),
                nullable=self._nullable.get((found.ftable(i), found.ftablecol(i))),
            )
            for i in range(found.nfields)
        )
        return Description(parameters, columns)

    def _prepare(self, sql: str, parameters: int = 0) -> None:
        from psycopg.pq import DiagnosticField

        done = self._connection.pgconn.prepare(b"", sql.encode())
        what = done.error_field(DiagnosticField.MESSAGE_PRIMARY)
        if what is not None:
            place = done.error_field(DiagnosticField.STATEMENT_POSITION)
            hint = done.error_field(DiagnosticField.MESSAGE_HINT)
            said = what.decode() + (f" ({hint.decode()})" if hint else "")
            raise Refused(said, int(place) - 1 if place else None)

    def _typed(
        self, name: str, oid: int, modifier: int = -1, *, nullable: bool | None = None
    ) -> Typed:
        found = self._connection.adapters.types.get(oid)
        type_name = str(oid) if found is None else found.name
        if type_name == "varchar" and modifier >= 4:
            type_name = f"varchar({modifier - 4})"
        return Typed(name, type_name, POSTGRESQL_KINDS.get(type_name.partition("(")[0]), nullable)

    @cached_property
    def _nullable(self) -> dict[tuple[int, int], bool]:
        rows = self._statements.rows("review.nullable_columns")
        return {(relation, number): nullable for relation, number, nullable in rows}


_DESCRIBERS: Final[dict[Dialect, type[Describer]]] = {
    Dialect.SQLITE: _SQLite,
    Dialect.MYSQL: _MySQL,
    Dialect.POSTGRESQL: _PostgreSQL,
}
