"""Named databases: the profiles in ``~/.config/cardlink-db.toml``.

A table for each, such as::

    [lab]
    url = "postgresql://app@db.lab/cardlink"
"""

import os
import stat
import tomllib
from pathlib import Path
from typing import Any, Final

from cardlink_sql.config import DatabaseConfig
from cardlink_sql.errors import DatabaseError, ValidationError
from cardlink_sql.formats.text import decode, read_bytes

_MOST_BYTES: Final = 1_000_000


def profiles_file() -> Path:
    """Return the path of the file, by the rules of XDG."""
    folder = os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"
    return Path(folder) / "cardlink-db.toml"


def profile_names() -> list[str]:
    """Return the names of the profiles.

    Raises:
        DatabaseError: the file is missing or wrong.
    """
    return list(_read(profiles_file()))


def profile_url(name: str) -> str:
    """Return the URL of a profile.

    Raises:
        DatabaseError: the file or the profile is missing or wrong, or others may read a password.
    """
    file = profiles_file()
    profiles = _read(file)
    if name not in profiles:
        there_are = ", ".join(sorted(profiles)) or "none"
        raise DatabaseError(f"there is no profile {name!r}", str(file), f"there are: {there_are}")
    return _checked_url(profiles[name], f"{file} [{name}]", file)


def _read(file: Path) -> dict[str, Any]:
    if not file.exists():
        raise DatabaseError(
            "there is no file of profiles", str(file), 'write it: [lab], then url = "…" below'
        )
    content = decode(read_bytes(file, at_most=_MOST_BYTES), str(file))
    try:
        return tomllib.loads(content)
    except tomllib.TOMLDecodeError as error:
        raise DatabaseError(f"not TOML: {error}", str(file)) from None


def _checked_url(profile: Any, where: str, file: Path) -> str:
    if not isinstance(profile, dict) or profile.keys() != {"url"}:
        raise DatabaseError("a profile has one key, url", where)
    try:
        password = DatabaseConfig(profile["url"]).engine_url.password
    except ValidationError as error:
        raise DatabaseError(error.what, f"{where} url", error.remedy) from None
    if password is not None and file.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise DatabaseError(
            "the file holds a password, and others may read it", where, f"run: chmod 600 {file}"
        )
    url: str = profile["url"]
    return url
