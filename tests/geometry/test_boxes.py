"""Overlap of two boxes around one point equals torchvision's overlap of the same boxes as corners."""

import torch
import torchvision
from hypothesis import given, settings
from hypothesis import strategies as st

from dsla.geometry import boxes_from_ltrb, ltrb_from_boxes, ltrb_giou, ltrb_iou

RULES = settings(deadline=None, max_examples=150, derandomize=True, database=None)
side = st.integers(1, 800).map(lambda i: i / 4)
box = st.tuples(st.integers(-400, 800), st.integers(-400, 800), side, side).map(
    lambda b: [b[0] / 4, b[1] / 4, b[0] / 4 + b[2], b[1] / 4 + b[3]]
)
point = st.tuples(st.integers(-100, 300), st.integers(-100, 300))
rows = st.lists(st.tuples(point, box, box), max_size=8)


def split(drawn):
    xy = torch.tensor([p for p, _, _ in drawn], dtype=torch.float32).reshape(-1, 2)
    a = torch.tensor([a for _, a, _ in drawn], dtype=torch.float32).reshape(-1, 4)
    b = torch.tensor([b for _, _, b in drawn], dtype=torch.float32).reshape(-1, 4)
    return xy, a, b


@given(rows)
@RULES
def test_there_and_back(drawn):
    xy, a, _ = split(drawn)
    ltrb = ltrb_from_boxes(xy, a)
    assert torch.equal(boxes_from_ltrb(xy, ltrb), a)
    inside = ((xy > a[:, :2]) & (xy < a[:, 2:])).all(1)
    assert torch.equal(inside, ltrb.amin(1) > 0)


@given(rows)
@RULES
def test_iou_and_giou_equal_torchvision(drawn):
    """Points outside one box or both are allowed: the distances are signed."""
    xy, a, b = split(drawn)
    left, right = ltrb_from_boxes(xy, a), ltrb_from_boxes(xy, b)
    iou = torchvision.ops.box_iou(a, b).diagonal()
    giou = torchvision.ops.generalized_box_iou(a, b).diagonal()
    torch.testing.assert_close(ltrb_iou(left, right), iou, atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(ltrb_giou(left, right), giou, atol=1e-6, rtol=1e-5)
    assert torch.equal(ltrb_iou(left, right), ltrb_iou(right, left))


def test_boxes_of_no_area():
    nothing, something = torch.zeros(1, 4), torch.ones(1, 4)
    assert ltrb_iou(nothing, nothing).item() == 0
    assert ltrb_iou(nothing, something).item() == 0
    assert torch.isfinite(ltrb_giou(nothing, nothing)).all()


def test_decoding_broadcasts_over_the_batch():
    xy, ltrb = torch.rand(5, 2), torch.rand(3, 5, 4)
    corners = boxes_from_ltrb(xy, ltrb)
    assert corners.shape == (3, 5, 4)
    assert torch.equal(corners[1], boxes_from_ltrb(xy, ltrb[1]))
