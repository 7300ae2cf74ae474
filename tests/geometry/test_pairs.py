"""The sparse enumeration holds exactly the pairs that a filter over all points times all boxes would keep."""

from itertools import pairwise

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from dsla.geometry import Points, pairs_inside

RULES = settings(deadline=None, max_examples=200, derandomize=True, database=None)
PYRAMIDS = [
    (((8, 12), (4, 6), (2, 3)), (8, 16, 32)),
    (((1, 9),), (4,)),
    (((7, 1), (3, 1)), (12, 24)),
    (((5, 5), (3, 3), (2, 2), (1, 1), (1, 1)), (8, 16, 32, 64, 128)),
]


def brute_force(points, boxes, ranges, radius):
    """(box, point) pairs by comparing every point with every box."""
    x, y = points.xy[None, :, 0], points.xy[None, :, 1]
    x1, y1, x2, y2 = (boxes[:, k : k + 1] for k in range(4))
    ltrb = torch.stack([x - x1, y - y1, x2 - x, y2 - y], dim=-1)  # (G, P, 4)
    keep = (ltrb > 0).all(-1)
    m = ltrb.amax(-1)
    if ranges is not None:
        low, high = torch.tensor(ranges, dtype=torch.float32)[points.level].T
        keep &= (m >= low) & (m <= high)
    if radius is not None:
        reach = radius * points.stride[None]
        cx, cy = (x1 + x2) / 2, (y1 + y2) / 2
        keep &= ((x - cx).abs() < reach) & ((y - cy).abs() < reach)
    box, point = torch.nonzero(keep, as_tuple=True)
    return list(zip(box.tolist(), point.tolist(), strict=True)), ltrb[box, point]


def check(points, boxes, ranges, radius):
    pairs = pairs_inside(points, boxes, ranges, radius)
    expected, ltrb = brute_force(points, boxes, ranges, radius)
    assert list(zip(pairs.box.tolist(), pairs.point.tolist(), strict=True)) == expected
    assert torch.equal(pairs.ltrb, ltrb)


@st.composite
def boxes(draw):
    """Quarter-pixel boxes: on lattice lines, outside the picture, of no area, larger than everything."""
    corner = st.one_of(st.integers(-160, 600), st.integers(-5, 40).map(lambda i: 16 * i))
    side = st.one_of(st.integers(0, 16), st.integers(0, 400), st.integers(400, 20000))
    rows = draw(st.lists(st.tuples(corner, corner, side, side), max_size=6))
    return torch.tensor([[x, y, x + w, y + h] for x, y, w, h in rows]).reshape(-1, 4) / 4


LATTICE_LINES = torch.tensor([[4.0, 4.0, 12.0, 12.0], [0.0, 0.0, 8.0, 8.0], [8.0, 8.0, 96.0, 64.0]])


@example(LATTICE_LINES, PYRAMIDS[0], 0.5, None, 1.5)
@example(LATTICE_LINES, PYRAMIDS[0], 0.0, 8, None)
@given(
    boxes(),
    st.sampled_from(PYRAMIDS),
    st.sampled_from([0.5, 0.0]),
    st.sampled_from([None, 2, 8]),
    st.sampled_from([None, 0.5, 1.5, 2.5]),
)
@RULES
def test_equals_the_brute_force_filter(boxes, pyramid, offset, reach, radius):
    sizes, strides = pyramid
    ranges = None
    if reach is not None:
        ends = [0.0, *(float(reach * s) for s in strides[:-1]), 1e8]
        ranges = list(pairwise(ends))
    check(Points.lattice(sizes, strides, offset), boxes, ranges, radius)


@given(st.lists(st.tuples(*[st.floats(-500, 1000, width=32)] * 4), max_size=8))
@RULES
def test_equals_the_brute_force_filter_at_any_float(rows):
    """Rounding of the lattice division never loses a point; inverted boxes have none."""
    boxes = torch.tensor(rows, dtype=torch.float32).reshape(-1, 4)
    points = Points.lattice(((20, 25), (10, 13), (5, 7)), (8, 16, 32))
    check(points, boxes, ((0.0, 64.0), (64.0, 128.0), (128.0, 1e8)), None)


@pytest.mark.parametrize("offset", [0.0, 0.5])
def test_a_side_through_a_point_leaves_it_outside(offset):
    points = Points.lattice(((4, 4),), (8,), offset)
    boxes = torch.cat([points.xy, points.xy + 8], dim=1)  # corners on points
    assert len(pairs_inside(points, boxes).box) == 0
    assert len(pairs_inside(points, boxes + torch.tensor([-0.25, -0.25, 0.0, 0.0])).box) == len(points)


def test_boxes_far_outside_cost_nothing():
    points = Points.lattice(((4, 4),), (8,))
    far = torch.tensor([[-1e7, -1e7, -9e6, -9e6], [1e7, 1e7, 2e7, 2e7], [-1e7, 0.0, -9e6, 32.0]])
    assert len(pairs_inside(points, far).box) == 0
    everything = torch.tensor([[-1e7, -1e7, 1e7, 1e7]])
    assert pairs_inside(points, everything).point.tolist() == list(range(16))


def test_no_boxes():
    pairs = pairs_inside(Points.lattice(((4, 4),), (8,)), torch.zeros(0, 4), ((0.0, 64.0),), 1.5)
    assert pairs.box.shape == pairs.point.shape == (0,)
    assert pairs.ltrb.shape == (0, 4)


def test_ranges_must_match_the_levels():
    with pytest.raises(ValueError, match="2 ranges for 1 levels"):
        pairs_inside(Points.lattice(((4, 4),), (8,)), torch.zeros(0, 4), ((0.0, 64.0), (64.0, 128.0)))
