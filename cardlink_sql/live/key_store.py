"""Looks up the PSK of an identity, from any thread of a server."""

import logging
from typing import Final

from cardlink_sql.errors import DatabaseError, shown
from cardlink_sql.manager import DatabaseManager
from cardlink_sql.model import validation
from cardlink_sql.unit_of_work import UnitOfWork, check_instance

_log: Final = logging.getLogger(__name__)

_NO_KEY: Final = b""


class KeyStore:
    """The PSKs of all cards by their identities, as the database has them at that moment.

    Each look-up is one round trip over a connection of the pool. Nothing is cached, so a key that
    was changed or deleted counts at once. All methods may be called from any thread.

    Args:
        manager: the database.
        timeout: seconds that a look-up may take, above 0; ``None`` leaves it to the configuration.
        prefer_replica: look in the replica, where a key that was just stored or changed may be
            missing or old for seconds.

    Raises:
        ValidationError: no manager, or ``timeout`` is not a number of seconds above 0.
    """

    def __init__(
        self,
        manager: DatabaseManager,
        *,
        timeout: float | None = 2.0,
        prefer_replica: bool = False,
    ) -> None:
        check_instance(manager, DatabaseManager, "manager")
        self.manager = manager
        self._prefer_replica = prefer_replica
        self._timeout = None if timeout is None else validation.seconds(timeout, "timeout")

    def get_key(self, identity: str) -> bytes | None:
        """Return the PSK of this identity, or ``None`` where no card has one by it.

        Raises:
            ValidationError: the identity is not text.
            EncryptionError: no encryption key opens the PSK.
            ConnectionError: the database does not answer.
        """
        with self._read() as uow:
            return uow.cards.get_psk_key_by_identity(identity)

    def identity_exists(self, identity: str) -> bool:
        """Return whether a card claims this identity."""
        with self._read() as uow:
            return uow.cards.psk_identity_exists(identity)

    def get_all_identities(self) -> list[str]:
        """Return the identities of all cards that have a PSK, in order."""
        with self._read() as uow:
            return uow.cards.get_all_psk_identities()

    def ssl_callback(self, identity: str | None) -> bytes:
        """Return the PSK for a handshake; ``b""``, which ends it, where there is none.

        Fits ``ssl.SSLContext.set_psk_server_callback`` (Python 3.13). A database that fails ends
        the handshake in the same way, so the peer cannot distinguish the two; the log can. A
        value of another type belongs to no card.
        """
        try:
            key = self.get_key(identity) if isinstance(identity, str) else None
        except DatabaseError as error:
            _log.error("the PSK of %s cannot be read: %s", shown(identity), error)
            return _NO_KEY
        if key is None:
            _log.warning("no card has the PSK identity %s", shown(identity))
            return _NO_KEY
        return key

    def sslpsk3_callback(self, identity: bytes | None) -> bytes:
        """Return the PSK as :meth:`ssl_callback` does, for sslpsk3, which passes bytes.

        An identity that is not UTF-8 belongs to no card.
        """
        try:
            name = b"".join([identity or b""]).decode()
        except (TypeError, UnicodeDecodeError):
            _log.warning("no card has the PSK identity: it is not UTF-8")
            return _NO_KEY
        return self.ssl_callback(name)

    def _read(self) -> UnitOfWork:
        return UnitOfWork(
            self.manager,
            read_only=True,
            timeout=self._timeout,
            prefer_replica=self._prefer_replica,
        )
