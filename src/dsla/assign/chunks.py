"""Boxes in portions, so that the memory of rules which look at many pairs is bounded.

What a rule finds for a box depends on no other box, so the portions' results, one after another, are those of all
boxes at once, to the bit.

Letters: G boxes, P points.
"""

from collections.abc import Iterator

import torch
from jaxtyping import Int
from torch import Tensor

from dsla.geometry import GroundTruth, Points, pairs_at_most

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


def boxes_by_pairs(points: Points, truth: GroundTruth, radius: float | None = None) -> Iterator[Int[Tensor, " g"]]:
    """Indices of the boxes to be learned, in portions by the number of points inside them (see `pairs_inside`)."""
    real = torch.nonzero(~truth.ignore).flatten()
    for some in portions(pairs_at_most(points, truth.boxes[real].float(), radius=radius)):
        yield real[some]


def boxes_by_points(points: Points, truth: GroundTruth) -> Iterator[Int[Tensor, " g"]]:
    """Indices of the boxes to be learned, in portions for rules that look at every point of the pyramid."""
    real = torch.nonzero(~truth.ignore).flatten()
    for some in portions(torch.full_like(real, len(points))):
        yield real[some]
