"""MySQL's and MariaDB's side of the migrator, with the lock of a Galera cluster."""

import re
from typing import Any, Final

from cardlink_sql.database.faults import CONFLICTS, Fault
from cardlink_sql.dialect import Dialect
from cardlink_sql.schema.migrator.backend import MigrationBackend, ServerBackend
from cardlink_sql.schema.migrator.bookkeeping import make_lock_row, utc_text

# Another node of a cluster holds the row, has just made it, or drops its table.
_OTHERS_WON: Final = (*CONFLICTS, Fault.DUPLICATE, Fault.NO_TABLE)


class MySQL(ServerBackend):
    """MySQL and MariaDB: each DDL statement commits by itself."""

    dialect = Dialect.MYSQL
    has_transactional_ddl = False
    ends_a_session = "KILL {};"
    # Of a table, a column, an index, a key, a routine, a trigger, an event and a constraint.
    exists_codes = frozenset({1007, 1050, 1060, 1061, 1068, 1304, 1359, 1537, 1826, 3822})
    gone_codes = frozenset({1008, 1051, 1091, 1305, 1360, 1539, 3821, 4092})
    shares = re.compile(r"\s*(INSERT|UPDATE|DELETE|REPLACE|WITH|SELECT)\b", re.IGNORECASE)

    def try_acquire(self) -> bool:
        return bool(self.send("lock").fetchone()[0])

    def holder(self) -> str:
        """Return connection, user, host and time, from the server's process list."""
        number, user, host, seconds, state = self.send("lock_holder").fetchone()
        if number is None:
            return "it has just ended"
        if user is None:
            return f"connection {number} of the server (the PROCESS privilege would show whose)"
        doing = f", {state}" if state else ""
        return f"connection {number} of the server, user {user} from {host}, for {seconds} s{doing}"

    def error_code(self, error: Exception) -> Any:
        """Return the server's number; its SQLSTATE does not distinguish an index from a table."""
        # MariaDB has no separate number for a foreign key that is there.
        if error.args[:1] == (1005,) and "errno: 121" in str(error):
            return 1826
        return error.args[0] if error.args else None

    def join_cluster(self) -> bool:
        """Read what all nodes of a Galera cluster committed; return whether there is one."""
        nodes = sum(int(size) for _name, size in self.send("cluster_size").fetchall())
        if nodes:
            self.send("await_cluster")
        return bool(nodes)


BACKEND: Final = MySQL


class ClusterLock:
    """A Galera cluster's lock: a row that a transaction changes on all nodes and never commits.

    Args:
        backend: the connection that migrates.
        keeper: another, which the lock keeps busy: a DDL statement commits its connection's work.
    """

    def __init__(self, backend: MigrationBackend, keeper: MigrationBackend) -> None:
        self._backend = backend
        self._keeper = keeper

    def try_acquire(self) -> bool:
        database, keeper = self._keeper.database_backend, self._keeper
        try:
            make_lock_row(self._backend)
            keeper.send("stream")
            keeper.connection.cursor().execute(database.begin)
            is_taken = bool(keeper.send("lock_cluster", now=utc_text()).rowcount)
        except keeper.connection.Error as error:
            if database.diagnose(error)[0] not in _OTHERS_WON:
                raise
            is_taken = False
        if not is_taken:
            self.release()
        return is_taken

    def release(self) -> None:
        self._keeper.rollback()

    def holder(self) -> str:
        """Say where the holder is; a node does not see the sessions of others."""
        return "it migrates through another node of the cluster"
