"""Card profiles and the tokens of their encrypted PSKs."""

from dataclasses import dataclass, field
from datetime import datetime

from cardlink_sql.model.choices import CardType
from cardlink_sql.model.json_value import JSONValue, Record
from cardlink_sql.model.times import utc_now


@dataclass(slots=True)
class CardProfile(Record):
    """A card without its PSK, which the gateway returns by ICCID or by identity."""

    iccid: str
    imsi: str | None = None
    card_type: CardType = CardType.UICC
    atr: str | None = None
    psk_identity: str | None = None
    has_psk: bool = False
    admin_url: str | None = None
    trigger_config: JSONValue | None = None
    bip_config: JSONValue | None = None
    security_domains: JSONValue | None = None
    notes: str | None = None
    created_at: datetime = field(default_factory=utc_now)
    updated_at: datetime = field(default_factory=utc_now)


@dataclass(frozen=True, slots=True)
class PskToken:
    """A PSK as it is stored, encrypted (a Fernet token), and the card that it belongs to."""

    iccid: str
    token: bytes = field(repr=False)
