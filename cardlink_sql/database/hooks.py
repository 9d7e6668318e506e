"""What a transaction calls: writes that are held back, and hooks at its two ends."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from cardlink_sql.database.event_bus import DatabaseEvent

if TYPE_CHECKING:
    from cardlink_sql.database.connection import Connection
    from cardlink_sql.database.transaction import Transaction


class Pending(Protocol):
    """Writes that a gateway holds back to send them together."""

    def flush(self) -> int:
        """Send them; return their number."""

    def discard(self) -> None:
        """Forget them."""


class Hooks(Protocol):
    """Hooks at the two ends of a transaction that writes."""

    def before_begin(self, connection: "Connection") -> None:
        """Run before ``BEGIN``, over the same connection."""

    def before_commit(self, transaction: "Transaction", events: Sequence[DatabaseEvent]) -> None:
        """Run before ``COMMIT``, with what the transaction wrote; may write too."""
