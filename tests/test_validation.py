"""The form of values: what each check takes, returns and refuses."""

import math
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from enum import Enum
from typing import Any

import pytest
from hypothesis import given, strategies as st

from cardlink_sql import Direction, ValidationError
from cardlink_sql.model import times, validation
from cardlink_sql.model.luhn import luhn_is_right
from tests.exchange_data import nested

WHERE = "table.column"
MESSY = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary()


class Name(str, Enum):  # noqa: UP042 - not a StrEnum, whose str() is its value
    CARD = "card_1"


def test_a_refusal_is_a_value_error_that_names_the_place() -> None:
    with pytest.raises(ValueError, match="not text") as refused:
        validation.text(5, "devices.name")

    assert isinstance(refused.value, ValidationError)
    assert refused.value.where == "devices.name"
    assert str(refused.value).startswith("devices.name: ")


@given(st.text())
def test_text_comes_back_as_it_is_or_is_refused(value: str) -> None:
    if "\0" in value:
        with pytest.raises(ValidationError):
            validation.text(value, WHERE)
    else:
        assert validation.text(value, WHERE) == value


class Nowhere(tzinfo):
    """A zone that does not know its offset."""

    def utcoffset(self, _dt: datetime | None) -> None:
        return None

    dst = tzname = utcoffset


DIGITS = "894989498949894"
REFUSED: list[tuple[Callable[..., Any], list[Any]]] = [
    (validation.text, ["\0", "a\0b", "\ud800", "a\udfffb", None, 5, b"a", ["a"], True]),
    (validation.identifier, ["", " ", " a", "a ", "a\n", "\u2003a"]),
    (validation.boolean, [1, 0, "true", None, 1.0]),
    (validation.whole, [2**63, -(2**63) - 1, 10**400, 1.0, "1", True, None]),
    (
        validation.latency,
        [math.nan, math.inf, -math.inf, -0.001, -1, 10**400, True, "1", None, 1j],
    ),
    (validation.seconds, [0, 0.0, -1, math.nan, math.inf, True, "1", None]),
    (validation.waiting_time, [-0.001, math.nan, math.inf, True, "1", None]),
    (
        validation.moment,
        [
            datetime(2026, 1, 1),  # noqa: DTZ001
            datetime(2026, 1, 1, tzinfo=Nowhere()),
            datetime(999, 12, 31, 23, 59, 59, tzinfo=UTC),
            datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=1))),
            datetime(9999, 12, 31, 23, 59, tzinfo=timezone(timedelta(hours=-1))),
            datetime(2026, 1, 1, tzinfo=UTC).date(),
            "2026-01-01T00:00:00+00:00",
            1_767_225_600,
            None,
        ],
    ),
    (validation.hex_bytes, ["", "0", "00A", "0G", "0 0", "00 A", "0x", "0x0", "00x0", "0x0xAA"]),
    (validation.hex_bytes, [":", "\uff10\uff10", b"00", 0]),
    (
        validation.iccid,
        [
            "8944501234567890123F\n",
            " 8944501234567890123",
            "8944F50123456789012",
            "894450123456789012A",
            "8944501234567890G23",
            "894450123456789F",
            "F" * 20,
            "894450123456789012\uff14",
            8944501234567890123,
            b"8944501234567890123",
        ],
    ),
    (validation.imei, ["-352099001761481", "352099001761481-", "35--2099001761481"]),
    *(
        (check, [f"{DIGITS}\n", f" {DIGITS}", int(DIGITS), DIGITS.encode()])
        for check in (validation.imsi, validation.imei)
    ),
    *(
        (check, [DIGITS.replace("4", other) for other in ("A", "٤", "\uff14")])
        for check in (validation.imsi, validation.imei)
    ),
    (validation.atr, ["3B", "00", "", "4B00", "3C9F", "3B9", "3B" * 65]),
    (validation.status_word, ["", "900", "90000", "90 00", "9G00", "\uff19" * 4, 9000, None]),
    (validation.session_id, ["", "x", "0" * 31, f"{{{'0' * 32}}}x", "0" * 37, None, 5, b"0"]),
    (validation.psk_identity, ["", "a" * 129, "é" * 65, "é" * 64 + "a", "😀" * 33]),
    (validation.limit, [-1, 1.0, "1", True]),
    *(
        (check, [0, -1, math.nan, math.inf, 1e300, 10**400, True, "1", None])
        for check in (validation.hours, validation.days)
    ),
]


def test_values_of_another_form_are_refused() -> None:
    for check, values in REFUSED:
        for value in values:
            with pytest.raises(ValidationError):
                check(value, WHERE)


def test_length_is_counted_in_characters_and_in_hex_without_blanks() -> None:
    for character in ["a", "é", "😀"]:
        assert validation.text(character * 10, WHERE, 10) == character * 10
        with pytest.raises(ValidationError, match="11 characters, at most 10"):
            validation.text(character * 11, WHERE, 10)
    assert validation.hex_bytes("00 " * 8, WHERE, 16) == "00" * 8
    with pytest.raises(ValidationError, match="at most 16"):
        validation.hex_bytes("00 " * 9, WHERE, 16)


UNCHANGED: list[tuple[Callable[..., Any], list[Any]]] = [
    (validation.identifier, ["a b"]),
    (validation.whole, [-(2**63), -1, 0, 2**63 - 1]),
    (validation.psk_identity, ["a", "a" * 128, "é" * 64, "😀" * 32, " ", "a\nb"]),
    (validation.hours, [0.001, 1, 365 * 1000]),
    (validation.days, [0.001, 1, 365 * 1000]),
]
HEX = ["00a404", "00 A4 04", "00:a4:04", "0x00A404", "0x00 0xA4 0X04", " 00A4\n04\n"]
UUID = "0123abcd-4567-89ef-0123-456789abcdef"
CHANGED: list[tuple[Callable[..., Any], list[Any], Any]] = [
    (validation.iccid, ["8944501234567890123F", "8944501234567890123"], "8944501234567890123"),
    (validation.iccid, ["894450123456789012ff"], "894450123456789012"),
    (validation.iccid, ["898602b0123456789012", "898602B0123456789012"], "898602B0123456789012"),
    (validation.imsi, ["262011234567890"], "262011234567890"),
    (validation.hex_bytes, HEX, "00A404"),
    (validation.apdu, HEX, "00A404"),
    (validation.psk_key, HEX, b"\x00\xa4\x04"),
    (validation.session_id, [UUID, UUID.upper(), UUID.replace("-", "")], UUID),
    (
        validation.imei,
        ["35-209900-176148-1", "352099-00-176148-1", "352099001761481"],
        "352099001761481",
    ),
    (validation.apdu, [b"\x00\xa4", bytearray(b"\x00\xa4"), memoryview(b"\x00\xa4")], "00A4"),
    (validation.apdu, ["", b""], ""),
    (validation.hex_pattern, ["00a4", "00 A4", " 0 0 a 4 ", "00\tA4\n"], "00A4"),
    (validation.atr, ["3B9F", "3b 9f", "3B:9F"], "3B9F"),
    (validation.atr, ["3f6525"], "3F6525"),
    (validation.atr, ["3B" * 64], "3B" * 64),
    (validation.status_word, ["6a82"], "6A82"),
    (validation.psk_key, [b"\0", "00"], b"\0"),
    (validation.psk_key, [bytes(64)], bytes(64)),
    (validation.psk_key, [bytearray(16), "00" * 16], bytes(16)),
    (validation.psk_key, ["AB cd"], b"\xab\xcd"),
    (validation.limit, [None], 2**63 - 1),
    (validation.choice(Direction), ["command", Direction.COMMAND], Direction.COMMAND),
    (validation.psk_identity, [Name.CARD], "card_1"),
    (validation.text, [Name.CARD], "card_1"),
]


def test_a_value_comes_back_in_its_canonical_form() -> None:
    for check, values in UNCHANGED:
        assert [check(value, WHERE) for value in values] == values
    for check, written, stored in CHANGED:
        for value in written:
            found = check(value, WHERE)
            assert (type(found), found) == (type(stored), stored)


def test_an_enumeration_takes_nothing_else_and_lists_its_values() -> None:
    for value in ["Command", "COMMAND", "", "command ", None, 0, True, b"command"]:
        with pytest.raises(ValidationError, match="is not command or response"):
            validation.choice(Direction)(value, WHERE)


ZONES = st.integers(-1439, 1439).map(lambda m: timezone(timedelta(minutes=m)))


@given(st.datetimes(datetime(1000, 1, 3), datetime(9999, 12, 29), timezones=ZONES))  # noqa: DTZ001
def test_a_time_comes_back_equal_and_in_utc(value: datetime) -> None:
    checked = validation.moment(value, WHERE)

    assert checked == value
    assert checked.tzinfo is UTC


# Times that share a second, a day, or neither, before and after each other.
STEPS = st.sampled_from([0, 1, 999_999, 1_000_000, 86_400_000_000]) | st.integers(0, 10**12)


@given(st.lists(STEPS, min_size=2))
def test_a_time_becomes_text_whatever_came_before_it(steps: list[int]) -> None:
    for step in steps:
        moment = datetime(2026, 11, 22, 22, 17, 13, tzinfo=UTC) + timedelta(microseconds=step)

        assert times.utc_to_text(moment) == moment.isoformat(" ", "microseconds")


def test_numbers_of_cards_and_devices_have_their_lengths() -> None:
    for check, shortest, longest in [
        (validation.iccid, 18, 22),
        (validation.imsi, 6, 15),
        (validation.imei, 14, 16),
    ]:
        for length in range(30):
            digits = ("0123456789" * 3)[:length]
            if shortest <= length <= longest:
                assert check(digits, WHERE) == digits
            else:
                with pytest.raises(ValidationError):
                    check(digits, WHERE)


def test_an_iccid_with_a_wrong_luhn_digit_is_taken() -> None:
    digits = "8944501234567890120"

    assert validation.iccid(digits) == digits
    assert not luhn_is_right(digits)
    assert luhn_is_right("79927398713")
    assert luhn_is_right("898602B0123456789012"), "letters: no Luhn digit"


@given(st.text("0123456789", min_size=17, max_size=21))
def test_one_digit_in_ten_is_the_luhn_digit(body: str) -> None:
    assert sum(luhn_is_right(body + digit) for digit in "0123456789") == 1


def test_a_bad_psk_is_refused_and_not_shown() -> None:
    for key in [b"", bytes(65), "", "00" * 65, "SECRET", "5EC", None, 5, ["00"]]:
        with pytest.raises(ValidationError) as refused:
            validation.psk_key(key)

        assert "SECRET" not in str(refused.value)
        assert "5EC" not in str(refused.value)
        assert refused.value.__suppress_context__ or refused.value.__context__ is None


@pytest.mark.parametrize(
    ("value", "place"),
    [
        ("text", WHERE),
        (5, WHERE),
        (None, WHERE),
        ((1, 2), WHERE),
        ({"a": math.nan}, f"{WHERE}.a"),
        ({"a": [0, math.inf]}, f"{WHERE}.a[1]"),
        ({"a": {"b": "\0"}}, f"{WHERE}.a.b"),
        (["\ud800"], f"{WHERE}[0]"),
        ([2**63], f"{WHERE}[0]"),
        ([-1e16], f"{WHERE}[0]"),
        ({1: "a"}, WHERE),
        ({None: "a"}, WHERE),
        ({"a\0": 1}, WHERE),
        ({"a": {1, 2}}, f"{WHERE}.a"),
        ({"a": (1, 2)}, f"{WHERE}.a"),
        ([b"a"], f"{WHERE}[0]"),
        ([datetime(2026, 1, 1, tzinfo=UTC)], f"{WHERE}[0]"),
    ],
)
def test_what_json_cannot_hold_is_refused_with_its_place(value: Any, place: str) -> None:
    with pytest.raises(ValidationError) as refused:
        validation.document(value, WHERE)

    assert refused.value.where == place


def test_json_is_nested_31_levels_deep_at_most() -> None:
    endless: list[Any] = []
    endless.append(endless)
    assert validation.document(nested(31), WHERE)
    for value, said in [
        (nested(32), "at most 31 levels"),
        (nested(1000), "too deep"),
        (nested(100_000), "too deep"),
        (endless, "JSON"),
    ]:
        with pytest.raises(ValidationError, match=said):
            validation.document(value, WHERE)


def test_json_is_as_long_as_text_at_most() -> None:
    assert validation.document(["x" * (validation.MAX_TEXT - 4)], WHERE)
    with pytest.raises(ValidationError, match="longer than"):
        validation.document(["x" * (validation.MAX_TEXT - 3)], WHERE)


ALL_CHECKS = [
    *dict.fromkeys(check for check, *_ in [*REFUSED, *UNCHANGED, *CHANGED]),
    *(validation.choice(Direction), validation.document, validation.octets, validation.duration),
]


@given(st.sampled_from(ALL_CHECKS), MESSY | st.lists(MESSY) | st.dictionaries(MESSY, MESSY))
def test_a_check_raises_nothing_but_a_validation_error(check: validation.Check, value: Any) -> None:
    try:
        check(value, WHERE)
    except ValidationError as refused:
        assert str(refused)


@pytest.mark.parametrize("check", ALL_CHECKS)
def test_no_check_shows_what_may_be_a_key(check: validation.Check) -> None:
    for key in ("deadbeefcafe00112233445566778899", "DE AD BE EF CA FE 00 11 22 33 44 55"):
        for value in (key, f"{key}zz", f"id-{key}", key * 9):
            try:
                check(value, WHERE)
            except ValidationError as refused:
                assert key[:8] not in str(refused)
