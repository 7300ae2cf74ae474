"""POTO's quality of pairs, shared by one-to-one and one-to-few assignment: p^(1 - alpha) * IoU^alpha near the centre.

Letters: M pairs.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from dsla.assign.contract import Predictions
from dsla.assign.elementwise import power
from dsla.assign.predicted import Said
from dsla.assign.selection import pairs_of
from dsla.geometry import GroundTruth, Points


def pair_quality(
    points: Points, truth: GroundTruth, pred: Predictions, alpha: float, radius: float
) -> tuple[Int[Tensor, " M"], Int[Tensor, " M"], Float[Tensor, " M"]]:
    """Slots, boxes and quality of all points inside a box and within `radius` strides of its centre, box after box."""
    pairs, said = pairs_of(points, truth, radius=radius), Said.of(points, truth, pred)
    slot = said.slot(pairs)
    iou = said.iou(slot, pairs)
    return slot, pairs.box, power(said.probability(slot, pairs.box), 1 - alpha) * power(iou, alpha)


def in_order(slot: Int[Tensor, " N"]) -> Int[Tensor, " N"]:
    """Indices that put positives in the order of their slots."""
    return torch.argsort(slot, stable=True)
