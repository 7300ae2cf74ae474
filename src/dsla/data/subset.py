"""Some of a data set's pictures as a data set."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from dsla.data.dataset import DetectionData, Record
from dsla.data.sample import Sample


class Subset:
    """Pictures of a data set, by their indices.

    Args:
        data: the whole.
        indices: of the pictures, in the wanted order.
    """

    def __init__(self, data: DetectionData, indices: Sequence[int]) -> None:
        self.data, self.indices = data, tuple(indices)

    @property
    def class_names(self) -> tuple[str, ...]:
        """Those of the whole."""
        return self.data.class_names

    @property
    def notes(self) -> tuple[str, ...]:
        """Those of the whole."""
        return self.data.notes

    def __len__(self) -> int:
        return len(self.indices)

    def sample(self, index: int) -> Sample:
        """Decode a picture."""
        return self.data.sample(self.indices[index])

    def record(self, index: int) -> Record:
        """The same without decoding."""
        return self.data.record(self.indices[index])

    def to_coco(self) -> dict[str, Any]:
        """The ground truth of these pictures; all categories stay."""
        truth = self.data.to_coco()
        mine = {self.record(index).image_id for index in range(len(self))}
        return truth | {
            "images": [image for image in truth["images"] if image["id"] in mine],
            "annotations": [entry for entry in truth["annotations"] if entry["image_id"] in mine],
        }


def spread(data: DetectionData, most: int) -> DetectionData:
    """At most so many pictures, evenly spread over the data set's order."""
    if len(data) <= most:
        return data
    return Subset(data, [index * len(data) // most for index in range(most)])


def cut(data: DetectionData, share: float, seed: int) -> tuple[Subset, Subset]:
    """Two parts by pictures: the rest, and about `share` of them, drawn with a seed; at least one picture each."""
    order = np.random.default_rng(seed).permutation(len(data)).tolist()
    size = min(max(round(share * len(data)), 1), len(data) - 1)
    return Subset(data, sorted(order[size:])), Subset(data, sorted(order[:size]))
