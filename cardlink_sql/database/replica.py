"""The connections of units of work that prefer a replica."""

import logging
from time import monotonic
from typing import Final

from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.pool import PoolProxiedConnection

from cardlink_sql.config import DatabaseConfig
from cardlink_sql.database.connection_errors import connection_error
from cardlink_sql.database.engine import LIMIT
from cardlink_sql.database.pool import Pool

_log: Final = logging.getLogger(__name__)

# How long a unit of work waits for the replica at most; the primary needs the rest of its time.
_PATIENCE_S: Final = 2.0
# How long the primary serves all of them before one tries the replica again.
_REST_S: Final = 10.0


class ReplicaPool(Pool):
    """Hands out connections to the replica, and to the primary while no replica answers."""

    def __init__(self, config: DatabaseConfig, primary: Pool) -> None:
        super().__init__(config, primary.events, primary.statements, read_only=True)
        self._primary: Final = primary
        self._resting_until = 0.0

    def take(self, deadline: float | None = None) -> PoolProxiedConnection:
        """Take a connection to the replica within half of the time, or else to the primary."""
        now = monotonic()
        if now < self._resting_until:
            return self._primary.take(deadline)
        if self._resting_until:
            self._resting_until = now + _REST_S  # the others need not wait with this one
        patience = _PATIENCE_S if deadline is None else min(_PATIENCE_S, (deadline - now) / 2)
        try:
            with LIMIT.until(now + patience):
                connection = self.engine.pool.connect()
        except Exception as error:
            # One that is only busy is asked again by the next unit of work.
            if not isinstance(error, PoolTimeoutError):
                if not self._resting_until:
                    fault = connection_error(self.backend, error, self.config.engine_url)
                    _log.warning("no replica answers, so the primary serves its readers: %s", fault)
                self._resting_until = monotonic() + _REST_S
            return self._primary.take(deadline)
        self._resting_until = 0.0
        return connection

    def discard(self) -> None:
        """Close the idle connections to both: the one that died may belong to either."""
        super().discard()
        self._primary.discard()
