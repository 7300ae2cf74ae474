"""From an exported graph's outputs to detections, in NumPy: the rules of `dsla.models.decode`, step by step.

Letters: B images, P points, C classes, D places for detections, N detections of a picture, K candidates.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
from jaxtyping import Bool, Float32, Int64

LOGIT_SLACK = 1e-3


@dataclass(frozen=True)
class Choice:
    """How detections are chosen; fields as in `dsla.models.Decoding`."""

    score_threshold: float
    nms_iou: float | None
    topk: int
    max_detections: int
    score: Literal["class", "sqrt", "product"]

    @staticmethod
    def of(inference: Mapping[str, Any], score_threshold: float | None = None) -> "Choice":
        """From the `inference` of a configuration, perhaps with another threshold."""
        return Choice(
            score_threshold=inference["score_threshold"] if score_threshold is None else score_threshold,
            nms_iou=inference["nms_iou"],
            topk=inference["topk"],
            max_detections=inference["max_detections"],
            score=inference["score"],
        )


class Found(NamedTuple):
    """The detections of a picture, best first, in pixels of the network's input."""

    boxes: Float32[np.ndarray, "N 4"]
    scores: Float32[np.ndarray, " N"]
    labels: Int64[np.ndarray, " N"]


def found_in_graph(outputs: Mapping[str, np.ndarray], score_threshold: float) -> list[Found]:
    """Read what a graph that decodes itself has found, above a threshold that is not below its own.

    Greedy suppression never lets a lower score take part in the fate of a higher one, and every limit keeps the best,
    so leaving out afterwards is the same as a higher threshold before.
    """
    counts = [int(count) for count in outputs["counts"]]
    found: list[Found] = []
    for image, count in enumerate(counts):
        keep = outputs["scores"][image, :count] > score_threshold
        parts = (outputs[name][image, :count][keep] for name in ("boxes", "scores", "labels"))
        boxes, scores, labels = parts
        found.append(Found(boxes, scores, labels.astype(np.int64)))
    return found


def choose(
    outputs: Mapping[str, np.ndarray], size: tuple[int, int], strides: Sequence[int], choice: Choice
) -> list[Found]:
    """Choose the detections of each picture from a graph's raw outputs.

    Args:
        outputs: `logits` (B, P, C), `boxes` (B, P, 4), and `quality` (B, P) where the score needs it.
        size: (H, W) of the padded pictures.
        strides: of the pyramid's levels.
        choice: thresholds and limits.
    """
    starts = level_starts(size, strides)
    return [_choose_one(outputs, image, starts, choice) for image in range(len(outputs["logits"]))]


def level_starts(size: tuple[int, int], strides: Sequence[int]) -> list[int]:
    """Index of each level's first point; sides are rounded up where a stride does not divide them."""
    starts = [0]
    for stride in strides[:-1]:
        starts.append(starts[-1] + math.ceil(size[0] / stride) * math.ceil(size[1] / stride))
    return starts


def _choose_one(outputs: Mapping[str, np.ndarray], image: int, starts: Sequence[int], choice: Choice) -> Found:
    point, label, score = _candidates(outputs, image, choice)
    order = np.argsort(-score, kind="stable")
    level = np.searchsorted(np.asarray(starts), point[order], side="right")
    order = order[_best_of_levels(level, len(starts), choice.topk)]
    point, label, score = point[order], label[order], score[order]
    boxes = outputs["boxes"][image][point]
    real = (boxes[:, 2:] > boxes[:, :2]).all(axis=1)
    boxes, label, score = boxes[real], label[real], score[real]
    if choice.nms_iou is not None:
        keep = np.sort(np.concatenate([*_kept(boxes, label, choice.nms_iou, choice.max_detections), _NOTHING]))
        boxes, label, score = boxes[keep], label[keep], score[keep]
    most = choice.max_detections
    return Found(boxes[:most], score[:most], label[:most])


_NOTHING = np.zeros(0, dtype=np.int64)


def _candidates(
    outputs: Mapping[str, np.ndarray], image: int, choice: Choice
) -> tuple[Int64[np.ndarray, " K"], Int64[np.ndarray, " K"], Float32[np.ndarray, " K"]]:
    """Point, class and score of all pairs above the threshold, ordered by point, then class."""
    logits, threshold = outputs["logits"][image], choice.score_threshold
    needed = threshold**2 if choice.score == "sqrt" else threshold
    bound = -math.inf if needed == 0 else math.inf if needed == 1 else math.log(needed / (1 - needed)) - LOGIT_SLACK
    point, label = (logits > bound).nonzero()
    score = _sigmoid(logits[point, label])
    if choice.score != "class":
        score = score * _sigmoid(outputs["quality"][image, point])
        score = np.sqrt(score) if choice.score == "sqrt" else score
    above = score > threshold
    return point[above], label[above], score[above]


def _sigmoid(x: Float32[np.ndarray, " K"]) -> Float32[np.ndarray, " K"]:
    small = np.exp(-np.abs(x))  # never overflows
    return (np.where(x >= 0, 1, small) / (1 + small)).astype(np.float32)


def _best_of_levels(level: Int64[np.ndarray, " K"], levels: int, topk: int) -> Bool[np.ndarray, " K"]:
    """Mark the first `topk` of every level; levels count from 1."""
    marked = np.ones(len(level), dtype=bool)
    if len(level) > topk:
        for one in range(1, levels + 1):
            here = level == one
            marked &= ~here | (np.cumsum(here) <= topk)
    return marked


def _kept(
    boxes: Float32[np.ndarray, "K 4"], label: Int64[np.ndarray, " K"], iou: float, most: int
) -> Iterator[Int64[np.ndarray, " _"]]:
    """Indices that suppression within each class leaves, at most `most` a class; boxes come best first."""
    area = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    for one in np.unique(label):
        left = np.flatnonzero(label == one)
        kept: list[int] = []
        while len(left) and len(kept) < most:
            best, left = left[0], left[1:]
            kept.append(int(best))
            corner = np.minimum(boxes[left, 2:], boxes[best, 2:]) - np.maximum(boxes[left, :2], boxes[best, :2])
            shared = np.prod(np.maximum(corner, 0), axis=1)
            left = left[shared / (area[left] + area[best] - shared) <= iou]
        yield np.asarray(kept, dtype=np.int64)
