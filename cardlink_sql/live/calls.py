"""The calls of a recorder: the gateways' methods, whose values are checked and put in."""

import uuid
from abc import ABC, abstractmethod
from copy import deepcopy
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Table

from cardlink_sql.model import validation
from cardlink_sql.model.choices import AnyDirection, AnySessionType
from cardlink_sql.model.columns import checks
from cardlink_sql.model.json_value import JSONValue
from cardlink_sql.model.tables import comm_logs, ota_sessions
from cardlink_sql.model.times import utc_now


class Calls(ABC):
    """The methods that put sessions and APDUs in.

    Each checks its values at once and raises ``ValidationError`` for a wrong one. An item has the
    time of the call, unless another is given.
    """

    def create_session(
        self,
        device_id: str | None = None,
        card_iccid: str | None = None,
        session_type: AnySessionType | None = None,
        *,
        session_id: str | None = None,
        at: datetime | None = None,
    ) -> str:
        """Create a pending session, as the gateway's method; returns its id at once."""
        values = _described(device_id, card_iccid, session_type)
        return self._begin("create_session", session_id, {**values, "at": _moment(at)})

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
    ) -> str:
        """Create a session that is active already, after its handshake; returns its id at once.

        Its arguments are those of the gateway's method. Without ``card_iccid`` the card is the one
        that has ``psk_identity``, if any.
        """
        values = {
            **_handshake(cipher_suite, psk_identity, metadata),
            **_described(device_id, card_iccid, session_type),
            "at": _moment(at),
        }
        card_of = None
        if card_iccid is None and psk_identity is not None:
            card_of = validation.psk_identity(psk_identity)
        return self._begin("open_session", session_id, values, card_of)

    def start_session(self, session_id: str, at: datetime | None = None) -> None:
        """Turn the pending session active, now or ``at``."""
        self._put("start_session", session_id, {"at": _moment(at)})

    def set_tls_info(
        self,
        session_id: str,
        cipher_suite: str | None = None,
        psk_identity: str | None = None,
        *,
        metadata: JSONValue | None = None,
    ) -> None:
        """Record the outcome of the TLS handshake; ``metadata`` holds other facts of it."""
        self._put("set_tls_info", session_id, _handshake(cipher_suite, psk_identity, metadata))

    def add_log(
        self,
        session_id: str,
        direction: AnyDirection,
        raw_data: str | bytes,
        decoded_data: str | None = None,
        status_word: str | None = None,
        status_message: str | None = None,
        latency_ms: float | None = None,
        *,
        timestamp: datetime | None = None,
    ) -> None:
        """Log one APDU, as the gateway's ``add_log``."""
        values = _checked(
            comm_logs,
            direction=direction,
            raw_data=raw_data,
            decoded_data=decoded_data,
            status_word=status_word,
            status_message=status_message,
            latency_ms=latency_ms,
        )
        validation.not_empty_command(values["direction"], values["raw_data"])
        values["timestamp"] = _moment(timestamp)
        self._put("add_log", session_id, values)

    def complete_session(self, session_id: str, at: datetime | None = None) -> None:
        """End the active session as completed, now or ``at``."""
        self._put("complete_session", session_id, {"at": _moment(at)}, is_now=at is None)

    def fail_session(
        self,
        session_id: str,
        error_code: str | None = None,
        error_message: str | None = None,
        at: datetime | None = None,
    ) -> None:
        """End the session as failed, now or ``at``."""
        values = _checked(ota_sessions, error_code=error_code, error_message=error_message)
        self._put("fail_session", session_id, {**values, "at": _moment(at)}, is_now=at is None)

    def timeout_session(self, session_id: str, at: datetime | None = None) -> None:
        """End the session as timed out, now or ``at``."""
        self._put("timeout_session", session_id, {"at": _moment(at)}, is_now=at is None)

    def _begin(
        self,
        method: str,
        session_id: str | None,
        values: dict[str, Any],
        card_of: str | None = None,
    ) -> str:
        name = str(uuid.uuid4()) if session_id is None else validation.session_id(session_id)
        self._put(method, name, values, card_of=card_of)
        return name

    @abstractmethod
    def _put(
        self,
        method: str,
        session_id: str,
        values: dict[str, Any],
        *,
        card_of: str | None = None,
        is_now: bool = False,
    ) -> None:
        """Take one call, whose values are checked."""


# The methods that put something in.
PUTS: Final = frozenset(name for name in vars(Calls) if not name.startswith("_"))


def _moment(at: datetime | None) -> datetime:
    return utc_now() if at is None else validation.moment(at, "at")


def _described(
    device_id: str | None, card_iccid: str | None, session_type: AnySessionType | None
) -> dict[str, Any]:
    values = _checked(ota_sessions, device_id=device_id, card_iccid=card_iccid)
    if session_type is not None:
        values |= _checked(ota_sessions, session_type=session_type)
    return values


def _handshake(
    cipher_suite: str | None, psk_identity: str | None, metadata: JSONValue | None
) -> dict[str, Any]:
    check = checks(ota_sessions)
    return {
        "cipher_suite": check["tls_cipher_suite"](cipher_suite),
        "psk_identity": check["tls_psk_identity"](psk_identity),
        "metadata": deepcopy(check["metadata"](metadata)),  # the caller may go on changing its own
    }


def _checked(table: Table, **values: Any) -> dict[str, Any]:
    check = checks(table)
    return {name: check[name](value) for name, value in values.items()}
