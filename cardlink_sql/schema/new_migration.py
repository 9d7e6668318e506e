"""The files of a new migration, from a template."""

import re
from pathlib import Path
from typing import Final

from cardlink_sql.dialect import Dialect
from cardlink_sql.errors import MigrationError, ValidationError
from cardlink_sql.schema.migrator.files import read_migrations

_NAME: Final = re.compile(r"[a-z0-9_]{1,60}")
_APPLY: Final = """\
-- Say what changes, and why.
--
-- Say what waits while it runs: cardlink-db migrate --dry-run prints the locks.

"""
_ROLLBACK: Final = """\
-- Say what the rollback loses.

"""


def create_migration(folder: Path, name: str) -> list[Path]:
    """Write ``NNNN_name.sql`` and its rollback for each dialect; return the files.

    The number is the one after the newest migration of any dialect.
    """
    if _NAME.fullmatch(name) is None:
        raise ValidationError(
            f"{name!r} is not a name of small letters, digits and underscores", "name"
        )
    newest = [read_migrations(folder, dialect)[-1].id for dialect in Dialect]
    number = max(int(one.partition("_")[0]) for one in newest) + 1
    files = {
        folder / dialect / f"{number:04}_{name}{ending}": text
        for dialect in Dialect
        for ending, text in ((".sql", _APPLY), (".rollback.sql", _ROLLBACK))
    }
    for file, text in files.items():
        try:
            with file.open("x", encoding="utf-8") as out:
                out.write(text)
        except OSError as error:
            raise MigrationError(f"it cannot be written: {error.strerror}", str(file)) from error
    return list(files)
