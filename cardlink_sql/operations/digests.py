"""Which query a digest is of: MariaDB's normalised text of a statement, held against the files.

A digest keeps the words of a statement in their order and neither its comments nor its values. The
words of two queries may be the same, so that a digest may be of either.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from cardlink_sql.queries import Library, Query
from cardlink_sql.queries.lexer import BLANK, Kind, Token

# A word, with or without `…`; numbers are passed over as a whole, for 1e0 holds no word.
_WORD: Final = re.compile(r"`(?P<quoted>[^`]*)`|\d[\w.]*|\(unknown\)|(?P<plain>[^\W\d]\w*)")
# Words that the server writes in place of another one.
_SAME: Final = {
    "CHAR": "CHARACTER",
    "DISTINCTROW": "DISTINCT",
    "SCHEMA": "DATABASE",
    "SQL_TSI_DAY": "DAY",
    "SUBSTR": "SUBSTRING",
}
# A digest of the full length may have lost its end (max_digest_length is 1024).
_MAY_BE_CUT: Final = 1000


@dataclass(frozen=True)
class _Part:
    """The words of a line, which is always in or not."""

    words: tuple[str, ...]
    is_optional: bool


class Digests:
    """Finds the queries of a library by their digests."""

    def __init__(self, library: Library) -> None:
        self._parts = {query.title: list(_parts(query)) for query in library.all()}

    def find(self, text: str) -> list[str]:
        """Return the titles of the queries that a digest may belong to; none if it fits none."""
        words = list(_words(text))
        found = [title for title, parts in self._parts.items() if _fits(parts, words)]
        if found or len(text) < _MAY_BE_CUT:
            return found
        return [title for title, parts in self._parts.items() if _fits(parts, words, is_cut=True)]


def _parts(query: Query) -> Iterator[_Part]:
    for line in query.source.lines:
        text = "".join(map(_shown, line.tokens))
        yield _Part(tuple(_words(text)), is_optional=bool(line.when or line.order))


def _shown(token: Token) -> str:
    return " " if token.kind in {*BLANK, Kind.STRING, Kind.PARAMETER} else token.text


def _words(text: str) -> Iterator[str]:
    for found in _WORD.finditer(text):
        word = (found["quoted"] or found["plain"] or "").upper()
        # A NULL that is a value is none of the digest's words, and all others are of no matter.
        if word and word != "NULL":
            yield _SAME.get(word, word)


def _fits(parts: Iterable[_Part], words: Sequence[str], *, is_cut: bool = False) -> bool:
    """Return whether the words match the parts, with any of the optional ones."""
    places = {0}  # how many words the parts so far may have taken
    for part in parts:
        taken = set(places) if part.is_optional else set()
        for place in places:
            following = tuple(words[place : place + len(part.words)])
            if following == part.words:
                taken.add(place + len(following))
            elif is_cut and following == part.words[: len(words) - place]:
                return True  # the words end within this part
        places = taken
    return len(words) in places
