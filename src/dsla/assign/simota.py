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
from dsla.assign.chunks import boxes_by_points, rows_in_portions
from dsla.assign.contract import Assignment, Predictions
from dsla.assign.coverage import kept_or, with_coverage
from dsla.assign.elementwise import sigmoid
from dsla.assign.predicted import Said, need, pair_iou
from dsla.assign.selection import assignment, box_areas, one_box_a_point, rows_of
from dsla.geometry import GroundTruth, Pairs, Points, Rows, pairs_of_rows, rows_everywhere

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
        said = Said.of(points, truth, need(pred, "SimOTA"))
        if self.candidates == "inside":
            rows = rows_of(points, truth, radius=self.radius)
            nobody = said.over_classes(said.touched(rows), _nobody)
            found = [self._inside(points, truth, said, nobody, part) for part in rows_in_portions(rows, len(truth))]
        else:
            valid = self._valid(points, truth, said)
            nobody = said.over_classes(torch.nonzero(valid).flatten(), _nobody)
            some = boxes_by_points(points, truth)
            found = [self._all(points, truth, said, nobody, valid, boxes) for boxes in some]
        slot, box, cost, iou = (torch.cat(parts) for parts in zip(*found, strict=True))
        best = one_box_a_point(slot, -cost, box_areas(truth)[box], box)
        slot, gt, iou = slot[best], box[best], iou[best]
        score = iou if self.label == "iou" else torch.ones_like(iou)
        if self.cover:
            slot, gt, row = with_coverage(points, truth, slot, gt)
            added = pair_iou(points, truth, need(pred, "SimOTA"), slot, gt) if self.label == "iou" else 1.0
            score = kept_or(score, row, added)
        return assignment(points, truth, slot, gt, score, torch.ones_like(score))

    def cost(self, said: Said, nobody: Tensor, slot: Tensor, box: Tensor, iou: Tensor) -> Float[Tensor, " M"]:
        """Cost of pairs; `nobody` is the class term of each slot if it were nobody's."""
        root = said.probability(slot, box).sqrt_()
        own = (1 - root).log().clamp(min=-100) - root.log().clamp(min=-100)  # torch's BCE has the same limit
        return self.class_cost * (nobody.index_select(0, slot) + own) - self.iou_cost * (iou + 1e-7).log()

    def _inside(self, points: Points, truth: GroundTruth, said: Said, nobody: Tensor, rows: Rows) -> _Candidates:
        """Slots, boxes, cost and IoU of each box's cheapest points in the box and its square."""
        pairs = pairs_of_rows(points, truth.boxes.float(), rows)
        slot = said.slot(pairs)
        iou = said.iou(slot, pairs)
        cost = self.cost(said, nobody, slot, pairs.box, iou)
        return self._cheapest(slot, pairs.box, cost, iou, len(truth))

    def _all(
        self, points: Points, truth: GroundTruth, said: Said, nobody: Tensor, valid: Tensor, some: Int[Tensor, " g"]
    ) -> _Candidates:
        """The same with every valid point of the picture as a candidate."""
        pairs = pairs_of_rows(points, truth.boxes.float(), rows_everywhere(points, some))
        pairs = pairs.keep(valid.index_select(0, said.slot(pairs)))
        slot = said.slot(pairs)
        iou = said.iou(slot, pairs)
        placed = (pairs.ltrb.amin(dim=1) > 0) & self._in_square(points, pairs)
        cost = self.cost(said, nobody, slot, pairs.box, iou) + torch.where(placed, 0.0, OUT_OF_PLACE)
        return self._cheapest(slot, pairs.box, cost, iou, len(truth))

    def _cheapest(self, slot: Tensor, box: Tensor, cost: Tensor, iou: Tensor, boxes: int) -> _Candidates:
        counts = torch.bincount(box, minlength=boxes)
        k = sum_of_best(iou, counts, self.topk).long().clamp(min=1)
        best = torch.nonzero(best_of_box(-cost, counts, k)).flatten()
        return slot[best], box[best], cost[best], iou[best]

    def _valid(self, points: Points, truth: GroundTruth, said: Said) -> Bool[Tensor, " S"]:
        """Points, by slot, that lie in a box or in a box's square."""
        valid = torch.zeros(len(said.sides), dtype=torch.bool, device=truth.boxes.device)
        for some in boxes_by_points(points, truth):
            pairs = pairs_of_rows(points, truth.boxes.float(), rows_everywhere(points, some))
            near = (pairs.ltrb.amin(dim=1) > 0) | self._in_square(points, pairs)
            valid[said.slot(pairs)[near]] = True
        return valid

    def _in_square(self, points: Points, pairs: Pairs) -> Bool[Tensor, " M"]:
        away = (pairs.ltrb[:, 2:] - pairs.ltrb[:, :2]).abs().amax(dim=1) / 2  # from the box's centre
        return away < self.radius * points.stride.index_select(0, pairs.point)


def _nobody(logits: Float[Tensor, "N C"]) -> Float[Tensor, " N"]:
    """Sum over classes of -log(1 - sqrt(p))."""
    root = sigmoid(logits).sqrt_()
    return root.neg_().add_(1).log_().clamp_(min=-100).sum(dim=1).neg_()
