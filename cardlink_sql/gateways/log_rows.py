"""From a log entry to the row of a batch, checked on the way."""

import math
from binascii import unhexlify
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from cardlink_sql.model import validation
from cardlink_sql.model.choices import Direction
from cardlink_sql.model.columns import Binder
from cardlink_sql.model.records.log import CommLog
from cardlink_sql.model.status_words import describe

# A member equals its value and hashes alike, so that one table knows both.
_MEMBERS: Final = {member.value: member for member in Direction}
_DIRECTIONS: Final = {member.value: member.value for member in Direction}


class LogRows:
    """Makes the rows of log entries, in the order of the batch's parameters.

    Args:
        bind: the binders of ``comm_logs``, by column.
        time: turns a UTC time into the form that the batch takes.
    """

    __slots__ = ("_bind", "_sessions", "_time")

    def __init__(self, bind: Mapping[str, Binder], time: Callable[[datetime], Any]) -> None:
        self._bind = bind
        self._time = time
        self._sessions: dict[str, str] = {}

    def row(self, entry: CommLog) -> tuple[Any, ...]:
        """Return an entry's row; raise :class:`ValidationError` for a value that is refused.

        This is the hot path: plainly right values pass here, the others take the full checks.
        """
        bind = self._bind
        try:
            session = self._sessions[entry.session_id]
        except (KeyError, TypeError):
            session = self._session(entry.session_id)
        raw = entry.raw_data
        try:
            unhexlify(raw)
            is_hex = isinstance(raw, str) and len(raw) <= validation.MAX_TEXT
        except (ValueError, TypeError):
            is_hex = False
        raw = raw.upper() if is_hex else bind["raw_data"](raw)
        try:
            direction = _DIRECTIONS[entry.direction]
        except (KeyError, TypeError):
            direction = bind["direction"](entry.direction)
        if not raw:
            validation.not_empty_command(direction, raw)
        word, message = entry.status_word, entry.status_message
        if word is not None:
            word = bind["status_word"](word)
        elif direction == "response" and len(raw) >= 4:
            word = raw[-4:]
            # SCP81's response script of indefinite length ends with 00 00 (ETSI TS 102 226 §5.2.2).
            if word == "0000" and raw.startswith("AF80"):
                word = None
        if message is not None:
            message = bind["status_message"](message)
        elif word is not None:
            message = describe(word)
        latency, decoded, timestamp = entry.latency_ms, entry.decoded_data, entry.timestamp
        if latency is not None and not (type(latency) is float and 0.0 <= latency < math.inf):
            latency = bind["latency_ms"](latency)
        if decoded is not None:
            decoded = bind["decoded_data"](decoded)
        if not (type(timestamp) is datetime and timestamp.tzinfo is UTC and timestamp.year >= 1000):
            timestamp = validation.moment(timestamp, "comm_logs.timestamp")
        time = self._time(timestamp)
        return session, time, latency, direction, raw, decoded, word, message

    def _session(self, session_id: str) -> str:
        session: str = self._bind["session_id"](session_id)
        self._sessions[session_id] = session
        return session


def complete(entry: CommLog, row: tuple[Any, ...]) -> CommLog:
    """Write into an entry what its row says, with status word and message filled in."""
    (
        entry.session_id,
        _,
        entry.latency_ms,
        word,
        entry.raw_data,
        entry.decoded_data,
        entry.status_word,
        entry.status_message,
    ) = row
    entry.direction = _MEMBERS[word]
    return entry
