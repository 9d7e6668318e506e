"""``cardlink-db devices``."""

import shlex
from dataclasses import replace
from typing import Annotated, Final

import typer
from rich.text import Text

from cardlink_sql.cli.shared.completion import complete_card, complete_device
from cardlink_sql.cli.shared.database import open_to_read, open_to_write
from cardlink_sql.cli.shared.editing import (
    Notes,
    fields_of,
    given,
    json_value,
    print_changed,
    refuse_no_fields,
)
from cardlink_sql.cli.shared.json_output import print_json
from cardlink_sql.cli.shared.options import AsJson, Limit, Url, Yes, argument, confirm, group
from cardlink_sql.cli.shared.output import counted, output, print_facts, seconds, styled, visible
from cardlink_sql.cli.shared.rows import Column, listing, print_list
from cardlink_sql.errors import NotFoundError, StateError
from cardlink_sql.gateways.search import like_pattern
from cardlink_sql.model.choices import DeviceType
from cardlink_sql.model.records.device import Device
from cardlink_sql.unit_of_work import UnitOfWork

devices = group("devices", "Phones and modems.", "cardlink-db devices list --type phone")

DeviceId = Annotated[
    str,
    typer.Argument(metavar="ID", help="ADB serial or serial port.", autocompletion=complete_device),
]
Name = Annotated[str | None, typer.Option(metavar="TEXT", help="Its name.")]
Manufacturer = Annotated[str | None, typer.Option(metavar="TEXT", help="Its manufacturer.")]
Model = Annotated[str | None, typer.Option(metavar="TEXT", help="Its model.")]
Firmware = Annotated[str | None, typer.Option(metavar="TEXT", help="Its firmware's version.")]
Imei = Annotated[str | None, typer.Option(metavar="DIGITS", help="Its IMEI.")]
Imsi = Annotated[str | None, typer.Option(metavar="DIGITS", help="The IMSI of its card.")]
Iccid = Annotated[
    str | None,
    typer.Option(metavar="ICCID", help="The card that it holds.", autocompletion=complete_card),
]
Connection = Annotated[
    str | None, typer.Option(metavar="JSON", help="How it is reached, such as '{\"baud\": 9600}'.")
]
Active = Annotated[bool | None, typer.Option("--active/--inactive", help="In use, or out of use.")]
_OPTIONS: Final = {
    "id": "ID",
    "device_type": "--type",
    "firmware_version": "--firmware",
    "connection_settings": "--connection",
}


@devices.command("list")
@listing
def list_devices(
    *,
    device_type: Annotated[DeviceType | None, typer.Option("--type", help="Only these.")] = None,
    active: Active = None,
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
    print_list(found, _COLUMNS, as_json=as_json, limit=limit, empty="No devices.")


@devices.command()
def show(
    device_id: DeviceId,
    *,
    as_json: AsJson = False,
    url: Url = None,
) -> None:
    """Show a device, with its cards and sessions.

    Example: cardlink-db devices show R58M42ABCDE
    """
    with open_to_read(url) as uow:
        device = _existing(uow, device_id)
        cards = [card.iccid for card in uow.cards.find_by_device(device.id)]
        count = uow.sessions.count_by(device_id=device.id)
    if as_json:
        print_json({**device.to_dict(), "cards": cards, "sessions": count})
    else:
        _print_device(device, cards, count)


@devices.command()
def add(
    device_id: DeviceId,
    device_type: Annotated[DeviceType, typer.Option("--type", help="Its kind.")],
    *,
    name: Name = None,
    manufacturer: Manufacturer = None,
    model: Model = None,
    firmware: Firmware = None,
    imei: Imei = None,
    imsi: Imsi = None,
    iccid: Iccid = None,
    connection: Connection = None,
    inactive: Annotated[bool, typer.Option("--inactive", help="Out of use.")] = False,
    notes: Notes = None,
    as_json: AsJson = False,
    url: Url = None,
) -> None:
    """Add a phone or a modem.

    Example: cardlink-db devices add R58M42ABCDE --type phone --name "Pixel 8"
    """
    fields = given(
        name=name,
        manufacturer=manufacturer,
        model=model,
        firmware_version=firmware,
        imei=imei,
        imsi=imsi,
        iccid=iccid,
        connection_settings=json_value("--connection", connection),
        notes=notes,
    )
    with open_to_write(url) as uow, fields_of(_OPTIONS):
        if uow.devices.exists(device_id):
            raise StateError(
                f"there is a device {device_id!r} already",
                remedy=f"run: cardlink-db devices edit {shlex.quote(device_id)}",
            )
        added = uow.devices.create(Device(device_id, device_type, is_active=not inactive, **fields))
    print_changed("Added", added.id, added, as_json=as_json)


@devices.command()
def edit(
    device_id: DeviceId,
    *,
    device_type: Annotated[DeviceType | None, typer.Option("--type", help="Its kind.")] = None,
    name: Name = None,
    manufacturer: Manufacturer = None,
    model: Model = None,
    firmware: Firmware = None,
    imei: Imei = None,
    imsi: Imsi = None,
    iccid: Iccid = None,
    connection: Connection = None,
    active: Active = None,
    notes: Notes = None,
    as_json: AsJson = False,
    url: Url = None,
) -> None:
    """Change fields of a device; '' clears one.

    Example: cardlink-db devices edit R58M42ABCDE --inactive --notes "display broken"
    """
    fields = given(
        device_type=device_type,
        name=name,
        manufacturer=manufacturer,
        model=model,
        firmware_version=firmware,
        imei=imei,
        imsi=imsi,
        iccid=iccid,
        connection_settings=json_value("--connection", connection),
        is_active=active,
        notes=notes,
    )
    refuse_no_fields(fields)
    with open_to_write(url) as uow, fields_of(_OPTIONS):
        changed = uow.devices.update(replace(_existing(uow, device_id), **fields))
    print_changed("Changed", changed.id, changed, as_json=as_json)


@devices.command()
def remove(
    device_id: DeviceId,
    *,
    with_sessions: Annotated[
        bool, typer.Option("--with-sessions", help="With its sessions and their APDUs.")
    ] = False,
    yes: Yes = False,
    as_json: AsJson = False,
    url: Url = None,
) -> None:
    """Remove a device; its sessions stay, without a device.

    Example: cardlink-db devices remove R58M42ABCDE
    """
    with open_to_read(url) as uow:
        _existing(uow, device_id)
        count = uow.sessions.count_by(device_id=device_id)
    of_it = counted(count, "session")
    confirm(
        f"Remove {device_id}? This {'also removes' if with_sessions else 'keeps'} {of_it}.", yes=yes
    )
    with open_to_write(url) as uow:
        if with_sessions:
            uow.devices.delete_with_sessions(device_id)
        else:
            uow.devices.delete_by_id(device_id)
    if as_json:
        removed = count if with_sessions else 0
        print_json({"removed": device_id, "sessions": count, "sessions_removed": removed})
    else:
        fate = "removed" if with_sessions else "kept"
        output.print(f"Removed {visible(device_id)}; {fate} {of_it}.")


def _existing(uow: UnitOfWork, device_id: str) -> Device:
    with argument("ID"):
        device = uow.devices.get_by_id(device_id)
    if device is None:
        raise NotFoundError(
            f"there is no device {device_id!r}", remedy="run: cardlink-db devices list"
        )
    return device


def _print_device(device: Device, cards: list[str], count: int) -> None:
    print_facts(
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


def _in_use(device: Device) -> Text:
    return styled("yes", "") if device.is_active else styled("no", "yellow")


def _model(device: Device) -> str | None:
    return " ".join(filter(None, (device.manufacturer, device.model))) or None


_COLUMNS: Final[tuple[Column[Device], ...]] = (
    Column("Device", lambda device: device.id),
    Column("type", lambda device: device.device_type.value),
    Column("name", lambda device: device.name, folds=True, leaves=5),
    Column("model", _model, folds=True, leaves=1),
    Column("holds card", lambda device: device.iccid, leaves=4),
    Column("last seen (UTC)", lambda device: seconds(device.last_seen), leaves=3),
    Column("in use", _in_use, leaves=2),
)
