"""Under which encryption key each PSK is stored, and moving all of them under the newest.

To rotate: make a key, put it in front of the others in ``CARDLINK_ENCRYPTION_KEY`` wherever the
layer runs, run :func:`rotate_keys`, and take the old key out once no PSK is under it.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

from cardlink_sql.database.keyring import Keyring
from cardlink_sql.database.retry import PATIENT_ATTEMPTS, PATIENT_SECONDS
from cardlink_sql.manager import DatabaseManager
from cardlink_sql.model import validation
from cardlink_sql.model.progress import OnProgress, no_progress
from cardlink_sql.model.records.card import PskToken
from cardlink_sql.unit_of_work import UnitOfWork

_Renewed = list[tuple[PskToken, bytes]]


@dataclass(slots=True)
class KeyCheck:
    """How the PSKs are stored.

    Args:
        by_key: how many are under each key, in the order that the keys are given.
        unopened: the ICCIDs of the cards whose PSK no given key opens.
    """

    by_key: list[int]
    unopened: list[str] = field(default_factory=list)

    @property
    def cards(self) -> int:
        """Return how many cards have a PSK."""
        return sum(self.by_key) + len(self.unopened)


@dataclass(slots=True)
class KeyRotation:
    """The result of a rotation.

    Args:
        rotated: PSKs that are under the first key now.
        already: PSKs that were under it before.
        unopened: the ICCIDs of the cards whose PSK no given key opens; they are as they were.
    """

    rotated: int = 0
    already: int = 0
    unopened: list[str] = field(default_factory=list)


def check_keys(manager: DatabaseManager, on_progress: OnProgress = no_progress) -> KeyCheck:
    """Try every PSK with every key; changes nothing.

    It reads a page at a time: memory grows only by the cards that no key opens.

    Raises:
        EncryptionError: no encryption key is set.
    """
    keyring = manager.keyring
    check = KeyCheck([0] * keyring.size)
    for page in _pages(manager, 1000):
        for token in page:
            position = keyring.position(token.token)
            if position is None:
                check.unopened.append(token.iccid)
            else:
                check.by_key[position - 1] += 1
        on_progress(len(page))
    return check


def rotate_keys(
    manager: DatabaseManager,
    batch: int = 500,
    on_progress: OnProgress = no_progress,
) -> KeyRotation:
    """Re-encrypt every PSK under the first key.

    A batch is a transaction, so that what ends early has done whole batches, and another run
    goes on: PSKs already under the first key are skipped. Other processes may read and
    change PSKs meanwhile; what one of them changed is looked at again and never overwritten.

    Args:
        manager: the database, with all keys that PSKs may be under.
        batch: PSKs in a transaction, 1 to 10,000.
        on_progress: called with the number of PSKs in each batch that is done.

    Raises:
        EncryptionError: no encryption key is set.
        ConflictError: a batch met conflicts for two minutes; the earlier ones are kept.
    """
    validation.whole(batch, "batch", least=1, most=10_000)
    done, keyring = KeyRotation(), manager.keyring
    for page in _pages(manager, batch):
        left = page
        while left:
            renewed = _renew(keyring, left, done)
            changed = _store(manager, renewed) if renewed else []
            done.rotated += len(renewed) - len(changed)
            left = _read_again(manager, changed)
        on_progress(len(page))
    return done


def _pages(manager: DatabaseManager, size: int) -> Iterator[list[PskToken]]:
    after = None
    while True:
        # Read outside of the transaction that writes: no lock is held while keys are tried.
        with UnitOfWork(manager, read_only=True) as uow:
            page = uow.cards.page_psk_tokens(after, size)
        if page:
            after = page[-1].iccid
            yield page
        if len(page) < size:
            return


def _renew(keyring: Keyring, tokens: list[PskToken], done: KeyRotation) -> _Renewed:
    """Return the PSKs that must be stored again; count the others."""
    renewed = []
    for token in tokens:
        position = keyring.position(token.token)
        if position is None:
            done.unopened.append(token.iccid)
        elif position == 1:
            done.already += 1
        else:
            where = f"card_profiles[{token.iccid}].psk_key_encrypted"
            renewed.append((token, keyring.renew(token.token, where)))
    return renewed


def _store(manager: DatabaseManager, renewed: _Renewed) -> list[str]:
    """Store a batch; return the ICCIDs of the cards whose PSK others changed meanwhile."""

    def store(uow: UnitOfWork) -> list[str]:
        return [
            before.iccid
            for before, token in renewed
            if not uow.cards.replace_psk_token(before, token)
        ]

    return manager.run(store, attempts=PATIENT_ATTEMPTS, within=PATIENT_SECONDS)


def _read_again(manager: DatabaseManager, iccids: list[str]) -> list[PskToken]:
    if not iccids:
        return []
    with UnitOfWork(manager, read_only=True) as uow:
        tokens = [uow.cards.get_psk_token(iccid) for iccid in iccids]
    return [token for token in tokens if token is not None]
