"""Crowded pictures for the benchmark of assignment: boxes of all sizes, and what a half-trained network says there.

Letters: B pictures, P points, G boxes over the batch, C classes.
"""

import math

import torch
from torch import Tensor

from dsla.assign import FCOS, Predictions
from dsla.geometry import GroundTruth, Points, ltrb_from_boxes

STRIDES = (8, 16, 32, 64, 128)
PRIOR_LOGIT = -4.6  # a probability of 0.01, where a classifier starts


def pyramid(height: int, width: int) -> Points:
    """Points of a five-level pyramid over a picture of this size, in pixels."""
    return Points.lattice([(math.ceil(height / s), math.ceil(width / s)) for s in STRIDES], STRIDES)


def crowd(pictures: int, boxes: int, height: int, width: int, classes: int, seed: int) -> GroundTruth:
    """As many boxes in each picture: geometric mean of the sides log-uniform over 8 to 512 px (no more than 0.64 of
    the picture's shorter side), aspect log-uniform over 1/2 to 2, placed uniformly within the picture."""
    rng = torch.Generator().manual_seed(seed)
    count = pictures * boxes
    mean = 8 * (min(512.0, 0.64 * min(height, width)) / 8) ** torch.rand(count, generator=rng)
    root = 2 ** (torch.rand(count, generator=rng) - 0.5)  # square root of the aspect
    side = torch.stack([mean * root, mean / root], dim=1)
    corner = torch.rand(count, 2, generator=rng) * (torch.tensor([width, height]) - side)
    return GroundTruth(
        boxes=torch.cat([corner, corner + side], dim=1),
        labels=torch.randint(classes, (count,), generator=rng),
        image=torch.arange(pictures).repeat_interleave(boxes),
        ignore=torch.zeros(count, dtype=torch.bool),
        num_images=pictures,
    )


def half_trained(points: Points, truth: GroundTruth, classes: int, seed: int) -> Predictions:
    """What a network might say midway: at the points that FCOS would give a box each side is off by a factor
    around 1 (log-normal, sigma 0.25) and the box's class stands out; elsewhere the sides are about 4 strides and no
    class does."""
    rng = torch.Generator().manual_seed(seed)
    pictures = truth.num_images
    logits = PRIOR_LOGIT + torch.randn(pictures, len(points), classes, generator=rng)
    ltrb: Tensor = (4 * points.stride[:, None]).repeat(pictures, 1, 4)
    owned = FCOS()(points, truth)
    ltrb[owned.image, owned.point] = ltrb_from_boxes(points.xy[owned.point], truth.boxes[owned.gt])
    logits[owned.image, owned.point, truth.labels[owned.gt]] += 4
    return Predictions(logits, ltrb * (0.25 * torch.randn(ltrb.shape, generator=rng)).exp(), progress=0.5)
