"""Forms compared word by word."""

from itertools import groupby

import pytest

from cardlink_sql.dialect import Dialect
from cardlink_sql.queries.lexer import tokenize
from cardlink_sql.review.report.comparison import Part, compare


def compared(*texts: str) -> list[Part]:
    """The parts of some texts."""
    return compare([tokenize(text, Dialect.SQLITE) for text in texts])


def marked(part: Part, form: int) -> list[str]:
    """Return what is marked in a form."""
    return ["".join(w.token.text for w in group) for line in part[form]
            for differs, group in groupby(line, lambda word: word.differs) if differs]  # fmt: skip


TEXTS = [
    ("SELECT a\nFROM t;", "SELECT a\nFROM t;"),
    ("SELECT a\nFROM t;", "SELECT b\nFROM t\nWHERE a;"),
    ("", "SELECT 1"),
    ("a\nb\nc\nb\n", "b\nc\na\n", "c\nb\n\nb\na"),
    ("SELECT 'x\ny', 1.25\n", "SELECT 1.5\n"),
]


@pytest.mark.parametrize("texts", TEXTS)
def test_the_words_of_a_form_are_its_text(texts: tuple[str, ...]) -> None:
    parts = compared(*texts)
    for form, text in enumerate(texts):
        words = (word.token.text for part in parts for line in part[form] for word in line)
        assert "".join(words) == text


def test_what_is_alike_is_not_marked() -> None:
    parts = compared("SELECT a\nFROM t;", "SELECT  a\nFROM t;")
    assert [marked(part, form) for part in parts for form in (0, 1)] == [[]] * 4


def test_lines_that_differ_are_marked_by_word() -> None:
    same, other, rest = compared("SELECT a\nWHERE b = 1\n;", "SELECT a\nWHERE c = 1\n;")
    assert marked(same, 0) == marked(rest, 1) == []
    assert (marked(other, 0), marked(other, 1)) == (["b"], ["c"])


def test_a_line_that_a_form_lacks_has_its_place_there() -> None:
    _, missing, _ = compared("a\nb\nc\n", "a\nc\n")
    assert (marked(missing, 0), missing[1]) == (["b"], ())


@pytest.mark.parametrize(
    ("texts", "found"),
    [
        (("a / 1000", "a / 1000000"), (["1000"], ["1000000"])),
        # Signs between two marked words are marked with them.
        (("SUM(a.b)", "MAX(c.d)"), (["SUM(a.b"], ["MAX(c.d"])),
        (("SUM(b)", "MAX(b)"), (["SUM"], ["MAX"])),
        (("SELECT /*+ fast */ a", "SELECT a"), (["/*+ fast */"], [])),
        # Of three forms, the word that one lacks is marked in the others.
        (
            ("SELECT a", "SELECT a DESC", "SELECT a DESC LIMIT 1"),
            ([], ["DESC"], ["DESC LIMIT 1"]),
        ),
    ],
)
def test_a_line_is_marked_by_word(texts: tuple[str, ...], found: tuple[list[str], ...]) -> None:
    (part,) = compared(*texts)
    assert tuple(marked(part, form) for form in range(len(texts))) == found
