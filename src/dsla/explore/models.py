"""What models say of pictures: maps at every point, detections, what suppression removed, and how wrong it is."""

from dataclasses import dataclass, replace
from threading import Event, Lock, Thread
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torchvision.ops import box_iou

from dsla.data.resize import Resize
from dsla.engine.label_maps import NetworkMaps, network_maps
from dsla.engine.picture_errors import PictureErrors, match_picture, picture_errors
from dsla.engine.predictor import Predictor
from dsla.engine.suppression import Suppression, trace_suppression
from dsla.errors import ConfigError, DslaError
from dsla.explore.pictures import Pictures
from dsla.explore.recall import Recall
from dsla.geometry import GroundTruth

FLOOR = 0.05  # detections that score less are not sent to the page


@dataclass(frozen=True, eq=False)
class Said:
    """One model's word on one picture at one size.

    Attributes:
        maps: at every point.
        trace: candidates, what is reported, and what removed the others; in pixels of the network's input.
        match: of each reported detection, by `match_picture`.
        iou: of each reported detection with the box that it matches, else 0.
        truth: the boxes at this size.
        scale: (sy, sx) from the picture's own pixels.
    """

    maps: NetworkMaps
    trace: Suppression
    match: Int[np.ndarray, " N"]
    iou: Float[np.ndarray, " N"]
    truth: GroundTruth
    scale: tuple[float, float]


@dataclass(frozen=True, eq=False)
class _Outcome:
    match: Int[np.ndarray, " N"]
    iou: Float[np.ndarray, " N"]
    scores: Float[np.ndarray, " N"]
    boxes: int


class Models:
    """Models by number, and their answers.

    Args:
        predictors: by the name that the page shows.
        pictures: of the data set.
    """

    def __init__(self, predictors: dict[str, Predictor], pictures: Pictures) -> None:
        self.names = tuple(predictors)
        self._predictors = tuple(predictors.values())
        self._pictures = pictures
        self._answers: Recall[Said] = Recall(48)
        self._one_at_a_time = Lock()
        self._surveys: dict[tuple[int, str], _Survey] = {}
        self._stop = Event()

    def predictor(self, model: int) -> Predictor:
        """A model by its number.

        Raises:
            ConfigError: there is none of that number.
        """
        if not 0 <= model < len(self._predictors):
            raise ConfigError(f"model {model}: there are {len(self._predictors)}, counted from 0")
        return self._predictors[model]

    def said(self, model: int, split: str, index: int, imgsz: int) -> Said:
        """A model's word on a picture; the last ones are kept."""
        predictor = self.predictor(model)
        self._pictures.record(split, index)
        return self._answers.get(
            (model, split, index, imgsz), lambda: self._ask(predictor, split, index, _resize(predictor, imgsz))
        )

    def survey(self, model: int, split: str, threshold: float) -> dict[str, Any]:
        """Errors of all pictures of a split, as far as they are known; asking for the first time begins the work."""
        self.predictor(model)
        part = self._pictures.part(split)
        with self._one_at_a_time:
            survey = self._surveys.get((model, split))
            if survey is None:
                survey = self._surveys[model, split] = _Survey(len(part))
                Thread(target=self._work, args=(survey, model, split), daemon=True).start()
        return survey.told(threshold)

    def close(self) -> None:
        """Let the work in the background end."""
        self._stop.set()

    def _work(self, survey: "_Survey", model: int, split: str) -> None:
        predictor = self.predictor(model)
        resize = Resize(predictor.config.data.imgsz, predictor.config.data.shorter)
        for index in range(survey.total):
            if self._stop.is_set():
                return
            try:
                said = self._ask(predictor, split, index, resize)
            except DslaError:  # a picture that cannot be read: the page says so when it is opened
                survey.outcomes[index] = None
                continue
            kept = said.trace.candidates.scores[said.trace.kept].numpy()
            count = int((~said.truth.ignore).sum())
            survey.outcomes[index] = _Outcome(said.match, said.iou, kept, count)

    def _ask(self, predictor: Predictor, split: str, index: int, resize: Resize) -> Said:
        sample = resize(self._pictures.part(split).sample(index))
        maps, output = network_maps(predictor.detector, sample, predictor.config.inference.score)
        decoding = replace(predictor.config.inference, score_threshold=FLOOR)
        trace = trace_suppression(output, sample.size, decoding)
        found = trace.candidates
        boxes, labels, scores = (each[trace.kept] for each in (found.boxes, found.labels, found.scores))
        truth = GroundTruth.collate([(sample.boxes, sample.labels, sample.ignore)])
        match = match_picture(
            truth.boxes.numpy(), truth.labels.numpy(), truth.ignore.numpy(),
            boxes.numpy(), labels.numpy(), scores.numpy(),
        )  # fmt: skip
        iou = np.zeros(len(match), np.float32)
        hit = match >= 0
        if hit.any():
            overlap = box_iou(boxes[torch.from_numpy(hit)], truth.boxes)
            iou[hit] = overlap[torch.arange(int(hit.sum())), torch.from_numpy(match[hit])].numpy()
        return Said(maps, trace, match, iou, truth, sample.scale)


class _Survey:
    """Outcomes of the pictures of a split, filled in by a thread."""

    def __init__(self, total: int) -> None:
        self.total = total
        self.outcomes: dict[int, _Outcome | None] = {}

    def told(self, threshold: float) -> dict[str, Any]:
        known = dict(self.outcomes)
        rows = [_errors(known.get(index), threshold) for index in range(self.total)]
        return {
            "done": len(known),
            "total": self.total,
            "missed": [row.missed if row else None for row in rows],
            "invented": [row.invented if row else None for row in rows],
            "error": [round(row.error, 4) if row else None for row in rows],
        }


def _errors(outcome: _Outcome | None, threshold: float) -> PictureErrors | None:
    if outcome is None:
        return None
    return picture_errors(outcome.match, outcome.iou, outcome.scores, outcome.boxes, threshold)


def _resize(predictor: Predictor, imgsz: int) -> Resize:
    """The model's own rule at its own size; by the longer side at another."""
    data = predictor.config.data
    return Resize(imgsz, data.shorter if imgsz == data.imgsz else None)


def told(said: Said, numbers: Int[np.ndarray, " G"]) -> dict[str, Any]:
    """A model's word as the page gets it: maps in thousandths, boxes in the picture's own pixels.

    Args:
        said: the model's word.
        numbers: (G,) number of each box at this size among those of the record.
    """
    maps, trace = said.maps, said.trace
    sy, sx = said.scale
    to_picture = torch.tensor([1 / sx, 1 / sy] * 2)
    kept = torch.nonzero(trace.kept).flatten()
    place = torch.full_like(trace.by, -1)
    place[kept] = torch.arange(len(kept))
    removed = torch.nonzero(trace.by >= 0).flatten()
    removed = removed[place[trace.by[removed]] >= 0]  # the others were removed by what the limit of detections cut
    found = trace.candidates

    def boxes(index: torch.Tensor) -> list[list[float]]:
        return [[round(side, 1) for side in box] for box in (found.boxes[index] * to_picture).tolist()]

    by = place[trace.by[removed]]
    match = [int(numbers[m]) if m >= 0 else int(m) for m in said.match]
    return {
        "strides": list(maps.points.strides),
        "sizes": [list(size) for size in maps.points.sizes],
        "offset": maps.points.offset,
        "scale": [sy, sx],
        "score": _thousandths(maps.score),
        "best": maps.best.tolist(),
        "iou": _thousandths(maps.iou),
        "found": {
            "boxes": boxes(kept), "labels": found.labels[kept].tolist(), "scores": _thousandths(found.scores[kept]),
            "match": match, "iou": [round(1000 * float(value)) for value in said.iou],
        },
        "removed": {
            "boxes": boxes(removed), "labels": found.labels[removed].tolist(),
            "scores": _thousandths(found.scores[removed]), "by": by.tolist(), "gain": _gains(said, removed, by),
        },
    }  # fmt: skip


def _gains(said: Said, removed: Int[torch.Tensor, " R"], by: Int[torch.Tensor, " R"]) -> list[int | None]:
    """How much better each removed box overlaps the true box of the one that removed it; None where that has none."""
    match = torch.from_numpy(said.match)[by]
    hit = match >= 0
    overlap = box_iou(said.trace.candidates.boxes[removed], said.truth.boxes)
    if not len(said.truth):
        return [None] * len(removed)
    own = overlap[torch.arange(len(removed)), match.clamp(min=0)]
    gain = own - torch.from_numpy(said.iou)[by]
    return [round(1000 * value) if there else None for value, there in zip(gain.tolist(), hit.tolist(), strict=True)]


def _thousandths(values: Float[torch.Tensor, " N"]) -> list[int]:
    return (values * 1000).round().int().tolist()
