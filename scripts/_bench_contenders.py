"""The bare driver and the layer, each doing the operations of scripts/bench."""

from collections.abc import Iterator, Sequence
from dataclasses import fields
from datetime import datetime
from typing import Any, Final, Protocol

from _bench_rows import plain_value

from cardlink_sql import DatabaseManager, Keyring, UnitOfWork
from cardlink_sql.dialect import Dialect
from cardlink_sql.model.choices import CardType, Direction, SessionStatus, SessionType
from cardlink_sql.model.records.card import CardProfile
from cardlink_sql.model.records.log import CommLog
from cardlink_sql.model.records.session import OTASession, SessionStatistics


class Contender(Protocol):
    """The contenders. Each operation returns what it read."""

    def write(self, batch: Any) -> None:
        """One batch of logs, committed."""

    def cards(self, iccids: Sequence[str]) -> list[Any]:
        """Cards by key."""

    def sessions(self, ids: Sequence[str]) -> list[Any]:
        """Sessions by key."""

    def cards_in_transaction(self, iccids: Sequence[str]) -> list[Any]:
        """The same within one transaction."""

    def units(self, iccids: Sequence[str]) -> list[Any]:
        """Cards by key, each in a separate unit of work."""

    def psks(self, identities: Sequence[str]) -> list[bytes]:
        """PSKs by identity, encrypted."""

    def log_of(self, session_id: str) -> list[Any]:
        """The log of a session."""

    def statistics(self, since: datetime) -> SessionStatistics:
        """Figures of the sessions since a time."""

    def page(self, number: int, size: int, after: int) -> list[Any]:
        """The page of this number; ``after`` is the last key of the page before."""

    def stream(self) -> Iterator[Any]:
        """Every log entry."""

    def close(self) -> None:
        """Let go of the connections."""


LOG_COLUMNS: Final = (
    "session_id, direction, raw_data, latency_ms, decoded_data, status_word, status_message,"
    " timestamp, id"
)
CARD_COLUMNS: Final = (
    "iccid, imsi, card_type, atr, psk_identity, psk_key_encrypted IS NOT NULL, admin_url,"
    " trigger_config, bip_config, security_domains, notes, created_at, updated_at"
)
SESSION_COLUMNS: Final = ", ".join(spec.name for spec in fields(OTASession))
WRITTEN_COLUMNS: Final = LOG_COLUMNS.removesuffix(", id")
STATISTICS: Final = """
SELECT COUNT(*), SUM(status = 'pending'), SUM(status = 'active'), SUM(status = 'completed'),
  SUM(status = 'failed'), SUM(status = 'timeout'), AVG(duration_ms)
FROM ota_sessions WHERE created_at >= ?"""

TYPES: Final = {member.value: member for member in SessionType}
STATUSES: Final = {member.value: member for member in SessionStatus}
CARD_TYPES: Final = {member.value: member for member in CardType}
DIRECTIONS: Final = {member.value: member for member in Direction}


class Bare:
    """Only the driver, over one connection with the layer's settings, and no checks at all."""

    def __init__(self, manager: DatabaseManager) -> None:
        self.dialect = manager.dialect
        # The driver's own, out of the pool; what it came in closes it when it goes.
        self._pooled = manager.engine.raw_connection()
        self._connection: Any = self._pooled.driver_connection
        self._pooled.detach()
        self._cursor = self._connection.cursor()
        self._begin = "BEGIN IMMEDIATE" if self.dialect is Dialect.SQLITE else "BEGIN"
        self._insert = self._sql(
            f"INSERT INTO comm_logs ({WRITTEN_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
        )
        self._as_log = log_of_text if self.dialect is Dialect.SQLITE else log_of_times

    def _sql(self, text: str) -> str:
        return text if self.dialect is Dialect.SQLITE else text.replace("?", "%s")

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def run(self, statement: str, parameters: tuple[Any, ...] = ()) -> list[Any]:
        """Send a statement; return its rows."""
        self._cursor.execute(statement, parameters)
        return list(self._cursor.fetchall()) if self._cursor.description else []

    def write(self, batch: Sequence[tuple[Any, ...]]) -> None:
        """By ``executemany``."""
        cursor = self._cursor
        cursor.execute(self._begin)
        cursor.executemany(self._insert, batch)
        cursor.execute("COMMIT")

    def copy(self, batch: Sequence[tuple[Any, ...]]) -> None:
        """By PostgreSQL's COPY."""
        self._cursor.execute(self._begin)
        self._copy("comm_logs", WRITTEN_COLUMNS, batch)
        self._cursor.execute("COMMIT")

    def _copy(self, table: str, columns: str, rows: Sequence[tuple[Any, ...]]) -> None:
        with self._cursor.copy(f"COPY {table} ({columns}) FROM STDIN") as copy:
            for row in rows:
                copy.write_row(row)

    def load(self, table: str, columns: str, rows: Sequence[tuple[Any, ...]]) -> None:
        """Many rows of any table."""
        self._cursor.execute(self._begin)
        if self.dialect is Dialect.POSTGRESQL:
            self._copy(table, columns, rows)
        else:
            marks = self._sql(", ".join("?" * len(rows[0])))
            self._cursor.executemany(f"INSERT INTO {table} ({columns}) VALUES ({marks})", rows)
        self._cursor.execute("COMMIT")

    def cards(self, iccids: Sequence[str]) -> list[CardProfile]:
        """One statement for each."""
        cursor = self._cursor
        sql = self._sql(f"SELECT {CARD_COLUMNS} FROM card_profiles WHERE iccid = ?")
        as_card = card_of_text if self.dialect is Dialect.SQLITE else card_of_times
        found = []
        for iccid in iccids:
            cursor.execute(sql, (iccid,))
            found.append(as_card(cursor.fetchone()))
        return found

    def cards_in_transaction(self, iccids: Sequence[str]) -> list[CardProfile]:
        """The same between BEGIN and COMMIT."""
        self._cursor.execute(self._begin)
        found = self.cards(iccids)
        self._cursor.execute("COMMIT")
        return found

    def units(self, iccids: Sequence[str]) -> list[CardProfile]:
        """Without a unit of work: the same as :meth:`cards`."""
        return self.cards(iccids)

    def sessions(self, ids: Sequence[str]) -> list[OTASession]:
        """One statement for each."""
        cursor = self._cursor
        sql = self._sql(f"SELECT {SESSION_COLUMNS} FROM ota_sessions WHERE id = ?")
        as_session = session_of_text if self.dialect is Dialect.SQLITE else session_of_times
        found = []
        for key in ids:
            cursor.execute(sql, (key,))
            found.append(as_session(cursor.fetchone()))
        return found

    def psks(self, identities: Sequence[str]) -> list[bytes]:
        """One statement for each."""
        cursor = self._cursor
        sql = self._sql("SELECT psk_key_encrypted, iccid FROM card_profiles WHERE psk_identity = ?")
        found = []
        for identity in identities:
            cursor.execute(sql, (identity,))
            found.append(cursor.fetchone()[0])
        return found

    def log_of(self, session_id: str) -> list[CommLog]:
        """All rows at once."""
        where = "WHERE session_id = ? ORDER BY id"
        self._cursor.execute(
            self._sql(f"SELECT {LOG_COLUMNS} FROM comm_logs {where}"), (session_id,)
        )
        return self._as_log(self._cursor.fetchall())

    def statistics(self, since: datetime) -> SessionStatistics:
        """One statement."""
        text = STATISTICS
        if self.dialect is Dialect.POSTGRESQL:
            text = text.replace("SUM(", "COUNT(*) FILTER (WHERE ")
        self._cursor.execute(self._sql(text), (plain_value(since, self.dialect),))
        total, *counts, average = self._cursor.fetchone()
        pending, active, done, failed, timeout = map(int, counts)
        ended = done + failed + timeout
        return SessionStatistics(
            total, pending, active, done, failed, timeout,
            None if average is None else float(average), done / ended if ended else None, 1.0,
        )  # fmt: skip

    def page(self, number: int, size: int, after: int) -> list[CommLog]:
        """By key."""
        del number
        self._cursor.execute(
            self._sql(f"SELECT {LOG_COLUMNS} FROM comm_logs WHERE id > ? ORDER BY id LIMIT ?"),
            (after, size),
        )
        return self._as_log(self._cursor.fetchall())

    def offset(self, number: int, size: int) -> list[CommLog]:
        """The same page by OFFSET."""
        self._cursor.execute(
            self._sql(f"SELECT {LOG_COLUMNS} FROM comm_logs ORDER BY id LIMIT ? OFFSET ?"),
            (size, (number - 1) * size),
        )
        return self._as_log(self._cursor.fetchall())

    def stream(self) -> Iterator[CommLog]:
        """By the driver's own means: a cursor that does not hold the whole result."""
        cursor = self._streaming_cursor()
        cursor.execute(f"SELECT {LOG_COLUMNS} FROM comm_logs ORDER BY id")
        while rows := cursor.fetchmany(2000):
            yield from self._as_log(rows)

    def _streaming_cursor(self) -> Any:
        if self.dialect is Dialect.SQLITE:
            return self._cursor
        if self.dialect is Dialect.POSTGRESQL:
            self._cursor.execute("BEGIN")
            return self._connection.cursor("stream")
        from pymysql.cursors import SSCursor

        return self._connection.cursor(SSCursor)


def log_of_text(rows: Sequence[Any]) -> list[CommLog]:
    """Log entries whose times are text."""
    read = datetime.fromisoformat
    return [
        CommLog(session, DIRECTIONS[way], raw, ms, decoded, word, message, read(when), number)
        for session, way, raw, ms, decoded, word, message, when, number in rows
    ]


def log_of_times(rows: Sequence[Any]) -> list[CommLog]:
    """Log entries whose times are times."""
    return [
        CommLog(session, DIRECTIONS[way], raw, ms, decoded, word, message, when, number)
        for session, way, raw, ms, decoded, word, message, when, number in rows
    ]


def card_of_text(row: Any) -> CardProfile:
    """A card whose times are text; it has no JSON."""
    return CardProfile(
        row[0], row[1], CARD_TYPES[row[2]], row[3], row[4], bool(row[5]), row[6], row[7],
        row[8], row[9], row[10], datetime.fromisoformat(row[11]), datetime.fromisoformat(row[12]),
    )  # fmt: skip


def card_of_times(row: Any) -> CardProfile:
    """A card whose times are times."""
    return CardProfile(
        row[0], row[1], CARD_TYPES[row[2]], row[3], row[4], bool(row[5]), row[6], row[7],
        row[8], row[9], row[10], row[11], row[12],
    )  # fmt: skip


def session_of_text(row: Any) -> OTASession:
    """A session whose times are text."""
    read = datetime.fromisoformat
    return OTASession(
        row[0], TYPES[row[1]], row[2], row[3], STATUSES[row[4]],
        None if row[5] is None else read(row[5]), None if row[6] is None else read(row[6]),
        row[7], row[8], row[9], row[10], row[11], row[12], read(row[13]), read(row[14]),
    )  # fmt: skip


def session_of_times(row: Any) -> OTASession:
    """A session whose times are times."""
    return OTASession(
        row[0], TYPES[row[1]], row[2], row[3], STATUSES[row[4]], row[5], row[6], row[7], row[8],
        row[9], row[10], row[11], row[12], row[13], row[14],
    )  # fmt: skip


class Undeciphered(Keyring):
    """Gives a stored PSK as it is, so that a look-up is measured apart from its decryption."""

    def decrypt(self, token: bytes, where: str) -> bytes:
        """Nothing is done."""
        del where
        return token


class Ours:
    """The layer, used as its README says."""

    def __init__(self, manager: DatabaseManager) -> None:
        self._manager = manager
        self._uow = UnitOfWork(manager, read_only=True)
        self._uow.__enter__()

    def close(self) -> None:
        """End the open unit of work."""
        self._uow.__exit__(None, None, None)

    def write(self, batch: Sequence[CommLog]) -> None:
        """A batch with its checks, in a separate unit of work."""
        with UnitOfWork(self._manager) as uow:
            uow.logs.add_log_batch(batch)
            uow.commit()

    def cards(self, iccids: Sequence[str]) -> list[Any]:
        """In an open unit of work that only reads."""
        uow = self._uow
        return [uow.cards.get_by_id(iccid) for iccid in iccids]

    def cards_in_transaction(self, iccids: Sequence[str]) -> list[Any]:
        """In a unit of work that may write."""
        with UnitOfWork(self._manager) as uow:
            return [uow.cards.get_by_id(iccid) for iccid in iccids]

    def sessions(self, ids: Sequence[str]) -> list[Any]:
        """In an open unit of work that only reads."""
        uow = self._uow
        return [uow.sessions.get_by_id(key) for key in ids]

    def units(self, iccids: Sequence[str]) -> list[Any]:
        """Each in a unit of work that only reads."""
        found = []
        for iccid in iccids:
            with UnitOfWork(self._manager, read_only=True) as uow:
                found.append(uow.cards.get_by_id(iccid))
        return found

    def psks(self, identities: Sequence[str]) -> list[Any]:
        """In an open unit of work that only reads."""
        uow = self._uow
        return [uow.cards.get_psk_key_by_identity(identity) for identity in identities]

    def log_of(self, session_id: str) -> list[CommLog]:
        """In an open unit of work that only reads."""
        return self._uow.logs.find_by_session(session_id)

    def statistics(self, since: datetime) -> SessionStatistics:
        """The last day."""
        del since
        return self._uow.sessions.get_statistics(days=1)

    def page(self, number: int, size: int, after: int) -> list[CommLog]:
        """By key."""
        del number
        return self._uow.logs.page_after((after,) if after else None, size).items

    def stream(self) -> Iterator[CommLog]:
        """In flat memory."""
        return self._uow.logs.stream_all()
