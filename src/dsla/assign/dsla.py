"""DSLA: dynamic smooth label assignment (Su et al., Pattern Recognition 131, 2022; arXiv 2208.00817).

For a point p of a level with stride s and a box g let (l, t, r, b) be the distances from p to g's sides.

    centerness           c = sqrt( min(l, r) / max(l, r) * min(t, b) / max(t, b) ), 0 outside g
    core zone            c = 1 where |x - cx| <= s/2 and |y - cy| <= s/2 and p is inside g
    measure              m = max(l, t, r, b)
    interval relaxation  rho = 1 on the level's range [a, z]; rises 0 -> 1 on [a(1-f), a); falls 1 -> 0 on (z, z(1+f)]
    static label         S = c * rho; a point takes the box with the highest S
    dynamic label        y = S * IoU(predicted box at p, g), the IoU without gradient

S says how well p is placed to find g, smoothly in space and across levels; the IoU says how well the network does
there now. The classifier learns y, the box loss is weighted by S, and no quality branch is left to learn.
"""

from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal

import torch
from jaxtyping import Float
from torch import Tensor

from dsla.assign.centerness import centerness
from dsla.assign.contract import Assignment, Predictions
from dsla.assign.coverage import kept_or, with_coverage
from dsla.assign.levels import level_ranges
from dsla.assign.predicted import greatest_of_box
from dsla.assign.selection import (
    assignment,
    box_areas,
    one_box_a_point,
    other_classes,
    pairs_of,
    slots_of,
)
from dsla.geometry import GroundTruth, Points, Ranges, ltrb_from_boxes, ltrb_iou


def core_zone(ltrb: Float[Tensor, "M 4"], stride: Float[Tensor, " M"]) -> Tensor:
    """True where the point lies within half a stride of the box's centre in x and in y."""
    # r - l is twice the way from the point to the centre.
    return ((ltrb[:, 2:] - ltrb[:, :2]).abs() <= stride[:, None]).all(dim=1)


def interval_relaxation(
    m: Float[Tensor, " M"],
    inner: Float[Tensor, "M 2"],
    outer: Float[Tensor, "M 2"],
) -> Float[Tensor, " M"]:
    """1 on the level's range `inner`, falling linearly to 0 at the ends of `outer`."""
    rising = (m - outer[:, 0]) / (inner[:, 0] - outer[:, 0])
    falling = (outer[:, 1] - m) / (outer[:, 1] - inner[:, 1])
    held = (m >= inner[:, 0]) & (m <= inner[:, 1])
    return torch.where(held, 1.0, torch.minimum(rising, falling).clamp(0, 1))


@dataclass(frozen=True)
class DSLA:
    """Smooth labels by core zone and interval relaxation, coupled with the IoU that the network reaches.

    Attributes:
        relaxation: let a level's label fade out beyond its range instead of ending there.
        relaxation_factor: share of the range's ends over which it fades.
        core_zone: label 1 within half a stride of the centre.
        coupling: y = S * IoU; without it y = S.
        iou_only: y = IoU on the same points.
        mix: y = S^(1-k) * IoU^k in place of S * IoU, k going from the first to the second number over the training.
        warmup: share of the training over which the power of the IoU rises from 0 to 1.
        normalise: scale y for each box so that its best point has the box's best IoU.
        center_radius: with a number, only points within so many strides of the centre (centre sampling).
        reach: upper end of a level's range in strides; 8 is (0, 64), (64, 128), ... for strides 8, 16, ...
        ranges: (low, high) in pixels, one a level, in place of `reach`.
        cover: give a box without any point the nearest one that fits.
        classes_per_point: "best": a point learns its best box alone; "all": also other boxes' classes there.
        released: quirks of the released code: relaxed ranges cut to whole pixels, ignore regions not used.
    """

    name: Literal["dsla"] = "dsla"
    relaxation: bool = True
    relaxation_factor: float = 0.2
    core_zone: bool = True
    coupling: bool = True
    iou_only: bool = False
    mix: tuple[float, float] | None = None
    warmup: float = 0.0
    normalise: bool = False
    center_radius: float | None = None
    reach: float = 8.0
    ranges: tuple[tuple[float, float], ...] | None = None
    cover: bool = False
    classes_per_point: Literal["best", "all"] = "best"
    released: bool = False

    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid"}

    @classmethod
    def official(cls, **switches: Any) -> "DSLA":
        """The released code's rule, to be used with `Points` of offset 0."""
        return replace(cls(released=True), **switches)

    @property
    def needs_predictions(self) -> bool:
        """True while the label depends on the IoU that the network reaches."""
        return self.coupling or self.iou_only

    @property
    def positives_inside(self) -> bool:
        """True unless coverage may give a box a point beside it."""
        return not self.cover

    def outer_ranges(self, points: Points) -> Ranges:
        """(low, high) of m beyond which the label is 0, a level."""
        ranges = level_ranges(points, self.reach, self.ranges)
        if not self.relaxation:
            return ranges
        f = self.relaxation_factor
        relaxed = tuple((low * (1 - f), high * (1 + f)) for low, high in ranges)
        return tuple((float(int(a)), float(int(z))) for a, z in relaxed) if self.released else relaxed

    @torch.no_grad()
    def __call__(self, points: Points, truth: GroundTruth, pred: Predictions | None = None) -> Assignment:
        """Assign points to boxes; see `Assigner`."""
        outer = self.outer_ranges(points)
        pairs = pairs_of(points, truth, outer, self.center_radius)
        label = self.static_label(points, pairs.ltrb, pairs.point, outer)
        positive = label > 0
        pairs, label = pairs.keep(positive), label[positive]
        every, area = slots_of(points, truth, pairs), box_areas(truth)
        best = one_box_a_point(every, label, area[pairs.box], pairs.box)
        slot, gt, static = every[best], pairs.box[best], label[best]
        if self.cover:
            given = level_ranges(points, self.reach, self.ranges)
            slot, gt, row = with_coverage(points, truth, slot, gt, given)
            static = kept_or(static, row, 1.0)  # the best point that its box has
        weight = static
        if self.classes_per_point == "all":
            more = other_classes(truth, every, label, pairs.box, slot, gt)
            # A point predicts one box, its best; the rows of further classes have no box loss.
            weight = torch.cat([weight, label.new_zeros(len(more))])
            slot, order = torch.cat([slot, every[more]]).sort(stable=True)
            gt, static = torch.cat([gt, pairs.box[more]])[order], torch.cat([static, label[more]])[order]
            weight = weight[order]
        score = self.dynamic_label(points, truth, pred, slot, gt, static)
        regions = replace(truth, ignore=torch.zeros_like(truth.ignore)) if self.released else truth
        return assignment(points, regions, slot, gt, score, weight)

    def static_label(
        self, points: Points, ltrb: Float[Tensor, "M 4"], point: Tensor, outer: Ranges
    ) -> Float[Tensor, " M"]:
        """S = c * rho of (box, point) pairs."""
        level = points.level[point]
        inner = ltrb.new_tensor(level_ranges(points, self.reach, self.ranges))[level]
        rho = interval_relaxation(ltrb.amax(dim=1), inner, ltrb.new_tensor(outer)[level])
        c = centerness(ltrb)
        if self.core_zone:
            c = torch.where(core_zone(ltrb, points.stride[point]), 1.0, c)
        return c * rho

    def dynamic_label(
        self,
        points: Points,
        truth: GroundTruth,
        pred: Predictions | None,
        slot: Tensor,
        gt: Tensor,
        static: Float[Tensor, " N"],
    ) -> Float[Tensor, " N"]:
        """y = S * IoU of the box predicted at each positive point."""
        if not self.needs_predictions:
            return static
        if pred is None:
            raise ValueError("DSLA with IoU coupling needs predictions; for static labels set coupling=False")
        target = ltrb_from_boxes(points.xy[slot % len(points)], truth.boxes[gt].float())
        iou = ltrb_iou(pred.ltrb.reshape(-1, 4)[slot].float(), target)
        if self.warmup > pred.progress:
            iou = iou.pow(pred.progress / self.warmup)
        y = iou if self.iou_only else self._mixed(static, iou, pred.progress)
        if self.normalise:
            scale = greatest_of_box(iou, gt, len(truth)) / greatest_of_box(y, gt, len(truth)).clamp(min=1e-7)
            y = (y * scale[gt]).clamp(max=1)
        return y

    def _mixed(self, static: Float[Tensor, " N"], iou: Float[Tensor, " N"], progress: float) -> Float[Tensor, " N"]:
        """S * IoU, or the mix S^(1-k) * IoU^k with k moving over the training."""
        if self.mix is None:
            return static * iou
        k = self.mix[0] + (self.mix[1] - self.mix[0]) * progress
        return static.pow(1 - k) * iou.pow(k)
