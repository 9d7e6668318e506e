"""How an import treats a row that the database has already, and writes what becomes of it."""

import base64
import json
from collections.abc import Mapping
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


@dataclass
class TableWriter:
    """Writes the rows of a file into a table, each new, or met with the one that is there.

    Args:
        shape: the table.
        gateway: writes.
        dialect: of the database.
        rule: what to do with a row that is there.
        keys: compares PSKs, where the file holds any.
        report: counts what becomes of the rows.
        now: the time of the import.
        created: the keys of new rows.
    """

    shape: Shape
    gateway: ExchangeGateway
    dialect: Dialect
    rule: Conflict
    keys: FileKeys | None
    report: TableReport
    now: str = field(default_factory=lambda: time_text(utc_now()))
    created: set[str] = field(default_factory=set)

    def write(self, batch: list[Any]) -> None:
        """Write a batch of rows, and count what became of them."""
        raise NotImplementedError

    def meet(self, known: Values, values: Values) -> Values | None:
        """Return the row that results from the rule, ``None`` if the known one stays; count it.

        Both rows, of the database and of the file, are in the form of a file.
        """
        if all(self._equal(name, known[name], value) for name, value in values.items()):
            self.report.unchanged += 1
            return None
        row = self._outcome(known, values)
        if row is None:
            self.report.skipped += 1
        else:
            self.report.updated += 1
        return row

    def _outcome(self, known: Values, values: Values) -> Values | None:
        if self.rule is Conflict.SKIP:
            return None
        if self.rule is Conflict.OVERWRITE:
            return {**known, **values}
        merged = self._merged(known, values)
        if all(merged[name] == known[name] for name in known):
            return None
        return {**merged, "updated_at": self.now} if "updated_at" in known else merged

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
        if name == STORED_KEY and self.keys and one is not None and other is not None:
            return self.keys.is_same(one, other)
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


class RowWriter(TableWriter):
    """Writes the rows of a table that has keys."""

    def write(self, batch: list[Values]) -> None:
        shape = self.shape
        convert = from_row(shape, self.dialect)
        found = map(convert, self.gateway.find(shape.word, [row[shape.key] for row in batch]))
        known = {values[shape.key]: values for values in found}
        new = []
        for values in map(_with_stored_key, batch):
            if values[shape.key] not in known:
                new.append(self._new(values))
                self.created.add(values[shape.key])
                self.report.created += 1
            elif (row := self.meet(known[values[shape.key]], values)) is not None:
                self._update(row)
        self.gateway.insert(shape.word, new)

    def _update(self, row: Values) -> None:
        try:
            self.gateway.update(self.shape.word, to_row(self.shape, self.dialect)(row))
        except ValidationError as error:
            place = f"{self.shape.name}[{row[self.shape.key]!r}]"
            raise ValidationError(f"after the merge: {error.what}", place, error.remedy) from None

    def _new(self, values: Values) -> tuple[Any, ...]:
        row = {
            **dict.fromkeys(self.shape.columns),
            **self.shape.defaults,
            "created_at": self.now,
            "updated_at": self.now,
            **values,
        }
        return tuple(to_row(self.shape, self.dialect)(row).values())


def _with_stored_key(values: Values) -> Values:
    if PSK_KEY not in values:
        return values
    token = values.pop(PSK_KEY)
    return {**values, STORED_KEY: None if token is None else base64.b64decode(token)}
