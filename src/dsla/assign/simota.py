"""SimOTA: simplified optimal transport assignment (Ge et al., "YOLOX", 2021; arXiv 2107.08430).

    cost = class_cost * sum over classes of BCE(sqrt(p), one-hot) + iou_cost * -log(IoU + 1e-7)

for points in the box and in the square that reaches `radius` strides around its centre. A box takes its k cheapest
points, k the whole part of the sum of its highest IoUs, at least 1; of several boxes a point takes the cheapest.

Letters: P points, g boxes of a portion, M pairs.
"""

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from dsla.assign.best_of_box import best_of_box, sum_of_best
from dsla.assign.chunks import boxes_by_pairs, boxes_by_points
from dsla.assign.contract import Assignment, Predictions
from dsla.assign.coverage import kept_or, with_coverage
from dsla.assign.predicted import need, pair_iou, pair_logit
from dsla.assign.selection import assignment, box_areas, one_box_a_point
from dsla.geometry import GroundTruth, Points, ltrb_from_boxes, pairs_inside

OUT_OF_PLACE = 1e8  # the source's cost of a point that is not both in the box and in its square
_Candidates = tuple[Int[Tensor, " M"], Int[Tensor, " M"], Float[Tensor, " M"], Float[Tensor, " M"]]


@dataclass(frozen=True)
class SimOTA:
    """The cheapest points of each box, as many as the network already places well.

    Attributes:
        radius: half the side of the square around a box's centre, in strides.
        topk: IoUs whose sum gives the number of positives.
        class_cost: factor of the class term.
        iou_cost: factor of the IoU term.
        candidates: "inside" looks at points in box and square alone; "all" lets every point that is in any box or
            square of the picture count for k, and be taken where a box has too few of its own, as the source does,
            at the cost of looking at every point.
        label: "iou" learns the IoU that the network reaches, "one" learns 1.
        cover: give a box without any point the nearest one that fits.
    """

    name: Literal["simota"] = "simota"
    radius: float = 2.5
    topk: int = 10
    class_cost: float = 1.0
    iou_cost: float = 3.0
    candidates: Literal["inside", "all"] = "inside"
    label: Literal["iou", "one"] = "iou"
    cover: bool = False

    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid"}

    @property
    def needs_predictions(self) -> bool:
        """True: the cost is made of them."""
        return True

    @property
    def positives_inside(self) -> bool:
        """True unless a box may take any point, or is covered."""
        return self.candidates == "inside" and not self.cover

    @torch.no_grad()
    def __call__(self, points: Points, truth: GroundTruth, pred: Predictions | None = None) -> Assignment:
        """Assign points to boxes; see `Assigner`."""
        pred = need(pred, "SimOTA")
        background = _background(pred)
        if self.candidates == "inside":
            some = boxes_by_pairs(points, truth, self.radius)
            found = [self._inside(points, truth, pred, background, boxes) for boxes in some]
        else:
            valid = self._valid(points, truth)
            some = boxes_by_points(points, truth)
            found = [self._all(points, truth, pred, background, valid, boxes) for boxes in some]
        if not found:
            found = [self._inside(points, truth, pred, background, truth.image.new_zeros(0))]
        slot, box, cost, iou = (torch.cat(parts) for parts in zip(*found, strict=True))
        best = one_box_a_point(slot, -cost, box_areas(truth)[box], box)
        slot, gt, iou = slot[best], box[best], iou[best]
        score = iou if self.label == "iou" else torch.ones_like(iou)
        if self.cover:
            slot, gt, row = with_coverage(points, truth, slot, gt)
            added = pair_iou(points, truth, pred, slot, gt) if self.label == "iou" else 1.0
            score = kept_or(score, row, added)
        return assignment(points, truth, slot, gt, score, torch.ones_like(score))

    def cost(
        self, truth: GroundTruth, pred: Predictions, background: Tensor, slot: Tensor, box: Tensor, iou: Tensor
    ) -> Float[Tensor, " M"]:
        """Cost of pairs; `background` is the class term of a point if it were nobody's."""
        root = pair_logit(truth, pred, slot, box).sigmoid().sqrt()
        own = (1 - root).log().clamp(min=-100) - root.log().clamp(min=-100)  # torch's BCE has the same limit
        return self.class_cost * (background[slot] + own) - self.iou_cost * (iou + 1e-7).log()

    def _inside(
        self, points: Points, truth: GroundTruth, pred: Predictions, background: Tensor, some: Int[Tensor, " g"]
    ) -> _Candidates:
        """Slots, boxes, cost and IoU of each box's cheapest points in the box and its square."""
        pairs = pairs_inside(points, truth.boxes[some].float(), radius=self.radius)
        box = some[pairs.box]
        slot = truth.image[box] * len(points) + pairs.point
        iou = pair_iou(points, truth, pred, slot, box)
        cost = self.cost(truth, pred, background, slot, box, iou)
        counts = torch.bincount(pairs.box, minlength=len(some))
        k = sum_of_best(iou, counts, self.topk).long().clamp(min=1)
        best = best_of_box(-cost, counts, k)
        return slot[best], box[best], cost[best], iou[best]

    def _all(
        self,
        points: Points,
        truth: GroundTruth,
        pred: Predictions,
        background: Tensor,
        valid: Bool[Tensor, " S"],
        some: Int[Tensor, " g"],
    ) -> _Candidates:
        """The same with every valid point of the picture as a candidate."""
        P = len(points)
        slot = (truth.image[some, None] * P + torch.arange(P, device=some.device)).flatten()
        here = torch.nonzero(valid[slot]).flatten()
        row = torch.div(here, P, rounding_mode="floor")
        slot, box = slot[here], some[row]
        iou = pair_iou(points, truth, pred, slot, box)
        ltrb = ltrb_from_boxes(points.xy[slot % P], truth.boxes[box].float())
        placed = (ltrb.amin(dim=1) > 0) & self._in_square(points, slot % P, ltrb)
        cost = self.cost(truth, pred, background, slot, box, iou) + torch.where(placed, 0.0, OUT_OF_PLACE)
        counts = torch.bincount(row, minlength=len(some))
        k = sum_of_best(iou, counts, self.topk).long().clamp(min=1)
        best = best_of_box(-cost, counts, k)
        return slot[best], box[best], cost[best], iou[best]

    def _valid(self, points: Points, truth: GroundTruth) -> Bool[Tensor, " S"]:
        """Points, by slot, that lie in a box or in a box's square."""
        valid = torch.zeros(truth.num_images * len(points), dtype=torch.bool, device=truth.boxes.device)
        for some in boxes_by_points(points, truth):
            P = len(points)
            point = torch.arange(P, device=some.device).repeat(len(some))
            box = some.repeat_interleave(P)
            ltrb = ltrb_from_boxes(points.xy[point], truth.boxes[box].float())
            near = (ltrb.amin(dim=1) > 0) | self._in_square(points, point, ltrb)
            valid[(truth.image[box] * P + point)[near]] = True
        return valid

    def _in_square(self, points: Points, point: Tensor, ltrb: Float[Tensor, "M 4"]) -> Bool[Tensor, " M"]:
        away = (ltrb[:, 2:] - ltrb[:, :2]).abs().amax(dim=1) / 2  # from the box's centre
        return away < self.radius * points.stride[point]


def _background(pred: Predictions) -> Float[Tensor, " S"]:
    """Sum over classes of -log(1 - sqrt(p)), by slot."""
    root = pred.logits.flatten(0, 1).float().sigmoid().sqrt()
    return -(1 - root).log().clamp(min=-100).sum(dim=1)
