"""The entity diagram: no box over another, no line through a box or along another line."""

from itertools import combinations, pairwise

import pytest

from cardlink_sql.review.report.facts import tables
from cardlink_sql.review.report.layout import HEAD, ROW, Box, Connector, Layout, Point, lay_out
from cardlink_sql.schema.ddl.model import Column, ForeignKey, Key, Table

Segment = tuple[Point, Point]


def schema(**references: list[str]) -> tuple[Table, ...]:
    """Make tables that each refer to others: ``child=["parent", …]``."""
    return tuple(
        Table(
            name,
            (
                Column("id", "INTEGER"),
                Column("name", "VARCHAR(30)"),
                *(Column(f"{parent}_id", "INTEGER", is_nullable=False) for parent in parents),
            ),
            Key(f"pk_{name}", ("id",)),
            foreign_keys=tuple(
                ForeignKey(f"fk_{name}_{parent}", (f"{parent}_id",), parent, ("id",), "CASCADE")
                for parent in parents
            ),
        )
        for name, parents in references.items()
    )


SCHEMAS = {
    "ours": tables(),
    "alone": schema(a=[], b=[]),
    "passing": schema(a=[], b=["a"], c=["a", "b"], d=["a", "c"]),
    "itself": schema(a=["a"], b=["a"]),
    "ring": schema(a=["c"], b=["a"], c=["b"]),
    "many": schema(a=[], b=["a"], c=["a"], d=["a"], e=["a"], f=["a", "b"]),
    "level": schema(a=[], b=[], c=[], d=["a", "b", "c"], e=[]),
    "same rows": schema(a=[], b=[], c=[], d=["c", "a", "b"]),
    "crossed": schema(a=[], b=[], c=[], d=["c", "b", "a"], e=["c", "b", "a"], f=["a", "c"]),
}


@pytest.fixture(params=SCHEMAS)
def drawing(request: pytest.FixtureRequest) -> Layout:
    """The drawing of each schema."""
    return lay_out(SCHEMAS[request.param])


def segments(line: Connector) -> list[Segment]:
    """The straight pieces of a line, each from left to right or from top to bottom."""
    pieces = [(min(pair), max(pair)) for pair in pairwise(line.points)]
    return [piece for piece in pieces if piece[0] != piece[1]]


def overlap(one: Box | Segment, other: Box | Segment, room: float = 0) -> bool:
    """Whether the inner parts of two rectangles have a point in common, or are nearer than so."""
    (left, top, right, bottom), (x, y, end, low) = edges(one), edges(other)
    return left < end + room and x < right + room and top < low + room and y < bottom + room


def edges(of: Box | Segment) -> tuple[float, float, float, float]:
    if isinstance(of, Box):
        return of.x, of.y, of.x + of.width, of.y + of.height
    return *of[0], *of[1]


def test_every_table_has_a_box_inside_the_drawing(drawing: Layout) -> None:
    assert drawing.boxes
    for box in drawing.boxes:
        assert min(box.x, box.y) > 0
        assert box.x + box.width < drawing.width
        assert box.y + box.height < drawing.height
    for line in drawing.lines:
        assert all(0 < x < drawing.width and 0 < y < drawing.height for x, y in line.points)


def test_boxes_do_not_overlap(drawing: Layout) -> None:
    for one, other in combinations(drawing.boxes, 2):
        assert not overlap(one, other, room=10), f"{one.table.name} and {other.table.name}"


def test_lines_go_around_the_boxes(drawing: Layout) -> None:
    for line in drawing.lines:
        for segment in segments(line):
            for box in drawing.boxes:
                assert not overlap(box, segment), f"{line.reference} through {box.table.name}"


def test_lines_do_not_run_along_each_other(drawing: Layout) -> None:
    for one, other in combinations(drawing.lines, 2):
        for piece in segments(one):
            for parallel in segments(other):
                is_parallel = (piece[0][0] == piece[1][0]) == (parallel[0][0] == parallel[1][0])
                assert not (is_parallel and overlap(piece, parallel, room=1)), (
                    f"{one.reference} and {other.reference}"
                )


def test_a_line_leads_from_the_key_to_the_foreign_key(drawing: Layout) -> None:
    boxes = {box.table.name: box for box in drawing.boxes}
    for line in drawing.lines:
        parent, child = boxes[line.reference.key.table], boxes[line.reference.table.name]
        (start_x, start_y), (end_x, end_y) = line.points[0], line.points[-1]
        assert (start_x, end_x) == (parent.x + parent.width, child.x)
        for box, y, column in (
            (parent, start_y, line.reference.key.referred[0]),
            (child, end_y, line.reference.key.columns[0]),
        ):
            row = int((y - box.y - HEAD) // ROW)
            assert box.table.columns[row].name == column


def test_ours_stand_in_the_order_of_their_references() -> None:
    left = {box.table.name: box.x for box in lay_out(tables()).boxes}
    assert left["devices"] == left["card_profiles"] < left["ota_sessions"] == left["test_results"]
    assert left["ota_sessions"] < left["comm_logs"]
