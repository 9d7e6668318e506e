"""The server's view of itself: ``sql/*/server.sql``."""

from decimal import Decimal
from typing import ClassVar, Final

from cardlink_sql.database.query_runner import QueryRunner
from cardlink_sql.database.rows import Gives
from cardlink_sql.dialect import Dialect
from cardlink_sql.errors import QueryError
from cardlink_sql.model.records.server import CountedStatement, TableSize

# A table with as many rows is not counted for an estimate.
_FEW: Final = 10_000


class ServerGateway(QueryRunner):
    """Version and sizes. It belongs to no table and works on an empty database, too."""

    __slots__ = ()
    name = "server"
    gives: ClassVar[Gives] = {
        "table_rows": {"name": str, "row_count": int},
        "few_rows": {"name": str, "row_count": int},
        "estimate_rows": {"name": str, "row_count": int | Decimal},
        "table_sizes": {"name": str, "bytes": int | None},
        "read_pg_stat_statements": CountedStatement,
        "read_digest_samples": CountedStatement,
        "read_digests": CountedStatement,
    }

    def version(self) -> str:
        """Return the server's version, as the server writes it."""
        return str(self._scalar("version", {}))

    def table_sizes(self, *, exact: bool = True) -> list[TableSize]:
        """Return rows and bytes of each table. The queries are ``table_rows`` and ``table_sizes``.

        Args:
            exact: count all rows. Otherwise a table of 10,000 or more has the server's estimate;
                the queries are then ``few_rows`` and ``estimate_rows``.

        Returns:
            The tables. Bytes are ``None`` on an SQLite that was built without ``dbstat``, and,
            for want of a count that is quick, in an estimate of a large SQLite database.

        Raises:
            QueryError: a table is missing.
        """
        few = {} if exact else dict(map(tuple, self._rows("few_rows", {"limit": _FEW})))
        large = {name for name, rows in few.items() if rows == _FEW}
        estimated = dict(map(tuple, self._rows("estimate_rows", {}))) if large else {}
        # Before its first VACUUM or ANALYZE a table has no estimate.
        if exact or any(estimated.get(name, 0) < _FEW for name in large):
            few, large = dict(map(tuple, self._rows("table_rows", {}))), set()
        is_slow = large and self._transaction.dialect is Dialect.SQLITE
        sizes = {} if is_slow else self._bytes()
        rows = few | {name: int(estimated[name]) for name in large}
        return [TableSize(name, rows[name], sizes.get(name), name in large) for name in few]

    @property
    def is_mariadb(self) -> bool:
        """Return whether the server is MariaDB."""
        return "MariaDB" in self.version()

    def count_statements(self) -> list[CountedStatement]:
        """Return the server's counts of this database's statements since it began to count.

        The queries are ``read_pg_stat_statements`` and ``may_read_statements``; or, after
        ``has_performance_schema``, ``read_digest_samples`` or ``read_digests``.

        Raises:
            QueryError: the server counts none, or does not let this role see them.
        """
        if "read_digests" in self._queries:
            return self._read_digests()
        if "read_pg_stat_statements" in self._queries:
            return self._read_pg_stat_statements()
        raise QueryError(
            "SQLite counts no statements",
            remedy="run the process with CARDLINK_SLOW_QUERY_MS=0: it logs each statement",
        )

    def _read_digests(self) -> list[CountedStatement]:
        if not self._scalar("has_performance_schema", {}):
            raise QueryError(
                "the server counts no statements: its performance_schema is off",
                remedy="write performance_schema = ON below [mysqld] of its my.cnf and restart it",
            )
        name = "read_digests" if self.is_mariadb else "read_digest_samples"
        return self._counted(
            name, "grant the role SELECT ON performance_schema.events_statements_summary_by_digest"
        )

    def _read_pg_stat_statements(self) -> list[CountedStatement]:
        counted = self._counted(
            "read_pg_stat_statements",
            "add pg_stat_statements to shared_preload_libraries in postgresql.conf, restart "
            "the server, and as superuser in this database: CREATE EXTENSION pg_stat_statements",
        )
        if not self._scalar("may_read_statements", {}):
            raise QueryError(
                "the role sees no statements but its own", remedy="grant it pg_read_all_stats"
            )
        return counted

    def _counted(self, name: str, remedy: str) -> list[CountedStatement]:
        try:
            return self._figures(name, CountedStatement, {})
        except QueryError as error:
            raise QueryError(
                f"the server shows no counts of statements here: {error.detail}", remedy=remedy
            ) from error

    def _bytes(self) -> dict[str, int]:
        try:
            rows = self._rows("table_sizes", {})
        except QueryError:
            return {}
        return {name: int(size) for name, size in rows if size is not None}
