"""JSON: the values that a column holds, and records as such values."""

from dataclasses import fields
from datetime import date
from enum import Enum
from functools import cache
from typing import Any, ClassVar

JSONValue = dict[str, Any] | list[Any]


class Record:
    """A row, or figures, as a plain object."""

    __slots__ = ()
    __dataclass_fields__: ClassVar[dict[str, Any]]

    def to_dict(self) -> dict[str, Any]:
        """Return the fields and properties as JSON values, which belong to the caller.

        Times are in ISO 8601, enumerations are their values, and records objects.
        """
        names = _names(type(self))  # type: ignore[arg-type]
        return {name: _plain(getattr(self, name)) for name in names}


@cache
def _names(kind: type[Any]) -> tuple[str, ...]:
    names = [spec.name for spec in fields(kind)]
    return (*names, *(name for name in dir(kind) if isinstance(getattr(kind, name), property)))


def _plain(value: Any) -> Any:
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Record):
        return value.to_dict()
    if isinstance(value, dict):
        return {_plain(key): _plain(one) for key, one in value.items()}
    return [_plain(one) for one in value] if isinstance(value, list | tuple) else value
