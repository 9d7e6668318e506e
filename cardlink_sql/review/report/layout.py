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


@dataclass
class Box:
    """A table, its layer counted from the left, and its place."""

    table: Table
    layer: int = 0
    x: float = 0
    y: float = 0
    width: float = 0

    @property
    def height(self) -> float:
        """Return the height of the head and the rows."""
        return HEAD + ROW * len(self.table.columns)

    def middle(self, column: str) -> float:
        """Return the height of the middle of a column's row."""
        names = [one.name for one in self.table.columns]
        return self.y + HEAD + ROW * (names.index(column) + 0.5)


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


@dataclass(frozen=True, eq=False)
class _Course:
    """The vertical course of a line.

    Attributes:
        start: where it leaves the parent.
        end: where it reaches the child.
        lane: its height above the layers, for a line that passes some.
    """

    reference: Reference
    parent: Box
    child: Box
    start: float
    end: float
    lane: float | None

    @property
    def leaves_by(self) -> int:
        """Return the channel to the right of the parent, numbered as the layer to its right."""
        return self.parent.layer + 1

    def track(self, channel: int) -> tuple[bool, float]:
        """Return the place among the lines of a channel at which it crosses the fewest."""
        start = self.start if channel == self.leaves_by or self.lane is None else self.lane
        end = self.end if channel == self.child.layer or self.lane is None else self.lane
        # Of the lines that descend, the lowest turns first; of those that rise, the highest.
        return (end > start, -start if end > start else start)


def lay_out(tables: Sequence[Table]) -> Layout:
    """Return the drawing of a schema; the same schema has the same drawing."""
    every = references(tables)
    stacks = _stacks(tables, every)
    boxes = {box.table.name: box for stack in stacks for box in stack}
    ends = {one: (boxes[one.key.table], boxes[one.table.name]) for one in every}
    passing = [one for one, (parent, child) in ends.items() if child.layer != parent.layer + 1]
    _set_tops(stacks, MARGIN + TRACK * len(passing))
    courses = _courses(ends, passing)
    turns, width = _set_lefts(stacks, courses)
    lines = []
    for one in courses:
        out, back = turns[one.leaves_by, one], turns[one.child.layer, one]
        first = one.parent.x + one.parent.width, one.start
        over = [] if one.lane is None else [(out, one.lane), (back, one.lane)]
        corners = [(out, one.start), *over, (back, one.end)]
        lines.append(Connector(one.reference, (first, *corners, (one.child.x, one.end))))
    height = max(box.y + box.height for box in boxes.values()) + MARGIN
    return Layout(tuple(boxes.values()), tuple(lines), width, height)


def _width(stack: Iterable[Box]) -> float:
    """Return the width of a layer, by the advances of the monospaced letters."""
    widths = []
    for table in (box.table for box in stack):
        names = max(len(column.name) for column in table.columns)
        types = max(len(column.type) for column in table.columns)
        widths += [8.2 * len(table.name), KEYS + 7.5 * names + 14 + 6.3 * types]
    return 2 * PADDING + max(widths)


def _stacks(tables: Sequence[Table], every: Iterable[Reference]) -> list[list[Box]]:
    """Return the tables of each layer; those without references fill the shortest."""
    parents: dict[str, set[str]] = defaultdict(set)
    for one in every:
        parents[one.table.name].add(one.key.table)
    bound = {*parents}.union(*parents.values())

    def depth(name: str, below: frozenset[str]) -> int:
        # Tables that refer to each other in a ring are cut where it closes.
        further = parents.get(name, set()) - below
        return max((1 + depth(parent, below | {parent}) for parent in further), default=0)

    layers: dict[int, list[Box]] = defaultdict(list)
    for table in tables:
        if table.name in bound:
            layers[depth(table.name, frozenset({table.name}))].append(Box(table))
    stacks = [layers[number] for number in sorted(layers)] or [[]]
    for table in tables:
        if table.name not in bound:
            # Of two that are equally short the right one: fewer lines pass there.
            min(reversed(stacks), key=_stacked).append(Box(table))
    for number, stack in enumerate(stacks):
        for box in stack:
            box.layer = number
    return stacks


def _stacked(stack: Iterable[Box]) -> float:
    return sum(box.height + GAP for box in stack)


def _set_tops(stacks: Sequence[Sequence[Box]], top: float) -> None:
    """Set the upper edge of each table, with the layers centred."""
    highest = max(map(_stacked, stacks))
    for number, stack in enumerate(stacks):
        # Every other layer is half a row lower, so that a line that leaves it is never level with
        # one that reaches the next.
        y = top + ROW / 2 * (number % 2) + (highest - _stacked(stack)) // 2 // ROW * ROW
        for box in stack:
            box.y = y
            y += box.height + GAP


def _courses(
    ends: Mapping[Reference, tuple[Box, Box]], passing: Sequence[Reference]
) -> list[_Course]:
    ends_at = {one: child.middle(one.key.columns[0]) for one, (_, child) in ends.items()}
    courses = []
    for one, (parent, child) in ends.items():
        # Lines that leave one key fan out in the order in which they arrive.
        key = (one.key.table, one.key.referred[0])
        fan = [other for other in ends if (other.key.table, other.key.referred[0]) == key]
        fan.sort(key=lambda other: (other not in passing, ends_at[other]))
        step = min(FAN, 2 * FAN / max(1, len(fan) - 1))
        start = parent.middle(key[1]) + step * (fan.index(one) - (len(fan) - 1) / 2)
        lane = MARGIN + TRACK * passing.index(one) if one in passing else None
        courses.append(_Course(one, parent, child, start, ends_at[one], lane))
    return courses


def _set_lefts(
    stacks: Sequence[Sequence[Box]], courses: Sequence[_Course]
) -> tuple[dict[tuple[int, _Course], float], float]:
    """Set the left edge of each table; return the turns of the lines by channel, and the width."""
    turns = {}
    x: float = MARGIN
    for channel in range(len(stacks) + 1):
        lines = [one for one in courses if channel in (one.leaves_by, one.child.layer)]
        lines.sort(key=lambda one: one.track(channel))
        x += PARENT_END * any(one.leaves_by == channel for one in lines)
        turns.update({(channel, one): x + TRACK * at for at, one in enumerate(lines)})
        x += TRACK * max(0, len(lines) - 1)
        x += CHILD_END * any(one.child.layer == channel for one in lines)
        if channel < len(stacks):
            x += GAP * (channel > 0 and not lines)
            width = _width(stacks[channel])
            for box in stacks[channel]:
                box.x, box.width = x, width
            x += width
    return turns, x + MARGIN
