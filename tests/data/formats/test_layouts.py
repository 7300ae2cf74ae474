"""One data set in every format and layout: the same boxes, order, labels, ignore regions, and losses of first steps."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from commands import TINY
from layouts import LAYOUTS, Splits
from PIL import Image

from dsla.config import Config, override, parse_assignments
from dsla.data import DataSplits, DetectionData, Resize, open_data, train_loader
from dsla.recipes import recipe

NAMES = {
    "train": ("a.png", "b-2.jpg", "b.png", "c.JPG", "d.png", "e.webp"),
    "val": ("f.png", "g.png"),
    "test": ("h.png",),
}
TURNED, EMPTY, HARD = "b-2.jpg", "d.png", ("c.JPG", "g.png")


@pytest.fixture(scope="module")
def pictures(tmp_path_factory) -> Path:
    """Nine pictures of several sizes and kinds; one is stored on its side, and EXIF says so."""
    folder = tmp_path_factory.mktemp("pictures")
    rng = np.random.default_rng(5)
    for split in NAMES.values():
        for number, name in enumerate(split):
            height, width = 40 + 8 * number, 64 - 4 * number
            image = Image.fromarray(rng.integers(0, 256, (height, width, 3), dtype=np.uint8))
            tag = Image.Exif()
            if name == TURNED:
                image, tag[0x0112] = image.transpose(Image.Transpose.ROTATE_90), 6
            image.save(folder / name, exif=tag)
    return folder


@pytest.fixture(scope="module")
def splits() -> Splits:
    """What is in them, as COCO: whole numbers, a picture without boxes, and ignore regions."""
    rng = np.random.default_rng(6)
    found: Splits = {}
    for split, names in NAMES.items():
        images, boxes = [], []
        for number, name in enumerate(names):
            height, width = 40 + 8 * number, 64 - 4 * number
            images.append({"id": number + 1, "file_name": name, "width": width, "height": height})
            for count in range(0 if name == EMPTY else 3):
                x, y = (0, 0) if count == 0 else rng.integers(1, 20, 2).tolist()
                w, h = rng.integers(5, 20, 2).tolist()
                hard = int(count == 2 and name in HARD)
                boxes.append(
                    {
                        "image_id": number + 1,
                        "category_id": int(rng.integers(1, 4)),
                        "bbox": [x, y, w, h],
                        "iscrowd": hard,
                    }
                )
        annotations = [{"id": key, **box} for key, box in enumerate(boxes, start=1)]
        categories = [{"id": key, "name": name} for key, name in ((3, "owl"), (1, "cat"), (2, "dog"))]
        found[split] = {"images": images, "annotations": annotations, "categories": categories}
    return found


def plain(splits: Splits) -> Splits:
    """What YOLO can say: the same without ignore regions."""
    return {
        split: {**content, "annotations": [{**each, "iscrowd": 0} for each in content["annotations"]]}
        for split, content in splits.items()
    }


@pytest.fixture(scope="module")
def as_coco(pictures, splits, tmp_path_factory) -> dict[bool, DataSplits]:
    """The data set as a plain COCO folder, with ignore regions and without."""
    return {
        crowds: open_data(LAYOUTS["coco_plain"](tmp_path_factory.mktemp("coco"), pictures, content))
        for crowds, content in ((True, splits), (False, plain(splits)))
    }


def settings() -> Config:
    return override(recipe(), parse_assignments([*TINY, "data.batch=2"]), "test")


def first_losses(data: DetectionData) -> list[float]:
    """Losses of three steps of plain SGD, augmented."""
    config = settings()
    torch.manual_seed(0)
    detector = config.build_detector(len(data.class_names)).train()
    optimizer = torch.optim.SGD(detector.parameters(), lr=0.01)
    criterion = config.build_criterion()
    augment, resize = config.data.augment, Resize(config.data.imgsz)
    losses: list[float] = []
    for batch in train_loader(data, batch=2, workers=0, augment=augment, resize=resize, seed=0):
        output = detector(detector.preprocess(batch.images, batch.sizes))
        loss = criterion(output, batch.truth, 0.0).total
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


@pytest.fixture(scope="module")
def coco_losses(as_coco) -> dict[bool, list[float]]:
    losses = {crowds: first_losses(data.train) for crowds, data in as_coco.items()}
    assert len(losses[True]) == 3 and losses[True] != losses[False], "ignore regions matter"
    return losses


def same(one: DetectionData, other: DetectionData) -> None:
    assert len(one) == len(other)
    assert one.class_names == other.class_names == ("cat", "dog", "owl")
    for index in range(len(one)):
        mine, its = one.sample(index), other.sample(index)
        assert Path(mine.name).name == Path(its.name).name, "in the same order"
        assert mine.original_size == its.original_size
        for part in ("image", "boxes", "labels", "ignore"):
            assert torch.equal(getattr(mine, part), getattr(its, part)), (mine.name, part)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_is_the_same_data_set(layout, pictures, splits, as_coco, coco_losses, tmp_path):
    crowds = not layout.startswith("yolo")
    opened = open_data(LAYOUTS[layout](tmp_path / "data", pictures, splits))
    expected = as_coco[crowds]
    assert opened.kind == layout.split("_")[0]
    assert opened.val is not None and opened.test is not None and expected.val is not None
    same(opened.train, expected.train)
    same(opened.val, expected.val)
    same(opened.part("test"), expected.part("test"))
    assert first_losses(opened.train) == coco_losses[crowds]


def test_boxes_of_the_turned_picture_are_upright(as_coco):
    """The fixture is worth something: the picture is stored on its side."""
    sample = as_coco[True].train.sample(NAMES["train"].index(TURNED))
    with Image.open(sample.name) as stored:
        assert stored.size == (sample.size[0], sample.size[1]) == sample.size


def truth(data: DetectionData) -> list[Any]:
    content = data.to_coco()
    return [[each["category_id"], *each["bbox"], each["iscrowd"]] for each in content["annotations"]]


def test_ground_truth_for_evaluation_is_the_same(pictures, splits, as_coco, tmp_path):
    voc = open_data(LAYOUTS["voc_devkit"](tmp_path / "data", pictures, splits))
    assert voc.val is not None and as_coco[True].val is not None
    assert truth(voc.val) == truth(as_coco[True].val)
