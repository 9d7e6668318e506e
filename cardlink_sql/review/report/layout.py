"""Where the boxes and the lines of the entity diagram are.

Tables stand in layers, each to the right of those that it refers to. A line leaves a key to the
right and reaches the foreign key from the left; in between it turns in the channels beside the
layers alone, where no box is. A line that would have to pass a layer goes above all of them.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Final

from sqlalchemy import MetaData, Table

from cardlink_sql.dialect import Dialect
from cardlink_sql.review.report.schema import Reference, column_type, key_words, references

# Lengths are in units of the drawing, each a pixel where it is not scaled.
ROW: Final = 20
# HEAD and GAP together are whole rows, so that the rows of a layer are on one grid.
HEAD: Final = 30
GAP: Final = 30
MARGIN: Final = 12
PADDING: Final = 10
# The room for PK and FK before a name, and between a name and a type.
KEYS: Final = 32
BETWEEN: Final = 14
# The advances of the monospaced letters of heads, names and types, with some room.
HEAD_LETTER: Final = 8.2
NAME_LETTER: Final = 7.5
TYPE_LETTER: Final = 6.3
# From a box to the first turn of a line: room for what stands at its end.
PARENT_END: Final = 28
CHILD_END: Final = 80
# Between two lines that run beside each other, and at most between two that leave one key.
TRACK: Final = 12
FAN: Final = 9

Point = tuple[float, float]


@dataclass(frozen=True)
class Row:
    """A column in a box: its name, its keys such as ``PK``, its type on PostgreSQL."""

    name: str
    keys: str
    type: str
    is_nullable: bool


_Rows = Mapping[str, Sequence[Row]]


@dataclass(frozen=True)
class Box:
    """A table and where it is."""

    table: str
    rows: tuple[Row, ...]
    x: float
    y: float
    width: float

    @property
    def height(self) -> float:
        """Of the head and the rows."""
        return _height(self.rows)


@dataclass(frozen=True)
class Line:
    """A foreign key as it is drawn, from the parent's key to the child's first column."""

    reference: Reference
    points: tuple[Point, ...]


@dataclass(frozen=True)
class Layout:
    """The drawing."""

    boxes: tuple[Box, ...]
    lines: tuple[Line, ...]
    width: float
    height: float


@dataclass(frozen=True)
class _Course:
    """The course of a line, before the widths of the channels are known.

    Attributes:
        start: where it leaves the parent, from the top.
        end: where it reaches the child.
        lane: where it runs above the layers; None where it need not.
        leaves_by: the channel to the right of the parent. A channel has the number of the layer to
            its right.
        arrives_by: the channel to the left of the child.
    """

    start: float
    end: float
    lane: float | None
    leaves_by: int
    arrives_by: int

    def span(self, channel: int) -> tuple[float, float]:
        """The upper and the lower end of its vertical piece in a channel."""
        ends = [
            self.start if channel == self.leaves_by else self.lane,
            self.end if channel == self.arrives_by else self.lane,
        ]
        known = [end for end in ends if end is not None]
        return min(known), max(known)


def lay_out(metadata: MetaData) -> Layout:
    """The drawing of a schema: the same one for the same schema."""
    tables = list(metadata.tables.values())
    rows = {table.name: tuple(_rows(table)) for table in tables}
    every = [reference for table in tables for reference in references(table)]
    stacks = _stacks(rows, _layers(tables, every))
    layer = {name: number for number, stack in enumerate(stacks) for name in stack}
    tops = _tops(rows, stacks, sum(not _is_direct(one, layer) for one in every))
    courses = _courses(every, rows, layer, tops)
    tracks = [_tracks(courses, channel) for channel in range(len(stacks) + 1)]
    widths = [max(_width(name, rows[name]) for name in stack) for stack in stacks]
    lefts, turns, width = _across(courses, tracks, widths)
    boxes = [
        Box(name, rows[name], lefts[number], tops[name], widths[number])
        for name, number in layer.items()
    ]
    lines = []
    for number, (reference, course) in enumerate(zip(every, courses, strict=True)):
        parent, child = layer[reference.parent], layer[reference.child]
        ends = lefts[parent] + widths[parent], lefts[child]
        xs = turns[course.leaves_by, number], turns[course.arrives_by, number]
        lines.append(Line(reference, tuple(_points(course, ends, xs))))
    height = max(box.y + box.height for box in boxes) + MARGIN
    return Layout(tuple(boxes), tuple(lines), width, height)


def _rows(table: Table) -> Iterator[Row]:
    for column in table.columns:
        kind = column_type(column, Dialect.POSTGRESQL)
        yield Row(column.name, " ".join(key_words(column)), kind, bool(column.nullable))


def _height(rows: Sequence[Row]) -> float:
    return HEAD + ROW * len(rows)


def _width(name: str, rows: Sequence[Row]) -> float:
    names = max(len(row.name) for row in rows) * NAME_LETTER
    types = max(len(row.type) for row in rows) * TYPE_LETTER
    return 2 * PADDING + max(len(name) * HEAD_LETTER, KEYS + names + BETWEEN + types)


def _layers(tables: Sequence[Table], every: Sequence[Reference]) -> dict[str, int]:
    """The layer of each table that refers to another or is referred to."""
    parents = {
        table.name: sorted({one.parent for one in every if one.child == table.name})
        for table in tables
    }

    def depth(name: str, below: frozenset[str]) -> int:
        # Tables that refer to each other in a ring are cut where it closes.
        further = [parent for parent in parents[name] if parent not in below]
        return max((1 + depth(parent, below | {parent}) for parent in further), default=0)

    bound = {name for one in every for name in (one.child, one.parent)}
    names = [table.name for table in tables if table.name in bound]
    return {name: depth(name, frozenset({name})) for name in names}


def _stacks(rows: _Rows, layers: Mapping[str, int]) -> list[list[str]]:
    """The tables of each layer, from the top; those without references fill the shortest."""
    stacks: list[list[str]] = [[] for _ in range(max(layers.values(), default=0) + 1)]
    for name, layer in layers.items():
        stacks[layer].append(name)
    # A ring leaves the layers empty that its tables would have in turn.
    stacks = [stack for stack in stacks if stack] or [[]]
    for name in rows:
        if name not in layers:
            # Of two that are as short, the one on the right: fewer lines pass there.
            min(reversed(stacks), key=lambda stack: _stacked(rows, stack)).append(name)
    return stacks


def _stacked(rows: _Rows, stack: Sequence[str]) -> float:
    return sum(_height(rows[name]) + GAP for name in stack)


def _is_direct(one: Reference, layer: Mapping[str, int]) -> bool:
    return layer[one.child] == layer[one.parent] + 1


def _tops(rows: _Rows, stacks: Sequence[Sequence[str]], lanes: int) -> dict[str, float]:
    """The upper edge of each table; the layers are centred beside each other."""
    heights = [_stacked(rows, stack) for stack in stacks]
    tops = {}
    for number, stack in enumerate(stacks):
        # Every other layer is half a row lower: what leaves a layer to the right is then never
        # level with what reaches the next one from the left.
        half = ROW / 2 * (number % 2)
        y = MARGIN + TRACK * lanes + half + (max(heights) - heights[number]) // 2 // ROW * ROW
        for name in stack:
            tops[name] = y
            y += _height(rows[name]) + GAP
    return tops


def _courses(
    every: Sequence[Reference], rows: _Rows, layer: Mapping[str, int], tops: Mapping[str, float]
) -> list[_Course]:
    def middle(table: str, column: str) -> float:
        names = [row.name for row in rows[table]]
        return tops[table] + HEAD + ROW * (names.index(column) + 0.5)

    ends = [middle(one.child, one.columns[0]) for one in every]
    lanes = [number for number, one in enumerate(every) if not _is_direct(one, layer)]
    made = []
    for number, one in enumerate(every):
        # Lines that leave one key fan out in the order in which they arrive.
        key = (one.parent, one.referred[0])
        beside = [at for at, other in enumerate(every) if (other.parent, other.referred[0]) == key]
        beside.sort(key=lambda at: (at not in lanes, ends[at]))
        step = min(FAN, 2 * FAN / max(1, len(beside) - 1))
        start = middle(*key) + step * (beside.index(number) - (len(beside) - 1) / 2)
        lane = MARGIN + TRACK * lanes.index(number) if number in lanes else None
        made.append(_Course(start, ends[number], lane, layer[one.parent] + 1, layer[one.child]))
    return made


def _tracks(courses: Sequence[_Course], channel: int) -> list[int]:
    """The lines that turn in a channel, from left to right: each where it crosses fewest."""
    order: list[int] = []
    for line, course in enumerate(courses):
        if channel in (course.leaves_by, course.arrives_by):
            tried = [[*order[:at], line, *order[at:]] for at in range(len(order) + 1)]
            order = min(tried, key=lambda one: _all_crossings(courses, channel, one))
    return order


def _all_crossings(courses: Sequence[_Course], channel: int, order: Sequence[int]) -> int:
    return sum(_crossings(courses, channel, *pair) for pair in combinations(order, 2))


def _crossings(courses: Sequence[_Course], channel: int, left: int, right: int) -> int:
    """How often two lines cross where one turns to the left of the other."""
    one, other = courses[left], courses[right]
    crossings = 0
    if channel == one.arrives_by:
        upper, lower = other.span(channel)
        crossings += upper < one.end < lower
    if channel == other.leaves_by:
        upper, lower = one.span(channel)
        crossings += upper < other.start < lower
    return crossings


def _across(
    courses: Sequence[_Course], tracks: Sequence[Sequence[int]], widths: Sequence[float]
) -> tuple[list[float], dict[tuple[int, int], float], float]:
    """The left edge of each layer, where each line turns in each channel, and the whole width."""
    lefts, turns = [], {}
    x: float = MARGIN
    for channel, lines in enumerate(tracks):
        if lines:
            x += PARENT_END if any(courses[at].leaves_by == channel for at in lines) else 0
            turns.update({(channel, line): x + TRACK * at for at, line in enumerate(lines)})
            x += TRACK * (len(lines) - 1)
            x += CHILD_END if any(courses[at].arrives_by == channel for at in lines) else 0
        elif 0 < channel < len(widths):
            x += GAP
        if channel < len(widths):
            lefts.append(x)
            x += widths[channel]
    return lefts, turns, x + MARGIN


def _points(
    course: _Course, ends: tuple[float, float], turns: tuple[float, float]
) -> Iterator[Point]:
    """The corners of a line.

    Args:
        course: its course.
        ends: the right edge of the parent and the left edge of the child.
        turns: where it turns in the channel beside the parent, and in that beside the child.
    """
    yield ends[0], course.start
    yield turns[0], course.start
    if course.lane is not None:
        yield turns[0], course.lane
        yield turns[1], course.lane
    yield turns[1], course.end
    yield ends[1], course.end
