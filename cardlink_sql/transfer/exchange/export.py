"""Writes tables to a file: all of them as they stood at one moment."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import IO, Any, Final

from cardlink_sql.database.unreadable_rows import read_rows, row_name, skipped_keys
from cardlink_sql.errors import NotFoundError, QueryError, ValidationError
from cardlink_sql.formats.files import write_atomically
from cardlink_sql.formats.times import time_text
from cardlink_sql.gateways.exchange import ExchangeGateway
from cardlink_sql.manager import DatabaseManager
from cardlink_sql.model import validation
from cardlink_sql.model.columns import driver_time
from cardlink_sql.model.declared_settings import is_secret
from cardlink_sql.model.progress import OnProgress, no_progress
from cardlink_sql.queries import Row
from cardlink_sql.transfer.exchange.formats import Format, Writer, format_of, writer
from cardlink_sql.transfer.exchange.header import make_header
from cardlink_sql.transfer.exchange.keys import FileKeys, Keys, key_writer
from cardlink_sql.transfer.exchange.shapes import (
    BY_WORD,
    PSK_KEY,
    SHAPES,
    STORED_KEY,
    Shape,
    Values,
    from_row,
    shapes_of,
)

PAGE: Final = 1000
# The rows that belong to one session.
_OF_SESSION: Final = ("devices", "cards", "sessions", "logs")


@dataclass(frozen=True, slots=True)
class Selection:
    """Which rows an export takes.

    Args:
        tables: by the words of their gateways (``cards``) or their names (``card_profiles``);
            without any all of them, or those of the session.
        since: sessions created and entries and results recorded from then on, and the sessions
            of such entries; devices, cards and settings are whole, so that no reference is
            left open.
        session_id: one session with its log, its device and its card.
        secrets: the settings declared as secrets, too, in the clear.
        raw: the text of CSV as it is, without the ``'`` that keeps a spreadsheet from reading it
            as a number or a formula.

    Raises:
        ValidationError: a table is unknown, ``since`` has no time zone, the id is not a UUID, or
            both are given.
    """

    tables: tuple[str, ...] = ()
    since: datetime | None = None
    session_id: str | None = None
    secrets: bool = False
    raw: bool = False

    def __post_init__(self) -> None:
        if self.since is not None and self.session_id is not None:
            raise ValidationError("since and session exclude each other", "since")
        if self.since is not None:
            object.__setattr__(self, "since", validation.moment(self.since, "since"))
        if self.session_id is not None:
            object.__setattr__(
                self, "session_id", validation.session_id(self.session_id, "session")
            )
        outside = [shape.word for shape in self.shapes if shape.word not in _OF_SESSION]
        if self.session_id is not None and outside:
            raise ValidationError(
                f"{outside[0]} are of no session", "tables", f"one has: {', '.join(_OF_SESSION)}"
            )

    @property
    def shapes(self) -> tuple[Shape, ...]:
        """Return the tables, in the order of a file."""
        if self.tables:
            return shapes_of(self.tables)
        return SHAPES if self.session_id is None else shapes_of(_OF_SESSION)

    def check(self, file_format: Format, keys: Keys) -> None:
        """Refuse what the format cannot hold.

        Raises:
            ValidationError: a CSV file is to hold more than one table, or keys.
        """
        if file_format is not Format.CSV:
            return
        if keys is not Keys.NONE:
            raise ValidationError("a CSV file holds no keys", "keys", "take jsonl, json or yaml")
        if len(self.shapes) != 1:
            raise ValidationError(f"a CSV file holds one table: {', '.join(BY_WORD)}", "tables")

    @property
    def described(self) -> dict[str, str]:
        """Return its entry in the header."""
        if self.since is not None:
            return {"since": time_text(self.since)}
        return {} if self.session_id is None else {"session": self.session_id}


def export(
    manager: DatabaseManager,
    target: Path | IO[bytes],
    *,
    file_format: Format | None = None,
    selection: Selection | None = None,
    keys: Keys = Keys.NONE,
    passphrase: str | None = None,
    on_progress: OnProgress = no_progress,
) -> dict[str, int]:
    """Write a file: it is there whole, or what was there is there still.

    All tables are as they stood at one moment, and no writer waits. Memory is flat: a page of
    1,000 rows.

    Args:
        manager: the database.
        target: the path of the file, or an open file.
        file_format: without one, that of the path; JSON lines for an open file.
        selection: which rows; without one, all.
        keys: how the file holds the cards' PSKs; ``NONE`` leaves them out.
        passphrase: what they are encrypted under, 8 characters or more.
        on_progress: receives the number of rows after each page.

    Returns:
        The number of rows of each table in the file, by the table's name.

    Raises:
        ValidationError: format, selection or passphrase will not do.
        NotFoundError: there is no such session.
        EncryptionError: keys were asked for, and no encryption key opens one.
        DatabaseError: the file cannot be written.
    """
    chosen = file_format or (format_of(target) if isinstance(target, Path) else Format.JSONL)
    rows = selection or Selection()
    rows.check(chosen, keys)
    work = _Export(manager, rows, key_writer(manager, keys, passphrase), on_progress)
    is_private = keys is not Keys.NONE or rows.secrets
    if isinstance(target, Path):
        with write_atomically(target, binary=True, private=is_private) as file:
            return work.write(writer(chosen, file, raw=rows.raw))
    return work.write(writer(chosen, target, raw=rows.raw))


@dataclass(frozen=True, slots=True)
class _Export:
    """An export that is about to be written."""

    manager: DatabaseManager
    selection: Selection
    keys: FileKeys | None
    on_progress: OnProgress

    def write(self, out: Writer) -> dict[str, int]:
        """Write it; return the rows of each table."""
        manager, selection = self.manager, self.selection
        keys = self.keys.header if self.keys else {}
        names = [shape.name for shape in selection.shapes]
        header = make_header(manager, names, selection.described, keys)
        rows: dict[str, int] = {}
        with manager.transaction(read_only=True, snapshot=True) as transaction:
            gateway = ExchangeGateway(transaction, manager.library)
            if selection.session_id and not gateway.find("sessions", [selection.session_id]):
                raise NotFoundError(f"there is no session {selection.session_id!r}", "ota_sessions")
            pages = _Pages(gateway, self._scope())
            out.begin(header)
            for shape in selection.shapes:
                out.table(shape)
                rows[shape.name] = self._write_table(out, pages, shape)
        out.end(rows)
        return rows

    def _write_table(self, out: Writer, pages: "_Pages", shape: Shape) -> int:
        count = 0
        convert = from_row(shape, self.manager.dialect)
        what = f"{shape.name} holds a value there that no gateway wrote"
        hides_secrets = shape.word == "settings" and not self.selection.secrets

        def refusal(row: Row) -> QueryError:
            return QueryError(
                f"{row_name(row, shape.columns)} of {shape.name} holds a value that no gateway "
                "wrote",
                remedy="look for a time or a JSON document that is malformed",
            )

        for rows in pages.of(shape):
            page = list(read_rows(rows, convert, shape.columns, what, refusal))
            for values in page:
                if shape.word == "cards":
                    self._put_key(values)
                elif hides_secrets and is_secret(values["key"]):
                    continue
                out.row(values)
                count += 1
            self.on_progress(len(page))
        return count

    def _put_key(self, values: Values) -> None:
        token = values.pop(STORED_KEY)
        if self.keys is not None:
            iccid = values["iccid"]
            values[PSK_KEY] = None if token is None else self.keys.write(token, iccid)

    def _scope(self) -> dict[str, Any]:
        selection = self.selection
        if selection.since is not None:
            return {"since": driver_time(self.manager.dialect)(selection.since)}
        return {} if selection.session_id is None else {"session_id": selection.session_id}


class _Pages:
    """The rows of each table, page by page: no page reads what the one before has read.

    The scope is ``since`` (a time in the driver's form), ``session_id``, or nothing.
    """

    def __init__(self, gateway: ExchangeGateway, scope: Mapping[str, Any]) -> None:
        self._gateway = gateway
        self._scope = scope
        self._since = scope.get("since")

    def of(self, shape: Shape) -> Iterator[Sequence[Row]]:
        """Yield the pages of a table."""
        if self._since is None or shape.word not in ("sessions", "logs", "tests"):
            yield from self._by_key(shape, 0 if shape.word == "logs" else "")
        elif shape.word != "logs":
            yield from self._by_time(shape)
            if shape.word == "sessions":
                yield from self._earlier_sessions()
        elif self._before_logs is not None:
            yield from self._by_key(shape, self._before_logs)

    def _by_key(self, shape: Shape, after: str | int) -> Iterator[Sequence[Row]]:
        position = shape.columns.index(shape.key)
        while True:
            with skipped_keys() as keys:
                rows = self._gateway.page(shape.word, after, PAGE, self._scope)
            yield rows
            if len(rows) + len(keys) < PAGE:
                return
            after = max([*keys, *(row[position] for row in rows[-1:])])

    def _by_time(self, shape: Shape) -> Iterator[Sequence[Row]]:
        key, created = shape.columns.index(shape.key), shape.columns.index("created_at")
        after: dict[str, Any] = {}
        limit = PAGE
        while True:
            with skipped_keys() as keys:
                rows = self._gateway.page_since(shape.word, self._since, after, limit)
            yield rows
            if len(rows) + len(keys) < limit:
                return
            if rows:
                after = {"created_at": rows[-1][created], "id": rows[-1][key]}
            else:
                limit *= 2  # all were left out, and their times are not known

    def _earlier_sessions(self) -> Iterator[Sequence[Row]]:
        """Yield the sessions created before the time that have entries since."""
        seen = set[str]()
        after = self._before_logs
        while after is not None:
            entries = self._gateway.find_earlier_sessions(self._since, after, PAGE)
            keys = {key for _, key in entries} - seen
            if keys:
                seen |= keys
                yield self._gateway.find("sessions", sorted(keys))
            after = entries[-1][0] if len(entries) == PAGE else None

    @cached_property
    def _before_logs(self) -> int | None:
        """The number before the first entry since the time, ``None`` where there is no entry."""
        first = self._gateway.find_first_log(self._since)
        return None if first is None else first - 1
