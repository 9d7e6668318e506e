"""``cardlink-db logs``: APDUs of any session, filtered or found by their bytes."""

from typing import Annotated

import typer

from cardlink_sql.cli.shared.completion import complete_session
from cardlink_sql.cli.shared.database import find_session, listed_ids, open_to_read
from cardlink_sql.cli.shared.options import AsJson, Limit, Since, Url, argument, group
from cardlink_sql.cli.shared.output import output, tenths
from cardlink_sql.cli.shared.rows import Column, is_for_programs, listing, print_list
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
    print_list(found, _columns(found), as_json=as_json, limit=limit, empty="No APDUs.")


def _columns(found: list[CommLog]) -> tuple[Column[CommLog], ...]:
    shown = listed_ids(entry.session_id for entry in found)
    return (
        Column("Session", lambda entry: shown[entry.session_id], leaves=2),
        Column("time (UTC)", _time, leaves=3),
        Column("direction", _direction),
        Column("APDU", lambda entry: _cut(entry.raw_data)),
        Column("status", lambda entry: entry.status_word),
        Column("meaning", _meaning, folds=True, leaves=4),
        Column("ms", lambda entry: tenths(entry.latency_ms), right=True, leaves=1),
    )


def _time(entry: CommLog) -> str:
    return f"{entry.timestamp:%Y-%m-%d %H:%M:%S.%f}"[:-3]


def _direction(entry: CommLog) -> str:
    if is_for_programs():
        return entry.direction.value
    arrows = "→←" if output.is_unicode else "><"
    return arrows[entry.direction is Direction.RESPONSE]


def _meaning(entry: CommLog) -> str | None:
    name = name_of(entry.raw_data) if entry.direction is Direction.COMMAND else None
    return entry.status_message or name


def _cut(digits: str) -> str:
    if is_for_programs() or len(digits) <= _LONGEST_SHOWN:
        return digits
    return f"{digits[: _LONGEST_SHOWN - 1]}…"
