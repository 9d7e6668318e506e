"""The communication log."""

import json
import random
from collections.abc import Callable, Iterator
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from cardlink_sql import (
    CommLog,
    DatabaseManager,
    Direction,
    IntegrityError,
    NotFoundError,
    UnitOfWork,
    ValidationError,
)
from cardlink_sql.gateways.logs import LogGateway
from cardlink_sql.model.status_words import describe, is_error
from tests.conftest import MOMENT, dump, entry, session_id

KEY = session_id()
BATCHES = [1, 8, 101, 2500]


@pytest.fixture
def logs(uow: UnitOfWork) -> LogGateway:
    """The log, with two sessions."""
    uow.sessions.create_session(session_id=session_id(1))
    uow.sessions.create_session(session_id=session_id(2))
    return uow.logs


def commands(count: int, **fields: Any) -> Iterator[CommLog]:
    """Commands that hold their numbers."""
    return (entry(raw_data=f"{number:08X}", **fields) for number in range(count))


def numbers(entries: list[CommLog]) -> list[int]:
    """The numbers that :func:`commands` put in."""
    return [int(found.raw_data, 16) for found in entries]


def response(raw_data: str, **fields: Any) -> CommLog:
    """A response of the session."""
    return entry(raw_data=raw_data, direction=Direction.RESPONSE, **fields)


# Writing

WRITERS: dict[str, Callable[[LogGateway, CommLog], object]] = {
    "add_log": lambda logs, log: logs.add_log(
        log.session_id,
        log.direction,
        log.raw_data,
        latency_ms=log.latency_ms,
        decoded_data=log.decoded_data,
        status_word=log.status_word,
        status_message=log.status_message,
        timestamp=log.timestamp,
    ),
    "batch of one": lambda logs, log: logs.add_log_batch([log]),
    "create": lambda logs, log: logs.create(log),
}
every_writer = pytest.mark.parametrize("write", WRITERS.values(), ids=list(WRITERS))


@every_writer
def test_an_entry_keeps_all_its_fields(
    logs: LogGateway, write: Callable[[LogGateway, CommLog], object]
) -> None:
    full = response(
        "6F108408A0000000039000", latency_ms=12.345678, decoded_data="FCI", status_word="9000",
        status_message="as the tester calls it",
    )  # fmt: skip

    write(logs, full)

    (found,) = logs.get_all()
    full.id = found.id
    assert found == full
    assert found.id > 0


@every_writer
def test_status_word_and_message_are_read_from_a_response(
    logs: LogGateway, write: Callable[[LogGateway, CommLog], object]
) -> None:
    for raw_data, status_word, message in [
        ("9000", "9000", "Normal ending of the command"),
        ("6f00ab9000", "9000", "Normal ending of the command"),
        ("6A82", "6A82", "File or application not found"),
        ("611C", "611C", "Normal ending, 28 more bytes available"),
        ("6100", "6100", "Normal ending, 256 more bytes available"),
        ("6C0F", "6C0F", "Wrong length Le, 15 bytes available"),
        ("63c2", "63C2", "Verification failed, 2 retries remaining"),
        ("1234", "1234", None),
        ("9804", "9804", describe("9804")),
        ("AF80230290000000", None, None),
        ("AF802302900000009000", "9000", "Normal ending of the command"),
        ("00", None, None),
        ("", None, None),
    ]:
        write(logs, response(raw_data))
        found = logs.get_all()[-1]
        assert (found.status_word, found.status_message) == (status_word, message)
        assert found.raw_data == raw_data.upper()

    write(logs, response("AABB9000", status_word="6a82"))
    found = logs.get_all()[-1]
    assert (found.status_word, found.status_message) == ("6A82", "File or application not found")


@every_writer
def test_a_command_is_stored_as_bare_hex_without_a_status_word(
    logs: LogGateway, write: Callable[[LogGateway, CommLog], object]
) -> None:
    for raw_data in ["00 a4 90 00", "00:A4:90:00", "0x00 0xA4 0x90 00", b"\x00\xa4\x90\x00"]:
        write(logs, entry(raw_data=raw_data))
        found = logs.get_all()[-1]
        assert (found.raw_data, found.status_word) == ("00A49000", None)
        assert found.status_message is None

    for status_word in (None, "9000"):
        with pytest.raises(ValidationError, match="a command must not be empty"):
            write(logs, entry(raw_data="", status_word=status_word))


def test_an_entry_is_written_in_its_canonical_form(logs: LogGateway) -> None:
    before = datetime.now(UTC)

    logs.add_log(KEY.upper().replace("-", ""), "response", "9000")
    logs.add_log(KEY, Direction.RESPONSE, "9000")

    for found in logs.find_by_session(KEY):
        assert before <= found.timestamp <= datetime.now(UTC)
        assert found.direction is Direction.RESPONSE
    assert logs.count_by_session(KEY) == 2


@pytest.mark.parametrize("count", BATCHES)
def test_batch_and_buffer_of_any_size_keep_their_order(logs: LogGateway, count: int) -> None:
    assert logs.add_log_batch(commands(count)) == count
    for log in commands(count, session=session_id(2)):
        logs.add_log(log.session_id, log.direction, log.raw_data, timestamp=log.timestamp)

    assert numbers(logs.find_by_session(KEY)) == list(range(count))
    assert numbers(logs.find_by_session(session_id(2))) == list(range(count))


def test_the_order_is_that_of_writing_by_any_way_and_not_of_the_times(logs: LogGateway) -> None:
    times = iter([MOMENT - timedelta(seconds=n // 2) for n in range(30)])
    for number in range(0, 30, 3):
        logs.add_log(KEY, "command", f"{number:08X}", timestamp=next(times))
        logs.add_log_batch([entry(raw_data=f"{number + 1:08X}", timestamp=next(times))])
        logs.create(entry(raw_data=f"{number + 2:08X}", timestamp=next(times)))

    assert numbers(logs.find_by_session(KEY)) == list(range(30))
    assert numbers(logs.paginate(per_page=50, order_by="id").items) == list(range(30))


def test_the_log_of_a_session_is_read_in_parts(logs: LogGateway) -> None:
    logs.add_log_batch(entry(session_id(1 + n % 2), f"{n:08X}") for n in range(20))

    assert numbers(logs.find_by_session(session_id(2))) == list(range(1, 20, 2))
    assert numbers(logs.find_by_session(KEY, limit=3, offset=4)) == [8, 10, 12]
    assert logs.find_by_session(KEY, limit=0) == []
    assert logs.find_by_session(KEY, offset=10) == []


# The buffer


def test_flush_writes_the_buffer_and_rollback_empties_it(uow: UnitOfWork, logs: LogGateway) -> None:
    for _ in range(3):
        logs.add_log(KEY, "command", "00")

    assert logs.flush_batch() == 3
    assert logs.flush_batch() == 0
    assert logs.count() == 3

    logs.add_log(KEY, "command", "00")
    uow.rollback()
    assert (logs.count(), logs.flush_batch()) == (0, 0)


def test_every_statement_writes_the_buffer_first(uow: UnitOfWork, logs: LogGateway) -> None:
    logs.add_log(KEY, "command", "00")
    logs.add_log(session_id(2), "command", "01")
    assert logs.count_by_session(KEY) == 1

    logs.add_log(KEY, "command", "00")
    uow.sessions.delete_by_id(KEY)
    assert raw(logs.get_all()) == ["01"]


def test_a_bad_entry_is_refused_at_once_and_the_buffer_kept(logs: LogGateway) -> None:
    logs.add_log(KEY, "command", "00")

    with pytest.raises(ValidationError):
        logs.add_log(KEY, "command", "0")

    assert logs.count() == 1


@pytest.mark.parametrize("count", [1, 250])
def test_a_batch_with_one_bad_entry_writes_nothing(
    uow: UnitOfWork, logs: LogGateway, count: int
) -> None:
    other: Any = None
    with pytest.raises(ValidationError, match=rf"comm_logs\[{count}\]"):
        logs.add_log_batch([*commands(count), other])
    with pytest.raises(ValidationError, match="raw_data"):
        logs.add_log_batch([*commands(count), entry(raw_data="0")])
    with pytest.raises(IntegrityError, match="does not exist"), uow.savepoint():
        logs.add_log_batch([*commands(count), entry(session_id(99))])

    assert logs.count() == 0


def test_a_buffered_entry_for_no_session_is_found_by_commit(manager: DatabaseManager) -> None:
    with UnitOfWork(manager) as uow:
        uow.logs.add_log(session_id(99), "command", "00")
        with pytest.raises(IntegrityError, match="there is no session"):
            uow.commit()

    assert dump(manager)["comm_logs"] == []


def test_a_long_apdu_is_kept(logs: LogGateway) -> None:
    # An extended APDU: 65,535 bytes of data, header, lengths.
    raw_data = "AB" * 65_544

    logs.add_log_batch([entry(raw_data=raw_data)] * 12)

    assert {found.raw_data for found in logs.get_all()} == {raw_data}


def test_an_entry_is_updated_with_its_status_word(logs: LogGateway) -> None:
    created = logs.create(response("9000"))
    created.raw_data = "6a82"
    created.status_word = created.status_message = None

    updated = logs.update(created)

    assert (updated.raw_data, updated.status_word) == ("6A82", "6A82")
    assert updated.status_message == "File or application not found"


# Reading


@pytest.fixture
def dialogue(logs: LogGateway) -> LogGateway:
    """Four exchanges in two sessions, in the order of their numbers."""
    logs.add_log_batch(
        [
            entry(session_id(1), "00A40004023F00"),
            response("6A82", session=session_id(1)),
            entry(session_id(2), "00B0000010"),
            response("AABB9000", session=session_id(2)),
            entry(session_id(1), "00B2010410"),
            response("61FF", session=session_id(1)),
            entry(session_id(2), "00A4"),
            response("AA", session=session_id(2)),
        ]
    )
    return logs


def raw(entries: list[CommLog]) -> list[str]:
    return [found.raw_data for found in entries]


def test_normal_endings_are_not_errors_where_they_are_left_out(logs: LogGateway) -> None:
    words = ["9000", "6120", "910B", "9205", "9F10", "9240", "6283", "63C2", "6A82", "9804", "9300"]
    logs.add_log_batch([response(word) for word in [*words, "AA"]])

    errors = ["9240", "6283", "63C2", "6A82", "9804", "9300"]
    assert raw(logs.find_errors(KEY, normal_endings=False)) == errors
    assert raw(logs.find_errors(limit=2, normal_endings=False)) == ["9300", "9804"]
    assert logs.get_session_summary(KEY).errors == len(errors)
    assert [word for word in words if is_error(word)] == errors


def test_entries_are_found_from_a_time_on(logs: LogGateway) -> None:
    times = [MOMENT + timedelta(microseconds=number) for number in range(3)]
    logs.add_log_batch([entry(raw_data=f"00A{n}", timestamp=at) for n, at in enumerate(times)])
    assert raw(logs.find_matching(since=times[1])) == ["00A2", "00A1"]
    assert raw(logs.find_matching(since=times[1], session_id=KEY, limit=1)) == ["00A1"]
    assert raw(logs.search_hex("00", since=times[2])) == ["00A2"]


def test_entries_are_found_within_a_session_in_order_and_in_all_newest_first(
    dialogue: LogGateway,
) -> None:
    dialogue.add_log(KEY, "command", "00", status_word="6A82")  # a command is no error
    errors, direction, second = dialogue.find_errors, dialogue.find_by_direction, session_id(2)
    for found, expected in [
        (dialogue.find_commands(KEY), ["00A40004023F00", "00B2010410", "00"]),
        (direction(KEY, "command"), ["00A40004023F00", "00B2010410", "00"]),
        (dialogue.find_commands(limit=3), ["00", "00A4", "00B2010410"]),
        (dialogue.find_responses(KEY), ["6A82", "61FF"]),
        (direction(KEY, Direction.RESPONSE), ["6A82", "61FF"]),
        (dialogue.find_responses(), ["AA", "61FF", "AABB9000", "6A82"]),
        (dialogue.find_by_status(second, "9000"), ["AABB9000"]),
        (dialogue.find_by_status(KEY, "9000"), []),
        (errors(KEY), ["6A82", "61FF"]),
        (errors(second), []),
        (errors(limit=1), ["61FF"]),
        (dialogue.search_hex("00A4"), ["00A40004023F00", "00A4"]),
        (dialogue.search_hex("00A4", second), ["00A4"]),
        (dialogue.search_hex("00A4", limit=1), ["00A40004023F00"]),
        (dialogue.search_hex("00A4", limit=0), []),
    ]:
        assert raw(found) == expected
    assert raw(dialogue.find_by_status(None, "6a82")) == ["00", "6A82"]
    assert list(dialogue.stream_all()) == dialogue.get_all()
    assert dialogue.count_by_session(KEY) == 5
    assert dialogue.count_by_session(session_id(3)) == 0


@pytest.mark.parametrize("pattern", ["A482", "a482", "a4 82", " A4\t82 ", "A 4 8 2"])
def test_hex_is_searched_by_whole_bytes_in_any_case(logs: LogGateway, pattern: str) -> None:
    matching = ["A482", "00A482FF", "0A4820A482", "A4A482", "A400A482"]
    others = ["0A4820", "0A48200A482F", "A44820", "00A483"]
    logs.add_log_batch(entry(raw_data=one) for one in matching + others)

    assert raw(logs.search_hex(pattern)) == matching


def test_a_search_goes_on_after_many_that_match_between_bytes(logs: LogGateway) -> None:
    logs.add_log_batch([entry(raw_data="0A4820")] * 2100)
    logs.add_log_batch([entry(raw_data="A482")] * 3)

    assert raw(logs.search_hex("A482")) == ["A482"] * 3


@pytest.mark.parametrize("count", [0, 1999, 2000, 2001])
def test_a_session_is_streamed_in_pages_between_other_statements(
    logs: LogGateway, count: int
) -> None:
    logs.add_log_batch(commands(count))
    logs.add_log_batch([entry(session_id(2))] * 3)
    seen = []

    for log in logs.stream_session(KEY):
        seen.append(log)
        if len(seen) % 500 == 0:
            assert logs.get_by_id(log.id) == log

    assert numbers(seen) == list(range(count))


# Figures


def test_the_summary_equals_a_count_by_hand(logs: LogGateway) -> None:
    chance = random.Random(1)
    entries = [
        entry(
            raw_data=chance.choice(["9000", "6A82", "00", "AB9000", "6101"]),
            direction=chance.choice(list(Direction)),
            latency_ms=chance.choice([None, chance.uniform(0, 1000)]),
            timestamp=MOMENT + timedelta(microseconds=chance.randrange(10**9)),
        )
        for _ in range(100)
    ]
    logs.add_log_batch(entries)
    logs.add_log_batch([response("6F00", session=session_id(2))])
    responses = [e for e in entries if e.direction is Direction.RESPONSE]
    latencies = [e.latency_ms for e in entries if e.latency_ms is not None]

    summary = logs.get_session_summary(KEY)

    assert summary.session_id == KEY
    assert (summary.total, summary.commands) == (100, 100 - len(responses))
    assert summary.responses == len(responses)
    assert summary.errors == sum(e.raw_data == "6A82" for e in responses)
    assert summary.average_latency_ms == pytest.approx(sum(latencies) / len(latencies), rel=1e-12)
    assert summary.maximum_latency_ms == max(latencies)
    assert summary.first_at == min(e.timestamp for e in entries)
    assert summary.last_at == max(e.timestamp for e in entries)


def test_the_summary_of_an_empty_session_is_empty(logs: LogGateway) -> None:
    summary = logs.get_session_summary(KEY)

    assert (summary.total, summary.commands, summary.responses, summary.errors) == (0, 0, 0, 0)
    assert (summary.average_latency_ms, summary.maximum_latency_ms) == (None, None)
    assert (summary.first_at, summary.last_at) == (None, None)
    with pytest.raises(NotFoundError, match=session_id(99)):
        logs.get_session_summary(session_id(99))


# Keeping and taking away


def test_old_entries_are_purged(logs: LogGateway) -> None:
    now = datetime.now(UTC)
    ages = [timedelta(days=days) for days in (0, 6.99, 7.01, 30, 31, 32)]
    logs.add_log_batch(
        entry(raw_data=f"{n:08X}", timestamp=now - age) for n, age in enumerate(ages)
    )

    assert logs.purge_old(days=7, limit=1) == 1
    assert logs.purge_old(days=7) == 3
    assert numbers(logs.get_all()) == [0, 1]
    assert logs.purge_old(days=7) == 0


def test_an_export_is_json_and_holds_every_entry(dialogue: LogGateway) -> None:
    exported = json.loads(json.dumps(dialogue.export_session_logs(KEY)))

    stored = dialogue.find_by_session(KEY)
    assert [item["raw_data"] for item in exported] == raw(stored)
    assert exported[1] == asdict(stored[1]) | {"timestamp": MOMENT.isoformat()}
    assert dialogue.export_session_logs(session_id(99)) == []
