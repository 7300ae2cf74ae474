"""Small data sets without a fault, in every format, for tests to spoil.

Four pictures to train on and two to validate, each with a cat and a dog at places of their own.
"""

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

WIDTH, HEIGHT = 80, 60
CLASSES = ("cat", "dog")
COUNTS = {"train": 4, "val": 2}
SIDES = ((14, 18), (20, 12))  # of a cat and a dog


def picture(seed: int, size: tuple[int, int] = (WIDTH, HEIGHT)) -> Image.Image:
    """A picture of soft blots in colour, like no other of another seed."""
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(0, 256, (6, 8, 3), dtype=np.uint8))
    return coarse.resize(size, Image.Resampling.BICUBIC)


def boxes(seed: int) -> list[tuple[int, int, int, int]]:
    """x, y, width, height of the cat and of the dog."""
    rng = np.random.default_rng(1000 + seed)
    places = [
        (int(rng.integers(2, 20)), int(rng.integers(2, 40))),
        (int(rng.integers(40, 58)), int(rng.integers(2, 46))),
    ]
    return [(x, y, w, h) for (x, y), (w, h) in zip(places, SIDES, strict=True)]


def seeds(split: str) -> list[int]:
    """What the pictures of a split are made from."""
    first = 1 if split == "train" else 11
    return list(range(first, first + COUNTS[split]))


@dataclass
class CocoSet:
    """A COCO data set whose jsons are written by `save`."""

    folder: Path
    train: dict[str, Any]
    val: dict[str, Any]

    @property
    def images(self) -> Path:
        """The folder of the pictures."""
        return self.folder / "images"

    def add_box(self, box: Any, image: int = 1, category: int = 1, **more: Any) -> dict[str, Any]:
        """Add an annotation to training."""
        record = {"id": 900 + len(self.train["annotations"]), "image_id": image, "category_id": category, "bbox": box}
        self.train["annotations"].append(record | more)
        return self.train["annotations"][-1]

    def replace_picture(self, write: Callable[[Path], object], name: str = "1.png", rename: str | None = None) -> Path:
        """Write another file in the place of a training picture, under another name where one is given."""
        (self.images / name).unlink()
        path = self.images / (rename or name)
        write(path)
        next(image for image in self.train["images"] if image["file_name"] == name)["file_name"] = path.name
        return path

    def save(self) -> None:
        """Write train.json, and val.json unless it was emptied."""
        (self.folder / "train.json").write_text(json.dumps(self.train))
        if self.val:
            (self.folder / "val.json").write_text(json.dumps(self.val))


def plain_coco(folder: Path) -> CocoSet:
    """A COCO data set; its jsons are not written yet."""
    (folder / "images").mkdir(parents=True)
    return CocoSet(folder, _coco_split(folder, "train"), _coco_split(folder, "val"))


def _coco_split(folder: Path, split: str) -> dict[str, Any]:
    images, annotations = [], []
    for seed in seeds(split):
        picture(seed).save(folder / "images" / f"{seed}.png")
        images.append({"id": seed, "file_name": f"{seed}.png", "width": WIDTH, "height": HEIGHT})
        for category, box in enumerate(boxes(seed), start=1):
            annotations.append(
                {"id": 10 * seed + category, "image_id": seed, "category_id": category, "bbox": list(box)}
            )
    categories = [{"id": key, "name": name} for key, name in enumerate(CLASSES, start=1)]
    return {"images": images, "annotations": annotations, "categories": categories}


def plain_yolo(folder: Path) -> Path:
    """A YOLO data set with a data.yaml; returns its folder."""
    for split in COUNTS:
        for seed in seeds(split):
            for kind in ("images", "labels"):
                (folder / kind / split).mkdir(parents=True, exist_ok=True)
            picture(seed).save(folder / "images" / split / f"{seed}.png")
            lines = [yolo_line(category, box) for category, box in enumerate(boxes(seed))]
            (folder / "labels" / split / f"{seed}.txt").write_text("".join(lines))
    names = "\n".join(f"  {key}: {name}" for key, name in enumerate(CLASSES))
    (folder / "data.yaml").write_text(f"path: .\ntrain: images/train\nval: images/val\nnames:\n{names}\n")
    return folder


def yolo_line(category: int, box: tuple[float, float, float, float]) -> str:
    """A line of a label file for a box in pixels."""
    x, y, w, h = box
    numbers = ((x + w / 2) / WIDTH, (y + h / 2) / HEIGHT, w / WIDTH, h / HEIGHT)
    return f"{category} " + " ".join(f"{number:.8f}" for number in numbers) + "\n"


def plain_voc(folder: Path) -> Path:
    """A Pascal VOC data set with ImageSets; returns its folder."""
    for name in ("JPEGImages", "Annotations", "ImageSets/Main"):
        (folder / name).mkdir(parents=True)
    for split in COUNTS:
        (folder / "ImageSets" / "Main" / f"{split}.txt").write_text("".join(f"{seed}\n" for seed in seeds(split)))
        for seed in seeds(split):
            picture(seed).save(folder / "JPEGImages" / f"{seed}.jpg", quality=95)
            objects = "".join(voc_object(name, box) for name, box in zip(CLASSES, boxes(seed), strict=True))
            (folder / "Annotations" / f"{seed}.xml").write_text(voc_file(f"{seed}.jpg", objects))
    return folder


def voc_object(name: str, box: tuple[int, int, int, int], extra: str = "<difficult>0</difficult>") -> str:
    """An object of an annotation file; corners count from 1 and both belong to the box."""
    x, y, w, h = box
    corners = f"<xmin>{x + 1}</xmin><ymin>{y + 1}</ymin><xmax>{x + w}</xmax><ymax>{y + h}</ymax>"
    return f"<object><name>{name}</name>{extra}<bndbox>{corners}</bndbox></object>\n"


def voc_file(name: str, objects: str, width: int = WIDTH, height: int = HEIGHT) -> str:
    """An annotation file."""
    size = f"<size><width>{width}</width><height>{height}</height><depth>3</depth></size>"
    return f"<annotation><filename>{name}</filename>{size}\n{objects}</annotation>\n"


def copy(source: Path, target: Path) -> None:
    """Copy a file byte for byte."""
    shutil.copyfile(source, target)
