"""A COCO json with its pictures as a data set, and the layouts of folder it is found in.

COCO category ids become labels here and nowhere else: labels count the categories in ascending order of their
ids.
"""

import os
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor

from dsla.data.coco_file import CocoFile, read_coco
from dsla.data.dataset import Record
from dsla.data.image import decode_image
from dsla.data.sample import Sample
from dsla.errors import DataError


class CocoData:
    """The pictures of one COCO json, in its order.

    Args:
        file: the checked json.
        folders: where its pictures may lie; for each `file_name` the first that has it counts.
        categories: name of each category id where they are given by another json (train's, for val), which
            then has to know all of this one's.

    Raises:
        DataError: pictures are missing, or the categories do not agree.
    """

    def __init__(self, file: CocoFile, folders: tuple[Path, ...], categories: dict[int, str] | None = None) -> None:
        self.file = file
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
        self._paths = _find_pictures(file, folders)

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
            name=self._paths[index],
        )

    def sample(self, index: int) -> Sample:
        """Decode a picture.

        Raises:
            DataError: the picture is unreadable, or has another size than the json says.
        """
        record = self.record(index)
        return Sample(
            image=self._decode(record),
            boxes=record.boxes,
            labels=record.labels,
            ignore=record.ignore,
            image_id=record.image_id,
            name=record.name,
            original_size=record.size,
        )

    def _decode(self, record: Record) -> UInt8[Tensor, "3 H W"]:
        image = decode_image(record.name)
        found = tuple(image.shape[1:])
        if found == record.size:
            return image
        if found == record.size[::-1]:
            # The json may describe the stored pixels, made by a tool that does not know EXIF; so do its boxes
            # then.
            image = decode_image(record.name, exif=False)
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


def open_coco(path: Path) -> tuple[CocoData, CocoData | None]:
    """Open a COCO json, or a folder in one of COCO's layouts; a lone json has no validation part.

    Layouts: train.json and val.json; annotations/instances_train*.json and instances_val*.json; one json.
    Pictures lie in images/, beside the json, in a folder named as the split (train2017/), or in images/ with
    that folder.

    Raises:
        DataError: none of the layouts, or a json that cannot be used.
    """
    if path.is_file():
        return CocoData(read_coco(path), _folders(path.parent, path)), None
    train, val = _find_jsons(path)
    train_data = CocoData(read_coco(train), _folders(path, train))
    if val is None:
        return train_data, None
    return train_data, CocoData(read_coco(val), _folders(path, val), train_data.categories)


def _find_jsons(root: Path) -> tuple[Path, Path | None]:
    for folder, prefix in ((root, ""), (root / "annotations", "instances_")):
        train = _only(folder, f"{prefix}train*.json")
        if train is not None:
            return train, _only(folder, f"{prefix}val*.json")
    lone = sorted(root.glob("*.json"))
    if len(lone) == 1:
        return lone[0], None
    found = f"; it has {', '.join(file.name for file in lone[:3])}" if lone else ""
    raise DataError(
        f"{root}: no data set found here{found}. Needed: train.json and val.json, or "
        "annotations/instances_train*.json and instances_val*.json, or one COCO json with its pictures."
    )


def _only(folder: Path, pattern: str) -> Path | None:
    files = sorted(folder.glob(pattern))
    if len(files) > 1:
        names = ", ".join(file.name for file in files)
        raise DataError(f"{folder}: several files could be meant: {names}. Leave one, or name the file itself.")
    return files[0] if files else None


def _folders(root: Path, file: Path) -> tuple[Path, ...]:
    """Where the pictures of a json may lie, the likeliest first."""
    split = file.stem.removeprefix("instances_")
    places = (root / "images", file.parent, root, root / split, root / "images" / split)
    return tuple(dict.fromkeys(places))


def _find_pictures(file: CocoFile, folders: tuple[Path, ...]) -> tuple[str, ...]:
    """The path of each picture; all are looked for now rather than in the middle of training."""
    paths: list[str] = []
    missing: list[str] = []
    for name in file.file_names:
        # Strings, since Path costs more than the look at the disk it stands for.
        candidates = (os.path.join(folder, name) for folder in folders)  # noqa: PTH118
        found = next((path for path in candidates if os.path.isfile(path)), None)  # noqa: PTH113
        if found is None:
            missing.append(name)
        else:
            paths.append(found)
    if missing:
        raise DataError(
            f"{file.path}: {len(missing)} of {len(file.file_names)} pictures are missing, first "
            f"{', '.join(missing[:3])}. Looked in "
            f"{', '.join(str(folder) for folder in folders)}. Put them there, or remove them from the json."
        )
    return tuple(paths)
