"""Whether the events of a database go to other processes, and their way there.

That they do is a fact of the database (``event_counter.publishes``), so that all who write to
it publish, or none. A process looks every ten seconds, between its transactions.
"""

import logging
import time
import uuid
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from cardlink_sql.database.connection import Connection
from cardlink_sql.database.event_bus import DatabaseEvent
from cardlink_sql.database.pool import Pool
from cardlink_sql.database.transaction import Transaction
from cardlink_sql.errors import ConflictError, ConnectionError, DatabaseError
from cardlink_sql.queries import load_library

if TYPE_CHECKING:
    from cardlink_sql.outbox.gateway import OutboxGateway

_log: Final = logging.getLogger(__name__)

# How old what a process knows may be.
LOOK_EVERY_S: Final = 10.0


class Publisher:
    """Writes the events of a manager's transactions to the outbox, where that is wanted.

    It is the ``Hooks`` of those transactions.

    Attributes:
        origin: what the manager's events are marked with, so that it does not hear them itself.
        due: when to look again, as ``time.monotonic`` counts.
    """

    def __init__(self, pool: Pool) -> None:
        self.origin = str(uuid.uuid4())
        self.due = 0.0
        self._pool = pool
        self._is_on = False
        self._warned = False

    def before_begin(self, connection: Connection) -> None:
        """Look whether to publish, if the last look is too old."""
        if time.monotonic() >= self.due:
            self._look(connection)

    def before_commit(self, transaction: Transaction, events: Sequence[DatabaseEvent]) -> None:
        """Store what a transaction did."""
        if self._is_on and events and not _outbox(transaction).add(self.origin, events):
            self.know(is_on=False)

    def know(self, *, is_on: bool) -> None:
        """Cache whether events are published."""
        self.due = time.monotonic() + LOOK_EVERY_S
        if is_on is not self._is_on:
            self._is_on = is_on
            self._pool.events.want_all(wanted=is_on)

    def switch(self, *, on: bool) -> None:
        """Turn publishing on or off, for every process."""
        with Transaction(self._pool, self, read_only=False) as transaction:
            _outbox(transaction).set_publishing(publishes=on)
            transaction.commit()
        self.know(is_on=on)

    def after_fork(self) -> None:
        """Become another origin: the child hears what the parent publishes."""
        self.origin = str(uuid.uuid4())

    def _look(self, connection: Connection) -> None:
        library = load_library(self._pool.backend.dialect)
        query = library.query("outbox", "get_counter")
        try:
            rows = connection.fetch(query, query.statement({}).sql, ())
        except (ConnectionError, ConflictError):
            pass  # BEGIN, which comes next, meets it too and raises
        except DatabaseError as error:
            # The schema is older than this program, or the role lacks the right: all else works.
            if not self._warned:
                self._warned = True
                _log.warning("no events are published: %s", error)
            self.know(is_on=False)
        else:
            self.know(is_on=bool(rows and rows[0][1]))


def _outbox(transaction: Transaction) -> "OutboxGateway":
    # Most processes publish nothing.
    from cardlink_sql.outbox.gateway import OutboxGateway

    return OutboxGateway(transaction, load_library(transaction.dialect))
