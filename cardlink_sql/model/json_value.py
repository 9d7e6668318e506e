"""JSON: the values that a column holds, and records as such values."""

from copy import deepcopy
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
        return json_of(self)


def json_of(record: Any) -> dict[str, Any]:
    """Return the fields of a dataclass as JSON values, as :meth:`Record.to_dict` does."""
    return {spec.name: _plain(getattr(record, spec.name)) for spec in fields(record)}


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Enum):
        return value.value
    # The caller may go on changing the documents of a record.
    return deepcopy(value) if isinstance(value, dict | list) else value
