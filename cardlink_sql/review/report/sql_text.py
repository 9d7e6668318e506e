"""Statements as HTML: alone, or the forms of the dialects side by side."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final
from xml.etree.ElementTree import Element

from cardlink_sql.queries.lexer import Kind, Token
from cardlink_sql.review.report.comparison import Part, Word, compare
from cardlink_sql.review.report.elements import Child, element

_CLASSES: Final = {
    Kind.PARAMETER: "parameter",
    Kind.STRING: "string",
    Kind.LINE_COMMENT: "comment whole",
    Kind.BLOCK_COMMENT: "comment",
}


@dataclass(frozen=True)
class Version:
    """A text to be held against others: whose it is, why it differs, its tokens."""

    heading: str
    reasons: tuple[Child, ...]
    tokens: Sequence[Token]


def statement(tokens: Sequence[Token]) -> Element:
    """One statement."""
    words = [Word(token, differs=False) for token in tokens]
    return element("pre", element("code", _lines(words)))


def side_by_side(versions: Sequence[Version], heading: str) -> Element:
    """The versions in columns, or below each other on a narrow screen.

    Lines that belong together are level. Words that a version has and another lacks there are
    marked.

    Args:
        versions: two or more.
        heading: the tag of their headings.
    """
    parts = compare([version.tokens for version in versions])
    return element(
        "div",
        (
            element(
                "section",
                element(heading, version.heading),
                element("div", *version.reasons, class_="reasons"),
                element(
                    "pre",
                    element("code", (_part(part, at) for part in parts)),
                ),
                class_="version",
            )
            for at, version in enumerate(versions)
        ),
        class_=f"versions of-{len(versions)}",
        style=f"--parts: {len(parts)}",
    )


def _part(part: Part, form: int) -> Element:
    """A part as one form has it; where it has none, its place."""
    words = part.forms[form]
    return element("span", _lines(words), class_="part" if words else "part missing")


def _lines(words: Sequence[Word]) -> Iterator[Element]:
    """The lines, so that where one is folded its rest can be indented."""
    line: list[Word] = []
    for word in words:
        line.append(word)
        if word.token.kind is Kind.NEWLINE:
            yield element("span", _colored(line), class_="line")
            line = []
    if line:
        yield element("span", _colored(line), class_="line")


def _colored(words: Iterable[Word]) -> Iterator[Child]:
    """The words with their colours; what differs inside ``mark``, with the blanks between."""
    marked: list[Child] = []
    blanks: list[Child] = []
    for word in words:
        if marked and word.token.kind is Kind.SPACE:
            blanks.append(word.token.text)
        elif word.differs:
            marked += [*blanks, _word(word.token)]
            blanks = []
        else:
            yield from _mark(marked)
            yield from blanks
            marked, blanks = [], []
            yield _word(word.token)
    yield from _mark(marked)
    yield from blanks


def _mark(marked: list[Child]) -> Iterator[Child]:
    if marked:
        yield element("mark", marked)


def _word(token: Token) -> Child:
    name = _CLASSES.get(token.kind)
    if token.kind is Kind.WORD and token.text.isupper():
        name = "keyword"
    return element("span", token.text, class_=name) if name else token.text
