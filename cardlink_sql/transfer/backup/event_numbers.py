"""The numbers of the events across a restore: none is given twice.

A listener keeps the number up to which it has read. A restored database would count on from the
backup's number and assign the numbers after it once more, and the listener would miss events
silently. So its counter goes on from the time in milliseconds, which no database has counted to
(that takes a thousand events a second for as long as it lives), and leaves at least one number
out, for a missing number is what a listener reports.
"""

from cardlink_sql.database.internal import InternalStatements
from cardlink_sql.model import times
from cardlink_sql.model.tables import event_counter
from cardlink_sql.schema.migrator.backends import BACKENDS


def go_on(statements: InternalStatements) -> None:
    """Let a restored database count on; one of a schema before the events has no counter."""
    backend = BACKENDS[statements.dialect](statements.connection)
    if event_counter.name in backend.table_names():
        beyond = int(times.utc_now().timestamp() * 1000)
        statements.execute("backup.advance_event_counter", beyond=beyond)
