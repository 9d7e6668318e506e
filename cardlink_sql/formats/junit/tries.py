"""Tells the tries of a test from namesakes, where a report writes each as a separate test.

pytest-rerunfailures writes a try that failed as a test without a verdict, and other tests come
between the tries of one where pytest-xdist ran several at once. pytest itself writes a test
that failed and whose teardown broke off as two.
"""

from typing import Final

from cardlink_sql.formats.junit.elements import MAX_OUTPUT, Suite, count_of, cut
from cardlink_sql.formats.junit.report import Case
from cardlink_sql.formats.junit.vocabulary import OUTPUTS, facts_of
from cardlink_sql.model.choices import TestStatus
from cardlink_sql.model.validation import MAX_TEXT

# As pytest names itself.
_SUITE: Final = "pytest"
_SUITES: Final = "pytest tests"
_TEARDOWN: Final = "failed on teardown with "


def find_tries(suite: Suite, around: Suite) -> None:
    """Join what pytest wrote as two tests, and number the tries that are tests without a verdict.

    Without these there are as many tests as the suite says; else they are namesakes.
    """
    groups: dict[tuple[str, str], list[Case]] = {}
    for case in suite.cases:
        groups.setdefault((case.result.suite_name, case.result.test_name), []).append(case)
    is_of_pytest = (
        suite.attributes.get("name") == _SUITE
        or around.attributes.get("name") == _SUITES
        or any(_broke_off(case) for case in suite.cases)
    )
    if is_of_pytest:
        for name, group in groups.items():
            groups[name] = _joined(group)
            suite.failed += len(group) - len(groups[name])
    tests = list(groups.values())
    said = count_of(suite.attributes, "tests")
    if any(len(group) > 1 for group in tests) and (
        _has_tries_of_pytest(tests, said) if is_of_pytest else _has_tries(tests, said)
    ):
        tests = [_numbered(group) for group in tests]
    suite.cases = [case for group in tests for case in group]


def _joined(group: list[Case]) -> list[Case]:
    """Return the cases with those of a teardown in that of the test that failed before it."""
    kept = group[:1]
    for case in group[1:]:
        test = kept[-1]
        if case.elements != ("error",) or not _broke_off(case) or test.elements != ("failure",):
            kept.append(case)
            continue
        _join(test, case)
    return kept


def _join(case: Case, of_teardown: Case) -> None:
    test, teardown = case.result, of_teardown.result
    test.status = teardown.status
    test.error_message = cut(
        f"{test.error_message or ''}\n\n{teardown.error_message}".strip(), MAX_TEXT
    )
    if test.duration_ms is not None:
        test.duration_ms += teardown.duration_ms or 0
    case.elements += of_teardown.elements
    before, after = facts_of(test), facts_of(teardown)
    both = {**before, **after}
    for name in set(OUTPUTS.values()) & before.keys() & after.keys():
        if before[name] not in both[name]:
            both[name] = cut(f"{before[name]}\n{both[name]}", MAX_OUTPUT)
    test.metadata = both
    of_teardown.is_joined = True


def _broke_off(case: Case) -> bool:
    return "error" in case.elements and _TEARDOWN in (case.result.error_message or "")


def _has_tries(tests: list[list[Case]], said: int) -> bool:
    """Whether a report of any tool is one, merged from pytest's, say, that does not count tries."""
    return said == len(tests) and all(_are_tries(group[:-1]) for group in tests)


def _has_tries_of_pytest(tests: list[list[Case]], said: int) -> bool:
    """Whether the tests that pytest counts are others than the cases.

    It counts a test for each verdict, and for a teardown one more or none: its release decides. As
    its tests have distinct names, those of one name are tries unless the number is exact.
    """
    cases = [case for group in tests for case in group]
    exact = sum(max(1, len(case.elements)) for case in cases)
    return bool(said) and (said != exact or any(_broke_off(case) for case in cases))


def number_tries(tries: list[Case]) -> None:
    """Let the last try count, and say how many there were."""
    total = sum(case.result.tries for case in tries)
    for case in tries:
        case.result.tries = 0
    tries[-1].result.tries = total


def _numbered(group: list[Case]) -> list[Case]:
    """Return the last try of a test; all, where they cannot be tries of one."""
    # Of a skipped test only the teardown can have failed, and it is tried again with the test.
    if not _are_tries(group[:-1], "skipped"):
        return group
    for case in group[:-1]:
        case.result.status = TestStatus.FAILED
    number_tries(group)
    return group[-1:]


def _are_tries(cases: list[Case], *elements: str) -> bool:
    return all(
        set(case.elements) <= set(elements)
        and (case.elements or case.result.status is TestStatus.PASSED)
        for case in cases
    )
