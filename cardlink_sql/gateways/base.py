"""The methods of every gateway. The queries of the same names are in ``sql/*/<gateway>.sql``."""

from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any, ClassVar, Generic, TypeVar

from sqlalchemy import Table

from cardlink_sql.database.event_bus import DatabaseEvent, EventType
from cardlink_sql.database.query_runner import QueryRunner
from cardlink_sql.database.rows import field_names, reader
from cardlink_sql.database.transaction import Transaction
from cardlink_sql.database.unreadable_rows import UNREADABLE, read_rows, row_name
from cardlink_sql.errors import NotFoundError, QueryError, ValidationError
from cardlink_sql.model import validation
from cardlink_sql.model.columns import binders
from cardlink_sql.model.json_value import Record
from cardlink_sql.model.records.page import KeysetPage, Page, Position
from cardlink_sql.model.times import utc_now
from cardlink_sql.queries import Library, Query, Row
from cardlink_sql.queries.query import MAX_LIST

R = TypeVar("R", bound=Record)
K = TypeVar("K")

_IS_NULL = "_is_null"


class Gateway(QueryRunner, Generic[R, K]):
    """Reads and writes one table as records. ``R`` is the record, ``K`` its key.

    Each gateway adds ``find_by``, ``find_one_by``, ``count_by`` and ``paginate`` with the types of
    its own filters, in ``cardlink_sql/gateways/filters.py``.

    Raises everywhere: :class:`ValidationError` for a value that is refused before it reaches
    the database, :class:`QueryError` for use outside the ``with`` block.
    """

    table: ClassVar[Table]
    record: ClassVar[type[Any]]
    key: ClassVar[str]
    # The event that a write of one record fires, and how events name the record.
    event: ClassVar[EventType]
    entity: ClassVar[str]
    # The order that find_by has when none is asked for.
    default_order: ClassVar[str]
    # The columns that order page_after, where it is not the key.
    page_order: ClassVar[tuple[str, ...]] = ()
    # Fields of the record that no INSERT or UPDATE writes.
    not_written: ClassVar[frozenset[str]] = frozenset()
    # Fields that an UPDATE leaves as they are.
    not_updated: ClassVar[frozenset[str]] = frozenset({"created_at"})

    __slots__ = ("_bind", "_read")

    def __init__(self, transaction: Transaction, library: Library) -> None:
        super().__init__(transaction, library)
        self._bind = binders(self.table, transaction.dialect)
        self._read = self._reader(self.record)

    # Reading

    def get_by_id(self, key: K) -> R | None:
        """Return the record with this key, or ``None``."""
        return self._one("get_by_id", {self.key: self._bind[self.key](key)})

    def get_many(self, keys: Iterable[K]) -> dict[K, R]:
        """Return the records with these keys, by key and in the order of the keys.

        A key without a record is left out. One statement reads up to 16,384 of them.
        """
        if isinstance(keys, str) or not isinstance(keys, Iterable):
            raise ValidationError(f"expected keys, got {type(keys).__name__}", self.table.name)
        listed = list(dict.fromkeys(map(self._key, keys)))
        found = {
            getattr(record, self.key): record
            for start in range(0, len(listed), MAX_LIST)
            for record in self._many("get_many", {"keys": listed[start : start + MAX_LIST]})
        }
        return {key: found[key] for key in listed if key in found}

    def get_all(self, limit: int | None = None) -> list[R]:
        """Return all records in the gateway's order, up to ``limit``. The query is ``find_by``."""
        return self._find_by({}, limit=limit)

    def exists(self, key: K) -> bool:
        """Return whether there is a record with this key."""
        return bool(self._scalar("exists", {self.key: self._key(key)}))

    def count(self) -> int:
        """Count all records. The query is ``count_by``."""
        return self._count_by({})

    def page_after(self, after: Position | None = None, limit: int = 100) -> KeysetPage[R]:
        """Return a page by key: as fast at the end of a table as at its start.

        ``after`` is that of the page before, ``None`` for the first one; ``limit`` is 1 to 10,000.
        """
        validation.whole(limit, "limit", least=1, most=10_000)
        items = self._many("page_after", {**self._position(after), "limit": limit})
        if len(items) < limit:
            return KeysetPage(items, None)
        last = (getattr(items[-1], name) for name in self.page_order or (self.key,))
        return KeysetPage(items, Position(tuple(last)))

    # Writing

    def create(self, record: R) -> R:
        """Insert a record and return it as it was stored.

        Raises:
            IntegrityError: the key is taken, or a row that it refers to is missing.
        """
        values = self._values(record, leave=frozenset())
        self._execute("create", values)
        return self._note("created", self._as_written(values))

    def create_all(self, records: Iterable[R]) -> list[R]:
        """Insert many records, all checked before the first is written; return them as stored."""
        rows = [self._values(record, leave=frozenset()) for record in self._each(records)]
        for row in rows:
            self._execute("create", row)
        self._note_many("created", len(rows))
        self._note_batch("create_all", len(rows))
        return [self._as_written(row) for row in rows]

    def update(self, record: R) -> R:
        """Write all fields but the key and ``created_at``; ``updated_at`` becomes now.

        Raises:
            NotFoundError: there is no such row.
        """
        values = self._values(record, leave=self.not_updated)
        if "updated_at" in values:
            values["updated_at"] = self._bind["updated_at"](utc_now())
        return self._change("update", getattr(record, self.key), values, "updated")

    def delete(self, record: R) -> bool:
        """Delete a record; whether it was there. The query is ``delete_by_id``."""
        self._check_kind(record)
        return self.delete_by_id(getattr(record, self.key))

    def delete_by_id(self, key: K) -> bool:
        """Delete the record with this key; whether it was there."""
        name = self._key(key)
        if not self._execute("delete_by_id", {self.key: name}):
            return False
        self._note_key("deleted", name)
        return True

    # For the gateways: every method that writes notes what it wrote, for the events that the
    # commit fires. Where nobody waits for them this costs one look.

    def _note(self, action: str, record: R) -> R:
        """Note a record as it was written, and return it."""
        if self.event in self._transaction.events.wanted:
            name, data = str(getattr(record, self.key)), record.to_dict()
            self._transaction.pending_events.add(
                DatabaseEvent(self.event, self.entity, name, action, data=data)
            )
        return record

    def _note_key(self, action: str, key: str) -> None:
        """Note a row of which only the key is known, such as one that is gone."""
        self._transaction.note(self.event, self.entity, key, action)

    def _note_many(self, action: str, count: int, **scope: str) -> None:
        """Note rows that were written at once, if any, as one event without a key.

        ``scope`` is what they have in common, such as their run.
        """
        if count:
            self._transaction.note(self.event, self.entity, None, action, count=count, **scope)

    def _note_batch(self, operation: str, count: int) -> None:
        """Note that a method has done its work on many rows; nothing is noted of none."""
        if count:
            done = {"table": self.table.name, "operation": operation, "count": count}
            self._transaction.note(
                EventType.BATCH_COMPLETED, self.entity, None, "completed", **done
            )

    def _one(self, name: str, parameters: Mapping[str, Any]) -> R | None:
        query = self._query(name)
        row = self._transaction.one(query, parameters)
        return None if row is None else self._record_of(query, row)

    def _record_of(self, query: Query, row: Row) -> R:
        try:
            record: R = self._read(row)
        except UNREADABLE as error:
            raise self._damaged(query, row) from error
        return record

    def _many(self, name: str, parameters: Mapping[str, Any], order: str | None = None) -> list[R]:
        query = self._query(name)
        rows = self._transaction.many(query, parameters, order)
        names = field_names(self.record)
        what = f"{self.table.name} holds a value there that no gateway wrote"
        return list(read_rows(rows, self._read, names, what, partial(self._damaged, query)))

    def _damaged(self, query: Query, row: Row) -> QueryError:
        wanted = len(field_names(self.record))
        if len(row) != wanted:
            return query.fault(
                f"a row has {len(row)} columns, and a {self.record.__name__} has {wanted} fields",
                "run: cardlink-db sql check",
            )
        name = row_name(row, field_names(self.record))
        # SQLite keeps whatever another program writes, whatever the column's type.
        return query.fault(
            f"{name} of {self.table.name} holds a value that no gateway wrote",
            "look for a time, a JSON document or a word that is malformed",
        )

    # Called by find_by, find_one_by, count_by and paginate of each gateway.

    def _find_by(
        self,
        filters: Mapping[str, object],
        *,
        limit: int | None = None,
        offset: int = 0,
        order: str | None = None,
    ) -> list[R]:
        parameters = self._filters(self._query("find_by"), filters)
        order = None if order == self.default_order else order
        return self._many(
            "find_by", {**parameters, "limit": validation.limit(limit), "offset": offset}, order
        )

    def _find_one_by(self, filters: Mapping[str, object]) -> R | None:
        found = self._find_by(filters, limit=1)
        return found[0] if found else None

    def _count_by(self, filters: Mapping[str, object]) -> int:
        query = self._query("count_by")
        return int(self._transaction.scalar(query, self._filters(query, filters)))

    def _paginate(
        self,
        page: int,
        per_page: int,
        order_by: str | None,
        descending: object,
        filters: Mapping[str, object],
    ) -> Page[R]:
        validation.whole(page, "page", least=1, most=2**40)
        validation.whole(per_page, "per_page", least=1, most=10_000)
        validation.boolean(descending, "descending")
        if descending and order_by is None:
            raise ValidationError("descending needs order_by", "order_by", "name a column")
        order = f"{order_by} desc" if descending else order_by
        items = self._find_by(filters, limit=per_page, offset=(page - 1) * per_page, order=order)
        total = self._count_by(filters)
        return Page(items, total, page, per_page, -(-total // per_page))

    def _filters(self, query: Query, filters: Mapping[str, object]) -> dict[str, Any]:
        parameters: dict[str, Any] = {}
        for column, value in filters.items():
            condition = f"{column}{_IS_NULL}" if value is None else column
            if condition not in query.conditions or column not in self._bind:
                raise self._no_filter(query, column, value)
            parameters[condition] = True if value is None else self._bind[column](value)
        return parameters

    def _no_filter(self, query: Query, column: str, value: Any) -> QueryError:
        if value is None and column in query.conditions:
            return query.fault(f"{column} is never NULL", "pass a value")
        columns = sorted(c for c in query.conditions if not c.endswith(_IS_NULL))
        return query.fault(
            f"{self.table.name} cannot be filtered by {column!r}",
            f"it can by: {', '.join(columns)}",
        )

    def _key(self, key: Any) -> Any:
        return self._bind[self.key](key)

    def _given(self, column: str, value: Any) -> Any:
        """Return a required value; refuse ``None``, because NULL equals nothing."""
        if value is None:
            raise ValidationError("a value is needed here, not None", f"{self.table.name}.{column}")
        return self._bind[column](value)

    def _stamp(self, key: K) -> dict[str, Any]:
        """Return the parameters that name a record and say that it changes now."""
        return {self.key: self._key(key), "updated_at": self._time(None)}

    def _bound(self, **asked: Any) -> dict[str, Any]:
        """Return the values that are not ``None``, each checked and converted for its column."""
        return {
            column: self._bind[column](value)
            for column, value in asked.items()
            if value is not None
        }

    def _values(self, record: R, leave: frozenset[str]) -> dict[str, Any]:
        self._check_kind(record)
        return {
            name: self._bind[name](getattr(record, name))
            for name in field_names(self.record)
            if name not in self.not_written and name not in leave
        }

    def _check_kind(self, record: Any) -> None:
        if not isinstance(record, self.record):
            raise ValidationError(
                f"expected {self.record.__name__}, got {type(record).__name__}", self.table.name
            )

    def _each(self, records: Iterable[R]) -> Iterable[R]:
        if not isinstance(records, Iterable):
            raise ValidationError(
                f"{type(records).__name__} is not a list of {self.record.__name__}", self.table.name
            )
        return records

    def _written(self, name: str, parameters: Mapping[str, Any], key: Any) -> R | None:
        """Run a query that writes one row; return the record as stored, ``None`` without one."""
        read = self._query("get_by_id")
        bound = {self.key: self._key(key)}
        row = self._transaction.write_and_read(self._query(name), parameters, read, bound)
        return None if row is None else self._record_of(read, row)

    def _change(self, name: str, key: Any, values: Mapping[str, Any], action: str) -> R:
        """Run a query that changes the record with this key, and note it as it is then stored."""
        changed = self._written(name, values, key)
        if changed is None:
            raise self._missing(key)
        return self._note(action, changed)

    def _as_written(self, values: Mapping[str, Any]) -> R:
        """Return the record that an INSERT of these values stores, without reading it back."""
        dialect = self._transaction.dialect
        kind: type[R] = self.record
        return reader(kind, dialect, is_written=True)(list(map(values.get, field_names(kind))))

    def _required(self, key: Any) -> R:
        record = self.get_by_id(key)
        if record is None:
            raise self._missing(key)
        return record

    def _missing(self, key: Any) -> NotFoundError:
        return NotFoundError(f"there is no row with {self.key} {key!r}", self.table.name)

    def _position(self, after: Position | None) -> dict[str, Any]:
        if after is None:
            return {}
        names = self.page_order or (self.key,)
        if not isinstance(after, tuple) or len(after) != len(names):
            raise ValidationError("expected the after of an earlier page", "after")
        return {name: self._bind[name](value) for name, value in zip(names, after, strict=True)}
