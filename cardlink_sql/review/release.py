"""Another release, to compare with this one: a git revision, a wheel or a folder."""

import shutil
import subprocess
import zipfile
from dataclasses import dataclass
from importlib.resources.abc import Traversable
from io import BytesIO
from pathlib import Path

from cardlink_sql.dialect import Dialect
from cardlink_sql.errors import ValidationError
from cardlink_sql.queries.library import COMMON, Library, read_library
from cardlink_sql.queries.resources import folder


@dataclass(frozen=True)
class Release:
    """Another release: its revision, or the name of its wheel or folder, and its ``sql/``."""

    name: str
    sql: Traversable

    def library(self, dialect: Dialect) -> Library:
        """Return its queries.

        Raises:
            QueryError: a file of it is malformed.
        """
        return read_library(self.sql, dialect)


def find_release(text: str) -> Release:
    """Return the release that a text names. A file or folder of that name comes first.

    Args:
        text: a wheel, a checkout, its ``sql/`` folder, or a git revision of this checkout.

    Raises:
        ValidationError: there is no such release, or it has no queries.
    """
    place = Path(text)
    if place.exists():
        root: Traversable = zipfile.Path(place) if zipfile.is_zipfile(place) else place
        name = place.resolve().name
    else:
        root, name = zipfile.Path(BytesIO(_archive(text))), text
    for sql in (root, root.joinpath("sql"), root.joinpath("cardlink_sql", "sql")):
        if sql.joinpath(COMMON).is_dir():
            return Release(name, sql)
    raise ValidationError(
        f"{text} holds no sql/ folder", "", "name a wheel, a checkout or the folder itself"
    )


def _archive(revision: str) -> bytes:
    """Return a zip of ``sql/`` as a revision has it."""
    commit = _git("rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
    made = commit and _git("archive", "--format=zip", commit.decode().strip(), "sql")
    if not made:
        raise ValidationError(
            f"{revision!r} is neither a file, a folder nor a git revision with a sql/ folder"
        )
    return made


def _git(*arguments: str) -> bytes | None:
    """Return what git prints of this checkout; None where there is no git, no checkout, or no."""
    checkout = folder("sql").joinpath("..")
    git = shutil.which("git")
    if git is None or not isinstance(checkout, Path):
        return None
    done = subprocess.run(  # noqa: S603 - a revision cannot be taken for an option
        [git, *arguments], cwd=checkout, capture_output=True, check=False
    )
    return done.stdout if done.returncode == 0 else None
