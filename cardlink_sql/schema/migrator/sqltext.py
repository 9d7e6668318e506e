"""The SQL of a migration file: its statements, each up to a ``;`` outside of brackets and routines.

Sources: MySQL 8.0, "Compound Statements" (15.6); MariaDB, "Programmatic & Compound Statements";
SQLite, CREATE TRIGGER; PostgreSQL, CREATE FUNCTION (``BEGIN ATOMIC``).
"""

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Final

from cardlink_sql.dialect import Dialect
from cardlink_sql.errors import MigrationError, QueryError
from cardlink_sql.queries.lexer import BLANK, Kind, Token, tokenize

_HIDDEN: Final = BLANK | {Kind.STRING, Kind.IDENTIFIER}
_DELIMITER: Final = re.compile(r"^[ \t]*DELIMITER\b", re.IGNORECASE | re.MULTILINE)
_ROUTINE: Final = re.compile(
    r"\s*CREATE\b(?:[^;(]|\(\s*\))*?\b(TRIGGER|FUNCTION|PROCEDURE|EVENT)\b", re.IGNORECASE
)
_TRANSACTION: Final = re.compile(
    r"(?:^|;)\s*(BEGIN|START\s+TRANSACTION|COMMIT|END|ROLLBACK|ABORT|SAVEPOINT|RELEASE"
    r"|SET\s+(?:@@)?(?:SESSION\s+|SESSION\.)?AUTOCOMMIT)\b",
    re.IGNORECASE,
)
# CREATE OR REPLACE DEFINER = user @ host AGGREGATE FUNCTION
_LONGEST_HEAD: Final = 12
_BLOCKS: Final = frozenset({"CASE", "IF", "LOOP", "WHILE", "REPEAT", "FOR"})


@lru_cache(maxsize=1024)
def code(text: str, dialect: Dialect) -> str:
    """Return the text with each character of a string, comment or quoted name as a space.

    The length and the lines do not change.
    """
    return "".join(_visible(token, dialect) for token in tokenize(text, dialect))


def _visible(token: Token, dialect: Dialect) -> str:
    # /*! … */ and /*M! … */ are code to MySQL and MariaDB.
    if dialect is Dialect.MYSQL and (opener := re.match(r"/\*M?!", token.text)):
        inner = code(token.text[opener.end() : -2], dialect)
        return f"{' ' * opener.end()}{inner}  "
    return re.sub(r"[^\n]", " ", token.text) if token.kind in _HIDDEN else token.text


def check(text: str, dialect: Dialect, where: str) -> None:
    """Refuse text that cannot be split into statements."""
    try:
        visible = code(text, dialect)
    except QueryError as error:
        line = str(error.where).split(":")[1]
        raise MigrationError(error.what, f"{where}:{line}", error.remedy) from None
    if delimiter := _DELIMITER.search(visible):
        raise MigrationError(
            "DELIMITER is a command of the mysql client, not SQL",
            f"{where}:{text.count(chr(10), 0, delimiter.end()) + 1}",
            "remove it: a ; in the body of a routine or a trigger needs no delimiter",
        )


def check_statement(visible: str, where: str) -> None:
    """Refuse a statement that opens or ends a transaction: each migration has one already."""
    if _ROUTINE.match(visible):
        return
    if found := _TRANSACTION.search(visible):
        raise MigrationError(
            f"{found[1].upper()} in a migration",
            where,
            "remove it: a migration is one transaction already; "
            "-- transactional: false in its first line switches that off",
        )


def split(text: str, dialect: Dialect) -> list[str]:
    """Return the statements, each with its ``;`` and the comments before it.

    A comment after the ``;`` on the same line belongs to the statement that ends there.
    """
    tokens = tokenize(text, dialect)
    ends = _ends([token for token in tokens if token.kind not in BLANK], dialect)
    statements, is_ended = [""], False
    end = next(ends, None)
    for token in tokens:
        if is_ended and token.kind not in (Kind.SPACE, Kind.LINE_COMMENT):
            statements.append("")
            is_ended = False
        statements[-1] += token.text
        if token is end:
            is_ended, end = True, next(ends, None)
    return [statement.strip() for statement in statements if statement.strip()]


def _ends(tokens: list[Token], dialect: Dialect) -> Iterator[Token]:
    """Yield each ``;`` that ends a statement; the tokens have no comments."""
    words = ["" if token.kind in _HIDDEN else token.text.upper() for token in tokens]
    start, brackets, blocks = 0, 0, 0
    for position, (token, word) in enumerate(zip(tokens, words, strict=True)):
        if token.kind is Kind.SEMICOLON and brackets == blocks == 0:
            yield token
            start = position + 1
        elif word in ("(", ")"):
            brackets = max(0, brackets + (1 if word == "(" else -1))
        elif token.kind is Kind.WORD and _is_routine(words[start : start + _LONGEST_HEAD]):
            before, after = words[position - 1], words[position + 1 : position + 3]
            blocks = max(0, blocks + _opened(word, before, after, dialect))


def _is_routine(head: list[str]) -> bool:
    return _ROUTINE.match(" ".join(head)) is not None


def _opened(word: str, before: str, after: list[str], dialect: Dialect) -> int:
    """Return 1 for a word that opens a block, -1 for one that closes it.

    An IF opens its block with THEN: without one it is a function, or IF EXISTS. The THEN of a WHEN
    or an ELSEIF opens none.
    """
    if before == "END" and word in _BLOCKS:
        return 0
    if word in ("END", "WHEN", "ELSEIF", "ELSIF"):
        return -1
    if word in ("BEGIN", "CASE", "THEN"):
        return 1
    if dialect is not Dialect.MYSQL:
        return 0
    return int(
        word in ("LOOP", "WHILE")
        or (word == "REPEAT" and after[:1] != ["("])  # or the function
        or (word == "FOR" and after[1:] == ["IN"])  # or FOR EACH ROW, or a handler
    )
