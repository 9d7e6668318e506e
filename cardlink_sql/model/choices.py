"""The words that columns take: enumerations, and their values for type checkers."""

from enum import StrEnum
from typing import Final, Literal


class DeviceType(StrEnum):
    """The kind of device that carries the card."""

    PHONE = "phone"
    MODEM = "modem"


class CardType(StrEnum):
    """The application platform of the card."""

    UICC = "UICC"
    USIM = "USIM"
    EUICC = "eUICC"
    ISIM = "ISIM"


class SessionType(StrEnum):
    """The side that began the session: the server by a trigger, or the card by polling."""

    TRIGGERED = "triggered"
    POLLED = "polled"


class SessionStatus(StrEnum):
    """The state of an OTA session; the last three are ends."""

    PENDING = "pending"
    ACTIVE = "active"
    COMPLETED = "completed"
    FAILED = "failed"
    TIMEOUT = "timeout"

    @property
    def is_end(self) -> bool:
        """Return whether a session in this status has ended; ``sql/`` asks for the same two."""
        return self not in (SessionStatus.PENDING, SessionStatus.ACTIVE)


# The methods that end a session, and how.
SESSION_ENDS: Final = {
    "complete_session": SessionStatus.COMPLETED,
    "fail_session": SessionStatus.FAILED,
    "timeout_session": SessionStatus.TIMEOUT,
}


class Direction(StrEnum):
    """The direction of an APDU: to the card or from it."""

    COMMAND = "command"
    RESPONSE = "response"


class TestStatus(StrEnum):
    """The status of a test."""

    __test__ = False  # pytest would collect it by its name

    PASSED = "passed"
    FAILED = "failed"
    SKIPPED = "skipped"
    ERROR = "error"


# A member, or its value.
AnyDeviceType = DeviceType | Literal["phone", "modem"]
AnyCardType = CardType | Literal["UICC", "USIM", "eUICC", "ISIM"]
AnySessionType = SessionType | Literal["triggered", "polled"]
AnySessionStatus = SessionStatus | Literal["pending", "active", "completed", "failed", "timeout"]
AnyDirection = Direction | Literal["command", "response"]
AnyTestStatus = TestStatus | Literal["passed", "failed", "skipped", "error"]
