"""``cardlink-db logs``: APDUs of any session, filtered or found by their bytes."""

from typing import Annotated

import typer

from cardlink_sql.cli.shared.completion import complete_session
from cardlink_sql.cli.shared.database import find_session, open_to_read, shown_ids
from cardlink_sql.cli.shared.json_output import print_json_list
from cardlink_sql.cli.shared.options import AsJson, Limit, Since, Url, argument, group
from cardlink_sql.cli.shared.output import output
from cardlink_sql.cli.shared.rows import is_for_programs, listing, note_limit, print_rows
from cardlink_sql.model.apdu_names import name_of
from cardlink_sql.model.choices import Direction
from cardlink_sql.model.records.log import CommLog
from cardlink_sql.unit_of_work import UnitOfWork

_LONGEST_SHOWN = 36  # with the direction and the meaning it fits 80 columns

logs = group(
    "logs", "APDUs: show them filtered, or find bytes.", "cardlink-db logs search A0A40000"
)
InSession = Annotated[
    str | None,
    typer.Option(
        metavar="ID",
        help="Of this session, or the beginning of its id.",
        autocompletion=complete_session,
    ),
]


@logs.command()
@listing
def show(
    *,
    session: InSession = None,
    direction: Annotated[Direction | None, typer.Option(help="Only these.")] = None,
    status_word: Annotated[
        str | None, typer.Option("--status", metavar="HEX", help="With this status word.")
    ] = None,
    errors: Annotated[
        bool, typer.Option("--errors", help="With an error or a warning as status word.")
    ] = False,
    since: Since = None,
    limit: Limit = 100,
    as_json: AsJson = False,
    url: Url = None,
) -> None:
    """Show APDUs, all or filtered.

    Those of a session in the order of writing, else the newest first.

    Example: cardlink-db logs show --status 6A82
    """
    with open_to_read(url) as uow, argument("--status"):
        found = uow.logs.find_matching(
            session_id=_session_id(uow, session),
            direction=direction,
            status_word=status_word,
            errors=errors,
            normal_endings=False,
            since=since,
            limit=limit,
        )
    _print(found, limit, as_json=as_json)


@logs.command()
@listing
def search(
    pattern: Annotated[str, typer.Argument(metavar="HEX", help="Whole bytes, in any case.")],
    *,
    session: InSession = None,
    since: Since = None,
    limit: Limit = 100,
    as_json: AsJson = False,
    url: Url = None,
) -> None:
    """Find the APDUs that contain these bytes.

    They are in the order of writing.

    Without --session every APDU is read.

    Example: cardlink-db logs search A0000000871002 --session 6f0c7a1e
    """
    with open_to_read(url) as uow:
        within = _session_id(uow, session)
        with argument("HEX"):
            found = uow.logs.search_hex(pattern, within, limit, since=since)
    _print(found, limit, as_json=as_json)


def _session_id(uow: UnitOfWork, text: str | None) -> str | None:
    return None if text is None else find_session(uow, text, "--session").id


def _print(found: list[CommLog], limit: int, *, as_json: bool) -> None:
    if as_json:
        print_json_list(one.to_dict() for one in found)
        return
    ids = list(dict.fromkeys(entry.session_id for entry in found))
    shown = dict(zip(ids, ids, strict=True)) if is_for_programs() else shown_ids(ids)
    print_rows(
        ("Session", "time (UTC)", "direction", "APDU", "status", "meaning", "ms"),
        [
            (
                shown[entry.session_id],
                f"{entry.timestamp:%Y-%m-%d %H:%M:%S.%f}"[:-3],
                _direction(entry),
                _cut(entry.raw_data),
                entry.status_word,
                entry.status_message or _name(entry),
                None if entry.latency_ms is None else f"{entry.latency_ms:,.1f}",
            )
            for entry in found
        ],
        right=("ms",),
        folding=("meaning",),
        leaving=("ms", "Session", "time (UTC)", "meaning"),
        empty="No APDUs.",
    )
    note_limit(len(found), limit, "first")


def _direction(entry: CommLog) -> str:
    if is_for_programs():
        return entry.direction.value
    arrows = "→←" if output.is_unicode else "><"
    return arrows[entry.direction is Direction.RESPONSE]


def _name(entry: CommLog) -> str | None:
    return name_of(entry.raw_data) if entry.direction is Direction.COMMAND else None


def _cut(digits: str) -> str:
    if is_for_programs() or len(digits) <= _LONGEST_SHOWN:
        return digits
    return f"{digits[: _LONGEST_SHOWN - 1]}…"
