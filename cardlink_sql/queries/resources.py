"""Where the ``sql/`` and ``migrations/`` folders are: in the wheel, or next to the package."""

import logging
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Final

from cardlink_sql.errors import DatabaseError

_log: Final = logging.getLogger(__name__)


def folder(name: str) -> Traversable:
    """Return the folder ``sql`` or ``migrations``.

    A wheel carries both inside the package (a zip of it too); a checkout and an editable
    install have them next to it.

    Raises:
        DatabaseError: neither place has it, so the installation is damaged.
    """
    package = files("cardlink_sql")
    packaged = package.joinpath(name)
    if packaged.is_dir():
        return packaged
    beside = Path(__file__).resolve().parents[2] / name
    if beside.is_dir():
        return beside
    raise DatabaseError(
        f"the folder {name}/ of cardlink-sql is missing",
        remedy="install the package again: pip install --force-reinstall cardlink-sql",
    )


@cache
def warn_skipped(place: str, kind: str) -> None:
    """Log that a file is none of a kind, once in a process.

    Editors and file managers leave ``.#logs.sql``, ``._logs.sql`` and ``logs.sql~`` there.
    """
    _log.warning("%s is not a %s file: skipped", place, kind)
