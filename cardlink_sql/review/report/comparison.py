"""Forms of one statement compared, word by word.

First by lines: what all forms have in common and what stands in its place in each. Then, where they
differ, by the lexer's tokens.
"""

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import combinations
from typing import Final

from cardlink_sql.queries.lexer import Kind, Token

_SPACE: Final = frozenset({Kind.SPACE, Kind.NEWLINE})

Line = tuple[Token, ...]


@dataclass(frozen=True)
class Word:
    """A token, and whether it is in this form but not at this place of every other."""

    token: Token
    differs: bool


@dataclass(frozen=True)
class Part:
    """Lines that are alike in all forms, or that stand in one another's place.

    Attributes:
        is_common: whether they are alike.
        forms: the words of each form; none where the others alone have lines here.
    """

    is_common: bool
    forms: tuple[tuple[Word, ...], ...]


def compare(forms: Sequence[Sequence[Token]]) -> list[Part]:
    """The forms cut into parts, each over all of them.

    The words of a form, joined over all parts, are its text.

    Args:
        forms: the tokens of each form; of a single one, all of it is common.
    """
    lines = [_lines(_with_numbers(tokens)) for tokens in forms]
    parts = []
    for is_common, ranges in _ranges(lines):
        texts = [
            [token for line in of_form[start:end] for token in line]
            for of_form, (start, end) in zip(lines, ranges, strict=True)
        ]
        own = [[False] * len(text) for text in texts] if is_common else _own(texts)
        words = (tuple(map(Word, text, marks)) for text, marks in zip(texts, own, strict=True))
        parts.append(Part(is_common, tuple(words)))
    return parts


def _with_numbers(tokens: Sequence[Token]) -> list[Token]:
    """The tokens with the digits of a number as one: the lexer has no need of numbers."""
    made: list[Token] = []
    for token in tokens:
        last = made[-1] if made else None
        if last and last.kind is token.kind is Kind.OTHER and _is_number(last.text + token.text):
            made[-1] = last._replace(text=last.text + token.text)
        else:
            made.append(token)
    return made


def _is_number(text: str) -> bool:
    return text.replace(".", "", 1).isdecimal() and text[0] != "."


def _lines(tokens: Sequence[Token]) -> list[Line]:
    lines: list[Line] = []
    line: list[Token] = []
    for token in tokens:
        line.append(token)
        if token.kind is Kind.NEWLINE:
            lines.append(tuple(line))
            line = []
    return [*lines, tuple(line)] if line else lines


def _ranges(forms: list[list[Line]]) -> Iterator[tuple[bool, list[tuple[int, int]]]]:
    """Which lines of each form belong together, from the first to the last."""
    at = [0] * len(forms)
    for places, length in _common(forms):
        if at != places:
            yield False, list(zip(at, places, strict=True))
        at = [place + length for place in places]
        yield True, list(zip(places, at, strict=True))
    ends = [len(form) for form in forms]
    if at != ends:
        yield False, list(zip(at, ends, strict=True))


def _common(forms: list[list[Line]]) -> Iterator[tuple[list[int], int]]:
    """The runs of lines that all forms have: where they are in each, and how long they are."""
    first, *others = [[_key(line) for line in form] for form in forms]
    matches = [dict(_matches(first, other)) for other in others]
    places: list[int] = []
    length = 0
    for line in range(len(first)):
        if not all(line in match for match in matches):
            continue
        found = [line, *(match[line] for match in matches)]
        if places and found == [place + length for place in places]:
            length += 1
            continue
        if places:
            yield places, length
        places, length = found, 1
    if places:
        yield places, length


def _own(texts: Sequence[Sequence[Token]]) -> list[list[bool]]:
    """For each token of each text whether another text lacks it."""
    words = [[token for token in text if token.kind not in _SPACE] for text in texts]
    own = [[False] * len(of_text) for of_text in words]
    for one, other in combinations(range(len(texts)), 2):
        matches = [*_matches(_key(words[one]), _key(words[other]))]
        for at, shared in ((one, {a for a, _ in matches}), (other, {b for _, b in matches})):
            own[at] = [mark or place not in shared for place, mark in enumerate(own[at])]
    for of_text, marks in zip(words, own, strict=True):
        _close_gaps(marks, [token.kind is Kind.OTHER for token in of_text])
    return [_with_blanks(text, marks) for text, marks in zip(texts, own, strict=True)]


def _with_blanks(text: Sequence[Token], marks: Sequence[bool]) -> list[bool]:
    """The marks of the words, and none for the blanks between them."""
    following = iter(marks)
    return [token.kind not in _SPACE and next(following) for token in text]


def _close_gaps(own: list[bool], is_sign: list[bool]) -> None:
    """Signs between two words that differ differ with them: a ( that is shared says nothing."""
    last = None
    for at, differs in enumerate(own):
        if differs:
            if last is not None and all(is_sign[last + 1 : at]):
                own[last:at] = [True] * (at - last)
            last = at


def _key(tokens: Sequence[Token]) -> tuple[str, ...]:
    """What is compared: everything but the blanks."""
    return tuple(token.text for token in tokens if token.kind not in _SPACE)


def _matches(one: Sequence[Hashable], other: Sequence[Hashable]) -> Iterator[tuple[int, int]]:
    """The places of what both have in the same order."""
    for block in SequenceMatcher(None, one, other, autojunk=False).get_matching_blocks():
        for step in range(block.size):
            yield block.a + step, block.b + step
