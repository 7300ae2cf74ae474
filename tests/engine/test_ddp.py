"""Several processes train and evaluate as one does with the same global batch."""

import csv
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from commands import TINY
from ddp import train_in_processes
from PIL import Image

from dsla.config import Config, override, parse_assignments
from dsla.data import open_data
from dsla.data.epoch import EpochBatches
from dsla.engine.train import train
from dsla.methods import with_assigner
from dsla.recipes import recipe

BATCH, EPOCHS, PICTURES = 4, 10, 10  # 20 steps
SIZES = ((96, 64), (64, 96), (96, 30), (80, 96))  # width, height: padded to different canvases


def settings(assigner: str, *words: str) -> Config:
    """The tiny network with plain SGD: AdamW makes a whole step of the rounding of a gradient near zero."""
    run = (f"train.epochs={EPOCHS}", f"train.evaluate_every={EPOCHS}", "optim.name=sgd", "optim.lr=0.01")
    changes = parse_assignments([*TINY, "data.imgsz=96", f"data.batch={BATCH}", *run, *words])
    return override(with_assigner(recipe(), assigner), changes, "test")


CONFIGS = {
    "dsla": settings("dsla"),
    "fcos": settings(
        "fcos", "data.group_by_ratio=true", "train.accumulate=2", "train.epochs=20", "train.evaluate_every=20"
    ),
    "tiles": settings("dsla", "data.tile=60", "train.epochs=4", "train.evaluate_every=4"),
}


def write_split(folder: Path, split: str, count: int, boxed: Sequence[int]) -> None:
    """Noise with bright rectangles that fill most of the picture; only pictures of `boxed` have any."""
    rng = np.random.default_rng(len(split))
    images, annotations = [], []
    for index in range(count):
        width, height = SIZES[index % len(SIZES)]
        pixels = rng.integers(0, 60, (height, width, 3), dtype=np.uint8)
        if index in boxed:
            x, y = (int(v) for v in rng.integers(0, 8, 2))
            w, h = width - x - int(rng.integers(1, 10)), height - y - int(rng.integers(1, 10))
            pixels[y : y + h, x : x + w] += 150
            box = {"id": index, "image_id": index, "category_id": 1 + index % 2, "bbox": [x, y, w, h], "area": w * h}
            annotations.append(box | {"iscrowd": 0})
        name = f"{split}{index}.png"
        images.append({"id": index, "file_name": name, "width": width, "height": height})
        Image.fromarray(pixels).save(folder / name)
    categories = [{"id": 1, "name": "one"}, {"id": 2, "name": "two"}]
    tree = {"images": images, "annotations": annotations, "categories": categories}
    (folder / f"{split}.json").write_text(json.dumps(tree))


@pytest.fixture(scope="module")
def pictures(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("pictures")
    write_split(folder, "train", PICTURES, boxed=(1, 2, 5, 6))
    write_split(folder, "val", 7, boxed=range(6))
    return folder


@pytest.fixture(scope="module")
def alone(pictures, tmp_path_factory) -> Path:
    """Runs of one process."""
    folder = tmp_path_factory.mktemp("alone")
    for name, config in CONFIGS.items():
        train(config, open_data(pictures), folder / name)
    return folder


@pytest.fixture(scope="module", params=[2, 4])
def several(pictures, tmp_path_factory, request) -> Path:
    """The same by two and by four."""
    folder = tmp_path_factory.mktemp(f"processes{request.param}")
    jobs = [
        (override(config, {"train": {"devices": request.param}}, "test"), pictures, folder / name)
        for name, config in CONFIGS.items()
    ]
    train_in_processes(request.param, jobs)
    return folder


def weights(run: Path) -> dict[str, torch.Tensor]:
    return torch.load(run / "last.ckpt", weights_only=True)["current_model_state"]


def losses(run: Path) -> list[list[float]]:
    with (run / "metrics.csv").open() as file:
        return [[float(row[key]) for key in row if key.startswith("train/")] for row in csv.DictReader(file)]


@pytest.mark.parametrize("world", [2, 4])
def test_some_processes_see_no_box_in_some_steps(pictures, world):
    """What the other tests are about does occur."""
    data = open_data(pictures).train
    steps = [
        [sum(len(data.record(index).boxes) for _, index in part) for part in parts]
        for parts in zip(*(EpochBatches(PICTURES, BATCH, 0, rank=r, world=world) for r in range(world)), strict=True)
    ]
    assert any(min(boxes) == 0 < max(boxes) for boxes in steps)


@pytest.mark.parametrize("name", CONFIGS)
def test_processes_learn_what_one_learns(several, alone, name):
    one, other = weights(alone / name), weights(several / name)
    torch.manual_seed(0)
    start = CONFIGS[name].build_detector(2).state_dict()
    assert max(float((one[f"detector.{key}"] - value).abs().max()) for key, value in start.items()) > 1e-2
    for key, value in one.items():
        torch.testing.assert_close(other[key], value, rtol=0, atol=1e-5, msg=lambda text, key=key: f"{key}: {text}")
    np.testing.assert_allclose(losses(several / name), losses(alone / name), rtol=1e-3)


@pytest.mark.parametrize("name", CONFIGS)
def test_processes_measure_what_one_measures(several, name):
    """The run's own figures, from all processes, beside those of the kept file, from one: the same weights."""
    results = json.loads((several / name / "results.json").read_text())
    assert results["best_epoch"] == results["epochs"]
    assert 0 < results["AP"] < 1
    assert {key: results[key] for key in results["last_epoch"]} == results["last_epoch"]
