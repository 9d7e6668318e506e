"""Names of command APDUs, by class and instruction byte.

Sources: ETSI TS 102 221 §10.1.2 (the UICC), ETSI TS 102 222 §6.1 (administrative commands),
ISO/IEC 7816-4 §5.4.2, GlobalPlatform Card Specification 2.3.1 §11 and 3GPP TS 51.011 §9.2
(class A0). Where two of them define one instruction for the same class, P1 decides.
"""

from functools import lru_cache
from typing import Final

# Class bytes below 80: the interindustry ones, on any logical channel.
_INTERINDUSTRY: Final = {
    "04": "DEACTIVATE FILE",
    "0E": "ERASE BINARY",
    "20": "VERIFY PIN",
    "22": "MANAGE SECURITY ENVIRONMENT",
    "24": "CHANGE PIN",
    "26": "DISABLE PIN",
    "28": "ENABLE PIN",
    "2A": "PERFORM SECURITY OPERATION",
    "2C": "UNBLOCK PIN",
    "44": "ACTIVATE FILE",
    "70": "MANAGE CHANNEL",
    "73": "MANAGE SECURE CHANNEL",
    "75": "TRANSACT DATA",
    "82": "EXTERNAL AUTHENTICATE",
    "84": "GET CHALLENGE",
    "88": "AUTHENTICATE",
    "89": "AUTHENTICATE",
    "A2": "SEARCH RECORD",
    "A4": "SELECT",
    "B0": "READ BINARY",
    "B1": "READ BINARY",
    "B2": "READ RECORD",
    "B3": "READ RECORD",
    "C0": "GET RESPONSE",
    "C2": "ENVELOPE",
    "C3": "ENVELOPE",
    "CA": "GET DATA",
    "CB": "GET DATA",
    "D0": "WRITE BINARY",
    "D2": "WRITE RECORD",
    "D6": "UPDATE BINARY",
    "D7": "UPDATE BINARY",
    "DA": "PUT DATA",
    "DB": "PUT DATA",
    "DC": "UPDATE RECORD",
    "DD": "UPDATE RECORD",
    "E0": "CREATE FILE",
    "E2": "APPEND RECORD",
    "E4": "DELETE FILE",
    "E6": "TERMINATE DF",
    "E8": "TERMINATE EF",
    "FE": "TERMINATE CARD USAGE",
}

# Class bytes from 80: ETSI's own and GlobalPlatform's.
_PROPRIETARY: Final = {
    "10": "TERMINAL PROFILE",
    "12": "FETCH",
    "14": "TERMINAL RESPONSE",
    "32": "INCREASE",
    "50": "INITIALIZE UPDATE",
    "76": "SUSPEND UICC",
    "78": "GET IDENTITY",
    "7A": "EXCHANGE CAPABILITIES",
    "82": "EXTERNAL AUTHENTICATE",
    "88": "INTERNAL AUTHENTICATE",
    "AA": "TERMINAL CAPABILITY",
    "C0": "GET RESPONSE",
    "C2": "ENVELOPE",
    "CA": "GET DATA",
    "CB": "GET DATA",
    "D4": "RESIZE FILE",
    "D8": "PUT KEY",
    "DB": "SET DATA",
    "E2": "STORE DATA",
    "E4": "DELETE",
    "E6": "INSTALL",
    "E8": "LOAD",
    "F0": "SET STATUS",
    "F2": "GET STATUS",
}

_GSM: Final = {
    "04": "INVALIDATE",
    "10": "TERMINAL PROFILE",
    "12": "FETCH",
    "14": "TERMINAL RESPONSE",
    "20": "VERIFY CHV",
    "24": "CHANGE CHV",
    "26": "DISABLE CHV",
    "28": "ENABLE CHV",
    "2C": "UNBLOCK CHV",
    "32": "INCREASE",
    "44": "REHABILITATE",
    "88": "RUN GSM ALGORITHM",
    "A2": "SEEK",
    "A4": "SELECT",
    "B0": "READ BINARY",
    "B2": "READ RECORD",
    "C0": "GET RESPONSE",
    "C2": "ENVELOPE",
    "D6": "UPDATE BINARY",
    "DC": "UPDATE RECORD",
    "F2": "STATUS",
    "FA": "SLEEP",
}

# P1 of STATUS is 00 to 02 (TS 102 221 §11.1.2), that of GET STATUS 10 to 80 (GlobalPlatform
# §11.4.2); RETRIEVE DATA has P1 00 (TS 102 221 §11.3.1), GET DATA with an odd INS 3F.
_BY_P1: Final = {
    ("F2", "00"): "STATUS",
    ("F2", "01"): "STATUS",
    ("F2", "02"): "STATUS",
    ("CB", "00"): "RETRIEVE DATA",
}


@lru_cache(maxsize=4096)
def command_name(header: str) -> str | None:
    """Return the name of a command, such as ``READ BINARY``; ``None`` if no source names it.

    Args:
        header: CLA, INS and P1 as six upper-case hex digits, the first of a command APDU. CLA
            and INS are enough if P1 does not matter.
    """
    class_byte, instruction, p1 = header[:2], header[2:4], header[4:6]
    if class_byte == "A0":
        return _GSM.get(instruction)
    if class_byte < "80":
        return _INTERINDUSTRY.get(instruction)
    # FF starts a protocol parameter selection (ISO/IEC 7816-3 §9) and is not a class.
    if class_byte == "FF":
        return None
    return _BY_P1.get((instruction, p1)) or _PROPRIETARY.get(instruction)


def name_of(raw_data: str) -> str:
    """Return the name of a whole command APDU in hex; ``INS 5A`` if it has none."""
    return command_name(raw_data[:6]) or (f"INS {raw_data[2:4]}" if raw_data[2:4] else raw_data)
