"""Inputs that are rare in a data set and certain in a long training: the whole contract holds on all of them."""

from dataclasses import replace

import torch

from dsla.assign import Assigner, Predictions
from dsla.geometry import Points
from dsla.testing.assigner_checks.batches import Batch, drawn, predictions, pyramid, with_boxes
from dsla.testing.assigner_checks.require import named, require, require_sound


@named
def check_no_boxes(assigner: Assigner) -> None:
    """A batch of empty pictures teaches the background and stops nothing."""
    got = require_sound(with_boxes([]), assigner)
    require(len(got.gt) == 0, "no rows", len(got.gt))
    require(not bool(got.ignored.any()), "no ignored points", int(got.ignored.sum()))


@named
def check_only_ignored_boxes(assigner: Assigner) -> None:
    """A picture with nothing but regions to ignore has no positives."""
    got = require_sound(with_boxes([[10, 20, 90, 70], [50, 50, 150, 160]], ignore=[True, True]), assigner)
    require(len(got.gt) == 0, "no rows", len(got.gt))


@named
def check_small_boxes(assigner: Assigner) -> None:
    """Boxes smaller than a stride, around a point or between points, are treated soundly."""
    sides = ((0.3, 0.3), (1.0, 2.0), (5.0, 3.0), (7.0, 7.0))
    corners = ((10.2, 11.1), (51.9, 43.7), (63.5, 64.1), (121.3, 120.2), (254.7, 190.9))
    require_sound(with_boxes([[x, y, x + w, y + h] for w, h in sides for x, y in corners]), assigner)


@named
def check_large_boxes(assigner: Assigner) -> None:
    """Boxes larger than the picture, as crops leave them, are treated soundly."""
    boxes = [[-300, -200, 700, 500], [-40, -3000, 300, 5000], [-1000, 50, 2000, 90], [0, 0, 256, 192]]
    require_sound(with_boxes(boxes), assigner)


@named
def check_flat_boxes(assigner: Assigner) -> None:
    """Boxes without area, which labelling tools write, are treated soundly: nothing is divided by it."""
    boxes = [[50, 50, 50, 90], [60, 41, 130, 41], [70, 70, 70, 70], [68, 68, 68, 68], [0, 0, 0, 0], [30, 30, 99, 88]]
    require_sound(with_boxes(boxes), assigner)


@named
def check_boxes_outside(assigner: Assigner) -> None:
    """Boxes beside the picture, near and far, are treated soundly."""
    near = [[-90, 20, -20, 60], [300, 20, 340, 60], [90, -80, 140, -10], [90, 200, 140, 260], [256, 192, 300, 230]]
    far = [[1e5, 1e5, 1e5 + 50, 1e5 + 60], [-1e5, 10, -1e5 + 70, 60]]
    require_sound(with_boxes([*near, *far]), assigner)


@named
def check_sides_on_points(assigner: Assigner) -> None:
    """Where sides pass exactly through points, "strictly inside" still means that."""
    boxes = [
        [16, 16, 48, 48],
        [20, 20, 44, 44],
        [4, 4, 12, 12],
        [60, 60, 68, 68],
        [8, 24, 152, 136],
        [12, 100, 20, 180],
    ]
    require_sound(with_boxes(boxes), assigner)


@named
def check_equal_boxes(assigner: Assigner) -> None:
    """A box that is there twice, with one class or two, is a tie and no error."""
    one, two = [20.3, 30.1, 70.9, 88.8], [100.0, 100.0, 180.0, 160.0]
    require_sound(with_boxes([one, one, two, two, two, two]), assigner)


@named
def check_crowd(assigner: Assigner) -> None:
    """More boxes on a spot than it has points leave some without, and end."""
    generator = torch.Generator().manual_seed(0)
    corner = 80 + 3 * torch.rand(150, 2, generator=generator)
    side = 4 + 30 * torch.rand(150, 2, generator=generator)
    require_sound(with_boxes(torch.cat([corner, corner + side], dim=1)), assigner)


@named
def check_extreme_predictions(assigner: Assigner) -> None:
    """A network that is sure of everything, of nothing, or far off gets labels that are numbers."""
    batch = with_boxes([[20.3, 30.1, 70.9, 88.8], [40.0, 40.0, 220.0, 160.0], [9.0, 9.0, 11.0, 11.0]])
    pred = batch.pred
    for logit in (-1e4, 0.0, 1e4):
        for side in (0.0, 1e-6, 1e6):
            said = Predictions(torch.full_like(pred.logits, logit), torch.full_like(pred.ltrb, side))
            require_sound(replace(batch, pred=said), assigner)


@named
def check_pyramids(assigner: Assigner) -> None:
    """Any pyramid will do: one level, strides from 4, five levels, lattices of a few cells."""
    for height, width, strides in (
        (96, 128, (16,)),
        (64, 96, (4, 8, 16)),
        (200, 333, (8, 16, 32, 64, 128)),
        (40, 24, (8, 16, 32)),
        (8, 8, (8, 16)),
    ):
        _require_sound_on(pyramid(height, width, strides), assigner)


@named
def check_offset(assigner: Assigner) -> None:
    """Points on the corners of cells, where some released models have them, are as good as centres."""
    _require_sound_on(pyramid(192, 256, offset=0.0), assigner)


@named
def check_one_class(assigner: Assigner) -> None:
    """A detector of a single class is trained like any other."""
    batch = with_boxes([[20.3, 30.1, 70.9, 88.8], [40.0, 40.0, 220.0, 160.0]])
    truth = replace(batch.truth, labels=torch.zeros_like(batch.truth.labels))
    require_sound(Batch(batch.points, truth, predictions(batch.points, truth, classes=1)), assigner)


def _require_sound_on(points: Points, assigner: Assigner) -> None:
    try:
        require_sound(drawn(points), assigner)
    except AssertionError as error:
        raise AssertionError(f"on {points}: {error}") from None
