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

import math
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor

from dsla.assign.bounds import NEAR, AreaBound, rows_near
from dsla.assign.chunks import points_of_box, rows_in_portions
from dsla.assign.contract import Assignment, Predictions
from dsla.assign.coverage import kept_or, with_coverage
from dsla.assign.predicted import Said, greatest_of_box, need, sum_over_box
from dsla.assign.selection import assignment, box_areas, one_box_a_point, rows_of
from dsla.geometry import GroundTruth, Pairs, Points, Rows, ltrb_iou_giou, pairs_of_rows

EPS = 1e-12  # sums are no smaller, weights below count as none: float32 would decide by underflow
E = math.e
NEGLIGIBLE = 1e-7  # what the points left out may add, as a share of the sum; a float's rounding is about half of it
_Candidates = tuple[Int[Tensor, " M"], Int[Tensor, " M"], Float[Tensor, " M"], Float[Tensor, " M"]]


@dataclass(frozen=True)
class DW:
    """A positive and a negative weight for every point inside a box.

    Attributes:
        prior_width: standard deviation of the centre prior, in strides.
        least: points with a smaller positive weight than this share of their box's greatest are left to the
            background; so is a box of which all points lie so far from its centre that no weight exceeds 1e-12.
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
        radius, best = self._reach(points, truth, said, rows)
        best = self._best_iou(points, truth, said, rows, radius, best)
        near = rows_of(points, truth, radius=radius)
        found = [self._weights(points, truth, said, best, part) for part in rows_in_portions(near, len(truth))]
        slot, box, positive, negative = (torch.cat(parts) for parts in zip(*found, strict=True))
        best = one_box_a_point(slot, positive, box_areas(truth)[box], box)
        slot, gt, score, negative = slot[best], box[best], positive[best], negative[best]
        if self.cover:
            slot, gt, row = with_coverage(points, truth, slot, gt)
            score, negative = kept_or(score, row, 1.0), kept_or(negative, row, 0.0)
        return assignment(points, truth, slot, gt, score, score, negative)

    def _reach(
        self, points: Points, truth: GroundTruth, said: Said, rows: Rows
    ) -> tuple[Float[Tensor, " G"], Float[Tensor, " G"]]:
        """Strides from each box's centre beyond which no point counts, and the best IoU seen near the centre.

        At r strides the centre prior is exp(-r^2 / 2 width^2), and with p at most 1 no share there exceeds e^3 times
        it. The radius is where all points of the box together could add no more than a float's rounding to the sum
        near the centre, and none reaches `least` of the greatest weight there. Infinite where that is not known, and
        where all IoUs seen are above 0.5: then the negative weights ask for the lowest one too.
        """
        radius = torch.full_like(truth.boxes[:, 0], torch.inf, dtype=torch.float32)
        best = torch.zeros_like(radius)
        count = points_of_box(rows, len(truth))
        for part in rows_in_portions(rows_near(points, truth, rows), len(truth)):
            pairs, _, p, share, iou = self._terms(points, truth, said, part)
            total = sum_over_box(share * torch.exp(3 * p), pairs.box, len(truth))
            most = greatest_of_box(share * torch.exp(5 * p), pairs.box, len(truth))
            highest, lowest = greatest_of_box(iou, pairs.box, len(truth)), -greatest_of_box(-iou, pairs.box, len(truth))
            share_beyond = torch.minimum(NEGLIGIBLE * total / (count * E**3), self.least * most / E**5)
            far = (-2 * share_beyond.clamp(max=1).log()).sqrt() * self.prior_width
            mine = (total > 0) & (lowest < 0.5)
            radius, best = torch.where(mine, far.clamp(min=NEAR), radius), torch.where(mine, highest, best)
        return radius, best

    def _best_iou(
        self, points: Points, truth: GroundTruth, said: Said, rows: Rows, radius: Tensor, best: Float[Tensor, " G"]
    ) -> Float[Tensor, " G"]:
        """The highest IoU of each box whose radius is finite, wherever in the box."""
        bound = AreaBound(points, truth, said)
        rows = rows.keep(torch.nonzero(radius.index_select(0, rows.box) < torch.inf).flatten())
        for part in rows_in_portions(rows, len(truth), times=2):
            pairs = pairs_of_rows(points, truth.boxes.float(), bound.reaching(part, best.index_select(0, part.box)))
            best = torch.maximum(best, greatest_of_box(said.iou(said.slot(pairs), pairs), pairs.box, len(truth)))
        return best

    def _terms(
        self, points: Points, truth: GroundTruth, said: Said, rows: Rows
    ) -> tuple[Pairs, Int[Tensor, " M"], Float[Tensor, " M"], Float[Tensor, " M"], Float[Tensor, " M"]]:
        """The rows' pairs with slots, p, p times the centre prior, and IoU."""
        pairs = pairs_of_rows(points, truth.boxes.float(), rows)
        slot = said.slot(pairs)
        ltrb = said.ltrb(slot)
        iou, giou = ltrb_iou_giou(ltrb, pairs.ltrb)
        p = giou.sub_(1).mul_(5).exp_().mul_(said.probability(slot, pairs.box))
        away = (pairs.ltrb[:, 2:] - pairs.ltrb[:, :2]).square_().sum(dim=1)
        stride = points.stride.square() * (-8 * self.prior_width**2)  # twice the way to the centre was squared
        share = away.div_(stride.index_select(0, pairs.point)).exp_().mul_(p)
        return pairs, slot, p, share, iou.clamp_(0, 1)

    def _weights(
        self, points: Points, truth: GroundTruth, said: Said, best: Float[Tensor, " G"], rows: Rows
    ) -> _Candidates:
        """Slots, boxes, positive and negative weights of the points inside each box."""
        pairs, slot, p, share, iou = self._terms(points, truth, said, rows)
        g = len(truth)
        total = sum_over_box(share * torch.exp(3 * p), pairs.box, g).clamp(min=EPS)
        positive = share * torch.exp(5 * p - 2) / total.index_select(0, pairs.box)
        best = torch.maximum(best, greatest_of_box(iou, pairs.box, g))
        negative = _negative_weight(iou, pairs.box, best)
        most = greatest_of_box(positive, pairs.box, g)
        kept = torch.nonzero(positive > (self.least * most).clamp(min=EPS).index_select(0, pairs.box)).flatten()
        return slot[kept], pairs.box[kept], positive[kept].clamp(max=1), negative[kept]


def _negative_weight(
    iou: Float[Tensor, " M"], box: Int[Tensor, " M"], best: Float[Tensor, " G"]
) -> Float[Tensor, " M"]:
    """1 below an IoU of 0.5; above, (1 - IoU^2) / 0.75 stretched so that the box's best point has 0.

    Args:
        iou: of each pair.
        box: of each pair.
        best: highest IoU of each box, which may be that of a pair not given.
    """
    fall = (1 - iou.square()) / 0.75
    least = ((1 - best.square()) / 0.75).index_select(0, box)
    most = greatest_of_box(fall, box, len(best)).clamp(max=1).index_select(0, box)
    weight = ((fall - least + EPS) / (most - least + EPS)).clamp(0, 1)
    return torch.where(iou < 0.5, 1.0, weight)
