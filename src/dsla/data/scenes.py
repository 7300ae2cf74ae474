"""The built-in data set: generated scenes with exact boxes, any number of them by seed, no download.

Each picture is a place (a meadow, the sea, a reef, the night sky, a desk, watercolour paper, a tablecloth)
in the colours of a season, with things of ten kinds in it, from 8 pixels to most of the picture,
overlapping and nested. Scene `index` of a `seed` depends on these two numbers and the options alone.

All scenes of one seed share its paintings and backgrounds, and no two seeds share anything: a validation
set must come from another seed than its training set, and then nothing in it was seen in training.

Letters: G boxes of a picture, H and W its size.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float32, Int64, UInt8
from torch import Tensor

from dsla.data.dataset import SCENES_VAL_SEED, Record
from dsla.data.record_coco import coco_of_records
from dsla.data.sample import Sample
from dsla.data.scene_composition import SCENE_CLASSES, Scene, SceneOptions, compose

PAINTED_BYTES = 256 * 2**20  # of pictures that a data set keeps, since painting takes longer than a step of training

__all__ = ["SCENE_CLASSES", "SceneOptions", "Scenes", "draw_scene", "write_scenes"]


def draw_scene(
    seed: int, index: int, options: SceneOptions | None = None
) -> tuple[UInt8[np.ndarray, "H W 3"], Float32[np.ndarray, "G 4"], Int64[np.ndarray, " G"]]:
    """Draw one scene: its RGB picture, its boxes (xyxy in pixels) and their labels.

    Args:
        seed: not negative; scenes of different seeds have nothing in common.
        index: not negative.
        options: size of the picture and of its objects.
    """
    scene = compose(seed, index, options or SceneOptions())
    return np.array(scene.paint()), scene.boxes, scene.labels


class Scenes:
    """Generated scenes as a data set.

    Args:
        count: number of pictures.
        seed: which pictures; a training set and its validation set need different ones.
        size: side of the square pictures, or (h, w), in pixels.

    Raises:
        ValueError: no pictures, a negative seed, or pictures of less than 64 pixels.
    """

    class_names: tuple[str, ...] = SCENE_CLASSES
    notes: tuple[str, ...] = ()

    def __init__(self, count: int, seed: int = 0, size: int | tuple[int, int] = 320) -> None:
        height, width = (size, size) if isinstance(size, int) else size
        if count < 1 or seed < 0 or min(height, width) < 64:
            raise ValueError(
                f"scenes need a count of 1 or more, a seed of 0 or more and sides of 64 pixels or more, "
                f"not {count}, {seed} and {height}x{width}"
            )
        self.count, self.seed, self.options = count, seed, SceneOptions(size=(height, width))
        self._records: dict[int, Record] = {}
        self._paintings: dict[int, UInt8[Tensor, "3 H W"]] = {}
        self._kept = PAINTED_BYTES // (3 * height * width)

    def __len__(self) -> int:
        return self.count

    def __repr__(self) -> str:
        return f"Scenes(count={self.count}, seed={self.seed}, size={self.options.size})"

    def sample(self, index: int) -> Sample:
        """Draw a scene, or take it from those drawn before."""
        image, record = self._paintings.get(self._checked(index)), self._records.get(index)
        if image is None or record is None:
            scene = compose(self.seed, index, self.options)
            record = self._remember(index, scene)
            image = torch.from_numpy(np.array(scene.paint())).permute(2, 0, 1).contiguous()
            if len(self._paintings) < self._kept:
                self._paintings[index] = image
        return record.with_image(image.clone())  # a caller may draw on it

    def record(self, index: int) -> Record:
        """Boxes and size of a scene, laid out but not painted, and remembered."""
        known = self._records.get(self._checked(index))
        return known or self._remember(index, compose(self.seed, index, self.options))

    def to_coco(self) -> dict[str, Any]:
        """Ground truth as COCO has it; category ids are labels + 1, areas those of the boxes."""
        categories = {label + 1: name for label, name in enumerate(self.class_names)}
        return coco_of_records(map(self.record, range(len(self))), categories)

    def _checked(self, index: int) -> int:
        """The index, if there is such a scene; iteration by index ends here."""
        if not 0 <= index < self.count:
            raise IndexError(f"scene {index} of {self.count}")
        return index

    def _remember(self, index: int, scene: Scene) -> Record:
        boxes, labels = torch.from_numpy(scene.boxes), torch.from_numpy(scene.labels)
        ignore = torch.zeros(len(labels), dtype=torch.bool)
        name = f"scene_{self.seed}_{index:06d}.jpg"
        record = Record(boxes, labels, ignore, self.options.size, image_id=index + 1, name=name)
        self._records[index] = record
        return record


def write_scenes(
    folder: Path, count: int = 400, seed: int = 0, size: int | tuple[int, int] = 320, val_count: int = 100
) -> None:
    """Save scenes as a COCO data set: train.json, val.json and images/, made where missing.

    Args:
        folder: where to.
        count: number of training pictures.
        seed: of the training pictures; the others take theirs from far beyond, as `open_data("scenes")` does.
        size: side of the pictures, or (h, w).
        val_count: number of validation pictures.
    """
    images = folder / "images"
    images.mkdir(parents=True, exist_ok=True)
    splits = {"train": Scenes(count, seed, size), "val": Scenes(val_count, seed + SCENES_VAL_SEED, size)}
    for split, scenes in splits.items():
        for index in range(len(scenes)):
            picture = compose(scenes.seed, index, scenes.options).paint()
            picture.save(images / scenes.record(index).name, quality=92, subsampling=0)
        (folder / f"{split}.json").write_text(json.dumps(scenes.to_coco()), encoding="utf-8")
