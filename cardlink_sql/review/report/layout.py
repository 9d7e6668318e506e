"""Places the boxes and lines of the entity diagram.

Tables form layers, each table to the right of those that it refers to. A line leaves a key to the
right and reaches the foreign key from the left. It turns only in the channels between the layers,
where no box is; a line that would have to cross a layer runs above all of them.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from cardlink_sql.review.report.facts import Reference, references
from cardlink_sql.schema.ddl.model import Table

# Lengths are in pixels of the drawing at its own size.
ROW: Final = 20
# HEAD and GAP together are whole rows, so that the rows of a layer are on one grid.
HEAD: Final = 30
GAP: Final = 30
MARGIN: Final = 12
PADDING: Final = 10
# The room for PK and FK before a name.
KEYS: Final = 32
# From a box to the first turn of a line, for the signs at its end.
PARENT_END: Final = 28
CHILD_END: Final = 80
# Between two parallel lines, and at most between two that leave one key.
TRACK: Final = 12
FAN: Final = 9

Point = tuple[float, float]


@dataclass(frozen=True)
class Box:
    """A table and its place."""

    table: Table
    x: float
    y: float
    width: float

    @property
    def height(self) -> float:
        """Return the height of the head and the rows."""
        return _height(self.table)


@dataclass(frozen=True)
class Connector:
    """A foreign key as it is drawn, from the parent's key to the child's first column."""

    reference: Reference
    points: tuple[Point, ...]


@dataclass(frozen=True)
class Layout:
    """The drawing."""

    boxes: tuple[Box, ...]
    lines: tuple[Connector, ...]
    width: float
    height: float


@dataclass(frozen=True)
class _Course:
    """The vertical course of a line.

    Attributes:
        start: where it leaves the parent.
        end: where it reaches the child.
        lane: its height above the layers, for a line that passes some.
        leaves_by: the channel to the right of the parent, numbered as the layer to its right.
        arrives_by: the channel to the left of the child.
    """

    reference: Reference
    start: float
    end: float
    lane: float | None
    leaves_by: int
    arrives_by: int

    def track(self, channel: int) -> tuple[bool, float]:
        """Return the place among the lines of a channel at which it crosses the fewest."""
        start = self.start if channel == self.leaves_by or self.lane is None else self.lane
        end = self.end if channel == self.arrives_by or self.lane is None else self.lane
        # Of the lines that descend, the lowest turns first; of those that rise, the highest.
        return (end > start, -start if end > start else start)


def lay_out(tables: Sequence[Table]) -> Layout:
    """Return the drawing of a schema; the same schema has the same drawing."""
    every = references(tables)
    stacks = _stacks(tables, every)
    layer = {table.name: number for number, stack in enumerate(stacks) for table in stack}
    passing = [one for one in every if layer[one.table.name] != layer[one.key.table] + 1]
    tops = _tops(stacks, MARGIN + TRACK * len(passing))
    courses = _courses(every, passing, {table.name: table for table in tables}, tops, layer)
    lefts, turns, width = _across(courses, stacks)
    boxes = [
        Box(table, lefts[number], tops[table.name], _width(stack))
        for number, stack in enumerate(stacks)
        for table in stack
    ]
    right = {box.table.name: box.x + box.width for box in boxes}
    lines = []
    for course in courses:
        one = course.reference
        out, back = turns[course.leaves_by, one], turns[course.arrives_by, one]
        first = right[one.key.table], course.start
        last = lefts[layer[one.table.name]], course.end
        over = [] if course.lane is None else [(out, course.lane), (back, course.lane)]
        corners = [(out, course.start), *over, (back, course.end)]
        lines.append(Connector(one, (first, *corners, last)))
    height = max(box.y + box.height for box in boxes) + MARGIN
    return Layout(tuple(boxes), tuple(lines), width, height)


def _height(table: Table) -> float:
    return HEAD + ROW * len(table.columns)


def _width(stack: Iterable[Table]) -> float:
    """Return the width of a layer, by the advances of the monospaced letters."""
    widths = [8.2 * len(table.name) for table in stack]
    for table in stack:
        names = max(len(column.name) for column in table.columns)
        types = max(len(column.type) for column in table.columns)
        widths.append(KEYS + 7.5 * names + 14 + 6.3 * types)
    return 2 * PADDING + max(widths)


def _stacks(tables: Sequence[Table], every: Iterable[Reference]) -> list[list[Table]]:
    """Return the tables of each layer; those without references fill the shortest."""
    parents: dict[str, set[str]] = defaultdict(set)
    for one in every:
        parents[one.table.name].add(one.key.table)
    bound = {*parents}.union(*parents.values())

    def depth(name: str, below: frozenset[str]) -> int:
        # Tables that refer to each other in a ring are cut where it closes.
        further = parents.get(name, set()) - below
        return max((1 + depth(parent, below | {parent}) for parent in further), default=0)

    layers: dict[int, list[Table]] = defaultdict(list)
    for table in tables:
        if table.name in bound:
            layers[depth(table.name, frozenset({table.name}))].append(table)
    stacks = [layers[number] for number in sorted(layers)] or [[]]
    for table in tables:
        if table.name not in bound:
            # Of two that are equally short the right one: fewer lines pass there.
            min(reversed(stacks), key=_stacked).append(table)
    return stacks


def _stacked(stack: Iterable[Table]) -> float:
    return sum(_height(table) + GAP for table in stack)


def _tops(stacks: Sequence[Sequence[Table]], top: float) -> dict[str, float]:
    """Return the upper edge of each table, with the layers centred."""
    highest = max(map(_stacked, stacks))
    tops = {}
    for number, stack in enumerate(stacks):
        # Every other layer is half a row lower, so that a line that leaves it is never level with
        # one that reaches the next.
        y = top + ROW / 2 * (number % 2) + (highest - _stacked(stack)) // 2 // ROW * ROW
        for table in stack:
            tops[table.name] = y
            y += _height(table) + GAP
    return tops


def _courses(
    every: Sequence[Reference],
    passing: Sequence[Reference],
    tables: Mapping[str, Table],
    tops: Mapping[str, float],
    layer: Mapping[str, int],
) -> list[_Course]:
    def middle(table: str, column: str) -> float:
        names = [one.name for one in tables[table].columns]
        return tops[table] + HEAD + ROW * (names.index(column) + 0.5)

    ends = {one: middle(one.table.name, one.key.columns[0]) for one in every}
    courses = []
    for one in every:
        # Lines that leave one key fan out in the order in which they arrive.
        key = (one.key.table, one.key.referred[0])
        fan = [other for other in every if (other.key.table, other.key.referred[0]) == key]
        fan.sort(key=lambda other: (other not in passing, ends[other]))
        step = min(FAN, 2 * FAN / max(1, len(fan) - 1))
        start = middle(*key) + step * (fan.index(one) - (len(fan) - 1) / 2)
        lane = MARGIN + TRACK * passing.index(one) if one in passing else None
        leaves_by, arrives_by = layer[one.key.table] + 1, layer[one.table.name]
        courses.append(_Course(one, start, ends[one], lane, leaves_by, arrives_by))
    return courses


def _across(
    courses: Sequence[_Course], stacks: Sequence[Sequence[Table]]
) -> tuple[list[float], dict[tuple[int, Reference], float], float]:
    """Return the left edge of each layer, the turns of the lines by channel, and the width."""
    lefts, turns = [], {}
    x: float = MARGIN
    for channel in range(len(stacks) + 1):
        lines = [one for one in courses if channel in (one.leaves_by, one.arrives_by)]
        lines.sort(key=lambda one: one.track(channel))
        x += PARENT_END * any(one.leaves_by == channel for one in lines)
        turns.update({(channel, one.reference): x + TRACK * at for at, one in enumerate(lines)})
        x += TRACK * max(0, len(lines) - 1)
        x += CHILD_END * any(one.arrives_by == channel for one in lines)
        if channel < len(stacks):
            x += GAP * (channel > 0 and not lines)
            lefts.append(x)
            x += _width(stacks[channel])
    return lefts, turns, x + MARGIN
