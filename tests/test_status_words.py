"""Status words in words: ISO/IEC 7816-4 and ETSI TS 102 221."""

import pytest
from hypothesis import given, strategies as st

from cardlink_sql.model.status_words import describe, is_error

WORDS = st.integers(0, 0xFFFF).map("{:04X}".format)


@pytest.mark.parametrize(
    ("status_word", "meaning"),
    [
        ("9000", "Normal ending of the command"),
        ("6101", "Normal ending, 1 more bytes available"),
        ("61FF", "Normal ending, 255 more bytes available"),
        ("6100", "Normal ending, 256 more bytes available"),
        ("6283", "Selected file invalidated or deactivated"),
        ("6310", "More data available"),
        ("63C0", "Verification failed, 0 retries remaining"),
        ("63CF", "Verification failed, 15 retries remaining"),
        ("6581", "Memory problem"),
        ("6700", "Wrong length"),
        ("6881", "Logical channel not supported"),
        ("6982", "Security status not satisfied"),
        ("6983", "Authentication or PIN method blocked"),
        ("6985", "Conditions of use not satisfied"),
        ("69EE", "Command not allowed"),
        ("6A80", "Incorrect parameters in the data field"),
        ("6A82", "File or application not found"),
        ("6A84", "Not enough memory space"),
        ("6A88", "Referenced data not found"),
        ("6C10", "Wrong length Le, 16 bytes available"),
        ("6C00", "Wrong length Le, 256 bytes available"),
        ("6D00", "Instruction code not supported or invalid"),
        ("6E00", "Class not supported"),
        ("910F", "Normal ending, proactive command of 15 bytes pending"),
        ("9100", "Normal ending, proactive command of 256 bytes pending"),
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
        ("9F22", "Normal ending, 34 bytes of response data available"),
        ("9F00", "Normal ending, 256 bytes of response data available"),
        ("0000", None),
        ("1234", None),
        ("FFFF", None),
        ("60AA", None),
    ],
)
def test_a_word_of_the_standards_has_its_meaning(status_word: str, meaning: str | None) -> None:
    assert describe(status_word) == meaning


def test_success_is_9000() -> None:
    assert not is_error("9000")


@given(WORDS)
def test_every_word_has_a_meaning_that_fits_its_column_or_none(status_word: str) -> None:
    meaning = describe(status_word)

    assert meaning is None or 0 < len(meaning) <= 128
