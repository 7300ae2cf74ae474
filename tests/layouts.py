"""One data set written in every format and layout that is read, for tests that they all come to the same."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

Json = dict[str, Any]
Splits = dict[str, Json]
Write = Callable[[Path, Path, Splits], Path]


def _link(pictures: Path, name: str, to: Path) -> None:
    to.parent.mkdir(parents=True, exist_ok=True)
    if to.exists():
        return
    try:
        os.link(pictures / name, to)
    except OSError:
        shutil.copy(pictures / name, to)


def _json(path: Path, content: Json) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content), encoding="utf-8")


def _boxes(content: Json, image: Json) -> list[Json]:
    return [each for each in content["annotations"] if each["image_id"] == image["id"]]


def _row(content: Json) -> dict[int, int]:
    return {each["id"]: row for row, each in enumerate(sorted(content["categories"], key=lambda each: each["id"]))}


def _names(splits: Splits) -> list[str]:
    return [each["name"] for each in sorted(splits["train"]["categories"], key=lambda each: each["id"])]


# COCO


def coco_plain(root: Path, pictures: Path, splits: Splits) -> Path:
    """train.json, val.json, test.json and images/."""
    for split, content in splits.items():
        _json(root / f"{split}.json", content)
        for image in content["images"]:
            _link(pictures, image["file_name"], root / "images" / image["file_name"])
    return root


def coco_beside(root: Path, pictures: Path, splits: Splits) -> Path:
    """validation.json, and pictures beside."""
    names = {"val": "validation"}
    for split, content in splits.items():
        _json(root / f"{names.get(split, split)}.json", content)
        for image in content["images"]:
            _link(pictures, image["file_name"], root / image["file_name"])
    return root


def coco_2017(root: Path, pictures: Path, splits: Splits) -> Path:
    """annotations/instances_train2017.json and train2017/, beside other annotations."""
    for split, content in splits.items():
        _json(root / "annotations" / f"instances_{split}2017.json", content)
        _json(root / "annotations" / f"captions_{split}2017.json", {"images": [], "annotations": []})
        for image in content["images"]:
            _link(pictures, image["file_name"], root / f"{split}2017" / image["file_name"])
    return root


def coco_roboflow(root: Path, pictures: Path, splits: Splits) -> Path:
    """train/_annotations.coco.json with its pictures beside, and valid/."""
    names = {"val": "valid"}
    for split, content in splits.items():
        folder = root / names.get(split, split)
        _json(folder / "_annotations.coco.json", content)
        for image in content["images"]:
            _link(pictures, image["file_name"], folder / image["file_name"])
    return root


def coco_folders(root: Path, pictures: Path, splits: Splits) -> Path:
    """train/labels.json and train/images/."""
    for split, content in splits.items():
        _json(root / split / "labels.json", content)
        for image in content["images"]:
            _link(pictures, image["file_name"], root / split / "images" / image["file_name"])
    return root


# YOLO


def _yolo_line(image: Json, box: Json, row: dict[int, int]) -> str:
    x, y, width, height = box["bbox"]
    shares = (x + width / 2) / image["width"], (y + height / 2) / image["height"]
    sides = width / image["width"], height / image["height"]
    return " ".join(map(str, (row[box["category_id"]], *shares, *sides)))


def _yolo_split(images: Path, labels: Path, pictures: Path, content: Json, *, empty_files: bool = True) -> list[Path]:
    row, written = _row(content), []
    labels.mkdir(parents=True, exist_ok=True)
    for image in content["images"]:
        place = images / image["file_name"]
        _link(pictures, image["file_name"], place)
        lines = [_yolo_line(image, box, row) for box in _boxes(content, image)]
        if lines or empty_files:
            (labels / image["file_name"]).with_suffix(".txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
        written.append(place)
    return written


def _yaml(path: Path, tree: Json) -> Path:
    path.write_text(yaml.safe_dump(tree, sort_keys=False), encoding="utf-8")
    return path


def yolo_ultralytics(root: Path, pictures: Path, splits: Splits) -> Path:
    """data.yaml with names by index and an absolute path; images/train and labels/train."""
    for split, content in splits.items():
        _yolo_split(root / "images" / split, root / "labels" / split, pictures, content)
    tree = {"path": str(root), **{split: f"images/{split}" for split in splits}}
    _yaml(root / "data.yaml", {**tree, "names": dict(enumerate(_names(splits)))})
    return root


def yolo_roboflow(root: Path, pictures: Path, splits: Splits) -> Path:
    """train/images and train/labels, with the paths of Roboflow's data.yaml, which begin with a folder too high."""
    names = {"val": "valid"}
    tree: Json = {}
    for split, content in splits.items():
        folder = names.get(split, split)
        _yolo_split(root / folder / "images", root / folder / "labels", pictures, content, empty_files=False)
        tree[split] = f"../{folder}/images"
    return _yaml(root / "data.yaml", {**tree, "nc": len(_names(splits)), "names": _names(splits)})


def yolo_elsewhere(root: Path, pictures: Path, splits: Splits) -> Path:
    """A path that was right on another machine, lists of folders, and a name of its own for the file."""
    tree: Json = {"path": "/nowhere/on/this/machine"}
    for split, content in splits.items():
        half = -(-len(content["images"]) // 2)
        folders = []
        for part, images in (("a", content["images"][:half]), ("b", content["images"][half:])):
            if not images:
                continue
            _yolo_split(
                root / "images" / part / split, root / "labels" / part / split, pictures, {**content, "images": images}
            )
            folders.append(f"images/{part}/{split}")
        tree[split] = folders
    _yaml(root / "cells.yaml", {**tree, "names": _names(splits)})
    return root


def yolo_lists(root: Path, pictures: Path, splits: Splits) -> Path:
    """Lists of pictures that begin with ./, in any order."""
    tree: Json = {"path": "."}
    for split, content in splits.items():
        written = _yolo_split(root / "images", root / "labels", pictures, content)
        lines = [f"./{path.relative_to(root).as_posix()}" for path in reversed(written)]
        (root / f"{split}.txt").write_text("\n".join(lines), encoding="utf-8")
        tree[split] = f"{split}.txt"
    return _yaml(root / "dataset.yaml", {**tree, "names": _names(splits)})


def yolo_folder(root: Path, pictures: Path, splits: Splits) -> Path:
    """images/train, labels/train and classes.txt, where labelling tools leave it; no data.yaml."""
    for split, content in splits.items():
        _yolo_split(root / "images" / split, root / "labels" / split, pictures, content)
    (root / "labels" / "classes.txt").write_text("\n".join(_names(splits)) + "\n", encoding="utf-8")
    return root


def yolo_beside(root: Path, pictures: Path, splits: Splits) -> Path:
    """Label files beside the pictures, a folder a part; no data.yaml."""
    for split, content in splits.items():
        _yolo_split(root / split, root / split, pictures, content)
    (root / "classes.txt").write_text("\n".join(_names(splits)), encoding="utf-8")
    return root


# Pascal VOC


def _voc_xml(path: Path, content: Json, image: Json, first: int) -> None:
    names = {each["id"]: each["name"] for each in content["categories"]}
    objects = []
    for box in _boxes(content, image):
        x, y, width, height = box["bbox"]
        corners = zip(("xmin", "ymin", "xmax", "ymax"), (x + first, y + first, x + width, y + height), strict=True)
        inside = "".join(f"<{key}>{value:g}</{key}>" for key, value in corners)
        hard = int(bool(box.get("iscrowd") or box.get("ignore")))
        objects.append(
            f"<object><name>{names[box['category_id']]}</name><truncated>1</truncated>"
            f"<difficult>{hard}</difficult><bndbox>{inside}</bndbox></object>"
        )
    size = f"<size><width>{image['width']}</width><height>{image['height']}</height><depth>3</depth></size>"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        f'<?xml version="1.0"?>\n<annotation><filename>{image["file_name"]}</filename>\n{size}\n'
        + "\n".join(objects)
        + "\n</annotation>\n",
        encoding="utf-8",
    )


def voc_devkit(root: Path, pictures: Path, splits: Splits) -> Path:
    """VOC2012/Annotations, JPEGImages and ImageSets/Main, under the folder of the kit."""
    year = root / "VOC2012"
    (year / "ImageSets" / "Main").mkdir(parents=True)
    for split, content in splits.items():
        for image in content["images"]:
            _link(pictures, image["file_name"], year / "JPEGImages" / image["file_name"])
            _voc_xml(year / "Annotations" / f"{Path(image['file_name']).stem}.xml", content, image, 1)
        stems = [Path(image["file_name"]).stem for image in content["images"]]
        (year / "ImageSets" / "Main" / f"{split}.txt").write_text("\n".join(stems) + "\n", encoding="utf-8")
        (year / "ImageSets" / "Main" / f"dog_{split}.txt").write_text("\n".join(f"{stem} -1" for stem in stems))
    return root


def voc_folders(root: Path, pictures: Path, splits: Splits) -> Path:
    """xml files beside their pictures, a folder a part; corners counted from 0, as many tools write them."""
    for split, content in splits.items():
        for image in content["images"]:
            _link(pictures, image["file_name"], root / split / image["file_name"])
            _voc_xml(root / split / f"{Path(image['file_name']).stem}.xml", content, image, 0)
    return root


LAYOUTS: dict[str, Write] = {
    write.__name__: write
    for write in (
        coco_plain,
        coco_beside,
        coco_2017,
        coco_roboflow,
        coco_folders,
        yolo_ultralytics,
        yolo_roboflow,
        yolo_elsewhere,
        yolo_lists,
        yolo_folder,
        yolo_beside,
        voc_devkit,
        voc_folders,
    )
}
