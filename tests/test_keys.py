"""Encryption keys: what is stored under which, rotation beside other writers, and the import."""

import os
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given, settings as example_settings, strategies as st

from cardlink_sql import DatabaseManager, Keyring, UnitOfWork
from cardlink_sql.dialect import Dialect
from cardlink_sql.errors import ConflictError, EncryptionError, ValidationError
from cardlink_sql.formats.text import read_text
from cardlink_sql.model.records.card import PskToken
from cardlink_sql.operations.key_rotation import check_keys, rotate_keys
from cardlink_sql.transfer.key_import import import_keys
from tests.conftest import (
    COMMAND,
    Migrated,
    add,
    card,
    committed,
    dump,
    iccid,
    on_sqlite,
    wait_until,
)
from tests.roles import execute

NEW, OLD, LOST = Keyring.generate(), Keyring.generate(), Keyring.generate()


@contextmanager
def keyed(manager: DatabaseManager, *keys: str) -> Iterator[DatabaseManager]:
    """The same database with other encryption keys."""
    with DatabaseManager(manager.config, keyring=Keyring(keys)) as other:
        yield other


def psk(number: int) -> bytes:
    return number.to_bytes(16, "big")


def store(manager: DatabaseManager, key: str, numbers: range) -> None:
    """Cards with their PSKs under one encryption key."""
    with keyed(manager, key) as other, committed(other) as uow:
        for number in numbers:
            uow.cards.create_with_psk(card(number), psk(number), psk_identity=f"card_{number:04d}")


def stored(manager: DatabaseManager, limit: int = 10_000) -> dict[str, bytes]:
    with UnitOfWork(manager, read_only=True) as uow:
        return {token.iccid: token.token for token in uow.cards.page_psk_tokens(limit=limit)}


def under(manager: DatabaseManager, key: str) -> int:
    """How many PSKs one key opens."""
    keyring = Keyring([key])
    return sum(keyring.position(token) is not None for token in stored(manager).values())


def opened(manager: DatabaseManager, key: str) -> dict[str, bytes]:
    """The PSKs as one key opens them."""
    return {name: Keyring([key]).decrypt(token, name) for name, token in stored(manager).items()}


def test_tokens_come_in_pages_and_show_nothing(manager: DatabaseManager) -> None:
    store(manager, OLD, range(1, 6))
    with UnitOfWork(manager) as uow:
        uow.cards.create(card(9))
        first = uow.cards.page_psk_tokens(limit=2)
        second = uow.cards.page_psk_tokens(first[-1].iccid, 10)
        assert [token.iccid for token in (*first, *second)] == [iccid(n) for n in range(1, 6)]
        assert uow.cards.count_psk_tokens() == 5
        assert uow.cards.get_psk_token(iccid(1)) == first[0]
        assert uow.cards.get_psk_token(iccid(9)) is None
        assert uow.cards.get_psk_token(iccid(8)) is None
    assert repr(first[0]) == f"PskToken(iccid='{iccid(1)}')"


def test_a_token_is_replaced_where_it_is_as_it_was_read(manager: DatabaseManager) -> None:
    store(manager, OLD, range(1, 3))
    before = dump(manager)["card_profiles"]
    with keyed(manager, NEW, OLD) as other, committed(other) as uow:
        first, second = uow.cards.page_psk_tokens()
        profile = uow.cards.get_by_id(first.iccid)
        uow.cards.update_psk(second.iccid, "changed", b"meanwhile")
        token = other.keyring.renew(first.token, "here")
        assert uow.cards.replace_psk_token(first, token)
        assert not uow.cards.replace_psk_token(first, token)
        assert not uow.cards.replace_psk_token(second, token)
        assert not uow.cards.replace_psk_token(PskToken(iccid(7), token), token)
        assert uow.cards.get_by_id(first.iccid) == profile
        assert uow.cards.get_psk_key(second.iccid) == b"meanwhile"
    assert dump(manager)["card_profiles"] != before


def test_check_tells_the_keys_by_their_position(manager: DatabaseManager) -> None:
    found = check_keys(manager)
    assert (found.by_key, found.unopened, found.cards) == ([0], [], 0)
    store(manager, OLD, range(1, 4))
    store(manager, NEW, range(4, 6))
    store(manager, LOST, range(6, 7))
    damaged = "'\\x00ff'" if manager.dialect is Dialect.POSTGRESQL else "x'00ff'"
    update = f"UPDATE card_profiles SET psk_key_encrypted = {damaged} WHERE iccid = '{iccid(5)}'"
    execute(manager, update)
    before = dump(manager)
    with keyed(manager, LOST, NEW, OLD) as other:
        found = check_keys(other)
        assert (found.by_key, found.unopened, found.cards) == ([1, 1, 3], [iccid(5)], 6)
    with keyed(manager, NEW) as other:
        found = check_keys(other)
        assert (found.by_key, found.cards) == ([1], 6)
        assert found.unopened == [iccid(n) for n in (1, 2, 3, 5, 6)]
    assert dump(manager) == before


@pytest.mark.parametrize("batch", [1, 3, 7, 500])
def test_rotation_leaves_every_psk_as_it_was(manager: DatabaseManager, batch: int) -> None:
    store(manager, OLD, range(1, 8))
    store(manager, NEW, range(8, 10))
    store(manager, LOST, range(10, 12))
    lost = {iccid(number) for number in (10, 11)}
    before, profiles = stored(manager), dump(manager)["card_profiles"]
    told: list[int] = []
    events: list[object] = []
    with keyed(manager, NEW, OLD) as other:
        other.events.on("*", events.append)
        done = rotate_keys(other, batch, told.append)
    assert events == []
    assert (done.rotated, done.already, set(done.unopened)) == (7, 2, lost)
    assert sum(told) == 11
    after = stored(manager)
    assert {name for name in after if after[name] == before[name]} == lost | {iccid(8), iccid(9)}
    for number in range(1, 10):
        assert Keyring([NEW]).decrypt(after[iccid(number)], "") == psk(number)
    # Nothing else of a card has changed, updated_at among it.
    assert [row[:5] + row[6:] for row in dump(manager)["card_profiles"]] == [
        row[:5] + row[6:] for row in profiles
    ]
    with keyed(manager, NEW, OLD) as other:
        again = rotate_keys(other, batch)
    assert (again.rotated, again.already, set(again.unopened)) == (0, 9, lost)
    assert stored(manager) == after


def test_a_psk_that_another_process_stores_meanwhile_is_kept(manager: DatabaseManager) -> None:
    store(manager, OLD, range(1, 61))
    written: dict[str, bytes] = {}
    stop = threading.Event()
    errors: list[BaseException] = []

    def write() -> None:
        try:
            # Another component still has the old key in front.
            with keyed(manager, OLD, NEW) as other:
                turn = 0
                while not stop.is_set():
                    turn += 1
                    for number in range(1, 61, 7):
                        with committed(other) as uow:
                            uow.cards.update_psk(iccid(number), f"card_{number:04d}", psk(turn))
                        written[iccid(number)] = psk(turn)
        except BaseException as error:
            errors.append(error)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        with keyed(manager, NEW, OLD) as other:
            for _ in range(3):
                done = rotate_keys(other, 5)
                assert done.rotated + done.already == 60
    finally:
        stop.set()
        writer.join()
    assert errors == []
    with keyed(manager, NEW, OLD) as other:
        rotate_keys(other)
    expected = {iccid(number): psk(number) for number in range(1, 61)} | written
    assert opened(manager, NEW) == expected


def test_what_changed_between_reading_and_storing_is_looked_at_again(
    manager: DatabaseManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    store(manager, OLD, range(1, 5))
    renew = Keyring.renew

    def renew_late(self: Keyring, token: bytes, where: str) -> bytes:
        monkeypatch.undo()
        with keyed(manager, OLD) as other, committed(other) as uow:
            uow.cards.update_psk(iccid(2), "card_0002", b"meanwhile")
            uow.cards.clear_psk(iccid(3))
            uow.cards.delete_by_id(iccid(4))
        return renew(self, token, where)

    with keyed(manager, NEW, OLD) as other:
        monkeypatch.setattr(Keyring, "renew", renew_late)
        done = rotate_keys(other)
    assert (done.rotated, done.already, done.unopened) == (2, 0, [])
    assert opened(manager, NEW) == {iccid(1): psk(1), iccid(2): b"meanwhile"}


def test_a_conflict_is_tried_again_and_then_told(
    manager: DatabaseManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    store(manager, OLD, range(1, 4))
    commit, lost = UnitOfWork.commit, 0

    def lose(times: int) -> Callable[[UnitOfWork], None]:
        def losing(self: UnitOfWork) -> None:
            nonlocal lost
            lost += 1
            if lost <= times:
                raise ConflictError("another transaction was in the way")
            commit(self)

        return losing

    monkeypatch.setattr("cardlink_sql.operations.key_rotation.PATIENT_ATTEMPTS", 5)
    with keyed(manager, NEW, OLD) as other:
        monkeypatch.setattr(UnitOfWork, "commit", lose(100))
        with pytest.raises(ConflictError):
            rotate_keys(other)
        assert (lost, under(manager, OLD)) == (5, 3)
        lost = 0
        monkeypatch.setattr(UnitOfWork, "commit", lose(4))
        assert rotate_keys(other).rotated == 3
    assert under(manager, NEW) == 3


@on_sqlite
def test_a_killed_rotation_is_gone_on_with(manager: DatabaseManager) -> None:
    batch, count = 4, 400
    store(manager, OLD, range(1, count + 1))
    before = stored(manager)
    environment = {**os.environ, "CARDLINK_ENCRYPTION_KEY": f"{NEW},{OLD}"}
    command = [COMMAND, "keys", "rotate", "--batch", str(batch), "-d", manager.config.url]
    with UnitOfWork(manager) as uow:
        process = subprocess.Popen(
            command, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        wait_until(lambda: not stored(manager, batch).items() & before.items())
        # Until the process is gone, no other writer gets in.
        held = uow.cards.get_by_id(iccid(1))
        assert held is not None
        uow.cards.update(held)
        process.send_signal(signal.SIGKILL)
        process.communicate()
    rotated = under(manager, NEW)
    assert batch <= rotated < count
    assert rotated % batch == 0
    assert rotated + under(manager, OLD) == count

    with keyed(manager, NEW, OLD) as other:
        done = rotate_keys(other, batch)
    assert (done.rotated, done.already, done.unopened) == (count - rotated, rotated, [])
    assert opened(manager, NEW) == {iccid(n): psk(n) for n in range(1, count + 1)}


def claim(manager: DatabaseManager, *identities: str) -> None:
    """A card without a PSK for each identity."""
    add(manager, *(card(number, psk_identity=one) for number, one in enumerate(identities, 1)))


def keys_of(manager: DatabaseManager) -> dict[str, bytes | None]:
    with UnitOfWork(manager, read_only=True) as uow:
        return {one.iccid: uow.cards.get_psk_key(one.iccid) for one in uow.cards.get_all()}


def test_keys_go_to_the_cards_that_claim_their_identity(manager: DatabaseManager) -> None:
    claim(manager, "card_0031", "89882110000000000312", "größer", "other")
    text = """\
# of the admin server
keys:
  card_0031: 00112233445566778899AABBCCDDEEFF
  89882110000000000312: "ff"
  größer: 1e5100
"""
    done = import_keys(manager, text)
    assert (done.updated, done.unchanged) == ([iccid(1), iccid(2), iccid(3)], [])
    assert keys_of(manager) == {
        iccid(1): bytes.fromhex("00112233445566778899AABBCCDDEEFF"),
        iccid(2): b"\xff",
        iccid(3): b"\x1e\x51\x00",
        iccid(4): None,
    }
    before = dump(manager)
    done = import_keys(manager, text.replace("ff", "FF"))
    assert (done.updated, done.unchanged) == ([], [iccid(1), iccid(2), iccid(3)])
    assert dump(manager) == before
    done = import_keys(manager, text.replace('"ff"', "fe"), dry_run=True)
    assert (done.updated, done.unchanged) == ([iccid(2)], [iccid(1), iccid(3)])
    assert dump(manager) == before


@on_sqlite
@pytest.mark.parametrize(
    "key", ["00112233", "12345678", "1e55", "0x", "0b01", "0777", "12", "00:11", "2026", "ee", "0"]
)
def test_hex_that_yaml_would_take_for_a_number_is_hex(manager: DatabaseManager, key: str) -> None:
    claim(manager, "card_1")
    try:
        expected = bytes.fromhex(key.replace(":", ""))
    except ValueError:
        with pytest.raises(ValidationError, match=r"keys\.card_1: the PSK (is not|has an odd)"):
            import_keys(manager, f"keys: {{card_1: {key}}}")
    else:
        import_keys(manager, f"keys: {{card_1: {key}}}")
        assert keys_of(manager) == {iccid(1): expected}


def test_identities_may_stand_at_the_top_of_the_file(manager: DatabaseManager) -> None:
    claim(manager, "card_1")
    assert import_keys(manager, "card_1: 00:11").updated == [iccid(1)]
    assert keys_of(manager) == {iccid(1): b"\x00\x11"}


def test_a_key_under_a_lost_encryption_key_is_replaced(manager: DatabaseManager) -> None:
    store(manager, LOST, range(1, 2))
    done = import_keys(manager, "keys: {card_0001: AB}")
    assert done.updated == [iccid(1)]
    assert keys_of(manager) == {iccid(1): b"\xab"}


SECRET = "5EC2E7" * 5


@on_sqlite
@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("keys:\n  card_1: " + SECRET + "\n  card_9: " + SECRET, ":3: keys.card_9: no card claims"),
        ("keys:\n  card_1: " + SECRET + "X", ":2: keys.card_1: the PSK is not hex"),
        ("keys:\n  card_1: " + SECRET + "5", ":2: keys.card_1: the PSK has an odd number of hex"),
        ("keys:\n  card_1: " + SECRET * 5, ":2: keys.card_1: the PSK has 75 octets"),
        ("keys:\n  card_1:", ":2: keys.card_1: the PSK has 0 octets"),
        ("keys:\n  card_1: [" + SECRET + "]", ":2: keys.card_1: a key is a line of hex"),
        ("keys:\n  card_1: !!binary " + SECRET, ":2: a tag that JSON has no type for"),
        ("keys:\n  card_1: " + SECRET + "\n  card_1: " + SECRET, ":3: a key appears twice"),
        ("keys:\n  " + SECRET + ": card_1", ":2: keys: the PSK is not hex"),
        ("keys:\n  " + SECRET + ": " + SECRET, ":2: keys: no card claims this identity"),
        ("keys:\n  id 1 " + SECRET + ": ab", ":2: keys: no card claims this identity"),
        ("keys:\n  0x" + SECRET + ": xy", ":2: keys: the PSK is not hex"),
        ("keys:\n  card_0001005: ab", ":2: keys.card_0001005: no card claims this identity"),
        ("keys:\n  '89490000000000001005': ab", ":2: keys.89490000000000001005: no card claims"),
        ("keys:\n  '': " + SECRET, ":2: keys.: a PSK identity has 1 to 128 octets"),
        ("keys:\n  ? [" + SECRET + "]\n  : x", ":2: a key is not text"),
        ("keys:\n  card_1: ab\nold: " + SECRET, ":3: only keys: is read, take the rest out"),
        (
            f"keys:\n  card_7: {SECRET}\n  card_8: {SECRET}X",
            "2 problems\n  line 2: keys.card_7: no card claims this identity\n"
            "  line 3: keys.card_8: the PSK is not hex: write whole bytes as hex digits",
        ),
        ("keys:\n  - " + SECRET, ":1: keys: write keys:"),
        ("keys: " + SECRET, ":1: keys: write keys:"),
        ("- " + SECRET, "no keys: write keys:"),
        (SECRET, "no keys: write keys:"),
        ("", "no keys: write keys:"),
        (SECRET + ": 1", ":1: keys: the PSK has an odd number of hex digits"),
        ("keys:\n  card_1: *x" + SECRET, ":2: aliases are not supported"),
        ("keys:\n  card_1: !h!" + SECRET + " ab", ":2: not valid YAML: an anchor or a tag"),
        ("keys:\n  card_1: '" + SECRET, "not valid YAML"),
        ("keys:\n  card_1: {" + SECRET, "not valid YAML"),
        ("keys:\n  card_1: " + SECRET + "\n card_2: " + SECRET, "not valid YAML"),
        ("keys:\n  card_1: " + SECRET + ": " + SECRET, "not valid YAML"),
        ("%" + SECRET + "\n---\n@", "not valid YAML"),
        ("card_7: {key: 0011}", ":1: keys.card_7: expected iccid: and key:"),
        ("card_7: {iccid: [1], key: 0011}", ":1: keys.card_7: expected iccid: and key:"),
        (f"card_7: {{iccid: {iccid(7)}, key: 00, x: 1}}", "keys.card_7: expected iccid: and key:"),
        (f"card_7: {{iccid: {iccid(7)}}}", ":1: keys.card_7: a key is a line of hex"),
        ("card_7: {iccid: 12, key: 0011}", ":1: keys.card_7.iccid: not an ICCID"),
        (f"card_7: {{iccid: {SECRET}, key: {iccid(7)}}}", ":1: keys.card_7.iccid: not an ICCID"),
        (
            f"card_7: {{iccid: {iccid(7)}, key: 0011}}\ncard_8: {{iccid: {iccid(7)}, key: 0022}}",
            ":2: keys.card_8: another entry names this card",
        ),
    ],
)
def test_what_is_wrong_is_named_without_a_key_and_nothing_is_written(
    manager: DatabaseManager, text: str, said: str
) -> None:
    claim(manager, "card_1", "card_2")
    before = dump(manager)
    with pytest.raises(ValidationError) as refused:
        import_keys(manager, text, "k.yaml")
    told = str(refused.value)
    assert f"k.yaml{said}" in told or said in refused.value.what
    assert SECRET[:12].lower() not in told.lower()
    assert refused.value.__cause__ is None
    assert dump(manager) == before


def test_without_an_encryption_key_nothing_is_written(
    manager: DatabaseManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    claim(manager, "card_1")
    monkeypatch.delenv("CARDLINK_ENCRYPTION_KEY", raising=False)
    with DatabaseManager(manager.config) as other:
        for work in (check_keys, rotate_keys, lambda m: import_keys(m, "keys: {card_1: ab}")):
            with pytest.raises(EncryptionError, match="no encryption key is set"):
                work(other)


@example_settings(max_examples=150)
@given(
    data=st.binary(max_size=80)
    | st.text("keys:card_1 0afF\n-{}[]'\"&*!|>#%\t,?", max_size=60).map(
        lambda text: f"keys:\n  card_1: {text}".encode()
    )
)
def test_arbitrary_bytes_are_imported_whole_or_refused(
    migrated: Migrated, tmp_path: Path, data: bytes
) -> None:
    manager = migrated(Dialect.SQLITE)
    file = tmp_path / "keys.yaml"
    file.write_bytes(data)
    with committed(manager) as uow:
        uow.cards.delete_by_id(iccid(1))
        uow.cards.create(card(1, psk_identity="card_1"))
    before = dump(manager)
    try:
        done = import_keys(manager, read_text(file), str(file))
    except ValidationError as error:
        assert str(error.where).startswith(str(file))
        assert dump(manager) == before
    else:
        assert len(done.updated) <= 1
    with committed(manager) as uow:
        uow.cards.delete_by_id(iccid(1))
