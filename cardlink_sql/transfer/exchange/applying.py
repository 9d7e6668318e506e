"""Writes the checked rows of a table that has keys: all but the log entries."""

import base64
from collections.abc import Iterable
from typing import Any

from cardlink_sql.dialect import Dialect
from cardlink_sql.errors import ValidationError
from cardlink_sql.formats.times import time_text
from cardlink_sql.gateways.exchange import ExchangeGateway
from cardlink_sql.model.times import utc_now
from cardlink_sql.transfer.exchange.conflict import Conflict, Meeting, TableReport
from cardlink_sql.transfer.exchange.keys import FileKeys
from cardlink_sql.transfer.exchange.shapes import PSK_KEY, STORED_KEY, Shape
from cardlink_sql.transfer.exchange.values import Values, from_row, to_row


class RowWriter:
    """Writes rows, each new, or met with the row of the database by a rule.

    Args:
        gateway: the database.
        dialect: its dialect.
        rule: what becomes of a row that it has already.
        keys: the test whether two PSKs are one, where the file holds keys.
    """

    def __init__(
        self, gateway: ExchangeGateway, dialect: Dialect, rule: Conflict, keys: FileKeys | None
    ) -> None:
        self._gateway = gateway
        self._dialect = dialect
        self._rule = rule
        self._same_key = keys.is_same if keys else bytes.__eq__
        self._now = time_text(utc_now())

    def write(
        self, shape: Shape, batch: list[Values], report: TableReport, created: set[str]
    ) -> None:
        """Write a batch of rows, and count what became of them.

        Args:
            shape: their table.
            batch: rows as the check left them.
            report: counts them.
            created: the keys of new rows are added to it.

        Raises:
            ValidationError: what a merge makes cannot be kept.
            IntegrityError: another writer was quicker.
        """
        keys = [values[shape.key] for values in batch]
        convert = from_row(shape, self._dialect)
        found = map(convert, self._gateway.find(shape.word, keys))
        known = {values[shape.key]: values for values in found}
        meeting = Meeting(shape, self._rule, self._same_key)
        new = []
        for values in map(_with_stored_key, batch):
            if values[shape.key] not in known:
                new.append(self._new(shape, values))
                created.add(values[shape.key])
                report.created += 1
            else:
                self._meet(meeting, known[values[shape.key]], values, report)
        self._gateway.insert(shape.word, new)

    def _meet(self, meeting: Meeting, known: Values, values: Values, report: TableReport) -> None:
        if meeting.is_same(known, values):
            report.unchanged += 1
            return
        row = meeting.outcome(known, values, self._now)
        if row is None:
            report.skipped += 1
            return
        shape = meeting.shape
        try:
            self._gateway.update(shape.word, to_row(shape, self._dialect)(row))
        except ValidationError as error:
            place = f"{shape.name}[{known[shape.key]!r}]"
            raise ValidationError(f"after the merge: {error.what}", place, error.remedy) from None
        report.updated += 1

    def _new(self, shape: Shape, values: Values) -> tuple[Any, ...]:
        row = {
            **dict.fromkeys(shape.columns),
            **shape.defaults,
            "created_at": self._now,
            "updated_at": self._now,
            **values,
        }
        return _in_order(shape.columns, to_row(shape, self._dialect)(row))


def _with_stored_key(values: Values) -> Values:
    if PSK_KEY not in values:
        return values
    token = values.pop(PSK_KEY)
    return {**values, STORED_KEY: None if token is None else base64.b64decode(token)}


def _in_order(columns: Iterable[str], row: Values) -> tuple[Any, ...]:
    return tuple(row[name] for name in columns)
