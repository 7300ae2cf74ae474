"""Task-aligned assignment (Feng et al., "TOOD", ICCV 2021; arXiv 2108.07755).

How well a point serves a box is t = p^alpha * IoU^beta, p the probability of the box's class and IoU the overlap of
the predicted box. The `topk` points with the highest t are positive where t > 0 and the point lies inside the box;
of several boxes a point takes the one it overlaps most. The label is t, scaled for each box so that its best point
has the box's best IoU: y = t / max t * max IoU. The box loss is weighted by y.

Letters: P points, g boxes of a portion, M pairs.
"""

from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor

from dsla.assign.best_of_box import best_of_box, kth_best
from dsla.assign.bounds import AreaBound, rows_near
from dsla.assign.chunks import boxes_by_points, rows_in_portions
from dsla.assign.contract import Assignment, Predictions
from dsla.assign.coverage import kept_or, with_coverage
from dsla.assign.elementwise import power
from dsla.assign.predicted import Said, greatest_of_box, need, pair_iou
from dsla.assign.selection import assignment, box_areas, one_box_a_point, rows_of
from dsla.geometry import (
    GroundTruth,
    Pairs,
    Points,
    Rows,
    ltrb_from_boxes,
    pairs_of_rows,
    rows_everywhere,
    side_by_side,
    side_rows,
)

INSIDE_BY = 0.01  # pixels that a positive must be away from every side, as in the source
_Candidates = tuple[Int[Tensor, " M"], Int[Tensor, " M"], Float[Tensor, " M"], Float[Tensor, " M"]]


@dataclass(frozen=True)
class TAL:
    """Positives where class score and overlap agree, labelled by their alignment.

    Attributes:
        alpha: power of the class probability.
        beta: power of the IoU.
        topk: positives of a box, at most.
        candidates: "inside" looks at points inside the box alone, as later detectors do; "all" takes the best of the
            whole pyramid and then drops those outside, as the source does, at the cost of looking at every point.
        small_targets: for the question of being inside, boxes with a side below the first stride are widened there to
            the second stride (small-target-aware TAL).
        cover: give a box without any point the nearest one that fits.
    """

    name: Literal["tal"] = "tal"
    alpha: float = 1.0
    beta: float = 6.0
    topk: int = 13
    candidates: Literal["inside", "all"] = "inside"
    small_targets: bool = False
    cover: bool = False

    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid"}

    @property
    def needs_predictions(self) -> bool:
        """True: the alignment is made of them."""
        return True

    @property
    def positives_inside(self) -> bool:
        """True unless small boxes are widened or covered."""
        return not (self.cover or self.small_targets)

    @torch.no_grad()
    def __call__(self, points: Points, truth: GroundTruth, pred: Predictions | None = None) -> Assignment:
        """Assign points to boxes; see `Assigner`."""
        said = Said.of(points, truth, need(pred, "TAL"))
        wide = self._widened(points, truth)
        if self.candidates == "inside":
            rows = rows_of(points, replace(truth, boxes=wide), by=INSIDE_BY)
            least, bound = self._least_iou(points, truth, wide, said, rows), AreaBound(points, truth, said)
            found = [
                self._inside(points, truth, wide, said, bound.reaching(part, least.index_select(0, part.box)))
                for part in rows_in_portions(rows, len(truth), times=2)
            ]
        else:
            found = [self._all(points, truth, wide, said, some) for some in boxes_by_points(points, truth)]
        slot, box, t, iou = (torch.cat(parts) for parts in zip(*found, strict=True))
        best = one_box_a_point(slot, iou, box_areas(truth)[box], box)
        slot, gt, t, iou = slot[best], box[best], t[best], iou[best]
        scale = greatest_of_box(iou, gt, len(truth)) / (greatest_of_box(t, gt, len(truth)) + 1e-7)
        score = weight = (t * scale[gt]).clamp(max=1)
        if self.cover:
            slot, gt, row = with_coverage(points, truth, slot, gt)
            score = kept_or(score, row, pair_iou(points, truth, need(pred, "TAL"), slot, gt))
            weight = kept_or(weight, row, 1.0)  # its only point, so it learns whatever the overlap is
        return assignment(points, truth, slot, gt, score, weight)

    def alignment(self, probability: Tensor, iou: Tensor) -> Tensor:
        """t = p^alpha * IoU^beta."""
        return power(probability, self.alpha) * power(iou, self.beta)

    def _least_iou(
        self, points: Points, truth: GroundTruth, wide: Float[Tensor, "G 4"], said: Said, rows: Rows
    ) -> Float[Tensor, " G"]:
        """The IoU that a point needs to be among the `topk` best of each box; 0 where it is not known.

        The `topk`-th best t of the points near the centre is no higher than that of all; since p is at most 1, a point
        as good has an IoU of at least that t to the power of 1 / beta.
        """
        least = torch.zeros_like(wide[:, 0])
        if self.alpha < 0 or self.beta <= 0:
            return least
        for part in rows_in_portions(rows_near(points, replace(truth, boxes=wide), rows, INSIDE_BY), len(truth)):
            pairs, _, t, _ = self._aligned(points, truth, wide, said, part)
            least = torch.maximum(least, kth_best(t, torch.bincount(pairs.box, minlength=len(truth)), self.topk))
        return least.pow(1 / self.beta)

    def _aligned(
        self, points: Points, truth: GroundTruth, wide: Float[Tensor, "G 4"], said: Said, rows: Rows
    ) -> tuple[Pairs, Int[Tensor, " M"], Float[Tensor, " M"], Float[Tensor, " M"]]:
        """The rows' pairs inside their boxes, with slots, t and IoU."""
        pairs = pairs_of_rows(points, wide, rows)
        if self.small_targets:
            boxes = side_rows(truth.boxes.float(), pairs.box)
            xy = points.xy.index_select(0, pairs.point)
            pairs = replace(pairs, ltrb=side_by_side(ltrb_from_boxes(xy, boxes)))
        slot = said.slot(pairs)
        iou = said.iou(slot, pairs)
        return pairs, slot, self.alignment(said.probability(slot, pairs.box), iou), iou

    def _inside(
        self, points: Points, truth: GroundTruth, wide: Float[Tensor, "G 4"], said: Said, rows: Rows
    ) -> _Candidates:
        """Slots, boxes, t and IoU of the best points inside each box."""
        pairs, slot, t, iou = self._aligned(points, truth, wide, said, rows)
        best = best_of_box(t, torch.bincount(pairs.box, minlength=len(truth)), self.topk) & (t > 0)
        best = torch.nonzero(best).flatten()
        return slot[best], pairs.box[best], t[best], iou[best]

    def _all(
        self, points: Points, truth: GroundTruth, wide: Float[Tensor, "G 4"], said: Said, some: Int[Tensor, " g"]
    ) -> _Candidates:
        """The same of the best points of the whole pyramid, less those outside the box."""
        pairs = pairs_of_rows(points, truth.boxes.float(), rows_everywhere(points, some))
        slot = said.slot(pairs)
        iou = said.iou(slot, pairs)
        t = self.alignment(said.probability(slot, pairs.box), iou)
        best = torch.nonzero(best_of_box(t, torch.full_like(some, len(points)), self.topk) & (t > 0)).flatten()
        slot, box, t, iou = slot[best], pairs.box[best], t[best], iou[best]
        inside = ltrb_from_boxes(points.xy[pairs.point[best]], wide[box]).amin(1) > INSIDE_BY
        return slot[inside], box[inside], t[inside], iou[inside]

    def _widened(self, points: Points, truth: GroundTruth) -> Float[Tensor, "G 4"]:
        """Boxes for the question of being inside."""
        boxes = truth.boxes.float()
        if not self.small_targets:
            return boxes
        first, second = points.strides[0], points.strides[min(1, len(points.strides) - 1)]
        centre, side = (boxes[:, :2] + boxes[:, 2:]) / 2, boxes[:, 2:] - boxes[:, :2]
        half = torch.where(side < first, float(second), side) / 2
        widened = torch.cat([centre - half, centre + half], dim=1)
        return torch.where((side < first).any(dim=1, keepdim=True), widened, boxes)
