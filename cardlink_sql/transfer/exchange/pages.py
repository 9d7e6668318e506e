"""The rows of an export, page by page: no page reads what the one before has read."""

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any, Final

from cardlink_sql.database.unreadable_rows import skipped_keys
from cardlink_sql.gateways.exchange import ExchangeGateway
from cardlink_sql.queries import Row
from cardlink_sql.transfer.exchange.shapes import Shape

PAGE: Final = 1000


class Pages:
    """The pages of each table.

    The scope is ``since`` (a time in the driver's form), ``session_id``, or nothing.
    """

    def __init__(self, gateway: ExchangeGateway, scope: Mapping[str, Any]) -> None:
        self._gateway = gateway
        self._scope = scope
        self._since = scope.get("since")

    def of(self, shape: Shape) -> Iterator[Sequence[Row]]:
        """Yield the pages of a table."""
        if self._since is None or shape.word not in ("sessions", "logs", "tests"):
            yield from self._by_key(shape, 0 if shape.word == "logs" else "")
        elif shape.word != "logs":
            yield from self._by_time(shape)
            if shape.word == "sessions":
                yield from self._earlier_sessions()
        elif self._before_logs is not None:
            yield from self._by_key(shape, self._before_logs)

    def _by_key(self, shape: Shape, after: str | int) -> Iterator[Sequence[Row]]:
        position = shape.columns.index(shape.key)
        while True:
            with skipped_keys() as keys:
                rows = self._gateway.page(shape.word, after, PAGE, self._scope)
            yield rows
            if len(rows) + len(keys) < PAGE:
                return
            after = max([*keys, *(row[position] for row in rows[-1:])])

    def _by_time(self, shape: Shape) -> Iterator[Sequence[Row]]:
        key, created = shape.columns.index(shape.key), shape.columns.index("created_at")
        after: dict[str, Any] = {}
        limit = PAGE
        while True:
            with skipped_keys() as keys:
                rows = self._gateway.page_since(shape.word, self._since, after, limit)
            yield rows
            if len(rows) + len(keys) < limit:
                return
            if rows:
                after = {"created_at": rows[-1][created], "id": rows[-1][key]}
            else:
                limit *= 2  # all were left out, and their times are not known

    def _earlier_sessions(self) -> Iterator[Sequence[Row]]:
        """Yield the sessions created before the time that have entries since."""
        seen = set[str]()
        after = self._before_logs
        while after is not None:
            entries = self._gateway.find_earlier_sessions(self._since, after, PAGE)
            keys = {key for _, key in entries} - seen
            if keys:
                seen |= keys
                yield self._gateway.find("sessions", sorted(keys))
            after = entries[-1][0] if len(entries) == PAGE else None

    @cached_property
    def _before_logs(self) -> int | None:
        """The number before the first entry since the time, ``None`` where there is no entry."""
        first = self._gateway.find_first_log(self._since)
        return None if first is None else first - 1
