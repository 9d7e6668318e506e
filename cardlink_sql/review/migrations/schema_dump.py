"""The DDL of the schema: the committed file, and a new one from the declared tables."""

import re
from typing import Final

from cardlink_sql.dialect import Dialect
from cardlink_sql.queries.resources import folder
from cardlink_sql.schema.ddl.declared import declared_tables
from cardlink_sql.schema.ddl.printer import ddl
from cardlink_sql.schema.migrator.files import read_migrations


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


def printed_schema(dialect: Dialect) -> str:
    """Return the DDL of the declared tables, which is the committed file of the next release.

    The drift check holds the tables against what the migrations make.
    """
    newest = read_migrations(folder("migrations"), dialect)[-1].id
    header = _HEADER.format(server=dialect.servers, newest=newest, dialect=dialect)
    return header + ddl(declared_tables(dialect), dialect)


_NAMES: Final = re.compile(r"\b(?:ix|uq|pk|fk|ck)_\w+")
_HEADER = """\
-- The schema on {server} as the migrations up to {newest} make it.
--
-- Generated, to be read and compared, not edited:
--   cardlink-db schema dump --dialect {dialect} > migrations/schema/{dialect}.sql
-- A database is made by cardlink-db migrate, which also records what it applied.

"""
