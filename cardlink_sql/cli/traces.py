"""``cardlink-db replay``, and its report of a trace."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from cardlink_sql.cli.shared.database import open_manager
from cardlink_sql.cli.shared.json_output import print_json
from cardlink_sql.cli.shared.options import AsJson, Url
from cardlink_sql.cli.shared.output import counted, output, visible
from cardlink_sql.cli.shared.rows import Column, print_rows
from cardlink_sql.manager import DatabaseManager
from cardlink_sql.model.luhn import luhn_is_right
from cardlink_sql.model.records.log import CommLog
from cardlink_sql.model.records.session import SessionSummary
from cardlink_sql.transfer.capture import read_recording
from cardlink_sql.transfer.trace import Replay, Trace, replay as replay_trace
from cardlink_sql.unit_of_work import UnitOfWork


def replay(
    trace: Annotated[
        Path,
        typer.Argument(
            metavar="TRACE",
            help="A recorded OTA trace (JSON lines), or a capture of APDUs (pcap, pcapng).",
            exists=True,
        ),
    ],
    *,
    as_json: AsJson = False,
    url: Url = None,
) -> None:
    """Record a trace of OTA sessions, or a capture.

    All of it is recorded, or nothing.
    PSKs are stored encrypted, so CARDLINK_ENCRYPTION_KEY must be set.

    Example: cardlink-db replay trace.jsonl
    """
    read = read_recording(trace)
    with open_manager(url) as manager:
        done = replay_trace(manager, read)
        for warning in read.warnings:
            typer.echo(f"warning: {visible(trace)}: {visible(warning)}", err=True)
        if as_json:
            print_json(asdict(done) | {"ids": list(read.sessions)})
            return
        _print_replay(done)
        _print_doubtful_iccids(read)
        _print_recorded(manager, read)


def _print_replay(done: Replay) -> None:
    output.print(
        f"Recorded {counted(done.cards, 'card')}, {counted(done.sessions, 'session')}, "
        f"{counted(done.entries, 'APDU')}."
        + (
            f" In the database already: {counted(done.known_cards, 'card')}, "
            f"{counted(done.known_sessions, 'session')}."
            if done.known_cards or done.known_sessions
            else ""
        )
    )


def _print_doubtful_iccids(trace: Trace) -> None:
    wrong = [iccid for iccid in trace.cards if not luhn_is_right(iccid)]
    if wrong:
        output.print(
            f"{counted(len(wrong), 'ICCID')} with a wrong Luhn check digit, as test cards may: "
            f"{', '.join(wrong[:3])}{', …' if len(wrong) > 3 else ''}"
        )


def _print_recorded(manager: DatabaseManager, trace: Trace) -> None:
    with UnitOfWork(manager, read_only=True) as uow:
        sessions = [uow.sessions.get_by_id(session_id) for session_id in trace.sessions]
        summaries = [uow.logs.get_session_summary(session.id) for session in sessions if session]
        outcomes: dict[str, list[int | None]] = {}
        for session in sessions:
            if session:
                outcomes.setdefault(session.status.value, []).append(session.duration_ms)
        _print_outcomes(outcomes)
        _print_apdus(summaries)
        longest = max(summaries, key=lambda summary: summary.total, default=None)
        if longest is not None and longest.total:
            _print_log(longest.session_id, uow.logs.find_by_session(longest.session_id, limit=20))


def _print_outcomes(outcomes: dict[str, list[int | None]]) -> None:
    print_rows(
        sorted(outcomes),
        (
            Column("Sessions", str),
            Column("count", lambda status: len(outcomes[status]), right=True),
            Column("mean duration ms", lambda status: _mean(outcomes[status]), right=True),
        ),
    )


def _mean(durations: list[int | None]) -> str | None:
    known = [duration for duration in durations if duration is not None]
    return f"{sum(known) / len(known):.0f}" if known else None


def _print_apdus(summaries: list[SessionSummary]) -> None:
    responses = [s for s in summaries if s.average_latency_ms is not None]
    count = sum(summary.responses for summary in responses)
    total = sum((summary.average_latency_ms or 0) * summary.responses for summary in responses)
    longest = max((summary.maximum_latency_ms or 0 for summary in responses), default=0)
    print_rows(
        ("commands", "responses", "errors"),
        (
            Column("APDUs", str),
            Column("count", lambda name: sum(getattr(one, name) for one in summaries), right=True),
        ),
    )
    if count:
        output.print(f"Latency: {total / count:.3f} ms on average, {longest:.3f} ms at most.\n")


def _print_log(session_id: str, entries: list[CommLog]) -> None:
    output.print(f"Session {session_id}")
    print_rows(
        entries,
        (
            Column("time (UTC)", lambda entry: f"{entry.timestamp:%H:%M:%S.%f}"),
            Column("direction", lambda entry: entry.direction.value),
            Column("APDU", lambda entry: entry.raw_data, folds=True),
            Column("ms", _latency, right=True),
            Column("status word", _status_word, folds=True),
        ),
    )


def _latency(entry: CommLog) -> str | None:
    return None if entry.latency_ms is None else f"{entry.latency_ms:.3f}"


def _status_word(entry: CommLog) -> str | None:
    return f"{entry.status_word} {entry.status_message or ''}" if entry.status_word else None
