"""What the network says at pairs of a box and a point, without gradient.

Letters: B images, P points, G boxes, C classes, S = B * P slots (image * P + point), R rows, M pairs.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from dsla.assign.contract import Predictions
from dsla.assign.elementwise import sigmoid
from dsla.geometry import (
    GroundTruth,
    Pairs,
    Points,
    Rows,
    ltrb_from_boxes,
    ltrb_iou,
    side_by_side,
    side_rows,
)

PORTION = 1 << 17  # logits at a time


def need(pred: Predictions | None, who: str) -> Predictions:
    """The predictions, or an error that says who cannot do without.

    Raises:
        ValueError: if there are none.
    """
    if pred is None:
        raise ValueError(f"{who} needs predictions")
    return pred


@dataclass(frozen=True, eq=False)
class Said:
    """Predictions laid out to be looked up for many pairs.

    Attributes:
        sides: (S, 4) distances from each slot's point to the predicted sides, each side contiguous.
        logits: (S * C,) class logits, in the predictions' precision.
        classes: C.
        start: (G,) slot of the first point of each box's image.
        labels: (G,) class of each box.
    """

    sides: Float[Tensor, "S 4"]
    logits: Float[Tensor, " SC"]
    classes: int
    start: Int[Tensor, " G"]
    labels: Int[Tensor, " G"]

    @staticmethod
    def of(points: Points, truth: GroundTruth, pred: Predictions) -> "Said":
        """Lay out the predictions for the boxes of a batch."""
        sides, logits = side_by_side(pred.ltrb.reshape(-1, 4)), pred.logits.reshape(-1)
        return Said(sides, logits, pred.logits.shape[2], truth.image * len(points), truth.labels)

    def slot(self, pairs: Pairs) -> Int[Tensor, " M"]:
        """Slot of each pair's point."""
        return self.start.index_select(0, pairs.box).add_(pairs.point)

    def ltrb(self, slot: Int[Tensor, " M"]) -> Float[Tensor, "M 4"]:
        """Predicted sides at slots."""
        return side_rows(self.sides, slot)

    def iou(self, slot: Int[Tensor, " M"], pairs: Pairs) -> Float[Tensor, " M"]:
        """IoU of the box predicted at each pair's point with the pair's box."""
        return ltrb_iou(self.ltrb(slot), pairs.ltrb).clamp(0, 1)

    def logit(self, slot: Int[Tensor, " M"], box: Int[Tensor, " M"]) -> Float[Tensor, " M"]:
        """Logit of each pair's class at its point."""
        return self.logits.index_select(0, (slot * self.classes).add_(self.labels.index_select(0, box))).float()

    def probability(self, slot: Int[Tensor, " M"], box: Int[Tensor, " M"]) -> Float[Tensor, " M"]:
        """Probability of each pair's class at its point."""
        return sigmoid(self.logit(slot, box))

    def touched(self, rows: Rows) -> Int[Tensor, " N"]:
        """Slots that lie in any of the rows, ascending."""
        first = self.start.index_select(0, rows.box) + rows.first
        size = len(self.sides) + 1
        edges = torch.bincount(first, minlength=size) - torch.bincount(first + rows.count, minlength=size)
        return torch.nonzero(edges.cumsum(0)[:-1] > 0).flatten()

    def over_classes(
        self, slots: Int[Tensor, " N"], term: Callable[[Float[Tensor, "n C"]], Float[Tensor, " n"]]
    ) -> Float[Tensor, " S"]:
        """A sum over the classes of some slots, by slot; 0 at the others. In portions, for the processor's cache."""
        total = self.sides.new_zeros(len(self.sides))
        logits = self.logits.view(-1, self.classes)
        for some in slots.split(max(PORTION // self.classes, 1)):
            total[some] = term(logits.index_select(0, some).float())
        return total


def pair_iou(
    points: Points, truth: GroundTruth, pred: Predictions, slot: Int[Tensor, " M"], box: Int[Tensor, " M"]
) -> Float[Tensor, " M"]:
    """IoU of the box predicted at each pair's point with the pair's box; slot is image * P + point."""
    target = ltrb_from_boxes(points.xy[slot % len(points)], truth.boxes[box].float())
    return ltrb_iou(pred.ltrb.reshape(-1, 4)[slot].float(), target).clamp(0, 1)


def sum_over_box(value: Float[Tensor, " M"], box: Int[Tensor, " M"], boxes: int) -> Float[Tensor, " G"]:
    """Sum of the values of each box's pairs, which must stand together: a segment sum, the same on every device."""
    counts = torch.bincount(box, minlength=boxes)
    return torch.segment_reduce(value, "sum", lengths=counts, unsafe=True)


def greatest_of_box(value: Float[Tensor, " M"], box: Int[Tensor, " M"], boxes: int) -> Float[Tensor, " G"]:
    """Greatest of the values of each box's pairs; 0 for a box without pairs."""
    # From minus infinity on: torch is several times slower where it must not count what stands there.
    greatest = value.new_full((boxes,), -torch.inf).scatter_reduce_(0, box, value, "amax")
    return greatest.masked_fill_(greatest == -torch.inf, 0)
