"""The sparse enumeration of (box, point) pairs that every assigner stands on.

A level is a lattice, so the points strictly inside a rectangle are a window of rows and columns, found by
arithmetic. Each box has at most one window a level; windows are then unrolled with `repeat_interleave` and
`arange`. Time and memory follow the number of pairs, never points times boxes.

A level takes a point for a box only if m = max(l, t, r, b) <= `high`. That bounds the window besides: l <= high
means x <= x1 + high, r <= high means x >= x2 - high, and the same for y. Boxes larger than twice `high` have an
empty window, and a level whose `low` no point of the box can reach (m is below the longer side) is left out.

Letters: G boxes, L levels, M pairs.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import torch
from jaxtyping import Float, Int
from torch import Tensor

from dsla.geometry.boxes import ltrb_from_boxes
from dsla.geometry.points import Points


@dataclass(frozen=True, eq=False)
class Pairs:
    """Points strictly inside boxes, box-major, then level-major, then row-major.

    Attributes:
        box: (M,) index of the box.
        point: (M,) index of the point.
        ltrb: (M, 4) distances from the point to the box's sides, in pixels.
    """

    box: Int[Tensor, " M"]
    point: Int[Tensor, " M"]
    ltrb: Float[Tensor, "M 4"]

    def keep(self, mask: Tensor) -> "Pairs":
        """The pairs where a boolean mask holds, or at given indices, in their order."""
        return Pairs(self.box[mask], self.point[mask], self.ltrb[mask])


Ranges = Sequence[tuple[float, float]]
_Limits = tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]


def pairs_inside(
    points: Points,
    boxes: Float[Tensor, "G 4"],
    ranges: Ranges | None = None,
    radius: float | None = None,
) -> Pairs:
    """All pairs of a box and a point strictly inside it, at levels and places where a range can hold.

    Args:
        points: lattice of the pyramid.
        boxes: (G, 4) xyxy in pixels.
        ranges: (low, high) of m = max(l, t, r, b) in pixels, a level, both ends allowed; pairs outside are left
            out exactly. None allows every level everywhere.
        radius: with a number, centre sampling: points strictly inside the square that reaches `radius` strides
            around the box's centre, clipped to the box.
    """
    limits = _level_limits(points, tuple(ranges) if ranges is not None else None, boxes.device)
    low, high, stride, width, _, start = limits
    box, level, column, row = _unroll(*_windows(points, boxes, limits, radius))
    point = start[level] + row * width[level] + column

    xy = points.xy[point]
    ltrb = ltrb_from_boxes(xy, boxes[box])
    reach = ltrb.amax(dim=1)
    inside = (ltrb.amin(dim=1) > 0) & (reach >= low[level]) & (reach <= high[level])
    if radius is not None:
        centre = (boxes[:, :2] + boxes[:, 2:]) / 2
        reached = stride[level, None] * radius
        middle = centre[box]
        inside &= ((xy > middle - reached) & (xy < middle + reached)).all(dim=1)
    return Pairs(box[inside], point[inside], ltrb[inside])


def pairs_at_most(
    points: Points, boxes: Float[Tensor, "G 4"], ranges: Ranges | None = None, radius: float | None = None
) -> Int[Tensor, " G"]:
    """How many pairs `pairs_inside` looks at for each box: at least as many as it returns, and not many more."""
    limits = _level_limits(points, tuple(ranges) if ranges is not None else None, boxes.device)
    _, count = _windows(points, boxes, limits, radius)
    return count.prod(dim=2).sum(dim=1)


def _windows(
    points: Points, boxes: Float[Tensor, "G 4"], limits: _Limits, radius: float | None
) -> tuple[Int[Tensor, "G L 2"], Int[Tensor, "G L 2"]]:
    """First (column, row) and number of columns and rows of the cells that may pair with each box, a level."""
    low, high, stride, width, height, _ = limits
    lo_xy, hi_xy = _rectangles(boxes, stride, high, radius)  # (G, L, 2) open rectangles, in pixels
    size = torch.stack([width, height], dim=-1)
    first = torch.floor(lo_xy / stride[:, None] - points.offset).long().clamp(min=0)
    # One more on each side than the open rectangle needs: rounding of the division never loses a point, and an
    # exact comparison removes what is too much.
    last = torch.minimum(torch.ceil(hi_xy / stride[:, None] - points.offset).long(), size - 1)
    longer = (boxes[:, 2:] - boxes[:, :2]).amax(dim=1, keepdim=True)
    return first, (last - first + 1).clamp(min=0).masked_fill((longer < low)[..., None], 0)


def _rectangles(
    boxes: Float[Tensor, "G 4"], stride: Float[Tensor, " L"], high: Float[Tensor, " L"], radius: float | None
) -> tuple[Float[Tensor, "G L 2"], Float[Tensor, "G L 2"]]:
    """Open rectangles, one a box and level, outside which no pair can hold."""
    low_corner, high_corner = boxes[:, None, :2], boxes[:, None, 2:]
    bound = high[:, None]
    lo = torch.maximum(low_corner, high_corner - bound)
    hi = torch.minimum(high_corner, low_corner + bound)
    if radius is not None:
        centre = (low_corner + high_corner) / 2
        lo = torch.maximum(lo, centre - stride[:, None] * radius)
        hi = torch.minimum(hi, centre + stride[:, None] * radius)
    return lo, hi


def _unroll(
    first: Int[Tensor, "G L 2"], count: Int[Tensor, "G L 2"]
) -> tuple[Int[Tensor, " M"], Int[Tensor, " M"], Int[Tensor, " M"], Int[Tensor, " M"]]:
    """Box, level, column and row of every lattice cell of every window."""
    levels = first.shape[1]
    columns, rows = count.reshape(-1, 2).unbind(dim=1)
    total = columns * rows
    window = torch.repeat_interleave(torch.arange(len(total), device=total.device), total)
    within = torch.arange(len(window), device=total.device) - (total.cumsum(0) - total)[window]
    wide = columns[window]
    row = torch.div(within, wide, rounding_mode="floor")
    column = within - row * wide
    corner = first.reshape(-1, 2)[window]
    box = torch.div(window, levels, rounding_mode="floor")
    return box, window - box * levels, corner[:, 0] + column, corner[:, 1] + row


@lru_cache(maxsize=64)
def _cached_limits(
    sizes: tuple[tuple[int, int], ...],
    strides: tuple[int, ...],
    starts: tuple[int, ...],
    ranges: tuple[tuple[float, float], ...] | None,
    device: torch.device,
) -> _Limits:
    ends = ranges if ranges is not None else ((0.0, float("inf")),) * len(strides)
    if len(ends) != len(strides):
        raise ValueError(f"{len(ends)} ranges for {len(strides)} levels")
    with torch.inference_mode(False):
        low, high = torch.tensor(ends, dtype=torch.float32, device=device).reshape(-1, 2).unbind(dim=1)
        stride = torch.tensor(strides, dtype=torch.float32, device=device)
        whole = [[w, h, s] for (h, w), s in zip(sizes, starts, strict=True)]
        width, height, start = torch.tensor(whole, device=device).unbind(dim=1)
        return low, high, stride, width, height, start


def _level_limits(points: Points, ranges: tuple[tuple[float, float], ...] | None, device: torch.device) -> _Limits:
    """(low, high, stride, width, height, first index) of each level, as tensors of L."""
    return _cached_limits(points.sizes, points.strides, points.starts, ranges, device)
