"""POTO: prediction-aware one-to-one assignment (Wang et al., CVPR 2021; arXiv 2012.03544).

    quality = p^(1 - alpha) * IoU^alpha

for points in the box within `radius` strides of its centre. Every box gets the one point of the matching with the
greatest sum of qualities over the picture. Such a detector learns not to say a thing twice, and is used without
non-maximum suppression.
"""

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch

from dsla.assign.contract import Assignment, Predictions
from dsla.assign.coverage import with_coverage
from dsla.assign.matching import one_to_one
from dsla.assign.predicted import need
from dsla.assign.quality import in_order, pair_quality
from dsla.assign.selection import assignment
from dsla.geometry import GroundTruth, Points


@dataclass(frozen=True)
class POTO:
    """One point a box, for detectors that go without non-maximum suppression.

    Attributes:
        alpha: power of the IoU; the class probability has the rest.
        radius: candidates lie within so many strides of the centre.
        cover: give a box without any point the nearest one that fits.
    """

    name: Literal["poto"] = "poto"
    alpha: float = 0.8
    radius: float = 1.5
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
        slot, box, quality = pair_quality(points, truth, need(pred, "POTO"), self.alpha, self.radius)
        matched = one_to_one(box, slot, quality)
        slot, gt = slot[matched], box[matched]
        order = in_order(slot)
        slot, gt = slot[order], gt[order]
        if self.cover:
            slot, gt, _ = with_coverage(points, truth, slot, gt)
        one = torch.ones_like(slot, dtype=torch.float32)
        return assignment(points, truth, slot, gt, one, one)
