"""Checks the rows of a file: each for itself, against each other, and against the database."""

import base64
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from cardlink_sql.dialect import Dialect
from cardlink_sql.errors import ValidationError, shown
from cardlink_sql.formats.problems import Problems
from cardlink_sql.gateways.exchange import ExchangeGateway
from cardlink_sql.model.declared_settings import declared_settings
from cardlink_sql.transfer.exchange.keys import FileKeys
from cardlink_sql.transfer.exchange.readers import FileRow
from cardlink_sql.transfer.exchange.shapes import (
    BY_NAME,
    BY_WORD,
    PSK_KEY,
    SHAPES,
    STORED_KEY,
    Values,
    accepted,
    from_row,
)
from cardlink_sql.transfer.exchange.spool import BATCH_ROWS, Spool
from cardlink_sql.transfer.exchange.table_writers import Conflict


@dataclass(slots=True)
class RowReference:
    """A row that others of the file refer to: where it is named first, and how often."""

    place: str
    line: int | None
    count: int = 0


class Checker:
    """Takes the rows of a file one by one; the good ones go into the spool.

    A log entry goes there as a list by column, any other row as an object. A backup, whose keys
    are stored ones, is put back as it is: that a session ended before it started is its own affair.

    Attributes:
        keys: the keys of each table's rows, with their numbers; not those of log entries.
        references: what is referred to, by table and key.
        claims: the identity that each card has in the file, or loses there (None).
        highest: the highest number of a log entry.
    """

    def __init__(self, spool: Spool, problems: Problems, file_keys: FileKeys | None) -> None:
        self.spool: Final = spool
        self.problems: Final = problems
        self.keys: dict[str, dict[str, int]] = {shape.name: {} for shape in SHAPES}
        self.references: dict[str, dict[str, RowReference]] = {shape.name: {} for shape in SHAPES}
        self.claims: dict[str, str | None] = {}
        self.highest = 0
        # The number of the card that claims each PSK identity.
        self._identities: dict[str, int] = {}
        self._file_keys = file_keys
        self._is_backup = file_keys is not None and file_keys.is_stored
        self._logs = BY_NAME["comm_logs"]

    def take(self, entry: FileRow) -> None:
        """Check a row and keep it, or note what is wrong with it."""
        before = self.problems.count
        shape = entry.shape
        if not isinstance(entry.row, dict):
            self._note(entry, None, "the row is not an object")
            return
        values = self._fields(entry)
        for name in shape.required:
            if name not in entry.row:
                self._note(entry, name, "the field is missing")
        if self.problems.count > before:
            if shape is not self._logs and shape.key in values:
                # It is there, so that what refers to it is not at fault.
                self.keys[shape.name].setdefault(values[shape.key], entry.position)
            return
        self._refer(entry, values)
        if shape is self._logs:
            self.highest = max(self.highest, values.get("id") or 0)
            self.spool.add(shape, [values.get(name) for name in shape.columns])
            return
        self._rules(entry, values)
        self._distinct(entry, values[shape.key])
        self.spool.add(shape, values)

    def _fields(self, entry: FileRow) -> Values:
        checks = accepted(entry.shape)
        is_card = entry.shape.word == "cards"
        values: Values = {}
        for name, value in entry.row.items():
            if name in checks:
                try:
                    values[name] = checks[name](value)
                except ValidationError as error:
                    self._note(entry, name, error.what, error.where)
            elif name != PSK_KEY or not is_card:
                self._note(entry, None, f"the field {shown(name, 60)} is unknown")
            elif self._file_keys is None:
                self._note(entry, name, "a key is here, but the header says that there is none")
        if is_card and self._file_keys is not None and PSK_KEY in entry.row:
            values[PSK_KEY] = self._stored_key(entry, self._file_keys, values.get("iccid"))
        return values

    def _stored_key(self, entry: FileRow, keys: FileKeys, iccid: str | None) -> str | None:
        value = entry.row[PSK_KEY]
        if value is None or iccid is None:
            return None
        try:
            return base64.b64encode(keys.read(value, iccid, PSK_KEY)).decode()
        except ValidationError as error:
            self._note(entry, PSK_KEY, error.what)
            return None

    def _refer(self, entry: FileRow, values: Values) -> None:
        for name, table in entry.shape.references.items():
            known = self.references[table]
            if (key := values.get(name)) is not None:
                if key not in known:
                    known[key] = RowReference(entry.place(name), entry.line)
                known[key].count += 1

    def _distinct(self, entry: FileRow, key: str) -> None:
        known = self.keys[entry.shape.name]
        first = known.setdefault(key, entry.position)
        if first != entry.position:
            what = f"{shown(key)} is {entry.shape.name}[{first}] already"
            self._note(entry, entry.shape.key, what)

    def _rules(self, entry: FileRow, values: Values) -> None:
        rule = _RULES.get(entry.shape.word)
        if rule is not None and not self._is_backup:
            rule(values, lambda name, what: self._note(entry, name, what))
        if entry.shape.word == "cards" and "psk_identity" in values:
            self._claim(entry, values["iccid"], values["psk_identity"])

    def _claim(self, entry: FileRow, iccid: str, identity: str | None) -> None:
        self.claims[iccid] = identity
        if identity is None:
            return
        first = self._identities.setdefault(identity, entry.position)
        if first != entry.position:
            self._note(entry, "psk_identity", f"card_profiles[{first}] has this identity, too")

    def _note(self, entry: FileRow, name: str | None, what: str, where: str | None = None) -> None:
        # A check names the place inside a JSON document: devices.connection_settings.a[0]
        inside = (where or "").removeprefix(f"{entry.shape.name}.")
        is_deeper = name is not None and inside.startswith((f"{name}.", f"{name}["))
        self.problems.add(what, entry.place(inside if is_deeper else name), entry.line)


def _ends_after_its_start(values: Values, note: Callable[[str, str], None]) -> None:
    started, ended = values.get("started_at"), values.get("ended_at")
    if started is not None and ended is not None and ended < started:
        note("ended_at", "the end is before the start")


def _is_as_declared(values: Values, note: Callable[[str, str], None]) -> None:
    declared = declared_settings().get(values["key"])
    if declared is None:
        return
    try:
        declared.check(values["value"], "value")
    except ValidationError as error:
        note("value", error.what)
    category = values.setdefault("category", declared.category)
    if category != declared.category:
        note("category", f"the category of {declared.key} is {declared.category}")


_RULES: Mapping[str, Callable[[Values, Callable[[str, str], None]], None]] = {
    "sessions": _ends_after_its_start,
    "tests": _ends_after_its_start,
    "settings": _is_as_declared,
}


@dataclass(frozen=True, slots=True)
class References:
    """Holds a checked file against the database: what it refers to, and who claims an identity.

    An identity belongs to a PSK and to one card (RFC 4279 §2).
    """

    gateway: ExchangeGateway
    dialect: Dialect
    checker: Checker
    rule: Conflict

    def check(self) -> list[str]:
        """Refuse all problems; return the cards that lose their PSK identity to another."""
        self._find_missing()
        released: list[str] = []
        convert = from_row(BY_WORD["cards"], self.dialect)
        for batch in self.checker.spool.batches(BY_WORD["cards"]):
            found = map(convert, self.gateway.find("cards", [row["iccid"] for row in batch]))
            known = {values["iccid"]: values for values in found}
            taken = [row for row in batch if self._takes(row, known.get(row["iccid"]))]
            released += self._released(taken)
        self.checker.problems.refuse()
        return released

    def _find_missing(self) -> None:
        """Note the rows that the file refers to and that neither it nor the database has."""
        for shape in SHAPES:
            references = self.checker.references[shape.name]
            outside = [key for key in references if key not in self.checker.keys[shape.name]]
            position = shape.columns.index(shape.key)
            for start in range(0, len(outside), BATCH_ROWS):
                keys = outside[start : start + BATCH_ROWS]
                known = {row[position] for row in self.gateway.find(shape.word, keys)}
                for key in (key for key in keys if key not in known):
                    first = references[key]
                    more = f"; {first.count - 1} more rows refer to it" if first.count > 1 else ""
                    self.checker.problems.add(
                        f"neither the file nor the database has {shown(key)} in {shape.name}{more}",
                        first.place,
                        first.line,
                    )

    def _takes(self, values: Values, known: Values | None) -> bool:
        """Return whether the card gets an identity that it does not have."""
        identity = values.get("psk_identity")
        if known is None:
            return identity is not None
        if self.rule is Conflict.SKIP or known["psk_identity"] == identity:
            return False
        if self.rule is Conflict.MERGE:
            return identity is not None and known["psk_identity"] is None
        if "psk_identity" not in values:
            return False
        if known[STORED_KEY] is not None and PSK_KEY not in values:
            self._note(
                values["iccid"],
                f"the card has a PSK under the identity {shown(known['psk_identity'])}, and the "
                "file holds no key for another one",
            )
        return identity is not None

    def _released(self, taken: Sequence[Values]) -> Iterator[str]:
        claimed = {values["psk_identity"]: values["iccid"] for values in taken}
        if not claimed:
            return
        for identity, holder in self.gateway.find_psk_identities(list(claimed)).items():
            if holder == claimed[identity]:
                continue
            gives_up = (
                self.rule is Conflict.OVERWRITE
                and self.checker.claims.get(holder, identity) != identity
            )
            if gives_up:
                yield holder
            else:
                what = f"card {holder} of the database has {shown(identity)}"
                self._note(claimed[identity], what)

    def _note(self, iccid: str, what: str) -> None:
        index = self.checker.keys["card_profiles"][iccid]
        self.checker.problems.add(what, f"card_profiles[{index}].psk_identity")
