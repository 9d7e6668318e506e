"""Named databases: the profiles in ``~/.config/cardlink-db.toml``.

A table for each, such as::

    [lab]
    url = "postgresql://app@db.lab/cardlink"
    replica = "postgresql://app@replica.lab/cardlink"

The replica may be left out; what prefers one reads there.
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
_KEYS: Final = ("url", "replica")
_FORM: Final = 'write a line [lab], then url = "…" below it'


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


class ProfileUrl(str):
    """The URL of a profile, which knows that of its replica."""

    __slots__ = ("replica",)
    replica: str | None


def config_of(url: str | None) -> DatabaseConfig:
    """Return the database of an option, or else of the environment; with a profile's replica."""
    if url is None:
        return DatabaseConfig()
    replica = url.replica if isinstance(url, ProfileUrl) else None
    return DatabaseConfig(str(url), replica_url=replica)


def profile_url(name: str) -> ProfileUrl:
    """Return the URL of a profile.

    Raises:
        DatabaseError: the file or the profile is missing or wrong, or others may read a password.
    """
    config = _profile_config(name)
    url = ProfileUrl(config.url)
    url.replica = config.replica_url
    return url


def _profile_config(name: str) -> DatabaseConfig:
    file = profiles_file()
    profiles = _read(file)
    if name not in profiles:
        there_are = ", ".join(sorted(profiles)) or "none"
        raise DatabaseError(f"there is no profile {name!r}", str(file), f"there are: {there_are}")
    return _checked(profiles[name], f"{file} [{name}]", file)


def _read(file: Path) -> dict[str, Any]:
    if not file.exists():
        raise DatabaseError("there is no file of profiles", str(file), _FORM)
    content = decode(read_bytes(file, at_most=_MOST_BYTES), str(file))
    try:
        return tomllib.loads(content)
    except tomllib.TOMLDecodeError as error:
        raise DatabaseError(f"not TOML: {error}", str(file), _FORM) from None


def _checked(profile: Any, where: str, file: Path) -> DatabaseConfig:
    keys = profile if isinstance(profile, dict) else {}
    if odd := [key for key in keys if key not in _KEYS]:
        remedy = f"remove it; a profile has {' and '.join(_KEYS)}"
        raise DatabaseError(f"there is no key {odd[0]!r} in a profile", where, remedy)
    if "url" not in keys:
        raise DatabaseError("the profile has no url", where, 'write url = "…" below its name')
    try:
        config = DatabaseConfig(profile["url"], replica_url=profile.get("replica"))
    except ValidationError as error:
        key = "replica" if error.where == "config.replica_url" else "url"
        raise DatabaseError(error.what, f"{where} {key}", error.remedy) from None
    urls = (config.engine_url, config.replica.engine_url if config.replica else None)
    has_password = any(url is not None and url.password is not None for url in urls)
    if has_password and file.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise DatabaseError(
            "the file holds a password, and others may read it", where, f"run: chmod 600 {file}"
        )
    return config
