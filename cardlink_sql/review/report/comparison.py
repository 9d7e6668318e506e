"""Compares the forms of a statement: first by line, then by the lexer's tokens."""

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import combinations, pairwise
from typing import Final

from cardlink_sql.queries.lexer import Kind, Token

_SPACE: Final = frozenset({Kind.SPACE, Kind.NEWLINE})
_CLASSES: Final = {
    Kind.PARAMETER: "parameter",
    Kind.STRING: "string",
    Kind.LINE_COMMENT: "comment whole",
    Kind.BLOCK_COMMENT: "comment",
}

TokenLine = tuple[Token, ...]


@dataclass(frozen=True)
class Word:
    """A token, and whether another form lacks it at this place."""

    token: Token
    differs: bool

    @property
    def style(self) -> str:
        """Return the class of its colour."""
        if self.token.kind is Kind.WORD and self.token.text.isupper():
            return "keyword"
        return _CLASSES.get(self.token.kind, "")


# For each form its lines: one that all forms share, or those between two such lines.
Part = tuple[tuple[tuple[Word, ...], ...], ...]


def compare(forms: Sequence[Sequence[Token]]) -> list[Part]:
    """Return the forms cut into parts; the words of a form are its text."""
    lines = [list(_lines(tokens)) for tokens in forms]
    parts, starts = [], [0] * len(lines)
    for places in [*_shared(lines), [len(of_form) for of_form in lines]]:
        gap = [of[start:end] for of, start, end in zip(lines, starts, places, strict=True)]
        shared = [of[place : place + 1] for of, place in zip(lines, places, strict=True)]
        parts += [_part(texts) for texts in (gap, shared) if any(texts)]
        starts = [place + 1 for place in places]
    return parts


def _lines(tokens: Sequence[Token]) -> Iterator[TokenLine]:
    ends = [at for at, token in enumerate(tokens, 1) if token.kind is Kind.NEWLINE]
    for start, end in pairwise([0, *ends, len(tokens)]):
        if start < end:
            yield tuple(tokens[start:end])


def _shared(forms: list[list[TokenLine]]) -> Iterator[list[int]]:
    """Yield the place in each form of every line that all forms have."""
    first, *others = [[_key(line) for line in form] for form in forms]
    matches = [_matches(first, other) for other in others]
    for line in range(len(first)):
        if all(line in match for match in matches):
            yield [line, *(match[line] for match in matches)]


def _part(texts: Sequence[Sequence[TokenLine]]) -> Part:
    words = [[t for line in lines for t in line if t.kind not in _SPACE] for lines in texts]
    own: list[set[Token]] = [set() for _ in texts]
    for one, other in combinations(range(len(texts)), 2):
        matches = _matches([t.text for t in words[one]], [t.text for t in words[other]])
        for form, matched in ((one, set(matches)), (other, set(matches.values()))):
            own[form] |= {token for at, token in enumerate(words[form]) if at not in matched}
    return tuple(
        tuple(tuple(_words(line, marked)) for line in lines)
        for lines, marked in zip(texts, own, strict=True)
    )


def _words(line: TokenLine, marked: set[Token]) -> Iterator[Word]:
    """Yield the words; signs and blanks between two marked words are marked with them."""
    places = [at for at, token in enumerate(line) if token in marked]
    filled = set(places)
    for start, end in pairwise(places):
        between = range(start + 1, end)
        if all(line[at].kind in (Kind.SPACE, Kind.OTHER) for at in between):
            filled.update(between)
    for at, token in enumerate(line):
        yield Word(token, at in filled)


def _key(tokens: Sequence[Token]) -> tuple[str, ...]:
    """Return what is compared: everything but the blanks."""
    return tuple(token.text for token in tokens if token.kind not in _SPACE)


def _matches(one: Sequence[Hashable], other: Sequence[Hashable]) -> dict[int, int]:
    """Return the places in both of what they have in the same order."""
    return {
        block.a + step: block.b + step
        for block in SequenceMatcher(None, one, other, autojunk=False).get_matching_blocks()
        for step in range(block.size)
    }
