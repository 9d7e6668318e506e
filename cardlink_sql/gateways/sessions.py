"""OTA sessions: ``sql/*/sessions.sql``.

A session is ``pending``, then ``active``, then ends as ``completed``, ``failed`` or
``timeout``. Each step is one conditional UPDATE, so that of two workers who end a session one
succeeds and the other learns that it has ended.
"""

import uuid
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, ClassVar, Final, Unpack

from cardlink_sql.database.event_bus import EventType
from cardlink_sql.database.rows import Gives, columns_of, reader
from cardlink_sql.errors import StateError, ValidationError
from cardlink_sql.gateways.base import Gateway
from cardlink_sql.gateways.filters import SessionFilter, SessionOrder
from cardlink_sql.model import validation
from cardlink_sql.model.records import (
    AnySessionStatus,
    AnySessionType,
    JSONValue,
    OTASession,
    Page,
    Position,
    SessionStatistics,
    SessionStatus,
    SessionType,
)
from cardlink_sql.model.tables import ota_sessions
from cardlink_sql.model.times import utc_now

# How an event names what each step did.
_ACTIONS: Final = {
    "update": "updated",
    "start_session": "started",
    "complete_session": "completed",
    "fail_session": "failed",
    "timeout_session": "timeout",
    "set_tls_info": "tls_info_set",
}

# The columns of get_statistics; the window is the caller's.
_FIGURES: Final = columns_of(SessionStatistics)
del _FIGURES["period_days"]


class SessionGateway(Gateway[OTASession, str]):
    """The OTA sessions, newest first where nothing else is said."""

    __slots__ = ()
    name = "sessions"
    table = ota_sessions
    record = OTASession
    event = EventType.SESSION_CHANGED
    entity = "session"
    key = "id"
    default_order = "created_at desc"
    gives: ClassVar[Gives] = {
        "get_statistics": _FIGURES,
        "find_old": {"id": str},
        "hold": {"id": str},
    }
    # These change by start, complete, fail and timeout only.
    not_updated = frozenset({"created_at", "status", "started_at", "ended_at", "duration_ms"})

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
        """Return a page of the sessions, numbered from 1; it is empty beyond the last one.

        A deep page costs as much as all before it; :meth:`page_after` does not.
        The queries are ``find_by`` and ``count_by``.
        """
        return self._paginate(page, per_page, order_by, descending, filters)

    def create_session(
        self,
        device_id: str | None = None,
        card_iccid: str | None = None,
        session_type: AnySessionType | None = None,
        *,
        session_id: str | None = None,
        at: datetime | None = None,
    ) -> OTASession:
        """Insert a pending session.

        Args:
            device_id: the device, if known.
            card_iccid: the card, if known.
            session_type: triggered by the server or polled by the card; ``None`` if unknown.
            session_id: its UUID; without one it is made.
            at: when it was created; now, where none is given.

        Raises:
            IntegrityError: the id is taken, or there is no such device or card.
        """
        session = self._new(session_id, session_type, at)
        return self.create(replace(session, device_id=device_id, card_iccid=card_iccid))

    def open_session(
        self,
        device_id: str | None = None,
        card_iccid: str | None = None,
        session_type: AnySessionType | None = None,
        *,
        cipher_suite: str | None = None,
        psk_identity: str | None = None,
        session_id: str | None = None,
        metadata: JSONValue | None = None,
        at: datetime | None = None,
    ) -> OTASession:
        """Insert a session that is active already: created, described and started by one INSERT.

        The query is ``create``.

        Args:
            device_id: the device, if known.
            card_iccid: the card, if known.
            session_type: triggered by the server or polled by the card; ``None`` if unknown.
            cipher_suite: the TLS cipher suite that the handshake settled.
            psk_identity: the PSK identity that the card sent.
            metadata: other facts of the handshake, such as the client's address.
            session_id: its UUID; without one it is made.
            at: when it was created and started; now, where none is given.

        Raises:
            IntegrityError: the id is taken, or there is no such device or card.
        """
        pending = self._new(session_id, session_type, at)
        session = replace(
            pending,
            device_id=device_id,
            card_iccid=card_iccid,
            status=SessionStatus.ACTIVE,
            started_at=pending.created_at,
            tls_cipher_suite=cipher_suite,
            tls_psk_identity=psk_identity,
            metadata=metadata,
        )
        return self._note("started", self.create(session))

    def update(self, record: OTASession) -> OTASession:
        """Write device, card, type, TLS and error fields of a session that has not ended.

        Raises:
            NotFoundError: there is no such session.
            StateError: the session has ended, or is not in the record's status.
        """
        values = self._values(record, leave=self.not_updated - {"status"})
        values["updated_at"] = self._time(None)
        return self._step("update", record.id, values)

    def start_session(self, session_id: str, at: datetime | None = None) -> OTASession:
        """Pending becomes active, now or ``at``.

        Raises:
            NotFoundError: there is no such session.
            StateError: the session is not pending.
        """
        return self._step("start_session", session_id, {"started_at": self._time(at)})

    def complete_session(self, session_id: str, at: datetime | None = None) -> OTASession:
        """Active becomes completed; ``duration_ms`` is computed from the start.

        Raises:
            NotFoundError: there is no such session.
            StateError: the session is not active, or ``at`` is before its start.
        """
        return self._end("complete_session", session_id, {}, at)

    def fail_session(
        self,
        session_id: str,
        error_code: str | None = None,
        error_message: str | None = None,
        at: datetime | None = None,
    ) -> OTASession:
        """Pending or active becomes failed.

        Raises:
            NotFoundError: there is no such session.
            StateError: the session has ended, or ``at`` is before its start.
        """
        values = {
            "error_code": self._bind["error_code"](error_code),
            "error_message": self._bind["error_message"](error_message),
        }
        return self._end("fail_session", session_id, values, at)

    def timeout_session(self, session_id: str, at: datetime | None = None) -> OTASession:
        """Pending or active becomes timeout.

        Raises:
            NotFoundError: there is no such session.
            StateError: the session has ended, or ``at`` is before its start.
        """
        return self._end("timeout_session", session_id, {}, at)

    def set_tls_info(
        self,
        session_id: str,
        cipher_suite: str | None = None,
        psk_identity: str | None = None,
        *,
        metadata: JSONValue | None = None,
    ) -> OTASession:
        """Store the outcome of a session's TLS handshake (RFC 4279).

        Args:
            session_id: the session.
            cipher_suite: ``None`` where the handshake failed before one was chosen.
            psk_identity: as the client sent it; ``None`` where it sent none.
            metadata: other facts, such as the client's address, the TLS version, the handshake's
                time or the reason of the close. They replace those stored; ``None`` keeps them.

        Raises:
            NotFoundError: there is no such session.
            StateError: the session has ended.
        """
        values = {
            "tls_cipher_suite": self._bind["tls_cipher_suite"](cipher_suite),
            "tls_psk_identity": self._bind["tls_psk_identity"](psk_identity),
        }
        if metadata is not None:
            values["metadata"] = self._bind["metadata"](metadata)
        return self._step("set_tls_info", session_id, values)

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
        return self._many(
            "find_by_date_range",
            {
                "start": self._time(first),
                "end": self._time(last),
                "limit": validation.limit(limit),
            },
        )

    def find_matching(
        self,
        *,
        status: AnySessionStatus | None = None,
        device_id: str | None = None,
        card_iccid: str | None = None,
        days: float | None = None,
        limit: int | None = None,
    ) -> list[OTASession]:
        """Return the sessions that match every filter, newest first.

        Args:
            status: their states.
            device_id: their device.
            card_iccid: their card.
            days: created within the last so many days.
            limit: sessions at most.
        """
        asked = {"status": status, "device_id": device_id, "card_iccid": card_iccid}
        parameters: dict[str, Any] = {
            name: self._bind[name](value) for name, value in asked.items() if value is not None
        }
        if days is not None:
            parameters["since"] = self._days_ago(days)
        return self._matching(limit, **parameters)

    def find_by_prefix(self, prefix: str, limit: int | None = None) -> list[OTASession]:
        """Return the sessions whose id begins with ``prefix``, in the order of their ids.

        Args:
            prefix: the first hex digits of a UUID, any case, with or without its hyphens.
            limit: sessions at most.
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
        closed = self._execute(
            "close_stale", {"before": self._time(_ago(minutes)), "ended_at": self._time(at)}
        )
        self._note_many("timeout", closed)
        self._note_batch("close_stale", closed)
        return closed

    def find_old(self, days: float, limit: int) -> list[str]:
        """Return the ids of the first ``limit`` sessions that ended more than ``days`` ago.

        They were created before that, too: a session that claims to have ended before it was
        created is as old as its row.
        """
        parameters = {
            "before": self._days_ago(days),
            "limit": validation.whole(limit, "limit", least=1),
        }
        return [row[0] for row in self._transaction.many(self._query("find_old"), parameters)]

    def hold(self, session_id: str) -> bool:
        """Keep other transactions off the session until this one ends; whether it is there.

        It waits for those that change, log to or delete the session.

        Raises:
            ConflictError: they took longer than the lock timeout.
        """
        return self._transaction.one(self._query("hold"), {"id": self._key(session_id)}) is not None

    def count_old(self, days: float) -> int:
        """Count the sessions that :meth:`find_old` returns without a limit."""
        parameters = {"before": self._days_ago(days)}
        return int(self._transaction.scalar(self._query("count_old"), parameters))

    def count_old_logs(self, days: float, within_days: float | None = None) -> int:
        """Return the number of log entries of the sessions of :meth:`count_old`.

        Args:
            days: as there.
            within_days: only the entries of the last so many days; without it, all.
        """
        parameters = {"before": self._days_ago(days)}
        if within_days is not None:
            parameters["since"] = self._days_ago(within_days)
        return int(self._transaction.scalar(self._query("count_old_logs"), parameters))

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

    def _days_ago(self, days: float) -> Any:
        return self._time(utc_now() - timedelta(days=validation.days(days)))

    def _values(self, record: OTASession, leave: frozenset[str]) -> dict[str, Any]:
        values = super()._values(record, leave)
        started, ended = record.started_at, record.ended_at
        if "ended_at" in values and started is not None and ended is not None and ended < started:
            raise ValidationError("the end is before the start", "ota_sessions.ended_at")
        return values

    def _new(
        self, session_id: str | None, session_type: AnySessionType | None, at: datetime | None
    ) -> OTASession:
        number = str(uuid.uuid4()) if session_id is None else session_id
        kind = None
        if session_type is not None:
            kind = SessionType(self._bind["session_type"](session_type))
        moment = utc_now() if at is None else at
        return OTASession(number, kind, created_at=moment, updated_at=moment)

    def _end(
        self, name: str, session_id: str, values: dict[str, Any], at: datetime | None
    ) -> OTASession:
        """End a session ``at`` a time, or now: at its start where the clock was set back since."""
        try:
            return self._step(name, session_id, {**values, "ended_at": self._time(at)})
        except StateError:
            start = None if at is not None else self.start_of_active(session_id)
            if start is None:
                raise
        return self._step(name, session_id, {**values, "ended_at": self._time(start)})

    def start_of_active(self, session_id: str) -> datetime | None:
        """Return when a session started that has not ended; ``None`` for any other."""
        session = self.get_by_id(session_id)
        if session is None or session.status.is_end:
            return None
        return session.started_at

    def _step(self, name: str, session_id: str, values: dict[str, Any]) -> OTASession:
        key = self._key(session_id)
        stamp = {"id": key, "updated_at": self._time(None)}
        session = self._written(name, {**stamp, **values}, key)
        if session is None:
            raise self._refusal(name, key)
        return self._note(_ACTIONS[name], session)

    def _refusal(self, name: str, session_id: str) -> Exception:
        session = self.get_by_id(session_id)
        if session is None:
            return self._missing(session_id)
        where = f"{self.table.name}[{session_id}]"
        if session.status.is_end:
            return StateError(f"{name}: the session has ended as {session.status}", where)
        if name == "update":
            return StateError(
                f"update does not change the status, which is {session.status}",
                where,
                "call start_session, complete_session, fail_session or timeout_session",
            )
        if name == "complete_session" and session.status is SessionStatus.PENDING:
            return StateError(f"{name}: the session is pending", where, "start it first")
        if name == "start_session":
            return StateError(f"{name}: the session is active already", where)
        return StateError(
            f"{name}: the session would end before it started", where, "check the clocks"
        )

    def _position(self, after: Position | None) -> dict[str, Any]:
        if after is None:
            return {}
        if not isinstance(after, tuple) or len(after) != 2:
            raise ValidationError("this is not what a page gave as after", "after")
        return {"created_at": self._time(after[0]), "id": self._key(after[1])}

    def _after(self, record: OTASession) -> Position:
        return Position((record.created_at, record.id))


def _ago(minutes: float) -> datetime:
    return utc_now() - timedelta(hours=validation.hours(minutes, "minutes") / 60)
