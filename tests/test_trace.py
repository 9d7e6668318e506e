"""Reading and replaying a trace of OTA sessions."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from cardlink_sql import (
    DatabaseManager,
    EncryptionError,
    IntegrityError,
    SessionStatus,
    UnitOfWork,
    ValidationError,
)
from cardlink_sql.transfer.capture import read_recording
from cardlink_sql.transfer.trace import replay

SAMPLE = Path(__file__).parent.parent / "scripts" / "quickstart-trace.jsonl"
LINES = [json.loads(line) for line in SAMPLE.read_text("utf-8").splitlines()]
SESSION = LINES[3]["session"]


def events(kind: str) -> list[dict[str, Any]]:
    return [line for line in LINES if line["event"] == kind]


def when(event: dict[str, Any]) -> datetime:
    return datetime.fromisoformat(event["timestamp"])


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Writes a trace: an event a line, or raw text."""

    def to_file(*lines: dict[str, Any] | str) -> Path:
        path = tmp_path / "trace.jsonl"
        texts = [line if isinstance(line, str) else json.dumps(line) for line in lines]
        path.write_text("\n".join(texts), encoding="utf-8")
        return path

    return to_file


class TestReplay:
    def test_reads_back_as_the_file_says_and_once(self, manager: DatabaseManager) -> None:
        done = replay(manager, read_recording(SAMPLE))
        assert (done.cards, done.sessions, done.entries) == (3, 4, 18)
        with UnitOfWork(manager, read_only=True) as uow:
            for card in events("card"):
                assert uow.cards.get_psk_key(card["iccid"]) == bytes.fromhex(card["psk_key"])
            for started in events("session_started"):
                session = uow.sessions.get_by_id(started["session"])
                assert session.started_at == when(started)
                handshake = session.started_at - session.created_at
                assert handshake.total_seconds() * 1000 == pytest.approx(started["handshake_ms"])
                assert session.tls_psk_identity == started["psk_identity"]
                assert session.tls_cipher_suite == started["cipher_suite"]
            for ended in events("session_ended"):
                session = uow.sessions.get_by_id(ended["session"])
                assert session.ended_at == when(ended)
            apdus = [line for line in LINES if line["event"] in ("command", "response")]
            for entry, line in zip(uow.logs.get_all(), apdus, strict=True):
                assert entry.session_id == line["session"]
                assert entry.timestamp == when(line)
                assert entry.timestamp.tzinfo == UTC
                assert entry.direction == line["event"]
                assert entry.raw_data == line["data"]
                assert entry.latency_ms == line.get("latency_ms")
                assert entry.status_word == line.get("status_word")

            assert uow.sessions.count_by(status=SessionStatus.COMPLETED) == 2
            assert uow.sessions.count_by(status=SessionStatus.TIMEOUT) == 1
            (failed,) = uow.sessions.find_by_status(SessionStatus.FAILED)
        assert failed.error_code == events("handshake_failed")[0]["alert"]
        assert failed.error_message == events("handshake_failed")[0]["error"]
        assert failed.card_iccid is None

        again = replay(manager, read_recording(SAMPLE))
        assert (again.cards, again.sessions, again.entries) == (0, 0, 0)
        assert (again.known_cards, again.known_sessions) == (3, 4)
        assert manager.run(lambda uow: uow.logs.count(), read_only=True) == 18

    def test_a_card_with_another_psk_or_a_taken_identity_stops_it_all(
        self, manager: DatabaseManager, write: Callable[..., Path]
    ) -> None:
        replay(manager, read_recording(write(LINES[0])))
        changed = {**LINES[0], "psk_key": "FF" * 16}
        with pytest.raises(IntegrityError, match="another PSK") as caught:
            replay(manager, read_recording(write(LINES[1], changed)))
        assert str(caught.value.where).endswith("trace.jsonl:2")
        assert "FF" * 16 not in str(caught.value)
        claimed = {**LINES[1], "psk_identity": LINES[0]["psk_identity"]}
        with pytest.raises(IntegrityError, match=r"its identity .* is taken"):
            replay(manager, read_recording(write(claimed)))
        assert manager.run(lambda uow: uow.cards.count(), read_only=True) == 1

    def test_without_an_encryption_key_nothing_is_written(
        self, manager: DatabaseManager, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delenv("CARDLINK_ENCRYPTION_KEY", raising=False)
        keyless = DatabaseManager(manager.config)
        with keyless, pytest.raises(EncryptionError, match="cardlink-db keys generate"):
            replay(keyless, read_recording(SAMPLE))
        assert manager.run(lambda uow: uow.cards.count(), read_only=True) == 0

    def test_a_session_that_the_file_does_not_end_stays_active(
        self, manager: DatabaseManager, write: Callable[..., Path]
    ) -> None:
        replay(manager, read_recording(write(*LINES[:5])))
        with UnitOfWork(manager, read_only=True) as uow:
            assert [session.id for session in uow.sessions.find_active()] == [SESSION]


CARD, STARTED, COMMAND, RESPONSE = LINES[0], LINES[3], LINES[4], LINES[5]
ENDED = next(line for line in LINES if line["event"] == "session_ended")
START = [CARD, STARTED]
BAD_TRACES: list[tuple[list[Any], int, str]] = [
    (["{"], 1, "not valid JSON"),
    (["[1]"], 1, "not a JSON object"),
    (["[" * 100_000], 1, "nested too deeply|not valid JSON"),
    ([CARD, "", "nope"], 3, "not valid JSON"),
    ([{"event": "carrd"}], 1, "none of: card"),
    ([{"event": ["card"]}], 1, "none of: card"),
    ([{**CARD, "event": None}], 1, "none of: card"),
    ([{k: v for k, v in CARD.items() if k != "psk_key"}], 1, "'psk_key' is missing"),
    ([{**CARD, "colour": 1}], 1, "'colour' is unknown"),
    ([{**CARD, "iccid": "123"}], 1, "iccid: '123' is not an ICCID"),
    ([{**CARD, "iccid": 89}], 1, "iccid: int is not text"),
    ([{**CARD, "psk_key": "XY"}], 1, "psk_key: the PSK is not hex"),
    ([{**CARD, "psk_key": ""}], 1, "psk_key: the PSK has 0 octets"),
    ([CARD, CARD], 2, "is there twice"),
    ([CARD, {**LINES[1], "psk_identity": CARD["psk_identity"]}], 2, "two cards claim"),
    ([*START, LINES[1]], 3, "a card comes after the first session"),
    ([STARTED], 1, "no card of the trace has the identity"),
    ([*START, STARTED], 3, "started before"),
    ([CARD, {**STARTED, "session": "x"}], 2, "session: 'x' is not a UUID"),
    ([CARD, {**STARTED, "timestamp": "2026-03-17T09:30:01"}], 2, "no time zone"),
    ([CARD, {**STARTED, "timestamp": "yesterday"}], 2, "not a time"),
    ([CARD, {**STARTED, "handshake_ms": "fast"}], 2, "handshake_ms: 'fast' is not a number"),
    ([CARD, json.dumps(STARTED).replace("3.187", "NaN")], 2, "NaN is not a JSON number"),
    ([CARD, COMMAND], 2, "has not started"),
    ([*START, {**COMMAND, "data": "00A"}], 3, "data: '00A' has an odd number of hex digits"),
    ([*START, {**RESPONSE, "status_word": "9"}], 3, "not a status word"),
    ([*START, {**RESPONSE, "status_word": ""}], 3, "not a status word"),
    ([*START, {**COMMAND, "data": ""}], 3, "is not hex"),
    ([*START, {**RESPONSE, "status_word": "6A82"}], 3, "does not end in the status word"),
    ([*START, {**RESPONSE, "latency_ms": -1}], 3, "expected milliseconds, 0 or more, got -1"),
    ([*START, {**COMMAND, "timestamp": "2020-01-01T00:00:00Z"}], 3, "before that of the event"),
    ([*START, {**ENDED, "timestamp": STARTED["timestamp"]}, COMMAND], 4, "has ended"),
    ([*START, {**ENDED, "reason": ""}], 3, "reason"),
    ([CARD, "{}"], 2, "event None"),
    (["", ""], 0, "holds no event"),
]


@pytest.mark.parametrize(("lines", "number", "what"), BAD_TRACES)
def test_a_line_that_breaks_the_rules_is_named(
    lines: list[Any], number: int, what: str, write: Callable[..., Path]
) -> None:
    path = write(*lines)
    with pytest.raises(ValidationError, match=what) as caught:
        read_recording(path)
    assert caught.value.where == (f"{path}:{number}" if number else str(path))


def test_a_response_may_have_no_status_word(write: Callable[..., Path]) -> None:
    """A mute card's response is empty, and a response script of SCP81 ends in zeros."""
    for data in ("", "AF802302900000000000"):
        path = write(*START, {**RESPONSE, "data": data, "status_word": None})
        (session,) = read_recording(path).sessions.values()
        assert [(one.raw_data, one.status_word) for one in session.entries] == [(data, None)]


def test_a_key_is_in_no_repr() -> None:
    assert CARD["psk_key"].lower() not in repr(read_recording(SAMPLE)).lower()


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=4,
)


@settings(max_examples=150)
@given(
    st.integers(0, len(LINES) - 1),
    st.sampled_from(sorted({name for line in LINES for name in line})),
    json_values,
)
def test_any_value_anywhere_is_taken_or_refused_with_its_line(
    tmp_path_factory: pytest.TempPathFactory, number: int, name: str, value: object
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.jsonl"
    lines = [dict(line) for line in LINES]
    lines[number][name] = value
    path.write_text("\n".join(json.dumps(line) for line in lines), "utf-8")
    try:
        read_recording(path)
    except ValidationError as error:
        assert str(error.where).startswith(f"{path}:")
