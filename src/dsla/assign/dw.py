"""DW: dual weighting (Li et al., CVPR 2022; arXiv 2203.09730).

Every point inside a box is a candidate with two weights. With p = class probability * exp(-5 (1 - GIoU)) and G a
Gaussian of the distance to the box's centre, both of each box's points:

    positive weight   w = exp(5 p) p G / sum of exp(3 p) p G      how much the point learns the object
    negative weight   n = 1 where IoU < 0.5, else falling with 1 - IoU^2 to 0 at the box's best point

The class loss at the box's class is w * -log(p) + n * p^2 * -log(1 - p) (`DualWeight`), the box loss has w.

What does not fit, and what is done: the source lets a point inside two boxes learn both boxes, here it takes the one
with the greater w; the source learns the Gaussian's mean and width for each class, here they stay at its start, the
centre and one stride; w is divided by e^2, its greatest value, since labels lie in [0, 1]. A bag loss such as
AutoAssign's, -log of a weighted sum of probabilities over a box's points, would need more: gradient through the weights
and a term for each box instead of each point. That is why DW is here and AutoAssign is not.

Letters: M pairs.
"""

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor

from dsla.assign.chunks import rows_in_portions
from dsla.assign.contract import Assignment, Predictions
from dsla.assign.coverage import kept_or, with_coverage
from dsla.assign.predicted import Said, greatest_of_box, need, sum_over_box
from dsla.assign.selection import assignment, box_areas, one_box_a_point, rows_of
from dsla.geometry import GroundTruth, Points, Rows, ltrb_giou, ltrb_iou, pairs_of_rows

EPS = 1e-12
_Candidates = tuple[Int[Tensor, " M"], Int[Tensor, " M"], Float[Tensor, " M"], Float[Tensor, " M"]]


@dataclass(frozen=True)
class DW:
    """A positive and a negative weight for every point inside a box.

    Attributes:
        prior_width: standard deviation of the centre prior, in strides.
        least: points with a smaller positive weight than this share of their box's greatest are left to the
            background.
        cover: give a box without any point the nearest one that fits.
    """

    name: Literal["dw"] = "dw"
    prior_width: float = 1.0
    least: float = 1e-3
    cover: bool = False

    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid"}

    @property
    def needs_predictions(self) -> bool:
        """True: both weights are made of them."""
        return True

    @property
    def positives_inside(self) -> bool:
        """True unless coverage may give a box a point beside it."""
        return not self.cover

    @torch.no_grad()
    def __call__(self, points: Points, truth: GroundTruth, pred: Predictions | None = None) -> Assignment:
        """Assign points to boxes; see `Assigner`."""
        said = Said.of(points, truth, need(pred, "DW"))
        rows = rows_of(points, truth)
        found = [self._weights(points, truth, said, part) for part in rows_in_portions(rows, len(truth))]
        slot, box, positive, negative = (torch.cat(parts) for parts in zip(*found, strict=True))
        best = one_box_a_point(slot, positive, box_areas(truth)[box], box)
        slot, gt, score, negative = slot[best], box[best], positive[best], negative[best]
        if self.cover:
            slot, gt, row = with_coverage(points, truth, slot, gt)
            score, negative = kept_or(score, row, 1.0), kept_or(negative, row, 0.0)
        return assignment(points, truth, slot, gt, score, score, negative)

    def _weights(self, points: Points, truth: GroundTruth, said: Said, rows: Rows) -> _Candidates:
        """Slots, boxes, positive and negative weights of the points inside each box."""
        pairs, g = pairs_of_rows(points, truth.boxes.float(), rows), len(truth)
        slot = said.slot(pairs)
        ltrb = said.ltrb(slot)
        p = said.probability(slot, pairs.box) * torch.exp(-5 * (1 - ltrb_giou(ltrb, pairs.ltrb)))
        away = (pairs.ltrb[:, 2:] - pairs.ltrb[:, :2]).square_().sum(dim=1).div_(4)
        away = away.div_(points.stride.square().index_select(0, pairs.point))
        share = p * torch.exp(-away / (2 * self.prior_width**2))
        total = sum_over_box(share * torch.exp(3 * p), pairs.box, g).clamp(min=EPS)
        positive = share * torch.exp(5 * p - 2) / total.index_select(0, pairs.box)
        negative = _negative_weight(ltrb_iou(ltrb, pairs.ltrb).clamp(0, 1), pairs.box, g)
        most = greatest_of_box(positive, pairs.box, g)
        kept = torch.nonzero(positive > self.least * most.index_select(0, pairs.box)).flatten()
        return slot[kept], pairs.box[kept], positive[kept].clamp(max=1), negative[kept]


def _negative_weight(iou: Float[Tensor, " M"], box: Int[Tensor, " M"], boxes: int) -> Float[Tensor, " M"]:
    """1 below an IoU of 0.5; above, (1 - IoU^2) / 0.75 stretched so that the box's best point has 0."""
    fall = (1 - iou.square()) / 0.75
    least = -greatest_of_box(-fall, box, boxes).index_select(0, box)
    most = greatest_of_box(fall, box, boxes).clamp(max=1).index_select(0, box)
    weight = ((fall - least + EPS) / (most - least + EPS)).clamp(0, 1)
    return torch.where(iou < 0.5, 1.0, weight)
