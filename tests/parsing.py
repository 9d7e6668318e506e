"""The queries of a text, for the tests that write SQL."""

from cardlink_sql.dialect import Dialect
from cardlink_sql.queries import Query
from cardlink_sql.queries.parser import outline


def parse(text: str, path: str, dialect: Dialect, *, needs_reason: bool = False) -> list[Query]:
    """The queries of a file's text, each parsed."""
    return [make() for make in outline(text, path, dialect, needs_reason=needs_reason).values()]
