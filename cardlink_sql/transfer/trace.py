"""Reads a recorded OTA trace and replays it through the gateways.

A trace is a file of JSON lines. First the cards, then what happened, in order::

    {"event": "card", "iccid": "8949…", "psk_identity": "card_1", "psk_key": "E8AD…"}
    {"event": "session_started", "timestamp": "2026-11-22T22:17:13.668544Z", "session": "<UUID>",
     "psk_identity": "card_1", "cipher_suite": "PSK-AES128-CBC-SHA256", "protocol": "TLSv1.2",
     "handshake_ms": 2.242}
    {"event": "command", "timestamp": "…", "session": "<UUID>", "data": "00A4040000"}
    {"event": "response", "timestamp": "…", "session": "<UUID>", "data": "6F08…9000",
     "status_word": "9000", "latency_ms": 22.061}
    {"event": "session_ended", "timestamp": "…", "session": "<UUID>", "reason": "normal"}
    {"event": "handshake_failed", "timestamp": "…", "error": "…", "alert": "51"}

A session ends as completed where the reason is ``normal``, as timeout where it is ``timeout``,
and else as failed, with the reason as its error code. A failed handshake is a failed session
without a card, its alert the error code. ``protocol`` and ``handshake_ms`` are the session's
metadata. The ``status_word`` of a mute card's empty response, and of a response script of SCP81,
is ``null``.

The whole file is checked before anything is written, and written in one transaction.
"""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, Final

from cardlink_sql.database.retry import PATIENT_ATTEMPTS, PATIENT_SECONDS
from cardlink_sql.errors import DatabaseError, IntegrityError, ValidationError, shown
from cardlink_sql.formats.strict_json import load_json
from cardlink_sql.formats.text import decode
from cardlink_sql.formats.times import parse_time
from cardlink_sql.manager import DatabaseManager
from cardlink_sql.model import validation
from cardlink_sql.model.choices import Direction, SessionStatus, SessionType
from cardlink_sql.model.records.card import CardProfile
from cardlink_sql.model.records.log import CommLog
from cardlink_sql.model.records.session import OTASession
from cardlink_sql.model.validation import Check
from cardlink_sql.unit_of_work import UnitOfWork

# By reason; any other one is a failure's code.
_ENDS: Final = {"normal": SessionStatus.COMPLETED, "timeout": SessionStatus.TIMEOUT}
_FAILED_HANDSHAKES: Final = uuid.UUID("6f0cdf0e-6f5b-4c5e-9d6e-0c6c7d9ad2f1")


@dataclass(slots=True)
class TraceCard:
    """A card of the trace. Its key is left out of the repr."""

    where: str
    iccid: str
    psk_identity: str
    psk_key: bytes = field(repr=False)


@dataclass(slots=True)
class TraceSession(OTASession):
    """A session of the trace with its APDUs; a failed handshake is one that never started."""

    entries: list[CommLog] = field(default_factory=list)


@dataclass(slots=True)
class Trace:
    """A checked trace, and what its reader should know."""

    cards: dict[str, TraceCard] = field(default_factory=dict)
    sessions: dict[str, TraceSession] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Replay:
    """The rows that a replay wrote; rows that the database had already are unchanged."""

    cards: int
    sessions: int
    entries: int
    known_cards: int
    known_sessions: int


def read_trace(content: bytes, path: Path) -> Trace:
    """Read and check the content of a trace; ``path`` is where it comes from, for errors.

    Raises:
        ValidationError: a line is not JSON or breaks the rules: ``file:line: what is wrong``.
    """
    reader = _TraceReader()
    for number, line in enumerate(content.split(b"\n"), 1):
        if line.strip():
            reader.read(line, f"{path}:{number}")
    if not (reader.trace.cards or reader.trace.sessions):
        raise ValidationError("the trace holds no event", str(path))
    return reader.trace


def replay(manager: DatabaseManager, trace: Trace) -> Replay:
    """Write a trace in one transaction: cards with their keys, sessions, every APDU.

    A card or session that the database has already is left as it is, so that a replay may be
    repeated. ``created_at`` of a session is when its handshake began.

    Raises:
        IntegrityError: a card is there with another PSK; nothing was written.
        EncryptionError: no encryption key is set; nothing was written.
    """
    iccids = {card.psk_identity: card.iccid for card in trace.cards.values()}

    def write(uow: UnitOfWork) -> Replay:
        cards = sum(_write_card(uow, card) for card in trace.cards.values())
        new = [s for s in trace.sessions.values() if not uow.sessions.exists(s.id)]
        for session in new:
            _write_session(uow, session, iccids)
        return Replay(
            cards=cards,
            sessions=len(new),
            entries=sum(len(session.entries) for session in new),
            known_cards=len(trace.cards) - cards,
            known_sessions=len(trace.sessions) - len(new),
        )

    return manager.run(write, attempts=PATIENT_ATTEMPTS, within=PATIENT_SECONDS)


def _write_card(uow: UnitOfWork, card: TraceCard) -> bool:
    known = uow.cards.get_by_id(card.iccid)
    if known is None:
        try:
            uow.cards.create_with_psk(
                CardProfile(iccid=card.iccid), card.psk_key, psk_identity=card.psk_identity
            )
        except IntegrityError as error:
            raise IntegrityError(
                f"card {card.iccid} or its identity {shown(card.psk_identity)} is taken by another "
                "card",
                card.where,
                "a replay of the same trace may be under way: try again",
            ) from error
        return True
    is_same = known.psk_identity == card.psk_identity
    if not is_same or uow.cards.get_psk_key(card.iccid) != card.psk_key:
        raise IntegrityError(
            f"card {card.iccid} is in the database with another PSK",
            card.where,
            "replay into another database",
        )
    return False


def _write_session(uow: UnitOfWork, session: TraceSession, iccids: Mapping[str, str]) -> None:
    sessions = uow.sessions
    card = iccids.get(session.tls_psk_identity or "")
    if card is None and session.card_iccid and uow.cards.exists(session.card_iccid):
        card = session.card_iccid
    sessions.create_session(
        session_id=session.id,
        session_type=session.session_type,
        card_iccid=card,
        at=session.created_at,
    )
    facts = (session.tls_cipher_suite, session.tls_psk_identity)
    if any(facts) or session.metadata:
        sessions.set_tls_info(session.id, *facts, metadata=session.metadata)
    if session.started_at is not None:
        sessions.start_session(session.id, at=session.started_at)
    uow.logs.add_log_batch(session.entries)
    ended = session.ended_at
    if ended is None:
        return
    if session.status is SessionStatus.COMPLETED:
        sessions.complete_session(session.id, at=ended)
    elif session.status is SessionStatus.TIMEOUT:
        sessions.timeout_session(session.id, at=ended)
    else:
        sessions.fail_session(session.id, session.error_code, session.error_message, ended)


Fields = dict[str, Any]


class _TraceReader:
    """Builds a trace line by line and holds each line to the rules."""

    def __init__(self) -> None:
        self.trace = Trace()
        self._identities: set[str] = set()

    def read(self, line: bytes, where: str) -> None:
        event = load_json(decode(line, where, is_line=True), where)
        try:
            self._take(event, where)
        except DatabaseError as error:
            raise ValidationError(error.what, where, error.remedy) from None

    def _take(self, event: Any, where: str) -> None:
        if not isinstance(event, dict):
            raise ValidationError(f"{type(event).__name__} is not a JSON object")
        kind = event.pop("event", None)
        if not isinstance(kind, str) or kind not in _RULES:
            raise ValidationError(f"event {shown(kind)} is none of: {', '.join(_RULES)}")
        fields = _check(event, _RULES[kind])
        match kind:
            case "card":
                self._card(fields, where)
            case "session_started":
                self._session_started(fields)
            case "command" | "response":
                self._add_entry(fields, Direction(kind))
            case "session_ended":
                session = self._open_session(fields)
                session.ended_at, reason = fields["timestamp"], fields["reason"]
                session.status = _ENDS.get(reason, SessionStatus.FAILED)
                session.error_code = reason if session.status is SessionStatus.FAILED else None
            case "handshake_failed":
                self._handshake_failed(fields)

    def _card(self, fields: Fields, where: str) -> None:
        card = TraceCard(where, fields["iccid"], fields["psk_identity"], fields["psk_key"])
        if self.trace.sessions:
            raise ValidationError("a card comes after the first session", remedy="cards first")
        if card.iccid in self.trace.cards:
            raise ValidationError(f"card {card.iccid} is there twice")
        if card.psk_identity in self._identities:
            raise ValidationError(f"two cards claim the identity {shown(card.psk_identity)}")
        self.trace.cards[card.iccid] = card
        self._identities.add(card.psk_identity)

    def _session_started(self, fields: Fields) -> None:
        session_id, identity = fields["session"], fields["psk_identity"]
        if session_id in self.trace.sessions:
            raise ValidationError(f"session {session_id} started before")
        if identity not in self._identities:
            raise ValidationError(f"no card of the trace has the identity {shown(identity)}")
        self.trace.sessions[session_id] = TraceSession(
            session_id,
            SessionType.POLLED,
            started_at=fields["timestamp"],
            tls_cipher_suite=fields["cipher_suite"],
            tls_psk_identity=identity,
            metadata={name: fields[name] for name in ("protocol", "handshake_ms")},
            created_at=_handshake_start(fields),
        )

    def _add_entry(self, fields: Fields, direction: Direction) -> None:
        word = fields.get("status_word")
        if not fields["data"].endswith(word or ""):
            raise ValidationError(f"the data does not end in the status word {word}")
        session = self._open_session(fields)
        session.entries.append(
            CommLog(
                session_id=session.id,
                direction=direction,
                raw_data=fields["data"],
                latency_ms=fields.get("latency_ms"),
                status_word=word,
                timestamp=fields["timestamp"],
            )
        )

    def _handshake_failed(self, fields: Fields) -> None:
        # The same line has the same id, so that a replay knows it again.
        name = f"{len(self.trace.sessions)} {fields['timestamp'].isoformat()} {fields['error']}"
        session_id = str(uuid.uuid5(_FAILED_HANDSHAKES, name))
        self.trace.sessions[session_id] = TraceSession(
            session_id,
            SessionType.POLLED,
            status=SessionStatus.FAILED,
            created_at=fields["timestamp"],
            ended_at=fields["timestamp"],
            error_code=fields["alert"],
            error_message=fields["error"],
        )

    def _open_session(self, fields: Fields) -> TraceSession:
        session = self.trace.sessions.get(fields["session"])
        if session is None or session.started_at is None:
            raise ValidationError(f"session {fields['session']} has not started")
        if session.ended_at is not None:
            raise ValidationError(f"session {session.id} has ended")
        last = session.entries[-1].timestamp if session.entries else session.started_at
        if fields["timestamp"] < last:
            raise ValidationError("the time is before that of the event before it")
        return session


def _handshake_start(fields: Fields) -> datetime:
    moment: datetime = fields["timestamp"]
    try:
        start = moment - timedelta(milliseconds=fields["handshake_ms"])
    except OverflowError:
        raise ValidationError("handshake_ms: the handshake began before time did") from None
    return validation.moment(start, "handshake_ms")


def _check(event: Fields, rules: Mapping[str, Check]) -> Fields:
    for name in rules:
        if name not in event:
            raise ValidationError(f"the field {name!r} is missing")
    for name in event:
        if name not in rules:
            raise ValidationError(f"the field {shown(name)} is unknown")
    checked = {}
    for name, rule in rules.items():
        try:
            checked[name] = rule(event[name], name)
        except ValidationError as error:
            raise ValidationError(f"{name}: {error.what}", remedy=error.remedy) from None
    return checked


def _status_word(value: Any, where: str) -> str | None:
    return None if value is None else validation.status_word(value, where)


_SHORT: Final = partial(validation.identifier, longest=32)
_MOMENT: Final[dict[str, Check]] = {"timestamp": parse_time}
_OF_SESSION: Final[dict[str, Check]] = {**_MOMENT, "session": validation.session_id}

_RULES: Final[dict[str, dict[str, Check]]] = {
    "card": {
        "iccid": validation.iccid,
        "psk_identity": validation.psk_identity,
        "psk_key": validation.psk_key,
    },
    "session_started": {
        **_OF_SESSION,
        "psk_identity": validation.psk_identity,
        "cipher_suite": partial(validation.identifier, longest=64),
        "protocol": _SHORT,
        "handshake_ms": validation.latency,
    },
    "command": {**_OF_SESSION, "data": validation.hex_bytes},
    "response": {
        **_OF_SESSION,
        "data": validation.apdu,
        "status_word": _status_word,
        "latency_ms": validation.latency,
    },
    "session_ended": {**_OF_SESSION, "reason": _SHORT},
    "handshake_failed": {
        **_MOMENT,
        "error": validation.text,
        "alert": _SHORT,
    },
}
