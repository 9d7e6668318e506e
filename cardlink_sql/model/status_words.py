"""The meaning of a status word (SW1 SW2).

ISO/IEC 7816-4 §5.6, ETSI TS 102 221 §10.2, 3GPP TS 51.011 §9.4, GlobalPlatform §11.4.
"""

import re
from functools import lru_cache
from typing import Final

_NORMAL: Final = ("9000", "61", "91", "92", "9F")
_MEMORY_PROBLEM: Final = "9240"

_WORDS: Final = {
    "9000": "Normal ending of the command",
    "9300": "SIM Application Toolkit busy, command cannot be executed at present",
    "6200": "Warning, no information given, memory unchanged",
    "6281": "Part of the returned data may be corrupted",
    "6282": "End of file or record reached before reading Le bytes, or search unsuccessful",
    "6283": "Selected file invalidated or deactivated",
    "6284": "Selected file or application in termination state",
    "6285": "Selected file terminated",
    "6286": "No input data available from a sensor on the card",
    "62F1": "More data available",
    "62F2": "More data available and proactive command pending",
    "62F3": "Response data available",
    "6300": "Warning, no information given, memory changed",
    "6310": "More data available",
    "6381": "File filled up by the last write",
    "63F1": "More data expected",
    "63F2": "More data expected and proactive command pending",
    "6401": "Immediate response required by the card",
    "6581": "Memory problem",
    "6701": "Command APDU format not compliant with the standard",
    "6881": "Logical channel not supported",
    "6882": "Secure messaging not supported",
    "6883": "Last command of the chain expected",
    "6884": "Command chaining not supported",
    "6981": "Command incompatible with file structure",
    "6982": "Security status not satisfied",
    "6983": "Authentication or PIN method blocked",
    "6984": "Referenced data invalidated",
    "6985": "Conditions of use not satisfied",
    "6986": "Command not allowed, no EF selected",
    "6987": "Expected secure messaging data objects missing",
    "6988": "Incorrect secure messaging data objects",
    "6989": "Command not allowed, secure channel, security not satisfied",
    "6A80": "Incorrect parameters in the data field",
    "6A81": "Function not supported",
    "6A82": "File or application not found",
    "6A83": "Record not found",
    "6A84": "Not enough memory space",
    "6A85": "Nc inconsistent with TLV structure",
    "6A86": "Incorrect parameters P1 to P2",
    "6A87": "Lc inconsistent with P1 to P2",
    "6A88": "Referenced data not found",
    "6A89": "File already exists",
    "6A8A": "DF name already exists",
    "6B00": "Wrong parameters P1-P2",
    "6D00": "Instruction code not supported or invalid",
    "6E00": "Class not supported",
    "6F00": "Technical problem, no precise diagnosis",
    "9240": "Memory problem",
    "9400": "No EF selected",
    "9402": "Out of range, invalid address",
    "9404": "File ID or pattern not found",
    "9408": "File inconsistent with the command",
    "9802": "No CHV initialized",
    "9804": "Access condition not fulfilled, or verification failed with retries remaining",
    "9808": "In contradiction with the CHV status",
    "9810": "In contradiction with the invalidation status",
    "9840": "Verification failed, no retries remaining, CHV blocked",
    "9850": "INCREASE cannot be performed, maximum value reached",
    "9862": "Authentication error, application specific",
    "9863": "Security session or association expired",
    "9864": "Minimum UICC suspension time is too long",
}

_FAMILIES: Final = {
    "61": "Normal ending, {value} more bytes available",
    "62": "Warning, memory unchanged",
    "63": "Warning, memory changed",
    "64": "Execution error, memory unchanged",
    "65": "Execution error, memory changed",
    "66": "Security-related issue",
    "67": "Wrong length",
    "68": "Function in CLA not supported",
    "69": "Command not allowed",
    "6A": "Wrong parameters P1-P2",
    "6C": "Wrong length Le, {value} bytes available",
    "6F": "Technical problem",
    "91": "Normal ending, proactive command of {value} bytes pending",
    "92": "Normal ending, extra information on an ongoing data transfer session",
    "98": "Application error",
    "9F": "Normal ending, {value} bytes of response data available",
}

_COUNTER: Final = re.compile(r"63C([0-9A-F])\Z")


def is_error(status_word: str | None) -> bool:
    """Return whether a status word says an error or a warning.

    9000 is a normal ending, and so are 61xx, 91xx, 92xx and 9Fxx, which say what is to be fetched
    or how often was tried (ETSI TS 102 221 §10.2.1.1, 3GPP TS 51.011 §9.4). 9240 is a memory
    problem. ``None``, no status word, is not an error.
    """
    if status_word is None:
        return False
    return status_word == _MEMORY_PROBLEM or not status_word.startswith(_NORMAL)


@lru_cache(maxsize=1024)
def describe(status_word: str) -> str | None:
    """Return the meaning of a status word of four upper-case hex digits; ``None`` if unknown."""
    if status_word in _WORDS:
        return _WORDS[status_word]
    counter = _COUNTER.match(status_word)
    if counter:
        return f"Verification failed, {int(counter[1], 16)} retries remaining"
    family = _FAMILIES.get(status_word[:2])
    if family is None:
        return None
    # 00 in these families means 256: the count is one byte (ISO/IEC 7816-4 §5.6).
    return family.format(value=int(status_word[2:], 16) or 256)
