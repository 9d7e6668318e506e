"""``cardlink-db wait``: for a database that is still starting."""

import time
from typing import Annotated, Final

import typer

from cardlink_sql.cli.shared.database import open_manager
from cardlink_sql.cli.shared.json_output import print_json
from cardlink_sql.cli.shared.options import AsJson, Url, argument
from cardlink_sql.cli.shared.output import output
from cardlink_sql.errors import ConnectionError
from cardlink_sql.model import validation

_PAUSE: Final = 0.5


def wait(
    *,
    timeout: Annotated[float, typer.Option(metavar="SECONDS", help="Give up after so long.")] = 60,
    as_json: AsJson = False,
    url: Url = None,
) -> None:
    """Wait until the database answers.

    The exit code is 1 where it does not in time.

    Example: cardlink-db wait --timeout 30 -d postgresql://app@db/cardlink
    """
    with argument("--timeout"):
        end = time.monotonic() + validation.waiting_time(timeout, "timeout")
    with open_manager(url, read_only=True, may_be_missing=True) as manager:
        while (health := manager.health_check())["status"] != "healthy":
            if time.monotonic() + _PAUSE > end:
                what = f"no answer within {timeout:g} s: {health['error']}"
                raise ConnectionError(what, manager.config.safe_url, health["hint"])
            time.sleep(_PAUSE)
        if as_json:
            print_json({"url": manager.config.safe_url, **health})
        else:
            output.print(f"{manager.config.safe_url} answers.")
