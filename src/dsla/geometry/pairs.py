"""The sparse enumeration of (box, point) pairs that every assigner stands on.

A level is a lattice, so the points strictly inside a rectangle are a window of rows and columns, found by
arithmetic. Each box has at most one window a level. Windows are unrolled into rows, rows into points, with
`repeat_interleave` and `arange`: time and memory follow the number of pairs, never points times boxes. Rules that
can tell of a whole row that it does not matter drop it before its points are made.

A level takes a point for a box only if m = max(l, t, r, b) <= `high`. That bounds the window besides: l <= high
means x <= x1 + high, r <= high means x >= x2 - high, and the same for y. Boxes larger than twice `high` have an
empty window, and a level whose `low` no point of the box can reach (m is below the longer side) is left out.

Letters: G boxes, L levels, R rows, M pairs.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import torch
from jaxtyping import Float, Int
from torch import Tensor

from dsla.geometry.points import Points


@dataclass(frozen=True, eq=False)
class Rows:
    """Runs of neighbouring points of one lattice row inside a box, box-major, then level-major, then top to bottom.

    Attributes:
        box: (R,) index of the box.
        first: (R,) index of the leftmost point.
        count: (R,) number of points.
        low: (R,) least m = max(l, t, r, b) that the level takes, in pixels; None where no level asks for any.
    """

    box: Int[Tensor, " R"]
    first: Int[Tensor, " R"]
    count: Int[Tensor, " R"]
    low: Float[Tensor, " R"] | None = None

    def keep(self, index: Int[Tensor, " K"]) -> "Rows":
        """The rows at given indices."""
        low = self.low.index_select(0, index) if self.low is not None else None
        box, first, count = (each.index_select(0, index) for each in (self.box, self.first, self.count))
        return Rows(box, first, count, low)

    def cut(self, longest: int) -> tuple["Rows", Int[Tensor, " K"]]:
        """The same points in rows of at most so many, and the row that each was a part of."""
        pieces = torch.div(self.count + (longest - 1), longest, rounding_mode="floor")
        row = torch.repeat_interleave(pieces)
        skip = torch.arange(len(row), device=row.device) - (pieces.cumsum(0) - pieces).index_select(0, row)
        skip *= longest
        count = (self.count.index_select(0, row) - skip).clamp_(max=longest)
        low = self.low.index_select(0, row) if self.low is not None else None
        return Rows(self.box.index_select(0, row), self.first.index_select(0, row) + skip, count, low), row

    def part(self, start: int, end: int) -> "Rows":
        """Consecutive rows."""
        low = self.low[start:end] if self.low is not None else None
        return Rows(self.box[start:end], self.first[start:end], self.count[start:end], low)


@dataclass(frozen=True, eq=False)
class Pairs:
    """Points strictly inside boxes, box-major, then level-major, then row-major.

    Attributes:
        box: (M,) index of the box.
        point: (M,) index of the point.
        ltrb: (M, 4) distances from the point to the box's sides, in pixels. In memory each side lies by itself, so
            that arithmetic on sides, and the least or greatest of four, run over contiguous numbers.
    """

    box: Int[Tensor, " M"]
    point: Int[Tensor, " M"]
    ltrb: Float[Tensor, "M 4"]

    def keep(self, mask: Tensor) -> "Pairs":
        """The pairs where a boolean mask holds, or at given indices, in their order."""
        index = torch.nonzero(mask).flatten() if mask.dtype == torch.bool else mask
        return Pairs(self.box.index_select(0, index), self.point.index_select(0, index), side_rows(self.ltrb, index))


Ranges = Sequence[tuple[float, float]]
_Limits = tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]


def side_by_side(values: Float[Tensor, "N 4"]) -> Float[Tensor, "N 4"]:
    """The same numbers in float32, each of the four columns contiguous in memory."""
    return values.T.float().contiguous().T


def side_rows(values: Float[Tensor, "N 4"], index: Int[Tensor, " M"]) -> Float[Tensor, "M 4"]:
    """Rows of a matrix of sides at indices, each column contiguous in memory."""
    # `index_select` on one column after another: several times faster than indexing rows of four.
    out = values.new_empty(4, len(index))
    for column, target in zip(values.unbind(dim=1), out.unbind(dim=0), strict=True):
        torch.index_select(column, 0, index, out=target)
    return out.T


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
    return pairs_of_rows(points, boxes, rows_inside(points, boxes, ranges, radius))


def pairs_of_rows(points: Points, boxes: Float[Tensor, "G 4"], rows: Rows) -> Pairs:
    """The pairs of rows that `rows_inside` found for the same boxes."""
    row = torch.repeat_interleave(rows.count)
    shift = rows.first - (rows.count.cumsum(0) - rows.count)  # from a pair's number to its point's
    point = torch.arange(len(row), device=row.device).add_(shift.index_select(0, row))
    x, y = points.xy.T.contiguous()
    x1, y1, x2, y2 = side_rows(boxes, rows.box).T
    height = y.index_select(0, rows.first)
    column = x.index_select(0, point)
    ltrb = x.new_empty(4, len(row))
    torch.sub(column, x1.index_select(0, row), out=ltrb[0])
    torch.index_select(height - y1, 0, row, out=ltrb[1])
    torch.sub(x2.index_select(0, row), column, out=ltrb[2])
    torch.index_select(y2 - height, 0, row, out=ltrb[3])
    pairs = Pairs(rows.box.index_select(0, row), point, ltrb.T)
    return pairs if rows.low is None else pairs.keep(pairs.ltrb.amax(dim=1) >= rows.low.index_select(0, row))


def rows_inside(
    points: Points,
    boxes: Float[Tensor, "G 4"],
    ranges: Ranges | None = None,
    radius: float | Float[Tensor, " G"] | None = None,
    by: float = 0.0,
) -> Rows:
    """The rows that hold the pairs of `pairs_inside`; their points are those pairs, but for the ranges' low ends.

    Args:
        points: lattice of the pyramid.
        boxes: (G, 4) xyxy in pixels.
        ranges: (low, high) of m, a level.
        radius: for all boxes or for each, in strides.
        by: pixels that a point must be away from every side, more than which it is inside.
    """
    limits = _level_limits(points, tuple(ranges) if ranges is not None else None, boxes.device)
    low, _, _, width, _, start = limits
    first, count = _windows(points, boxes, limits, radius, by)
    column, top = first.reshape(-1, 2).unbind(dim=1)
    columns, height = count.reshape(-1, 2).unbind(dim=1)
    height = height * (columns > 0)
    window = torch.repeat_interleave(height)
    before = height.cumsum(0) - height
    down = torch.arange(len(window), device=window.device) - (before - top).index_select(0, window)
    box = torch.div(window, len(low), rounding_mode="floor")
    level = window - box * len(low)
    begin = start.index_select(0, level) + down * width.index_select(0, level) + column.index_select(0, window)
    asked = ranges is not None and any(least > 0 for least, _ in ranges)
    return Rows(box, begin, columns.index_select(0, window), low.index_select(0, level) if asked else None)


def rows_everywhere(points: Points, boxes: Int[Tensor, " g"]) -> Rows:
    """All rows of all levels for boxes of these indices, whether inside or not."""
    first, count = (torch.tensor(each, device=boxes.device) for each in zip(*_lattice_rows(points), strict=True))
    return Rows(boxes.repeat_interleave(len(first)), first.repeat(len(boxes)), count.repeat(len(boxes)))


def _lattice_rows(points: Points) -> list[tuple[int, int]]:
    """(first point, number of points) of every row of every level."""
    return [
        (start + row * width, width)
        for (height, width), start in zip(points.sizes, points.starts, strict=True)
        for row in range(height)
    ]


def _windows(
    points: Points,
    boxes: Float[Tensor, "G 4"],
    limits: _Limits,
    radius: float | Float[Tensor, " G"] | None,
    by: float,
) -> tuple[Int[Tensor, "G L 2"], Int[Tensor, "G L 2"]]:
    """First (column, row) and number of columns and rows of the lattice cells of each box, a level."""
    low, high, stride, width, height, _ = limits
    size = torch.stack([width, height], dim=-1)
    step, bound = stride[:, None], high[:, None]
    corner, opposite = boxes[:, None, :2], boxes[:, None, 2:]
    centre, reach = (corner + opposite) / 2, 0.0
    lo, hi = torch.maximum(corner, opposite - bound), torch.minimum(opposite, corner + bound)
    if radius is not None:
        reach = step * (radius[:, None, None] if isinstance(radius, Tensor) else radius)
        lo, hi = torch.maximum(lo, centre - reach), torch.minimum(hi, centre + reach)

    def after(cell: Tensor) -> Tensor:
        """Whether cells lie beyond the lower end, as the pairs' own numbers say."""
        xy = (cell + points.offset) * step
        holds = (xy - corner > by) & (opposite - xy <= bound)
        return holds if radius is None else holds & (xy > centre - reach)

    def before(cell: Tensor) -> Tensor:
        xy = (cell + points.offset) * step
        holds = (opposite - xy > by) & (xy - corner <= bound)
        return holds if radius is None else holds & (xy < centre + reach)

    # The division rounds, so the first guess is a cell too wide; two exact comparisons then end where the pairs do.
    first = torch.floor(lo / step - points.offset).long().clamp(min=0)
    last = torch.minimum(torch.ceil(hi / step - points.offset).long(), size - 1)
    for _ in range(2):
        first += ~after(first)
        last -= (~before(last)).long()
    longer = (boxes[:, 2:] - boxes[:, :2]).amax(dim=1, keepdim=True)
    return first, (last - first + 1).clamp(min=0).masked_fill((longer < low)[..., None], 0)


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
