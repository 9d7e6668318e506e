"""Conditions and defaults in one form.

A server keeps a condition as a tree and prints it anew: PostgreSQL adds casts and makes
``= ANY (ARRAY[…])`` of IN, MySQL adds character sets and brackets, SQLite gives back what was
written. Here it is parsed again and printed with as few brackets as there must be.
"""

import re
from collections.abc import Callable
from typing import Final

from cardlink_sql.errors import MigrationError

_TOKEN: Final = re.compile(
    r"\s*(?:(?P<string>'(?:[^'\\]|''|\\.)*')|(?P<quoted>`[^`]*`|\"[^\"]*\")"
    r"|(?P<number>\d+(?:\.\d+)?)|(?P<word>[A-Za-z_]\w*)"
    r"|(?P<sign>::|<=|>=|<>|!=|\|\||!~~|~~|[-+*/%=<>(),\[\]]))",
)
# What the servers put before and behind a literal.
_CHARSET: Final = re.compile(r"\b_utf8mb4(?=\s*\\?')")
_CAST: Final = re.compile(
    r"::(?:character varying|timestamp with(?:out)? time zone|double precision|[a-z_]\w*)"
    r"(?:\(\d+(?:,\d+)?\))?(?:\[\])*"
)
_MYSQL_QUOTES: Final = re.compile(r"(_utf8mb4\s*)\\'((?:[^'\\]|\\\\.)*)\\'")
_LITERALS: Final = frozenset({"NULL", "TRUE", "FALSE", "CURRENT_TIMESTAMP", "CURRENT_DATE"})
_WORDS: Final = _LITERALS.union(
    ("AND", "OR", "NOT", "IN", "IS", "BETWEEN", "LIKE", "ANY", "ALL", "ARRAY")
)
_COMPARISONS: Final = frozenset({"=", "<>", "<", ">", "<=", ">=", "LIKE"})
_SPELLINGS: Final = {"!=": "<>", "~~": "LIKE", "!~~": "NOT LIKE"}

# How tightly each binds; a looser one inside a tighter one needs brackets.
_OR, _AND, _NOT, _COMPARE, _ADD, _MULTIPLY, _ATOM = range(7)
Piece = tuple[str, int]


def canonical(sql: str, where: str) -> str:
    """An expression as every server would have it written.

    Args:
        sql: the expression as a server gives it.
        where: what it belongs to, for the error.

    Raises:
        MigrationError: it holds what this does not know.
    """
    parser = _Parser(_tokens(sql, where), sql, where)
    return parser.whole()


def _tokens(sql: str, where: str) -> list[str]:
    text = _MYSQL_QUOTES.sub(r"\1'\2'", sql)
    pieces = re.split(r"('(?:[^'\\]|''|\\.)*')", _CHARSET.sub("", text))
    pieces[::2] = [_CAST.sub("", piece) for piece in pieces[::2]]
    text, tokens, position = "".join(pieces).strip(), list[str](), 0
    while position < len(text):
        found = _TOKEN.match(text, position)
        if found is None:
            raise _unknown(sql, where)
        tokens.append(_token(found))
        position = found.end()
    return tokens


def _token(found: re.Match[str]) -> str:
    if found["string"]:
        return found["string"].replace("\\'", "''")
    if found["quoted"]:
        return found["quoted"][1:-1]
    if found["word"]:
        upper = found["word"].upper()
        return upper if upper in _WORDS else found["word"].lower()
    return found["number"] or _SPELLINGS.get(found["sign"], found["sign"])


def _unknown(sql: str, where: str) -> MigrationError:
    return MigrationError(
        f"the schema dump does not understand: {sql}",
        where,
        "write it in a plainer form, or teach cardlink_sql/schema/ddl/expressions.py to read it",
    )


class _Parser:
    """Reads tokens; each method gives the text of what it read and how tightly that binds."""

    def __init__(self, tokens: list[str], sql: str, where: str) -> None:
        self._tokens = tokens
        self._sql, self._where = sql, where
        self._position = 0

    def whole(self) -> str:
        text, _ = self._or()
        if self._position != len(self._tokens):
            raise self._fault()
        return text

    def _or(self) -> Piece:
        return self._chain(self._and, ("OR",), _OR)

    def _and(self) -> Piece:
        return self._chain(self._not, ("AND",), _AND)

    def _not(self) -> Piece:
        if self._accept("NOT"):
            return f"NOT {_bracketed(self._not(), _NOT)}", _NOT
        return self._comparison()

    def _comparison(self) -> Piece:
        left = self._sum()
        negated = "NOT " if self._accept("NOT") else ""
        sign = self._peek()
        if negated and sign not in ("IN", "BETWEEN", "LIKE"):
            raise self._fault()
        if sign not in ("IS", "IN", "BETWEEN", "LIKE", "NOT LIKE", *_COMPARISONS):
            return left
        self._next()
        return f"{_bracketed(left, _ADD)} {negated}{self._compared(sign)}", _COMPARE

    def _compared(self, sign: str) -> str:
        """What a comparison compares with, from its sign on."""
        if sign == "IS":
            negated = "NOT " if self._accept("NOT") else ""
            return f"IS {negated}{self._atom()[0]}"
        if sign == "IN":
            return f"IN {self._list('(', ')')}"
        if sign == "BETWEEN":
            low = _bracketed(self._sum(), _ADD)
            self._expect("AND")
            return f"BETWEEN {low} AND {_bracketed(self._sum(), _ADD)}"
        if sign in ("=", "<>") and self._peek() in ("ANY", "ALL"):
            self._next()
            return f"{'IN' if sign == '=' else 'NOT IN'} {self._array()}"
        return f"{sign} {_bracketed(self._sum(), _ADD)}"

    def _array(self) -> str:
        brackets = 0
        while self._accept("("):
            brackets += 1
        self._expect("ARRAY")
        values = self._list("[", "]")
        for _ in range(brackets):
            self._expect(")")
        return values

    def _sum(self) -> Piece:
        return self._chain(self._product, ("+", "-", "||"), _ADD)

    def _product(self) -> Piece:
        return self._chain(self._atom, ("*", "/", "%"), _MULTIPLY)

    def _chain(self, part: Callable[[], Piece], signs: tuple[str, ...], binds: int) -> Piece:
        piece = part()
        while self._peek() in signs:
            sign = self._next()
            # Brackets on the right matter to - and /, those on the left never do.
            left, right = _bracketed(piece, binds), _bracketed(part(), binds + (sign in "-/%"))
            piece = f"{left} {sign} {right}", binds
        return piece

    def _atom(self) -> Piece:
        word = self._next()
        if word == "(":
            inner = self._or()
            self._expect(")")
            return inner
        if word == "-":
            return f"-{_bracketed(self._atom(), _ATOM)}", _ATOM
        if word in _WORDS - _LITERALS or not re.fullmatch(r"[\w.]+|'.*'", word, re.DOTALL):
            raise self._fault()
        if self._peek() == "(":
            return f"{word.upper()}{self._list('(', ')')}", _ATOM
        return word, _ATOM

    def _list(self, opening: str, closing: str) -> str:
        self._expect(opening)
        values = list[str]()
        while not self._accept(closing):
            if values:
                self._expect(",")
            values.append(self._or()[0])
        return f"({', '.join(values)})"

    def _peek(self) -> str:
        return self._tokens[self._position] if self._position < len(self._tokens) else ""

    def _next(self) -> str:
        token = self._peek()
        if not token:
            raise self._fault()
        self._position += 1
        return token

    def _accept(self, token: str) -> bool:
        if self._peek() != token:
            return False
        self._position += 1
        return True

    def _expect(self, token: str) -> None:
        if not self._accept(token):
            raise self._fault()

    def _fault(self) -> MigrationError:
        return _unknown(self._sql, self._where)


def _bracketed(piece: Piece, least: int) -> str:
    text, binds = piece
    return text if binds >= least else f"({text})"
