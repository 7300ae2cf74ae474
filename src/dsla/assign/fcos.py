"""FCOS: fully convolutional one-stage detection (Tian et al., ICCV 2019; arXiv 1904.01355), the baseline.

A point is positive for a box that contains it (or whose centre square of radius 1.5 strides, clipped to the box,
does) when m = max(l, t, r, b) lies in the level's range; of several boxes it takes the smallest. The label is 1,
the box loss is weighted by centerness, and a branch that learns centerness may be added to the head.
"""

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch

from dsla.assign.centerness import centerness_weight
from dsla.assign.contract import Assignment, Predictions
from dsla.assign.coverage import with_coverage
from dsla.assign.levels import level_ranges
from dsla.assign.selection import assignment, box_areas, one_box_a_point, pairs_of, slots_of
from dsla.geometry import GroundTruth, Points, ltrb_from_boxes


@dataclass(frozen=True)
class FCOS:
    """Hard labels inside boxes, one pyramid level a box size.

    Attributes:
        center_radius: with a number, only points within so many strides of the centre (centre sampling).
        reach: upper end of a level's range in strides; 8 is (0, 64), (64, 128), ... for strides 8, 16, ...
        ranges: (low, high) in pixels, one a level, in place of `reach`.
        cover: give a box without any point the nearest one that fits.
    """

    name: Literal["fcos"] = "fcos"
    center_radius: float | None = None
    reach: float = 8.0
    ranges: tuple[tuple[float, float], ...] | None = None
    cover: bool = False

    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid"}

    @property
    def needs_predictions(self) -> bool:
        """False: geometry alone decides."""
        return False

    @property
    def positives_inside(self) -> bool:
        """True unless coverage may give a box a point beside it."""
        return not self.cover

    @torch.no_grad()
    def __call__(self, points: Points, truth: GroundTruth, pred: Predictions | None = None) -> Assignment:
        """Assign points to boxes; see `Assigner`."""
        ranges = level_ranges(points, self.reach, self.ranges)
        pairs = pairs_of(points, truth, ranges, self.center_radius)
        slot, area = slots_of(points, truth, pairs), box_areas(truth)
        best = one_box_a_point(slot, -area[pairs.box], area[pairs.box], pairs.box)
        slot, gt = slot[best], pairs.box[best]
        if self.cover:
            slot, gt, _ = with_coverage(points, truth, slot, gt, ranges)
        weight = centerness_weight(ltrb_from_boxes(points.xy[slot % len(points)], truth.boxes[gt].float()))
        return assignment(points, truth, slot, gt, torch.ones_like(weight), weight)
