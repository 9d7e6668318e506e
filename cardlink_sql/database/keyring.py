"""Encrypts PSK keys at rest with Fernet (AES-128-CBC and HMAC-SHA256)."""

import os
from collections.abc import Iterable
from contextlib import suppress
from typing import Final

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from cardlink_sql.errors import EncryptionError

VARIABLE: Final = "CARDLINK_ENCRYPTION_KEY"
_MAKE_ONE: Final = f"make one with: export {VARIABLE}=$(cardlink-db keys generate)"
_USE_IT: Final = f"set the key that the PSKs are stored under; for a new database, {_MAKE_ONE}"


class Keyring:
    """The encryption keys: the first encrypts, all decrypt.

    Args:
        keys: Fernet keys, 32 bytes in URL-safe base64 each.

    Raises:
        EncryptionError: there is no key, or one is malformed; no key is shown.
    """

    def __init__(self, keys: Iterable[str]) -> None:
        named = [key.strip() for key in keys if key.strip()]
        if not named:
            raise EncryptionError("no encryption key is set", VARIABLE, _MAKE_ONE)
        self._keys = [_fernet(key, i) for i, key in enumerate(named, 1)]
        self._fernet = MultiFernet(self._keys)

    @classmethod
    def from_environment(cls) -> "Keyring":
        """Read the keys in ``CARDLINK_ENCRYPTION_KEY``, separated by commas.

        Raises:
            EncryptionError: the variable is not set, or a key is malformed.
        """
        return cls(os.environ.get(VARIABLE, "").split(","))

    @property
    def size(self) -> int:
        """Return how many keys there are."""
        return len(self._keys)

    @staticmethod
    def generate() -> str:
        """Generate a new key."""
        return Fernet.generate_key().decode()

    def encrypt(self, key: bytes) -> bytes:
        """Encrypt a PSK for storage."""
        return self._fernet.encrypt(key)

    def decrypt(self, token: bytes, where: str) -> bytes:
        """Decrypt a stored PSK.

        Raises:
            EncryptionError: no key opens it, or the stored bytes are damaged.
        """
        try:
            return self._fernet.decrypt(token)
        except (InvalidToken, TypeError):
            raise EncryptionError(
                "no encryption key opens the stored PSK, or it is damaged",
                where,
                f"add the key it was stored under to {VARIABLE}, or store the PSK again",
            ) from None

    def position(self, token: bytes) -> int | None:
        """Return the position, from 1, of the key that decrypts a stored PSK, or ``None``."""
        for position, key in enumerate(self._keys, 1):
            with suppress(InvalidToken, TypeError):
                key.decrypt(token)
                return position
        return None

    def renew(self, token: bytes, where: str) -> bytes:
        """Re-encrypt a stored PSK under the first key.

        Raises:
            EncryptionError: no key opens it, or the stored bytes are damaged.
        """
        return self.encrypt(self.decrypt(token, where))


def _fernet(key: str, position: int) -> Fernet:
    try:
        return Fernet(key if key.isascii() else "")
    except ValueError:
        raise EncryptionError(
            f"key {position} is not 32 bytes in URL-safe base64", VARIABLE, _USE_IT
        ) from None
