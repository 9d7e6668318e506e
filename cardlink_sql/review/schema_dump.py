"""The canonical DDL of the schema: the committed file, and a fresh one from the migrations."""

import re
from typing import Final

from cardlink_sql.dialect import Dialect
from cardlink_sql.errors import MigrationError
from cardlink_sql.manager import DatabaseManager
from cardlink_sql.queries.resources import folder
from cardlink_sql.schema.ddl.printer import ddl
from cardlink_sql.schema.ddl.reflect import read_tables


def committed_schema(dialect: Dialect) -> str:
    """Return the DDL in the package: ``migrations/schema/<dialect>.sql``."""
    return folder("migrations").joinpath("schema", f"{dialect}.sql").read_text(encoding="utf-8")


def place_in_schema(dialect: Dialect, sentence: str) -> str:
    """Return ``file:line`` of the index, constraint or else table that a sentence begins with.

    Args:
        dialect: of the committed schema.
        sentence: such as ``devices: the index ix_devices_iccid is missing``.
    """
    lines = committed_schema(dialect).splitlines()
    table = sentence.partition(":")[0]
    for name in (*_NAMES.findall(sentence), f"TABLE {table}"):
        for number, line in enumerate(lines, 1):
            if re.search(rf"\b{re.escape(name)}\b", line):
                return f"migrations/schema/{dialect}.sql:{number}"
    return f"migrations/schema/{dialect}.sql"


def fresh_schema(manager: DatabaseManager) -> str:
    """Return the DDL of a database that the migrations made.

    Args:
        manager: of a migrated database with no other tables in it, such as
            :func:`cardlink_sql.review.scratch.scratch_database` creates.

    Raises:
        MigrationError: nothing is applied, or the database holds something unknown to the DDL.
    """
    from cardlink_sql.review.conditions import canonical  # the committed schema needs no sqlglot

    current = manager.migrator.status().current
    if current is None:
        raise MigrationError("no migration is applied", manager.config.safe_url, "migrate first")
    with manager.engine.connect() as connection:
        tables = [canonical(table, manager.dialect) for table in read_tables(connection)]
    return _HEADER.format(
        server=manager.dialect.servers, current=current, dialect=manager.dialect
    ) + ddl(tables, manager.dialect)


_NAMES: Final = re.compile(r"\b(?:ix|uq|pk|fk|ck)_\w+")
_HEADER = """\
-- The schema on {server} as the migrations up to {current} make it.
--
-- Generated, to be read and compared, not edited:
--   cardlink-db schema dump --fresh > migrations/schema/{dialect}.sql
-- A database is made by cardlink-db migrate, which also records what it applied.

"""
