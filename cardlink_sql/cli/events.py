"""``cardlink-db events``."""

import json
from dataclasses import asdict
from typing import Annotated

import typer

from cardlink_sql.cli.shared.database import open_manager
from cardlink_sql.cli.shared.json_output import print_json
from cardlink_sql.cli.shared.options import AsJson, Url, argument, group
from cardlink_sql.cli.shared.output import output, visible
from cardlink_sql.database.event_bus import DatabaseEvent
from cardlink_sql.model import validation

events = group(
    "events", "Changes by others, as they happen: on, off, listen.", "cardlink-db events listen"
)


@events.command()
def on(*, as_json: AsJson = False, url: Url = None) -> None:
    """Let every process publish its events.

    Processes that run already learn of it within 10 seconds.
    The guide to events says what that costs.

    Example: cardlink-db events on
    """
    _publish(url, is_on=True, as_json=as_json)


@events.command()
def off(*, as_json: AsJson = False, url: Url = None) -> None:
    """Let no process publish its events any more.

    Example: cardlink-db events off
    """
    _publish(url, is_on=False, as_json=as_json)


@events.command()
def listen(
    *,
    after: Annotated[
        int | None,
        typer.Option(
            min=0,
            metavar="NUMBER",
            help="Go on after this event; 0 begins with the oldest that is kept. "
            "Without it only what is committed from now on is shown.",
        ),
    ] = None,
    timeout: Annotated[
        float | None,
        typer.Option(
            metavar="SECONDS", help="End after so long without an event; without it, never."
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON, one object a line.")] = False,
    url: Url = None,
) -> None:
    """Show events as other processes commit them.

    It ends with Ctrl-C.

    Example: cardlink-db events listen --timeout 60
    """
    with argument("--timeout"):
        wait = None if timeout is None else validation.waiting_time(timeout, "timeout")
    with open_manager(url) as manager, manager.listen(after, timeout=wait) as listener:
        for event in listener:
            if as_json:
                values = {**asdict(event), "timestamp": event.timestamp.isoformat()}
                typer.echo(json.dumps(values, ensure_ascii=False))
            else:
                _print_event(event)


def _publish(url: str | None, *, is_on: bool, as_json: bool) -> None:
    with open_manager(url) as manager:
        manager.publish_events(on=is_on)
        place = manager.config.safe_url
    if as_json:
        print_json({"url": place, "publishes": is_on})
    else:
        output.print(f"{place} {'publishes events' if is_on else 'publishes no events'}.")


def _print_event(event: DatabaseEvent) -> None:
    what = f"{event.entity_type} {event.entity_id or ''}".rstrip()
    count = f" ({event.data['count']})" if "count" in event.data else ""
    output.print(
        f"{event.position}  {event.timestamp:%Y-%m-%d %H:%M:%S}  {event.event_type}  "
        f"{visible(what)} {visible(event.action)}{count}"
    )
