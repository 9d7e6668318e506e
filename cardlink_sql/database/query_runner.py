"""Runs the queries of one file of ``sql/`` for the gateway that is named as the file."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, ClassVar, TypeVar

from cardlink_sql.database.rows import Gives, field_names, reader
from cardlink_sql.database.transaction import Transaction
from cardlink_sql.database.unreadable_rows import read_rows
from cardlink_sql.errors import QueryError
from cardlink_sql.model import validation
from cardlink_sql.model.columns import driver_time
from cardlink_sql.model.times import utc_now
from cardlink_sql.queries import Library, Query, Row
from cardlink_sql.queries.library import unknown_query

T = TypeVar("T")


class QueryRunner:
    """The queries of ``sql/*/NAME.sql``, in one transaction."""

    name: ClassVar[str]
    gives: ClassVar[Gives] = {}

    __slots__ = ("_clock", "_queries", "_transaction")

    def __init__(self, transaction: Transaction, library: Library) -> None:
        self._transaction = transaction
        self._queries = library.gateway(self.name)
        self._clock = driver_time(transaction.dialect)

    def _query(self, name: str) -> Query:
        try:
            return self._queries[name]
        except KeyError:
            raise unknown_query(self.name, name, self._queries) from None

    def _execute(self, name: str, parameters: Mapping[str, Any]) -> int:
        return self._transaction.execute(self._query(name), parameters)

    def _scalar(self, name: str, parameters: Mapping[str, Any]) -> Any:
        return self._transaction.scalar(self._query(name), parameters)

    def _rows(self, name: str, parameters: Mapping[str, Any]) -> Sequence[Row]:
        return self._transaction.many(self._query(name), parameters)

    def _firsts(self, name: str, parameters: Mapping[str, Any]) -> list[Any]:
        """Return the first column of a query."""
        return [row[0] for row in self._rows(name, parameters)]

    def _figures(self, name: str, record: type[T], parameters: Mapping[str, Any]) -> list[T]:
        """Return the rows of a query as records other than the gateway's own."""
        rows, names = self._rows(name, parameters), field_names(record)
        # SQLite keeps whatever another program writes, whatever the column's type.
        what = f"{self.name}.{name} read a value there that no gateway wrote"

        def refusal(_row: Row) -> QueryError:
            return self._query(name).fault(
                "a row holds a value that no gateway wrote",
                "look for a time, a JSON document or a word that is malformed",
            )

        return list(read_rows(rows, self._reader(record), names, what, refusal))

    def _reader(self, record: type[T]) -> Any:
        return reader(record, self._transaction.dialect)

    def _insert_many(self, query: str, copy: str, rows: Sequence[tuple[Any, ...]]) -> None:
        """Insert rows by ``query``; by ``copy`` where the backend has COPY and they are many."""
        least = self._transaction.backend.copy_from
        if least is not None and len(rows) >= least:
            self._transaction.copy(self._query(copy), rows)
        elif rows:
            self._transaction.batch(self._query(query), rows)

    def _time(self, at: datetime | None) -> Any:
        """Return a time in the driver's form; the current time if there is none."""
        return self._clock(validation.moment(utc_now() if at is None else at, "at"))

    def _days_ago(self, days: float) -> Any:
        return self._clock(utc_now() - timedelta(days=validation.days(days)))
