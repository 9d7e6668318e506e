"""HTML as a tree: whatever text goes in is escaped when it is written."""

import re
from collections.abc import Iterable
from typing import Final, TypeAlias
from xml.etree.ElementTree import Element, tostring

Child: TypeAlias = "Element | str | Iterable[Child] | None"

# What HTML has no form for, and what turns text around (the bidirectional controls of Unicode): a
# reviewer must see that it is there.
_CONTROLS: Final = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069"
    "\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]"
)
_MARKED_UP: Final = re.compile(r"``(?P<code>[^`]+)``|:\w+:`[.~]*(?P<name>[^`]+)`")


def element(tag: str, *children: Child, **attributes: str | int | float | None) -> Element:
    """An element.

    Args:
        tag: its name.
        children: elements and text, in any nesting; ``None`` is left out.
        attributes: ``class_`` and ``aria_label`` stand for class and aria-label; ``None`` is left
            out.
    """
    made = Element(
        tag,
        {
            name.rstrip("_").replace("_", "-"): _visible(str(value))
            for name, value in attributes.items()
            if value is not None
        },
    )
    _append(made, children)
    return made


def link(address: str, *children: Child, **attributes: str | None) -> Element:
    """A link to another page of the report, or to a place in it."""
    return element("a", *children, href=address, **attributes)


def code(text: str) -> Element:
    """A name or a piece of a language."""
    return element("code", text)


def listed(children: Iterable[Child], separator: str = ", ") -> list[Child]:
    """The children with a separator between each two."""
    made: list[Child] = []
    for child in children:
        made += [separator, child] if made else [child]
    return made


def prose(text: str) -> list[Child]:
    """A docstring's text: what it marks up as code becomes code."""
    made: list[Child] = []
    end = 0
    for found in _MARKED_UP.finditer(text):
        made += [text[end : found.start()], code(found["code"] or found["name"])]
        end = found.end()
    return [*made, text[end:]]


def written(root: Element) -> str:
    """The HTML of a whole page."""
    return f"<!DOCTYPE html>\n{tostring(root, encoding='unicode', method='html')}\n"


def _append(parent: Element, children: Child) -> None:
    if children is None:
        return
    if isinstance(children, Element):
        parent.append(children)
    elif isinstance(children, str):
        _append_text(parent, _visible(children))
    else:
        for child in children:
            _append(parent, child)


def _append_text(parent: Element, text: str) -> None:
    if len(parent):
        parent[-1].tail = (parent[-1].tail or "") + text
    else:
        parent.text = (parent.text or "") + text


def _visible(text: str) -> str:
    return _CONTROLS.sub(_escaped, text)


def _escaped(found: re.Match[str]) -> str:
    number = ord(found[0])
    return f"\\x{number:02x}" if number < 0x100 else f"\\u{number:04x}"
