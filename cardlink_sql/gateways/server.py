"""What the database says of itself: ``sql/*/server.sql``."""

from typing import ClassVar

from cardlink_sql.errors import QueryError
from cardlink_sql.gateways.base import Gives
from cardlink_sql.link import Link
from cardlink_sql.records import TableSize
from cardlink_sql.sqlfiles import Library


class ServerGateway:
    """Version and sizes. It belongs to no table and works on an empty database, too."""

    __slots__ = ("_library", "_link")
    name: ClassVar[str] = "server"
    gives: ClassVar[Gives] = {
        "table_rows": {"name": str, "row_count": int},
        "table_sizes": {"name": str, "bytes": int | None},
    }

    def __init__(self, link: Link, library: Library) -> None:
        self._link = link
        self._library = library

    def version(self) -> str:
        """The server's version, as it writes it."""
        return str(self._link.scalar(self._library.query("server", "version"), {}))

    def table_sizes(self) -> list[TableSize]:
        """Rows and bytes of each table. The queries are ``table_rows`` and ``table_sizes``.

        Bytes are ``None`` on an SQLite that was built without ``dbstat``.

        Raises:
            QueryError: a table is missing.
        """
        counted = self._link.many(self._library.query("server", "table_rows"), {})
        sizes = self._bytes()
        return [TableSize(name, int(rows), sizes.get(name)) for name, rows in counted]

    def _bytes(self) -> dict[str, int]:
        try:
            rows = self._link.many(self._library.query("server", "table_sizes"), {})
        except QueryError:
            return {}
        return {name: int(size) for name, size in rows if size is not None}
