"""Coverage: no box goes without a point.

With points 8 px apart a box of 5 px may contain none, and in a crowd a box may lose all of its points to others.
Each such box then asks for the points nearest to its centre, at the level that fits it, one after the other. A box
that has points keeps the one nearest to its centre for itself; all others of its points may be asked for. A point that
somebody keeps or was given goes to a smaller box that asks, and who loses it asks in its turn. That is deferred
acceptance (Gale and Shapley, 1962): the outcome does not depend on the order in which boxes ask.

Letters: G boxes, U boxes that ask, K points each may ask for, S = B * P slots of the batch.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from dsla.assign.levels import level_ranges
from dsla.assign.selection import box_areas, one_box_a_point
from dsla.geometry import GroundTruth, Points, Ranges

NEIGHBOURS = 9  # a 3 x 3 neighbourhood of the box's centre
FITTING_REACH = 4.0  # strides from a box's centre to its sides that a level fits, for rules without ranges


def with_coverage(
    points: Points,
    truth: GroundTruth,
    slot: Int[Tensor, " N"],
    gt: Int[Tensor, " N"],
    ranges: Ranges | None = None,
) -> tuple[Int[Tensor, " K"], Int[Tensor, " K"], Int[Tensor, " K"]]:
    """Positives in which every box that can has a point, in the order of slots.

    Args:
        points: the pyramid.
        truth: G boxes; ignore regions are left alone.
        slot: (N,) positives so far, as image * P + point, at most one row a slot.
        gt: (N,) box of each positive.
        ranges: (low, high) of each level; a box fits the first level that reaches from its centre to its sides.

    Returns:
        Slots, boxes, and the row that each positive had before, -1 for those that coverage added.
    """
    holder = cover_boxes(points, truth, slot, gt, ranges or level_ranges(points, FITTING_REACH))
    row = torch.full_like(holder, -1)
    kept = torch.nonzero(holder[slot] == gt).flatten()
    row[slot[kept]] = kept
    slot = torch.nonzero(holder >= 0).flatten()
    return slot, holder[slot], row[slot]


def kept_or(
    value: Float[Tensor, " N"], row: Int[Tensor, " K"], added: float | Float[Tensor, " K"]
) -> Float[Tensor, " K"]:
    """The old rows' values, and `added` where coverage made the row (see `with_coverage`)."""
    if len(value) == 0:
        return torch.zeros_like(row, dtype=value.dtype) + added
    return torch.where(row >= 0, value[row.clamp(min=0)], added)


def cover_boxes(
    points: Points,
    truth: GroundTruth,
    slot: Int[Tensor, " N"],
    gt: Int[Tensor, " N"],
    ranges: Ranges,
) -> Int[Tensor, " S"]:
    """The box that holds each of the S = B * P points, -1 where none does; arguments as `with_coverage`."""
    boxes, device = len(truth), slot.device
    holder = torch.full((truth.num_images * len(points),), -1, dtype=torch.int64, device=device)
    holder[slot] = gt
    settled = truth.ignore.clone()
    settled[gt] = True
    if bool(settled.all()):
        return holder
    kept = torch.full_like(holder, -1)  # the box that each point is kept for
    nearest = _nearest_held(points, truth, slot, gt)
    kept[slot[nearest]] = gt[nearest]
    wanted = _nearest_slots(points, truth, ranges)
    rank = torch.empty(boxes + 1, dtype=torch.int64, device=device)  # small boxes first, then by index
    rank[box_areas(truth).argsort(stable=True)] = torch.arange(boxes, device=device)
    rank[boxes] = boxes  # kept for -1: a point that is kept for nobody takes anyone
    turn = torch.zeros(boxes, dtype=torch.int64, device=device)
    while True:
        asking = torch.nonzero(~settled & (turn < NEIGHBOURS)).flatten()
        if len(asking) == 0:
            return torch.where(kept >= 0, kept, holder)
        target = wanted[asking, turn[asking]]
        turn[asking] += 1
        best = rank.new_full(kept.shape, boxes).scatter_reduce_(0, target, rank[asking], "amin")
        wins = (rank[asking] == best[target]) & (rank[asking] < rank[kept[target]])
        winner, won = asking[wins], target[wins]
        loser = kept[won]
        settled[loser[loser >= 0]] = False
        settled[winner] = True
        kept[won] = winner


def _nearest_held(
    points: Points, truth: GroundTruth, slot: Int[Tensor, " N"], gt: Int[Tensor, " N"]
) -> Int[Tensor, " K"]:
    """Row of each box's point that is nearest to its centre, of equally near ones the first."""
    centre = (truth.boxes[gt, :2] + truth.boxes[gt, 2:]).float() / 2
    gap = (points.xy[slot % len(points)] - centre).square().sum(dim=1)
    return one_box_a_point(gt, -gap, torch.zeros_like(gap), slot)


def _nearest_slots(points: Points, truth: GroundTruth, ranges: Ranges) -> Int[Tensor, "G K"]:
    """The 3 x 3 points around each box's centre at its level, nearest first, as image * P + point."""
    device = truth.boxes.device
    boxes = truth.boxes.float()
    half_side = (boxes[:, 2:] - boxes[:, :2]).amax(dim=1) / 2
    ends = torch.tensor([high for _, high in ranges[:-1]], device=device)
    level = torch.searchsorted(ends, half_side)
    shape = torch.tensor([[w, h] for h, w in points.sizes], device=device)[level]
    stride = torch.tensor(points.strides, dtype=torch.float32, device=device)[level][:, None]
    start = torch.tensor(points.starts, device=device)[level]
    centre = (boxes[:, :2] + boxes[:, 2:]) / 2
    middle = torch.round(centre / stride - points.offset).long()
    steps = torch.cartesian_prod(torch.arange(-1, 2, device=device), torch.arange(-1, 2, device=device))
    # Near a border the neighbourhood is moved into the lattice; on a lattice narrower than 3 cells repeat.
    middle = torch.minimum(middle.clamp(min=1), shape - 2).clamp(min=0)
    cells = torch.minimum((middle[:, None] + steps.flip(1)).clamp(min=0), shape[:, None] - 1)
    gap = (cells + points.offset) * stride[:, None] - centre[:, None]
    nearest = gap.square().sum(dim=-1).argsort(dim=1, stable=True)
    point = start[:, None] + cells[..., 1] * shape[:, None, 0] + cells[..., 0]
    return truth.image[:, None] * len(points) + point.gather(1, nearest)
