"""Settings as stored and as in force."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from cardlink_sql.model.times import utc_now


@dataclass(slots=True)
class Setting:
    """A setting. ``value`` is any JSON value; ``None`` is a value, too."""

    key: str
    value: Any
    description: str | None = None
    category: str = "general"
    created_at: datetime = field(default_factory=utc_now)
    updated_at: datetime = field(default_factory=utc_now)


@dataclass(frozen=True, slots=True)
class SettingInForce:
    """The value in force for a key: the stored one, or else the declared default.

    ``form`` says what values a declared setting takes, and ``default`` is what it has without
    a stored one; both are ``None`` where the key is not declared. ``updated_at`` is ``None``
    where nothing is stored.
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


@dataclass(frozen=True, slots=True)
class SettingsImport:
    """The keys that an import of settings named, by what became of them."""

    created: list[str]
    updated: list[str]
    unchanged: list[str]
