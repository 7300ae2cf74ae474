"""The boxes of a data set as one table, from the annotations alone; no picture is decoded.

Letters: B pictures, G boxes.
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float32, Int, Int64
from torch import Tensor

from dsla.data import DetectionData, Record
from dsla.errors import DataError

BOXES = 30_000  # of a larger data set so many are drawn: shares are then right to about half a point


@dataclass(frozen=True, eq=False)
class BoxTable:
    """Boxes of many pictures in the pictures' own pixels.

    Attributes:
        boxes: (G, 4) xyxy, picture after picture.
        labels: (G,) class indices.
        ignore: (G,) True for crowds, difficult objects and ignore regions.
        image: (G,) row of each box's picture in `sizes`, ascending.
        sizes: (B, 2) (h, w) of the pictures.
        class_names: by class index.
        of: pictures of the data set, of which `sizes` may be a sample.
    """

    boxes: Float32[Tensor, "G 4"]
    labels: Int64[Tensor, " G"]
    ignore: Bool[Tensor, " G"]
    image: Int64[Tensor, " G"]
    sizes: Int[np.ndarray, "B 2"]
    class_names: tuple[str, ...]
    of: int

    @staticmethod
    def of_data(data: DetectionData, most: int | None = None, seed: int = 0) -> "BoxTable":
        """Read the boxes of a data set, or of pictures drawn at random until there are `most` boxes.

        Raises:
            DataError: if there is no picture.
        """
        if not len(data):
            raise DataError("no pictures, so there is nothing to tell of their boxes")
        records: dict[int, Record] = {}
        boxes = 0
        for index in np.random.default_rng(seed).permutation(len(data)).tolist():
            if most is not None and boxes >= most:
                break
            records[index] = data.record(index)
            boxes += len(records[index].boxes)
        chosen = [records[index] for index in sorted(records)]
        counts = torch.tensor([len(record.boxes) for record in chosen])
        return BoxTable(
            boxes=torch.cat([record.boxes for record in chosen]),
            labels=torch.cat([record.labels for record in chosen]),
            ignore=torch.cat([record.ignore for record in chosen]),
            image=torch.repeat_interleave(torch.arange(len(chosen)), counts),
            sizes=np.array([record.size for record in chosen]),
            class_names=data.class_names,
            of=len(data),
        )

    def __len__(self) -> int:
        return len(self.boxes)

    @property
    def long_side(self) -> int:
        """The longer side of a picture in pixels; half of the pictures have a longer one."""
        return int(np.median(self.sizes.max(axis=1)))
