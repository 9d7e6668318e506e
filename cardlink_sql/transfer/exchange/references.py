"""Holds a checked file against the database: what it refers to, and who claims an identity."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Final, TypeVar

from cardlink_sql.dialect import Dialect
from cardlink_sql.errors import shown
from cardlink_sql.formats.problems import Problems
from cardlink_sql.gateways.exchange import ExchangeGateway
from cardlink_sql.transfer.exchange.checking import CheckedRows, RowReference
from cardlink_sql.transfer.exchange.conflict import Conflict
from cardlink_sql.transfer.exchange.shapes import BY_WORD, PSK_KEY, SHAPES, STORED_KEY, Shape
from cardlink_sql.transfer.exchange.spool import Spool
from cardlink_sql.transfer.exchange.values import Values, from_row

_AT_ONCE: Final = 500
T = TypeVar("T")


def chunks(items: Iterable[T], size: int = _AT_ONCE) -> Iterator[list[T]]:
    """Yield the items in lists of at most ``size``."""
    rest = iter(items)
    while chunk := list(islice(rest, size)):
        yield chunk


def find_missing(gateway: ExchangeGateway, checked: CheckedRows, problems: Problems) -> None:
    """Note the rows that the file refers to and that neither it nor the database has."""
    for shape in SHAPES:
        references = checked.references[shape.name]
        outside = [key for key in references if key not in checked.keys[shape.name]]
        position = shape.columns.index(shape.key)
        for keys in chunks(outside):
            known = {row[position] for row in gateway.find(shape.word, keys)}
            for key in keys:
                if key not in known:
                    _note_missing(shape, key, references[key], problems)


def _note_missing(shape: Shape, key: str, reference: RowReference, problems: Problems) -> None:
    more = f"; {reference.count - 1} more rows refer to it" if reference.count > 1 else ""
    what = f"neither the file nor the database has {shown(key)} in {shape.name}{more}"
    problems.add(what, reference.place, reference.line)


class Identities:
    """Whether the cards of a file may have the PSK identities that they claim.

    An identity belongs to a PSK and to one card (RFC 4279 §2).

    Args:
        gateway: the database.
        dialect: its dialect.
        checked: the file.
        rule: what becomes of cards that the database has.
        problems: where what may not be is noted.
    """

    def __init__(
        self,
        gateway: ExchangeGateway,
        dialect: Dialect,
        checked: CheckedRows,
        rule: Conflict,
        problems: Problems,
    ) -> None:
        self._gateway = gateway
        self._convert = from_row(BY_WORD["cards"], dialect)
        self._checked = checked
        self._rule = rule
        self._problems = problems

    def check(self, spool: Spool) -> list[str]:
        """Note the problems; return the cards that must lose their identity to another."""
        released: list[str] = []
        for batch in spool.batches(BY_WORD["cards"]):
            found = map(self._convert, self._gateway.find("cards", [row["iccid"] for row in batch]))
            known = {values["iccid"]: values for values in found}
            taken = [row for row in batch if self._takes(row, known.get(row["iccid"]))]
            released += self._released(taken)
        return released

    def _takes(self, values: Values, known: Values | None) -> bool:
        """Return whether the card gets an identity that it does not have."""
        identity = values.get("psk_identity")
        if known is None:
            return identity is not None
        if self._rule is Conflict.SKIP or known["psk_identity"] == identity:
            return False
        if self._rule is Conflict.MERGE:
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
        for identity, holder in self._gateway.find_psk_identities(list(claimed)).items():
            if holder == claimed[identity]:
                continue
            gives_up = (
                self._rule is Conflict.OVERWRITE
                and self._checked.claims.get(holder, identity) != identity
            )
            if gives_up:
                yield holder
            else:
                self._note(
                    claimed[identity], f"card {holder} of the database has {shown(identity)}"
                )

    def _note(self, iccid: str, what: str) -> None:
        index = self._checked.keys["card_profiles"][iccid]
        self._problems.add(what, f"card_profiles[{index}].psk_identity")
