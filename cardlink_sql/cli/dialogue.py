"""A session's APDUs as a dialogue: commands and responses, in flat memory."""

from collections.abc import Iterator
from itertools import islice
from typing import Any, Final

from rich.text import Text

from cardlink_sql.cli.shared.json_output import print_json_with_list
from cardlink_sql.cli.shared.output import counted, output, print_facts, seconds, styled, visible
from cardlink_sql.database.unreadable_rows import none_skipped
from cardlink_sql.errors import QueryError
from cardlink_sql.model.apdu_names import name_of
from cardlink_sql.model.choices import Direction
from cardlink_sql.model.records.log import CommLog
from cardlink_sql.model.records.session import OTASession, SessionSummary
from cardlink_sql.model.status_words import is_error
from cardlink_sql.unit_of_work import UnitOfWork

_HEX: Final = frozenset("0123456789ABCDEFabcdef")
_WARNING: Final = ("62", "63")

_NAME_WIDTH: Final = 16
_LEAST_WIDTH: Final = 20


def print_dialogue_json(uow: UnitOfWork, session: OTASession, limit: int | None) -> None:
    """Print the session as a JSON object whose last member is the list of its APDUs."""
    entries = (_apdu(session, entry) for entry in _entries(uow, session, limit))
    print_json_with_list(session.to_dict(), "apdus", entries)


def print_dialogue(uow: UnitOfWork, session: OTASession, limit: int | None) -> None:
    """Print the session's facts, then its APDUs as they are read."""
    summary = _summary(uow, session)
    _print_facts(session, summary)
    output.print()
    for entry in _entries(uow, session, limit):
        print_entry(session, entry)
    if limit is not None and summary is not None and summary.total > limit:
        output.print(f"The first {limit:,} of {summary.total:,} APDUs; --limit shows more.")


def _summary(uow: UnitOfWork, session: OTASession) -> SessionSummary | None:
    """Return the figures of the log; ``None`` where an entry's time cannot be read."""
    try:
        with none_skipped():
            return uow.logs.get_session_summary(session.id)
    except QueryError:
        return None


def _entries(uow: UnitOfWork, session: OTASession, limit: int | None) -> Iterator[CommLog]:
    return islice(uow.logs.stream_session(session.id), limit)


def _apdu(session: OTASession, entry: CommLog) -> dict[str, Any]:
    is_command = entry.direction is Direction.COMMAND
    return {
        **entry.to_dict(),
        "offset_ms": round(_offset(session, entry) * 1000, 3),
        "command": name_of(entry.raw_data) if is_command else None,
    }


def _offset(session: OTASession, entry: CommLog) -> float:
    """Return the seconds since the session's start, or its creation if it never started."""
    return (entry.timestamp - (session.started_at or session.created_at)).total_seconds()


def _print_facts(session: OTASession, summary: SessionSummary | None) -> None:
    tls = " as ".join(filter(None, (session.tls_cipher_suite, session.tls_psk_identity)))
    error = ": ".join(filter(None, (session.error_code, session.error_message)))
    print_facts(
        ("Session", session.id),
        ("Status", session.status.value),
        ("Type", session.session_type),
        ("Device", session.device_id),
        ("Card", session.card_iccid),
        ("Created", seconds(session.created_at)),
        ("Started", seconds(session.started_at)),
        ("Ended", seconds(session.ended_at)),
        ("Duration", None if session.duration_ms is None else f"{session.duration_ms:,} ms"),
        ("TLS", tls or None),
        ("Metadata", session.metadata),
        ("Error", styled(error, "red") if error else None),
        ("APDUs", None if summary is None else _counts(summary)),
    )


def _counts(summary: SessionSummary) -> str:
    counts = f"{counted(summary.commands, 'command')}, {counted(summary.responses, 'response')}"
    counts += f", {counted(summary.errors, 'error')}" if summary.errors else ""
    if summary.average_latency_ms is None:
        return counts
    return (
        f"{counts}; latency {summary.average_latency_ms:,.1f} ms on average, "
        f"{summary.maximum_latency_ms:,.1f} ms at most"
    )


def print_entry(session: OTASession, entry: CommLog, prefix: str = "") -> None:
    """Print an APDU with the seconds since the session's start, after a prefix."""
    head = f"{prefix}{_offset(session, entry):+11.3f} s  "
    indent = len(head) + 2
    if entry.direction is Direction.COMMAND:
        data = _command_groups(entry.raw_data)
        first = Text.assemble(head, ("→ " if output.is_unicode else "> ", "bold"))
        first.append(f"{name_of(entry.raw_data):<{_NAME_WIDTH}} ", "bold")
        _print_folded(first, data, indent)
    else:
        first = Text.assemble(head, "← " if output.is_unicode else "< ")
        _print_wrapped(first, _status(entry))
        _print_folded(Text(" " * indent), _response_groups(entry), indent)
    if entry.decoded_data:
        _print_wrapped(Text(" " * indent), Text(visible(entry.decoded_data)))


def _status(entry: CommLog) -> Text:
    word, message = entry.status_word, entry.status_message
    style = ""
    if word is not None and is_error(word):
        style = "yellow" if word.startswith(_WARNING) else "red"
    latency = "" if entry.latency_ms is None else f"{entry.latency_ms:,.1f} ms"
    return Text.assemble(
        (word or "no status word", style),
        (f" {latency:>11}  ", "dim"),
        (visible(message or ""), style),
    )


def _command_groups(raw_data: str) -> list[str]:
    """Header, Lc, data in fours of bytes, Le (ISO/IEC 7816-4 §5.1, short lengths)."""
    header, rest = raw_data[:8], raw_data[8:]
    # Another program may have written what is not hex.
    length = int(rest[:2], 16) * 2 if len(rest) > 2 and set(rest[:2]) <= _HEX else 0
    if not length or len(rest) - 2 - length not in (0, 2):
        return [header, *_fours(rest)] if rest else [header]
    data, expected = rest[2 : 2 + length], rest[2 + length :]
    return [header, rest[:2], *_fours(data), *([expected] if expected else [])]


def _response_groups(entry: CommLog) -> list[str]:
    has_word = entry.status_word is not None and entry.raw_data.endswith(entry.status_word)
    return _fours(entry.raw_data[:-4] if has_word else entry.raw_data)


def _fours(digits: str) -> list[str]:
    return [digits[at : at + 8] for at in range(0, len(digits), 8)]


def _print_folded(first: Text, groups: list[str], indent: int) -> None:
    """Print groups of hex after ``first``, folded between groups to the terminal's width."""
    if not groups:
        if first.plain.strip():
            output.print(first)
        return
    width = max(output.width, indent + _LEAST_WIDTH)
    line, is_bare = first, True
    for group in groups:
        if not is_bare and len(line) + 1 + len(group) > width:
            output.print(line)
            line, is_bare = Text(" " * indent), True
        line.append(group if is_bare else f" {group}")
        is_bare = False
    output.print(line)


def _print_wrapped(first: Text, text: Text) -> None:
    """Print words after ``first``, wrapped to the terminal's width."""
    indent = len(first)
    for line in text.wrap(output, max(output.width - indent, _LEAST_WIDTH)):
        output.print(Text.assemble(first, line))
        first = Text(" " * indent)
