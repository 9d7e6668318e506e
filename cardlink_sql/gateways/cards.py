"""Card profiles and their PSKs: ``sql/*/cards.sql``.

A PSK is stored encrypted and leaves the gateway only as the value of a method that asks for
it by name: never in a record, a log or an error.
"""

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar, Final, Unpack

from cardlink_sql.database.event_bus import EventType
from cardlink_sql.database.rows import Gives
from cardlink_sql.database.transaction import Transaction
from cardlink_sql.errors import StateError, ValidationError
from cardlink_sql.gateways.base import Gateway
from cardlink_sql.gateways.filters import CardFilter, CardOrder
from cardlink_sql.gateways.search import like_pattern
from cardlink_sql.model import validation
from cardlink_sql.model.choices import AnyCardType
from cardlink_sql.model.records.card import CardProfile, PskToken
from cardlink_sql.model.records.page import Page
from cardlink_sql.model.tables import card_profiles
from cardlink_sql.queries import Library

if TYPE_CHECKING:
    from cardlink_sql.database.keyring import Keyring

_log: Final = logging.getLogger(__name__)
# The key length of AES-128, which the PSK suites of SCP81 use.
_SAFE_PSK_OCTETS: Final = 16


class CardGateway(Gateway[CardProfile, str]):
    """The card profiles, ordered by ICCID where nothing else is said.

    Two cards cannot claim one PSK identity: it authenticates (RFC 4279 §2).
    """

    __slots__ = ("_keyring",)
    name = "cards"
    table = card_profiles
    record = CardProfile
    event = EventType.PROFILE_CHANGED
    entity = "card"
    key = "iccid"
    default_order = "iccid"
    gives: ClassVar[Gives] = {
        "get_psk_key": {"psk_key_encrypted": bytes | None},
        "get_psk_key_by_identity": {"psk_key_encrypted": bytes, "iccid": str},
        "page_psk_tokens": {"iccid": str, "psk_key_encrypted": bytes},
        "psk_identity_exists": {"claimed": int},
        "get_all_psk_identities": {"psk_identity": str},
    }
    not_written = frozenset({"has_psk"})
    # A record read before another worker changed the PSK must not bring the old identity back.
    not_updated = frozenset({"created_at", "psk_identity"})

    def __init__(
        self, transaction: Transaction, library: Library, keyring: "Callable[[], Keyring]"
    ) -> None:
        super().__init__(transaction, library)
        self._keyring = keyring

    def find_by(self, **filters: Unpack[CardFilter]) -> list[CardProfile]:
        """Return the cards whose columns equal the values given; ``None`` asks for NULL."""
        return self._find_by(filters)

    def find_one_by(self, **filters: Unpack[CardFilter]) -> CardProfile | None:
        """Return the first card that :meth:`find_by` would return, or ``None``."""
        return self._find_one_by(filters)

    def count_by(self, **filters: Unpack[CardFilter]) -> int:
        """Count the cards that :meth:`find_by` would return, in the database."""
        return self._count_by(filters)

    def paginate(
        self,
        page: int = 1,
        per_page: int = 20,
        order_by: CardOrder | None = None,
        descending: bool = False,  # noqa: FBT001, FBT002
        **filters: Unpack[CardFilter],
    ) -> Page[CardProfile]:
        """Return a page of the cards. The queries are ``find_by`` and ``count_by``."""
        return self._paginate(page, per_page, order_by, descending, filters)

    def update(self, record: CardProfile) -> CardProfile:
        """Write all fields of a card but its ICCID, its PSK identity and ``created_at``.

        Raises:
            NotFoundError: there is no such card.
            StateError: the identity differs, which belongs to the PSK.
        """
        self._check_kind(record)
        stored = self._required(record.iccid)
        if stored.psk_identity != record.psk_identity:
            raise StateError(
                "update does not change the PSK identity, which belongs to the PSK",
                f"{self.table.name}[{stored.iccid}]",
                "call update_psk or clear_psk, or read the card again",
            )
        return super().update(record)

    def create_with_psk(
        self, profile: CardProfile, psk_key: bytes | str, *, psk_identity: str | None = None
    ) -> CardProfile:
        """Insert a card with its PSK, which is encrypted first.

        Args:
            profile: the card.
            psk_key: 1 to 64 octets, as bytes or hex; fewer than 16 are logged as a warning.
            psk_identity: 1 to 128 octets of UTF-8 (RFC 4279 §5.1); without it, the profile's.

        Raises:
            ValidationError: neither has an identity, or they differ.
            EncryptionError: no encryption key is set; nothing is stored.
            IntegrityError: the ICCID or the identity is taken.
        """
        values = self._values(profile, leave=frozenset())
        identity = profile.psk_identity if psk_identity is None else psk_identity
        if profile.psk_identity not in (None, identity):
            raise ValidationError("the profile has another PSK identity", "psk_identity")
        if identity is None:
            raise ValidationError(
                "a PSK needs an identity", "card_profiles.psk_identity", "set it in the profile"
            )
        values |= self._psk(identity, psk_key)
        self._execute("create_with_psk", values)
        return self._note("created", self._as_written({**values, "has_psk": True}))

    def get_psk_key(self, iccid: str) -> bytes | None:
        """Return the card's PSK, or ``None`` if it has none.

        Raises:
            NotFoundError: there is no such card.
            EncryptionError: no encryption key opens it.
        """
        row = self._transaction.one(self._query("get_psk_key"), {"iccid": self._key(iccid)})
        if row is None:
            raise self._missing(iccid)
        return None if row[0] is None else self._decrypt(row[0], iccid)

    def get_psk_key_by_identity(self, identity: str) -> bytes | None:
        """Return the PSK for a TLS handshake, or ``None`` if no card has this identity and a PSK.

        The identity comes from the other side: text that no card could have is unknown, too.

        Raises:
            ValidationError: the identity is not text.
            EncryptionError: no encryption key opens the PSK.
        """
        row = self._by_identity("get_psk_key_by_identity", identity)
        return None if row is None else self._decrypt(row[0], row[1])

    def psk_identity_exists(self, identity: str) -> bool:
        """Return whether a card claims this identity."""
        return self._by_identity("psk_identity_exists", identity) is not None

    def get_all_psk_identities(self) -> list[str]:
        """Return the identities of all cards that have a PSK, in order."""
        return self._firsts("get_all_psk_identities", {})

    def update_psk(self, iccid: str, psk_identity: str, psk_key: bytes | str) -> CardProfile:
        """Set the card's PSK.

        Raises:
            NotFoundError: there is no such card.
            EncryptionError: no encryption key is set; nothing is stored.
            IntegrityError: another card claims the identity.
        """
        values = {**self._psk(psk_identity, psk_key), **self._stamp(iccid)}
        return self._change("update_psk", iccid, values, "psk_updated")

    def clear_psk(self, iccid: str) -> CardProfile:
        """Take the PSK and its identity from the card, or raise ``NotFoundError``."""
        return self._change("clear_psk", iccid, self._stamp(iccid), "psk_cleared")

    def page_psk_tokens(self, after: str | None = None, limit: int = 500) -> list[PskToken]:
        """Return a page of the PSKs as they are stored, encrypted, by ICCID.

        ``after`` is the ICCID that the page before ended with; ``limit`` is 1 to 10,000.
        """
        validation.whole(limit, "limit", least=1, most=10_000)
        place = {} if after is None else {"iccid": self._key(after)}
        rows = self._transaction.many(self._query("page_psk_tokens"), {**place, "limit": limit})
        return [PskToken(iccid, token) for iccid, token in rows]

    def count_psk_tokens(self) -> int:
        """Return the number of cards that have a PSK."""
        return int(self._scalar("count_psk_tokens", {}))

    def get_psk_token(self, iccid: str) -> PskToken | None:
        """Return the card's PSK as it is stored, or ``None`` if the card or its PSK is missing.

        The query is ``get_psk_key``.
        """
        row = self._transaction.one(self._query("get_psk_key"), {"iccid": self._key(iccid)})
        return None if row is None or row[0] is None else PskToken(iccid, row[0])

    def replace_psk_token(self, before: PskToken, token: bytes) -> bool:
        """Store the same PSK under another encryption key; whether it still was as ``before``.

        The card does not change by it: ``updated_at`` stays, and no event reports it.
        """
        values = {
            "iccid": self._key(before.iccid),
            "expected": self._given("psk_key_encrypted", before.token),
            "psk_key_encrypted": self._given("psk_key_encrypted", token),
        }
        return self._execute("replace_psk_token", values) > 0

    def find_by_type(self, card_type: AnyCardType) -> list[CardProfile]:
        """Return the cards of one type. The query is ``find_by``."""
        return self._find_by({"card_type": self._given("card_type", card_type)})

    def find_with_psk(self) -> list[CardProfile]:
        """Return the cards that have a PSK."""
        return self._many("find_with_psk", {})

    def find_without_psk(self) -> list[CardProfile]:
        """Return the cards that have no PSK."""
        return self._many("find_without_psk", {})

    def find_by_admin_url(self, admin_url: str) -> list[CardProfile]:
        """Return the cards that report to this admin server. The query is ``find_by``."""
        return self._find_by({"admin_url": self._given("admin_url", admin_url)})

    def find_by_imsi(self, imsi: str) -> list[CardProfile]:
        """Return the cards with this IMSI. The query is ``find_by``."""
        return self._find_by({"imsi": self._given("imsi", imsi)})

    def find_by_device(self, device_id: str) -> list[CardProfile]:
        """Return the cards that the device holds or has run a session with."""
        device = validation.identifier(device_id, "device_id", 255)
        return self._many("find_by_device", {"device_id": device})

    def search(self, text: str) -> list[CardProfile]:
        """Return the cards whose ICCID, IMSI, PSK identity or notes contain ``text``, in any case.

        ``%`` and ``_`` have no special meaning.
        """
        parameters = {"pattern": like_pattern(text), "limit": validation.limit(None)}
        return self._many("search", parameters)

    def find_matching(
        self, *, text: str | None = None, has_psk: bool | None = None, limit: int | None = None
    ) -> list[CardProfile]:
        """Return the cards that match every filter, by ICCID. The query is ``search``.

        ``text`` is as :meth:`search` takes it.
        """
        parameters: dict[str, Any] = {"limit": validation.limit(limit)}
        if text is not None:
            parameters["pattern"] = like_pattern(text)
        if has_psk is not None:
            validation.boolean(has_psk, "has_psk")
            parameters["with_psk" if has_psk else "without_psk"] = True
        return self._many("search", parameters)

    def export_profile(self, iccid: str, *, include_key: bool = False) -> dict[str, Any]:
        """Return the card as JSON-ready values; with the PSK as hex in ``psk_key`` on request.

        Raises:
            NotFoundError: there is no such card.
            EncryptionError: the PSK was asked for and no encryption key opens it.
        """
        validation.boolean(include_key, "include_key")
        profile = self._required(iccid).to_dict()
        if include_key:
            key = self.get_psk_key(iccid)
            profile["psk_key"] = None if key is None else key.hex().upper()
        return profile

    def _psk(self, psk_identity: str, psk_key: bytes | str) -> dict[str, Any]:
        identity = validation.psk_identity(psk_identity, "card_profiles.psk_identity")
        key = validation.psk_key(psk_key, "card_profiles.psk_key")
        if len(key) < _SAFE_PSK_OCTETS:
            _log.warning(
                "card_profiles.psk_key: the PSK has %d octets; a server may refuse fewer than %d",
                len(key),
                _SAFE_PSK_OCTETS,
            )
        return {"psk_identity": identity, "psk_key_encrypted": self._keyring().encrypt(key)}

    def _by_identity(self, name: str, identity: str) -> Any:
        if not isinstance(identity, str):
            raise ValidationError("the PSK identity is not text", "psk_identity")
        try:
            validation.psk_identity(identity)
        except ValidationError:
            return None
        return self._transaction.one(self._query(name), {"psk_identity": identity})

    def _decrypt(self, token: bytes, iccid: str) -> bytes:
        return self._keyring().decrypt(token, f"card_profiles[{iccid}].psk_key_encrypted")
