"""The reads of an export and the writes of an import: ``sql/*/exchange.sql``.

The only gateway of more than one table. A table is named by the word of its own gateway
(``devices``, ``cards``, …), and the query by the method and that word: ``page("cards", …)``
sends ``page_cards``. Rows are tuples of the driver's values in the order of the table's columns.
"""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Final

from cardlink_sql.database.query_runner import QueryRunner
from cardlink_sql.database.rows import Gives
from cardlink_sql.model import tables
from cardlink_sql.queries import Row

_TABLES: Final = {
    "devices": tables.devices,
    "cards": tables.card_profiles,
    "sessions": tables.ota_sessions,
    "logs": tables.comm_logs,
    "tests": tables.test_results,
    "settings": tables.settings,
}


class ExchangeGateway(QueryRunner):
    """Every table of the schema, as rows."""

    __slots__ = ()
    name = "exchange"
    gives: ClassVar[Gives] = {
        **{f"page_{word}": table for word, table in _TABLES.items()},
        **{f"find_{word}": table for word, table in _TABLES.items() if word != "logs"},
        "find_psk_identities": {"psk_identity": str, "iccid": str},
        **{f"page_{word}_since": _TABLES[word] for word in ("sessions", "tests")},
        "find_first_log": {"id": int},
        "find_earlier_sessions": {"id": int, "session_id": str},
        "find_taken_numbers": {"id": int},
    }

    def page(
        self, word: str, after: str | int, limit: int, scope: Mapping[str, Any]
    ) -> Sequence[Row]:
        """Return the rows after a key, in the order of the key. The query is ``page_WORD``.

        Args:
            after: the key of the last row of the page before; ``""`` or 0 for the first page.
            scope: ``since`` (a time in the driver's form) or ``session_id``; the table's query
                takes what it has a line for.
        """
        query = self._query(f"page_{word}")
        given = {name: value for name, value in scope.items() if name in query.conditions}
        return self._transaction.many(query, {**given, "after": after, "limit": limit})

    def page_since(
        self, word: str, since: Any, after: Mapping[str, Any], limit: int
    ) -> Sequence[Row]:
        """Return the rows created from a time on, in that order. The query is ``page_WORD_since``.

        Args:
            word: ``sessions`` or ``tests``.
            since: the time in the driver's form.
            after: ``created_at`` and ``id`` of the last row before; empty for the first page.
        """
        return self._rows(f"page_{word}_since", {**after, "since": since, "limit": limit})

    def find(self, word: str, keys: Sequence[str]) -> Sequence[Row]:
        """Return the rows with these keys, at most a few thousand, in no order.

        The query is ``find_WORD``.
        """
        return self._rows(f"find_{word}", {"keys": keys})

    def insert(self, word: str, rows: Sequence[tuple[Any, ...]]) -> None:
        """New rows. The query is ``insert_WORD``.

        Raises:
            IntegrityError: a key is taken, or a row that one refers to is missing.
        """
        if rows:
            self._transaction.batch(self._query(f"insert_{word}"), rows)

    def update(self, word: str, values: Mapping[str, Any]) -> None:
        """Write a row, found by its key; of a log entry what is not its identity.

        The query is ``update_WORD``.
        """
        self._execute(f"update_{word}", values)

    def find_psk_identities(self, identities: Sequence[str]) -> dict[str, str]:
        """Return the ICCIDs of the cards that claim these PSK identities, by identity."""
        rows = self._rows("find_psk_identities", {"identities": identities})
        return {row[0]: row[1] for row in rows}

    def release_psk_identity(self, iccid: str) -> None:
        """Take the PSK identity from a card that gets another one."""
        self._execute("release_psk_identity", {"iccid": iccid})

    # Log entries

    def find_first_log(self, since: Any) -> int | None:
        """Return the number of the first entry since a time, which may read the whole log."""
        row = self._transaction.one(self._query("find_first_log"), {"since": since})
        return None if row is None else int(row[0])

    def find_earlier_sessions(self, since: Any, after: int, limit: int) -> Sequence[Row]:
        """Return number and session of entries since a time whose session was created before.

        Args:
            since: the time in the driver's form.
            after: the number before the first entry to look at.
        """
        return self._rows("find_earlier_sessions", {"since": since, "after": after, "limit": limit})

    def find_taken_numbers(self, numbers: Sequence[int]) -> set[int]:
        """Return those of the numbers that log entries already have."""
        return set(self._firsts("find_taken_numbers", {"numbers": numbers}))

    def reserve_numbers(self, highest: int) -> bool:
        """Keep the numbers up to ``highest`` from other writers; whether they may be used.

        The query, and ``may_reserve_numbers`` before it, are only PostgreSQL's: the other
        backends number after the highest number by themselves.
        """
        if "reserve_numbers" not in self._queries:
            return True
        if not self._scalar("may_reserve_numbers", {}):
            return False
        self._scalar("reserve_numbers", {"highest": highest})
        return True

    def insert_logs(self, rows: Sequence[tuple[Any, ...]]) -> None:
        """New log entries with numbers. The query is ``copy_logs`` on PostgreSQL."""
        self._insert_many("insert_logs", "copy_logs", rows)

    def append_logs(self, rows: Sequence[tuple[Any, ...]]) -> None:
        """New log entries, their number left out: the database assigns one after all others.

        The query is ``copy_new_logs`` on PostgreSQL.
        """
        self._insert_many("append_logs", "copy_new_logs", rows)
