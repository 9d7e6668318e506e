"""Reads an SQL script of a dump tool without running it.

``pg_restore`` writes blocks of rows, ``COPY table (columns) FROM stdin;`` to ``\\.``, a row a
line. ``mysqldump`` writes ``INSERT INTO table (columns) VALUES (…),(…);``, a statement or a row
a line. In both a line break in a value is written as ``\\n``.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Final

from cardlink_sql.errors import ValidationError

# A row that an import of JSON lines takes, each of its characters escaped.
_LONGEST_LINE: Final = 2**26
_COPY: Final = re.compile(rb"COPY (?:.*\.)?(?P<table>\w+) \(.*\) FROM stdin;\n")
_COPY_END: Final = b"\\.\n"
_SETTING: Final = re.compile(rb"SET (?P<name>\w+) = .*;\n")
_INSERT: Final = re.compile(rb"INSERT INTO `(?P<table>\w+)` \(.*?\) VALUES")
_STRING: Final = re.compile(rb"'(?:[^'\\]|\\.)*'")
_TRAILER: Final = b"-- Dump completed"


def lines(pieces: Iterable[bytes], where: str) -> Iterator[bytes]:
    """Return the lines, with their ends, of a text that comes in pieces.

    Args:
        pieces: of the text.
        where: it comes from, for an error.

    Raises:
        ValidationError: a line is longer than any row.
    """
    rest = b""
    for piece in pieces:
        *whole, rest = (rest + piece).split(b"\n")
        if len(rest) > _LONGEST_LINE:
            what = f"a line of the dump is longer than {_LONGEST_LINE:,} bytes"
            raise ValidationError(what, where, "use a backup by --method jsonl")
        for line in whole:
            yield line + b"\n"
    if rest:
        yield rest


def count_copied_rows(script: Iterable[bytes]) -> dict[str, int]:
    """Count the rows of each table in a script of ``pg_restore``."""
    rows: Counter[str] = Counter()
    for table, line in _copied(script):
        if table is not None:
            rows[table] += line != _COPY_END
    return dict(rows)


def without_unknown_settings(script: Iterable[bytes], known: set[str]) -> Iterator[bytes]:
    """Return a script of ``pg_restore`` without the settings that the server does not know."""
    for table, line in _copied(script):
        setting = None if table is not None else _SETTING.fullmatch(line)
        if setting is None or setting["name"].decode() in known:
            yield line


def _copied(script: Iterable[bytes]) -> Iterator[tuple[str | None, bytes]]:
    """Yield each line, the block's last included, with the table whose row it is."""
    table: str | None = None
    for line in script:
        yield table, line
        if table is None:
            copy = _COPY.fullmatch(line)
            table = copy["table"].decode() if copy else None
        elif line == _COPY_END:
            table = None


def count_inserted_rows(script: Iterable[bytes]) -> dict[str, int] | None:
    """Count the rows of each table in a script of ``mysqldump``; None where its end is missing."""
    rows: Counter[str] = Counter()
    table: str | None = None
    is_whole = False
    for line in script:
        values = line
        if table is None:
            is_whole = is_whole or line.startswith(_TRAILER)
            insert = _INSERT.match(line)
            if insert is None:
                continue
            table = insert["table"].decode()
            values = line[insert.end() :]
        # Each row is in brackets, and out of strings there are no others.
        rows[table] += _STRING.sub(b"", values).count(b"(")
        if line.endswith(b";\n"):
            table = None
    return dict(rows) if is_whole else None
