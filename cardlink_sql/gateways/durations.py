"""The start, the end and the duration of a test result: of two the third."""

from dataclasses import replace
from datetime import timedelta
from typing import Final

from cardlink_sql.errors import ValidationError
from cardlink_sql.model import validation
from cardlink_sql.model.records.test_result import TestResult
from cardlink_sql.model.tables import test_results

_MILLISECOND: Final = timedelta(milliseconds=1)


def completed(result: TestResult) -> TestResult:
    """Return the result with the missing one of start, end and duration derived.

    Raises:
        ValidationError: the end is before the start, or one of them out of time.
    """
    where = test_results.name
    start, end, lasted = result.started_at, result.ended_at, result.duration_ms
    if start is not None:
        start = validation.moment(start, f"{where}.started_at")
    if end is not None:
        end = validation.moment(end, f"{where}.ended_at")
    if lasted is not None:
        validation.duration(lasted, f"{where}.duration_ms")
    if start is not None and end is not None:
        if end < start:
            raise ValidationError(
                "the test would end before it started", f"{where}.ended_at", "check the clocks"
            )
        # Of an end that is the start the duration is not known.
        if lasted is None and end > start:
            lasted = (end - start) // _MILLISECOND
        return replace(result, duration_ms=lasted)
    if lasted is None:
        return result
    try:
        if start is not None:
            return replace(result, ended_at=start + lasted * _MILLISECOND)
        if end is not None:
            return replace(result, started_at=end - lasted * _MILLISECOND)
    except OverflowError:
        raise ValidationError(
            "the duration leads past the latest possible date", f"{where}.duration_ms"
        ) from None
    return result
