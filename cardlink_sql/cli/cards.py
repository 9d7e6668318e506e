"""``cardlink-db cards``. A PSK itself is shown nowhere."""

import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.text import Text

from cardlink_sql.cli.shared.completion import complete_card
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
from cardlink_sql.errors import NotFoundError, StateError, ValidationError, shown
from cardlink_sql.formats.text import read_text
from cardlink_sql.gateways.search import like_pattern
from cardlink_sql.model.choices import CardType
from cardlink_sql.model.records.card import CardProfile
from cardlink_sql.unit_of_work import UnitOfWork

cards = group("cards", "Card profiles.", "cardlink-db cards list --without-psk")

Iccid = Annotated[
    str,
    typer.Argument(
        metavar="ICCID", help="18 to 22 digits, A to F too.", autocompletion=complete_card
    ),
]
Imsi = Annotated[str | None, typer.Option(metavar="DIGITS", help="Its IMSI.")]
Atr = Annotated[str | None, typer.Option(metavar="HEX", help="Its answer to reset.")]
AdminUrl = Annotated[str | None, typer.Option(metavar="URL", help="Its admin server.")]
Trigger = Annotated[str | None, typer.Option(metavar="JSON", help="How a session is triggered.")]
Bip = Annotated[str | None, typer.Option(metavar="JSON", help="Its BIP channel.")]
Domains = Annotated[str | None, typer.Option(metavar="JSON", help="Its security domains.")]
_OPTIONS: Final = {
    "iccid": "ICCID",
    "card_type": "--type",
    "trigger_config": "--trigger",
    "bip_config": "--bip",
    "psk_identity": "IDENTITY",
    "psk_key": "the key",
}
# A PSK of 64 octets as hex, with separators (RFC 4279 §5.3 asks for that length).
_LONGEST_KEY: Final = 1024


@cards.command("list")
@listing
def list_cards(
    *,
    has_psk: Annotated[
        bool | None, typer.Option("--with-psk/--without-psk", help="That have a PSK, or none.")
    ] = None,
    search: Annotated[
        str | None,
        typer.Option(
            metavar="TEXT", help="ICCID, IMSI, PSK identity or notes hold this, in any case."
        ),
    ] = None,
    limit: Limit = 100,
    as_json: AsJson = False,
    url: Url = None,
) -> None:
    """List card profiles, by ICCID. The PSKs are not shown.

    Example: cardlink-db cards list --without-psk
    """
    with argument("--search"):
        if search is not None:
            like_pattern(search)
    with open_to_read(url) as uow:
        found = uow.cards.find_matching(text=search, has_psk=has_psk, limit=limit)
    print_list(found, _COLUMNS, as_json=as_json, limit=limit, empty="No cards.")


@cards.command()
def show(
    iccid: Iccid,
    *,
    as_json: AsJson = False,
    url: Url = None,
) -> None:
    """Show a card profile, with its devices and sessions.

    Its PSK is not shown.

    Example: cardlink-db cards show 89882110000000000312
    """
    with open_to_read(url) as uow:
        card = _existing(uow, iccid)
        devices = [device.id for device in uow.devices.find_by_card(card.iccid)]
        count = uow.sessions.count_by(card_iccid=card.iccid)
    if as_json:
        print_json({**card.to_dict(), "devices": devices, "sessions": count})
    else:
        _print_card(card, devices, count)


@cards.command()
def add(
    iccid: Iccid,
    *,
    card_type: Annotated[CardType, typer.Option("--type", help="Its kind.")] = CardType.UICC,
    imsi: Imsi = None,
    atr: Atr = None,
    admin_url: AdminUrl = None,
    trigger: Trigger = None,
    bip: Bip = None,
    security_domains: Domains = None,
    notes: Notes = None,
    as_json: AsJson = False,
    url: Url = None,
) -> None:
    """Add a card profile, still without a PSK.

    cards set-psk stores the PSK.

    Example: cardlink-db cards add 89882110000000000312 --type USIM
    """
    fields = _fields(imsi, atr, admin_url, trigger, bip, security_domains, notes)
    with open_to_write(url) as uow, fields_of(_OPTIONS):
        if uow.cards.exists(iccid):
            raise StateError(
                f"there is a card {iccid} already", remedy=f"run: cardlink-db cards edit {iccid}"
            )
        added = uow.cards.create(CardProfile(iccid, card_type=card_type, **fields))
    print_changed("Added", added.iccid, added, as_json=as_json)


@cards.command()
def edit(
    iccid: Iccid,
    *,
    card_type: Annotated[CardType | None, typer.Option("--type", help="Its kind.")] = None,
    imsi: Imsi = None,
    atr: Atr = None,
    admin_url: AdminUrl = None,
    trigger: Trigger = None,
    bip: Bip = None,
    security_domains: Domains = None,
    notes: Notes = None,
    as_json: AsJson = False,
    url: Url = None,
) -> None:
    """Change fields of a card profile; '' clears one.

    Example: cardlink-db cards edit 89882110000000000312 --notes "lab 2"
    """
    fields = _fields(imsi, atr, admin_url, trigger, bip, security_domains, notes)
    fields |= given(card_type=card_type)
    refuse_no_fields(fields)
    with open_to_write(url) as uow, fields_of(_OPTIONS):
        changed = uow.cards.update(replace(_existing(uow, iccid), **fields))
    print_changed("Changed", changed.iccid, changed, as_json=as_json)


@cards.command("set-psk")
def set_psk(
    iccid: Iccid,
    identity: Annotated[str, typer.Argument(metavar="IDENTITY", help="The PSK's identity.")],
    *,
    key_file: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="A file with the key as hex; without it you are prompted."
        ),
    ] = None,
    yes: Yes = False,
    as_json: AsJson = False,
    url: Url = None,
) -> None:
    """Set the PSK of a card.

    Its key is asked for, or read from a file or from stdin. Replacing a PSK is confirmed.

    The key is never an argument, for the system shows arguments to every user.

    Example: cardlink-db cards set-psk 89882110000000000312 card_0100 --key-file psk.hex
    """
    with open_to_read(url) as uow:
        has_psk = _existing(uow, iccid).has_psk
        _refuse_claimed(uow, iccid, identity)
    confirm(f"Replace the PSK of {iccid}?", yes=yes or not has_psk)
    key = _read_key(key_file)
    with open_to_write(url) as uow, fields_of(_OPTIONS):
        changed = uow.cards.update_psk(iccid, identity, key)
    print_changed("Set the PSK of", changed.iccid, changed, as_json=as_json)


@cards.command("clear-psk")
def clear_psk(iccid: Iccid, *, yes: Yes = False, as_json: AsJson = False, url: Url = None) -> None:
    """Remove the PSK of a card, and its identity.

    Example: cardlink-db cards clear-psk 89882110000000000312
    """
    with open_to_read(url) as uow:
        if not _existing(uow, iccid).has_psk:
            raise StateError(f"the card {iccid} has no PSK", remedy="run: cardlink-db cards list")
    confirm(f"Remove the PSK of {iccid}?", yes=yes)
    with open_to_write(url) as uow:
        changed = uow.cards.clear_psk(iccid)
    print_changed("Removed the PSK of", changed.iccid, changed, as_json=as_json)


@cards.command()
def remove(iccid: Iccid, *, yes: Yes = False, as_json: AsJson = False, url: Url = None) -> None:
    """Remove a card profile and its PSK.

    Its sessions stay, without a card.

    Example: cardlink-db cards remove 89882110000000000312
    """
    with open_to_read(url) as uow:
        _existing(uow, iccid)
        count = uow.sessions.count_by(card_iccid=iccid)
    kept = counted(count, "session")
    confirm(f"Remove {iccid} and its PSK? This keeps {kept}.", yes=yes)
    with open_to_write(url) as uow:
        uow.cards.delete_by_id(iccid)
    if as_json:
        print_json({"removed": iccid, "sessions": count})
    else:
        output.print(f"Removed {visible(iccid)}; kept {kept}.")


def _fields(
    imsi: str | None,
    atr: str | None,
    admin_url: str | None,
    trigger: str | None,
    bip: str | None,
    security_domains: str | None,
    notes: str | None,
) -> dict[str, Any]:
    return given(
        imsi=imsi,
        atr=atr,
        admin_url=admin_url,
        trigger_config=json_value("--trigger", trigger),
        bip_config=json_value("--bip", bip),
        security_domains=json_value("--security-domains", security_domains),
        notes=notes,
    )


def _refuse_claimed(uow: UnitOfWork, iccid: str, identity: str) -> None:
    with fields_of(_OPTIONS):
        holder = uow.cards.find_one_by(psk_identity=identity)
    if holder is not None and holder.iccid != _existing(uow, iccid).iccid:
        raise StateError(
            f"the card {holder.iccid} holds the PSK identity {shown(identity)}",
            remedy=f"choose another one, or run: cardlink-db cards clear-psk {holder.iccid}",
        )


def _read_key(file: Path | None) -> str:
    if file is None and sys.stdin.isatty():
        asked: str = typer.prompt("PSK (hex)", hide_input=True, err=True)
        return asked
    is_stdin = file is None or str(file) == "-"
    key = sys.stdin.read(_LONGEST_KEY) if is_stdin else read_text(Path(str(file)))
    if not key.strip():
        where = "stdin" if is_stdin else str(file)
        raise ValidationError("there is no PSK", where, "write its hex there, or pass --key-file")
    return key.strip()


def _existing(uow: UnitOfWork, iccid: str) -> CardProfile:
    with argument("ICCID"):
        card = uow.cards.get_by_id(iccid)
    if card is None:
        raise NotFoundError(f"there is no card {iccid}", remedy="run: cardlink-db cards list")
    return card


def _print_card(card: CardProfile, devices: list[str], count: int) -> None:
    print_facts(
        ("ICCID", card.iccid),
        ("Type", card.card_type.value),
        ("IMSI", card.imsi),
        ("ATR", card.atr),
        ("PSK", _has_psk(card)),
        ("PSK identity", card.psk_identity),
        ("Admin server", card.admin_url),
        ("Trigger", card.trigger_config),
        ("BIP", card.bip_config),
        ("Security domains", card.security_domains),
        ("Notes", card.notes),
        ("Created", seconds(card.created_at)),
        ("Updated", seconds(card.updated_at)),
        ("Devices", ", ".join(devices) or "none"),
        ("Sessions", f"{count:,}"),
    )


def _has_psk(card: CardProfile) -> Text:
    return styled("yes", "") if card.has_psk else styled("no", "yellow")


_COLUMNS: Final[tuple[Column[CardProfile], ...]] = (
    Column("ICCID", lambda card: card.iccid),
    Column("type", lambda card: card.card_type.value, leaves=3),
    Column("IMSI", lambda card: card.imsi, leaves=2),
    Column("PSK", _has_psk, leaves=4),
    Column("PSK identity", lambda card: card.psk_identity, folds=True),
    Column("updated (UTC)", lambda card: seconds(card.updated_at), leaves=1),
)
