"""The contents of a JUnit report, and the results that it makes in a run."""

import uuid
from collections.abc import Collection
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Final

from cardlink_sql.errors import ValidationError
from cardlink_sql.formats.junit.vocabulary import DEVICE, ICCID, facts_of
from cardlink_sql.model.records.test_result import TestResult
from cardlink_sql.model.times import utc_now

_IDS: Final = uuid.UUID("a7f1f6bb-3c0b-4b0c-8f5e-2b1f4a5f9a55")


@dataclass
class Case:
    """One try of one test; ``offset`` is how long after the report's begin it started.

    ``result`` has no key, run, device and card yet. ``elements`` are those of its verdict; one that
    ``is_joined`` is part of the case before it.
    """

    result: TestResult
    offset: timedelta
    elements: tuple[str, ...]
    is_joined: bool = False


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
            metadata = dict(facts_of(case.result))
            device = _taken(metadata, DEVICE, devices)
            card = _taken(metadata, ICCID, iccids)
            start = case.result.started_at or _after(started_at or now, case.offset)
            # One after another, so that the order of the report is that of the run.
            created_at = now + timedelta(microseconds=number)
            result = replace(
                case.result,
                id=str(uuid.uuid5(_IDS, f"{run_id}\n{self.digest}\n{number}")),
                run_id=run_id,
                device_id=device_id or device,
                card_iccid=card_iccid or card,
                started_at=start,
                ended_at=start if case.result.duration_ms is None else None,
                metadata=metadata or None,
                created_at=created_at,
                updated_at=created_at,
            )
            results.append(result)
        return results

    def _named(self, name: str) -> set[str]:
        found = (facts_of(case.result).get("properties", {}).get(name) for case in self.cases)
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
