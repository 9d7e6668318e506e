"""Whether the events of a database go to other processes, and their way there.

That they do is a fact of the database (``event_counter.publishes``), so that all who write to
it publish, or none. A process looks every ten seconds, between its transactions.
"""

import logging
import time
import uuid
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from cardlink_sql.database.driver_errors import translate
from cardlink_sql.database.event_bus import DatabaseEvent
from cardlink_sql.database.transaction import Transaction
from cardlink_sql.errors import ConflictError, ConnectionError
from cardlink_sql.outbox.gateway import OutboxGateway

if TYPE_CHECKING:
    from cardlink_sql.manager import DatabaseManager

_log: Final = logging.getLogger(__name__)

# How old what a process knows may be.
LOOK_EVERY_S: Final = 10.0


class Publisher:
    """Writes the events of a manager's transactions to the outbox, where that is wanted.

    Attributes:
        origin: what the manager's events are marked with, so that it does not hear them itself.
        due: when to look again, as ``time.monotonic`` counts.
    """

    def __init__(self, manager: "DatabaseManager") -> None:
        self.origin = str(uuid.uuid4())
        self.due = 0.0
        self._manager = manager
        self._is_on = False
        self._warned = False

    def look(self, cursor: Any) -> None:
        """See whether to publish, over a connection that has no transaction open."""
        statement = self._manager.library.query("outbox", "get_counter").statement({})
        try:
            cursor.execute(statement.sql, ())
            rows = cursor.fetchall()
        except self._manager.driver_errors as error:
            self._cannot_look(error)
        else:
            self.know(is_on=bool(rows and rows[0][1]))

    def know(self, *, is_on: bool) -> None:
        """Take it for known for a while."""
        self.due = time.monotonic() + LOOK_EVERY_S
        if is_on is not self._is_on:
            self._is_on = is_on
            self._manager.events.want_all(wanted=is_on)

    def publish(self, transaction: Transaction, events: Sequence[DatabaseEvent]) -> None:
        """Store what a transaction did, right before its commit.

        Raises:
            ConflictError: others published for so long that the wait was given up.
        """
        if self._is_on and events:
            outbox = OutboxGateway(transaction, self._manager.library)
            if not outbox.add(self.origin, events):
                self.know(is_on=False)

    def switch(self, *, on: bool) -> None:
        """Turn publishing on or off, for every process."""
        with Transaction(self._manager, read_only=False) as transaction:
            OutboxGateway(transaction, self._manager.library).set_publishing(publishes=on)
            transaction.commit()
        self.know(is_on=on)

    def after_fork(self) -> None:
        """The child is another process: it hears what the parent publishes."""
        self.origin = str(uuid.uuid4())

    def _cannot_look(self, error: Exception) -> None:
        fault = translate(self._manager.dialect, error, "event_counter")
        if isinstance(fault, ConnectionError | ConflictError):
            return  # BEGIN, which comes next, meets it too and says so
        # The schema is older than this program, or the role lacks the right: all else works.
        if not self._warned:
            self._warned = True
            _log.warning("no events are published: %s", fault)
        self.know(is_on=False)
