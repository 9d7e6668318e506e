"""psycopg's connection with a deadline."""

from collections.abc import Generator
from time import monotonic
from typing import Any

from psycopg import Connection, Cursor, DataError, OperationalError
from psycopg.adapt import Transformer
from psycopg.types.datetime import TimestamptzLoader

from cardlink_sql.database.engine import LIMIT
from cardlink_sql.database.unreadable_rows import UnreadableTime, without_unreadable


class _UnreadableTimeLoader(TimestamptzLoader):
    def load(self, data: Any) -> Any:
        try:
            return super().load(data)
        except DataError:
            return UnreadableTime(bytes(data).decode())


class RowCursor(Cursor[Any]):
    """A cursor that finds the rows whose times Python cannot hold."""

    def fetchall(self) -> list[Any]:
        """Return all rows; those with a time that Python cannot hold may be left out."""
        try:
            return super().fetchall()
        except DataError:
            result, spare = self.pgresult, self.connection.cursor()
            if result is None:
                raise
            spare.adapters.register_loader("timestamptz", _UnreadableTimeLoader)
            transformer = Transformer(spare)
            transformer.set_pgresult(result)
            rows = transformer.load_rows(0, result.ntuples, tuple)
            return without_unreadable(rows, [column.name for column in self.description or ()])


class DeadlineError(OperationalError):
    """The deadline passed before the answer was complete."""


class DeadlineConnection(Connection[Any]):
    """A connection that is made by the deadline of its thread, and answers by its own.

    psycopg's own timeout is a whole number of seconds, and two at least.
    """

    deadline: float | None = None

    @classmethod
    def _connect_gen(cls, *arguments: Any, **options: Any) -> Any:
        made = super()._connect_gen(*arguments, **options)
        return made if LIMIT.deadline is None else _until(LIMIT.deadline, made)

    def wait(self, gen: Any, *arguments: Any, **options: Any) -> Any:
        """Wait for an answer as psycopg does, until the deadline."""
        if self.deadline is None:
            return super().wait(gen, *arguments, **options)
        interval = min(0.1, max(0.001, (self.deadline - monotonic()) / 10))
        try:
            return super().wait(_until(self.deadline, gen), interval=interval)
        except DeadlineError:
            # A pipeline over an open connection would report that it is busy, and nothing else.
            self.close()
            raise


def _until(deadline: float, generator: Any) -> Generator[Any, Any, Any]:
    """Pass on what psycopg's generator waits for, until the time is over."""
    try:
        wanted = next(generator)
        while True:
            ready = yield wanted
            wanted = generator.send(ready)
            # A server may send a byte at a time: the time ends although there is something to read.
            if monotonic() >= deadline:
                raise DeadlineError("timed out waiting for the server")
    except StopIteration as done:
        return done.value
