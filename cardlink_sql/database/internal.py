"""Sends the statements of ``sql/internal`` over a driver's connection."""

from functools import cache
from typing import Any

from sqlalchemy import URL
from sqlalchemy.sql.compiler import IdentifierPreparer

from cardlink_sql.dialect import Dialect
from cardlink_sql.queries import Query, load_internal


class InternalStatements:
    """The statements of the machinery, over one connection of the driver."""

    def __init__(self, dialect: Dialect, connection: Any) -> None:
        self.dialect = dialect
        self.connection = connection

    def execute(self, title: str, **given: Any) -> Any:
        """Send a statement and return the driver's cursor.

        Args:
            title: the file and the name: ``backup.count_rows``.
            given: the values to bind, and the identifiers to put in.
        """
        query = internal_query(self.dialect, title)
        values = {name: given.pop(name) for name in query.required & given.keys()}
        statement = query.statement(values)
        sql = with_identifiers(query, statement.sql, **given)
        cursor = self.connection.cursor()
        cursor.execute(sql, statement.pick(values))
        return cursor

    def rows(self, title: str, **given: Any) -> list[Any]:
        """Return the rows of a statement; none where it returns none."""
        cursor = self.execute(title, **given)
        try:
            return list(cursor.fetchall()) if cursor.description else []
        finally:
            cursor.close()

    def value(self, title: str, **given: Any) -> Any:
        """Return the one value of a statement."""
        return self.rows(title, **given)[0][0]


def internal_query(dialect: Dialect, title: str) -> Query:
    """Return a statement of ``sql/internal`` by file and name."""
    file, _, name = title.partition(".")
    return load_internal(dialect).query(file, name)


def text_to_paste(dialect: Dialect, title: str, **identifiers: str) -> str:
    """Return a statement without values as an administrator pastes it."""
    query = internal_query(dialect, title)
    label = f" /* cardlink:{query.title} */"
    sql = with_identifiers(query, query.statement({}).sql.replace(label, ""), **identifiers)
    return dialect.unescaped(sql)


def with_identifiers(query: Query, sql: str, **identifiers: str) -> str:
    """Put quoted identifiers in the place of those in braces."""
    for name, identifier in identifiers.items():
        place = quoted(query.dialect, f"{{{name}}}")
        if place not in sql:
            raise query.wrong_parameters(identifiers)
        sql = sql.replace(place, query.dialect.escaped(quoted(query.dialect, identifier)))
    return sql


def quoted(dialect: Dialect, *names: str) -> str:
    """Quote a name, with what it is in before it: ``"public"."devices"``."""
    return ".".join(_preparer(dialect).quote_identifier(name) for name in names)


@cache
def _preparer(dialect: Dialect) -> IdentifierPreparer:
    # With the drivers' own style of parameters SQLAlchemy would double a % in a name.
    make: Any = URL.create(dialect.value).get_dialect()
    preparer: IdentifierPreparer = make(paramstyle="named").identifier_preparer
    return preparer
