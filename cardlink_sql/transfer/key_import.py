"""The admin server's keys from its YAML file: ``keys: {card_0031: 00112233…}``.

The identities may also be at the top of the file, without ``keys:``.

A key goes to the card that claims its PSK identity. An entry may also be
``card_0031: {iccid: …, key: …}``: then it goes to that card, which is made if it is missing. An
identity that no card claims, without an ICCID, is a problem, and nothing is written then.

Every scalar of the file is read as the text that it is, so that hex needs no quotes: to YAML,
``00112233`` would be a number. No error shows a key.
"""

import re
from dataclasses import dataclass, field
from typing import Any, Final

from cardlink_sql.database.retry import PATIENT_ATTEMPTS, PATIENT_SECONDS
from cardlink_sql.errors import EncryptionError, ValidationError
from cardlink_sql.formats.problems import Problems
from cardlink_sql.formats.strict_yaml import Author, Fields, read_yaml
from cardlink_sql.manager import DatabaseManager
from cardlink_sql.model import validation
from cardlink_sql.model.progress import OnProgress, no_progress
from cardlink_sql.model.records.card import CardProfile
from cardlink_sql.unit_of_work import UnitOfWork

_FORM: Final = "write keys: and below it a line for each key, identity: hex"
_REMEDY: Final = (
    "an entry is identity: hex for a card that claims it, or identity: {iccid: …, key: hex}"
)
# A key that is written where its identity should, however it is written.
_SEPARATORS: Final = re.compile(r"0x|[\W_]", re.IGNORECASE)
_HEX: Final = re.compile(r"[0-9A-Fa-f]{16,}")


@dataclass(frozen=True, slots=True)
class KeyEntry:
    """A key of the file. It is left out of the repr."""

    line: int
    identity: str
    psk_key: bytes = field(repr=False)
    iccid: str | None = None


@dataclass(frozen=True, slots=True)
class KeyImport:
    """The result of an import: the ICCIDs of the cards, by what became of their PSKs."""

    updated: list[str]
    unchanged: list[str]
    created: list[str] = field(default_factory=list)


def import_keys(
    manager: DatabaseManager,
    text: str,
    name: str = "keys",
    *,
    dry_run: bool = False,
    on_progress: OnProgress = no_progress,
) -> KeyImport:
    """Import the cards' PSKs from an admin server's YAML text, all or none.

    Args:
        manager: the database; its keyring encrypts.
        text: the YAML, at most a MiB.
        name: how errors name the text.
        dry_run: write nothing, and say what would be written.
        on_progress: called with 1 for each key that is done.

    Raises:
        ValidationError: each problem with its line and path, such as ``keys.card_0031``: a key that
            is not hex of 1 to 64 octets, an identity twice, or one that no card claims.
        EncryptionError: no encryption key is set.
    """
    problems = Problems(name, _REMEDY)
    entries = _read(text, problems)

    def store(uow: UnitOfWork) -> KeyImport:
        done = KeyImport([], [])
        for iccid, entry in _by_card(uow, entries, problems).items():
            _store(uow, entry, iccid, done)
            on_progress(1)
        if dry_run:
            uow.rollback()
        return done

    return manager.run(store, attempts=PATIENT_ATTEMPTS, within=PATIENT_SECONDS)


def _by_card(uow: UnitOfWork, entries: list[KeyEntry], problems: Problems) -> dict[str, KeyEntry]:
    """Return the card that each entry is for; refuse them all if one has a problem."""
    cards: dict[str, KeyEntry] = {}
    for entry in entries:
        path, line = _path(entry.identity), entry.line
        card = uow.cards.find_one_by(psk_identity=entry.identity)
        if card is None and entry.iccid is None:
            problems.add("no card claims this identity", path, line)
        elif card is not None and entry.iccid not in (None, card.iccid):
            problems.add("another card claims this identity", path, line)
        iccid = entry.iccid or (card.iccid if card else None)
        if iccid and cards.setdefault(iccid, entry) is not entry:
            problems.add("another entry names this card", path, line)
    problems.refuse()
    return cards


def _store(uow: UnitOfWork, entry: KeyEntry, iccid: str, done: KeyImport) -> None:
    card = uow.cards.get_by_id(iccid)
    if card is None:
        uow.cards.create_with_psk(CardProfile(iccid, psk_identity=entry.identity), entry.psk_key)
        done.created.append(iccid)
    elif card.psk_identity == entry.identity and _is_stored(uow, entry, iccid):
        done.unchanged.append(iccid)
    else:
        uow.cards.update_psk(iccid, entry.identity, entry.psk_key)
        done.updated.append(iccid)


def _is_stored(uow: UnitOfWork, entry: KeyEntry, iccid: str) -> bool:
    try:
        return uow.cards.get_psk_key(iccid) == entry.psk_key
    except EncryptionError:
        return False  # under a key that is lost, which is what an import may be for


def _read(text: str, problems: Problems) -> list[KeyEntry]:
    """Return the keys of the text that have no problem."""
    fields: Any = read_yaml(text, problems, Author.KEY_OWNER)
    if not isinstance(fields, Fields):
        raise ValidationError(f"no keys: {_FORM}", problems.name)
    if "keys" in fields:
        for name in fields.keys() - {"keys"}:
            problems.add("only keys: is read, take the rest out", line=fields.lines[name])
        line, fields = fields.lines["keys"], fields["keys"]
        if not isinstance(fields, Fields):
            problems.add(_FORM, "keys", line)
            return []
    entries = (
        _entry(identity, fields.lines[identity], value, problems)
        for identity, value in fields.items()
        if identity not in fields.faulty
    )
    return [entry for entry in entries if entry]


def _entry(identity: str, line: int, value: Any, problems: Problems) -> KeyEntry | None:
    path = _path(identity)
    iccid: str | None = None
    if isinstance(value, Fields):
        card, key = value.pop("iccid", None), value.pop("key", value)
        if value or not isinstance(card, str):
            problems.add("expected iccid: and key: below an identity", path, line)
            return None
        try:
            iccid = validation.iccid(card, f"{path}.iccid")
        except ValidationError:
            # Its text quotes the value, which may be a key in the wrong field.
            problems.add("not an ICCID of 18 to 22 hex digits", f"{path}.iccid", line)
            return None
        value = key
    if not isinstance(value, str):
        problems.add("a key is a line of hex", path, line)
        return None
    try:
        name = validation.psk_identity(identity, path)
        return KeyEntry(line, name, validation.psk_key(value, path), iccid)
    except ValidationError as error:
        problems.add_refusal(error, line)
        return None


def _path(identity: str) -> str:
    """Return the place of a key; an identity that could be a key is not shown."""
    bare = _SEPARATORS.sub("", identity)
    is_iccid = bare.isdecimal()
    return "keys" if _HEX.search(bare) and not is_iccid else f"keys.{identity}"
