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

from dsla.assign.best_of_box import best_of_box, sum_of_best
from dsla.assign.chunks import boxes_by_pairs
from dsla.assign.contract import Assignment, Predictions
from dsla.assign.coverage import kept_or, with_coverage
from dsla.assign.predicted import need, pair_iou, pair_logit
from dsla.assign.selection import assignment, box_areas, one_box_a_point
from dsla.geometry import GroundTruth, Pairs, Points, pairs_inside

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
        pred = need(pred, "SoftDynamic")
        background = _background(pred)
        found = [self._inside(points, truth, pred, background, some) for some in boxes_by_pairs(points, truth)]
        if not found:
            found = [self._inside(points, truth, pred, background, truth.image.new_zeros(0))]
        slot, box, cost, score = (torch.cat(parts) for parts in zip(*found, strict=True))
        best = one_box_a_point(slot, -cost, box_areas(truth)[box], box)
        slot, gt, score = slot[best], box[best], score[best]
        if self.cover:
            slot, gt, row = with_coverage(points, truth, slot, gt)
            score = kept_or(score, row, pair_iou(points, truth, pred, slot, gt))
        return assignment(points, truth, slot, gt, score, torch.ones_like(score))

    def _inside(
        self, points: Points, truth: GroundTruth, pred: Predictions, background: Tensor, some: Int[Tensor, " g"]
    ) -> _Candidates:
        """Slots, boxes, cost and IoU of each box's cheapest points."""
        pairs = pairs_inside(points, truth.boxes[some].float())
        box = some[pairs.box]
        slot = truth.image[box] * len(points) + pairs.point
        iou = pair_iou(points, truth, pred, slot, box)
        logit = pair_logit(truth, pred, slot, box)
        own = _weighted_bce(logit, iou) - _weighted_bce(logit, torch.zeros_like(iou))
        cost = background[slot] + own - self.iou_cost * (iou + 1e-7).log() + self.centre_term(points, pairs)
        counts = torch.bincount(pairs.box, minlength=len(some))
        k = sum_of_best(iou, counts, self.topk).long().clamp(min=1)
        best = best_of_box(-cost, counts, k)
        return slot[best], box[best], cost[best], iou[best]

    def centre_term(self, points: Points, pairs: Pairs) -> Float[Tensor, " M"]:
        """10^(distance to the centre in strides - centre_radius)."""
        away = (pairs.ltrb[:, 2:] - pairs.ltrb[:, :2]).square().sum(dim=1).sqrt() / 2
        # Beyond 10^30 float32 would overflow; nothing else in the cost comes near.
        return 10 ** (away / points.stride[pairs.point] - self.centre_radius).clamp(max=30)


def _weighted_bce(logit: Float[Tensor, "*M"], target: Float[Tensor, "*M"]) -> Float[Tensor, "*M"]:
    bce = F.binary_cross_entropy_with_logits(logit, target, reduction="none")
    return bce * (target - logit.sigmoid()).square()


def _background(pred: Predictions) -> Float[Tensor, " S"]:
    """The class term of each slot if it were nobody's."""
    logits = pred.logits.flatten(0, 1).float()
    return _weighted_bce(logits, torch.zeros_like(logits)).sum(dim=1)
