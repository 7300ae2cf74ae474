"""Some of a data set's pictures as a data set."""

from collections.abc import Sequence
from typing import Any

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
