"""``cardlink-db sessions``: the list, and one session's APDUs as a dialogue."""

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from cardlink_sql.cli.dialogue import print_dialogue, print_dialogue_json
from cardlink_sql.cli.following import follow
from cardlink_sql.cli.shared.completion import complete_session
from cardlink_sql.cli.shared.database import find_session, listed_ids, open_to_read, open_to_write
from cardlink_sql.cli.shared.filters import Card, Device, check_device_and_card
from cardlink_sql.cli.shared.json_output import print_json
from cardlink_sql.cli.shared.options import (
    AsJson,
    Force,
    Limit,
    Since,
    Url,
    Yes,
    argument,
    checked_limit,
    confirm,
    group,
)
from cardlink_sql.cli.shared.output import counted, milliseconds, output, seconds, styled
from cardlink_sql.cli.shared.rows import Column, listing, naming_skipped, print_list
from cardlink_sql.cli.shared.styles import SESSION_STYLES
from cardlink_sql.formats.files import refuse_existing, write_atomically
from cardlink_sql.model import validation
from cardlink_sql.model.choices import SessionStatus
from cardlink_sql.model.records.session import OTASession
from cardlink_sql.transfer.capture import write_session

sessions = group(
    "sessions", "OTA sessions and their APDUs.", "cardlink-db sessions list --status failed"
)


SessionId = Annotated[
    str,
    typer.Argument(
        metavar="ID",
        help="A session's UUID, or enough of its beginning.",
        autocompletion=complete_session,
    ),
]


class SessionFormat(StrEnum):
    """The formats of one session's APDUs."""

    PCAP = "pcap"


@sessions.command("list")
@listing
def list_sessions(
    *,
    status: Annotated[SessionStatus | None, typer.Option(help="Only these.")] = None,
    device: Device = None,
    card: Card = None,
    days: Annotated[
        float | None,
        typer.Option(metavar="N", help="Created within so many days."),
    ] = None,
    since: Since = None,
    limit: Limit = 50,
    as_json: AsJson = False,
    url: Url = None,
) -> None:
    """List sessions, newest first.

    Ids are cut as long as they still differ in the list, and show accepts them; --json,
    --csv and a pipe have them whole.

    Example: cardlink-db sessions list --status failed --days 7
    """
    check_device_and_card(device, card)
    if days is not None:
        with argument("--days"):
            validation.days(days)
    if days is not None and since is not None:
        raise typer.BadParameter("it excludes --days", param_hint="--since")
    with open_to_read(url) as uow:
        found = uow.sessions.find_matching(
            status=status, device_id=device, card_iccid=card, days=days, since=since, limit=limit
        )
    columns = _columns(found)
    print_list(found, columns, as_json=as_json, limit=limit, which="newest", empty="No sessions.")


@sessions.command()
def show(
    session: SessionId,
    *,
    limit: Annotated[
        int | None,
        typer.Option(
            "--limit",
            "-n",
            min=1,
            metavar="N",
            help="Only the first so many APDUs.",
            callback=checked_limit,
        ),
    ] = None,
    as_json: AsJson = False,
    url: Url = None,
) -> None:
    """Show a session and its APDUs as a dialogue.

    A command has its name (ETSI TS 102 221, ISO/IEC 7816-4, GlobalPlatform), a response
    with what its status word means and the time from the command to it; in front is the
    time since the session's start.

    Example: cardlink-db sessions show 6f0c7a1e
    """
    with open_to_read(url) as uow, naming_skipped():
        found = find_session(uow, session)
        if as_json:
            print_dialogue_json(uow, found, limit)
        else:
            print_dialogue(uow, found, limit)


sessions.command()(follow)


@sessions.command("export")
def export_session(
    session: SessionId,
    *,
    file: Annotated[
        Path,
        typer.Option("--output", "-o", metavar="FILE", help="The file to write; - is stdout."),
    ],
    file_format: Annotated[
        SessionFormat, typer.Option("--format", help="What to write.")
    ] = SessionFormat.PCAP,
    force: Force = False,
    url: Url = None,
) -> None:
    """Write a session's APDUs as a capture for Wireshark.

    The capture holds GSMTAP packets, a command and its response in each. It holds what the APDUs
    hold, PINs and keys included. cardlink-db replay reads it back. The format of a whole
    database, or of a session with its device and card: cardlink-db export.

    Example: cardlink-db sessions export 6f0c7a1e --format pcap --output session.pcapng
    """
    refuse_existing(file, force=force)
    with open_to_read(url) as uow, naming_skipped():
        found = find_session(uow, session)
        entries = uow.logs.stream_session(found.id)
        if file == Path("-"):
            count = write_session(sys.stdout.buffer, found, entries)
            sys.stdout.buffer.flush()
        else:
            with write_atomically(file, binary=True, private=True) as out:
                count = write_session(out, found, entries)
    typer.echo(f"Exported {counted(count, 'packet')} of session {found.id}", err=file == Path("-"))


@sessions.command("close-stale")
def close_stale(
    *,
    minutes: Annotated[
        float, typer.Option(metavar="N", help="Those idle for so many minutes or longer.")
    ] = 60,
    yes: Yes = False,
    as_json: AsJson = False,
    url: Url = None,
) -> None:
    """End the sessions that have long been idle.

    They end as timeout; a change or an APDU counts as activity.

    Example: cardlink-db sessions close-stale --minutes 15
    """
    with open_to_read(url) as uow, argument("--minutes"):
        count = len(uow.sessions.find_stale(minutes))
    if count:
        confirm(f"End {counted(count, 'session')} as timeout?", yes=yes)
        with open_to_write(url) as uow:
            count = uow.sessions.close_stale(minutes)
    if as_json:
        print_json({"closed": count})
    else:
        output.print(f"{counted(count, 'session')} ended as timeout.")


def _columns(found: list[OTASession]) -> tuple[Column[OTASession], ...]:
    shown = listed_ids(session.id for session in found)
    return (
        Column("Session", lambda session: shown[session.id]),
        Column("created (UTC)", lambda session: seconds(session.created_at), leaves=3),
        Column("status", _status),
        Column("type", lambda session: session.session_type, leaves=2),
        Column("device", lambda session: session.device_id, folds=True, leaves=6),
        Column("card", lambda session: session.card_iccid, leaves=4),
        Column("duration", lambda one: milliseconds(one.duration_ms), right=True, leaves=5),
        Column("error", lambda one: one.error_code or one.error_message, folds=True),
        Column("metadata", lambda session: session.metadata, folds=True, leaves=1),
    )


def _status(session: OTASession) -> Text:
    return styled(session.status.value, SESSION_STYLES[session.status])
