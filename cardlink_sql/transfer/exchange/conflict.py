"""How an import treats a row that the database has already."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from cardlink_sql.model.columns import NONE_IS_A_VALUE
from cardlink_sql.transfer.exchange.shapes import STORED_KEY, Shape
from cardlink_sql.transfer.exchange.values import Values


class Conflict(StrEnum):
    """The treatment of a row that the database has already.

    A field that the file leaves out stays as it is, whatever the rule.
    """

    SKIP = "skip"  # it stays as it is
    OVERWRITE = "overwrite"  # every field of the file is written, times and NULLs too
    MERGE = "merge"  # what is NULL is filled, and JSON objects get the keys that they lack


@dataclass(slots=True)
class TableReport:
    """An import's numbers of rows for a table.

    ``unchanged`` are those that were as in the file; ``skipped`` those that differ and stayed.
    """

    created: int = 0
    updated: int = 0
    skipped: int = 0
    unchanged: int = 0


@dataclass(frozen=True, slots=True)
class Meeting:
    """Decides between a row of the database and one of the file, both in the form of a file.

    Args:
        shape: their table.
        rule: what to do.
        same_key: whether two stored PSKs are one.
    """

    shape: Shape
    rule: Conflict
    same_key: Callable[[bytes, bytes], bool]

    def is_same(self, known: Values, values: Values) -> bool:
        """Return whether every value in the file equals the one in the database."""
        return all(self._equal(name, known[name], value) for name, value in values.items())

    def outcome(self, known: Values, values: Values, now: str) -> Values | None:
        """Return the row that results from the rule; ``None`` if the known one stays."""
        if self.rule is Conflict.SKIP:
            return None
        if self.rule is Conflict.OVERWRITE:
            return {**known, **values}
        merged = self._merged(known, values)
        if all(merged[name] == known[name] for name in known):
            return None
        return {**merged, "updated_at": now} if "updated_at" in known else merged

    def _merged(self, known: Values, values: Values) -> Values:
        merged = dict(known)
        for name, value in values.items():
            if known[name] is None and f"{self.shape.name}.{name}" not in NONE_IS_A_VALUE:
                merged[name] = value
            elif isinstance(known[name], dict) and isinstance(value, dict):
                merged[name] = deep_merge(known[name], value)
        for name, lead in self.shape.tied.items():
            if merged[lead] != values.get(lead, merged[lead]):
                merged[name] = known[name]
        return merged

    def _equal(self, name: str, one: Any, other: Any) -> bool:
        if name == STORED_KEY and one is not None and other is not None:
            return self.same_key(one, other)
        if isinstance(one, dict | list) and isinstance(other, dict | list):
            # To Python 1, 1.0 and True are equal; to JSON they are not.
            return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)
        return type(one) is type(other) and bool(one == other)


def deep_merge(known: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the known object with missing keys added at every depth; a list is one value."""
    merged = dict(known)
    for key, value in values.items():
        if key not in merged:
            merged[key] = value
        elif isinstance(merged[key], dict) and isinstance(value, dict):
            merged[key] = deep_merge(merged[key], value)
    return merged
