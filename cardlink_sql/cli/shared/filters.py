"""The options ``--device`` and ``--card`` of several commands."""

from typing import Annotated

import typer

from cardlink_sql.cli.shared.completion import complete_card, complete_device
from cardlink_sql.cli.shared.options import argument
from cardlink_sql.model import validation

Device = Annotated[
    str | None,
    typer.Option(
        metavar="ID",
        help="Of this device.",
        autocompletion=complete_device,
    ),
]
Card = Annotated[
    str | None,
    typer.Option(
        metavar="ICCID",
        help="Of this card.",
        autocompletion=complete_card,
    ),
]


def check_device_and_card(device: str | None, card: str | None) -> None:
    """Refuse a ``--device`` or ``--card`` that cannot be one.

    Raises:
        typer.BadParameter: it cannot.
    """
    if device is not None:
        with argument("--device"):
            validation.identifier(device, "device", 255)
    if card is not None:
        with argument("--card"):
            validation.iccid(card)
