"""PyMySQL's connection with a deadline, and messages that wait for the next one."""

from time import monotonic
from typing import Any, Final

from pymysql.connections import Connection
from pymysql.constants import CR
from pymysql.err import OperationalError

# The longest timeout that a socket takes on every platform.
_LONGEST_WAIT_S: Final = 1_000_000.0


class DeadlineConnection(Connection):  # type: ignore[misc] # PyMySQL has no types
    """A connection whose answers must be complete by a deadline.

    PyMySQL's own timeout holds for each packet of the network, so a server that sends a byte at
    a time outlasts it.

    Attributes:
        deadline: by the monotonic clock; ``None`` for no deadline.
        is_holding: whether a message waits for the next one, to be sent together with it.
    """

    def __init__(self, *, deadline: float | None, **options: Any) -> None:
        self.deadline = deadline
        self.is_holding = False
        self._held = b""
        super().__init__(**options)

    def _read_bytes(self, num_bytes: int) -> bytes:
        if self.deadline is None:
            return bytes(super()._read_bytes(num_bytes))
        read = b""
        while len(read) < num_bytes:
            ready = self._wait_for_bytes()
            read += super()._read_bytes(min(ready, num_bytes - len(read)))
        return read

    def _write_bytes(self, data: bytes) -> None:
        data, self._held = self._held + data, b""
        if self.is_holding:
            self._held = data
            return
        if self.deadline is None:
            super()._write_bytes(data)
            return
        configured = self._write_timeout  # type: ignore[has-type]
        try:
            self._write_timeout = self._seconds_left()
            super()._write_bytes(data)
        except TimeoutError as error:
            raise self._lost(error) from error
        finally:
            self._write_timeout = configured

    def _wait_for_bytes(self) -> int:
        """Return how many bytes can be read without waiting; 1 at the end of the answer."""
        try:
            # PyMySQL compares it with its own timeouts before it sets them again.
            self._current_timeout = self._seconds_left()
            self._sock.settimeout(self._current_timeout)
            return max(1, len(self._rfile.peek(1)))
        except OSError as error:
            raise self._lost(error) from error

    def _seconds_left(self) -> float:
        left = min(_LONGEST_WAIT_S, (self.deadline or 0.0) - monotonic())
        if left <= 0:
            raise TimeoutError("timed out")
        return left

    def _lost(self, error: OSError) -> OperationalError:
        self._force_close()
        return OperationalError(CR.CR_SERVER_LOST, f"no answer from the server ({error})")
