"""Holds a checked file against the database: what it refers to, and who claims an identity."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from cardlink_sql.dialect import Dialect
from cardlink_sql.errors import shown
from cardlink_sql.gateways.exchange import ExchangeGateway
from cardlink_sql.transfer.exchange.checking import Checker
from cardlink_sql.transfer.exchange.conflict import Conflict
from cardlink_sql.transfer.exchange.shapes import BY_WORD, PSK_KEY, SHAPES, STORED_KEY
from cardlink_sql.transfer.exchange.values import Values, from_row

_AT_ONCE: Final = 500


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
            for start in range(0, len(outside), _AT_ONCE):
                keys = outside[start : start + _AT_ONCE]
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
