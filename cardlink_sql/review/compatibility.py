"""Checks of another release's queries against the schema of this one.

During a rolling upgrade, servers of the last release keep running after the migrations. Their
queries must still be valid on the new schema; a column that one of them names can be dropped only
one release later.
"""

import zipfile
from dataclasses import replace
from importlib.resources.abc import Traversable
from pathlib import Path

from cardlink_sql.dialect import Dialect
from cardlink_sql.errors import ValidationError
from cardlink_sql.queries.library import COMMON, Library, read_library
from cardlink_sql.review.check import CheckResult, prepare_queries
from cardlink_sql.review.describe import Describer

_REMEDY = "keep what they use until none of them runs: drop it one release later"


def read_release(release: Path, dialect: Dialect) -> Library:
    """Return the queries of another release.

    Args:
        release: its ``sql/`` folder, a checkout of it, or its wheel.
        dialect: the dialect of the queries.

    Raises:
        ValidationError: there are no queries there.
        QueryError: a file of it is malformed.
    """
    root: Traversable = zipfile.Path(release) if zipfile.is_zipfile(release) else release
    for place in (root, root.joinpath("sql"), root.joinpath("cardlink_sql", "sql")):
        if place.joinpath(COMMON).is_dir():
            return read_library(place, dialect)
    raise ValidationError(
        "it holds no sql/ folder", str(release), "name a checkout, a wheel or the folder itself"
    )


def compatible(library: Library, asked: Describer, release: str) -> CheckResult:
    """Prepare each query of another release, in each variant, on the schema of this one.

    Args:
        library: the queries of the other release.
        asked: a database with this release's schema.
        release: the other release's name in the faults.
    """
    checked = prepare_queries(library, asked)
    return replace(
        checked,
        faults=[
            replace(fault, check="compatible", where=f"{release}/{fault.where}", remedy=_REMEDY)
            for fault in checked.faults
        ],
    )
