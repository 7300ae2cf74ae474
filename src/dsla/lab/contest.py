"""Points that several boxes of a picture could have, and the boxes that get none because of it.

Each box is assigned once as if it were alone in the world: those points are its candidates. What it gets among the
other boxes of its picture is what is left of them.

Letters: G boxes.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Int

from dsla.assign import Assigner
from dsla.geometry import GroundTruth
from dsla.lab.box_table import BoxTable
from dsla.lab.points_a_box import SLOTS, Scaled, Sizing


@dataclass(frozen=True, eq=False)
class Contest:
    """How much boxes stand in each other's way.

    Attributes:
        candidates: points that at least one box could have.
        contested: of these, points that more than one could have.
        alone: (G,) points that each box would have alone.
        left: (G,) points that it has among the others, without coverage.
    """

    candidates: int
    contested: int
    alone: Int[np.ndarray, " G"]
    left: Int[np.ndarray, " G"]

    def to_json(self) -> dict[str, float | int]:
        """Shares, and the number of boxes they stand on."""
        boxes = max(len(self.alone), 1)
        return {
            "boxes": len(self.alone),
            "contested_points": self.contested / max(self.candidates, 1),
            "boxes_that_lose_some": float((self.left < self.alone).sum() / boxes),
            "boxes_that_lose_all": float(((self.alone > 0) & (self.left == 0)).sum() / boxes),
        }


def contest(
    assigner: Assigner, table: BoxTable, resize: Sizing, strides: Sequence[int], offset: float = 0.5
) -> Contest:
    """Tell what boxes take from each other.

    Args:
        assigner: a rule that needs no predictions, without coverage.
        table: boxes in the pictures' own pixels.
        resize: how pictures reach the network.
        strides: of the pyramid's levels, in pixels.
        offset: of points in their cells.
    """
    candidates = contested = 0
    alone, left = [np.zeros(0, dtype=np.int64)], [np.zeros(0, dtype=np.int64)]
    for points, _, truth in Scaled.of(table, resize).batches(strides, offset):
        real = (~truth.ignore).nonzero().flatten()
        together = torch.bincount(assigner(points, truth).gt, minlength=len(truth))
        own = torch.zeros_like(together)
        wanted = torch.zeros(truth.num_images * len(points), dtype=torch.int64)
        for some in real.split(max(SLOTS // len(points), 1)):
            apart = GroundTruth(
                truth.boxes[some], truth.labels[some], torch.arange(len(some)), truth.ignore[some], len(some)
            )
            got = assigner(points, apart)
            own[some] = torch.bincount(got.gt, minlength=len(some))
            slot = truth.image[some[got.gt]] * len(points) + got.point
            wanted += torch.bincount(slot, minlength=len(wanted))
        candidates += int((wanted > 0).sum())
        contested += int((wanted > 1).sum())
        alone.append(own[real].numpy())
        left.append(together[real].numpy())
    return Contest(candidates, contested, np.concatenate(alone), np.concatenate(left))


def without_coverage(assigner: Assigner) -> Assigner:
    """The same rule, which leaves a box without points as it is."""
    return replace(assigner, cover=False)  # pyright: ignore[reportArgumentType]  # an assigner is a dataclass
