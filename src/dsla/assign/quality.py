"""POTO's quality of pairs, shared by one-to-one and one-to-few assignment: p^(1 - alpha) * IoU^alpha near the centre.

Letters: M pairs.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from dsla.assign.contract import Predictions
from dsla.assign.predicted import pair_iou, pair_probability
from dsla.assign.selection import pairs_of, slots_of
from dsla.geometry import GroundTruth, Points


def pair_quality(
    points: Points, truth: GroundTruth, pred: Predictions, alpha: float, radius: float
) -> tuple[Int[Tensor, " M"], Int[Tensor, " M"], Float[Tensor, " M"]]:
    """Slots, boxes and quality of all points inside a box and within `radius` strides of its centre, box after box."""
    pairs = pairs_of(points, truth, radius=radius)
    slot = slots_of(points, truth, pairs)
    iou = pair_iou(points, truth, pred, slot, pairs.box)
    probability = pair_probability(truth, pred, slot, pairs.box)
    return slot, pairs.box, probability.pow(1 - alpha) * iou.pow(alpha)


def in_order(slot: Int[Tensor, " N"]) -> Int[Tensor, " N"]:
    """Indices that put positives in the order of their slots."""
    return torch.argsort(slot, stable=True)
