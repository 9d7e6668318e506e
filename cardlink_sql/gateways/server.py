"""The server's view of itself: ``sql/*/server.sql``."""

from typing import Any, ClassVar

from cardlink_sql.database.rows import Gives, reader
from cardlink_sql.database.transaction import Transaction
from cardlink_sql.dialect import Dialect
from cardlink_sql.errors import QueryError
from cardlink_sql.model.records import CountedStatement, TableSize
from cardlink_sql.queries import Library


class ServerGateway:
    """Version and sizes. It belongs to no table and works on an empty database, too."""

    __slots__ = ("_library", "_transaction")
    name: ClassVar[str] = "server"
    gives: ClassVar[Gives] = {
        "table_rows": {"name": str, "row_count": int},
        "table_sizes": {"name": str, "bytes": int | None},
        "read_pg_stat_statements": CountedStatement,
        "read_digest_samples": CountedStatement,
        "read_digests": CountedStatement,
    }

    def __init__(self, transaction: Transaction, library: Library) -> None:
        self._transaction = transaction
        self._library = library

    def version(self) -> str:
        """Return the server's version, as the server writes it."""
        return str(self._scalar("version"))

    def table_sizes(self) -> list[TableSize]:
        """Rows and bytes of each table. The queries are ``table_rows`` and ``table_sizes``.

        Bytes are ``None`` on an SQLite that was built without ``dbstat``.

        Raises:
            QueryError: a table is missing.
        """
        counted = self._transaction.many(self._library.query("server", "table_rows"), {})
        sizes = self._bytes()
        return [TableSize(name, int(rows), sizes.get(name)) for name, rows in counted]

    @property
    def is_mariadb(self) -> bool:
        """Whether the server is MariaDB."""
        return "MariaDB" in self.version()

    def count_statements(self) -> list[CountedStatement]:
        """Return the server's counts of this database's statements since it began to count.

        The queries are ``read_pg_stat_statements`` and ``may_read_statements``; or, after
        ``has_performance_schema``, ``read_digest_samples`` or ``read_digests``.

        Raises:
            QueryError: the server counts none, or does not let this role see them.
        """
        match self._transaction.dialect:
            case Dialect.MYSQL:
                return self._count_on_mysql()
            case Dialect.POSTGRESQL:
                return self._count_on_postgresql()
            case Dialect.SQLITE:
                raise QueryError(
                    "SQLite counts no statements",
                    remedy="let the process count them: manager.statements.on, or "
                    "CARDLINK_SLOW_QUERY_MS",
                )

    def _count_on_mysql(self) -> list[CountedStatement]:
        if not self._scalar("has_performance_schema"):
            raise QueryError(
                "the server counts no statements: its performance_schema is off",
                remedy="add performance_schema=ON to its configuration and restart it",
            )
        name = "read_digests" if self.is_mariadb else "read_digest_samples"
        return self._counted(
            name, "grant the role SELECT ON performance_schema.events_statements_summary_by_digest"
        )

    def _count_on_postgresql(self) -> list[CountedStatement]:
        counted = self._counted(
            "read_pg_stat_statements",
            "as superuser: add pg_stat_statements to shared_preload_libraries, restart the server, "
            "and in this database: CREATE EXTENSION pg_stat_statements",
        )
        if not self._scalar("may_read_statements"):
            raise QueryError(
                "the role sees no statements but its own", remedy="grant it pg_read_all_stats"
            )
        return counted

    def _counted(self, name: str, remedy: str) -> list[CountedStatement]:
        query = self._library.query("server", name)
        try:
            rows = self._transaction.many(query, {})
        except QueryError as error:
            raise QueryError(
                f"the server shows no counts of statements here: {error.detail}", remedy=remedy
            ) from error
        return list(map(reader(CountedStatement, self._transaction.dialect), rows))

    def _scalar(self, name: str) -> Any:
        return self._transaction.scalar(self._library.query("server", name), {})

    def _bytes(self) -> dict[str, int]:
        try:
            rows = self._transaction.many(self._library.query("server", "table_sizes"), {})
        except QueryError:
            return {}
        return {name: int(size) for name, size in rows if size is not None}
