"""Soft dynamic assignment of RTMDet (Lyu et al., 2022; arXiv 2212.07784).

    cost = sum over classes of BCE(logit, soft label) * |soft label - p|^2 + iou_cost * -log(IoU)
         + 10^(distance to the centre / stride - centre_radius)

with the IoU as the soft label of the box's class and 0 elsewhere, for points inside the box. A box takes its k
cheapest points, k the whole part of the sum of its highest IoUs, at least 1; of several boxes a point takes the
cheapest. Labels are the IoU.

Letters: M pairs.
"""

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from dsla.assign.best_of_box import best_of_box, kth_best, sum_of_best
from dsla.assign.bounds import AreaBound, rows_near
from dsla.assign.chunks import rows_in_portions
from dsla.assign.contract import Assignment, Predictions
from dsla.assign.coverage import kept_or, with_coverage
from dsla.assign.elementwise import sigmoid, ten_to
from dsla.assign.predicted import Said, need, pair_iou
from dsla.assign.selection import assignment, box_areas, one_box_a_point, rows_of
from dsla.geometry import GroundTruth, Pairs, Points, Rows, pairs_of_rows

ROUNDING = 0.05  # more than rounding moves a cost
_Candidates = tuple[Int[Tensor, " M"], Int[Tensor, " M"], Float[Tensor, " M"], Float[Tensor, " M"]]


@dataclass(frozen=True)
class SoftDynamic:
    """The cheapest points inside each box, with a soft centre prior and labels that are the IoU.

    Attributes:
        topk: IoUs whose sum gives the number of positives.
        iou_cost: factor of the IoU term.
        centre_radius: distance from the centre, in strides, at which the centre term is 1.
        cover: give a box without any point the nearest one that fits.
    """

    name: Literal["soft_dynamic"] = "soft_dynamic"
    topk: int = 13
    iou_cost: float = 3.0
    centre_radius: float = 3.0
    cover: bool = False

    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid"}

    @property
    def needs_predictions(self) -> bool:
        """True: the cost is made of them."""
        return True

    @property
    def positives_inside(self) -> bool:
        """True unless coverage may give a box a point beside it."""
        return not self.cover

    @torch.no_grad()
    def __call__(self, points: Points, truth: GroundTruth, pred: Predictions | None = None) -> Assignment:
        """Assign points to boxes; see `Assigner`."""
        said = Said.of(points, truth, need(pred, "SoftDynamic"))
        rows = rows_of(points, truth)
        nobody = said.over_classes(said.touched(rows), _nobody)
        bars, bound = self._bars(points, truth, said, nobody, rows), AreaBound(points, truth, said)
        found = [
            self._cheapest(
                points, truth, said, nobody, bound.reaching(part, self._least_iou(points, truth, part, bars))
            )
            for part in rows_in_portions(rows, len(truth), times=2)
        ]
        slot, box, cost, score = (torch.cat(parts) for parts in zip(*found, strict=True))
        best = one_box_a_point(slot, -cost, box_areas(truth)[box], box)
        slot, gt, score = slot[best], box[best], score[best]
        if self.cover:
            slot, gt, row = with_coverage(points, truth, slot, gt)
            score = kept_or(score, row, pair_iou(points, truth, need(pred, "SoftDynamic"), slot, gt))
        return assignment(points, truth, slot, gt, score, torch.ones_like(score))

    def _cost(
        self, points: Points, truth: GroundTruth, said: Said, nobody: Tensor, rows: Rows
    ) -> tuple[Pairs, Int[Tensor, " M"], Float[Tensor, " M"], Float[Tensor, " M"]]:
        """The rows' pairs with slots, cost and IoU; `nobody` is the class term of a slot if it were nobody's."""
        pairs = pairs_of_rows(points, truth.boxes.float(), rows)
        slot = said.slot(pairs)
        iou = said.iou(slot, pairs)
        logit = said.logit(slot, pairs.box)
        own = _weighted_bce(logit, iou) - _weighted_bce(logit, torch.zeros_like(iou))
        cost = nobody.index_select(0, slot).add_(own).sub_((iou + 1e-7).log_().mul_(self.iou_cost))
        return pairs, slot, cost.add_(self.centre_term(points, pairs)), iou

    def _bars(
        self, points: Points, truth: GroundTruth, said: Said, nobody: Tensor, rows: Rows
    ) -> tuple[Float[Tensor, " G"], Float[Tensor, " G"]]:
        """The `topk`-th highest IoU and the `topk`-th lowest cost near each box's centre; 0 and inf if not known.

        A point counts only if it reaches one of them: k is at most `topk`.
        """
        iou = torch.zeros_like(truth.boxes[:, 0], dtype=torch.float32)
        saving = torch.full_like(iou, -torch.inf)
        for part in rows_in_portions(rows_near(points, truth, rows), len(truth)):
            pairs, _, costs, ious = self._cost(points, truth, said, nobody, part)
            counts = torch.bincount(pairs.box, minlength=len(truth))
            iou = torch.maximum(iou, kth_best(ious, counts, self.topk))
            saving = torch.maximum(saving, kth_best(-costs, counts, self.topk))
        return iou, -saving

    def _least_iou(
        self, points: Points, truth: GroundTruth, rows: Rows, bars: tuple[Float[Tensor, " G"], Float[Tensor, " G"]]
    ) -> Float[Tensor, " R"]:
        """The IoU that a point of each row needs to count.

        The class term is not negative and the centre term at least that of the row's distance, so a cost of at most u
        asks for -iou_cost * log(IoU) <= u - centre term.
        """
        iou, cost = (bar.index_select(0, rows.box) for bar in bars)
        if self.iou_cost <= 0:
            return torch.zeros_like(iou)
        middle = (truth.boxes[:, 1] + truth.boxes[:, 3]).float() / 2
        away = (points.xy[:, 1].index_select(0, rows.first) - middle.index_select(0, rows.box)).abs()
        away = away / points.stride.index_select(0, rows.first) - self.centre_radius
        needed = (ten_to(away.clamp(max=30)) - cost - ROUNDING) / self.iou_cost
        return torch.minimum(iou, needed.exp() - 1e-6)

    def _cheapest(self, points: Points, truth: GroundTruth, said: Said, nobody: Tensor, rows: Rows) -> _Candidates:
        """Slots, boxes, cost and IoU of each box's cheapest points."""
        pairs, slot, cost, iou = self._cost(points, truth, said, nobody, rows)
        counts = torch.bincount(pairs.box, minlength=len(truth))
        k = sum_of_best(iou, counts, self.topk).long().clamp(min=1)
        best = torch.nonzero(best_of_box(-cost, counts, k)).flatten()
        return slot[best], pairs.box[best], cost[best], iou[best]

    def centre_term(self, points: Points, pairs: Pairs) -> Float[Tensor, " M"]:
        """10^(distance to the centre in strides - centre_radius)."""
        away = (pairs.ltrb[:, 2:] - pairs.ltrb[:, :2]).square_().sum(dim=1).sqrt_().div_(2)
        away = away.div_(points.stride.index_select(0, pairs.point))
        # Beyond 10^30 float32 would overflow; nothing else in the cost comes near.
        return ten_to(away.sub_(self.centre_radius).clamp_(max=30))


def _weighted_bce(logit: Float[Tensor, " M"], target: Float[Tensor, " M"]) -> Float[Tensor, " M"]:
    bce = F.binary_cross_entropy_with_logits(logit, target, reduction="none")
    return bce.mul_((target - sigmoid(logit)).square_())


def _nobody(logits: Float[Tensor, "N C"]) -> Float[Tensor, " N"]:
    """The class term of points that are nobody's: sum over classes of -log(1 - p) * p^2."""
    x = logits.clamp(min=-80)  # further down exp(-x) overflows, and the term has long been 0
    rest = x.neg().exp_()
    return x.add_(rest.log1p()).mul_(rest.add_(1).reciprocal_().square_()).sum(dim=1)
