"""Card profiles and their PSKs."""

import json
import logging
import traceback
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import asdict
from functools import partial
from typing import Any

import pytest
from cryptography.fernet import Fernet

from cardlink_sql import (
    CardProfile,
    CardType,
    DatabaseManager,
    EncryptionError,
    IntegrityError,
    Keyring,
    StateError,
    UnitOfWork,
    ValidationError,
)
from cardlink_sql.model.tables import card_profiles
from tests.conftest import MOMENT, card, committed, device, dump, iccid

KEY = bytes.fromhex("00112233445566778899AABBCCDDEEFF")
FORMS_OF_KEY = (KEY.hex(), KEY.hex().upper(), repr(KEY), repr(KEY)[2:-1], str(list(KEY)))


def ids(cards: list[CardProfile]) -> list[int]:
    """The numbers that the cards were created with."""
    return [int(found.iccid[-4:]) for found in cards]


def stored(manager: DatabaseManager) -> list[Any]:
    """The encrypted keys as they are in the database."""
    with manager.engine.connect() as connection:
        rows = connection.exec_driver_sql(
            "SELECT psk_key_encrypted FROM card_profiles ORDER BY iccid"
        )
        return [None if row[0] is None else bytes(row[0]) for row in rows]


def store(manager: DatabaseManager, number: int = 1, identity: str = "card-1") -> None:
    """A card with the key, committed."""
    with committed(manager) as uow:
        uow.cards.create_with_psk(card(number), KEY, psk_identity=identity)


@pytest.fixture
def sharing(manager: DatabaseManager) -> Iterator[Callable[..., DatabaseManager]]:
    """Managers of the same database with other encryption keys, or those of the environment."""
    with ExitStack() as stack:

        def make(*keys: str) -> DatabaseManager:
            keyring = Keyring(keys) if keys else None
            return stack.enter_context(DatabaseManager(manager.config, keyring=keyring))

        yield make


def test_a_card_keeps_all_its_fields(uow: UnitOfWork) -> None:
    full = CardProfile(
        iccid="8949012345678901234",
        imsi="262011234567890",
        card_type=CardType.EUICC,
        atr="3B9F96801FC78031A073BE21136743200718000001A5",
        psk_identity="card-1",
        admin_url="https://admin.example:8443/ota",
        trigger_config={"sms": {"tar": "B00001"}},
        bip_config={"apn": "iot.example", "buffer": 1400},
        security_domains=[{"aid": "A000000151000000"}],
        notes="n",
        created_at=MOMENT,
        updated_at=MOMENT,
    )

    assert uow.cards.create(full) == uow.cards.get_by_id(full.iccid) == full


def test_each_form_of_a_card_is_kept(uow: UnitOfWork) -> None:
    for number, card_type in enumerate(CardType):
        created = uow.cards.create(card(number, card_type=card_type.value, atr="3b9f96"))
        assert (created.card_type, created.atr) == (card_type, "3B9F96")
        assert uow.cards.find_by_type(card_type) == [created]
    for digits in ("8" * 18, "8" * 22, "8944501234567890120"):
        assert uow.cards.create(card(iccid=digits)).iccid == digits


# Keys


@pytest.mark.parametrize(
    ("key", "octets", "warnings"),
    [
        (KEY, KEY, 0),
        (KEY.hex(), KEY, 0),
        (bytearray(KEY), KEY, 0),
        (b"\x5e" * 64, b"\x5e" * 64, 0),
        (b"\x5e" * 15, b"\x5e" * 15, 1),
    ],
)
def test_a_key_is_given_as_bytes_or_hex_and_a_short_one_is_warned_of(
    uow: UnitOfWork, caplog: pytest.LogCaptureFixture, key: Any, octets: bytes, warnings: int
) -> None:
    created = uow.cards.create_with_psk(card(), key, psk_identity="card-1")

    assert (created.has_psk, created.psk_identity) == (True, "card-1")
    assert uow.cards.get_psk_key(iccid()) == octets
    assert ["octets" in record.getMessage() for record in caplog.records].count(True) == warnings
    assert "5e5e" not in caplog.text.lower()


def test_an_identity_that_no_card_has_is_unknown(uow: UnitOfWork) -> None:
    uow.cards.create_with_psk(card(), KEY, psk_identity="card-1")

    others = ["nobody", "CARD-1", "card-1 ", " card-1", "card-%", "", "x" * 129, "a\0", "\ud800"]
    for identity in others:
        assert uow.cards.get_psk_key_by_identity(identity) is None
        assert uow.cards.psk_identity_exists(identity) is False


def test_an_identity_without_a_key_opens_nothing(uow: UnitOfWork) -> None:
    uow.cards.create(card(psk_identity="card-1"))

    assert uow.cards.psk_identity_exists("card-1") is True
    assert uow.cards.get_psk_key_by_identity("card-1") is None
    assert uow.cards.get_psk_key(iccid()) is None
    assert uow.cards.get_all_psk_identities() == []


def test_an_identity_is_any_text_of_128_octets_compared_byte_for_byte(uow: UnitOfWork) -> None:
    taken = ["x" * 128, "é" * 64, "😀" * 32, "e\u0301", " ", "a\nb", "%s ' :x \\", "\u202eabc"]
    taken += ["card-1", "Card-1", "card-1 ", "cárd-1", "card-1\u0301"]
    keys = {identity: bytes([number + 1]) * 16 for number, identity in enumerate(taken)}
    for number, (identity, key) in enumerate(keys.items()):
        uow.cards.create_with_psk(card(number), key, psk_identity=identity)

    assert {one: uow.cards.get_psk_key_by_identity(one) for one in taken} == keys
    assert uow.cards.get_all_psk_identities() == sorted(taken)


def test_a_key_is_replaced(uow: UnitOfWork) -> None:
    uow.cards.create_with_psk(
        card(created_at=MOMENT, updated_at=MOMENT), b"old", psk_identity="old"
    )

    changed = uow.cards.update_psk(iccid(), "new", KEY)

    assert (changed.psk_identity, changed.has_psk) == ("new", True)
    assert changed.created_at == MOMENT < changed.updated_at
    assert uow.cards.get_psk_key_by_identity("new") == KEY
    assert uow.cards.get_psk_key_by_identity("old") is None


def test_a_key_is_cleared_with_its_identity(uow: UnitOfWork) -> None:
    uow.cards.create_with_psk(card(), KEY, psk_identity="card-1")

    cleared = uow.cards.clear_psk(iccid())

    assert (cleared.psk_identity, cleared.has_psk) == (None, False)
    assert uow.cards.get_psk_key(iccid()) is None
    assert uow.cards.psk_identity_exists("card-1") is False


# Encryption


def test_what_is_stored_is_not_the_key(manager: DatabaseManager) -> None:
    store(manager, 1, "card-1")
    store(manager, 2, "card-2")

    one, other = stored(manager)

    assert one != other, "one key looks different each time it is stored"
    assert KEY not in one
    assert KEY.hex().encode() not in one.lower()
    assert all(form not in repr(dump(manager)) for form in FORMS_OF_KEY)


def test_the_first_encryption_key_encrypts_and_all_decrypt(
    manager: DatabaseManager, sharing: Callable[..., DatabaseManager]
) -> None:
    old, new = Keyring.generate(), Keyring.generate()
    store(sharing(old), 1, "stored under the old")
    store(sharing(new, old), 2, "stored under the new")

    with UnitOfWork(sharing(new, old)) as uow:
        assert uow.cards.get_psk_key(iccid(1)) == uow.cards.get_psk_key(iccid(2)) == KEY
    assert Fernet(old).decrypt(stored(manager)[0]) == KEY
    assert Fernet(new).decrypt(stored(manager)[1]) == KEY


def test_a_wrong_encryption_key_is_an_error_that_names_the_card_and_the_remedy(
    manager: DatabaseManager, sharing: Callable[..., DatabaseManager]
) -> None:
    store(manager)
    wrong = Keyring.generate()

    with (
        UnitOfWork(sharing(wrong)) as uow,
        pytest.raises(EncryptionError, match="no encryption key opens") as refused,
    ):
        uow.cards.get_psk_key_by_identity("card-1")

    assert iccid() in str(refused.value)
    assert "CARDLINK_ENCRYPTION_KEY" in str(refused.value)
    assert wrong not in str(refused.value)


def test_a_damaged_token_is_an_error(manager: DatabaseManager) -> None:
    store(manager)
    (token,) = stored(manager)
    one_byte_changed = token[:-10] + bytes([token[-10] ^ 1]) + token[-9:]

    for damage in (one_byte_changed, b"", b"x", b"\xff\x00", b"gAAAAABn", bytes(200)):
        said = "no encryption key opens" if damage is one_byte_changed else "damaged"
        with manager.engine.begin() as connection:
            connection.execute(card_profiles.update().values(psk_key_encrypted=damage))
        with UnitOfWork(manager) as uow:
            for read in [
                partial(uow.cards.get_psk_key, iccid()),
                partial(uow.cards.get_psk_key_by_identity, "card-1"),
                partial(uow.cards.export_profile, iccid(), include_key=True),
            ]:
                with pytest.raises(EncryptionError, match=said):
                    read()


@pytest.mark.parametrize("value", [None, "", " , "])
def test_without_an_encryption_key_no_psk_is_stored_or_read(
    manager: DatabaseManager,
    sharing: Callable[..., DatabaseManager],
    monkeypatch: pytest.MonkeyPatch,
    value: str | None,
) -> None:
    monkeypatch.delenv("CARDLINK_ENCRYPTION_KEY", raising=False)
    if value is not None:
        monkeypatch.setenv("CARDLINK_ENCRYPTION_KEY", value)
    store(manager)
    before = dump(manager)

    with UnitOfWork(sharing()) as uow:
        for call in [
            lambda: uow.cards.create_with_psk(card(2), KEY, psk_identity="card-2"),
            lambda: uow.cards.update_psk(iccid(1), "card-1", KEY),
            lambda: uow.cards.get_psk_key(iccid()),
        ]:
            with pytest.raises(EncryptionError, match="cardlink-db keys generate"):
                call()
        uow.commit()
        assert uow.cards.find_with_psk()[0].has_psk
        assert uow.cards.export_profile(iccid())["psk_identity"] == "card-1"
        assert uow.cards.psk_identity_exists("card-1")

    assert dump(manager) == before


def test_the_environment_gives_the_encryption_keys(
    manager: DatabaseManager,
    sharing: Callable[..., DatabaseManager],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    new, old = Keyring.generate(), Keyring.generate()
    store(sharing(old))
    monkeypatch.setenv("CARDLINK_ENCRYPTION_KEY", f"{new}, {old}")

    assert sharing().run(lambda uow: uow.cards.get_psk_key(iccid())) == KEY


@pytest.mark.parametrize("bad", ["SECRET", "SECRET" * 8, "é" * 44])
def test_a_malformed_encryption_key_is_named_by_its_place_and_not_shown(bad: str) -> None:
    with pytest.raises(EncryptionError, match="key 2 is not 32 bytes") as refused:
        Keyring([Keyring.generate(), bad])

    assert "SECRET" not in "".join(traceback.format_exception(refused.value))


# Nothing shows a key


def test_no_repr_shows_a_key(uow: UnitOfWork, manager: DatabaseManager) -> None:
    created = uow.cards.create_with_psk(card(), KEY, psk_identity="card-1")
    shown = [repr(created), str(created), repr(asdict(created)), repr(uow.cards), repr(uow)]
    shown += [repr(manager), repr(manager.keyring), repr(vars(manager.keyring))]

    for text in shown:
        assert all(form not in text for form in FORMS_OF_KEY)


@pytest.mark.parametrize(
    "refuse",
    [
        lambda uow: uow.cards.create_with_psk(card(2), KEY, psk_identity="card-1"),
        lambda uow: uow.sessions.create_session(KEY.hex()),
        lambda uow: uow.cards.create(card(2, psk_identity=KEY.hex())),
    ],
    ids=["key", "key as the device", "key as the identity of two cards"],
)
def test_no_error_shows_a_key(uow: UnitOfWork, refuse: Callable[[UnitOfWork], object]) -> None:
    uow.cards.create_with_psk(card(1), KEY, psk_identity="card-1")
    uow.cards.create(card(3, psk_identity=KEY.hex()))

    with pytest.raises(IntegrityError) as refused:
        refuse(uow)

    shown = "".join(traceback.format_exception(refused.value))
    assert all(form not in shown for form in FORMS_OF_KEY)
    assert "gAAAA" not in shown


def test_no_log_shows_a_key(manager: DatabaseManager, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        store(manager)
        assert manager.run(lambda uow: uow.cards.get_psk_key_by_identity("card-1")) == KEY

    assert all(form not in caplog.text for form in FORMS_OF_KEY)
    assert "gAAAA" not in caplog.text


# Lists


def test_cards_are_found_by_whether_they_have_a_key(uow: UnitOfWork) -> None:
    uow.cards.create_with_psk(card(1), KEY, psk_identity="card-1")
    uow.cards.create(card(2, psk_identity="card-2"))
    uow.cards.create(card(3))

    assert ids(uow.cards.find_with_psk()) == [1]
    assert ids(uow.cards.find_without_psk()) == [2, 3]


def test_cards_are_found_by_type_url_and_imsi(uow: UnitOfWork) -> None:
    url = "https://admin.example/ota?a=%20"
    uow.cards.create_all(
        [
            card(1, card_type=CardType.USIM, admin_url=url),
            card(2, imsi="262011234567890", admin_url=url.upper()),
            card(3, imsi="262011234567890"),
        ]
    )

    assert ids(uow.cards.find_by_type("USIM")) == [1]
    assert ids(uow.cards.find_by_type(CardType.UICC)) == [2, 3]
    assert ids(uow.cards.find_by_admin_url(url)) == [1]
    assert ids(uow.cards.find_by_imsi("262011234567890")) == [2, 3]


def test_cards_of_a_device_are_in_it_or_ran_a_session_with_it(uow: UnitOfWork) -> None:
    uow.cards.create_all([card(1), card(2), card(3)])
    uow.devices.create_all([device(1, iccid=iccid(1)), device(2)])
    for _ in range(2):
        uow.sessions.create_session(device_id="device-0001", card_iccid=iccid(3))
    uow.sessions.create_session(device_id="device-0002", card_iccid=iccid(2))

    assert ids(uow.cards.find_by_device("device-0001")) == [1, 3]
    assert uow.cards.find_by_device("nobody") == []


def test_search_looks_into_iccid_imsi_identity_and_notes_in_any_case(uow: UnitOfWork) -> None:
    uow.cards.create_all(
        [
            card(1, iccid="8949777000000000001"),
            card(2, imsi="777000000000002"),
            card(3, psk_identity="x777y"),
            card(4, notes="777"),
            card(5, admin_url="https://777.example"),
        ]
    )
    uow.cards.create_all([card(6, psk_identity="ÄRGER"), card(7, notes="Ärger")])

    assert ids(uow.cards.search("777")) == [2, 3, 4, 1]
    assert ids(uow.cards.search("ärgER")) == [6, 7]


def test_search_takes_every_sign_as_itself(uow: UnitOfWork) -> None:
    signs = ["%", "_", "!", "\\"]
    uow.cards.create_all(card(number, notes=f"a{sign}b") for number, sign in enumerate(signs))
    uow.cards.create(card(9, notes="axb"))

    assert [ids(uow.cards.search(f"a{sign}b")) for sign in signs] == [[0], [1], [2], [3]]


# Export


def test_an_export_is_json_and_holds_the_key_only_on_demand(uow: UnitOfWork) -> None:
    uow.cards.create_with_psk(
        card(trigger_config={"a": [1]}, created_at=MOMENT), KEY, psk_identity="card-1"
    )
    uow.cards.create(card(2))

    profile = json.loads(json.dumps(uow.cards.export_profile(iccid())))

    assert profile["iccid"] == iccid()
    assert profile["card_type"] == "UICC"
    assert profile["has_psk"] is True
    assert profile["trigger_config"] == {"a": [1]}
    assert profile["created_at"] == MOMENT.isoformat()
    assert "psk_key" not in profile
    assert all(form not in json.dumps(profile) for form in FORMS_OF_KEY)
    assert uow.cards.export_profile(iccid(1), include_key=True)["psk_key"] == KEY.hex().upper()
    assert uow.cards.export_profile(iccid(2), include_key=True)["psk_key"] is None
    for value in [1, "yes", None]:
        with pytest.raises(ValidationError):
            uow.cards.export_profile(iccid(), include_key=value)


def test_an_update_changes_neither_the_psk_nor_its_identity(uow: UnitOfWork) -> None:
    stale = uow.cards.create_with_psk(card(), b"o" * 16, psk_identity="old")
    uow.cards.update_psk(stale.iccid, "new", b"n" * 16)
    stale.notes = "edited"
    with pytest.raises(StateError, match="call update_psk or clear_psk"):
        uow.cards.update(stale)
    stale.psk_identity = "new"
    updated = uow.cards.update(stale)
    assert (updated.notes, updated.has_psk) == ("edited", True)
    assert uow.cards.get_psk_key_by_identity("new") == b"n" * 16
    assert uow.cards.get_psk_key_by_identity("old") is None
