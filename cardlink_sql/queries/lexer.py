"""Cuts SQL text into tokens by the rules of one dialect.

Joined, the tokens are the text again, character for character. A parameter never starts
inside a string, a comment, a quoted identifier or a dollar quote, because those are
separate tokens.

Sources: https://www.sqlite.org/lang_expr.html, PostgreSQL "Lexical Structure" (4.1), MySQL
"Language Structure" (String Literals, Comments).
"""

import re
from enum import Enum
from functools import cache
from typing import Final, NamedTuple

from cardlink_sql.dialect import Dialect
from cardlink_sql.errors import QueryError


class Kind(Enum):
    """The kinds of tokens."""

    NEWLINE = "newline"
    SPACE = "space"
    LINE_COMMENT = "line comment"
    BLOCK_COMMENT = "block comment"
    STRING = "string"
    IDENTIFIER = "quoted identifier"
    PARAMETER = "parameter"
    SEMICOLON = "semicolon"
    WORD = "word"
    OTHER = "other"


BLANK: Final = frozenset({Kind.NEWLINE, Kind.SPACE, Kind.LINE_COMMENT, Kind.BLOCK_COMMENT})


class Token(NamedTuple):
    """A piece of the text and where it starts (line and column count from 1)."""

    kind: Kind
    text: str
    line: int
    column: int


_SINGLE_QUOTED: Final = r"'(?:[^']|'')*'"
_DOUBLE_QUOTED: Final = r'"(?:[^"]|"")*"'
_BACKTICKED: Final = r"`(?:[^`]|``)*`"
_BACKSLASH_QUOTED: Final = r"'(?:[^'\\]|\\.|'')*'"

# A colon after a word, a bracket or another colon is a cast, a label or an array slice.
_PARAMETER: Final = r"(?<![\w:\])$]):[A-Za-z_]\w*"

_COMMON: Final = (
    (Kind.WORD, r"[^\W\d][\w$]*"),
    (Kind.NEWLINE, r"\r\n|\n|\r"),
    (Kind.SPACE, r"[^\S\r\n]+"),
    (Kind.PARAMETER, _PARAMETER),
    (Kind.SEMICOLON, r";"),
    (Kind.OTHER, r"::|:=|\d+(?:\.\d+)?|."),
)

# E'…' keeps its backslashes in the pieces that follow on the next lines, too.
_POSTGRESQL_ESCAPE_STRING: Final = (
    rf"(?<![\w$])[eE]{_BACKSLASH_QUOTED}(?:[^\S\r\n]*[\r\n]\s*{_BACKSLASH_QUOTED})*"
)
_DOLLAR_QUOTED: Final = r"(?<![\w$])\$(?P<tag>(?:[^\W\d]\w*)?)\$.*?\$(?P=tag)\$"

_RULES: Final = {
    Dialect.SQLITE: (
        (Kind.LINE_COMMENT, r"--[^\r\n]*"),
        (Kind.BLOCK_COMMENT, r"/\*.*?\*/"),
        (Kind.STRING, _SINGLE_QUOTED),
        (Kind.IDENTIFIER, rf"{_DOUBLE_QUOTED}|{_BACKTICKED}|\[[^\]]*\]"),
        *_COMMON,
    ),
    Dialect.MYSQL: (
        (Kind.LINE_COMMENT, r"--(?=[\s\x00-\x1f]|\Z)[^\r\n]*|\#[^\r\n]*"),
        (Kind.BLOCK_COMMENT, r"/\*.*?\*/"),
        (Kind.STRING, rf'{_BACKSLASH_QUOTED}|"(?:[^"\\]|\\.|"")*"'),
        (Kind.IDENTIFIER, _BACKTICKED),
        *_COMMON,
    ),
    Dialect.POSTGRESQL: (
        (Kind.LINE_COMMENT, r"--[^\r\n]*"),
        (Kind.STRING, rf"{_POSTGRESQL_ESCAPE_STRING}|{_SINGLE_QUOTED}|{_DOLLAR_QUOTED}"),
        (Kind.IDENTIFIER, _DOUBLE_QUOTED),
        *_COMMON,
    ),
}


@cache
def _pattern(dialect: Dialect) -> re.Pattern[str]:
    rules = _RULES[dialect]
    return re.compile("|".join(f"(?P<{kind.name}>{rule})" for kind, rule in rules), re.DOTALL)


_KINDS: Final = {kind.name: kind for kind in Kind}

_UNCLOSED: Final = {
    Dialect.SQLITE: {"'": "string", '"': "quoted name", "`": "quoted name", "[": "quoted name"},
    Dialect.MYSQL: {"'": "string", '"': "string", "`": "quoted name"},
    Dialect.POSTGRESQL: {"'": "string", '"': "quoted name"},
}
_DOLLAR_OPENER: Final = re.compile(r"\$(?:[^\W\d]\w*)?\$")


_BREAK: Final = re.compile(r"\r\n|\n|\r")
_MAY_BREAK: Final = frozenset({Kind.NEWLINE, Kind.BLOCK_COMMENT, Kind.STRING, Kind.IDENTIFIER})


def tokenize(text: str, dialect: Dialect, file: str = "<sql>") -> list[Token]:
    """Return the tokens of ``text``; joined, they are the text.

    Raises:
        QueryError: a string, comment, quoted name or dollar quote is not closed.
    """
    tokens = []
    position, line, line_start = 0, 1, 0
    while position < len(text):
        column = position - line_start + 1
        kind, end = _next(text, position, dialect)
        piece = text[position:end]
        if kind is Kind.OTHER:
            _refuse_unclosed(text, position, dialect, f"{file}:{line}:{column}")
        tokens.append(Token(kind, piece, line, column))
        if kind in _MAY_BREAK and (breaks := list(_BREAK.finditer(piece))):
            line += len(breaks)
            line_start = position + breaks[-1].end()
        position = end
    return tokens


def _next(text: str, position: int, dialect: Dialect) -> tuple[Kind, int]:
    if dialect is Dialect.POSTGRESQL and text.startswith("/*", position):
        end = _end_of_nested_comment(text, position)
        return (Kind.BLOCK_COMMENT, end) if end else (Kind.OTHER, position + 1)
    match = _pattern(dialect).match(text, position)
    if match is None or match.lastgroup is None:
        raise AssertionError("every character is a token: the last rule takes any")
    return _KINDS[match.lastgroup], match.end()


def _end_of_nested_comment(text: str, start: int) -> int | None:
    depth = 0
    for mark in re.compile(r"/\*|\*/").finditer(text, start):
        depth += 1 if mark.group() == "/*" else -1
        if depth == 0:
            return mark.end()
    return None


def _refuse_unclosed(text: str, position: int, dialect: Dialect, where: str) -> None:
    what = _UNCLOSED[dialect].get(text[position])
    if text.startswith("/*", position):
        what = "comment"
    elif dialect is Dialect.POSTGRESQL and _DOLLAR_OPENER.match(text, position):
        before = text[position - 1 : position]
        what = None if before.isalnum() or before in ("_", "$") else "dollar quote"
    if what:
        opener = text[position : position + 20].splitlines()[0]
        raise QueryError(f"the {what} that starts with {opener!r} is not closed", where, "close it")
