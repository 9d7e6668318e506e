"""The events that other processes read: ``sql/*/outbox.sql``."""

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any, ClassVar, Final

from sqlalchemy import Table

from cardlink_sql.database.event_bus import DatabaseEvent, EventType
from cardlink_sql.database.query_runner import QueryRunner
from cardlink_sql.database.rows import Gives
from cardlink_sql.model import validation
from cardlink_sql.model.tables import event_outbox
from cardlink_sql.model.times import from_text
from cardlink_sql.queries import Row

_KNOWN: Final = frozenset(EventType)


class OutboxGateway(QueryRunner):
    """The outbox and its counter; ``manager.listen()`` reads the events."""

    name = "outbox"
    table: ClassVar[Table] = event_outbox
    gives: ClassVar[Gives] = {
        "get_counter": {"last_id": int, "publishes": bool},
        "read_after": {
            "event_type": str,
            "entity_type": str,
            "entity_id": str | None,
            "action": str,
            "occurred_at": datetime,
            "data": str | None,
            "id": int,
        },
    }

    __slots__ = ()

    def get_counter(self) -> tuple[int, bool]:
        """Return the number of the last event, and whether the processes publish theirs."""
        row = self._transaction.one(self._query("get_counter"), {})
        return (0, False) if row is None else (int(row[0]), bool(row[1]))

    def set_publishing(self, *, publishes: bool) -> None:
        """Let every process that writes publish its events, or no longer."""
        validation.boolean(publishes, "publishes")
        self._execute("set_publishing", {"publishes": publishes})

    def add(self, origin: str, events: Sequence[DatabaseEvent]) -> bool:
        """Number and store events, as the last act before the commit.

        The query before is ``take_numbers``. Gives false, and stores nothing, where publishing
        was turned off.

        Args:
            origin: who publishes; it does not hear them itself.
            events: in the order in which they happened.
        """
        last = self._transaction.insert(self._query("take_numbers"), {"count": len(events)})
        if not last:
            return False
        first = last - len(events) + 1
        rows = [self._values(number, origin, event) for number, event in enumerate(events, first)]
        self._transaction.batch(self._query("add"), rows)
        return True

    def read_after(
        self, after: int, origin: str, limit: int
    ) -> list[tuple[int, DatabaseEvent | None]]:
        """Return the events after a number, each with its own.

        ``None`` replaces events of ``origin``, and those of a type that this release does not
        know: a newer one may fire it.
        """
        parameters = {"after": after, "origin": origin, "limit": limit}
        rows = self._rows("read_after", parameters)
        return [(int(row[6]), None if row[5] is None else self._event(row)) for row in rows]

    def count_old(self, days: float) -> int:
        """Return how many events are older than ``days``: what a purge would delete."""
        return int(self._scalar("count_old", {"before": self._days_ago(days)}))

    def purge_old(self, days: float, limit: int = 10_000) -> int:
        """Delete events older than ``days``, the first ``limit`` of them; return their number.

        Fewer than ``limit`` say that none is left. Commit between two calls. A listener that has
        not read them yet says so. The queries are ``find_purge_end`` and ``purge_old``.
        """
        before = self._days_ago(days)
        most = validation.whole(limit, "limit", least=1)
        parameters = {"before": before, "limit": most}
        last = self._scalar("find_purge_end", parameters)
        if last is None:
            return 0
        return self._execute("purge_old", {"before": before, "last": last})

    def _values(self, number: int, origin: str, event: DatabaseEvent) -> tuple[Any, ...]:
        """An event in the order of the batch's parameters."""
        return (
            number,
            origin,
            event.event_type.value,
            event.entity_type,
            event.entity_id,
            event.action,
            self._clock(event.timestamp),
            json.dumps(event.data, ensure_ascii=False, allow_nan=False),
        )

    def _event(self, row: Row) -> DatabaseEvent | None:
        if row[0] not in _KNOWN:
            return None
        moment = from_text(row[4]) if isinstance(row[4], str) else row[4]
        data = json.loads(row[5])
        return DatabaseEvent(
            EventType(row[0]), row[1], row[2], row[3],
            timestamp=moment, data=data, position=int(row[6]),
        )  # fmt: skip
