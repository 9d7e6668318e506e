"""How a session begins, goes on and ends.

A session is ``pending``, then ``active``, then ends as ``completed``, ``failed`` or
``timeout``. Each step is one conditional UPDATE, so that of two workers who end a session one
succeeds and the other learns that it has ended.
"""

import uuid
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

from cardlink_sql.errors import StateError, ValidationError
from cardlink_sql.gateways.base import Gateway
from cardlink_sql.model.choices import SESSION_ENDS, AnySessionType, SessionStatus, SessionType
from cardlink_sql.model.json_value import JSONValue
from cardlink_sql.model.records.session import OTASession
from cardlink_sql.model.times import utc_now

# How an event names what each step did.
_ACTIONS: Final = {
    "update": "updated",
    "start_session": "started",
    **{method: status.value for method, status in SESSION_ENDS.items()},
    "set_tls_info": "tls_info_set",
}


class SessionLifecycle(Gateway[OTASession, str]):
    """The part of the sessions' gateway that creates sessions and changes their status."""

    __slots__ = ()
    # These change by start, complete, fail and timeout only.
    not_updated = frozenset({"created_at", "status", "started_at", "ended_at", "duration_ms"})

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
        """Insert a session that is active already, by one INSERT. The query is ``create``.

        Args:
            device_id: the device, if known.
            card_iccid: the card, if known.
            session_type: triggered by the server or polled by the card; ``None`` if unknown.
            cipher_suite: the TLS cipher suite that the handshake settled.
            psk_identity: the PSK identity that the card sent.
            session_id: its UUID; without one it is made.
            metadata: other facts of the handshake, such as the client's address.
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

        The query is ``end_session``.

        Raises:
            NotFoundError: there is no such session.
            StateError: the session is not active, or ``at`` is before its start.
        """
        return self._end("complete_session", session_id, {"is_active": True}, at)

    def fail_session(
        self,
        session_id: str,
        error_code: str | None = None,
        error_message: str | None = None,
        at: datetime | None = None,
    ) -> OTASession:
        """Pending or active becomes failed. The query is ``end_session``.

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
        """Pending or active becomes timeout. The query is ``end_session``.

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
        """Store the outcome of a session's TLS handshake (RFC 4279); ``None`` keeps what is stored.

        Args:
            cipher_suite: left out where the handshake failed before one was chosen.
            psk_identity: as the client sent it.
            metadata: other facts, such as the client's address, the TLS version, the handshake's
                time or the reason of the close. They replace those stored.

        Raises:
            NotFoundError: there is no such session.
            StateError: the session has ended.
        """
        facts = self._bound(
            tls_cipher_suite=cipher_suite, tls_psk_identity=psk_identity, metadata=metadata
        )
        return self._step("set_tls_info", session_id, facts)

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
        values = {**values, "status": SESSION_ENDS[name].value, "ended_at": self._time(at)}
        try:
            return self._step(name, session_id, values, "end_session")
        except StateError:
            start = None if at is not None else self.start_of_active(session_id)
            if start is None:
                raise
        values["ended_at"] = self._time(start)
        return self._step(name, session_id, values, "end_session")

    def start_of_active(self, session_id: str) -> datetime | None:
        """Return when a session started that has not ended; ``None`` for any other."""
        session = self.get_by_id(session_id)
        if session is None or session.status.is_end:
            return None
        return session.started_at

    def _step(
        self, name: str, session_id: str, values: dict[str, Any], query: str | None = None
    ) -> OTASession:
        """Run the query of a method, by default that of its name."""
        stamp = self._stamp(session_id)
        session = self._written(query or name, {**stamp, **values}, session_id)
        if session is None:
            raise self._refusal(name, stamp["id"])
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
