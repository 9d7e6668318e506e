"""The contents of a JUnit report, and the results that it makes in a run."""

import uuid
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from cardlink_sql.errors import ValidationError
from cardlink_sql.formats.junit.writing import DEVICE, ICCID
from cardlink_sql.model.choices import TestStatus
from cardlink_sql.model.records.test_result import TestResult
from cardlink_sql.model.times import utc_now

_IDS: Final = uuid.UUID("a7f1f6bb-3c0b-4b0c-8f5e-2b1f4a5f9a55")


@dataclass
class Case:
    """One try of one test; ``offset`` is how long after the report's begin it started.

    ``tries`` of the last try is the number of tries, that of the others is 0. ``elements`` are
    those of its verdict; one that ``is_joined`` is part of the case before it.
    """

    suite_name: str
    test_name: str
    status: TestStatus
    started_at: datetime | None
    offset: timedelta
    duration_ms: int | None
    message: str | None
    metadata: dict[str, Any]
    elements: tuple[str, ...] = ()
    tries: int = 1
    is_joined: bool = False

    def result(
        self,
        key: str,
        run_id: str,
        devices: Collection[str],
        iccids: Collection[str],
        began: datetime,
    ) -> TestResult:
        """Return the result as a run has it; see :meth:`Report.results`."""
        metadata = dict(self.metadata)
        device = _taken(metadata, DEVICE, devices)
        card = _taken(metadata, ICCID, iccids)
        start = self.started_at or _after(began, self.offset)
        return TestResult(
            id=key,
            run_id=run_id,
            suite_name=self.suite_name,
            test_name=self.test_name,
            status=self.status,
            device_id=device,
            card_iccid=card,
            started_at=start,
            ended_at=start if self.duration_ms is None else None,
            duration_ms=self.duration_ms,
            error_message=self.message,
            metadata=metadata or None,
            tries=self.tries,
        )


@dataclass
class Report:
    """A report that was read and checked.

    Attributes:
        digest: the SHA-256 of what was read.
        cases: the tries of its tests, in their order.
        unread: times and durations that were written, and not understood.
        missing: failures and errors that suites count, and that are not in the report.
    """

    digest: str
    cases: list[Case] = field(default_factory=list)
    unread: int = 0
    missing: int = 0

    @property
    def devices(self) -> set[str]:
        """Return the devices that the properties name."""
        return self._named(DEVICE)

    @property
    def iccids(self) -> set[str]:
        """Return the cards that the properties name."""
        return self._named(ICCID)

    def results(
        self,
        run_id: str,
        *,
        devices: Collection[str] = (),
        iccids: Collection[str] = (),
        device_id: str | None = None,
        card_iccid: str | None = None,
        started_at: datetime | None = None,
    ) -> list[TestResult]:
        """Return the results as a run has them. The same report has the same keys in one run.

        Args:
            run_id: the run.
            devices: the devices that exist; of others the property stays one.
            iccids: the cards that exist, likewise.
            device_id: the device of all, whatever the properties say.
            card_iccid: the card of all, likewise.
            started_at: when a report began that does not say; now, where none is given.
        """
        now = utc_now()
        results = []
        for number, case in enumerate(self.cases):
            key = str(uuid.uuid5(_IDS, f"{run_id}\n{self.digest}\n{number}"))
            result = case.result(key, run_id, devices, iccids, started_at or now)
            # One after another, so that the order of the report is that of the run.
            result.created_at = result.updated_at = now + timedelta(microseconds=number)
            result.device_id = device_id or result.device_id
            result.card_iccid = card_iccid or result.card_iccid
            results.append(result)
        return results

    def _named(self, name: str) -> set[str]:
        found = (case.metadata.get("properties", {}).get(name) for case in self.cases)
        return {value for value in found if value}


def _taken(metadata: dict[str, Any], name: str, known: Collection[str]) -> str | None:
    """Take a property out of the metadata if its value is known."""
    properties = dict(metadata.get("properties", {}))
    if properties.get(name) not in known:
        return None
    value: str = properties.pop(name)
    metadata["properties"] = properties
    if not properties:
        del metadata["properties"]
    return value


def _after(start: datetime, offset: timedelta) -> datetime:
    try:
        return start + offset
    except OverflowError:
        raise ValidationError(
            "the durations in the report lead past the latest possible date", "started_at"
        ) from None
