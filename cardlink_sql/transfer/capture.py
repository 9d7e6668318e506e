"""One session's APDUs as a capture for Wireshark, and captures read back as a trace."""

import json
import uuid
from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path
from typing import IO, Any, Final

from sqlalchemy import Table

from cardlink_sql.database.unreadable_rows import skip
from cardlink_sql.errors import QueryError, ValidationError
from cardlink_sql.formats.pcap import (
    Packet,
    is_capture,
    read_capture,
    split_apdu,
    write_capture,
)
from cardlink_sql.formats.text import read_bytes
from cardlink_sql.formats.times import parse_time
from cardlink_sql.model import validation
from cardlink_sql.model.choices import Direction, SessionStatus, SessionType
from cardlink_sql.model.columns import checks
from cardlink_sql.model.records.log import CommLog
from cardlink_sql.model.records.session import OTASession
from cardlink_sql.model.tables import comm_logs, ota_sessions
from cardlink_sql.model.times import utc_now
from cardlink_sql.transfer.trace import Trace, TraceSession, read_trace

_CAPTURES: Final = uuid.UUID("c1b8f1f6-6c39-4a43-9df6-3a6d4fb3a0c5")
_MAX_BYTES: Final = 2**28
_NOTE: Final = "cardlink-db "
# The facts of a session that its capture carries.
_FACTS: Final = (
    "session_type", "card_iccid", "status", "tls_cipher_suite", "tls_psk_identity", "metadata",
    "error_code", "error_message",
)  # fmt: skip
_TIMES: Final = ("created_at", "started_at", "ended_at")


def write_session(file: IO[bytes], session: OTASession, entries: Iterable[CommLog]) -> int:
    """Write a session as a capture that Wireshark opens; return the number of packets.

    A command and its response make one packet with the command's time. The packet's comment
    says where the command ends, when the response came, and its latency.

    Raises:
        ValidationError: an APDU is larger than a packet of a capture.
    """
    facts = {name: getattr(session, name) for name in ("id", *_FACTS, *_TIMES)}
    try:
        return write_capture(file, _packets(entries), _note(facts))
    except ValidationError as error:
        command = f"cardlink-db export --session {session.id} --format jsonl"
        remedy = f"export the session as JSON lines: {command}"
        raise ValidationError(error.what, error.where, remedy) from None


def read_recording(path: Path) -> Trace:
    """Read a trace of JSON lines, or a capture as a trace of one session.

    Raises:
        ValidationError: the file cannot be read, or it breaks a rule.
    """
    content = read_bytes(path, at_most=_MAX_BYTES)
    if is_capture(content):
        return _read_session(path, content)
    try:
        return read_trace(content, path)
    except ValidationError as error:
        if error.remedy or error.where != f"{path}:1":
            raise
        raise ValidationError(error.what, error.where, _other_use(path, content)) from None


def _other_use(path: Path, content: bytes) -> str:
    """Return what to do with a file whose first line is not of a trace."""
    if content.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<"):
        return f"import a test report by: cardlink-db tests import {path} --run NAME"
    return "a trace has a JSON object in each line; a capture is pcap or pcapng"


def _read_session(path: Path, content: bytes) -> Trace:
    """Read a capture as a trace of one session.

    A capture of another program has no session id; its bytes make one, so that a replay knows
    it again. It begins and ends with its first and its last APDU, and counts as completed.
    """
    capture = read_capture(content, str(path))
    note = _noted(capture.comment)
    is_cut = capture.cut_after is not None
    if not capture.packets and (is_cut or not note):
        what = "is cut off before its first APDU" if is_cut else "holds no APDU"
        remedy = "record GSMTAP packets of type SIM (UDP port 4729)"
        raise ValidationError(f"the capture {what}", str(path), remedy)
    # Merged captures of other programs are not in the order of time.
    packets = capture.packets if note else sorted(capture.packets, key=lambda one: one.timestamp)
    session_id = note.get("id") or str(uuid.uuid5(_CAPTURES, content.hex()))
    facts = _checked(note, _FACTS, ota_sessions, str(path))
    session = TraceSession(validation.session_id(session_id, f"{path}: id"), **facts)
    for number, packet in enumerate(packets, 1):
        session.entries += _entries(session.id, packet, f"{path}: packet {number}")
    first = session.entries[0].timestamp if session.entries else utc_now()
    last = session.entries[-1].timestamp if session.entries else None
    session.created_at = _time(note, "created_at", path) or first
    session.started_at = _time(note, "started_at", path) or (None if note else first)
    session.ended_at = _time(note, "ended_at", path) or (None if note else last)
    if not note:
        session.session_type = SessionType.POLLED
    if session.status is SessionStatus.FAILED:
        session.error_code = session.error_code or "failed"
    elif session.status is not SessionStatus.TIMEOUT:
        # An open session, too: a replay leaves the status out where there is no `ended_at`.
        session.status = SessionStatus.COMPLETED
    trace = Trace(sessions={session.id: session})
    if capture.cut_after is not None:
        cut = f"the capture is cut off in packet {capture.cut_after + 1}"
        trace.warnings.append(f"{cut}; the packets before it are recorded")
    return trace


def _packets(entries: Iterable[CommLog]) -> Iterator[Packet]:
    command: CommLog | None = None
    for entry in filter(_is_hex, entries):
        response = entry if entry.direction is Direction.RESPONSE else None
        if command or response:
            yield _packet(command, response)
        command = None if response else entry
    if command:
        yield _packet(command, None)


def _is_hex(entry: CommLog) -> bool:
    """Return whether an entry can be a packet; one that another program wrote may be no hex."""
    try:
        bytes.fromhex(entry.raw_data)
    except ValueError:
        if skip([entry.id], ["id"], "raw_data is not hex"):
            return False
        raise QueryError(
            f"the row with id {entry.id} of comm_logs is not hex",
            remedy="correct this row in the database, where another program wrote it",
        ) from None
    return True


def _packet(command: CommLog | None, response: CommLog | None) -> Packet:
    sent = bytes.fromhex(command.raw_data) if command else b""
    note: dict[str, Any] = {"command": len(sent)}
    came = b""
    if response:
        came = bytes.fromhex(response.raw_data)
        note |= {"response_at": response.timestamp, "latency_ms": response.latency_ms}
        note |= {"status_word": response.status_word}
    first = command or response
    assert first is not None  # noqa: S101 - the callers have one of the two
    return Packet(first.timestamp, sent + came, _note(note))


def _entries(session_id: str, packet: Packet, where: str) -> Iterator[CommLog]:
    note = _noted(packet.comment)
    length = note.get("command")
    if isinstance(length, int) and 0 <= length <= len(packet.data):
        command, response = packet.data[:length], packet.data[length:]
    else:
        command, response = split_apdu(packet.data)
    if command:
        yield CommLog(
            session_id=session_id,
            direction=Direction.COMMAND,
            raw_data=command.hex().upper(),
            timestamp=packet.timestamp,
        )
    # A mute card's response is empty.
    if response or "response_at" in note:
        facts = _checked(note, ("latency_ms", "status_word"), comm_logs, where)
        yield CommLog(
            session_id=session_id,
            direction=Direction.RESPONSE,
            raw_data=response.hex().upper(),
            latency_ms=facts["latency_ms"],
            status_word=facts["status_word"],
            timestamp=_time(note, "response_at", where) or packet.timestamp,
        )


def _checked(
    note: dict[str, Any], names: Iterable[str], table: Table, where: str
) -> dict[str, Any]:
    """Return values of a note, which anybody may have edited, checked as their columns are."""
    values = {}
    for name in names:
        value = note.get(name)
        try:
            values[name] = None if value is None else checks(table)[name](value)
        except ValidationError as error:
            raise ValidationError(error.what, f"{where}: {name}", error.remedy) from None
    return values


def _note(facts: dict[str, Any]) -> str:
    known = {name: value for name, value in facts.items() if value is not None}
    return _NOTE + json.dumps(known, ensure_ascii=False, default=datetime.isoformat)


def _noted(comment: str) -> dict[str, Any]:
    """Return what we noted in a comment; nothing where it is another program's, or edited."""
    if not comment.startswith(_NOTE):
        return {}
    try:
        note = json.loads(comment.removeprefix(_NOTE))
    except (ValueError, RecursionError):
        return {}
    return note if isinstance(note, dict) else {}


def _time(note: dict[str, Any], name: str, where: object) -> datetime | None:
    value = note.get(name)
    return None if value is None else parse_time(value, f"{where}: {name}")
