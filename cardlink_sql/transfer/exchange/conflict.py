"""How an import treats a row that the database has already, and writes what becomes of it."""

import base64
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from cardlink_sql.dialect import Dialect
from cardlink_sql.errors import ValidationError
from cardlink_sql.formats.times import time_text
from cardlink_sql.gateways.exchange import ExchangeGateway
from cardlink_sql.model.columns import NONE_IS_A_VALUE
from cardlink_sql.model.times import utc_now
from cardlink_sql.transfer.exchange.keys import FileKeys
from cardlink_sql.transfer.exchange.shapes import PSK_KEY, STORED_KEY, Shape
from cardlink_sql.transfer.exchange.values import Values, from_row, to_row


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

    def meet(self, known: Values, values: Values, now: str, report: TableReport) -> Values | None:
        """Return the row that results from the rule, ``None`` if the known one stays; count it."""
        if self._is_same(known, values):
            report.unchanged += 1
            return None
        row = self._outcome(known, values, now)
        if row is None:
            report.skipped += 1
        else:
            report.updated += 1
        return row

    def _is_same(self, known: Values, values: Values) -> bool:
        return all(self._equal(name, known[name], value) for name, value in values.items())

    def _outcome(self, known: Values, values: Values, now: str) -> Values | None:
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


@dataclass(frozen=True, slots=True)
class RowWriter:
    """Writes the rows of a table that has keys, each new, or met with the one that is there."""

    gateway: ExchangeGateway
    dialect: Dialect
    rule: Conflict
    keys: FileKeys | None
    now: str = field(default_factory=lambda: time_text(utc_now()))

    def write(
        self, shape: Shape, batch: list[Values], report: TableReport, created: set[str]
    ) -> None:
        """Write a batch of rows, and count what became of them; add the keys of new ones."""
        keys = [values[shape.key] for values in batch]
        convert = from_row(shape, self.dialect)
        found = map(convert, self.gateway.find(shape.word, keys))
        known = {values[shape.key]: values for values in found}
        same_key = self.keys.is_same if self.keys else bytes.__eq__
        meeting = Meeting(shape, self.rule, same_key)
        new = []
        for values in map(_with_stored_key, batch):
            if values[shape.key] not in known:
                new.append(self._new(shape, values))
                created.add(values[shape.key])
                report.created += 1
            else:
                self._meet(meeting, known[values[shape.key]], values, report)
        self.gateway.insert(shape.word, new)

    def _meet(self, meeting: Meeting, known: Values, values: Values, report: TableReport) -> None:
        row = meeting.meet(known, values, self.now, report)
        if row is None:
            return
        shape = meeting.shape
        try:
            self.gateway.update(shape.word, to_row(shape, self.dialect)(row))
        except ValidationError as error:
            place = f"{shape.name}[{known[shape.key]!r}]"
            raise ValidationError(f"after the merge: {error.what}", place, error.remedy) from None

    def _new(self, shape: Shape, values: Values) -> tuple[Any, ...]:
        row = {
            **dict.fromkeys(shape.columns),
            **shape.defaults,
            "created_at": self.now,
            "updated_at": self.now,
            **values,
        }
        return tuple(to_row(shape, self.dialect)(row).values())


def _with_stored_key(values: Values) -> Values:
    if PSK_KEY not in values:
        return values
    token = values.pop(PSK_KEY)
    return {**values, STORED_KEY: None if token is None else base64.b64decode(token)}
