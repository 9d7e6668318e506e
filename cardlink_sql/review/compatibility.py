"""The queries of another release held against the schema of this one.

During a rolling upgrade the migrations have run and servers of the last release still do. What
they send must still be prepared on the new schema; a column that one of their queries names may be
dropped one release later only.
"""

import zipfile
from dataclasses import replace
from importlib.resources.abc import Traversable
from pathlib import Path

from cardlink_sql.dialect import Dialect
from cardlink_sql.errors import ValidationError
from cardlink_sql.queries.library import COMMON, Library, read_library
from cardlink_sql.review.check import Checked, prepare_queries
from cardlink_sql.review.describe import Describer

_REMEDY = "keep what they use until none of them runs: take it away one release later"


def read_release(release: Path, dialect: Dialect) -> Library:
    """The queries of another release.

    Args:
        release: its ``sql/`` folder, a checkout of it, or its wheel.
        dialect: whose queries.

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


def compatible(library: Library, asked: Describer, release: str) -> Checked:
    """Prepare each query of another release, in each variant, on the schema of this one.

    Args:
        library: the queries of the other release.
        asked: a database with this release's schema.
        release: how faults name the other one.
    """
    checked = prepare_queries(library, asked)
    return replace(
        checked,
        faults=[
            replace(fault, check="compatible", where=f"{release}/{fault.where}", remedy=_REMEDY)
            for fault in checked.faults
        ],
    )
