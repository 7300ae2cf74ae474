"""A checked split with its pictures as a data set, whatever format it was read from.

COCO category ids become labels here and nowhere else: labels count the categories in ascending order of their
ids.
"""

from typing import Any

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor

from dsla.data.coco_file import CocoFile
from dsla.data.dataset import Record
from dsla.data.image import decode_image
from dsla.data.sample import Sample
from dsla.errors import DataError


class CocoData:
    """The pictures of one split, in its order.

    Args:
        file: the checked split.
        categories: name of each category id where they are given by another split (train's, for val), which
            then has to know all of this one's.
        max_pixels: larger pictures are refused before they are decoded; None for Pillow's limit.

    Raises:
        DataError: the categories do not agree.
    """

    def __init__(
        self, file: CocoFile, categories: dict[int, str] | None = None, *, max_pixels: int | None = None
    ) -> None:
        self.file, self.max_pixels = file, max_pixels
        self.categories = file.categories if categories is None else categories
        strange = [name for key, name in file.categories.items() if self.categories.get(key) != name]
        if strange:
            raise DataError(
                f"{file.path}: its categories differ from those of the training json, first at "
                f"{strange[0]!r}: {file.categories} here, {self.categories} there. Use the same ids and "
                "names in both."
            )
        ids = np.array(list(self.categories), dtype=np.int64)  # ascending
        self._labels = torch.from_numpy(np.searchsorted(ids, file.category_ids))
        self._boxes = torch.from_numpy(file.xyxy)
        self._ignore = torch.from_numpy(file.ignore)

    @property
    def class_names(self) -> tuple[str, ...]:
        """Category names in ascending order of the ids."""
        return tuple(self.categories.values())

    @property
    def notes(self) -> tuple[str, ...]:
        """What was altered on reading."""
        return self.file.notes

    def __len__(self) -> int:
        return len(self.file.image_ids)

    def record(self, index: int) -> Record:
        """Boxes and size of a picture as the json has them, boxes clipped."""
        rows = slice(int(self.file.starts[index]), int(self.file.starts[index + 1]))
        height, width = self.file.sizes[index].tolist()
        return Record(
            boxes=self._boxes[rows],
            labels=self._labels[rows],
            ignore=self._ignore[rows],
            size=(height, width),
            image_id=self.file.image_ids[index],
            name=self.file.pictures[index],
        )

    def sample(self, index: int) -> Sample:
        """Decode a picture.

        Raises:
            DataError: the picture is unreadable, or has another size than the json says.
        """
        record = self.record(index)
        return record.with_image(self._decode(record))

    def _decode(self, record: Record) -> UInt8[Tensor, "3 H W"]:
        image = decode_image(record.name, max_pixels=self.max_pixels)
        found = tuple(image.shape[1:])
        if found == record.size:
            return image
        if found == record.size[::-1]:
            # The json may describe the stored pixels, made by a tool that does not know EXIF; so do its boxes
            # then.
            image = decode_image(record.name, exif=False, max_pixels=self.max_pixels)
            if tuple(image.shape[1:]) == record.size:
                return image
        height, width = record.size
        raise DataError(
            f"{record.name}: the picture is {found[1]}x{found[0]} (width x height), but image "
            f"{record.image_id} of {self.file.path} says {width}x{height}. Its boxes would not fit: "
            "correct the json or restore the picture."
        )

    def to_coco(self) -> dict[str, Any]:
        """The json's ground truth: its ids, its boxes before clipping; ignored annotations are crowds."""
        file = self.file
        owner = np.repeat(np.array(file.image_ids, dtype=np.int64), np.diff(file.starts))
        columns = (file.annotation_ids, owner, file.category_ids, file.xywh, file.areas, file.ignore)
        return {
            "images": [
                {"id": image_id, "file_name": name, "height": height, "width": width}
                for image_id, name, (height, width) in zip(
                    file.image_ids, file.file_names, file.sizes.tolist(), strict=True
                )
            ],
            "annotations": [
                {
                    "id": key,
                    "image_id": image,
                    "category_id": category,
                    "bbox": box,
                    "area": area,
                    "iscrowd": int(crowd),
                }
                for key, image, category, box, area, crowd in zip(*(c.tolist() for c in columns), strict=True)
            ],
            "categories": [{"id": key, "name": name} for key, name in self.categories.items()],
        }
