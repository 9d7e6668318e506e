"""``cardlink-db keys`` and ``import-keys``."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Final

import typer

from cardlink_sql.cli.shared.database import open_manager
from cardlink_sql.cli.shared.json_output import print_json
from cardlink_sql.cli.shared.options import AsJson, DryRun, Url, group
from cardlink_sql.cli.shared.output import output
from cardlink_sql.cli.shared.progress import progress
from cardlink_sql.cli.shared.rows import Column, print_rows
from cardlink_sql.database.keyring import VARIABLE, Keyring
from cardlink_sql.errors import EncryptionError
from cardlink_sql.formats.text import read_text
from cardlink_sql.manager import DatabaseManager
from cardlink_sql.operations.key_rotation import KeyCheck, check_keys, rotate_keys
from cardlink_sql.transfer.key_import import import_keys as import_key_file
from cardlink_sql.unit_of_work import UnitOfWork

_SHOWN: Final = 20

keys = group("keys", "The keys that PSKs are encrypted with.", "cardlink-db keys check")


@keys.command()
def generate(*, as_json: AsJson = False) -> None:
    """Print a new encryption key.

    Example: export CARDLINK_ENCRYPTION_KEY=$(cardlink-db keys generate)
    """
    key = Keyring.generate()
    if as_json:
        print_json({"key": key})
    else:
        typer.echo(key)


@keys.command()
def check(*, as_json: AsJson = False, url: Url = None) -> None:
    """Count the PSKs under each encryption key.

    The keys are those of CARDLINK_ENCRYPTION_KEY. Nothing is changed.

    Keys are named by their position. The exit code is 1 where no key opens a card's PSK.

    Example: cardlink-db keys check
    """
    with (
        open_manager(url, read_only=True) as manager,
        progress("Checking", _count(manager), unit="PSKs") as on_progress,
    ):
        found = check_keys(manager, on_progress)
    if as_json:
        print_json(
            {
                "cards": found.cards,
                "keys": [
                    {"position": position, "cards": count}
                    for position, count in enumerate(found.by_key, 1)
                ],
                "unopened": found.unopened,
            }
        )
    else:
        _print_check(found)
    _refuse_unopened(found.unopened)


@keys.command()
def rotate(
    *,
    batch: Annotated[
        int, typer.Option(min=1, max=10_000, metavar="N", help="PSKs in a transaction.")
    ] = 500,
    as_json: AsJson = False,
    url: Url = None,
) -> None:
    """Encrypt every PSK again under the first key.

    It is the first of CARDLINK_ENCRYPTION_KEY.

    Interrupt it at any time; run it again to continue. The exit code is 1 if no key opens a card's
    PSK; the other PSKs are still rotated.

    Example: cardlink-db keys rotate
    """
    with (
        open_manager(url) as manager,
        progress("Rotating", _count(manager), unit="PSKs") as on_progress,
    ):
        done = rotate_keys(manager, batch, on_progress)
    if as_json:
        print_json(asdict(done))
    else:
        output.print(
            f"{done.rotated:,} rotated, {done.already:,} already under the first key, "
            f"{len(done.unopened):,} that no key opens."
        )
    _refuse_unopened(done.unopened)


def import_keys(
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE", help="YAML: identity: hex lines, under keys: or not.", exists=True
        ),
    ],
    *,
    dry_run: DryRun = False,
    as_json: AsJson = False,
    url: Url = None,
) -> None:
    """Store the PSKs of the admin server's YAML file.

    All of them, or none.

    A key goes to the card that claims its identity; one that no card claims is an error, unless its
    entry names the card (iccid: and key:), which is then made. PSKs are stored encrypted, so
    CARDLINK_ENCRYPTION_KEY must be set.

    Example: cardlink-db import-keys keys.yaml --dry-run
    """
    text = read_text(file)
    with open_manager(url) as manager, progress("Importing", unit="PSKs") as on_progress:
        done = import_key_file(manager, text, str(file), dry_run=dry_run, on_progress=on_progress)
    if as_json:
        print_json({**asdict(done), "dry_run": dry_run})
    else:
        created = f"{len(done.created):,} created, " if done.created else ""
        output.print(
            f"{created}{len(done.updated):,} updated, {len(done.unchanged):,} unchanged"
            f"{' by a dry run: nothing was written' if dry_run else ''}."
        )


def _count(manager: DatabaseManager) -> int:
    with UnitOfWork(manager, read_only=True) as uow:
        return uow.cards.count_psk_tokens()


def _print_check(found: KeyCheck) -> None:
    counts = {
        "1, which encrypts" if position == 1 else str(position): count
        for position, count in enumerate(found.by_key, 1)
    }
    if found.unopened:
        counts["none of them"] = len(found.unopened)
    cards = Column[str]("cards", lambda key: f"{counts[key]:,}", right=True)
    print_rows(counts, (Column("Key", str), cards))


def _refuse_unopened(iccids: list[str]) -> None:
    if not iccids:
        return
    of = "the PSK of 1 card" if len(iccids) == 1 else f"the PSKs of {len(iccids):,} cards"
    more = f" and {len(iccids) - _SHOWN:,} more" if len(iccids) > _SHOWN else ""
    raise EncryptionError(
        f"no key opens {of}: {', '.join(iccids[:_SHOWN])}{more}",
        VARIABLE,
        "add the key that they are stored under, or store their PSKs again",
    )
