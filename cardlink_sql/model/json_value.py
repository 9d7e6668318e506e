"""The values that a JSON column holds."""

from typing import Any

JSONValue = dict[str, Any] | list[Any]
