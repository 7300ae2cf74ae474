"""How many points each box of a data set gets, before anything is trained: for rules that need no predictions.

Boxes are taken from the annotations and brought to the network's size; no picture is decoded.

Letters: G boxes.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int

from dsla.assign import Assigner
from dsla.data import DetectionData, Resize
from dsla.data.resize import cut_boxes
from dsla.data.sample import DIVISOR
from dsla.errors import ConfigError
from dsla.geometry import GroundTruth, Points


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


def points_a_box(assigner: Assigner, data: DetectionData, resize: Resize, strides: Sequence[int]) -> PointsABox:
    """Assign every box of a data set, picture by picture.

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
    counts, sides = [torch.zeros(0, dtype=torch.int64)], [torch.zeros(0)]
    level = torch.zeros(len(strides), dtype=torch.int64)
    for index in range(len(data)):
        record = data.record(index)
        height, width = resize.target(record.size)
        scale = record.boxes.new_tensor([width / record.size[1], height / record.size[0]]).repeat(2)
        boxes, ignore, seen = cut_boxes(record.boxes * scale, record.ignore, (height, width))
        truth = GroundTruth.collate([(boxes[seen], record.labels[seen], ignore[seen])])
        padded = [-(-side // DIVISOR) * DIVISOR for side in (height, width)]
        points = Points.lattice([(-(-padded[0] // s), -(-padded[1] // s)) for s in strides], strides)
        got = assigner(points, truth)
        real = ~truth.ignore
        counts.append(torch.bincount(got.gt, minlength=len(truth))[real])
        sides.append((truth.boxes[real, 2:] - truth.boxes[real, :2]).prod(dim=1).sqrt())
        level += torch.bincount(points.level[got.point], minlength=len(strides))
    return PointsABox(torch.cat(counts).numpy(), torch.cat(sides).numpy(), level.numpy())
