"""What a detector chooses from: all boxes before NMS, and how its scores differ between neighbouring points.

Pictures are taken batch by batch. What stays of one is its boxes over a score of 0.001 and a handful of sums over pairs
of neighbours, so that memory follows the answers and not the points.
"""

from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from typing import Any

import numpy as np
import torch

from dsla.analysis import LABELS, Adjacency, Answers, Candidates, FoundBoxes, compare_neighbours
from dsla.assign import DSLA, FCOS, AnyAssigner, Assignment, Predictions
from dsla.config import Config
from dsla.data import Batch, DetectionData, Resize, val_loader
from dsla.engine.predictor import Predictor
from dsla.errors import ConfigError
from dsla.models import Decoding, detect
from dsla.models.head import HeadOutput
from dsla.recipes import recipe

SCORE = 0.001
"""Candidates score more than this."""
_SHARED = ("center_radius", "reach", "ranges", "cover")
_ALL = 2**31


def read_answers(
    predictor: Predictor,
    data: DetectionData,
    *,
    batch: int = 8,
    workers: int = 0,
    progress: Callable[[int], object] | None = None,
) -> tuple[Answers, dict[str, list[Adjacency]]]:
    """Run a detector over pictures and keep what the analysis needs.

    Args:
        predictor: the model.
        data: pictures with true boxes; classes and truth as `predictor.data_for` gives them.
        batch: pictures at a time.
        workers: processes that load pictures; 0 loads in this one.
        progress: called after each batch with the number of pictures done.

    Raises:
        ConfigError: the model finds things by tiles, and a picture is larger than one.

    Returns the answers, numbered as `analysis.true_boxes` numbers `data.to_coco()`, and for each of `analysis.LABELS`
    the comparison of neighbours on each picture, in the order of picture ids.
    """
    data = predictor.data_for(data)
    truth = data.to_coco()
    _refuse_tiles(predictor, truth)
    pictures = _numbers(truth["images"])
    label_of = _label_numbers(truth, data.class_names)
    parts: list[FoundBoxes] = []
    neighbours: dict[str, list[Adjacency | None]] = {name: [None] * len(pictures) for name in LABELS}
    assigners = label_assigners(predictor.config)
    decoding = replace(predictor.config.inference, score_threshold=SCORE, nms_iou=None, max_detections=_ALL)
    resize = Resize(predictor.config.data.imgsz, predictor.config.data.shorter)
    detector, done = predictor.detector, 0
    with torch.no_grad():
        for loaded in val_loader(data, batch=batch, workers=workers, resize=resize):
            there = loaded.to(predictor.device)
            output = detector(detector.preprocess(there.images, there.sizes))
            numbers = np.array([pictures[number] for number in loaded.image_ids], dtype=np.int64)
            parts += _boxes(output, there, decoding, numbers, label_of)
            for name, assigner in assigners.items():
                found = assigner(output.points, there.truth, Predictions(output.logits, output.ltrb))
                compared = _neighbours(output, there, found)
                for number, one in zip(numbers.tolist(), compared, strict=True):
                    neighbours[name][number] = one
            done += len(loaded)
            if progress is not None:
                progress(done)
    inference = predictor.config.inference
    candidates = Candidates(
        _joined(parts), inference.nms_iou, max(inference.score_threshold, SCORE), inference.max_detections
    )
    known = {name: [one for one in each if one is not None] for name, each in neighbours.items()}
    return Answers.chosen_from(candidates), known


def _refuse_tiles(predictor: Predictor, truth: Mapping[str, Any]) -> None:
    """What NMS chose from, and labels, are those of a view of the network; a picture of several has no one answer."""
    tiling = predictor.config.data.tiling
    cut = [image for image in truth["images"] if tiling is not None and tiling.cuts((image["height"], image["width"]))]
    if cut and tiling is not None:
        raise ConfigError(
            f"{predictor.file.path}: finds things by tiles of {tiling.side} px, and {len(cut)} of "
            f"{len(truth['images'])} pictures are larger, first {cut[0]['file_name']}. Analyse it on tiles, which "
            f"`dsla shards DATA OUT --tile {tiling.side}` writes, or its results: the detections.json of its run"
        )


def label_assigners(config: Config) -> dict[str, AnyAssigner]:
    """Whose labels neighbours are compared by: the model's own, FCOS's hard ones, and DSLA's with all its switches.

    Ranges, centre sampling and coverage are those of the model's assigner, or of its recipe where it has none.
    """
    shared: dict[str, Any] = {}
    sources: list[AnyAssigner] = []
    try:
        sources.append(recipe(config.recipe).assigner)
    except ConfigError:  # a model made by other code may name a recipe that is not known here
        sources.append(DSLA())
    sources.append(config.assigner)
    for source in sources:
        shared |= {field.name: getattr(source, field.name) for field in fields(source) if field.name in _SHARED}
    return {"own": config.assigner, "hard": FCOS(**shared), "dsla": DSLA(**shared)}


def _boxes(
    output: HeadOutput, batch: Batch, decoding: Decoding, numbers: np.ndarray, label_of: np.ndarray
) -> list[FoundBoxes]:
    """Candidates of each picture, in its own pixels."""
    parts: list[FoundBoxes] = []
    for index, found in enumerate(detect(output, batch.sizes, decoding)):
        boxes = batch.boxes_to_picture(index, found.boxes).cpu().numpy().astype(np.float64)
        score = found.scores.cpu().numpy().astype(np.float64)
        label = label_of[found.labels.cpu().numpy()]
        parts.append(FoundBoxes(boxes, score, label, np.full(len(score), numbers[index], dtype=np.int64)))
    return parts


def _neighbours(output: HeadOutput, batch: Batch, found: Assignment) -> list[Adjacency]:
    """Compare neighbouring points of each picture of a batch by the labels of one assigner."""
    scores = output.logits.float().sigmoid().cpu().numpy()
    image, point = found.image.cpu().numpy(), found.point.cpu().numpy().astype(np.int64)
    label = batch.truth.labels.cpu().numpy()[found.gt.cpu().numpy()].astype(np.int64)
    target = found.score.double().cpu().numpy()
    ignored = found.ignored.cpu().numpy()
    compared: list[Adjacency] = []
    for index in range(len(batch)):
        its = image == index
        compared.append(
            compare_neighbours(output.points.sizes, scores[index], point[its], label[its], target[its], ignored[index])
        )
    return compared


def _joined(parts: list[FoundBoxes]) -> FoundBoxes:
    """All boxes, by picture."""
    if not parts:
        none = np.zeros(0, dtype=np.int64)
        return FoundBoxes(np.zeros((0, 4)), np.zeros(0), none, none)
    parts = sorted(parts, key=lambda part: int(part.picture[0]) if len(part) else -1)
    return FoundBoxes(
        np.concatenate([part.boxes for part in parts]),
        np.concatenate([part.score for part in parts]),
        np.concatenate([part.label for part in parts]),
        np.concatenate([part.picture for part in parts]),
    )


def _numbers(entries: list[Mapping[str, Any]]) -> dict[int, int]:
    return {number: index for index, number in enumerate(sorted(entry["id"] for entry in entries))}


def _label_numbers(truth: Mapping[str, Any], class_names: tuple[str, ...]) -> np.ndarray:
    """Index in the truth, where classes are in the order of their ids, of each of the data's classes."""
    ids = {category["name"]: category["id"] for category in truth["categories"]}
    index = _numbers(truth["categories"])
    return np.array([index[ids[name]] for name in class_names], dtype=np.int64)
