"""Holds ``sql/`` and ``migrations/`` to one style, by sqlfluff.

    python scripts/_sql_style.py [FILE…]

The rules are in ``pyproject.toml``. sqlfluff is shown each file as the layer's own lexer reads
it: of the length that it has, so that lines and columns are those of the file, but with a number
in place of each ``:parameter``, and with a comment in place of what sqlfluff does not parse. The
files of ``sql/common`` are read once, by the rules of PostgreSQL: that they run on all three is
held by the tests.
"""

import os
import re
import sys
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Final

from sqlfluff.core import FluffConfig, Linter

from cardlink_sql.dialect import Dialect
from cardlink_sql.queries.lexer import Kind, Token, tokenize

ROOT: Final = Path(__file__).resolve().parent.parent
_NAMES: Final = {Dialect.POSTGRESQL: "postgres", Dialect.MYSQL: "mysql", Dialect.SQLITE: "sqlite"}
# A migration's CREATE TABLE is laid out as a table, in columns, by four blanks.
_NOT_FOR_MIGRATIONS: Final = frozenset({"LT01", "LT02"})
# The machinery's statements have names in braces, which are put in when they are sent, and columns
# that are read by their place.
_NOT_FOR_INTERNAL: Final = frozenset({"RF05", "AL03"})
# sqlfluff knows INDEXED BY only in SELECT, and no mode of BEGIN.
_UNPARSED: Final = re.compile(
    r'INDEXED BY \w+|NOT INDEXED|(?<=BEGIN )(EXCLUSIVE|ISOLATION LEVEL [A-Z ]+)|= "\{\w+\}"(?=;)'
)


def dialect_of(path: Path) -> Dialect:
    """The dialect whose rules a file follows."""
    folder = path.parent.name
    return Dialect.POSTGRESQL if folder == "common" else Dialect(folder)


def rendered(text: str, dialect: Dialect) -> str:
    """The text as sqlfluff reads it without an error; as long as it was, line by line."""
    plain = "".join(_shown(token) for token in tokenize(text, dialect))
    return _UNPARSED.sub(lambda found: f"/*{found[0][2:-2]}*/", plain)


def _shown(token: Token) -> str:
    return "1".ljust(len(token.text), "0") if token.kind is Kind.PARAMETER else token.text


def faults(path: Path) -> list[str]:
    """Return the faults of a file, a sentence each, beginning with ``file:line:column``."""
    dialect, where = dialect_of(path), os.path.relpath(path, ROOT)
    config = FluffConfig.from_path(str(ROOT), overrides={"dialect": _NAMES[dialect]})
    text = path.read_text(encoding="utf-8")
    linted = Linter(config=config).lint_string(rendered(text, dialect), fname=where)
    exempt = _NOT_FOR_INTERNAL if "internal" in path.parts else frozenset[str]()
    if "migrations" in (*path.parts, path.stem):
        exempt |= _NOT_FOR_MIGRATIONS
    return [
        f"{where}:{fault.line_no}:{fault.line_pos}: {fault.rule_code()} {fault.desc()}"
        for fault in linted.get_violations()
        if fault.rule_code() not in exempt
    ]


def main(arguments: list[str]) -> int:
    """Print the faults; return 1 if there are any."""
    files = [Path(name).resolve() for name in arguments] or [
        path
        for folder in ("sql", "migrations")
        for path in sorted((ROOT / folder).rglob("*.sql"))
        if path.parent.name in ("common", *Dialect)
    ]
    with ProcessPoolExecutor() as pool:
        found = [fault for of_file in pool.map(faults, files) for fault in of_file]
    print("\n".join(found) or f"{len(files)} files, no fault.")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
