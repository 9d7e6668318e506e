"""``cardlink-db keys``."""

import typer

from cardlink_sql.keyring import Keyring

keys = typer.Typer(name="keys", help="The keys that PSKs are encrypted with.", no_args_is_help=True)


@keys.callback()
def _keys() -> None:
    """The keys that PSKs are encrypted with."""


@keys.command()
def generate() -> None:
    """Print a new encryption key.

    Example: export CARDLINK_ENCRYPTION_KEY=$(cardlink-db keys generate)
    """
    typer.echo(Keyring.generate())
