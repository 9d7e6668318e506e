"""The entity diagram as SVG."""

from collections.abc import Iterator
from xml.etree.ElementTree import Element

from sqlalchemy import MetaData

from cardlink_sql.review.report import layout
from cardlink_sql.review.report.elements import element, link
from cardlink_sql.review.report.layout import Box, Layout, Line, Row, lay_out
from cardlink_sql.review.report.places import table_file
from cardlink_sql.review.report.schema import Reference

_TITLE = "diagram-title"


def diagram(metadata: MetaData) -> Element:
    """The tables, their columns, and the foreign keys between them."""
    drawing = lay_out(metadata)
    return element(
        "svg",
        element("title", _summary(drawing), id=_TITLE),
        map(_line, drawing.lines),
        map(_box, drawing.boxes),
        class_="diagram",
        viewBox=f"0 0 {_number(drawing.width)} {_number(drawing.height)}",
        width=_number(drawing.width),
        height=_number(drawing.height),
        role="group",
        aria_labelledby=_TITLE,
    )


def sentence(one: Reference) -> str:
    """A foreign key in words."""
    child = f"{one.child} ({', '.join(one.columns)})"
    parent = f"{one.parent} ({', '.join(one.referred)})"
    to = "none or one" if one.is_optional else "exactly one"
    many = "one at most" if one.is_unique else "any number"
    return (
        f"{child} refers to {parent}: each row to {to}, {many} to the same; "
        f"ON DELETE {one.on_delete or 'NO ACTION'}"
    )


def _summary(drawing: Layout) -> str:
    return f"Entity diagram of {len(drawing.boxes)} tables and {len(drawing.lines)} foreign keys"


def _box(box: Box) -> Element:
    return element(
        "g",
        element("rect", x=_number(box.x), y=_number(box.y), width=_number(box.width),
                height=_number(box.height), rx=4, class_="box"),
        element("path", d=_head(box), class_="head"),
        link(
            table_file(box.table),
            element("text", box.table, x=_number(box.x + layout.PADDING),
                    y=_number(box.y + layout.HEAD / 2), class_="name"),
        ),
        (_row(box, at, row) for at, row in enumerate(box.rows)),
        role="group",
        aria_label=f"table {box.table}",
    )  # fmt: skip


def _head(box: Box) -> str:
    """The head of a box, round above and straight below."""
    x, y, right = box.x, box.y, box.x + box.width
    return _path(
        f"M {_number(x)} {_number(y + layout.HEAD)}",
        f"V {_number(y + 4)} Q {_number(x)} {_number(y)} {_number(x + 4)} {_number(y)}",
        f"H {_number(right - 4)} Q {_number(right)} {_number(y)} {_number(right)} {_number(y + 4)}",
        f"V {_number(y + layout.HEAD)} Z",
    )


def _row(box: Box, at: int, row: Row) -> Iterator[Element]:
    y = box.y + layout.HEAD + layout.ROW * at
    middle = _number(y + layout.ROW / 2)
    left, right = box.x + layout.PADDING, box.x + box.width - layout.PADDING
    if at:
        edges = {"x1": _number(box.x), "x2": _number(box.x + box.width)}
        yield element("line", y1=_number(y), y2=_number(y), class_="rule", **edges)
    if row.keys:
        yield element("text", row.keys, x=_number(left), y=middle, class_="key")
    name = "column" if row.is_nullable else "column required"
    yield element("text", row.name, x=_number(left + layout.KEYS), y=middle, class_=name)
    yield element("text", row.type, x=_number(right), y=middle, class_="type")


def _line(line: Line) -> Element:
    """A foreign key: the parent's end has one bar or a ring, the child's end a crow's foot."""
    (start_x, start_y), (end_x, end_y) = line.points[0], line.points[-1]
    one = line.reference
    action = element(
        "text", one.on_delete or "NO ACTION", x=_number(end_x - 22), y=_number(end_y - 5),
        class_="action",
    )  # fmt: skip
    return element(
        "g",
        element("title", sentence(one)),
        element("path", d=_course(line), class_="line"),
        _parent_end(start_x, start_y, is_optional=one.is_optional),
        _child_end(end_x, end_y, is_unique=one.is_unique),
        action,
        role="img",
        aria_label=sentence(one),
        class_="reference",
    )


def _course(line: Line) -> str:
    (x, y), *others = line.points
    return _path(
        f"M {_number(x)} {_number(y)}", *(f"L {_number(a)} {_number(b)}" for a, b in others)
    )


def _parent_end(x: float, y: float, *, is_optional: bool) -> list[Element]:
    """One bar for at most one, and a ring for none or a second bar for at least one."""
    bar = element("path", d=_bar(x + 6, y), class_="line")
    if is_optional:
        return [bar, _ring(x + 14, y)]
    return [bar, element("path", d=_bar(x + 11, y), class_="line")]


def _child_end(x: float, y: float, *, is_unique: bool) -> list[Element]:
    """A crow's foot for many or a bar for one, and a ring, for there may be none."""
    if is_unique:
        return [element("path", d=_bar(x - 6, y), class_="line"), _ring(x - 14, y)]
    foot = _path(
        f"M {_number(x)} {_number(y - 6)} L {_number(x - 11)} {_number(y)}",
        f"L {_number(x)} {_number(y + 6)}",
    )
    return [element("path", d=foot, class_="line"), _ring(x - 15, y)]


def _bar(x: float, y: float) -> str:
    return f"M {_number(x)} {_number(y - 4)} V {_number(y + 4)}"


def _ring(x: float, y: float) -> Element:
    return element("circle", cx=_number(x), cy=_number(y), r=3.5, class_="ring")


def _path(*steps: str) -> str:
    return " ".join(steps)


def _number(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")
