"""What an assignment says: rows, labels, weights and regions to ignore."""

import torch
from torch import Tensor

from dsla.assign import Assigner
from dsla.testing.assigner_checks.batches import ordinary, pyramid, with_boxes
from dsla.testing.assigner_checks.require import (
    named,
    require,
    require_box_once,
    require_class_once,
    require_indices,
    require_inside,
    require_negative,
    require_no_ignored_box,
    require_order,
    require_same,
    require_scores,
    require_shapes,
    require_weights,
)


@named
def check_shapes(assigner: Assigner) -> None:
    """Losses take the targets as they come: shapes, types and device are those of the contract."""
    batch = ordinary(1)
    require_shapes(batch, batch.through(assigner))


@named
def check_row_order(assigner: Assigner) -> None:
    """Rows come in the order of image and point, so that results can be compared and searched."""
    batch = ordinary(2)
    require_order(batch, batch.through(assigner))


@named
def check_indices(assigner: Assigner) -> None:
    """No object is learned in a picture that it is not in."""
    batch = ordinary(3)
    require_indices(batch, batch.through(assigner))


@named
def check_class_once(assigner: Assigner) -> None:
    """A class target can be written to its place without one row overwriting another."""
    batch = ordinary(4)
    require_class_once(batch, batch.through(assigner))


@named
def check_box_once(assigner: Assigner) -> None:
    """A point predicts one box, so it is taught one."""
    batch = ordinary(5)
    require_box_once(batch, batch.through(assigner))


@named
def check_scores(assigner: Assigner) -> None:
    """A score is a target that a probability can reach."""
    require_scores(ordinary(6).through(assigner))


@named
def check_weights(assigner: Assigner) -> None:
    """A weight never turns the box loss around or makes it infinite."""
    require_weights(ordinary(7).through(assigner))


@named
def check_negative(assigner: Assigner) -> None:
    """A share of the background's loss, where a method gives one, is a share."""
    require_negative(ordinary(8).through(assigner))


@named
def check_positives_inside(assigner: Assigner) -> None:
    """Where `positives_inside` is True, box heads that can only say positive distances reach every target."""
    batch = ordinary(9)
    require_inside(batch, batch.through(assigner), assigner)


@named
def check_something_is_learned(assigner: Assigner) -> None:
    """An object alone in its picture is learned, whatever its size, once the network sees it."""
    for side in (20.0, 40.0, 80.0, 140.0):
        batch = with_boxes([[30.3, 21.7, 30.3 + side, 21.7 + 1.1 * side]])
        got = batch.through(assigner)
        rows = f"{len(got.gt)} rows, sum of scores {float(got.score.sum()):g}, of weights {float(got.weight.sum()):g}"
        learned = float(got.score.sum()) > 0 and float(got.weight.sum()) > 0
        require(learned, f"positives with score and weight for an object of {side:g} px", rows)


@named
def check_ignored_boxes(assigner: Assigner) -> None:
    """Crowds and difficult objects are never learned as objects."""
    batch = ordinary(10)
    require_no_ignored_box(batch, batch.through(assigner))


@named
def check_ignored_points(assigner: Assigner) -> None:
    """In a region to be ignored nothing is learned as background, and everywhere else it is."""
    batch = ordinary(11)
    got, truth, xy = batch.through(assigner), batch.truth, batch.points.xy
    expected = torch.zeros_like(got.ignored)
    for region, image in zip(truth.boxes[truth.ignore], truth.image[truth.ignore].tolist(), strict=True):
        expected[image] |= ((xy > region[:2]) & (xy < region[2:])).all(dim=1)
    expected[got.image, got.point] = False
    less, more = int((expected & ~got.ignored).sum()), int((got.ignored & ~expected).sum())
    found = f"{less} of {int(expected.sum())} missing and {more} others"
    require(less == more == 0, "`ignored` at the points in ignore regions that are not positive", found)


@named
def check_objects_in_regions(assigner: Assigner) -> None:
    """An object inside a region to be ignored is learned as if the region were not there."""
    thing, region = [61.3, 50.7, 103.1, 88.9], [32.0, 32.0, 160.0, 152.0]
    alone = with_boxes([thing])
    both = with_boxes([thing, region], ignore=[False, True])
    one, two = alone.through(assigner), assigner(both.points, both.truth, alone.pred)
    two.ignored.zero_()
    require_same(one, two, "with a region to ignore around the object")


@named
def check_coverage(assigner: Assigner) -> None:
    """With `cover=True` no object is forgotten, as long as there are points for all."""
    if getattr(assigner, "cover", False) is not True:
        return
    batch = ordinary(12)
    forgotten = set(torch.nonzero(~batch.truth.ignore).flatten().tolist()) - set(batch.through(assigner).gt.tolist())
    require(not forgotten, "a point for each box of an ordinary batch", f"none for {forgotten}")
    middle = torch.tensor([[20.0, 30.0], [100.3, 60.1], [180.0, 100.0], [250.9, 190.2], [64.0, 128.0]])
    for side in ((0.0, 0.0), (0.0, 9.0), (0.7, 0.7), (5.0, 3.0), (30.0, 3.0), (50.0, 70.0), (400.0, 300.0)):
        half = torch.tensor(side) / 2
        boxes = torch.cat([middle - half, middle + half], dim=1)
        _require_all(assigner, boxes, f"{len(boxes)} boxes of {side[0]:g} x {side[1]:g} px")
    for twin in ([99.0, 59.0, 101.0, 62.0], [60.0, 50.0, 140.0, 110.0]):
        _require_all(assigner, torch.tensor([twin]).repeat(4, 1), f"4 equal boxes {twin}")
    nested = torch.stack([torch.tensor([100 - r, 90 - r, 101 + r, 91 + r]) for r in (1.0, 4.0, 20.0, 21.0, 60.0)])
    _require_all(assigner, nested, "5 boxes one in another")


def _require_all(assigner: Assigner, boxes: Tensor, what: str) -> None:
    batch = with_boxes(boxes, points=pyramid(192, 256))
    found = batch.through(assigner).gt.unique().tolist()
    require(len(found) == len(boxes), f"a point for each of {what}", f"none for {set(range(len(boxes))) - set(found)}")
