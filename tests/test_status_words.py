"""Status words in words: ISO/IEC 7816-4 and ETSI TS 102 221."""

import pytest
from hypothesis import given, strategies as st

from cardlink_sql.model.status_words import describe, is_error

WORDS = st.integers(0, 0xFFFF).map("{:04X}".format)


@pytest.mark.parametrize(
    ("status_word", "meaning"),
    [
        ("9000", "Normal ending of the command"),
        ("6283", "Selected file invalidated or deactivated"),
        ("6581", "Memory problem"),
        ("6700", "Wrong length"),
        ("6881", "Logical channel not supported"),
        ("6982", "Security status not satisfied"),
        ("6983", "Authentication or PIN method blocked"),
        ("6985", "Conditions of use not satisfied"),
        ("6A80", "Incorrect parameters in the data field"),
        ("6A82", "File or application not found"),
        ("6A84", "Not enough memory space"),
        ("6A88", "Referenced data not found"),
        ("6D00", "Instruction code not supported or invalid"),
        ("6E00", "Class not supported"),
        ("6310", "More data available"),
        ("9400", "No EF selected"),
        ("9402", "Out of range, invalid address"),
        ("9404", "File ID or pattern not found"),
        ("9408", "File inconsistent with the command"),
        ("9802", "No CHV initialized"),
        (
            "9804",
            "Access condition not fulfilled, or verification failed with retries remaining",
        ),
        ("9808", "In contradiction with the CHV status"),
        ("9810", "In contradiction with the invalidation status"),
        ("9840", "Verification failed, no retries remaining, CHV blocked"),
        ("9862", "Authentication error, application specific"),
    ],
)
def test_a_word_of_the_standards_has_its_meaning(status_word: str, meaning: str) -> None:
    assert describe(status_word) == meaning


def test_the_second_byte_counts_bytes() -> None:
    for status_word, meaning in [
        ("6101", "Normal ending, 1 more bytes available"),
        ("61FF", "Normal ending, 255 more bytes available"),
        ("6C10", "Wrong length Le, 16 bytes available"),
        ("910F", "Normal ending, proactive command of 15 bytes pending"),
        ("9F22", "Normal ending, 34 bytes of response data available"),
    ]:
        assert describe(status_word) == meaning


def test_a_count_of_00_means_256() -> None:
    for first_byte in ["61", "6C", "91", "9F"]:
        assert " 256 " in str(describe(f"{first_byte}00"))


def test_63cx_counts_the_retries_that_remain() -> None:
    for left in range(16):
        assert describe(f"63C{left:X}") == f"Verification failed, {left} retries remaining"


def test_a_word_that_a_family_does_not_name_gets_the_meaning_of_the_family() -> None:
    assert describe("69EE") == "Command not allowed"


def test_an_unknown_word_has_no_meaning() -> None:
    for status_word in ["0000", "1234", "FFFF", "60AA"]:
        assert describe(status_word) is None


def test_success_is_9000() -> None:
    assert not is_error("9000")


@given(WORDS)
def test_every_word_has_a_meaning_that_fits_its_column_or_none(status_word: str) -> None:
    meaning = describe(status_word)

    assert meaning is None or 0 < len(meaning) <= 128
