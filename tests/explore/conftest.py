"""A small data set and an untrained model that finds something everywhere, for the explorer's tests."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from commands import tiny_flags
from PIL import Image

from dsla.config import override, parse_assignments
from dsla.engine.modelfile import save_model
from dsla.recipes import recipe

CLASSES = ("cat", "dog")


def write_data(folder: Path, boxes: dict[str, list[list[float]]], size: tuple[int, int] = (240, 320)) -> None:
    """Write a COCO folder: picture names with xywh boxes, classes in turn; the last box of `crowd.png` is a crowd."""
    (folder / "images").mkdir(parents=True)
    rng = np.random.default_rng(0)
    images, annotations = [], []
    for number, (name, its) in enumerate(boxes.items(), 1):
        noise = rng.integers(0, 256, (*(side // 8 for side in size), 3), np.uint8)
        Image.fromarray(noise).resize(size[::-1]).save(folder / "images" / name)
        images.append({"id": number, "file_name": name, "height": size[0], "width": size[1]})
        for place, box in enumerate(its):
            crowd = int(name == "crowd.png" and place == len(its) - 1)
            annotations.append(
                {
                    "id": len(annotations) + 1, "image_id": number, "category_id": 1 + place % 2, "bbox": box,
                    "area": box[2] * box[3], "iscrowd": crowd,
                }
            )  # fmt: skip
    categories = [{"id": label + 1, "name": name} for label, name in enumerate(CLASSES)]
    tree = {"images": images, "annotations": annotations, "categories": categories}
    for split in ("train", "val"):
        (folder / f"{split}.json").write_text(json.dumps(tree))


@pytest.fixture(scope="session")
def data(tmp_path_factory) -> Path:
    """Pictures with 2 boxes, 50 boxes, a crowd, and none."""
    rng = np.random.default_rng(1)
    many = [[*rng.uniform(0, (280, 200)), *rng.uniform(14, 60, 2)] for _ in range(50)]
    many = [[round(float(v), 1) for v in (x, y, min(w, 318 - x), min(h, 238 - y))] for x, y, w, h in many]
    folder = tmp_path_factory.mktemp("explore") / "pets"
    boxes = {
        "two.png": [[20, 30, 100, 90], [200, 120, 60, 40]],
        "many.png": many,
        "crowd.png": [[30, 40, 80, 80], [180, 60, 120, 150]],
        "none.png": [],
    }
    write_data(folder, boxes)
    return folder


@pytest.fixture(scope="session")
def model(tmp_path_factory) -> Path:
    """An untrained tiny network whose every score lies near 0.3."""
    settings = override(recipe(), parse_assignments([*tiny_flags()[1::2], "model.prior=0.3", "data.imgsz=160"]), "test")
    torch.manual_seed(3)
    path = tmp_path_factory.mktemp("model") / "pets.safetensors"
    described = {"config": settings.model_dump(mode="json"), "class_names": CLASSES, "preprocessing": {"imgsz": 160}}
    save_model(path, settings.build_detector(len(CLASSES)).state_dict(), **described)
    return path
