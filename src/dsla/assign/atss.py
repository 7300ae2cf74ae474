"""ATSS: adaptive training sample selection (Zhang et al., CVPR 2020; arXiv 1912.02424).

On every level the k points nearest to a box's centre are candidates. Each stands for a square anchor of side 8
strides; the mean plus the standard deviation of the candidates' IoU with the box is the box's own threshold, and
candidates that reach it and lie inside the box are positive. Of several boxes a point takes the one that its anchor
overlaps most. Nothing but k is set by hand: levels and ranges follow from the boxes.

Letters: G boxes, K candidates of a box over all levels.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, ClassVar, Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor

from dsla.assign.centerness import centerness_weight
from dsla.assign.chunks import portions
from dsla.assign.contract import Assignment, Predictions
from dsla.assign.coverage import with_coverage
from dsla.assign.predicted import need, pair_iou
from dsla.assign.selection import assignment, box_areas, one_box_a_point
from dsla.geometry import GroundTruth, Points, ltrb_from_boxes, ltrb_iou

INSIDE_BY = 0.01  # pixels that a positive must be away from every side, as in the source


@dataclass(frozen=True)
class ATSS:
    """Positives by each box's own IoU statistics, from the points nearest to its centre.

    Attributes:
        topk: candidates of a box on each level.
        anchor_scale: side of a point's anchor, in strides.
        label: "one": hard labels, boxes weighted by centerness; "iou": labels are the IoU that the network reaches,
            boxes weighted by the highest class probability (Li et al., "Generalized Focal Loss").
        cover: give a box without any point the nearest one that fits.
    """

    name: Literal["atss"] = "atss"
    topk: int = 9
    anchor_scale: float = 8.0
    label: Literal["one", "iou"] = "one"
    cover: bool = False

    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid"}

    @property
    def needs_predictions(self) -> bool:
        """Only for labels that are the IoU."""
        return self.label == "iou"

    @property
    def positives_inside(self) -> bool:
        """True unless coverage may give a box a point beside it."""
        return not self.cover

    @torch.no_grad()
    def __call__(self, points: Points, truth: GroundTruth, pred: Predictions | None = None) -> Assignment:
        """Assign points to boxes; see `Assigner`."""
        real = torch.nonzero(~truth.ignore).flatten()
        each = torch.full_like(real, sum(min(self.topk, h) * min(self.topk, w) for h, w in points.sizes))
        found = [self._positives(points, truth, real[some]) for some in portions(each)]
        empty = real.new_zeros(0)
        slot, box, overlap = (
            (torch.cat(parts) for parts in zip(*found, strict=True)) if found else (empty, empty, empty.float())
        )
        best = one_box_a_point(slot, overlap, box_areas(truth)[box], box)
        slot, gt = slot[best], box[best]
        row = torch.arange(len(slot), device=slot.device)
        if self.cover:
            slot, gt, row = with_coverage(points, truth, slot, gt)
        if self.label == "iou":
            pred = need(pred, "ATSS with IoU labels")
            score = pair_iou(points, truth, pred, slot, gt)
            weight = pred.logits.flatten(0, 1)[slot].float().amax(dim=1).sigmoid()
            weight = torch.where(row >= 0, weight, 1.0)  # coverage's point learns its box whatever it takes it for
        else:
            weight = centerness_weight(ltrb_from_boxes(points.xy[slot % len(points)], truth.boxes[gt].float()))
            score = torch.ones_like(weight)
        return assignment(points, truth, slot, gt, score, weight)

    def _positives(
        self, points: Points, truth: GroundTruth, some: Int[Tensor, " g"]
    ) -> tuple[Int[Tensor, " M"], Int[Tensor, " M"], Float[Tensor, " M"]]:
        """Slots, boxes and anchor IoU of the candidates that reach their box's threshold, inside it."""
        boxes = truth.boxes[some].float()
        point = nearest_points(points, boxes, self.topk)  # (g, K)
        box = torch.arange(len(some), device=point.device)[:, None].expand_as(point)
        flat = point.flatten()
        ltrb = ltrb_from_boxes(points.xy[flat], boxes[box.flatten()])
        anchor = (points.stride[flat] * (self.anchor_scale / 2))[:, None].expand(-1, 4)
        overlap = ltrb_iou(anchor, ltrb, eps=1e-6).view_as(point)
        threshold = overlap.mean(dim=1)
        if point.shape[1] > 1:
            threshold = threshold + overlap.std(dim=1)
        inside = (ltrb.amin(dim=1) > INSIDE_BY).view_as(point)
        positive = (overlap >= threshold[:, None]) & inside
        owner = some[box[positive]]
        return truth.image[owner] * len(points) + point[positive], owner, overlap[positive]


def nearest_points(points: Points, boxes: Float[Tensor, "G 4"], k: int) -> Int[Tensor, "G K"]:
    """The k points of each level nearest to each box's centre, all of a level that has no more.

    Of the lattice's columns take the k nearest to the centre in x, of its rows the k nearest in y. The point where the
    i-th nearest column meets the j-th nearest row has i * j - 1 others that are as near in both, so only points with
    i * j <= k can be among the k nearest. Of equally near points the first in the lattice is taken.
    """
    centre = (boxes[:, :2] + boxes[:, 2:]) / 2
    found: list[Tensor] = []
    for (h, w), stride, start in zip(points.sizes, points.strides, points.starts, strict=True):
        column, dx = _nearest_lines(centre[:, 0], w, stride, points.offset, k)  # (G, columns)
        row, dy = _nearest_lines(centre[:, 1], h, stride, points.offset, k)  # (G, rows)
        i, j = _meetings(column.shape[1], row.shape[1], k, boxes.device)
        gap = dy.square().index_select(1, j) + dx.square().index_select(1, i)
        cell = row.index_select(1, j) * w + column.index_select(1, i)
        cell, order = cell.sort(dim=1)  # the order of the lattice, for points that are equally near
        nearest = gap.gather(1, order).sort(dim=1, stable=True).indices[:, : min(k, h * w)]
        found.append(start + cell.gather(1, nearest))
    return torch.cat(found, dim=1)


def _nearest_lines(
    centre: Float[Tensor, " G"], size: int, stride: int, offset: float, k: int
) -> tuple[Int[Tensor, "G n"], Float[Tensor, "G n"]]:
    """The k columns (or rows) nearest to each centre, nearest first, of equally near ones the first; and the gaps."""
    few = min(k + 1, size)  # k on both sides of the nearest, and one more for an even k
    middle = torch.round(centre / stride - offset).clamp(-1e6, 1e6).long()
    first = (middle - few // 2).clamp(0, size - few)
    line = first[:, None] + torch.arange(few, device=centre.device)
    gap = (line + offset) * stride - centre[:, None]
    order = gap.abs().sort(dim=1, stable=True).indices[:, :k]
    return line.gather(1, order), gap.gather(1, order)


@lru_cache(maxsize=64)
def _meetings(columns: int, rows: int, k: int, device: torch.device) -> tuple[Int[Tensor, " n"], Int[Tensor, " n"]]:
    """Places of columns and rows in their orders whose meeting can be among the k nearest points."""
    pairs = [(i, j) for j in range(rows) for i in range(columns) if (i + 1) * (j + 1) <= k]
    i, j = torch.tensor(pairs, device=device).T
    return i, j
