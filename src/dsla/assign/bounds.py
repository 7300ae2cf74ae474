"""Which points inside a box may count for it at all, told from the areas of the predicted boxes.

Rules that take a box's best points among all inside it would look at thousands in a large box, nearly all of them on
fine levels, where the network predicts small boxes. Two boxes overlap at most by the ratio of their areas, smaller to
larger. Once the points near the centre have shown what a point must reach to be among the best, rows of points whose
predicted boxes are all too small or all too large are left out; what is left holds every point that counts.

Letters: G boxes, S slots, R rows.
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from dsla.assign.chunks import points_of_box
from dsla.assign.predicted import Said
from dsla.assign.selection import rows_of
from dsla.geometry import Extremes, GroundTruth, Points, Rows

NEAR = 2.0  # strides from the centre to which points show what must be reached
WORTH_IT = 200  # points in a box from which on it pays to ask
PIECE = 4  # points of a row that are kept or dropped together
SLACK = 1e-4  # by which bounds are widened; rounding moves areas and overlaps by a hundredth of it


class AreaBound:
    """Bounds of the IoU by areas, for the boxes and predictions of a batch."""

    def __init__(self, points: Points, truth: GroundTruth, said: Said) -> None:
        left, top, right, bottom = said.sides.unbind(dim=1)
        self._predicted = Extremes((left + right) * (top + bottom), max(width for _, width in points.sizes))
        sides = (truth.boxes[:, 2:] - truth.boxes[:, :2]).float()
        self._area = sides[:, 0] * sides[:, 1]
        self._start = said.start

    def reaching(self, rows: Rows, iou: Float[Tensor, " R"]) -> Rows:
        """Pieces of rows in which some predicted box may reach an IoU with the row's box; all where that is 0."""
        area = self._area.index_select(0, rows.box)
        iou = (iou * (1 - SLACK)).clamp(min=1e-30)
        low, high = area * iou, area / iou
        low = low.masked_fill(iou <= 1e-30, -torch.inf)
        kept = torch.nonzero(self._holds(rows, low, high)).flatten()
        pieces, row = rows.keep(kept).cut(PIECE)
        row = kept.index_select(0, row)
        held = self._holds(pieces, low.index_select(0, row), high.index_select(0, row))
        return pieces.keep(torch.nonzero(held).flatten())

    def _holds(self, rows: Rows, low: Float[Tensor, " R"], high: Float[Tensor, " R"]) -> Bool[Tensor, " R"]:
        """Whether the areas predicted along rows come between two ends, or pass them."""
        least, greatest = self._predicted.between(self._start.index_select(0, rows.box) + rows.first, rows.count)
        return (greatest >= low) & (least <= high)


def rows_near(points: Points, truth: GroundTruth, rows: Rows, by: float = 0.0) -> Rows:
    """Rows of points near the centre, of the boxes whose rows hold so many that it pays to look there first."""
    large = points_of_box(rows, len(truth)) > WORTH_IT
    return rows_of(points, truth, radius=NEAR, by=by, which=large)
