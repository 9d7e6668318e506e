"""OTA sessions, found and counted: ``sql/*/sessions.sql``. A session's steps are in
:mod:`cardlink_sql.gateways.session_lifecycle`.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, ClassVar, Final, Unpack

from cardlink_sql.database.event_bus import EventType
from cardlink_sql.database.rows import Gives, columns_of, reader
from cardlink_sql.errors import ValidationError
from cardlink_sql.gateways.filters import SessionFilter, SessionOrder
from cardlink_sql.gateways.session_lifecycle import SessionLifecycle
from cardlink_sql.model import validation
from cardlink_sql.model.choices import AnySessionStatus, SessionStatus
from cardlink_sql.model.progress import OnProgress, no_progress
from cardlink_sql.model.records.page import Page
from cardlink_sql.model.records.session import OTASession, SessionStatistics
from cardlink_sql.model.tables import ota_sessions
from cardlink_sql.model.times import utc_now

# The columns of get_statistics; the window is the caller's.
_FIGURES: Final = columns_of(SessionStatistics)
del _FIGURES["period_days"]
# Sessions whose entries count_old_logs counts by one query.
_COUNTED: Final = 1_000


class SessionGateway(SessionLifecycle):
    """The OTA sessions, newest first where nothing else is said."""

    __slots__ = ()
    name = "sessions"
    table = ota_sessions
    record = OTASession
    event = EventType.SESSION_CHANGED
    entity = "session"
    key = "id"
    default_order = "created_at desc"
    page_order = ("created_at", "id")
    gives: ClassVar[Gives] = {
        "get_statistics": _FIGURES,
        "find_old": {"id": str, "created_at": datetime},
        "lock": {"id": str},
    }

    def find_by(self, **filters: Unpack[SessionFilter]) -> list[OTASession]:
        """Return the sessions whose columns equal the values given; ``None`` asks for NULL."""
        return self._find_by(filters)

    def find_one_by(self, **filters: Unpack[SessionFilter]) -> OTASession | None:
        """Return the first session that :meth:`find_by` would return, or ``None``."""
        return self._find_one_by(filters)

    def count_by(self, **filters: Unpack[SessionFilter]) -> int:
        """Count the sessions that :meth:`find_by` would return, in the database."""
        return self._count_by(filters)

    def paginate(
        self,
        page: int = 1,
        per_page: int = 20,
        order_by: SessionOrder | None = None,
        descending: bool = False,  # noqa: FBT001, FBT002
        **filters: Unpack[SessionFilter],
    ) -> Page[OTASession]:
        """Return a page of the sessions. The queries are ``find_by`` and ``count_by``."""
        return self._paginate(page, per_page, order_by, descending, filters)

    def find_by_device(self, device_id: str, limit: int | None = 100) -> list[OTASession]:
        """Return the device's sessions, newest first. The query is ``find_matching``."""
        device = validation.identifier(device_id, "device_id", 255)
        return self._matching(limit, device_id=self._bind["device_id"](device))

    def find_by_card(self, iccid: str, limit: int | None = 100) -> list[OTASession]:
        """Return the card's sessions, newest first. The query is ``find_matching``."""
        return self._matching(limit, card_iccid=validation.iccid(iccid))

    def find_by_status(
        self, status: AnySessionStatus, limit: int | None = None
    ) -> list[OTASession]:
        """Return the sessions in one status, newest first. The query is ``find_matching``."""
        return self._matching(limit, status=self._given("status", status))

    def find_active(self) -> list[OTASession]:
        """Return the active sessions, newest first. The query is ``find_matching``."""
        return self._matching(None, status=self._bind["status"](SessionStatus.ACTIVE))

    def find_open(self) -> list[OTASession]:
        """Return the sessions that have not ended (pending and active), newest first."""
        return self._many("find_open", {})

    def find_by_date_range(
        self, start: datetime, end: datetime, limit: int | None = None
    ) -> list[OTASession]:
        """Return the sessions created from ``start`` to before ``end``, newest first."""
        first, last = validation.moment(start, "start"), validation.moment(end, "end")
        if last < first:
            raise ValidationError("the range ends before it starts", "end")
        window = {"start": self._time(first), "end": self._time(last)}
        return self._many("find_by_date_range", {**window, "limit": validation.limit(limit)})

    def find_matching(
        self,
        *,
        status: AnySessionStatus | None = None,
        device_id: str | None = None,
        card_iccid: str | None = None,
        days: float | None = None,
        since: datetime | None = None,
        limit: int | None = None,
    ) -> list[OTASession]:
        """Return the sessions that match every filter, newest first.

        Args:
            days: created within the last so many days.
            since: created at this time or later; it comes before ``days``.
        """
        parameters = self._bound(status=status, device_id=device_id, card_iccid=card_iccid)
        if since is not None:
            parameters["since"] = self._time(since)
        elif days is not None:
            parameters["since"] = self._days_ago(days)
        return self._matching(limit, **parameters)

    def find_by_prefix(self, prefix: str, limit: int | None = None) -> list[OTASession]:
        """Return the sessions whose id begins with ``prefix``, in the order of their ids.

        ``prefix`` is the first hex digits of a UUID, any case, with or without its hyphens.
        """
        first = validation.uuid_prefix(prefix)
        # g sorts after every digit, and after the hyphen.
        parameters = {"prefix": first, "end": f"{first}g", "limit": validation.limit(limit)}
        return self._many("find_by_prefix", parameters)

    def find_stale(self, minutes: float = 60) -> list[OTASession]:
        """Return the sessions that have not ended and have been idle for ``minutes``.

        What happens is a change of the session or an APDU.
        """
        return self._many("find_stale", {"before": self._time(_ago(minutes))})

    def close_stale(self, minutes: float = 60, at: datetime | None = None) -> int:
        """End the sessions of :meth:`find_stale` as ``timeout``; return their number."""
        times = {"before": self._time(_ago(minutes)), "ended_at": self._time(at)}
        closed = self._execute("close_stale", times)
        self._note_many("timeout", closed)
        self._note_batch("close_stale", closed)
        return closed

    def find_old(self, days: float, limit: int) -> list[str]:
        """Return the ids of the first ``limit`` sessions that ended more than ``days`` ago.

        They were created before that, too: a session that claims to have ended before it was
        created is as old as its row.
        """
        most = validation.whole(limit, "limit", least=1)
        return self._firsts("find_old", {"before": self._days_ago(days), "limit": most})

    def lock(self, session_id: str) -> bool:
        """Lock the session until the transaction ends; return whether there is one.

        It waits for those that change, log to or delete the session; ``ConflictError`` if they
        take longer than the lock timeout.
        """
        self._transaction.begin()
        return self._transaction.one(self._query("lock"), {"id": self._key(session_id)}) is not None

    def count_old(self, days: float) -> int:
        """Count the sessions that :meth:`find_old` returns without a limit."""
        return int(self._scalar("count_old", {"before": self._days_ago(days)}))

    def count_old_logs(
        self,
        days: float,
        within_days: float | None = None,
        on_rows: OnProgress = no_progress,
    ) -> int:
        """Return the number of log entries of the sessions of :meth:`count_old`.

        It looks at a thousand sessions at a time. The queries are ``find_old`` and
        ``count_old_logs``.

        Args:
            within_days: only the entries of the last so many days; without it, all.
            on_rows: called with the number of entries counted, after each look.
        """
        page: dict[str, Any] = {"before": self._days_ago(days), "limit": _COUNTED}
        since = {} if within_days is None else {"since": self._days_ago(within_days)}
        counted = 0
        while found := self._rows("find_old", page):
            ids = [row[0] for row in found]
            entries = int(self._scalar("count_old_logs", {"session_ids": ids, **since}))
            counted += entries
            on_rows(entries)
            page["id"], page["created_at"] = found[-1]
        return counted

    def delete_many(self, ids: Sequence[str]) -> int:
        """Delete those of these sessions that have ended, with their logs; return the number.

        One that has a great log is one great transaction:
        :func:`cardlink_sql.operations.retention.purge` deletes the log first, in batches.
        """
        keys = [self._key(key) for key in ids]
        gone = self._execute("delete_many", {"ids": keys})
        self._note_many("deleted", gone)
        self._note_batch("delete_many", gone)
        return gone

    def get_statistics(self, days: float = 7) -> SessionStatistics:
        """Return figures of the sessions created within the last ``days``, by one statement."""
        row = self._transaction.one(self._query("get_statistics"), {"since": self._days_ago(days)})
        assert row is not None  # noqa: S101 - an aggregate without GROUP BY has one row
        return reader(SessionStatistics, self._transaction.dialect)((*row, float(days)))

    def _matching(self, limit: int | None, **parameters: Any) -> list[OTASession]:
        return self._many("find_matching", {**parameters, "limit": validation.limit(limit)})


def _ago(minutes: float) -> datetime:
    return utc_now() - timedelta(hours=validation.hours(minutes, "minutes") / 60)
