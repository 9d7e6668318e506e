"""Settings as stored and as in force."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from cardlink_sql.model.json_value import Record
from cardlink_sql.model.times import utc_now


@dataclass(slots=True)
class Setting(Record):
    """A setting. ``value`` is any JSON value, including ``None``."""

    key: str
    value: Any
    description: str | None = None
    category: str = "general"
    created_at: datetime = field(default_factory=utc_now)
    updated_at: datetime = field(default_factory=utc_now)


@dataclass(frozen=True, slots=True)
class SettingInForce:
    """The value in force for a key: the stored one, or else the declared default.

    ``form`` describes the values that a declared setting takes, and ``default`` is its value if
    none is stored; both are ``None`` if the key is not declared. ``updated_at`` is ``None`` if
    nothing is stored. ``is_secret``: value and default are ``***`` unless they were asked for.
    """

    key: str
    value: Any
    category: str
    description: str | None
    is_stored: bool
    is_declared: bool
    default: Any
    form: str | None
    updated_at: datetime | None
    is_secret: bool = False


@dataclass(frozen=True, slots=True)
class SettingsImport:
    """The keys of an import of settings, by outcome."""

    created: list[str]
    updated: list[str]
    unchanged: list[str]
