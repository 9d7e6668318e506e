"""What every gateway does alike, on every backend."""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from cardlink_sql import (
    DatabaseManager,
    Device,
    DeviceType,
    NotFoundError,
    OTASession,
    Position,
    QueryError,
    Setting,
    UnitOfWork,
    ValidationError,
)
from cardlink_sql.gateways.base import Gateway
from cardlink_sql.gateways.devices import DeviceGateway
from cardlink_sql.queries.library import Library
from tests.conftest import MOMENT, card, device, entry, iccid, result, session_id
from tests.parsing import parse


@dataclass(frozen=True)
class Case:
    """A gateway and what its tests need to know."""

    name: str
    make: Callable[[int], Any]
    change: dict[str, Any]
    unknown_key: Any
    number_of: Callable[[Any], int]
    newest_first: bool = False

    def gateway(self, uow: UnitOfWork) -> Gateway[Any, Any]:
        """The gateway in a unit of work, with the rows that its records refer to."""
        if self.name == "logs" and not uow.sessions.exists(session_id()):
            uow.sessions.create_session(session_id=session_id())
        gateway: Gateway[Any, Any] = getattr(uow, self.name)
        return gateway

    def fill(self, uow: UnitOfWork, count: int) -> Gateway[Any, Any]:
        """The gateway, after ``count`` records were created."""
        gateway = self.gateway(uow)
        gateway.create_all(self.make(number) for number in range(1, count + 1))
        return gateway

    def set_by_the_database(self, record: Any) -> dict[str, Any]:
        """The fields that a test cannot predict."""
        chosen = ["id"] if self.name == "logs" else ["created_at", "updated_at"]
        chosen += ["status_word", "status_message"] if self.name == "logs" else []
        return {field: getattr(record, field) for field in chosen}

    def key(self, gateway: Gateway[Any, Any], number: int) -> Any:
        """The key of the record with this number."""
        found = next(r for r in gateway.get_all() if self.number_of(r) == number)
        return getattr(found, gateway.key)


def ota_session(number: int, **fields: Any) -> OTASession:
    """A session, later by a second for each number."""
    at = MOMENT + timedelta(seconds=number)
    return OTASession(
        **{"id": session_id(number), "created_at": at, "updated_at": at, "duration_ms": 5, **fields}
    )


CASES = [
    Case(
        "devices",
        lambda n: device(n, name=f"n{n:04d}", is_active=False),
        {"name": "another"},
        "nobody",
        lambda record: int(record.id[-4:]),
    ),
    Case(
        "cards",
        lambda n: card(n, imsi=f"{n:015d}"),
        {"notes": "another"},
        iccid(999_999),
        lambda record: int(record.iccid[-4:]),
    ),
    Case(
        "sessions",
        ota_session,
        {"error_code": "another"},
        session_id(999_999),
        lambda record: int(record.id[-4:], 16),
        newest_first=True,
    ),
    Case(
        "tests",
        lambda n: result(
            n,
            started_at=MOMENT + timedelta(seconds=n),
            ended_at=MOMENT + timedelta(seconds=n + 1),
        ),
        {"error_message": "another"},
        session_id(999_999),
        lambda record: int(record.id[-4:], 16),
    ),
    Case(
        "logs",
        lambda n: entry(raw_data=f"{n:04X}", timestamp=MOMENT + timedelta(seconds=n), latency_ms=n),
        {"decoded_data": "another"},
        999_999_999,
        lambda record: int(record.raw_data, 16),
    ),
    Case(
        "settings",
        lambda n: Setting(f"lab.n{n:04d}", {"n": n}, category="lab"),
        {"description": "another"},
        "lab.none",
        lambda record: int(record.key[-4:]),
    ),
]
every_gateway = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)


@every_gateway
def test_a_record_is_read_back_by_its_key(case: Case, uow: UnitOfWork) -> None:
    gateway = case.gateway(uow)

    created = gateway.create(case.make(1))

    key = getattr(created, gateway.key)
    found = gateway.get_by_id(key)
    assert (found, repr(found)) == (created, repr(created)), "each value has the declared type"
    assert replace(case.make(1), **case.set_by_the_database(created)) == created
    assert gateway.exists(key) is True
    assert gateway.get_by_id(case.unknown_key) is None
    assert gateway.exists(case.unknown_key) is False


@every_gateway
def test_records_are_found_by_their_keys(case: Case, uow: UnitOfWork) -> None:
    gateway = case.fill(uow, 4)
    third, first = case.key(gateway, 3), case.key(gateway, 1)

    found = gateway.get_many(key for key in (third, case.unknown_key, first, third))

    assert found == {third: gateway.get_by_id(third), first: gateway.get_by_id(first)}
    assert list(found) == [third, first]
    assert gateway.get_many([]) == {}
    for keys in ("device-0001", 5, None):
        with pytest.raises(ValidationError, match="expected keys"):
            gateway.get_many(keys)
    assert gateway.find_by(**{gateway.key: third}) == [found[third]]
    assert gateway.find_one_by(**{gateway.key: third}) == found[third]
    assert gateway.find_one_by(**{gateway.key: case.unknown_key}) is None
    assert gateway.count_by(**{gateway.key: third}) == 1
    with pytest.raises(QueryError, match="is never NULL"):
        gateway.find_by(**{gateway.key: None})


@every_gateway
def test_an_update_changes_one_record(case: Case, uow: UnitOfWork) -> None:
    gateway = case.fill(uow, 3)
    others = [record for record in gateway.get_all() if case.number_of(record) != 2]
    second: Any = gateway.get_by_id(case.key(gateway, 2))
    before = datetime.now(UTC)

    updated = gateway.update(replace(second, **case.change))

    assert updated == gateway.get_by_id(case.key(gateway, 2))
    for field, value in case.change.items():
        assert getattr(updated, field) == value
    if case.name != "logs":
        assert before <= updated.updated_at <= datetime.now(UTC)
        other = replace(second, created_at=MOMENT + timedelta(days=1))
        assert gateway.update(other).created_at == second.created_at
    assert gateway.update(updated), "an update that changes nothing finds its record"
    assert [record for record in gateway.get_all() if case.number_of(record) != 2] == others
    with pytest.raises(NotFoundError, match=str(case.unknown_key)):
        gateway.update(replace(case.make(9), **{gateway.key: case.unknown_key}))


@every_gateway
def test_a_delete_removes_one_record_and_returns_whether_it_existed(
    case: Case, uow: UnitOfWork
) -> None:
    gateway = case.fill(uow, 4)
    second, third = gateway.get_by_id(case.key(gateway, 2)), case.key(gateway, 3)

    assert [gateway.delete(second), gateway.delete(second)] == [True, False]
    assert [gateway.delete_by_id(third), gateway.delete_by_id(third)] == [True, False]
    assert sorted(case.number_of(record) for record in gateway.get_all()) == [1, 4]


@every_gateway
def test_get_all_is_ordered_and_limited(case: Case, uow: UnitOfWork) -> None:
    assert case.gateway(uow).count() == 0
    gateway = case.fill(uow, 3)

    everything = gateway.get_all()

    assert gateway.count() == 3
    numbers = [case.number_of(record) for record in everything]
    assert numbers == ([3, 2, 1] if case.newest_first else [1, 2, 3])
    for limit, count in [(0, 0), (1, 1), (2, 2), (3, 3), (99, 3), (None, 3)]:
        assert gateway.get_all(limit) == everything[:count]


@every_gateway
def test_create_all_returns_the_records_as_stored(case: Case, uow: UnitOfWork) -> None:
    gateway = case.gateway(uow)
    bad = replace(case.make(3), **dict.fromkeys(case.change, 5))
    with pytest.raises(ValidationError):
        gateway.create_all([case.make(1), case.make(2), bad])
    assert gateway.create_all([]) == []
    assert gateway.count() == 0

    made = gateway.create_all(case.make(number) for number in range(1, 6))

    stored = sorted(gateway.get_all(), key=case.number_of)
    numbered = zip(made, stored, strict=True) if case.name == "logs" else ()
    assert stored == ([replace(one, id=other.id) for one, other in numbered] or made)


FILTERS: list[tuple[dict[str, Any], list[int]]] = [
    ({"model": "a", "is_active": False}, [2]),
    ({"model": "b", "is_active": True}, []),
    ({"model": None}, [4]),
    ({"model": ""}, [5]),
    ({"last_seen": MOMENT.astimezone(timezone(timedelta(hours=5, minutes=45)))}, [3]),
    ({"last_seen": MOMENT + timedelta(microseconds=1)}, []),
    ({"device_type": "modem"}, [4]),
    ({"device_type": DeviceType.MODEM}, [4]),
]


def test_filters_are_joined_by_and_and_none_asks_for_null(uow: UnitOfWork) -> None:
    uow.devices.create_all(
        [
            device(1, model="a"),
            device(2, model="a", is_active=False),
            device(3, model="b", is_active=False, last_seen=MOMENT),
            device(4, device_type=DeviceType.MODEM),
            device(5, model=""),
        ]
    )

    for filters, numbers in FILTERS:
        assert [int(d.id[-4:]) for d in uow.devices.find_by(**filters)] == numbers, filters
        assert uow.devices.count_by(**filters) == len(numbers), filters

    page = uow.devices.paginate(2, 1, "id", descending=True, model="a")
    assert ([d.id for d in page.items], page.total, page.pages) == (["device-0001"], 2, 2)


@every_gateway
def test_an_unknown_column_is_an_error_that_lists_the_columns(case: Case, uow: UnitOfWork) -> None:
    gateway = case.gateway(uow)

    for call in (gateway.find_by, gateway.find_one_by, gateway.count_by, gateway.paginate):
        for column in ("nonsense", "limit", "1=1; --", "name_is_null", "notes"):
            with pytest.raises(QueryError, match="cannot be filtered by") as refused:
                call(**{column: "x"})
            assert re.search(rf"it can by: .*\b{gateway.key}\b", str(refused.value))


# Pages


@every_gateway
def test_the_pages_hold_everything_once(case: Case, uow: UnitOfWork) -> None:
    assert case.gateway(uow).paginate(1, 5).pages == 0
    gateway = case.fill(uow, 7)

    pages = [gateway.paginate(page, 3) for page in (1, 2, 3)]

    assert [len(page.items) for page in pages] == [3, 3, 1]
    assert [item for page in pages for item in page.items] == gateway.get_all()
    assert {(page.total, page.pages, page.per_page) for page in pages} == {(7, 3, 3)}
    assert [page.page for page in pages] == [1, 2, 3]
    for per_page, count in [(7, 1), (6, 2), (8, 1)]:
        assert gateway.paginate(1, per_page).pages == count
    for number in (4, 2**40):
        beyond = gateway.paginate(number, 3)
        assert (beyond.items, beyond.total, beyond.pages, beyond.page) == ([], 7, 3, number)


def test_null_comes_first_and_text_is_ordered_by_code_point(uow: UnitOfWork) -> None:
    models = ["Z", "a", "_", "é", "B", "\U0001f600", "\uffee", "1", "ab", "a b", "e\u0301", ""]
    uow.devices.create_all(device(n, model=model) for n, model in enumerate([None, *models, None]))

    for descending, expected in [
        (False, [None, None, *sorted(models)]),
        (True, [*sorted(models, reverse=True), None, None]),
    ]:
        page = uow.devices.paginate(order_by="model", descending=descending)
        assert [d.model for d in page.items] == expected


def walk(
    gateway: Gateway[Any, Any], limit: int, between: Callable[[list[Any]], object] = len
) -> list[Any]:
    """Read all pages by key; ``between`` two pages is called with the records read so far."""
    walked: list[Any] = []
    after: Position | None = None
    while True:
        page = gateway.page_after(after, limit)
        walked += page.items
        after = page.after
        if after is None:
            return walked
        between(walked)


@every_gateway
def test_paging_by_key_walks_everything_once(case: Case, uow: UnitOfWork) -> None:
    gateway = case.fill(uow, 7)
    if case.newest_first:  # of one time, in the order of their keys
        gateway.create_all(ota_session(n, created_at=MOMENT) for n in range(11, 15))

    for limit in (1, 2, 3, 7, 11, 12):
        assert walk(gateway, limit) == gateway.get_all()


@every_gateway
def test_paging_by_key_is_not_disturbed_by_rows_that_come_in_between(
    case: Case, uow: UnitOfWork
) -> None:
    gateway = case.fill(uow, 6)
    expected = gateway.get_all()

    def write_before(walked: list[Any]) -> None:
        """Write a row before the reader's position: newer, or of a smaller key."""
        number = 100 + len(walked)
        if case.newest_first:
            gateway.create(ota_session(number))
        elif case.name == "devices":
            gateway.create(device(0, id=f"a{number}"))
        elif case.name == "cards":
            gateway.create(card(iccid=f"1{number:018d}"))
        else:
            gateway.delete(walked[0])

    assert walk(gateway, 2, write_before) == expected


@every_gateway
def test_a_place_that_no_page_gave_is_refused(case: Case, uow: UnitOfWork) -> None:
    for place in ["x", 5, (), ("a", "b", "c"), [1], (None,), {}, (None, None)]:
        with pytest.raises(ValidationError):
            case.gateway(uow).page_after(place)


# Values survive


def stored(uow: UnitOfWork, number: int = 1, **fields: Any) -> Device:
    """A device with these fields, as the database has it."""
    created = uow.devices.create(device(number, **fields))
    found = uow.devices.get_by_id(created.id)
    assert found == created
    return found


def test_a_time_comes_back_equal_in_utc_to_the_microsecond(uow: UnitOfWork) -> None:
    times = [
        datetime(1000, 1, 1, tzinfo=UTC),
        datetime(1969, 12, 31, 23, 59, 59, 999999, UTC),
        datetime(2026, 3, 29, 1, 30, 0, 1, UTC),
        datetime(2026, 10, 25, 1, 30, tzinfo=UTC, fold=1),
        datetime(2038, 1, 19, 3, 14, 8, 0, UTC),
        datetime(9999, 12, 31, 23, 59, 59, 999999, UTC),
        MOMENT.astimezone(timezone(timedelta(hours=-11, minutes=-30))),
        MOMENT.astimezone(timezone(timedelta(hours=14, seconds=7))),
    ]
    for number, value in enumerate(times):
        found = stored(uow, number, last_seen=value).last_seen
        assert found == value
        assert found.utcoffset() == timedelta(0)


ODD_TEXTS = [
    "",
    " ",
    "a ",
    " a",
    "a\n\r\t",
    "\x01\x1a\x7f",
    'O\'Brien "quoted" `back`',
    "back\\slash \\' \\n \\0 \\N",
    "100% %s %(name)s %%",
    ":name ? $1 @x #{y} {0}",
    "-- no comment /* nor here */ ;",
    "😀 é e\u0301 ß İ 日本 \u200b\ufeff\U0010ffff",
    "\\.",
    "NULL",
    "x" * 100_000,
]


def test_text_comes_back_equal(uow: UnitOfWork) -> None:
    uow.sessions.create_session(session_id=session_id())
    for number, text in enumerate(ODD_TEXTS):
        assert stored(uow, number, notes=text, name=text[:128]).notes == text
        assert uow.devices.count_by(name=text[:128]) == 1

        written = [entry(decoded_data=text, status_message=text[:128])] * 10
        uow.logs.add_log_batch(written)
        found = uow.logs.find_by_session(session_id(), offset=10 * number)
        assert {(log.decoded_data, log.status_message) for log in found} == {(text, text[:128])}


def test_strings_compare_byte_for_byte(uow: UnitOfWork) -> None:
    names = ["a", "A", "a ", " a", "é", "e", "e\u0301", "ß", "ss", "i", "\u0131", "a\u200b"]
    names += ["", " ", "1", "1.0", "😀", "😁"]
    uow.devices.create_all(device(id=f"<{name}>", name=name) for name in names)

    for name in names:
        assert [d.id for d in uow.devices.find_by(name=name)] == [f"<{name}>"]
    assert [d.id for d in uow.devices.get_all()] == sorted(f"<{name}>" for name in names)
    assert uow.devices.get_by_id("<B>") is None


def test_a_document_comes_back_equal(uow: UnitOfWork) -> None:
    documents: list[Any] = [
        {},
        [],
        {"a": None, "b": True, "c": False, "d": 0, "e": -1.5, "f": "1.0", "g": "null"},
        {"nested": {"list": [1, [2, [{"deep": []}]]]}},
        [2**63 - 1, -(2**63), 2**53 + 1, 0.1, 1e-300, 5e-324, 1e15],
        {"é": "😀", "quotes": "'\"\\`", "percent": "%s %%", "colon": ":x ?"},
        {"": "empty key", " ": "blank key", "a.b": 1, "$": 2},
        ["\x01\u2028\ufeff", "\\u0000 as text", "</script>"],
        {"1": "a", "A": 1, "a": 2},
    ]
    for number, document in enumerate(documents):
        found = stored(uow, number, connection_settings=document).connection_settings
        assert found == document
        assert [type(value) for value in document] == [type(value) for value in found or ()]
    created = uow.cards.create(card(trigger_config=None, bip_config={}, security_domains=[]))
    assert (created.trigger_config, created.bip_config, created.security_domains) == (None, {}, [])


TEXT = st.characters(exclude_characters="\0", exclude_categories=["Cs"])
LEAVES = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(-1e16, 1e16, exclude_min=True, exclude_max=True)
    | st.text(TEXT, max_size=8)
)
KEYS = st.text(TEXT, max_size=4)
DOCUMENTS = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=12,
).filter(lambda value: isinstance(value, dict | list))


TIMES = st.datetimes(datetime(1000, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001


@settings(max_examples=60)
@given(document=DOCUMENTS, text=st.text(TEXT, max_size=60), at=TIMES)
def test_every_document_text_and_time_that_is_taken_comes_back_equal(
    uow: UnitOfWork, document: Any, text: str, at: datetime
) -> None:
    uow.rollback()

    found = stored(uow, connection_settings=document, name=text, notes=text, last_seen=at)

    assert found.connection_settings == document
    assert (found.name, found.notes, found.last_seen) == (text, text, at)
    assert uow.devices.count_by(name=text, last_seen=at) == 1


@settings(max_examples=60)
@given(
    latencies=st.lists(st.floats(0, allow_infinity=False), min_size=1, max_size=12),
    text=st.text(TEXT, max_size=20),
)
def test_every_latency_and_text_of_a_log_comes_back_equal(
    uow: UnitOfWork, latencies: list[float], text: str
) -> None:
    uow.rollback()
    uow.sessions.create_session(session_id=session_id())

    uow.logs.add_log_batch([entry(latency_ms=one, decoded_data=text) for one in latencies])

    assert [log.latency_ms for log in uow.logs.get_all()] == latencies
    assert {log.decoded_data for log in uow.logs.get_all()} == {text}


# Records


@every_gateway
def test_a_record_of_another_class_is_refused(case: Case, uow: UnitOfWork) -> None:
    gateway = case.gateway(uow)
    for other in [device(), card(), None, {}]:
        if not isinstance(other, gateway.record):
            for call in (gateway.create, gateway.update, gateway.delete):
                with pytest.raises(ValidationError):
                    call(other)
            with pytest.raises(ValidationError):
                gateway.create_all([case.make(1), other])
    for records in (None, device()):
        with pytest.raises(ValidationError):
            gateway.create_all(records)

    assert gateway.count() == 0


def test_a_query_with_other_columns_than_its_record_is_named(
    uow: UnitOfWork, manager: DatabaseManager
) -> None:
    uow.devices.create(device())
    sql = "SELECT id FROM devices WHERE device_type = :device_type;"
    text = f"-- name: find_by_type :many\n-- D.\n{sql}"
    (query,) = parse(text, "devices.sql", manager.dialect)
    library = Library(manager.dialect, {"devices": {"find_by_type": query}})
    gateway = DeviceGateway(uow.devices._transaction, library)
    with pytest.raises(QueryError, match=r"devices.find_by_type: a row has 1 columns.*sql check"):
        gateway.find_phones()
