"""The key store: look-ups from any thread, and the callbacks of a PSK-TLS server."""

import logging
import random
import socket
import ssl
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy.engine import make_url

from cardlink_sql import (
    ConnectionError,
    DatabaseConfig,
    DatabaseManager,
    EncryptionError,
    Keyring,
    KeyStore,
    UnitOfWork,
    ValidationError,
)
from tests.conftest import card, committed, iccid, on_sqlite

KEY = bytes.fromhex("00112233445566778899AABBCCDDEEFF")
LOGGER = "cardlink_sql.live.key_store"


@pytest.fixture
def store(manager: DatabaseManager) -> KeyStore:
    """A key store over two cards with a PSK and one without."""
    with committed(manager) as uow:
        for number, identity in ((1, "card_1"), (2, "Zürich 2")):
            uow.cards.create_with_psk(card(number), psk_identity=identity, psk_key=KEY[number:])
        uow.cards.create(card(3))
    return KeyStore(manager)


@pytest.fixture
def broken(manager: DatabaseManager, tmp_path: Path) -> KeyStore:
    """A key store whose database cannot be reached."""
    url = make_url(manager.config.url)
    nowhere = str(tmp_path) if manager.config.is_sqlite else "no_such_database"
    lost = url.set(database=nowhere).render_as_string(hide_password=False)
    return KeyStore(DatabaseManager(DatabaseConfig(lost), keyring=manager.keyring))


def test_the_key_of_an_identity(store: KeyStore) -> None:
    assert store.get_key("card_1") == KEY[1:]
    assert store.get_key("Zürich 2") == KEY[2:]
    for unknown in ("card_3", "", "CARD_1", "x" * 500, "nul\0", "lone \ud800"):
        assert store.get_key(unknown) is None


def test_the_identities(store: KeyStore) -> None:
    assert store.identity_exists("card_1")
    assert not store.identity_exists("card_3")
    assert store.get_all_identities() == ["Zürich 2", "card_1"]


def test_a_key_that_changes_counts_at_once(store: KeyStore, manager: DatabaseManager) -> None:
    assert store.get_key("card_1") == KEY[1:]
    with committed(manager) as uow:
        uow.cards.update_psk(iccid(1), "card_1", KEY)
    assert store.get_key("card_1") == KEY
    with committed(manager) as uow:
        uow.cards.clear_psk(iccid(1))
    assert store.get_key("card_1") is None
    assert not store.identity_exists("card_1")


def test_each_look_up_is_one_statement(store: KeyStore, manager: DatabaseManager) -> None:
    sent: list[object] = []
    manager.statements.on(sent.append)
    store.get_key("card_1")
    store.get_key("nobody")
    store.identity_exists("card_1")
    store.get_all_identities()
    assert len(sent) == 4


def test_eight_threads_get_the_right_keys(store: KeyStore) -> None:
    keys = {"card_1": KEY[1:], "Zürich 2": KEY[2:], "nobody": None}

    def look_up(number: int) -> int:
        rng = random.Random(number)
        asked = rng.choices(list(keys), k=50)
        return sum(store.get_key(identity) == keys[identity] for identity in asked)

    with ThreadPoolExecutor(8) as threads:
        assert list(threads.map(look_up, range(8))) == [50] * 8


def test_the_callback_of_ssl(store: KeyStore) -> None:
    assert store.ssl_callback("card_1") == KEY[1:]
    assert store.ssl_callback("nobody") == b""
    assert store.ssl_callback(None) == b""


@on_sqlite
@pytest.mark.parametrize("identity", [5, 0, [300], object(), 10**15, "card_1", b"card_1", 1.5])
def test_a_value_of_another_type_is_unknown(store: KeyStore, identity: object) -> None:
    if not isinstance(identity, str):
        with pytest.raises(ValidationError):
            store.get_key(identity)  # type: ignore[arg-type]
        assert store.ssl_callback(identity) == b""  # type: ignore[arg-type]
    if not isinstance(identity, bytes):
        assert store.sslpsk3_callback(identity) == b""  # type: ignore[arg-type]


def test_the_callback_of_sslpsk3(store: KeyStore) -> None:
    assert store.sslpsk3_callback("Zürich 2".encode()) == KEY[2:]
    assert store.sslpsk3_callback("Zürich 2".encode("latin-1")) == b""
    assert store.sslpsk3_callback(b"nobody") == b""
    assert store.sslpsk3_callback(None) == b""


def test_the_log_tells_an_unknown_identity_from_a_database_that_fails(
    store: KeyStore, broken: KeyStore, caplog: pytest.LogCaptureFixture
) -> None:
    assert store.ssl_callback("nobody\n") == b""
    assert store.sslpsk3_callback(b"\xff") == b""
    assert broken.ssl_callback("card_1") == b""
    unknown, not_utf8, failed = (one for one in caplog.records if one.name == LOGGER)
    assert unknown.levelno == not_utf8.levelno == logging.WARNING
    assert unknown.getMessage() == r"no card has the PSK identity 'nobody\n'"
    assert failed.levelno == logging.ERROR
    assert failed.getMessage().startswith("the PSK of 'card_1' cannot be read: ")


@on_sqlite
@pytest.mark.parametrize(
    ("identity", "is_shown"),
    [
        ("card_77", True),
        ("89882110000000000312", True),
        ("nobody\n", True),
        ("urn:imei:490154203237518", True),
        ("00112233445566778899AABBCCDDEEFF", False),
        ("00112233445566778899aabbccddeeff", False),
        ("key=00112233445566778899aabbccddeeff", False),
        ("DE:AD:BE:EF:0A:1B:2C:3D:4E:5F:60:71:82:93:A4:B5", False),
        ("0xDE 0xAD 0xBE 0xEF 0x0A 0x1B 0x2C 0x3D", False),
        ("DEADBEEF-0A1B2C3D-4E5F6071-8293A4B5", False),
        ("12345678901234567890123456789012", False),
        ("3q2+7wobLD1OX2BxgpOktQ==", False),
        ('\x00\x11"3DUfw\x08\x19*;L]n\x7f', False),
    ],
)
def test_the_log_shows_no_identity_that_may_be_a_key(
    store: KeyStore, caplog: pytest.LogCaptureFixture, identity: str, is_shown: bool
) -> None:
    with caplog.at_level(logging.DEBUG):
        assert store.ssl_callback(identity) == b""
    assert (repr(identity) in caplog.text) is is_shown
    assert ("may be a key" in caplog.text) is not is_shown


def test_a_database_that_fails_is_an_error_to_who_asks_for_a_key(broken: KeyStore) -> None:
    with pytest.raises(ConnectionError):
        broken.get_key("card_1")


def test_a_key_that_nothing_opens_ends_the_handshake_and_is_logged(
    store: KeyStore, manager: DatabaseManager, caplog: pytest.LogCaptureFixture
) -> None:
    other = DatabaseManager(manager.config, keyring=Keyring([Keyring.generate()]))
    with other, pytest.raises(EncryptionError):
        KeyStore(other).get_key("card_1")
    with other:
        assert KeyStore(other).ssl_callback("card_1") == b""
    assert "cannot be read" in caplog.text


def handshake(callback: Callable[[str | None], bytes], identity: str, key: bytes) -> bool:
    """Whether a client with this identity and key gets through a handshake over PSK."""
    server, client = (
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER),
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT),
    )
    client.check_hostname, client.verify_mode = False, ssl.CERT_NONE
    for context in (server, client):
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        context.set_ciphers("PSK")
    server.set_psk_server_callback(callback)  # type: ignore[attr-defined]
    client.set_psk_client_callback(lambda _hint: (identity, key))  # type: ignore[attr-defined]
    here, there = socket.socketpair()
    with here, there, ThreadPoolExecutor(1) as thread:
        for one in (here, there):
            one.settimeout(10)
        serving = thread.submit(server.wrap_socket, here, server_side=True)
        try:
            client.wrap_socket(there).close()
            serving.result().close()
        except (ssl.SSLError, ConnectionResetError):
            return False
    return True


@pytest.mark.skipif(
    not hasattr(ssl.SSLContext, "set_psk_server_callback"), reason="Python 3.13 brought PSK"
)
def test_a_real_handshake(store: KeyStore, broken: KeyStore) -> None:
    assert handshake(store.ssl_callback, "card_1", KEY[1:])
    assert not handshake(store.ssl_callback, "card_1", KEY)
    assert not handshake(store.ssl_callback, "nobody", KEY)
    assert not handshake(broken.ssl_callback, "card_1", KEY[1:])


def test_a_look_up_waits_no_longer_than_its_limit_for_a_connection(
    manager: DatabaseManager,
) -> None:
    config = replace(manager.config, pool_size=1, max_overflow=0, pool_timeout=30)
    with DatabaseManager(config) as one:
        keys = KeyStore(one, timeout=0.2)
        with UnitOfWork(one) as uow:
            uow.devices.count()
            began = time.monotonic()
            with pytest.raises(ConnectionError, match="every connection of the pool is in use"):
                keys.get_key("card_1")
            assert time.monotonic() - began < 10
        assert keys.get_key("card_1") is None
        one.pool.discard()
        assert one.engine.pool.timeout() == 30


@on_sqlite
@pytest.mark.parametrize("timeout", [0, -1, float("nan"), True])
def test_a_limit_that_no_look_up_can_meet_is_refused_at_once(
    store: KeyStore, timeout: float
) -> None:
    with pytest.raises(ValidationError, match="timeout"):
        KeyStore(store.manager, timeout=timeout)
