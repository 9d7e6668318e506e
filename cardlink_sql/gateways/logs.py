"""The APDUs of the sessions: ``sql/*/logs.sql``. Order within a session is that of writing."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import datetime
from typing import Any, ClassVar, Unpack, overload

from cardlink_sql.database.event_bus import EventType
from cardlink_sql.database.owned_iterator import OwnedIterator
from cardlink_sql.database.rows import Gives
from cardlink_sql.database.transaction import Transaction
from cardlink_sql.database.unreadable_rows import skipped_keys
from cardlink_sql.errors import NotFoundError, ValidationError
from cardlink_sql.gateways.filters import LogFields, LogFilter, LogOrder
from cardlink_sql.gateways.log_retention import LogRetention
from cardlink_sql.gateways.log_rows import LogRows, complete
from cardlink_sql.model import validation
from cardlink_sql.model.choices import AnyDirection, Direction
from cardlink_sql.model.records.log import CommLog
from cardlink_sql.model.records.page import Page
from cardlink_sql.model.records.session import SessionSummary
from cardlink_sql.model.tables import comm_logs
from cardlink_sql.model.times import utc_now, utc_to_text
from cardlink_sql.queries import Library

# The buffer is sent when it holds so many entries; more gain nothing on any backend.
BUFFER_SIZE = 1000

_PAGE = 2000


class LogGateway(LogRetention):
    """The communication log, in the order of writing where nothing else is said.

    ``add_log`` buffers; the buffer is written before any other statement of the unit of work
    and before its commit, so that nothing overtakes it and nothing is lost.
    """

    __slots__ = ("_buffer", "_row")
    name = "logs"
    table = comm_logs
    record = CommLog
    event = EventType.LOG_ADDED
    entity = "log"
    key = "id"
    default_order = "id"
    gives: ClassVar[Gives] = {
        "get_session_summary": SessionSummary,
        **{name: {"id": int} for name in ("find_old", "find_of_sessions")},
        "count_old": {"entries": int, "old_entries": int, "last_id": int | None},
    }
    not_written = frozenset({"id"})
    not_updated = frozenset()

    def __init__(self, transaction: Transaction, library: Library) -> None:
        super().__init__(transaction, library)
        self._buffer: list[tuple[Any, ...]] = []
        # COPY takes text, and text is quicker to make than psycopg's own form of a time.
        has_copy = transaction.backend.copy_from is not None
        self._row = LogRows(self._bind, utc_to_text if has_copy else self._clock).row

    # Writing

    def add_log(
        self,
        session_id: str,
        direction: AnyDirection,
        raw_data: str | bytes,
        decoded_data: str | None = None,
        status_word: str | None = None,
        status_message: str | None = None,
        latency_ms: float | None = None,
        *,
        timestamp: datetime | None = None,
    ) -> CommLog:
        """Check and buffer one APDU; return the entry as it will be stored, its ``id`` still 0.

        Args:
            session_id: the session's UUID; that it exists is seen when the batch is written.
            direction: command or response.
            raw_data: the APDU as bytes or hex; a mute card's response is empty.
            decoded_data: what the APDU means, for people.
            status_word: four hex digits; without it, a response's last two bytes.
            status_message: without it, what ISO/IEC 7816-4 or ETSI TS 102 221 says.
            latency_ms: from the command to this response, in ms.
            timestamp: when it was sent or received; now, where none is given.
        """
        entry = CommLog(
            session_id,
            direction,  # type: ignore[arg-type]  # _row() checks both
            raw_data,  # type: ignore[arg-type]
            latency_ms,
            decoded_data,
            status_word,
            status_message,
            utc_now() if timestamp is None else timestamp,
        )
        row = self._row(entry)
        self._transaction.buffer(self)
        self._buffer.append(row)
        if len(self._buffer) >= BUFFER_SIZE:
            self.flush_batch()
        return complete(entry, row)

    @overload
    def add_log_batch(self, session_id: Iterable[CommLog]) -> int: ...

    @overload
    def add_log_batch(
        self,
        session_id: str,
        direction: AnyDirection,
        raw_data: str | bytes,
        **fields: Unpack[LogFields],
    ) -> int: ...

    def add_log_batch(
        self,
        session_id: str | Iterable[CommLog],
        direction: AnyDirection | None = None,
        raw_data: str | bytes | None = None,
        **fields: Unpack[LogFields],
    ) -> int:
        """Log many APDUs at once, in their order, or one by its fields as :meth:`add_log` does.

        Entries are all checked before one is written. Their ``id`` is ignored; status
        words and messages are filled in as :meth:`add_log` does. Return their number.
        The queries are ``add_log_batch`` and, on PostgreSQL, ``copy_log_batch``.

        Raises:
            IntegrityError: an entry names a session that does not exist.
        """
        if isinstance(session_id, str):
            self.add_log(session_id, direction, raw_data, **fields)  # type: ignore[arg-type]
            return 1
        if direction is not None or raw_data is not None or fields:
            raise ValidationError(
                "pass either entries or the fields of one entry, not both", "add_log_batch"
            )
        return len(self._add(session_id))

    def _add(self, entries: Iterable[CommLog]) -> list[tuple[Any, ...]]:
        rows = [self._row(entry) for entry in self._entries(entries)]
        self._write(rows)
        self._note_batch("add_log_batch", len(rows))
        return rows

    def flush_batch(self) -> int:
        """Write what :meth:`add_log` buffered; return the number of entries.

        Raises:
            IntegrityError: an entry names a session that does not exist.
        """
        self._transaction.check_owner()
        rows, self._buffer = self._buffer, []
        if rows:
            self._write(rows)
        return len(rows)

    # The transaction's name for it, before another statement.
    flush = flush_batch

    def discard(self) -> None:
        """Forget the buffer; the transaction calls it at a rollback."""
        self._transaction.check_owner()
        self._buffer = []

    def create(self, record: CommLog) -> CommLog:
        """Insert one entry at once and return it with its number."""
        values = self._values(self._completed(record), leave=frozenset())
        number = self._transaction.insert(self._query("create"), values)
        return self._note("created", self._as_written({**values, "id": number}))

    def create_all(self, records: Iterable[CommLog]) -> list[CommLog]:
        """Log entries as :meth:`add_log_batch` does; return them as stored, each ``id`` still 0."""
        listed = [replace(self._completed(entry), id=0) for entry in self._entries(records)]
        self._add(listed)
        return listed

    def update(self, record: CommLog) -> CommLog:
        """Write all fields of an entry, found by its number, or raise ``NotFoundError``."""
        values = self._values(self._completed(record), leave=frozenset())
        values["id"] = self._key(record.id)
        return self._change("update", record.id, values, "updated")

    # Reading

    def find_by(self, **filters: Unpack[LogFilter]) -> list[CommLog]:
        """Return the log entries whose columns equal the values given; ``None`` asks for NULL."""
        return self._find_by(filters)

    def find_one_by(self, **filters: Unpack[LogFilter]) -> CommLog | None:
        """Return the first log entry that :meth:`find_by` would return, or ``None``."""
        return self._find_one_by(filters)

    def count_by(self, **filters: Unpack[LogFilter]) -> int:
        """Count the log entries that :meth:`find_by` would return, in the database."""
        return self._count_by(filters)

    def paginate(
        self,
        page: int = 1,
        per_page: int = 20,
        order_by: LogOrder | None = None,
        descending: bool = False,  # noqa: FBT001, FBT002
        **filters: Unpack[LogFilter],
    ) -> Page[CommLog]:
        """Return a page of the log entries. The queries are ``find_by`` and ``count_by``."""
        return self._paginate(page, per_page, order_by, descending, filters)

    def find_by_session(
        self, session_id: str, limit: int | None = None, offset: int = 0
    ) -> list[CommLog]:
        """Return a session's entries. For more than fit in memory use :meth:`stream_session`."""
        parameters = {
            "session_id": self._bind["session_id"](session_id),
            "limit": validation.limit(limit),
            "offset": validation.whole(offset, "offset", least=0),
        }
        return self._many("find_by_session", parameters)

    def stream_session(self, session_id: str, after: int = 0) -> OwnedIterator[CommLog]:
        """Yield a session's entries one by one, in constant memory.

        Only those written after the entry with the ``id`` ``after`` are read.
        They are read in pages by key (``stream_session``), so other statements of the unit of
        work may run between.
        """
        scope = {"session_id": self._bind["session_id"](session_id)}
        start = validation.whole(after, "after", least=0)
        return OwnedIterator(self._transaction, self._stream(scope, start))

    def stream_all(self) -> OwnedIterator[CommLog]:
        """Yield every entry one by one, in constant memory. The query is ``stream_session``."""
        return OwnedIterator(self._transaction, self._stream({}))

    def find_matching(
        self,
        *,
        session_id: str | None = None,
        direction: AnyDirection | None = None,
        status_word: str | None = None,
        errors: bool = False,
        normal_endings: bool = True,
        since: datetime | None = None,
        limit: int | None = None,
    ) -> list[CommLog]:
        """Return the entries that match every filter, of one session or the newest of all.

        Args:
            session_id: the session, whose entries come in the order of writing.
            errors: the responses with a status word other than 9000.
            normal_endings: whether 61xx, 91xx, 92xx and 9Fxx are among the errors, which end a
                command normally; 9240, a memory problem, always is.
            since: sent or received then or later.
        """
        parameters = self._bound(
            session_id=session_id, direction=direction, status_word=status_word
        )
        if errors:
            parameters["errors"] = True
            if not normal_endings:
                parameters["without_normal_endings"] = True
        if since is not None:
            parameters["since"] = self._time(since)
        parameters["limit"] = validation.limit(limit)
        return self._many("find_matching", parameters, "id desc" if session_id is None else None)

    def find_by_direction(
        self, session_id: str | None, direction: AnyDirection, limit: int | None = None
    ) -> list[CommLog]:
        """Return the commands or the responses. The query is ``find_matching``."""
        value = self._given("direction", direction)
        return self.find_matching(session_id=session_id, direction=value, limit=limit)

    def find_commands(
        self, session_id: str | None = None, limit: int | None = None
    ) -> list[CommLog]:
        """Return the commands. The query is ``find_matching``."""
        return self.find_by_direction(session_id, Direction.COMMAND, limit)

    def find_responses(
        self, session_id: str | None = None, limit: int | None = None
    ) -> list[CommLog]:
        """Return the responses. The query is ``find_matching``."""
        return self.find_by_direction(session_id, Direction.RESPONSE, limit)

    def find_by_status(
        self, session_id: str | None, status_word: str, limit: int | None = None
    ) -> list[CommLog]:
        """Return the entries with a status word. The query is ``find_matching``."""
        value = self._given("status_word", status_word)
        return self.find_matching(session_id=session_id, status_word=value, limit=limit)

    def find_errors(
        self,
        session_id: str | None = None,
        limit: int | None = None,
        *,
        normal_endings: bool = True,
    ) -> list[CommLog]:
        """Return the responses with a status word other than 9000. The query is ``find_matching``.

        Args:
            session_id: the session; without one, of all sessions, the newest first.
            normal_endings: whether 61xx, 91xx, 92xx and 9Fxx are among them.
        """
        return self.find_matching(
            session_id=session_id, errors=True, normal_endings=normal_endings, limit=limit
        )

    def count_by_session(self, session_id: str) -> int:
        """Return the number of a session's entries."""
        parameters = {"session_id": self._bind["session_id"](session_id)}
        return int(self._scalar("count_by_session", parameters))

    def get_session_summary(self, session_id: str) -> SessionSummary:
        """Return the figures of a session's log, in one statement, or raise ``NotFoundError``."""
        parameters = {"session_id": self._bind["session_id"](session_id)}
        found = self._figures("get_session_summary", SessionSummary, parameters)
        if not found:
            raise NotFoundError(f"there is no session {session_id!r}", "ota_sessions")
        return found[0]

    def export_session_logs(self, session_id: str) -> list[dict[str, Any]]:
        """Return a session's entries as JSON-ready values, times in ISO 8601."""
        return [entry.to_dict() for entry in self.stream_session(session_id)]

    def _entries(self, entries: Iterable[CommLog]) -> list[CommLog]:
        listed = list(self._each(entries))
        if set(map(type, listed)) == {CommLog}:
            return listed
        for index, entry in enumerate[Any](listed):
            if not isinstance(entry, CommLog):
                raise ValidationError(
                    f"expected CommLog, got {type(entry).__name__}", f"comm_logs[{index}]"
                )
        return listed

    def _write(self, rows: list[tuple[Any, ...]]) -> None:
        self._insert_many("add_log_batch", "copy_log_batch", rows)
        if rows and EventType.LOG_ADDED in self._transaction.events.wanted:
            self._transaction.pending_events.add_logs(Counter(row[0] for row in rows))

    def _note(self, action: str, record: CommLog) -> CommLog:
        # An added entry is reported by its session; a change of what was logged is rare.
        if action == "created":
            if EventType.LOG_ADDED in self._transaction.events.wanted:
                self._transaction.pending_events.add_logs({record.session_id: 1})
        else:
            self._note_batch("update", 1)
        return record

    def _note_key(self, action: str, key: str) -> None:
        self._note_batch("delete_by_id", 1)

    def _completed(self, record: CommLog) -> CommLog:
        """Return a copy of the entry with status word and message filled in."""
        self._check_kind(record)
        return complete(replace(record), self._row(record))

    def _stream(self, scope: dict[str, Any], after: int = 0) -> Iterator[CommLog]:
        while True:
            with skipped_keys() as keys:
                page = self._many("stream_session", {**scope, "after": after, "limit": _PAGE})
            yield from page
            if len(page) + len(keys) < _PAGE:
                return
            after = max([*keys, *(entry.id for entry in page[-1:])])
