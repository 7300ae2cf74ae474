"""How many points each box of a data set gets, before anything is trained: for rules that need no predictions.

Boxes are taken from the annotations and brought to the network's size; no picture is decoded. Pictures of one padded
size share a lattice, so hundreds of them are assigned in one call.

Letters: G boxes, L levels, B pictures.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Bool, Float, Float32, Int
from torch import Tensor

from dsla.assign import ATSS, DSLA, Assigner
from dsla.data import DetectionData
from dsla.data.resize import cut_boxes
from dsla.data.sample import DIVISOR
from dsla.errors import ConfigError
from dsla.geometry import GroundTruth, Points
from dsla.lab.box_table import BoxTable

SLOTS = 2_000_000  # points of the pictures that are assigned together


@runtime_checkable
class Sizing(Protocol):
    """How pictures reach the network, as `dsla.data.Resize` does."""

    def target(self, size: tuple[int, int]) -> tuple[int, int]:
        """The (h, w) that a picture of `size` (h, w) is brought to."""
        ...


@dataclass(frozen=True, eq=False)
class PointsABox:
    """What an assigner gives to the boxes of a data set.

    Attributes:
        count: (G,) positive points of each box that is to be learned.
        side: (G,) square root of its area, in pixels of the network's input.
        level: (L,) positives on each level of the pyramid.
    """

    count: Int[np.ndarray, " G"]
    side: Float[np.ndarray, " G"]
    level: Int[np.ndarray, " L"]

    def shares(self) -> dict[str, float]:
        """Share of boxes with no point, one, two to four, and more."""
        kinds = {"0": self.count == 0, "1": self.count == 1, "2-4": (self.count >= 2) & (self.count <= 4)}
        kinds["5+"] = self.count > 4
        return {name: float(mask.mean()) if len(mask) else 0.0 for name, mask in kinds.items()}


@dataclass(frozen=True, eq=False)
class Counted:
    """Points of all boxes of a table, ignore regions of the source left out.

    Attributes:
        levels: (G, L) positive points of each box on each level.
        side: (G,) square root of its area, in pixels of the network's input.
        lost: (G,) True where resizing left too little of it, so that it is an ignore region now.
        pixels: mean number of pixels of a picture as the network sees it, padding included.
    """

    levels: Int[np.ndarray, "G L"]
    side: Float[np.ndarray, " G"]
    lost: Bool[np.ndarray, " G"]
    pixels: float

    @property
    def count(self) -> Int[np.ndarray, " G"]:
        """(G,) positive points of each box."""
        return self.levels.sum(axis=1)

    def of(self, mask: Bool[np.ndarray, " G"]) -> "Counted":
        """Some of the boxes."""
        return replace(self, levels=self.levels[mask], side=self.side[mask], lost=self.lost[mask])


def static_rule(assigner: Assigner) -> Assigner:
    """The rule with labels that no prediction shapes, where its positives do not depend on predictions.

    DSLA and ATSS decide by geometry which points are positive; the network's IoU only scales their labels.

    Raises:
        ConfigError: if the positives themselves follow from predictions.
    """
    if isinstance(assigner, DSLA):
        return replace(assigner, coupling=False, iou_only=False, normalise=False)
    if isinstance(assigner, ATSS):
        return replace(assigner, label="one")
    if assigner.needs_predictions:
        raise ConfigError(
            f"assigner {getattr(assigner, 'name', assigner)}: needs predictions, so only a trained network can tell "
            "how many points boxes get; ask for dsla, fcos or atss, whose points follow from the boxes alone"
        )
    return assigner


def points_a_box(assigner: Assigner, data: DetectionData, resize: Sizing, strides: Sequence[int]) -> PointsABox:
    """Assign every box of a data set.

    Args:
        assigner: a rule that needs no predictions.
        data: pictures with boxes.
        resize: how pictures reach the network.
        strides: of the pyramid's levels, in pixels.

    Raises:
        ConfigError: if the rule needs predictions.
    """
    if assigner.needs_predictions:
        raise ConfigError(f"{assigner}: needs predictions; only a trained network can tell how many points it gives")
    found = count_points(assigner, BoxTable.of_data(data), resize, strides)
    kept = ~found.lost
    return PointsABox(found.count[kept], found.side[kept], found.levels.sum(axis=0))


def count_points(
    assigner: Assigner, table: BoxTable, resize: Sizing, strides: Sequence[int], offset: float = 0.5
) -> Counted:
    """Assign the boxes of a table; what belongs to each of its boxes that is no ignore region.

    Args:
        assigner: a rule that needs no predictions.
        table: boxes in the pictures' own pixels.
        resize: how pictures reach the network.
        strides: of the pyramid's levels, in pixels.
        offset: of points in their cells.
    """
    levels = torch.zeros(len(table), len(strides), dtype=torch.int64)
    scaled = Scaled.of(table, resize)
    for points, rows, truth in scaled.batches(strides, offset):
        got = assigner(points, truth)
        key = got.gt * len(strides) + points.level[got.point]
        levels[rows] = torch.bincount(key, minlength=len(truth) * len(strides)).view(-1, len(strides))
    real = (~table.ignore).numpy()
    sides = scaled.boxes[:, 2:] - scaled.boxes[:, :2]
    return Counted(
        levels=levels.numpy()[real],
        side=sides.prod(dim=1).sqrt().numpy()[real],
        lost=(scaled.ignore | ~scaled.seen).numpy()[real],
        pixels=float(scaled.canvas.prod(axis=1).mean()),
    )


@dataclass(frozen=True, eq=False)
class Scaled:
    """A table's boxes as the network sees them.

    Attributes:
        table: where they come from.
        boxes: (G, 4) xyxy in pixels of the network's input.
        ignore: (G,) True for what is, or became by resizing, an ignore region.
        seen: (G,) False for what lies outside its picture.
        canvas: (B, 2) padded (h, w) of each picture.
    """

    table: BoxTable
    boxes: Float32[Tensor, "G 4"]
    ignore: Bool[Tensor, " G"]
    seen: Bool[Tensor, " G"]
    canvas: Int[np.ndarray, "B 2"]

    @staticmethod
    def of(table: BoxTable, resize: Sizing) -> "Scaled":
        """Bring the boxes of a table to the network's size."""
        own, kind = np.unique(table.sizes, axis=0, return_inverse=True)
        targets = np.array([resize.target((int(h), int(w))) for h, w in own])
        ratio = (targets / own).astype(np.float32)[:, [1, 0, 1, 0]]
        kind_of_box = torch.from_numpy(kind.reshape(-1))[table.image]
        scaled = table.boxes * torch.from_numpy(ratio)[kind_of_box]
        boxes, ignore = torch.empty_like(scaled), torch.empty_like(table.ignore)
        seen = torch.empty_like(table.ignore)
        order = kind_of_box.argsort(stable=True)
        for number, rows in enumerate(order.split(torch.bincount(kind_of_box, minlength=len(own)).tolist())):
            size = int(targets[number, 0]), int(targets[number, 1])
            boxes[rows], ignore[rows], seen[rows] = cut_boxes(scaled[rows], table.ignore[rows], size)
        canvas = -(-targets // DIVISOR) * DIVISOR
        return Scaled(table, boxes, ignore, seen, canvas[kind.reshape(-1)])

    def batches(self, strides: Sequence[int], offset: float) -> Iterator[tuple[Points, Int[Tensor, " g"], GroundTruth]]:
        """Lattice, rows of the table and truth of pictures that share a padded size, some at a time."""
        shapes, kind = np.unique(self.canvas, axis=0, return_inverse=True)
        for number, (height, width) in enumerate(shapes.tolist()):
            points = Points.lattice([(-(-height // s), -(-width // s)) for s in strides], strides, offset)
            pictures = np.flatnonzero(kind.reshape(-1) == number)
            for some in np.array_split(pictures, -(-len(pictures) * len(points) // SLOTS)):
                rows, truth = self._truth(some)
                yield points, rows, truth

    def _truth(self, pictures: Int[np.ndarray, " b"]) -> tuple[Int[Tensor, " g"], GroundTruth]:
        place = torch.full((len(self.table.sizes),), -1)
        place[torch.from_numpy(pictures)] = torch.arange(len(pictures))
        image = place[self.table.image]
        rows = torch.nonzero((image >= 0) & self.seen).flatten()
        truth = GroundTruth(
            self.boxes[rows], self.table.labels[rows], image[rows], self.ignore[rows], num_images=len(pictures)
        )
        return rows, truth
