"""The cards' keys in a file: none, encrypted under a passphrase, plain, or as stored.

A passphrase becomes a key by scrypt (RFC 7914), with parameters and salt in the header, and
AES-256-GCM encrypts each PSK with its ICCID as associated data, so that a key moved to another
card does not open. ``check`` in the header is an encrypted word that reveals a wrong passphrase
before anything is written.
"""

import base64
import os
from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Any, Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from cardlink_sql.database.keyring import Keyring
from cardlink_sql.errors import EncryptionError, ValidationError
from cardlink_sql.manager import DatabaseManager
from cardlink_sql.model import validation

# OWASP's recommendation for scrypt: 128 MB and about half a second.
_SCRYPT: Final = {"n": 2**17, "r": 8, "p": 1}
_LARGEST_N: Final = 2**18
_SALT_OCTETS: Final = 16
_NONCE_OCTETS: Final = 12
_CHECK: Final = b"cardlink-export"
_CIPHER: Final = "AES-256-GCM"
MIN_PASSPHRASE: Final = 8

Passphrase = Callable[[], str | None] | str | None


class Keys(StrEnum):
    """How a file holds the cards' keys."""

    NONE = "none"
    ENCRYPTED = "encrypted"  # under a passphrase
    PLAIN = "plain"  # as hex, for everyone who reads the file
    STORED = "stored"  # as in the database, under its CARDLINK_ENCRYPTION_KEY: for backups


def key_writer(manager: DatabaseManager, keys: Keys, passphrase: str | None) -> "FileKeys | None":
    """Return what writes the keys of an export; ``None`` where it has none."""
    if keys is Keys.NONE:
        return None
    if keys is Keys.STORED:
        return FileKeys()
    if keys is Keys.PLAIN:
        return _PlainKeys(manager.keyring)
    if passphrase is None or len(passphrase) < MIN_PASSPHRASE:
        raise ValidationError(
            f"a passphrase of {MIN_PASSPHRASE} characters or more is needed", "passphrase"
        )
    salt = os.urandom(_SALT_OCTETS)
    encrypted = _EncryptedKeys(manager.keyring, AESGCM(_derive(passphrase, salt, **_SCRYPT)))
    encrypted.header = {
        "form": Keys.ENCRYPTED.value,
        "kdf": "scrypt",
        **_SCRYPT,
        "salt": _encode(salt),
        "cipher": _CIPHER,
        "check": encrypted.encrypt(_CHECK, _CHECK),
    }
    return encrypted


def key_reader(
    manager: DatabaseManager, header: Mapping[str, Any], passphrase: Passphrase, where: str
) -> "FileKeys | None":
    """Return what reads the keys of a file; ``None`` where it has none."""
    form = validation.choice(Keys)(header.get("form"), f"{where}.form") if header else Keys.NONE
    if form is Keys.NONE:
        return None
    if form is Keys.STORED:
        return FileKeys()
    if form is Keys.PLAIN:
        return _PlainKeys(manager.keyring)
    given = passphrase() if callable(passphrase) else passphrase
    return _EncryptedKeys(manager.keyring, _cipher(header, given, where))


class FileKeys:
    """The cards' keys in one form, here as stored: writes them to a file and reads them from it."""

    header: Mapping[str, Any] = {"form": Keys.STORED.value}
    is_stored = True

    def write(self, token: bytes, iccid: str) -> str:
        """Return a stored key in the file's form."""
        return _encode(token)

    def read(self, value: Any, iccid: str, where: str) -> bytes:
        """Return a key of the file in its stored form."""
        return _decode(value, where)

    def is_same(self, one: bytes, other: bytes) -> bool:
        """Return whether two stored forms hold the same key."""
        return one == other


class _PlainKeys(FileKeys):
    header: Mapping[str, Any] = {"form": Keys.PLAIN.value}
    is_stored = False

    def __init__(self, keyring: Keyring) -> None:
        self._keyring = keyring

    def write(self, token: bytes, iccid: str) -> str:
        return self._opened(token, iccid).hex().upper()

    def read(self, value: Any, iccid: str, where: str) -> bytes:
        return self._keyring.encrypt(validation.psk_key(_text(value, where), where))

    def is_same(self, one: bytes, other: bytes) -> bool:
        try:
            return self._keyring.decrypt(one, "") == self._keyring.decrypt(other, "")
        except EncryptionError:
            return False

    def _opened(self, token: bytes, iccid: str) -> bytes:
        return self._keyring.decrypt(token, f"card_profiles[{iccid}].psk_key_encrypted")


class _EncryptedKeys(_PlainKeys):
    def __init__(self, keyring: Keyring, cipher: AESGCM) -> None:
        super().__init__(keyring)
        self._cipher = cipher

    def write(self, token: bytes, iccid: str) -> str:
        return self.encrypt(self._opened(token, iccid), iccid.encode())

    def read(self, value: Any, iccid: str, where: str) -> bytes:
        data = _decode(value, where)
        try:
            key = _decrypt(self._cipher, data, iccid.encode())
        except (InvalidTag, ValueError):
            raise ValidationError(
                "the encrypted PSK is damaged, or is another card's", where
            ) from None
        return self._keyring.encrypt(validation.psk_key(key, where))

    def encrypt(self, secret: bytes, about: bytes) -> str:
        nonce = os.urandom(_NONCE_OCTETS)
        return _encode(nonce + self._cipher.encrypt(nonce, secret, about))


def _decrypt(cipher: AESGCM, data: bytes, about: bytes) -> bytes:
    return cipher.decrypt(data[:_NONCE_OCTETS], data[_NONCE_OCTETS:], about)


def _cipher(header: Mapping[str, Any], passphrase: str | None, where: str) -> AESGCM:
    expected = {"form", "kdf", "salt", "cipher", "check", *_SCRYPT}
    if set(header) != expected or (header["kdf"], header["cipher"]) != ("scrypt", _CIPHER):
        raise ValidationError("the header does not say how the keys are encrypted", where)
    n = validation.whole(header["n"], f"{where}.n", least=2, most=_LARGEST_N)
    r = validation.whole(header["r"], f"{where}.r", least=1, most=8)
    p = validation.whole(header["p"], f"{where}.p", least=1, most=4)
    if n & (n - 1) or n >= 1 << 16 * r:
        raise ValidationError(
            f"{n} is not a power of two below 2**(16 * r), with r = {r}", f"{where}.n"
        )
    salt = _decode(header["salt"], f"{where}.salt")
    check = _decode(header["check"], f"{where}.check")
    if passphrase is None:
        raise ValidationError("the file holds encrypted keys, and no passphrase was given", where)
    cipher = AESGCM(_derive(passphrase, salt, n=n, r=r, p=p))
    try:
        _decrypt(cipher, check, _CHECK)
    except (InvalidTag, ValueError):
        raise EncryptionError(
            "the passphrase does not open the keys of the file",
            where,
            "use the passphrase that it was exported with",
        ) from None
    return cipher


def _derive(passphrase: str, salt: bytes, *, n: int, r: int, p: int) -> bytes:
    return Scrypt(salt=salt, length=32, n=n, r=r, p=p).derive(
        passphrase.encode("utf-8", "surrogateescape")
    )


def _encode(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _decode(value: Any, where: str) -> bytes:
    text = _text(value, where)
    try:
        return base64.b64decode(text, validate=True)
    except ValueError:
        raise ValidationError("this is not base64", where) from None


def _text(value: Any, where: str) -> str:
    return validation.text(value, where, 4096)
