"""Figures of what is recorded: ``sql/*/statistics.sql``. It reads only."""

from datetime import datetime
from typing import Any, ClassVar

from cardlink_sql.database.query_runner import QueryRunner
from cardlink_sql.database.rows import Gives
from cardlink_sql.database.unreadable_rows import skip
from cardlink_sql.model import validation
from cardlink_sql.model.records.statistics import CardCount, ExchangeCount, SessionDay, SlowExchange


class StatisticsGateway(QueryRunner):
    """Figures over several tables, of the sessions within a window of time.

    APDUs are reached through the sessions of the window, for the log has no B-tree on its
    timestamp: the cost grows with the entries of those sessions, not with the whole log.
    """

    __slots__ = ()
    name = "statistics"
    gives: ClassVar[Gives] = {
        "get_session_days": SessionDay,
        "count_exchanges": ExchangeCount,
        "find_slowest": SlowExchange,
        "count_cards": CardCount,
    }

    def get_session_days(self, days: float = 30) -> list[SessionDay]:
        """Return the sessions created in the last ``days``, by day; empty days are missing."""
        return self._figures("get_session_days", SessionDay, {"since": self._days_ago(days)})

    def get_duration_percentile(self, days: float = 30, percent: int = 95) -> int | None:
        """Return the duration in ms that this percentage of the sessions does not exceed.

        It is the duration of one of them, by nearest rank: exact, and not interpolated.

        Args:
            days: of the sessions created within so many days; ``None`` is the answer where
                none of them has a duration.
            percent: 1 to 100.
        """
        parameters = {
            "since": self._days_ago(days),
            "percent": validation.whole(percent, "percent", least=1, most=100),
        }
        value = self._scalar("get_duration_percentile", parameters)
        if value is None or isinstance(value, int):
            return value
        # SQLite keeps a word that another program writes in place of a number.
        name = "get_duration_percentile"
        what = f"{self.name}.{name} read a duration_ms of a session that is not a number"
        if skip((value,), ("duration_ms",), what):
            return None
        raise self._query(name).fault(
            f"the duration_ms of a session is {value!r}, which is not a number",
            "correct this row in the database, where another program wrote it",
        )

    def count_exchanges(self, since: datetime, until: datetime) -> list[ExchangeCount]:
        """Count the responses of the sessions created from ``since`` to before ``until``."""
        return self._figures("count_exchanges", ExchangeCount, self._window(since, until))

    def find_slowest(self, since: datetime, until: datetime, limit: int = 10) -> list[SlowExchange]:
        """Return those sessions' slowest responses with their commands, slowest first."""
        most = validation.whole(limit, "limit", least=1)
        parameters = {**self._window(since, until), "limit": most}
        return self._figures("find_slowest", SlowExchange, parameters)

    def count_cards(self) -> CardCount:
        """Count the cards with a PSK and without."""
        (counted,) = self._figures("count_cards", CardCount, {})
        return counted

    def get_database_bytes(self) -> int:
        """Return the size of the database, as the server reports it."""
        return int(self._scalar("get_database_bytes", {}))

    def _window(self, since: datetime, until: datetime) -> dict[str, Any]:
        return {
            "since": self._clock(validation.moment(since, "since")),
            "until": self._clock(validation.moment(until, "until")),
        }
