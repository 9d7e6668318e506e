"""``cardlink-db cards``. A PSK itself is shown nowhere."""

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
from cardlink_sql.model.records import CardProfile

cards = group("cards", "Card profiles.", "cardlink-db cards list --without-psk")


@cards.command("list")
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
    if as_json:
        print_json_list(map(json_of, found))
    else:
        _print_list(found, limit)


@cards.command()
def show(
    iccid: Annotated[str, typer.Argument(metavar="ICCID", help="18 to 22 digits.")],
    *,
    as_json: AsJson = False,
    url: Url = None,
) -> None:
    """Show a card profile, with the devices and the sessions that it had. Its PSK is not shown.

    Example: cardlink-db cards show 89882110000000000312
    """
    with open_to_read(url) as uow:
        with argument("ICCID"):
            card = uow.cards.get_by_id(iccid)
        if card is None:
            raise NotFoundError(f"there is no card {iccid}", remedy="run: cardlink-db cards list")
        devices = [device.id for device in uow.devices.find_by_card(card.iccid)]
        count = uow.sessions.count_by(card_iccid=card.iccid)
    if as_json:
        print_json({**json_of(card), "devices": devices, "sessions": count})
    else:
        _print_card(card, devices, count)


def _print_list(found: list[CardProfile], limit: int) -> None:
    if not found:
        output.print("No cards.")
        return
    print_rows(
        ("ICCID", "type", "IMSI", "PSK", "PSK identity", "updated (UTC)"),
        [
            (
                card.iccid,
                card.card_type.value,
                card.imsi,
                _has_psk(card),
                card.psk_identity,
                seconds(card.updated_at),
            )
            for card in found
        ],
        folding=("PSK identity",),
    )
    if len(found) == limit:
        output.print(f"The first {limit:,}; --limit shows more.")


def _print_card(card: CardProfile, devices: list[str], count: int) -> None:
    output.print(
        facts(
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
    )


def _has_psk(card: CardProfile) -> Text:
    return styled("yes", "") if card.has_psk else styled("no", "yellow")
