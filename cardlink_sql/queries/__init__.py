"""SQL files: each query is read, checked and rendered once, when it is first asked for.

``lexer`` cuts text into tokens by a dialect's rules, ``parser`` finds the queries of a file,
``query`` renders a query for its driver, ``library`` loads a whole dialect.
"""

from cardlink_sql.queries.library import Library, load_internal, load_library
from cardlink_sql.queries.query import Query, Row, Rows, Statement

__all__ = ["Library", "Query", "Row", "Rows", "Statement", "load_internal", "load_library"]
