"""What the gateways take and give: plain dataclasses and the enumerations they use.

A record knows nothing of the database. Times are aware and UTC; durations and latencies are
milliseconds; binary data of the card (ATR, APDU) is upper-case hex text.
"""

from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum
from typing import Any, Generic, TypeVar

from cardlink_sql.model.times import utc_now

JSONValue = dict[str, Any] | list[Any]
R = TypeVar("R")


class DeviceType(StrEnum):
    """What carries the card."""

    PHONE = "phone"
    MODEM = "modem"


class CardType(StrEnum):
    """The application platform of the card."""

    UICC = "UICC"
    USIM = "USIM"
    EUICC = "eUICC"
    ISIM = "ISIM"


class SessionType(StrEnum):
    """Who began the session: the server by a trigger, or the card by polling."""

    TRIGGERED = "triggered"
    POLLED = "polled"


class SessionStatus(StrEnum):
    """Where an OTA session stands; the last three are ends."""

    PENDING = "pending"
    ACTIVE = "active"
    COMPLETED = "completed"
    FAILED = "failed"
    TIMEOUT = "timeout"

    @property
    def is_end(self) -> bool:
        """Whether a session in this status has ended."""
        return self not in (SessionStatus.PENDING, SessionStatus.ACTIVE)


class TestStatus(StrEnum):
    """How a test ended."""

    __test__ = False  # pytest would collect it by its name

    PASSED = "passed"
    FAILED = "failed"
    SKIPPED = "skipped"
    ERROR = "error"


class ChangeKind(StrEnum):
    """What became of a test from one run to another."""

    REGRESSION = "regression"  # passed, then failed or error
    IMPROVEMENT = "improvement"  # failed or error, then passed
    STILL_FAILING = "still_failing"  # failed or error in both
    NEW = "new"  # in the later run alone
    REMOVED = "removed"  # in the earlier run alone
    SLOWER = "slower"  # passed in both and took longer beyond the factor
    CHANGED = "changed"  # any other change of status, to or from skipped
    OPEN = "open"  # in both, and has not ended in one of them


class Direction(StrEnum):
    """Which way an APDU went: to the card or from it."""

    COMMAND = "command"
    RESPONSE = "response"


@dataclass(slots=True)
class Device:
    """A phone or modem. ``id`` is its ADB serial or serial port."""

    id: str
    device_type: DeviceType
    name: str | None = None
    manufacturer: str | None = None
    model: str | None = None
    firmware_version: str | None = None
    imei: str | None = None
    imsi: str | None = None
    iccid: str | None = None
    connection_settings: JSONValue | None = None
    last_seen: datetime | None = None
    is_active: bool = True
    notes: str | None = None
    created_at: datetime = field(default_factory=utc_now)
    updated_at: datetime = field(default_factory=utc_now)


@dataclass(slots=True)
class CardProfile:
    """A card. Its PSK is not here: ask the gateway for it, by ICCID or by identity."""

    iccid: str
    imsi: str | None = None
    card_type: CardType = CardType.UICC
    atr: str | None = None
    psk_identity: str | None = None
    has_psk: bool = False
    admin_url: str | None = None
    trigger_config: JSONValue | None = None
    bip_config: JSONValue | None = None
    security_domains: JSONValue | None = None
    notes: str | None = None
    created_at: datetime = field(default_factory=utc_now)
    updated_at: datetime = field(default_factory=utc_now)


@dataclass(slots=True)
class OTASession:
    """One OTA session of a card with the admin server."""

    id: str
    session_type: SessionType = SessionType.TRIGGERED
    device_id: str | None = None
    card_iccid: str | None = None
    status: SessionStatus = SessionStatus.PENDING
    started_at: datetime | None = None
    ended_at: datetime | None = None
    duration_ms: int | None = None
    tls_cipher_suite: str | None = None
    tls_psk_identity: str | None = None
    error_code: str | None = None
    error_message: str | None = None
    created_at: datetime = field(default_factory=utc_now)
    updated_at: datetime = field(default_factory=utc_now)


@dataclass(slots=True)
class CommLog:
    """One APDU of a session. ``id`` is 0 until the database has numbered it."""

    session_id: str
    direction: Direction
    raw_data: str
    latency_ms: float | None = None
    decoded_data: str | None = None
    status_word: str | None = None
    status_message: str | None = None
    timestamp: datetime = field(default_factory=utc_now)
    id: int = 0


@dataclass(slots=True)
class TestResult:
    """How one test of a run ended. A run is what its results name as ``run_id``.

    A result without ``ended_at`` is still open, and ``status`` is how it stands.
    """

    __test__ = False

    id: str
    run_id: str
    suite_name: str
    test_name: str
    status: TestStatus
    device_id: str | None = None
    card_iccid: str | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    duration_ms: int | None = None
    error_message: str | None = None
    assertions: JSONValue | None = None
    metadata: JSONValue | None = None
    created_at: datetime = field(default_factory=utc_now)
    updated_at: datetime = field(default_factory=utc_now)


@dataclass(slots=True)
class Setting:
    """A setting. ``value`` is any JSON value; ``None`` is a value, too."""

    key: str
    value: Any
    description: str | None = None
    category: str = "general"
    created_at: datetime = field(default_factory=utc_now)
    updated_at: datetime = field(default_factory=utc_now)


@dataclass(frozen=True, slots=True)
class PskToken:
    """A PSK as it is stored, encrypted (a Fernet token), and the card that it belongs to."""

    iccid: str
    token: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class SettingInForce:
    """What holds for a key: the stored value, or else the declared default.

    ``form`` says what values a declared setting takes, and ``default`` is what it has without
    a stored one; both are ``None`` where the key is not declared. ``updated_at`` is ``None``
    where nothing is stored.
    """

    key: str
    value: Any
    category: str
    description: str | None
    is_stored: bool
    is_declared: bool
    default: Any
    form: str | None
    updated_at: datetime | None


@dataclass(frozen=True, slots=True)
class SettingsImport:
    """The keys that an import of settings named, by what became of them."""

    created: list[str]
    updated: list[str]
    unchanged: list[str]


@dataclass(frozen=True, slots=True)
class SessionStatistics:
    """Sessions created within a window of time.

    ``success_rate`` is the completed share (0 to 1) of all that ended, ``None`` where none
    did; ``average_duration_ms`` is over those that ended and had started.
    """

    total: int
    pending: int
    active: int
    completed: int
    failed: int
    timeout: int
    average_duration_ms: float | None
    success_rate: float | None


@dataclass(frozen=True, slots=True)
class SessionDay:
    """The sessions created on one day of UTC; ``total`` counts those that have not ended, too."""

    day: date
    total: int
    completed: int
    failed: int
    timeout: int


@dataclass(frozen=True, slots=True)
class ExchangeCount:
    """Responses that have the command's header and the status word in common.

    ``header`` is CLA, INS and P1 as hex, ``None`` where no command stands right before the
    response. ``latencies`` is how many of the responses have a latency.
    """

    header: str | None
    status_word: str | None
    responses: int
    latencies: int
    total_latency_ms: float
    maximum_latency_ms: float


@dataclass(frozen=True, slots=True)
class SlowExchange:
    """A response and the command right before it, ``None`` where there is none."""

    session_id: str
    log_id: int
    timestamp: datetime
    latency_ms: float
    status_word: str | None
    command: str | None


@dataclass(frozen=True, slots=True)
class CardCount:
    """The cards, with a PSK and without."""

    total: int
    with_psk: int
    without_psk: int


@dataclass(frozen=True, slots=True)
class SessionSummary:
    """The log of one session in figures. An error is a response whose status word is not 9000."""

    session_id: str
    total: int
    commands: int
    responses: int
    errors: int
    average_latency_ms: float | None
    maximum_latency_ms: float | None
    first_at: datetime | None
    last_at: datetime | None


@dataclass(frozen=True, slots=True)
class SuiteSummary:
    """The results of a suite within a run in figures.

    Each counts results, not tests: one that was tried again counts twice. An open result
    counts as ``open`` alone, so that the five add up to ``total``. ``pass_rate`` is the passed
    share (0 to 1) of what ended and was not skipped, ``None`` where nothing did;
    ``duration_ms`` is summed.
    """

    suite_name: str
    total: int
    passed: int
    failed: int
    error: int
    skipped: int
    open: int
    pass_rate: float | None
    duration_ms: int
    first_start: datetime | None
    last_end: datetime | None


@dataclass(frozen=True, slots=True)
class TestRun:
    """A run in figures, which count as those of a :class:`SuiteSummary`."""

    __test__ = False

    run_id: str
    total: int
    passed: int
    failed: int
    error: int
    skipped: int
    open: int
    pass_rate: float | None
    duration_ms: int
    first_start: datetime | None
    last_end: datetime | None


@dataclass(frozen=True, slots=True)
class TestRunSummary(TestRun):
    """A run in figures, and each of its suites, by name."""

    __test__ = False

    suites: tuple[SuiteSummary, ...]


@dataclass(frozen=True, slots=True)
class TestChange:
    """What became of one test from one run to another; ``None`` where it was not in that run.

    ``error_message`` is that of the later run.
    """

    __test__ = False

    kind: ChangeKind
    suite_name: str
    test_name: str
    before_status: TestStatus | None
    after_status: TestStatus | None
    before_ms: int | None
    after_ms: int | None
    error_message: str | None


@dataclass(frozen=True, slots=True)
class RunComparison:
    """What differs between the run ``before`` and the run ``after``, by suite and test."""

    before: str
    after: str
    changes: tuple[TestChange, ...]

    def of(self, kind: ChangeKind) -> list[TestChange]:
        """The changes of one kind."""
        return [change for change in self.changes if change.kind is kind]

    @property
    def regressions(self) -> list[TestChange]:
        """What passed, and then failed or broke off with an error."""
        return self.of(ChangeKind.REGRESSION)

    @property
    def improvements(self) -> list[TestChange]:
        """What failed or broke off with an error, and then passed."""
        return self.of(ChangeKind.IMPROVEMENT)

    @property
    def still_failing(self) -> list[TestChange]:
        """What failed or broke off with an error in both."""
        return self.of(ChangeKind.STILL_FAILING)

    @property
    def new(self) -> list[TestChange]:
        """What is in the later run alone."""
        return self.of(ChangeKind.NEW)

    @property
    def removed(self) -> list[TestChange]:
        """What is in the earlier run alone."""
        return self.of(ChangeKind.REMOVED)

    @property
    def slower(self) -> list[TestChange]:
        """What passed in both and took longer beyond the factor."""
        return self.of(ChangeKind.SLOWER)

    @property
    def changed(self) -> list[TestChange]:
        """Any other change of status: to or from skipped."""
        return self.of(ChangeKind.CHANGED)

    @property
    def open(self) -> list[TestChange]:
        """What has not ended in one of the two, and cannot be compared yet."""
        return self.of(ChangeKind.OPEN)


@dataclass(frozen=True, slots=True)
class FlakyTest:
    """A test that both passed and failed within some runs; ``failed`` counts errors, too."""

    suite_name: str
    test_name: str
    runs: int
    passed: int
    failed: int
    last_failure: datetime | None


@dataclass(frozen=True, slots=True)
class JUnitImport:
    """How many results of a report were recorded, and how many were known."""

    created: int
    unchanged: int


@dataclass(frozen=True, slots=True)
class TableSize:
    """A table's rows and, where the database tells, its bytes with all indexes."""

    name: str
    rows: int
    bytes: int | None


@dataclass(frozen=True, slots=True)
class CountedStatement:
    """What a server counted of one statement, or of those that are alike but for their values.

    Attributes:
        text: its beginning up to the name of its query, or its words without values. ``None``
            stands for all that the server had no room to keep apart.
        calls: how often it was sent.
        total_ms: the time that it took, summed up.
        longest_ms: the time that it took at most.
        row_count: the rows that it read or changed, summed up.
    """

    text: str | None
    calls: int
    total_ms: float
    longest_ms: float
    row_count: int


@dataclass(frozen=True, slots=True)
class Page(Generic[R]):
    """One page of a list. ``pages`` is 0 where there are no rows; pages count from 1."""

    items: list[R]
    total: int
    page: int
    per_page: int
    pages: int


@dataclass(frozen=True, slots=True)
class KeysetPage(Generic[R]):
    """A page of a deep read. ``after`` asks for the next one; ``None`` where this is the last."""

    items: list[R]
    after: tuple[Any, ...] | None
