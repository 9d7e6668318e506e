"""Holds a checked file against the database: what it refers to, and who claims an identity."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from cardlink_sql.dialect import Dialect
from cardlink_sql.errors import shown
from cardlink_sql.formats.problems import Problems
from cardlink_sql.gateways.exchange import ExchangeGateway
from cardlink_sql.transfer.exchange.checking import CheckedRows, Spool
from cardlink_sql.transfer.exchange.conflict import Conflict
from cardlink_sql.transfer.exchange.shapes import BY_WORD, PSK_KEY, SHAPES, STORED_KEY
from cardlink_sql.transfer.exchange.values import Values, from_row

_AT_ONCE: Final = 500


def find_missing(gateway: ExchangeGateway, checked: CheckedRows, problems: Problems) -> None:
    """Note the rows that the file refers to and that neither it nor the database has."""
    for shape in SHAPES:
        references = checked.references[shape.name]
        outside = [key for key in references if key not in checked.keys[shape.name]]
        position = shape.columns.index(shape.key)
        for start in range(0, len(outside), _AT_ONCE):
            keys = outside[start : start + _AT_ONCE]
            known = {row[position] for row in gateway.find(shape.word, keys)}
            for key in (key for key in keys if key not in known):
                first = references[key]
                more = f"; {first.count - 1} more rows refer to it" if first.count > 1 else ""
                what = f"neither the file nor the database has {shown(key)} in {shape.name}{more}"
                problems.add(what, first.place, first.line)


@dataclass(frozen=True, slots=True)
class Identities:
    """Whether the cards of a file may have the PSK identities that they claim.

    An identity belongs to a PSK and to one card (RFC 4279 §2).
    """

    gateway: ExchangeGateway
    dialect: Dialect
    checked: CheckedRows
    rule: Conflict
    problems: Problems

    def check(self, spool: Spool) -> list[str]:
        """Note the problems; return the cards that must lose their identity to another."""
        released: list[str] = []
        convert = from_row(BY_WORD["cards"], self.dialect)
        for batch in spool.batches(BY_WORD["cards"]):
            found = map(convert, self.gateway.find("cards", [row["iccid"] for row in batch]))
            known = {values["iccid"]: values for values in found}
            taken = [row for row in batch if self._takes(row, known.get(row["iccid"]))]
            released += self._released(taken)
        return released

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
                and self.checked.claims.get(holder, identity) != identity
            )
            if gives_up:
                yield holder
            else:
                self._note(
                    claimed[identity], f"card {holder} of the database has {shown(identity)}"
                )

    def _note(self, iccid: str, what: str) -> None:
        index = self.checked.keys["card_profiles"][iccid]
        self.problems.add(what, f"card_profiles[{index}].psk_identity")
