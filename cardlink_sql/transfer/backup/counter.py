"""The numbers of the events across a restore: none is told twice for two events.

A listener keeps the number up to which it was told. A restored database counts from the
backup's number, so it would give the numbers behind it once more, and the listener would pass
over events without a word. So its counter goes on behind that of the replaced database, and
leaves at least one number out, for a missing number is what a listener reports. Where the
replaced database cannot say how far it was (it is lost, damaged or new), the counter goes on
from the time: no database gives a thousand numbers a second for as long as it lives.
"""

from collections.abc import Iterator
from typing import Final

from cardlink_sql.dialect import Dialect
from cardlink_sql.model import times
from cardlink_sql.model.tables import event_counter
from cardlink_sql.transfer.backup import statements as sql

COUNTER: Final = event_counter.name


def counter_of(dialect: Dialect, *place: str) -> str:
    """The counter's table in a schema or a database of that name."""
    return sql.quoted(dialect, *place, COUNTER)


def go_on(dialect: Dialect, restored: str, replaced: str | None) -> Iterator[str]:
    """The statements that let a restored database count on.

    Args:
        dialect: of both.
        restored: the table of its counter, quoted.
        replaced: that of the replaced database, or a query in brackets that gives its ``id`` and
            ``last_id``; None where there is none.
    """
    if replaced is not None:
        yield sql.make_counter(restored, replaced)
    unknown = int(times.utc_now().timestamp() * 1000)
    yield sql.advance_counter(dialect, restored, replaced, unknown)


def known(last_id: int | None) -> str | None:
    """A number that was read, as ``replaced`` of :func:`go_on`."""
    return None if last_id is None else f"(SELECT 1 AS id, {int(last_id)} AS last_id)"
