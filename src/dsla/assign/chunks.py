"""Boxes in portions, so that the memory of rules which look at many pairs is bounded.

What a rule finds for a box depends on no other box, so the portions' results, one after another, are those of all
boxes at once, to the bit.

Letters: G boxes, P points, R rows.
"""

from collections.abc import Iterator

import torch
from jaxtyping import Int
from torch import Tensor

from dsla.geometry import GroundTruth, Points, Rows

PAIRS = 1 << 19  # (box, point) pairs of a portion, unless a single box has more


def portions(counts: Int[Tensor, " G"], most: int | None = None) -> Iterator[Int[Tensor, " g"]]:
    """Consecutive positions of boxes whose counts sum to at most `most`, or single boxes that exceed it."""
    limit = most or PAIRS
    numbers = counts.tolist()
    start = total = 0
    for index, number in enumerate(numbers):
        if index > start and total + number > limit:
            yield torch.arange(start, index, device=counts.device)
            start, total = index, 0
        total += number
    if numbers:
        yield torch.arange(start, len(numbers), device=counts.device)


def points_of_box(rows: Rows, boxes: int) -> Int[Tensor, " G"]:
    """How many points the rows hold for each box."""
    before = torch.cat([rows.count.new_zeros(1), rows.count.cumsum(0)])
    last = torch.bincount(rows.box, minlength=boxes).cumsum(0)  # row after each box's last
    return before.index_select(0, last).diff(prepend=before[:1])


def rows_in_portions(rows: Rows, boxes: int, times: int = 1) -> Iterator[Rows]:
    """Rows of consecutive boxes, never a part of a box, in portions by the number of their points; one at least.

    Args:
        rows: box after box.
        boxes: G.
        times: larger portions, for rules that drop most rows at once.
    """
    last = torch.bincount(rows.box, minlength=boxes).cumsum(0)  # row after each box's last
    start = 0
    for some in portions(points_of_box(rows, boxes), times * PAIRS):
        end = int(last[some[-1]])
        if end > start:
            yield rows.part(start, end)
        start = end
    if len(rows.box) == 0:
        yield rows


def boxes_by_points(points: Points, truth: GroundTruth) -> Iterator[Int[Tensor, " g"]]:
    """Indices of the boxes to be learned, in portions for rules that look at every point of the pyramid."""
    real = torch.nonzero(~truth.ignore).flatten()
    if len(real) == 0:
        yield real
    for some in portions(torch.full_like(real, len(points))):
        yield real[some]
