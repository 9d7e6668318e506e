"""The names of the report's files and of the places in them."""

from typing import Final

INDEX: Final = "index.html"
MATRIX: Final = "matrix.html"
STYLE: Final = "report.css"


def gateway_file(gateway: str) -> str:
    """The page of a gateway."""
    return f"gateway-{gateway}.html"


def table_file(table: str) -> str:
    """The page of a table."""
    return f"table-{table}.html"


def query_place(gateway: str, name: str) -> str:
    """Where a query is told."""
    return f"{gateway_file(gateway)}#{name}"


def column_anchor(column: str) -> str:
    """The anchor of a column on its table's page."""
    return f"column-{column}"


def column_place(table: str, column: str) -> str:
    """Where a column is told."""
    return f"{table_file(table)}#{column_anchor(column)}"
