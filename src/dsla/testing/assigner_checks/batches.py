"""Batches that assigners are checked on, and how their pictures are flipped, moved and put in another order.

Coordinates are multiples of 1/256 px, so that flips and shifts are exact in float32; otherwise the draws are generic:
boxes, distances and predictions do not tie. Global random state is neither used nor touched.

Letters: B images, P points, G boxes, C classes.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, Int
from torch import Tensor

from dsla.assign import Assigner, Assignment, Predictions
from dsla.geometry import GroundTruth, Points, pairs_inside

STRIDES = (8, 16, 32)
CLASSES = 3
GRID = 256  # coordinates are multiples of 1 / GRID px


@dataclass(frozen=True, eq=False)
class Batch:
    """What an assigner is called with."""

    points: Points
    truth: GroundTruth
    pred: Predictions

    def through(self, assigner: Assigner) -> Assignment:
        """What the assigner makes of it."""
        return assigner(self.points, self.truth, self.pred)


def pyramid(height: int, width: int, strides: Sequence[int] = STRIDES, offset: float = 0.5) -> Points:
    """Points of a picture's pyramid; the lattice of a level may stick out of the picture."""
    return Points.lattice([(-(-height // s), -(-width // s)) for s in strides], strides, offset)


def ordinary(seed: int = 0) -> Batch:
    """Three pictures of 256 x 320 px, the middle one without boxes; 13 objects and a region to ignore in the others."""
    return drawn(pyramid(256, 320), seed)


def roomy(seed: int = 0) -> Batch:
    """The same on 448 x 512 px, with boxes so far from the borders that these do not matter, a shift later neither."""
    return drawn(pyramid(448, 512), seed, margin=128, largest=120.0)


def drawn(points: Points, seed: int = 0, margin: int = 0, largest: float = 160.0) -> Batch:
    """Boxes of 3 px up to `largest` anywhere in the picture, but `margin` px away from its borders."""
    generator = torch.Generator().manual_seed(seed)
    each = 14
    image = torch.tensor([0, 2]).repeat_interleave(each)
    ignore = torch.arange(2 * each) % each == 5
    side = 3 * (largest / 3) ** torch.rand(2 * each, 2, generator=generator)
    side[ignore] = largest * (0.5 + torch.rand(2, 2, generator=generator) / 2)
    (h, w), stride = points.sizes[0], points.strides[0]
    room = (torch.tensor([w, h]) * stride - 2 * margin - side).clamp(min=0)
    corner = margin + room * torch.rand(2 * each, 2, generator=generator)
    boxes = (torch.cat([corner, corner + side], dim=1) * GRID).round() / GRID
    labels = torch.randint(CLASSES, (2 * each,), generator=generator)
    truth = GroundTruth(boxes, labels, image, ignore, 3)
    return Batch(points, truth, predictions(points, truth, seed))


def with_boxes(
    boxes: Sequence[Sequence[int | float]] | Tensor, ignore: Sequence[bool] | None = None, points: Points | None = None
) -> Batch:
    """One picture of 192 x 256 px, or on other points, with these boxes; classes in turn."""
    points = points or pyramid(192, 256)
    corners = torch.as_tensor(boxes, dtype=torch.float32).reshape(-1, 4)
    count = len(corners)
    hidden = torch.zeros(count, dtype=torch.bool) if ignore is None else torch.tensor(ignore, dtype=torch.bool)
    truth = GroundTruth(corners, torch.arange(count) % CLASSES, torch.zeros(count, dtype=torch.int64), hidden, 1)
    return Batch(points, truth, predictions(points, truth))


def predictions(points: Points, truth: GroundTruth, seed: int = 0, classes: int = CLASSES) -> Predictions:
    """Random logits; boxes that are more or less right at points inside a box, and random elsewhere."""
    generator = torch.Generator().manual_seed(1000 + seed)
    B, P = truth.num_images, len(points)
    logits = 2 * torch.randn(B, P, classes, generator=generator) - 1
    ltrb = 8 + 60 * torch.rand(B, P, 4, generator=generator)
    pairs = pairs_inside(points, truth.boxes)
    noise = 0.7 + 0.6 * torch.rand(len(pairs.box), 4, generator=generator)
    slot = truth.image[pairs.box] * P + pairs.point
    # Of several boxes around a point the last counts.
    pair = torch.full((B * P,), -1).scatter_reduce_(0, slot, torch.arange(len(slot)), "amax")
    around = pair >= 0
    ltrb.view(-1, 4)[around] = (pairs.ltrb * noise)[pair[around]]
    return Predictions(logits, ltrb)


def selected(batch: Batch, images: Sequence[int]) -> Batch:
    """The batch with these pictures, in this order."""
    truth, pred, order = batch.truth, batch.pred, list(images)
    boxes = torch.cat([torch.nonzero(truth.image == image).flatten() for image in order])
    position = torch.tensor([order.index(image) for image in truth.image[boxes].tolist()], dtype=torch.int64)
    chosen = GroundTruth(truth.boxes[boxes], truth.labels[boxes], position, truth.ignore[boxes], len(order))
    return Batch(batch.points, chosen, replace(pred, logits=pred.logits[order], ltrb=pred.ltrb[order]))


def reordered(batch: Batch, order: Int[Tensor, " G"]) -> Batch:
    """The batch with its boxes in another order, which must keep those of a picture together."""
    truth = batch.truth
    shuffled = GroundTruth(
        truth.boxes[order], truth.labels[order], truth.image[order], truth.ignore[order], truth.num_images
    )
    return replace(batch, truth=shuffled)


def flipped(batch: Batch, axis: int) -> tuple[Batch, Int[Tensor, " P"]]:
    """The batch left to right (axis 0) or upside down (axis 1), and where each of its points goes."""
    (h, w), stride = batch.points.sizes[0], batch.points.strides[0]
    goes = _destinations(batch.points, lambda cells, _: cells.flip(1 - axis))
    sides = [2, 1, 0, 3] if axis == 0 else [0, 3, 2, 1]
    boxes = batch.truth.boxes[:, sides].clone()
    boxes[:, axis::2] = (w, h)[axis] * stride - boxes[:, axis::2]
    return _moved(batch, goes, boxes, sides), goes


def shifted(batch: Batch, right: int, down: int) -> tuple[Batch, Int[Tensor, " P"]]:
    """The batch moved by multiples of the coarsest stride, and where each point goes; borders wrap around."""
    goes = _destinations(
        batch.points, lambda cells, stride: cells.roll((-(down // stride), -(right // stride)), (0, 1))
    )
    boxes = batch.truth.boxes + torch.tensor([right, down, right, down])
    return _moved(batch, goes, boxes, [0, 1, 2, 3]), goes


def _destinations(points: Points, rearranged: Callable[[Tensor, int], Tensor]) -> Int[Tensor, " P"]:
    """For each point the one that takes its place, from an (h, w) table of indices for each level."""
    cells = [
        rearranged(torch.arange(start, start + h * w).view(h, w), stride).flatten()
        for (h, w), stride, start in zip(points.sizes, points.strides, points.starts, strict=True)
    ]
    return torch.cat(cells)


def _moved(batch: Batch, goes: Int[Tensor, " P"], boxes: Float[Tensor, "G 4"], sides: list[int]) -> Batch:
    comes = goes.argsort()
    pred = batch.pred
    moved = replace(pred, logits=pred.logits[:, comes], ltrb=pred.ltrb[:, comes][..., sides])
    return Batch(batch.points, replace(batch.truth, boxes=boxes), moved)
