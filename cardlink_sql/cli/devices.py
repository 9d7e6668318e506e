"""``cardlink-db devices``."""

from typing import Annotated

import typer
from rich.text import Text

from cardlink_sql.cli.database import open_to_read
from cardlink_sql.cli.json_output import print_json, print_json_list
from cardlink_sql.cli.options import AsJson, Limit, Url, argument, group
from cardlink_sql.cli.output import facts, output, print_rows, seconds, styled
from cardlink_sql.errors import NotFoundError
from cardlink_sql.gateways.search import like_pattern
from cardlink_sql.model.json_value import json_of
from cardlink_sql.model.records import Device, DeviceType

devices = group("devices", "Phones and modems.", "cardlink-db devices list --type phone")


@devices.command("list")
def list_devices(
    *,
    device_type: Annotated[
        DeviceType | None, typer.Option("--type", help="Only these.", show_default=False)
    ] = None,
    active: Annotated[
        bool | None, typer.Option("--active/--inactive", help="In use, or out of use.")
    ] = None,
    search: Annotated[
        str | None,
        typer.Option(metavar="TEXT", help="Id, name or model holds this, in any case."),
    ] = None,
    limit: Limit = 100,
    as_json: AsJson = False,
    url: Url = None,
) -> None:
    """List devices, by id.

    Example: cardlink-db devices list --type phone --search pixel
    """
    with argument("--search"):
        if search is not None:
            like_pattern(search)
    with open_to_read(url) as uow:
        found = uow.devices.find_matching(
            text=search, device_type=device_type, is_active=active, limit=limit
        )
    if as_json:
        print_json_list(map(json_of, found))
    else:
        _print_list(found, limit)


@devices.command()
def show(
    device_id: Annotated[str, typer.Argument(metavar="ID", help="ADB serial or serial port.")],
    *,
    as_json: AsJson = False,
    url: Url = None,
) -> None:
    """Show a device, with the cards and the sessions that it had.

    Example: cardlink-db devices show R58M42ABCDE
    """
    with open_to_read(url) as uow:
        with argument("ID"):
            device = uow.devices.get_by_id(device_id)
        if device is None:
            raise NotFoundError(
                f"there is no device {device_id!r}", remedy="run: cardlink-db devices list"
            )
        cards = [card.iccid for card in uow.cards.find_by_device(device.id)]
        count = uow.sessions.count_by(device_id=device.id)
    if as_json:
        print_json({**json_of(device), "cards": cards, "sessions": count})
    else:
        _print_device(device, cards, count)


def _print_list(found: list[Device], limit: int) -> None:
    if not found:
        output.print("No devices.")
        return
    print_rows(
        ("Device", "type", "name", "model", "holds card", "last seen (UTC)", "in use"),
        [
            (
                device.id,
                device.device_type.value,
                device.name,
                _model(device),
                device.iccid,
                seconds(device.last_seen),
                _in_use(device),
            )
            for device in found
        ],
        folding=("name", "model"),
    )
    if len(found) == limit:
        output.print(f"The first {limit:,}; --limit shows more.")


def _print_device(device: Device, cards: list[str], count: int) -> None:
    output.print(
        facts(
            ("Device", device.id),
            ("Type", device.device_type.value),
            ("Name", device.name),
            ("Model", _model(device)),
            ("Firmware", device.firmware_version),
            ("IMEI", device.imei),
            ("IMSI", device.imsi),
            ("Holds card", device.iccid),
            ("In use", _in_use(device)),
            ("Last seen", seconds(device.last_seen)),
            ("Connection", device.connection_settings),
            ("Notes", device.notes),
            ("Created", seconds(device.created_at)),
            ("Updated", seconds(device.updated_at)),
            ("Cards", ", ".join(cards) or "none"),
            ("Sessions", f"{count:,}"),
        )
    )


def _in_use(device: Device) -> Text:
    return styled("yes", "") if device.is_active else styled("no", "yellow")


def _model(device: Device) -> str | None:
    return " ".join(filter(None, (device.manufacturer, device.model))) or None
