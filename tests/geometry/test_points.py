"""Points of a pyramid lie where the rule says, level-major, then row-major."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dsla.geometry import Points

SIZES = st.lists(st.tuples(st.integers(1, 7), st.integers(1, 7)), min_size=1, max_size=4)


@given(SIZES, st.sampled_from([0.0, 0.25, 0.5]))
@settings(deadline=None, max_examples=40, derandomize=True, database=None)
def test_positions_follow_the_index(sizes, offset):
    strides = [4 * 2**level for level in range(len(sizes))]
    points = Points.lattice(sizes, strides, offset)
    expected = [
        ((column + offset) * s, (row + offset) * s, s, level)
        for level, ((h, w), s) in enumerate(zip(sizes, strides, strict=True))
        for row in range(h)
        for column in range(w)
    ]
    assert len(points) == len(expected)
    assert points.xy.tolist() == [[x, y] for x, y, _, _ in expected]
    assert points.stride.tolist() == [s for _, _, s, _ in expected]
    assert points.level.tolist() == [level for _, _, _, level in expected]
    assert [int(points.level[start]) for start in points.starts] == list(range(len(sizes)))


def test_offset_is_half_a_cell_by_default():
    assert Points.lattice([(1, 2)], [8]).xy.tolist() == [[4.0, 4.0], [12.0, 4.0]]


def test_levels_and_strides_must_agree():
    with pytest.raises(ValueError, match="2 level sizes but 1 strides"):
        Points.lattice([(1, 1), (1, 1)], [8])


def test_points_first_made_in_inference_mode_serve_in_training():
    with torch.inference_mode():
        points = Points.lattice([(3, 11)], [24])
    weight = torch.ones(2, requires_grad=True)
    (points.xy * weight).sum().backward()
    assert weight.grad is not None
