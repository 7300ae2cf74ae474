"""What is measured of a trained network: figures of its last weights, and what its assigner gives the boxes.

The weights of the last epoch are compared, averaged where the run averages, and not those of the best epoch, which
would be chosen by the very pictures that they are compared on.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from dsla.analysis import score_iou_spearman
from dsla.assign import Assignment, Predictions
from dsla.config import Config
from dsla.data import Batch, DataSplits, DetectionData, Resize, val_loader
from dsla.data.subset import spread
from dsla.engine.device import pick_device
from dsla.engine.evaluate import evaluate
from dsla.engine.files import write_atomically
from dsla.engine.tiled import settle_tiles
from dsla.models import Detector

FIGURES = ("AP", "AP50", "AP75", "APs", "APm", "APl")
PICTURES = 200
"""Training pictures on which positives are counted, at most."""


def measure_run(config: Config, splits: DataSplits, folder: Path) -> None:
    """Write `last_detections.json` and `measures.json` of a finished training.

    Args:
        config: its settings.
        splits: its pictures.
        folder: of the run; `last.ckpt` and `results.json` are there.
    """
    config, splits = settle_tiles(config, splits)
    assert splits.val is not None
    results = json.loads((folder / "results.json").read_text(encoding="utf-8"))
    detector = last_weights(config, len(splits.train.class_names), folder)
    if results["best_epoch"] == config.train.epochs:  # the last weights are the best ones, which are measured
        rows = json.loads((folder / "detections.json").read_text(encoding="utf-8"))
        measures: dict[str, Any] = {name: results[name] for name in FIGURES}
    else:
        evaluation, rows = evaluate(
            detector,
            splits.val,
            batch=config.data.batch,
            workers=config.data.workers,
            resize=Resize(config.data.imgsz, config.data.shorter),
            decoding=config.inference,
            tiling=config.data.tiling,
        )
        measures = {name: getattr(evaluation, name) for name in FIGURES}
    measures["spearman"] = score_iou_spearman(splits.val.to_coco(), rows)
    measures |= count_positives(config, detector, splits.train)
    measures |= {"assign_ms": None, "assign_mb": None, "train_seconds": results["train_seconds"]}
    write_json(folder / "last_detections.json", rows)
    write_json(folder / "measures.json", measures)


def last_weights(config: Config, classes: int, folder: Path) -> Detector:
    """The detector of a run's last epoch, ready for evaluation on the run's device."""
    point = torch.load(folder / "last.ckpt", map_location="cpu", weights_only=True)
    state = {
        name.removeprefix("detector."): value
        for name, value in point["state_dict"].items()
        if name.startswith("detector.")
    }
    detector = config.build_detector(classes, weights="none")
    detector.load_state_dict(state)
    return detector.to(pick_device(config.train.device)).eval()


def count_positives(config: Config, detector: Detector, data: DetectionData) -> dict[str, float | None]:
    """Positives a box, and the share of boxes without any, over training pictures that are not augmented."""
    positives = boxes = without = 0
    resize = Resize(config.data.imgsz, config.data.shorter)
    some = spread(data, PICTURES)
    for batch in val_loader(some, batch=config.data.batch, workers=config.data.workers, resize=resize):
        counts = torch.bincount(assignment_of(config, detector, batch)().gt.cpu(), minlength=len(batch.truth))
        counts = counts[~batch.truth.ignore]
        positives += int(counts.sum())
        without += int((counts == 0).sum())
        boxes += len(counts)
    return {
        "positives_per_box": positives / boxes if boxes else None,
        "boxes_without_point": without / boxes if boxes else None,
    }


@torch.no_grad()
def assignment_of(config: Config, detector: Detector, batch: Batch) -> Callable[[], Assignment]:
    """The assignment of a batch with what the detector says of it, ready to be called."""
    there = batch.to(next(detector.parameters()).device)
    output = detector(detector.preprocess(there.images, there.sizes))
    said = Predictions(output.logits, output.ltrb)
    return lambda: config.assigner(output.points, there.truth, said)


def write_json(path: Path, tree: Any) -> None:
    """Write a json file, whole or not at all."""
    text = json.dumps(tree, indent=1 if isinstance(tree, dict) else None)
    write_atomically(path, lambda file: file.write(text.encode()))
