"""What the network says at pairs of a box and a point, without gradient.

Letters: B images, P points, C classes, M pairs.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from dsla.assign.contract import Predictions
from dsla.geometry import GroundTruth, Points, ltrb_from_boxes, ltrb_iou


def need(pred: Predictions | None, who: str) -> Predictions:
    """The predictions, or an error that says who cannot do without.

    Raises:
        ValueError: if there are none.
    """
    if pred is None:
        raise ValueError(f"{who} needs predictions")
    return pred


def pair_iou(
    points: Points, truth: GroundTruth, pred: Predictions, slot: Int[Tensor, " M"], box: Int[Tensor, " M"]
) -> Float[Tensor, " M"]:
    """IoU of the box predicted at each pair's point with the pair's box; slot is image * P + point."""
    target = ltrb_from_boxes(points.xy[slot % len(points)], truth.boxes[box].float())
    return ltrb_iou(pred.ltrb.reshape(-1, 4)[slot].float(), target).clamp(0, 1)


def pair_logit(
    truth: GroundTruth, pred: Predictions, slot: Int[Tensor, " M"], box: Int[Tensor, " M"]
) -> Float[Tensor, " M"]:
    """Logit of each pair's class at its point."""
    C = pred.logits.shape[2]
    return pred.logits.reshape(-1)[slot * C + truth.labels[box]].float()


def pair_probability(
    truth: GroundTruth, pred: Predictions, slot: Int[Tensor, " M"], box: Int[Tensor, " M"]
) -> Float[Tensor, " M"]:
    """Probability of each pair's class at its point."""
    return pair_logit(truth, pred, slot, box).sigmoid()


def sum_over_box(value: Float[Tensor, " M"], box: Int[Tensor, " M"], boxes: int) -> Float[Tensor, " G"]:
    """Sum of the values of each box's pairs, which must stand together: a segment sum, the same on every device."""
    counts = torch.bincount(box, minlength=boxes)
    return torch.segment_reduce(value, "sum", lengths=counts, unsafe=True)


def greatest_of_box(value: Float[Tensor, " M"], box: Int[Tensor, " M"], boxes: int) -> Float[Tensor, " G"]:
    """Greatest of the values of each box's pairs; 0 for a box without pairs."""
    return value.new_zeros(boxes).scatter_reduce_(0, box, value, "amax", include_self=False)
