"""One-to-few assignment (Li et al., CVPR 2023; arXiv 2303.11567).

Each box has one certain point, that of POTO's matching, with label 1. The runners-up by quality are ambiguous: they
learn t * quality / (quality of the box's best), with t falling linearly over the training. Early on the network has
more to learn from, in the end it says each thing once, and non-maximum suppression may be left out.
"""

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch

from dsla.assign.best_of_box import best_of_box
from dsla.assign.contract import Assignment, Predictions
from dsla.assign.coverage import kept_or, with_coverage
from dsla.assign.matching import one_to_one
from dsla.assign.predicted import greatest_of_box, need
from dsla.assign.quality import pair_quality
from dsla.assign.selection import assignment, box_areas, one_box_a_point
from dsla.geometry import GroundTruth, Points


@dataclass(frozen=True)
class OneToFew:
    """One certain point a box, and a few that count less and less.

    Attributes:
        alpha: power of the IoU; the class probability has the rest.
        radius: candidates lie within so many strides of the centre.
        topk: points of a box, the certain one included.
        start: t at the beginning of the training.
        end: t at its end.
        cover: give a box without any point the nearest one that fits.
    """

    name: Literal["one_to_few"] = "one_to_few"
    alpha: float = 0.8
    radius: float = 1.5
    topk: int = 7
    start: float = 0.6
    end: float = 0.2
    cover: bool = False

    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid"}

    @property
    def needs_predictions(self) -> bool:
        """True: the quality is made of them."""
        return True

    @property
    def positives_inside(self) -> bool:
        """True unless coverage may give a box a point beside it."""
        return not self.cover

    @torch.no_grad()
    def __call__(self, points: Points, truth: GroundTruth, pred: Predictions | None = None) -> Assignment:
        """Assign points to boxes; see `Assigner`."""
        pred = need(pred, "OneToFew")
        slot, box, quality = pair_quality(points, truth, pred, self.alpha, self.radius)
        certain = one_to_one(box, slot, quality)
        t = self.start + (self.end - self.start) * pred.progress
        best = greatest_of_box(quality, box, len(truth))[box]
        degree = (t * quality / best.clamp(min=1e-12)).clamp(0, 1)
        label = torch.where(certain, 1.0, degree)
        # A certain point is its box's own: it counts before all others there, and nobody else takes it.
        counts = torch.bincount(box, minlength=len(truth))
        few = best_of_box(quality + 2 * certain, counts, self.topk) & (label > 0)
        slot, box, label, certain = slot[few], box[few], label[few], certain[few]
        chosen = one_box_a_point(slot, label + certain, box_areas(truth)[box], box)
        slot, gt, score = slot[chosen], box[chosen], label[chosen]
        if self.cover:
            slot, gt, row = with_coverage(points, truth, slot, gt)
            score = kept_or(score, row, 1.0)
        return assignment(points, truth, slot, gt, score, score)
