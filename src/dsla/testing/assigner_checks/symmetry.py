"""What must not matter: the order of boxes, classes and pictures, and where in a picture an object stands."""

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from dsla.assign import Assigner, Assignment
from dsla.testing.assigner_checks.batches import CLASSES, Batch, flipped, ordinary, reordered, roomy, selected, shifted
from dsla.testing.assigner_checks.require import named, picture_of, relabelled, require_same


@named
def check_box_order(assigner: Assigner) -> None:
    """The order of the boxes in an annotation file does not matter."""
    batch = ordinary(20)
    expected = batch.through(assigner)
    generator = torch.Generator().manual_seed(20)
    for _ in range(2):
        order = torch.cat([start + torch.randperm(14, generator=generator) for start in (0, 14)])
        got = relabelled(reordered(batch, order).through(assigner), gt=order)
        require_same(expected, got, "with the boxes in another order")


@named
def check_class_order(assigner: Assigner) -> None:
    """The numbering of the classes does not matter."""
    batch = ordinary(21)
    turned = torch.arange(CLASSES).roll(1)  # class c is now called turned[c]
    truth = replace(batch.truth, labels=turned[batch.truth.labels])
    pred = replace(batch.pred, logits=batch.pred.logits[..., turned.argsort()])
    require_same(batch.through(assigner), Batch(batch.points, truth, pred).through(assigner), "with renumbered classes")


@named
def check_image_order(assigner: Assigner) -> None:
    """The place of a picture in its batch does not matter, nor that the first or the last one is empty."""
    orders = ([2, 1, 0], [1, 2, 0], [2, 0, 1])
    _require_same_pictures(assigner, ordinary(22), orders, "with the pictures in the order")


@named
def check_one_by_one(assigner: Assigner) -> None:
    """A picture's targets do not depend on the other pictures of the batch, nor on how many there are."""
    _require_same_pictures(assigner, ordinary(23), ([0], [1], [2], [0, 2]), "in a batch of the pictures")


@named
def check_translation(assigner: Assigner) -> None:
    """An object gets the same targets wherever it stands in the picture, to the coarsest stride."""
    batch = roomy(24)
    expected = batch.through(assigner)
    for right, down in ((64, 0), (-32, 32)):
        moved, goes = shifted(batch, right, down)
        _require_moved(expected, moved.through(assigner), goes, f"{right} px to the right and {down} px down")


@named
def check_flip_left_right(assigner: Assigner) -> None:
    """A picture flipped left to right, as augmentation does, gets its targets flipped."""
    _require_flipped(assigner, ordinary(25), axis=0, when="flipped left to right")


@named
def check_flip_up_down(assigner: Assigner) -> None:
    """A picture flipped upside down gets its targets flipped."""
    _require_flipped(assigner, ordinary(26), axis=1, when="flipped upside down")


def _require_same_pictures(assigner: Assigner, batch: Batch, orders: Sequence[list[int]], when: str) -> None:
    expected = batch.through(assigner)
    for order in orders:
        chosen = selected(batch, order)
        got = chosen.through(assigner)
        for position, image in enumerate(order):
            before, after = picture_of(expected, batch.truth, image), picture_of(got, chosen.truth, position)
            require_same(before, after, f"{when} {order}")


def _require_flipped(assigner: Assigner, batch: Batch, axis: int, when: str) -> None:
    mirrored, goes = flipped(batch, axis)
    _require_moved(batch.through(assigner), mirrored.through(assigner), goes, when)


def _require_moved(expected: Assignment, got: Assignment, goes: Tensor, when: str) -> None:
    require_same(expected, relabelled(got, comes=goes), when)
