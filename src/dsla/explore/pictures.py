"""The pictures of a data set as the page gets them: by split and index, never by path, and always encoded anew."""

import io
from pathlib import Path
from typing import Any

from PIL import Image
from torchvision.transforms.v2 import functional as F

from dsla.data import DataSplits, DetectionData
from dsla.data.dataset import Record
from dsla.engine.draw import to_pil
from dsla.errors import DataError
from dsla.explore.recall import Recall

SPLITS = ("val", "train")
_LONGEST, _THUMB = 1600, 192  # pixels


class Pictures:
    """Lists, pictures and thumbnails.

    Args:
        splits: the data set.
    """

    def __init__(self, splits: DataSplits) -> None:
        parts = {"train": splits.train, "val": splits.val}
        self.parts: dict[str, DetectionData] = {name: part for name in SPLITS if (part := parts[name]) is not None}
        self.class_names = splits.train.class_names
        self._pictures: Recall[bytes] = Recall(24)
        self._thumbs: Recall[bytes] = Recall(4000)
        self._lists: Recall[dict[str, Any]] = Recall(2)

    def part(self, split: str) -> DetectionData:
        """One split.

        Raises:
            DataError: there is none of that name.
        """
        if split not in self.parts:
            raise DataError(f"split {split}: this data set has {' and '.join(self.parts)}")
        return self.parts[split]

    def record(self, split: str, index: int) -> Record:
        """What is known of a picture.

        Raises:
            DataError: there is no picture of that index.
        """
        part = self.part(split)
        if not 0 <= index < len(part):
            raise DataError(f"picture {index}: the split {split} has {len(part)}, counted from 0")
        return part.record(index)

    def list(self, split: str) -> dict[str, Any]:
        """Names, sizes, number of boxes that count and classes of all pictures of a split, by index."""
        return self._lists.get(split, lambda: self._listed(self.part(split)))

    def truth(self, split: str, index: int) -> dict[str, Any]:
        """Boxes of a picture, in its own pixels."""
        record = self.record(split, index)
        return {
            "name": Path(record.name).name,
            "width": record.size[1],
            "height": record.size[0],
            "boxes": [[round(side, 2) for side in box] for box in record.boxes.tolist()],
            "labels": record.labels.tolist(),
            "ignore": record.ignore.tolist(),
        }

    def jpeg(self, split: str, index: int) -> bytes:
        """The picture upright, at most 1600 px long."""
        self.record(split, index)
        return self._pictures.get((split, index), lambda: self._encoded(split, index, _LONGEST, 90))

    def thumbnail(self, split: str, index: int) -> bytes:
        """The picture at most 192 px long."""
        self.record(split, index)
        return self._thumbs.get((split, index), lambda: self._encoded(split, index, _THUMB, 80))

    def _encoded(self, split: str, index: int, longest: int, quality: int) -> bytes:
        image = self.part(split).sample(index).image
        height, width = image.shape[1:]
        factor = longest / max(height, width)
        if factor < 1:
            image = F.resize(image, [max(1, round(height * factor)), max(1, round(width * factor))], antialias=True)
        return _jpeg(to_pil(image), quality)

    def _listed(self, part: DetectionData) -> dict[str, Any]:
        records = [part.record(index) for index in range(len(part))]
        return {
            "names": [Path(record.name).name for record in records],
            "sizes": [[record.size[1], record.size[0]] for record in records],
            "boxes": [int((~record.ignore).sum()) for record in records],
            "classes": [record.labels[~record.ignore].unique().tolist() for record in records],
        }


def _jpeg(picture: Image.Image, quality: int) -> bytes:
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=quality)
    return file.getvalue()
