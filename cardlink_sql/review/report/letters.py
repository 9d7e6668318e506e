"""What queries do to tables and columns, in letters."""

from collections.abc import Iterable
from typing import Final
from xml.etree.ElementTree import Element

from cardlink_sql.review.report.elements import Child, element
from cardlink_sql.review.report.facts import STATEMENT, Touch

LETTERS: Final = {"reads": "r", "inserts": "i", "updates": "u", "deletes": "d"}


def letters(touches: Iterable[Touch]) -> Element | None:
    """The letters of what is done; in brackets what foreign keys do because of it."""
    done = {(touch.does, touch.by == STATEMENT) for touch in touches}
    own = [_letter(does) for does in LETTERS if (does, True) in done]
    beyond = [_letter(does) for does in LETTERS if (does, False) in done]
    if not done:
        return None
    bracketed: Child = ["(", beyond, ")"] if beyond else None
    return element("span", own, bracketed, class_="letters")


def on_column(touches: Iterable[Touch], column: str) -> Element | None:
    """The letters of what is done to a column by its name."""
    return letters(touch for touch in touches if column in touch.columns)


def on_row(touches: Iterable[Touch]) -> Element | None:
    """The letters of what is done to whole rows: inserted, deleted, counted."""
    return letters(t for t in touches if t.does in ("inserts", "deletes") or not t.columns)


def legend() -> Element:
    """What the letters mean."""
    return element(
        "p",
        ([_letter(does), f" {does}, "] for does in LETTERS),
        "by the statement itself, with every optional line in; ",
        "in brackets: by a foreign key because of it. "
        "The forms of all dialects are taken together.",
        class_="legend",
    )


def _letter(does: str) -> Element:
    return element("abbr", LETTERS[does], title=does, class_=does)
