"""JSON: the values that a column holds, and records as such values."""

from dataclasses import fields
from datetime import datetime
from enum import Enum
from typing import Any, ClassVar

JSONValue = dict[str, Any] | list[Any]


class Record:
    """A row as a plain object."""

    __slots__ = ()
    __dataclass_fields__: ClassVar[dict[str, Any]]

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as JSON values: times in ISO 8601, enumerations by their values."""
        return {spec.name: _plain(getattr(self, spec.name)) for spec in fields(self)}


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    return value.value if isinstance(value, Enum) else value
