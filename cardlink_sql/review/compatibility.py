"""Checks of another release's queries against the schema of this one.

During a rolling upgrade, servers of the last release keep running after the migrations. Their
queries must still be valid on the new schema; a column that one of them names can be dropped only
one release later.
"""

from dataclasses import replace

from cardlink_sql.queries import Library
from cardlink_sql.review.check import CheckResult, check_queries
from cardlink_sql.review.databases.backend import ReviewBackend

_REMEDY = "keep what they use until none of them runs: drop it one release later"


def compatible(library: Library, asked: ReviewBackend, release: str) -> CheckResult:
    """Prepare each query of another release, in each variant, on the schema of this one.

    Args:
        library: the queries of the other release.
        asked: a database with this release's schema.
        release: the other release's name in the faults.
    """
    checked = check_queries(library, asked, against_records=False)
    return replace(
        checked,
        faults=[
            replace(fault, check="compatible", where=f"{release}/{fault.where}", remedy=_REMEDY)
            for fault in checked.faults
        ],
    )
