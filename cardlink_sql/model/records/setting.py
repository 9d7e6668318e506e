"""Settings as stored and as in force."""

from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import Any

from cardlink_sql.model.json_value import Record
from cardlink_sql.model.times import utc_now


@dataclass(slots=True)
class Setting(Record):
    """A setting. ``value`` is any JSON value, including ``None``.

    The repr and :meth:`to_dict` show ``***`` for the value of a declared secret.
    """

    key: str
    value: Any
    description: str | None = None
    category: str = "general"
    created_at: datetime = field(default_factory=utc_now)
    updated_at: datetime = field(default_factory=utc_now)

    def __repr__(self) -> str:
        values = {spec.name: getattr(self, spec.name) for spec in fields(self)}
        values["value"] = _shown(self.key, self.value)
        return f"Setting({', '.join(f'{name}={value!r}' for name, value in values.items())})"

    def to_dict(self, *, show_secrets: bool = False) -> dict[str, Any]:
        """Return the fields as JSON values.

        Args:
            show_secrets: without it the value of a secret is ``***``.
        """
        values = Record.to_dict(self)
        return values if show_secrets else {**values, "value": _shown(self.key, values["value"])}


def _shown(key: str, value: Any) -> Any:
    # The declarations are loaded by those who use settings, not with every record.
    from cardlink_sql.model.declared_settings import HIDDEN, is_secret

    return HIDDEN if is_secret(key) and value is not None else value


@dataclass(frozen=True, slots=True)
class SettingInForce(Record):
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
class SettingsImport(Record):
    """The keys of an import of settings, by outcome."""

    created: list[str]
    updated: list[str]
    unchanged: list[str]
