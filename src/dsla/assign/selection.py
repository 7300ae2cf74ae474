"""Steps that assigners share: pairs of the real boxes, one box a point, and ignore regions.

Letters: B images, P points, G boxes, M pairs, N positives.
"""

from dataclasses import replace

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from dsla.assign.contract import Assignment
from dsla.geometry import (
    GroundTruth,
    Pairs,
    Points,
    Ranges,
    Rows,
    pairs_inside,
    pairs_of_rows,
    rows_inside,
)


def pairs_of(points: Points, truth: GroundTruth, ranges: Ranges | None = None, radius: float | None = None) -> Pairs:
    """`pairs_inside` for the boxes that are to be learned; ignore regions have none."""
    return pairs_of_rows(points, truth.boxes.float(), rows_of(points, truth, ranges, radius))


def rows_of(
    points: Points,
    truth: GroundTruth,
    ranges: Ranges | None = None,
    radius: float | Float[Tensor, " G"] | None = None,
    by: float = 0.0,
    which: Bool[Tensor, " G"] | None = None,
) -> Rows:
    """`rows_inside` for the boxes that are to be learned, or for those of them that `which` marks."""
    real = torch.nonzero(~truth.ignore if which is None else which & ~truth.ignore).flatten()
    radius = radius[real] if isinstance(radius, Tensor) else radius
    rows = rows_inside(points, truth.boxes[real].float(), ranges, radius, by)
    return replace(rows, box=real.index_select(0, rows.box))


def slots_of(points: Points, truth: GroundTruth, pairs: Pairs) -> Int[Tensor, " M"]:
    """Index of each pair's point in the flat (B * P) batch."""
    return (truth.image * len(points)).index_select(0, pairs.box).add_(pairs.point)


def assignment(
    points: Points,
    truth: GroundTruth,
    slot: Int[Tensor, " N"],
    gt: Int[Tensor, " N"],
    score: Float[Tensor, " N"],
    weight: Float[Tensor, " N"],
    negative: Float[Tensor, " N"] | None = None,
) -> Assignment:
    """An `Assignment` from positives in the order of their slots (image * P + point)."""
    image = torch.div(slot, len(points), rounding_mode="floor")
    ignored = ignored_points(points, truth, slot)
    return Assignment(image, slot - image * len(points), gt, score, weight, ignored, negative)


def box_areas(truth: GroundTruth) -> Float[Tensor, " G"]:
    """Area of each box, in square pixels."""
    sides = (truth.boxes[:, 2:] - truth.boxes[:, :2]).float()
    return sides[:, 0] * sides[:, 1]


def one_box_a_point(
    slot: Int[Tensor, " M"], priority: Float[Tensor, " M"], area: Float[Tensor, " M"], box: Int[Tensor, " M"]
) -> Int[Tensor, " N"]:
    """Pick one pair a slot: highest priority, then smaller area, then lower box index.

    Only maxima and minima are scattered, so the result does not depend on the order of writes, on any device.

    Args:
        slot: (M,) index of each pair's point in the batch.
        priority: (M,) what the boxes compete with.
        area: (M,) area of each pair's box.
        box: (M,) index of each pair's box.

    Returns:
        (N,) indices of the chosen pairs, in the order of their slots.
    """
    if len(slot) == 0:
        return torch.zeros_like(slot)
    slots = int(slot.max()) + 1
    chosen = None  # all of them; after the first key few are left
    for key in (-priority, area, box):
        here, value = (slot, key) if chosen is None else (slot.index_select(0, chosen), key.index_select(0, chosen))
        none = torch.inf if key.is_floating_point() else torch.iinfo(key.dtype).max
        best = key.new_full((slots,), none).scatter_reduce_(0, here, value, "amin")
        kept = torch.nonzero(value == best.index_select(0, here)).flatten()
        chosen = kept if chosen is None else chosen.index_select(0, kept)
    # One pair a slot is left, so that a slot's number is its place in the order.
    owner = torch.full((slots,), -1, dtype=torch.int64, device=slot.device)
    owner[slot.index_select(0, chosen)] = chosen
    return owner[owner >= 0]


def other_classes(
    truth: GroundTruth,
    slot: Int[Tensor, " M"],
    priority: Float[Tensor, " M"],
    box: Int[Tensor, " M"],
    taken_slot: Int[Tensor, " N"],
    taken_gt: Int[Tensor, " N"],
) -> Int[Tensor, " K"]:
    """Pairs that add a further class to a point: the best box of each class that the point does not learn yet."""
    classes = int(truth.labels.max()) + 1 if len(truth) else 1
    key = slot * classes + truth.labels[box]
    best = one_box_a_point(key, priority, box_areas(truth)[box], box)
    return best[~torch.isin(key[best], taken_slot * classes + truth.labels[taken_gt])]


def ignored_points(points: Points, truth: GroundTruth, positive: Int[Tensor, " N"]) -> Bool[Tensor, "B P"]:
    """Points strictly inside an ignore region, at any level, that are not positive.

    Args:
        points: P points.
        truth: boxes of B images.
        positive: (N,) slots (image * P + point) of the positives.
    """
    mask = torch.zeros(truth.num_images * len(points), dtype=torch.bool, device=truth.boxes.device)
    regions = torch.nonzero(truth.ignore).flatten()
    if len(regions):
        pairs = pairs_inside(points, truth.boxes[regions].float())
        mask[truth.image[regions[pairs.box]] * len(points) + pairs.point] = True
        mask[positive] = False
    return mask.view(truth.num_images, len(points))
